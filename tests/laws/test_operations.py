"""OperationQueue, killed before and after each of their requests: each ends once, with one commit at most."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from gitintegration.api.operation import PullOperation, PushOperation
from gitintegration.errors import GitIntegrationError, OperationError, Reason
from gitintegration.operations.result import OperationContext, OperationResult, PartialFailure
from tests.laws.history import ANCHOR, Edit, History, manifest
from tests.laws.test_laws import settle, world
from tests.laws.world import FOLDER, REVIEW, Crash, World, parse


class Operation:
    """One operation with its status, which outlives the process that runs it."""

    def __init__(self, w: World, wanted: PushOperation | PullOperation) -> None:
        self.w, self.wanted = w, wanted
        self.status: dict[str, Any] = {}

    async def run(self) -> OperationResult:
        """As a process runs it: from the status that it finds."""
        w = self.w
        actions = w.parts.actions
        order = OperationContext(1_700_000_500, dict(self.status), self._record)
        self.status["phase"] = "Running"
        w.deliver()
        request = await w.request()
        if isinstance(self.wanted, PushOperation):
            return await actions.push(w.session, request, order, self.wanted)
        return await actions.pull(w.session, request, order, self.wanted)

    async def _record(self, fields: Mapping[str, Any]) -> None:
        await self.w.steps.request(lambda: self.status.update(fields))

    async def to_its_end(self) -> OperationResult:
        """However often the process is killed."""
        while True:
            try:
                done = await self.run()
            except Crash:
                self.w.restart(wipe=True)
            else:
                self.status.update(done.fields)
                return done


MORE = [f"m{number}" for number in range(5)]


def prepared(*, crowded: bool = False) -> tuple[Any, World]:
    """In sync, then two edits in the cluster and one in git, in mode Manual. `crowded`: five more of each, in portions of two."""
    directory, w = world(crowded=crowded)
    history = History(w)
    for name in MORE if crowded else ():
        w.api.put(name, {"f0": "1"})
    history.play(Edit("cluster", "a", "set", "f1"))
    w.deliver()
    asyncio.run(w.sync())
    w.configure("Manual")
    history.play(Edit("cluster", "a", "set", "f1"))
    history.play(Edit("cluster", "b", "set", "f0"))
    history.play(Edit("git", ANCHOR, "set", "f1"))
    if crowded:
        w.git.commit({**w.git.files(), **{f"{FOLDER}/{n}.yaml": manifest(n, {"f0": "1", "f1": "git"}) for n in MORE}})
        for name in MORE:
            w.api.put(f"{name}-new", {"f0": "2"})
    w.git.pushed.clear()
    return directory, w


@pytest.mark.parametrize("crowded", [False, True], ids=["one portion", "portions"])
@pytest.mark.parametrize("branch", [None, "feature"])
def test_a_push_killed_at_any_request_makes_one_commit(branch: str | None, crowded: bool) -> None:
    async def act(w: World, at: int | None, after: bool) -> tuple[Any, ...]:
        operation = Operation(w, PushOperation(branch=branch))
        begun = w.steps.count
        if at is not None:
            (w.steps.after if after else w.steps.before)[begun + at] = w.steps.crash
        await operation.to_its_end()
        counts.append(w.steps.count - begun)
        head = w.git.heads[branch or "main"]
        assert operation.status["commit"] == head
        told = operation.status["counts"]
        return parse(w.git.files(head)), len(w.git.pushed), (told["created"], told["updated"])

    counts: list[int] = []
    directory, w = prepared(crowded=crowded)
    with directory:
        wanted = asyncio.run(act(w, None, False))
        assert wanted[1:] == (1, (6 if crowded else 1, 1))
        assert not crowded or {f"{name}-new" for name in MORE} <= wanted[0].keys()
    for at in range(max(counts)):
        for after in (False, True):
            directory, w = prepared(crowded=crowded)
            with directory:
                found = asyncio.run(act(w, at, after))
                assert found == wanted, f"killed {'after' if after else 'before'} request {at}"


@pytest.mark.parametrize("crowded", [False, True], ids=["one portion", "portions"])
def test_a_pull_killed_at_any_request_ends_with_the_counts_it_began_with(crowded: bool) -> None:
    async def act(w: World, at: int | None, after: bool) -> tuple[Any, ...]:
        operation = Operation(w, PullOperation())
        begun = w.steps.count
        if at is not None:
            (w.steps.after if after else w.steps.before)[begun + at] = w.steps.crash
        await operation.to_its_end()
        counts.append(w.steps.count - begun)
        return w.api.specs(), operation.status["counts"]["updated"], len(w.git.pushed)

    counts: list[int] = []
    directory, w = prepared(crowded=crowded)
    with directory:
        wanted = asyncio.run(act(w, None, False))
        assert wanted[1:] == (6 if crowded else 1, 0)
        assert not crowded or all(wanted[0][name]["f1"] == "git" for name in MORE)
    for at in range(max(counts)):
        for after in (False, True):
            directory, w = prepared(crowded=crowded)
            with directory:
                found = asyncio.run(act(w, at, after))
                assert found == wanted, f"killed {'after' if after else 'before'} request {at}"


@pytest.mark.parametrize("crowded", [False, True], ids=["one portion", "portions"])
def test_what_is_settled_by_a_pull_killed_at_any_request_reaches_both_sides(crowded: bool) -> None:
    wanted = {"f0": "settled", "f1": "cluster", "s0": "git", "f2": "before"}
    resolutions = [
        {"pipeline": "a", "field": "spec.f0", "value": "settled"},
        {"pipeline": "a", "field": "spec.f1", "take": "ours"},
        {"pipeline": "a", "field": "spec.s0", "take": "theirs"},
        {"pipeline": "a", "field": "spec.f2", "take": "base"},
    ]

    async def act(w: World, at: int | None, after: bool) -> int:
        fields = tuple(wanted)
        w.git.commit({**w.git.files(), f"{FOLDER}/a.yaml": manifest("a", dict.fromkeys(fields, "before"))})
        await settle(w)
        w.configure("Manual")
        w.git.commit({**w.git.files(), f"{FOLDER}/a.yaml": manifest("a", dict.fromkeys(fields, "git"))})
        w.api.put("a", dict.fromkeys(fields, "cluster"))
        w.deliver()
        await w.sync()
        operation = Operation(w, PullOperation.model_validate({"resolutions": resolutions}))
        begun = w.steps.count
        if at is not None:
            (w.steps.after if after else w.steps.before)[begun + at] = w.steps.crash
        await operation.to_its_end()
        requests = w.steps.count - begun
        outcome = await settle(w)
        assert not outcome.conflicts, f"killed {'after' if after else 'before'} request {at}"
        assert w.api.specs()["a"].items() >= wanted.items()
        assert parse(w.git.files())["a"].items() >= wanted.items()
        return requests

    directory, w = world(crowded=crowded)
    with directory:
        most = asyncio.run(act(w, None, False))
    for at in range(most):
        for after in (False, True):
            directory, w = world(crowded=crowded)
            with directory:
                asyncio.run(act(w, at, after))


LOST = ["a", "b", "c"]


def restorable(mode: str, *, crowded: bool) -> tuple[Any, World, PullOperation]:
    """Of three pipelines one was edited in git since, one in the cluster and one is deleted. They are asked for as they stood."""
    directory, w = world(crowded=crowded)
    w.api.strict = False  # a restoration is an edit of the cluster, as if its author had made it: it is not logged
    History(w)
    names = [*LOST, *(MORE if crowded else ())]
    before = {f"{FOLDER}/{name}.yaml": manifest(name, {"f0": "1", "f1": "then"}) for name in [*names, "other"]}
    revision = w.git.commit({**w.git.files(), **before})
    asyncio.run(settle(w))
    since = {f"{FOLDER}/{name}.yaml": manifest(name, {"f0": "2"}) for name in names if name != "b"}
    w.git.commit({path: text for path, text in {**w.git.files(), **since}.items() if not path.endswith("/c.yaml")})
    w.api.put("b", {"f0": "2", "f1": "since"})
    asyncio.run(settle(w))
    w.configure(mode)
    w.git.pushed.clear()
    w.api.writes.clear()
    return directory, w, PullOperation(pipelines=names, revision=revision)


@pytest.mark.parametrize(
    ("mode", "crowded"),
    [("Bidirectional", False), ("Manual", False), ("Bidirectional", True)],
    ids=["one", "by hand", "portions"],
)
def test_a_restoration_killed_at_any_request_restores_what_it_was_asked_to_once(mode: str, crowded: bool) -> None:
    """What others edit while nobody runs stays, and is carried."""

    def meanwhile(w: World) -> None:
        w.api.put("other", {"f0": "cluster", "f1": "then"})
        w.git.commit({**w.git.files(), f"{FOLDER}/{ANCHOR}.yaml": manifest(ANCHOR, {"f0": "git"})})

    async def act(w: World, wanted: PullOperation, at: int | None, after: bool) -> tuple[Any, ...]:
        operation = Operation(w, wanted)
        begun, head, fired = w.steps.count, w.git.head, list[bool]()

        def kill() -> None:
            fired.append(True)
            meanwhile(w)
            w.steps.crash()

        if at is not None:
            (w.steps.after if after else w.steps.before)[begun + at] = kill
        await operation.to_its_end()
        counts.append(w.steps.count - begun)
        if at is not None and not fired:
            assert after, "nothing comes after a request that fails"
            return ()
        if at is None:
            assert w.git.head == head
            meanwhile(w)
        assert not w.git.pushed, "what is restored is nobody's commit before a sync makes one"
        written = sorted(name for _, plural, name in w.api.writes if plural == "pipelines")
        assert written == sorted(wanted.pipelines or ()), "each once"
        assert {"f0": "cluster"}.items() <= w.api.specs()["other"].items()
        for name in wanted.pipelines or ():
            assert w.api.specs()[name] == {"f0": "1", "f1": "then", "mode": "auto"}
        outcome = await settle(w)
        assert not outcome.conflicts
        assert {name: {**spec, "mode": "auto"} for name, spec in parse(w.git.files()).items()} == w.api.specs()
        told = {name: operation.status[name] for name in ("counts", "changes", "planDigest")}
        status = {name: w.status[name] for name in ("inSync", "localAheadCount", "ahead", "conflicts", "invalid")}
        words = [
            (c["type"], c["status"], c["reason"], c["message"].partition(" at ")[0]) for c in w.status["conditions"]
        ]
        return parse(w.git.files()), len(w.git.pushed), told, status, words

    counts: list[int] = []
    directory, w, operation = restorable(mode, crowded=crowded)
    with directory:
        wanted = asyncio.run(act(w, operation, None, False))
        assert wanted[1] == 1
        assert wanted[0]["b"] == {"f0": "1", "f1": "then"}
        assert wanted[2]["counts"]["created"] == 1
    for at in range(max(counts)):
        for after in (False, True) if not crowded else (at % 2 == 0,):
            directory, w, operation = restorable(mode, crowded=crowded)
            with directory:
                found = asyncio.run(act(w, operation, at, after))
                assert found in (wanted, ()), f"killed {'after' if after else 'before'} request {at}"


class Meanwhile:
    """Somebody who edits a pipeline in the cluster right before a pull writes it, so many times."""

    def __init__(self, w: World, name: str, times: int) -> None:
        self._w, self._name, self._left = w, name, times
        self._answer, w.api._answer = w.api._answer, self  # type: ignore[method-assign]

    def __call__(self, method: str, plural: str, name: str | None, body: Any, query: Mapping[str, str]) -> Any:
        if (method, plural, name) == ("PUT", "pipelines", self._name) and "dryRun" not in query and self._left:
            self._left -= 1
            self._w.api.put(self._name, {**self._w.api.specs()[self._name], "f0": f"hers{self._left}"})
        return self._answer(method, plural, name, body, query)


@pytest.mark.parametrize("crowded", [False, True], ids=["one portion", "portions"])
@pytest.mark.parametrize("times", [1, 5, 6])
def test_who_is_faster_than_a_pull_keeps_her_edit_or_it_is_told(crowded: bool, times: int) -> None:
    async def act() -> None:
        Meanwhile(w, ANCHOR, times)
        operation = Operation(w, PullOperation())
        if times < 6:
            assert (await operation.to_its_end()).fields["counts"]["updated"] == (6 if crowded else 1)
        else:
            with pytest.raises(PartialFailure, match="moved while it was written") as told:
                await operation.to_its_end()
            assert told.value.fields["counts"]["updated"] == (5 if crowded else 0)
            assert ANCHOR not in {change["name"] for change in told.value.fields["changes"]}
        assert w.api.specs()[ANCHOR]["f0"] == "hers0"

    directory, w = prepared(crowded=crowded)
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("crowded", [False, True], ids=["one portion", "portions"])
def test_what_moved_since_a_confirmed_plan_is_left_and_told(crowded: bool) -> None:
    """The digest stands for what its reader saw."""

    async def act() -> None:
        plan = await Operation(w, PullOperation(dry_run=True)).to_its_end()
        Meanwhile(w, ANCHOR, 1)
        with pytest.raises(PartialFailure, match="changed after it was planned") as told:
            await Operation(w, PullOperation(plan_digest=plan.fields["planDigest"])).to_its_end()
        assert told.value.reason is Reason.InvalidManifests
        assert w.api.specs()[ANCHOR]["f0"] == "hers0"
        rest = {change["name"] for change in told.value.fields["changes"]}
        assert rest == {change["name"] for change in plan.fields["changes"]} - {ANCHOR}

    directory, w = prepared(crowded=crowded)
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("kind", ["pull", "push"])
def test_a_confirmed_plan_replaces_nothing_that_it_did_not_show(kind: str) -> None:
    """Who wins by the strategy wins over what was seen."""

    async def act() -> None:
        strategy = "theirs" if kind == "pull" else "ours"
        w.configure("Manual", strategy=strategy)
        before = {**w.api.specs()["a"], "f1": "cluster"}
        w.api.put("a", before)
        w.git.commit({**w.git.files(), f"{FOLDER}/a.yaml": manifest("a", {"f1": "git"})})

        def wanted(**how: Any) -> PullOperation | PushOperation:
            return PullOperation(strategy="theirs", **how) if kind == "pull" else PushOperation(**how)

        plan = await Operation(w, wanted(dry_run=True)).to_its_end()
        assert "a" in {change["name"] for change in plan.fields["changes"]}
        if kind == "pull":
            w.api.put("a", {**before, "f1": "unseen"})
        else:
            w.git.commit({**w.git.files(), f"{FOLDER}/a.yaml": manifest("a", {"f1": "unseen"})})
        with pytest.raises(OperationError) as refused:
            await Operation(w, wanted(plan_digest=plan.fields["planDigest"])).to_its_end()
        assert refused.value.reason is Reason.PlanStale
        held = w.api.specs()["a"] if kind == "pull" else parse(w.git.files())["a"]
        assert held["f1"] == "unseen"

    directory, w = prepared()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize(
    "how",
    [
        {"take": "ours"},
        {"take": "theirs"},
        *({"field": "spec.f0", **way} for way in ({"take": "ours"}, {"take": "theirs"}, {"value": "settled"})),
    ],
    ids=lambda how: " ".join(how.values()),
)
@pytest.mark.parametrize("moved", ["cluster", "git", "other"])
def test_a_confirmed_resolution_gives_up_nothing_that_its_plan_did_not_show(how: dict[str, str], moved: str) -> None:
    async def act() -> None:
        w.git.commit({**w.git.files(), f"{FOLDER}/a.yaml": manifest("a", {"f0": "before"})})
        await settle(w)
        w.configure("Manual")
        w.git.commit({**w.git.files(), f"{FOLDER}/a.yaml": manifest("a", {"f0": "git"})})
        w.api.put("a", {"f0": "cluster"})
        block = {"resolutions": [{"pipeline": "a", **how}], "pipelines": ["a"]}
        plan = await Operation(w, PullOperation.model_validate({**block, "dryRun": True})).to_its_end()
        if moved == "cluster":
            w.api.put("a", {"f0": "unseen"})
        elif moved == "git":
            w.git.commit({**w.git.files(), f"{FOLDER}/a.yaml": manifest("a", {"f0": "unseen"})})
        else:
            w.git.commit({**w.git.files(), f"{FOLDER}/b.yaml": manifest("b", {"f0": "1"})})
            w.api.put(ANCHOR, {"f1": "cluster"})
        told = {**block, "planDigest": plan.fields["planDigest"]}
        operation = Operation(w, PullOperation.model_validate(told))
        if moved == "other":
            await operation.to_its_end()
            outcome = await settle(w)
            assert not outcome.conflicts
            assert parse(w.git.files())["a"]["f0"] == w.api.specs()["a"]["f0"] != "before"
            return
        with pytest.raises(OperationError) as refused:
            await operation.to_its_end()
        assert refused.value.reason is Reason.PlanStale
        sides = (w.api.specs()["a"]["f0"], parse(w.git.files())["a"]["f0"])
        assert sides == (("unseen", "git") if moved == "cluster" else ("cluster", "unseen"))

    directory, w = world()
    with directory:
        asyncio.run(act())


NAMES = [f"n{number}" for number in range(8)]


def full(mode: str, max_deletes: str) -> tuple[Any, World]:
    """Eight pipelines and the anchor on both sides."""
    directory, w = world()
    History(w)
    for name in NAMES:
        w.api.put(name, {"f0": "1"})
    asyncio.run(settle(w))
    w.configure(mode, max_deletes=max_deletes)
    return directory, w


@pytest.mark.parametrize("branch", [None, "feature"])
@pytest.mark.parametrize("mode", ["Bidirectional", "Manual"])
def test_a_push_carries_no_mass_delete_that_nobody_confirmed(mode: str, branch: str | None) -> None:
    async def act() -> None:
        for name in NAMES[:7]:
            w.api.remove(name)
        w.deliver()
        outcome, _ = await w.sync()
        assert bool(outcome.held) == (mode == "Bidirectional")
        with pytest.raises(OperationError) as refused:
            await Operation(w, PushOperation(branch=branch)).to_its_end()
        assert refused.value.reason is Reason.DeletesHeld
        assert set(NAMES) <= set(parse(w.git.files()))
        assert "feature" not in w.git.heads
        again, _ = await w.sync()
        assert again.held == outcome.held, "an operation that looked on releases nothing, and hides nothing"
        plan = await Operation(w, PushOperation(branch=branch, dry_run=True)).to_its_end()
        assert plan.fields["counts"]["deleted"] == 7
        told = PushOperation(branch=branch, plan_digest=plan.fields["planDigest"])
        await Operation(w, told).to_its_end()
        assert not set(NAMES[:7]) & set(parse(w.git.files(w.git.heads[branch or "main"])))

    directory, w = full(mode, "50%")
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("side", ["cluster", "git"])
def test_an_operation_that_empties_a_side_is_asked_for_its_plan_however_few_there_are(side: str) -> None:
    async def act() -> None:
        await settle(w)
        w.configure("Manual")
        wanted: PullOperation | PushOperation
        if side == "cluster":
            w.git.commit({"README.md": "# ours\n"})
            wanted = PullOperation()
        else:
            w.api.remove(ANCHOR)
            wanted = PushOperation()
        with pytest.raises(OperationError) as refused:
            await Operation(w, wanted).to_its_end()
        assert refused.value.reason is Reason.DeletesHeld
        assert (set(w.api.specs()) if side == "cluster" else set(parse(w.git.files()))) == {ANCHOR}

    directory, w = world()
    with directory:
        History(w)
        asyncio.run(act())


def test_a_pull_of_one_that_is_held_leaves_it_held() -> None:
    async def act() -> None:
        for name in NAMES[:7]:
            w.api.remove(name)
        w.deliver()
        outcome, _ = await w.sync()
        await Operation(w, PullOperation(pipelines=NAMES[:1])).to_its_end()
        again, _ = await w.sync()
        assert outcome.held
        assert again.held == outcome.held

    directory, w = full("Bidirectional", "50%")
    with directory:
        asyncio.run(act())


def test_a_plan_tells_the_paths_that_are_written() -> None:
    """Two new pipelines that come to one path, because of a file that lies there already."""

    async def act() -> None:
        await settle(w)
        w.configure("Manual")
        w.git.commit({**w.git.files(), f"{FOLDER}/x.yaml": "# nothing yet\n"})
        for name in ("x", "x-pipeline"):
            w.api.put(name, {"f0": "1"})
        plan = await Operation(w, PushOperation(dry_run=True)).to_its_end()
        before = set(w.git.files())
        digest = plan.fields["planDigest"]
        done = await Operation(w, PushOperation(plan_digest=digest)).to_its_end()
        assert done.fields["planDigest"] == digest
        told = [change["path"] for change in plan.fields["changes"]]
        assert len(set(told)) == 2
        assert set(w.git.files()) - before == set(told)

    directory, w = world()
    with directory:
        History(w)
        asyncio.run(act())


@pytest.mark.parametrize("sort", ["review", "pushed"])
def test_what_a_newer_release_remembers_of_other_branches_is_kept_for_it(sort: str) -> None:
    """What has no need of it goes on; what has says so, and writes nothing."""

    async def act() -> None:
        w.configure(review=REVIEW)
        w.api.put("a", {"f0": "1"})
        await settle_review(w)
        await Operation(w, PushOperation(branch="feature", pipelines=["a"])).to_its_end()
        w.api.mark_memory("3:", sort)
        w.restart(wipe=True)
        w.api.put("a", {"f0": "2"})
        before = w.api.memory(), dict(w.git.heads)
        w.deliver()
        if sort == "review":
            outcome, _ = await w.sync()
            assert outcome.error is not None
            assert outcome.error.reason is Reason.NewerMemory
        else:
            await w.sync()
            before = w.api.memory(), dict(w.git.heads)
            with pytest.raises(GitIntegrationError) as told:
                await Operation(w, PushOperation(branch="feature", pipelines=["a"])).to_its_end()
            assert told.value.reason is Reason.NewerMemory
        assert (w.api.memory(), dict(w.git.heads)) == before
        w.api.mark_memory("", sort)
        w.restart(wipe=True)
        await settle_review(w)
        await Operation(w, PushOperation(branch="feature", pipelines=["a"])).to_its_end()
        for branch in (REVIEW, "feature"):
            assert parse(w.git.files(w.git.heads[branch]))["a"]["f0"] == "2"

    directory, w = world()
    with directory:
        History(w)
        asyncio.run(act())


async def settle_review(w: World) -> None:
    for _ in range(3):
        w.deliver()
        await w.sync()


def test_another_repository_inherits_nothing() -> None:
    """Nor what was offered for review, nor what was pushed to a branch."""

    async def act() -> None:
        await settle(w)
        w.configure(review=REVIEW)
        w.api.put("a", {"f0": "1"})
        await Operation(w, PushOperation(branch="feature")).to_its_end()
        for _ in range(2):
            w.deliver()
            await w.sync()
        assert "a" in parse(w.git.files(w.git.heads[REVIEW]))
        w.git.heads.clear()
        w.git.commit({f"{FOLDER}/{ANCHOR}.yaml": manifest(ANCHOR, {"f0": "anchor"}), "README.md": "# ours\n"})
        w.git.commit({**w.git.files(), f"{FOLDER}/a.yaml": manifest("a", {"f0": "2"})}, branch="feature")
        w.url = "https://git.example.com/other.git"
        w.configure(review=REVIEW)
        for _ in range(3):
            w.deliver()
            outcome, _ = await w.sync()
        assert outcome.local_ahead == 1
        assert "a" in parse(w.git.files(w.git.heads[REVIEW])), "it is offered to the new repository too"
        with pytest.raises(OperationError):  # what lies on its branch was not pushed by us
            await Operation(w, PushOperation(branch="feature", pipelines=["a"])).to_its_end()
        assert parse(w.git.files(w.git.heads["feature"]))["a"]["f0"] == "2"
        w.restart(wipe=True)
        await w.sync()
        assert w.session.proposals is not None
        assert [mark.resource_version for mark in w.session.proposals.marks.values()] == [REVIEW]

    directory, w = world()
    with directory:
        History(w)
        asyncio.run(act())
