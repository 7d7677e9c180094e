"""Law 10: what the server does over time is nobody's edit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.errors import GitIntegrationError
from tests.laws.history import NAMES, Edit, History
from tests.laws.test_evidence import begun, sync
from tests.laws.test_laws import _SHARED, Restart, Step, Sync, play, settle, world
from tests.laws.world import FOLDER, World, parse


def change(w: World, what: str) -> None:
    """The kind's schema, or what is done to it on the way in, becomes another."""
    match what:
        case "field leaves":
            w.api.pruned.add("f1")
        case "field returns":
            w.api.pruned.discard("f1")
        case "default comes":
            w.api.defaults["tier"] = "basic"
        case "default goes":
            w.api.defaults.pop("tier", None)
        case "webhook adds":
            w.api.webhook["grade"] = "gold"
        case "webhook rewrites":
            w.api.webhook["f1"] = "rewritten"
    if what.startswith(("field", "default")):  # which the definition says
        w.api.written = f"21{int(w.api.written[2:4] if w.api.written > '21' else 0) + 1:02}-01-01T00:00:00Z"


def written(w: World) -> list[tuple[str, str]]:
    """Pipelines that the operator wrote; what it remembers may be written anew for a definition that is another."""
    return [(method, name) for method, plural, name in w.api.writes if plural == "pipelines"]


@dataclass(frozen=True)
class Flip:
    """A change of the kind, and where there is a number, a sync that meets it before this request."""

    what: str
    at: int | None


async def flip(w: World, step: Flip) -> None:
    if step.at is None:
        change(w, step.what)
        return
    w.deliver()
    w.steps.before[w.steps.count + step.at] = lambda: change(w, step.what)
    with contextlib.suppress(GitIntegrationError):
        await w.sync()
    if w.steps.before:
        w.steps.before.clear()
        change(w, step.what)


CHANGES = ("field leaves", "default comes", "webhook adds", "webhook rewrites")


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("what", CHANGES)
def test_the_next_edit_carries_itself_and_nothing_of_the_servers(what: str, crowded: bool, restart: bool) -> None:
    async def act() -> None:
        history = await begun(w)
        history.play(Edit("git", "a", "set", "f1"))
        await settle(w)
        before = w.git.files()[f"{FOLDER}/a.yaml"]
        change(w, what)
        if restart:
            w.restart(wipe=True)
        old = parse(w.git.files())["a"]["f0"]
        history.play(Edit("cluster", "a", "set", "f0"))
        new = w.api.specs()["a"]["f0"]
        await settle(w)
        wanted = before.replace(f"f0: '{old}'", f"f0: '{new}'")
        assert wanted != before
        assert w.git.files()[f"{FOLDER}/a.yaml"] == wanted
        head = w.git.head
        history.play(Edit("git", "a", "set", "s0"))
        await settle(w)
        assert w.git.parents(w.git.head or "") == [head], "nothing but the user's own commit"
        assert w.api.specs()["a"]["steps"][0]["name"] == "s0"

    directory, w = world(crowded=crowded)
    with directory:
        asyncio.run(act())


def test_an_object_that_somebody_only_touched_writes_nothing_to_git() -> None:
    """A default came, and another tool changed what is not synced."""

    async def act() -> None:
        await begun(w)
        head = w.git.head
        change(w, "default comes")
        w.api.put("a", {**w.api.specs()["a"]})
        outcome = await settle(w)
        assert w.git.head == head
        assert outcome.local_ahead == 0
        count = w.steps.count
        await sync(w)
        assert w.steps.count == count + 1

    directory, w = world()
    with directory:
        asyncio.run(act())


_edits = st.builds(
    Edit, st.sampled_from(["cluster", "git"]), st.sampled_from(NAMES), st.just("set"), st.sampled_from(["f0", "s0"])
)
_FLIPS = ("field leaves", "field returns", "default comes", "default goes", "webhook adds")
_killed = st.builds(Sync, st.just("crash"), st.integers(0, 20), st.booleans())
_flips = st.builds(Flip, st.sampled_from(_FLIPS), st.none() | st.integers(0, 20))
_steps = st.one_of(_edits, _edits, st.just(Sync()), st.just(Restart(True)), _killed, _flips, _flips)


@_SHARED
@given(st.lists(_steps, max_size=14), st.booleans())
def test_git_is_not_written_for_what_nobody_edited(steps: Sequence[Step | Flip], crowded: bool) -> None:
    """Nor is an edit lost, whatever the schema did before, while or after a process was killed.

    What a user writes while a field is unknown lacks it for good, and what he writes while there is a default holds that: both are
    looked at before the schema is again as it was, or nothing would tell them from edits.
    """

    async def act() -> None:
        history = await begun(w)
        for name in NAMES:
            history.play(Edit("git", name, "set", "f1"))
        await settle(w)
        kept = {name: spec["f1"] for name, spec in parse(w.git.files()).items() if "f1" in spec}
        unseen = False
        for step in steps:
            if isinstance(step, Flip):
                if unseen and step.what in ("field returns", "default goes"):
                    await sync(w)
                    unseen = False
                await flip(w, step)
            else:
                await play(history, [step])
                unseen = unseen or (isinstance(step, Edit) and step.side == "cluster")
        outcome = await settle(w)
        assert {name: spec["f1"] for name, spec in parse(w.git.files()).items() if "f1" in spec} == kept
        torn = {c.name for c in outcome.conflicts}
        for name, spec in parse(w.git.files()).items():
            assert not {"tier", "grade"} & spec.keys()
            if name not in torn:
                assert spec["f0"] == w.api.specs()[name]["f0"]
        there = {(*at, value) for side in ("cluster", "git") for at, value in history.state(side).items()}
        assert not (lost := history.account.owed - there), f"lost: {lost}"
        change(w, "field returns")
        outcome = await settle(w)
        live = {name: spec["f1"] for name, spec in w.api.specs().items() if "f1" in spec and name not in torn}
        whole = {name: value for name, value in kept.items() if name not in torn}
        assert live == whole, "what git held all the time is in the cluster again"
        assert {c.name for c in outcome.conflicts} == torn
        before, told = (written(w), w.git.head), w.status
        w.restart(wipe=True)
        await sync(w)
        assert (written(w), w.git.head) == before
        assert w.status == told

    directory, w = world(crowded=crowded)
    with directory:
        asyncio.run(act())


def test_what_a_user_wrote_is_an_edit_also_where_the_schema_changed() -> None:
    async def act() -> None:
        history: History = await begun(w)
        change(w, "default comes")
        w.api.put("a", {**w.api.specs()["a"], "tier": "own", "f1": "1"})
        await settle(w)
        assert parse(w.git.files())["a"]["tier"] == "own"
        assert parse(w.git.files())["a"]["f1"] == "1"
        history.play(Edit("cluster", "a", "unset", "f1"))
        await settle(w)
        assert "f1" not in parse(w.git.files())["a"]

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("edited", ["", "git", "cluster"])
def test_what_the_server_could_not_store_is_brought_in_once_it_can(edited: str, restart: bool) -> None:
    async def act() -> None:
        history = await begun(w)
        w.api.pruned.add("f1")
        history.play(Edit("git", "a", "set", "f1"))
        await settle(w)
        kept = parse(w.git.files())["a"]["f1"]
        assert "f1" not in w.api.specs()["a"]
        w.api.pruned.discard("f1")
        w.api.written = "2100-01-01T00:00:00Z"
        if restart:
            w.restart()
        if edited:
            history.play(Edit(edited, "a", "set", "f0"))
        head = w.git.head
        await settle(w)
        assert w.api.specs()["a"]["f1"] == parse(w.git.files())["a"]["f1"] == kept
        assert w.api.specs()["a"]["f0"] == parse(w.git.files())["a"]["f0"]
        assert (w.git.head == head) == (edited != "cluster")

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("known", [True, False], ids=["agreed", "met"])
@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("what", ["leaves", "returns"])
def test_a_schema_that_changes_between_two_requests_is_nobodys_edit(what: str, crowded: bool, known: bool) -> None:
    """What was read by the one and what was asked by the other differ, and nobody wrote it."""
    at, requests = 0, 1
    while at < requests:
        requests = asyncio.run(_changed_at(at, what, crowded=crowded, known=known))
        at += 1
    assert at > 3


async def _changed_at(at: int, what: str, *, crowded: bool, known: bool) -> int:
    """Have the schema change before this request of a sync; how many requests the sync made."""
    directory, w = world(crowded=crowded)
    with directory:
        history = await begun(w)
        history.play(Edit("git", "a", "set", "f1"))
        await settle(w)
        kept = parse(w.git.files())["a"]["f1"]
        if what == "returns":
            w.api.pruned.add("f1")
        if not known:
            w.api.forget_memory()
            w.restart()
        history.play(Edit("git", "a", "set", "f0"))
        begun_at = w.steps.count
        w.steps.before[begun_at + at] = lambda: w.api.pruned.symmetric_difference_update({"f1"})
        await sync(w)
        requests = w.steps.count - begun_at
        w.steps.before.clear()
        await settle(w)
        w.api.pruned.discard("f1")
        outcome = await settle(w)
        assert parse(w.git.files())["a"]["f1"] == kept, f"at request {at}"
        if known:
            assert w.api.specs()["a"]["f1"] == kept, f"at request {at}"
            assert not outcome.conflicts
        return requests
