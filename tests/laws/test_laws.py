"""The seven laws of a sync, over random histories of edits on both sides with crashes, races and lost connections."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from gitintegration.api.operation import PullOperation, PushOperation
from gitintegration.core.status import Outcome, build_status
from gitintegration.errors import GitIntegrationError, Reason, RemoteError
from gitintegration.operations.result import OperationContext
from tests.laws.history import ANCHOR, FIELDS, NAMES, SHAPES, Edit, History, state_of
from tests.laws.world import FOLDER, Crash, World, parse

HISTORIES = int(os.environ.get("HISTORIES", "90"))
"""Of each law; more to hunt with."""
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_SHARED = settings(deadline=None, max_examples=HISTORIES, suppress_health_check=list(HealthCheck), database=None)
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@dataclass(frozen=True)
class Sync:
    """A sync, and what happens at its n-th request."""

    fault: Literal["", "crash", "lose", "race"] = ""
    at: int = 0
    after: bool = False
    edit: Edit | None = None
    delivered: bool = True
    """Whether the watch has caught up before."""


@dataclass(frozen=True)
class Restart:
    wipe: bool


@dataclass(frozen=True)
class Rewind:
    """A force push."""


@dataclass(frozen=True)
class Configure:
    mode: str


@dataclass(frozen=True)
class Operate:
    """A GitOperation on everything."""

    kind: Literal["push", "pull"]
    dry: bool = False


@dataclass(frozen=True)
class Ignore:
    """What spec.ignore says from now on, until the mode changes."""

    pattern: str


@dataclass(frozen=True)
class Select:
    """The selector leaves out a pipeline from now on, or none, until the mode changes."""

    out: str


@dataclass(frozen=True)
class Lag:
    """From now on the branch is read as it is now, whatever is pushed, or no more; and pushes are taken late, or lose their answers."""

    begins: bool
    pushes: Literal["answered", "late", "lost"] = "answered"


Step = Edit | Sync | Restart | Rewind | Configure | Operate | Ignore | Select | Lag

_sides = st.sampled_from(["cluster", "git"])
_edits = st.one_of(
    st.builds(Edit, _sides, st.sampled_from(NAMES), st.just("set"), st.sampled_from(FIELDS)),
    st.builds(Edit, _sides, st.sampled_from(NAMES), st.just("unset"), st.sampled_from(FIELDS[1:])),
    st.builds(Edit, _sides, st.sampled_from(NAMES), st.just("delete")),
    st.builds(Edit, st.just("git"), st.sampled_from(NAMES), st.sampled_from(list(SHAPES))),
)
_syncs = st.one_of(
    st.just(Sync()),
    st.builds(Sync, st.just("crash"), st.integers(0, 20), st.booleans()),
    st.builds(Sync, st.just("lose"), st.integers(0, 20), st.booleans()),
    st.builds(Sync, st.just("race"), st.integers(0, 20), st.booleans(), _edits, st.booleans()),
)
_modes = st.builds(Configure, st.sampled_from(["Manual", "Pull", "Push", "Bidirectional"]))
_ignores = st.builds(Ignore, st.sampled_from(["", "*.json", "all.yaml", "b*", "/*.yaml\n!/a.yaml"]))
_selects = st.builds(Select, st.sampled_from(["", *NAMES]))
_operations = st.builds(Operate, st.sampled_from(["push", "pull"]), st.booleans())
_lags = st.builds(Lag, st.booleans(), st.sampled_from(["answered", "late", "lost"]))
_steps = st.one_of(
    _edits,
    _edits,
    _syncs,
    _syncs,
    st.builds(Restart, st.booleans()),
    st.builds(Rewind),
    _modes,
    _operations,
    _ignores,
    _selects,
    _lags,
)
_histories = st.lists(_steps, max_size=16)


async def play(history: History, steps: Sequence[Step]) -> None:
    world = history.world
    for step in steps:
        match step:
            case Edit():
                history.play(step)
            case Rewind():
                if world.git.head not in world.git.unseen:  # that it was taken back is as if it had never come
                    history.rewind()
            case Restart():
                world.restart(wipe=step.wipe)
            case Configure():
                world.configure(step.mode)
            case Ignore():
                world.ignore(step.pattern)
            case Select():
                history.select_all_but(step.out)
            case Lag():
                world.git.land()
                world.git.lagging = dict(world.git.heads) if step.begins else None
                world.git.deaf = step.pushes == "lost"
                world.git.late = [] if step.pushes == "late" else None
            case Operate():
                await operate(world, step)
            case Sync():
                await run(history, step)


async def operate(world: World, step: Operate) -> None:
    """An operation that nothing happens to. A dry run writes nothing."""

    async def record(fields: Mapping[str, Any]) -> None:
        """Its status is nobody's business here."""

    order = OperationContext(1_700_000_500, {}, record)
    world.deliver()
    before = (list(world.api.writes), dict(world.git.heads))
    try:
        request = await world.request()
        if step.kind == "push":
            await world.parts.actions.push(world.session, request, order, PushOperation(dry_run=step.dry))
        else:
            await world.parts.actions.pull(world.session, request, order, PullOperation(dry_run=step.dry))
    except GitIntegrationError:
        pass
    if step.dry:
        assert world.git.heads == before[1]
        assert not [write for write in world.api.writes[len(before[0]) :] if write[1] == "pipelines"]


async def run(history: History, step: Sync) -> None:
    """One sync. A crashed process starts again."""
    world = history.world
    if step.delivered:
        world.deliver()
    at = world.steps.count + step.at
    if step.fault:
        acts = {"crash": world.steps.crash, "lose": world.steps.lose}
        edit = step.edit
        act = acts.get(step.fault) or (lambda: history.play(edit) if edit else None)
        (world.steps.after if step.after else world.steps.before)[at] = act
    try:
        await world.sync()
    except Crash:
        world.restart()
    except GitIntegrationError:
        pass
    world.steps.before.clear()
    world.steps.after.clear()


async def settle(world: World) -> Outcome:
    """Nobody edits, no replica lags: syncs until one has nothing to do."""
    world.git.land()
    world.git.lagging, world.git.deaf = None, False
    world.configure()
    for _ in range(12):
        world.deliver()
        before = (len(world.api.writes), world.git.head)
        try:
            outcome, _ = await world.sync()
        except RemoteError as error:
            assert error.reason is Reason.RemoteBehind, error
            continue
        assert outcome.error is None, outcome.error
        if (len(world.api.writes), world.git.head) == before:
            return outcome
    raise AssertionError("it does not settle")


def world(*, crowded: bool = False) -> tuple[tempfile.TemporaryDirectory[str], World]:
    directory = tempfile.TemporaryDirectory(dir=_MEMORY)
    return directory, World(Path(directory.name) / "cache", crowded=crowded)


@_SHARED
@given(_histories, st.booleans())
def test_no_edit_is_lost_or_reverted_and_both_sides_end_equal(steps: list[Step], crowded: bool) -> None:
    """Laws 1, 3, 5, 6: the transports refuse every write that does not carry what it was planned on."""
    directory, w = world(crowded=crowded)
    with directory:
        history = History(w)

        async def act() -> Outcome:
            await play(history, steps)
            return await settle(w)

        check(history, asyncio.run(act()))


def check(history: History, outcome: Outcome) -> None:
    """Whatever went wrong on the way."""
    world, account = history.world, history.account
    cluster, git = history.state("cluster"), history.state("git")
    torn = {c.name for c in outcome.conflicts}
    there = {(*at, value) for side in (cluster, git) for at, value in side.items()}
    assert not (lost := account.owed - there), f"lost: {lost}"
    for side in (cluster, git):
        calm = {(*at, value) for at, value in side.items() if at[0] not in torn | history.left_out}
        assert not (back := calm & account.superseded), f"reverted: {back}"
    calm_cluster, calm_git = ({k: v for k, v in side.items() if k[0] not in torn} for side in (cluster, git))
    assert calm_cluster == calm_git
    assert outcome.local_ahead == outcome.remote_ahead == len(outcome.conflicts) == len(torn)
    assert outcome.pipelines == len({name for name, _, _ in there})
    for name, spec in parse(world.git.files()).items():
        assert "mode" not in spec, f"{name}: what the API server filled in was committed"
    assert world.git.files()["README.md"] == "# ours\n"
    for commit in world.git.pushed:
        before, after = (parse(world.git.files(c)) for c in (world.git.parents(commit)[0], commit))
        assert state_of(before) != state_of(after), "a commit that changes nothing"


_BORN_AND_GONE: list[Step] = [
    Sync(),
    Edit("cluster", "b", "set"),
    Restart(True),
    Edit("cluster", "b", "delete"),
]
"""The watch tells a new process that it is there, and that it is gone before the first sync."""


@_SHARED
@given(_histories)
@example(_BORN_AND_GONE)
def test_once_settled_nothing_is_written_and_a_sync_is_one_request(steps: list[Step]) -> None:
    """Law 2, also for a process that has just started."""
    directory, w = world()
    with directory:

        async def act() -> None:
            await play(History(w), steps)
            await settle(w)
            before = (list(w.api.writes), w.git.head, w.steps.count)
            await w.sync()
            assert (w.api.writes, w.git.head, w.steps.count) == (*before[:2], before[2] + 1)
            w.restart(wipe=True)
            await w.sync()
            assert (w.api.writes, w.git.head) == before[:2]
            count = w.steps.count
            await w.sync()
            assert w.steps.count == count + 1

        asyncio.run(act())


@settings(_SHARED, max_examples=max(10, HISTORIES // 5))
@given(st.lists(st.one_of(_edits, _edits, st.just(Sync())), max_size=12), st.booleans())
def test_killed_at_any_instant_it_ends_the_same(steps: list[Step], crowded: bool) -> None:
    """Law 4: one run to compare with, then one killed before and one after each of its requests."""

    async def act(w: World, at: int | None, after: bool) -> tuple[object, ...]:
        await play(History(w), steps)
        begun = w.steps.count
        if at is not None:
            (w.steps.after if after else w.steps.before)[begun + at] = w.steps.crash
        try:
            outcome = await settle(w)
        except Crash:
            w.restart(wipe=after)
            outcome = await settle(w)
        requests.append(w.steps.count - begun)
        torn = sorted((c.name, c.reason, c.fields) for c in outcome.conflicts)
        return w.api.specs(), parse(w.git.files()), len(w.git.pushed), torn

    requests: list[int] = []
    directory, w = world(crowded=crowded)
    with directory:
        wanted = asyncio.run(act(w, None, False))
    for at in range(max(requests)):
        for after in (False, True):
            directory, w = world(crowded=crowded)
            with directory:
                assert asyncio.run(act(w, at, after)) == wanted, f"killed {'after' if after else 'before'} request {at}"


_cluster_own = st.one_of(
    st.builds(Edit, st.just("cluster"), st.just("a"), st.just("set"), st.sampled_from(["f1", "s0"])),
    st.builds(Edit, st.just("cluster"), st.just("b"), st.sampled_from(["set", "delete"])),
)
_git_own = st.one_of(
    st.builds(Edit, st.just("git"), st.just("a"), st.just("set"), st.sampled_from(["f0", "s1"])),
    st.builds(Edit, st.just("git"), st.just("c"), st.sampled_from(["set", "delete"])),
)
_own = st.lists(st.one_of(_cluster_own, _git_own), min_size=1, max_size=4)


@settings(_SHARED, max_examples=max(20, HISTORIES // 3))
@given(_own, _own, st.booleans())
def test_killed_at_any_instant_what_it_wrote_is_never_taken_for_an_edit(
    begun: list[Edit], meanwhile: list[Edit], crowded: bool
) -> None:
    """Laws 1, 2 and 4, where both sides edit on before it starts again, each its own fields and pipelines."""

    async def act(w: World, at: int, after: bool) -> bool:
        history = History(w)
        history.play(Edit("git", "a", "set"))
        await settle(w)
        await play(history, begun)
        (w.steps.after if after else w.steps.before)[w.steps.count + at] = w.steps.crash
        try:
            await settle(w)
        except Crash:
            await play(history, meanwhile)
            w.restart(wipe=after)
        else:
            return False
        outcome = await settle(w)
        assert not outcome.conflicts
        assert history.state("cluster") == history.state("git")
        assert history.account.owed == {(*at, v) for at, v in history.state("git").items() if at[0] != ANCHOR}
        return True

    for after in (False, True):
        at, killed = 0, True
        while killed:
            directory, w = world(crowded=crowded)
            with directory:
                try:
                    killed = asyncio.run(act(w, at, after))
                except AssertionError as error:
                    raise AssertionError(f"killed {'after' if after else 'before'} request {at}: {error}") from error
            at += 1


@settings(_SHARED, max_examples=max(4, HISTORIES // 20), phases=[Phase.generate])
@given(_own, _own, _own, st.sampled_from(["crash", "lose", "lose two"]), st.booleans())
def test_a_second_fault_before_it_remembers_takes_nothing_for_an_edit_either(
    begun: list[Edit], between: list[Edit], meanwhile: list[Edit], fault: str, crowded: bool
) -> None:
    """What was done and not answered, or not remembered, is known until it is remembered: the next process may be killed too."""

    async def act(w: World, at: int, second: int) -> tuple[bool, bool]:
        history = History(w)
        history.play(Edit("git", "a", "set"))
        await settle(w)
        await play(history, begun)
        w.deliver()
        first = w.steps.count + at
        w.steps.after[first] = w.steps.crash if fault == "crash" else w.steps.lose
        if fault == "lose two":  # of a push: its answer, and the look at the ref after it
            w.steps.after[first + 1] = w.steps.lose
        try:
            await w.sync()
        except Crash:
            w.restart()
        except GitIntegrationError:
            pass
        if first in w.steps.after:
            return False, False
        w.steps.after.clear()
        await play(history, between)
        w.steps.after[w.steps.count + second] = w.steps.crash
        try:
            await settle(w)
        except Crash:
            await play(history, meanwhile)
            w.restart()
            killed = True
        else:
            killed = False
        w.steps.after.clear()
        outcome = await settle(w)
        assert not outcome.conflicts
        assert history.state("cluster") == history.state("git")
        assert history.account.owed == {(*at, v) for at, v in history.state("git").items() if at[0] != ANCHOR}
        return True, killed

    at, went_wrong = 0, True
    while went_wrong:
        second, killed = 0, True
        while killed:
            directory, w = world(crowded=crowded)
            with directory:
                try:
                    went_wrong, killed = asyncio.run(act(w, at, second))
                except AssertionError as error:
                    raise AssertionError(f"{fault} after request {at}, then killed after {second}: {error}") from error
            second += 1
        at += 1


@_SHARED
@given(_histories, st.booleans())
def test_a_lost_memory_loses_no_edit_and_deletes_nothing(steps: list[Step], empty: bool) -> None:
    """Law 7: what was agreed is forgotten, or the whole prefix disappears."""
    directory, w = world()
    with directory:
        history = History(w)

        async def act() -> None:
            await play(history, steps)
            outcome = await settle(w)
            before = w.api.specs()
            if empty:
                w.configure(max_deletes="50%")
                w.git.commit({"README.md": "# ours\n"})
                w.deliver()
                outcome, stats = await w.sync()
                assert stats.held
                assert w.api.specs() == before
                return
            w.api.forget_memory()
            w.restart(wipe=True)
            outcome = await settle(w)
            torn = {c.name for c in outcome.conflicts}
            there = {(*at, v) for side in ("cluster", "git") for at, v in history.state(side).items()}
            assert not history.account.owed - there
            assert before.keys() <= w.api.specs().keys()
            assert {n: s for n, s in w.api.specs().items() if n not in torn} == {
                n: s for n, s in w.api.specs().items() if n not in torn and n in parse(w.git.files())
            }

        asyncio.run(act())


@settings(_SHARED, max_examples=max(10, HISTORIES // 3))
@given(_histories, st.lists(_edits, max_size=6), st.booleans())
def test_what_a_newer_release_remembers_is_kept_for_it(steps: list[Step], meanwhile: list[Edit], wipe: bool) -> None:
    """Law 7: an older one says so and touches nothing, however long it runs and whatever is edited, and no edit is lost by it."""
    directory, w = world()
    with directory:
        history = History(w)

        async def act() -> Outcome:
            await play(history, steps)
            await settle(w)
            w.api.mark_memory("3:")
            w.restart(wipe=wipe)
            await play(history, meanwhile)
            before = list(w.api.writes), dict(w.git.heads), w.api.memory()
            for _ in range(2):
                w.deliver()
                with pytest.raises(GitIntegrationError) as told:
                    await w.sync()
                assert told.value.reason is Reason.NewerMemory
                with pytest.raises(GitIntegrationError):
                    await w.request()
            assert (list(w.api.writes), dict(w.git.heads), w.api.memory()) == before
            ready = next(c for c in w.status["conditions"] if c["type"] == "Ready")
            assert (ready["status"], ready["reason"]) == ("False", "NewerMemory")
            assert "-l planasonix.com/integration-uid=uid-1" in ready["message"]
            w.api.mark_memory("")
            w.restart(wipe=wipe)
            return await settle(w)

        check(history, asyncio.run(act()))


@pytest.mark.parametrize("wipe", [False, True])
@pytest.mark.parametrize("commits", [1, 30])
def test_a_branch_rewritten_while_the_operator_was_down_is_told(wipe: bool, commits: int) -> None:
    """Law 7, also where the old head is further back than what a first fetch brings."""
    directory, w = world()
    with directory:
        history = History(w)

        async def act() -> None:
            for _ in range(3):
                history.play(Edit("git", "a", "set", "f0"))
            old = w.git.parents(w.git.head or "")[0]
            assert (await settle(w)).rewritten is None
            for _ in range(commits):
                history.play(Edit("git", "a", "set", "f1"))
            w.restart(wipe=wipe)
            assert (await settle(w)).rewritten is None
            w.git.force(old)
            for _ in range(commits):
                history.play(Edit("git", "b", "set", "f1"))
            w.restart(wipe=wipe)
            outcome = await settle(w)
            assert "rewritten" in (outcome.rewritten or "")
            assert outcome.history
            assert outcome.history[0]["sha"] == w.git.head
            assert {"a", "b", ANCHOR} == set(w.api.specs())

        asyncio.run(act())


def test_a_delete_while_the_watch_is_broken_is_found_by_the_next_list() -> None:
    """What the operator made and somebody deleted is in neither list, so nobody is told of it."""
    directory, w = world()
    with directory:
        history = History(w)

        async def act() -> None:
            await settle(w)
            history.play(Edit("git", "b", "set", "f0"))
            await w.sync()
            history.play(Edit("cluster", "b", "delete"))
            w.relist()
            await w.sync()
            assert "b" not in parse(w.git.files())

        asyncio.run(act())


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("what", ["delete", "set"])
def test_what_the_watch_tells_while_a_sync_runs_is_not_lost(what: str, crowded: bool) -> None:
    """Also of an object that nothing is remembered of yet."""

    async def act(w: World, at: int) -> bool:
        history = History(w)
        await settle(w)
        history.play(Edit("cluster", "a", "set"))
        w.deliver()

        def meanwhile() -> None:
            history.play(Edit("cluster", "a", what))
            w.deliver()

        w.steps.before[w.steps.count + at] = meanwhile
        await w.sync()
        ran = not w.steps.before
        w.steps.before.clear()
        await w.sync()
        assert not ran or history.state("cluster") == history.state("git"), f"told of before request {at}"
        return ran

    at, ran = 0, True
    while ran:
        directory, w = world(crowded=crowded)
        with directory:
            ran = asyncio.run(act(w, at))
        at += 1
    assert at > 4


def test_a_restart_reads_nothing_where_nothing_moved() -> None:
    """Cost follows what changed: also that of a start."""

    async def act(w: World) -> None:
        history = History(w)
        history.play(Edit("git", "a", "set"))
        told = build_status({}, await settle(w), MOMENT)
        w.restart(wipe=True)
        outcome, stats = await w.sync()
        assert w.session.index.commit is None
        assert not stats.wrote
        assert build_status(told, outcome, MOMENT) == told
        history.play(Edit("cluster", "a", "set"))
        w.deliver()
        await w.sync()
        history.play(Edit("git", "a", "set", "f1"))
        await settle(w)
        assert history.state("cluster") == history.state("git")

    directory, w = world()
    with directory:
        asyncio.run(act(w))


@pytest.mark.parametrize("after", [False, True])
def test_a_status_that_is_older_than_what_is_remembered_is_not_trusted(after: bool) -> None:
    """Killed before it told, and the branch is forced back to where the status saw it last."""

    async def act(w: World, at: int) -> bool:
        history = History(w)
        history.play(Edit("git", "a", "set"))
        await settle(w)
        first = w.git.head
        assert first
        history.play(Edit("git", "a", "set", "f1"))
        (w.steps.after if after else w.steps.before)[w.steps.count + at] = w.steps.crash
        try:
            await w.sync()
        except Crash:
            w.git.force(first)
            w.restart(wipe=True)
        else:
            return False
        await settle(w)
        assert history.state("cluster") == history.state("git")
        return True

    at, killed = 0, True
    while killed:
        directory, w = world()
        with directory:
            killed = asyncio.run(act(w, at))
        at += 1
    assert at > 5


def test_the_history_tells_who_touched_what() -> None:
    directory, w = world()
    with directory:
        history = History(w)

        async def act() -> None:
            history.play(Edit("git", "a", "set", "f0"))
            await settle(w)
            history.play(Edit("cluster", "b", "set", "f0"))
            await settle(w)
            history.play(Edit("git", "b", "set", "f1"))
            history.play(Edit("git", "a", "delete"))
            outcome = await settle(w)
            assert [c["pipelinesTouched"] for c in outcome.history or ()] == [["a"], ["b"], ["b"], ["a"], [ANCHOR]]
            assert (outcome.history or [{}])[2]["message"] == "Create b"
            w.restart(wipe=True)
            again = await settle(w)
            assert again.history == outcome.history

        asyncio.run(act())


def test_the_account_notices_what_is_lost_and_what_comes_back() -> None:
    """The checks themselves can fail."""
    directory, w = world()
    with directory:
        history = History(w)
        history.play(Edit("cluster", "a", "set", "f1"))
        asyncio.run(settle(w))
        assert ("a", "f1") in history.state("git")
        assert (ANCHOR, "f0") in history.state("git")
        owed = next(iter(history.account.owed))
        w.git.commit({p: t for p, t in w.git.files().items() if p != f"{FOLDER}/a.yaml"})
        asyncio.run(settle(w))
        assert owed[0] == "a"
        assert owed[2] not in history.state("git").values()


def test_damaged_memory_is_told_once_and_deletes_nothing() -> None:
    async def act() -> None:
        for name in ("a", "b"):
            w.api.put(name, {"f0": "1"})
        await settle(w)
        for (plural, _), stored in w.api.objects.items():
            if plural != "pipelines":
                stored["spec"]["data"] = "damaged"
        w.api.remove("a")
        w.restart(wipe=True)
        await settle(w)
        assert w.api.specs().keys() == parse(w.git.files()).keys() >= {"a", "b"}
        told = [words for reason, words in w.api.events if reason == "MemoryDamaged"]
        assert len(told) == 1
        assert "comes back from the other" in told[0]
        w.restart(wipe=True)
        await settle(w)
        assert [reason for reason, _ in w.api.events].count("MemoryDamaged") == 1

    directory, w = world()
    with directory:
        History(w)
        asyncio.run(act())
