"""What is ahead, what is not carried, and why: in the status, in counts, and where somebody names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gitintegration.api.operation import PullOperation, PushOperation
from gitintegration.core.state.item import Why
from gitintegration.errors import OperationError, Reason
from gitintegration.operations.result import OperationContext, OperationResult, PartialFailure
from tests.laws.runs import run, settled
from tests.laws.test_claims import manifest, selecting
from tests.laws.world import FOLDER, World

FILES = {f"{FOLDER}/{name}.yaml": manifest(name, team="a") for name in ("p0", "p1", "p2", "p3", "p4")}


def ahead(w: World) -> list[tuple[str, str, str]]:
    return [(entry["name"], entry["side"], entry["reason"]) for entry in w.status["ahead"]]


def configure(w: World, mode: str, **more: Any) -> None:
    w.configure(mode)
    w.spec["resources"] = selecting(team="a")
    w.spec["sync"] |= more


async def carry(
    w: World, wanted: PushOperation | PullOperation
) -> tuple[OperationResult | None, Exception | None, dict[str, Any]]:
    """How it ends, or what it fails of; and what it tells then."""
    request = await w.request()
    found: dict[str, Any] = {}

    async def record(fields: Any) -> None:
        """Its status is of no matter here."""

    order = OperationContext(1_700_000_500, {}, record, found)
    try:
        if isinstance(wanted, PushOperation):
            return await w.parts.actions.push(w.session, request, order, wanted), None, found
        return await w.parts.actions.pull(w.session, request, order, wanted), None, found
    except (OperationError, PartialFailure) as error:
        return None, error, found


def test_every_reason_why_something_is_not_in_git() -> None:
    async def act(w: World) -> None:
        configure(w, "Bidirectional")
        assert (await settled(w)).ahead == []
        configure(w, "Pull")
        for name in ("p0", "p1"):
            w.api.put(name, {"f0": "cluster"})
        w.api.put("bare", {"f0": "1"})
        w.api.put("made", {"f0": "1"})
        w.api.own("made")
        files = w.git.files()
        w.git.commit(
            {
                **files,
                f"{FOLDER}/p1.yaml": manifest("p1", f0="git", team="a"),
                f"{FOLDER}/.gitintegrationignore": "p4.yaml\n",
                f"{FOLDER}/other.yaml": manifest("other", team="b"),
            }
        )
        w.deliver()
        await w.sync()
        assert ahead(w) == [
            ("p0", "cluster", "Mode"),
            ("p1", "both", "Conflict"),
            ("bare", "cluster", "NotSelected"),
            ("made", "cluster", "Controlled"),
            ("other", "git", "NotSelected"),
            ("p4", "cluster", "Ignored"),
        ]
        assert w.status["localAheadCount"] == 2
        assert "aheadTruncated" not in w.status
        before = w.status
        await w.sync()
        assert w.status["ahead"] == before["ahead"]

    run(act, FILES)


@pytest.mark.parametrize(
    ("mode", "more", "edit", "expected"),
    [
        ("Manual", {}, "cluster", ("p0", "cluster", "Mode")),
        ("Manual", {}, "git", ("p0", "git", "Mode")),
        ("Push", {}, "git", ("p0", "git", "Mode")),
        ("Bidirectional", {"prune": False}, "deleted in the cluster", ("p0", "cluster", "NotPruned")),
        ("Bidirectional", {"prune": False}, "deleted in git", ("p0", "git", "NotPruned")),
        ("Bidirectional", {"push": {"branch": "review"}}, "cluster", ("p0", "cluster", "Review")),
        ("Bidirectional", {}, "all deleted in the cluster", ("p0", "cluster", "Held")),
    ],
)
def test_what_is_ahead_says_what_it_waits_for(
    mode: str, more: dict[str, Any], edit: str, expected: tuple[str, str, str]
) -> None:
    async def act(w: World) -> None:
        configure(w, "Bidirectional")
        await settled(w)
        configure(w, mode, **more)
        await settled(w)
        match edit:
            case "cluster":
                w.api.put("p0", {"f0": "cluster"})
            case "git":
                w.git.commit({**w.git.files(), f"{FOLDER}/p0.yaml": manifest("p0", f0="git", team="a")})
            case "deleted in git":
                w.git.commit({path: text for path, text in w.git.files().items() if "p0" not in path})
            case "deleted in the cluster":
                w.api.remove("p0")
            case _:
                for name in w.api.specs():
                    w.api.remove(name)
        w.deliver()
        await w.sync()
        assert ahead(w)[0] == expected
        assert {reason for _, _, reason in ahead(w)} <= set(Why)

    run(act, FILES)


def test_at_most_fifty_are_told_what_is_ahead_first() -> None:
    async def act(w: World) -> None:
        configure(w, "Pull")
        await settled(w)
        for number in range(70):
            w.api.put(f"bare{number:02}", {"f0": "1"})
        w.api.put("p3", {"f0": "cluster"})
        w.deliver()
        await w.sync()
        assert len(ahead(w)) == 50
        assert ahead(w)[:3] == [
            ("p3", "cluster", "Mode"), ("bare00", "cluster", "NotSelected"), ("bare01", "cluster", "NotSelected")
        ]  # fmt: skip
        assert w.status["aheadTruncated"] is True
        for number in range(70):
            w.api.remove(f"bare{number:02}")
        w.deliver()
        await w.sync()
        assert ahead(w) == [("p3", "cluster", "Mode")]
        assert "aheadTruncated" not in w.status

    run(act, FILES)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bare", "lacks the labels"),
        ("made", "is owned by a controller"),
        ("p4", "is ignored"),
        ("nobody", "no pipeline of GitIntegration"),
    ],
)
def test_a_push_that_names_what_is_not_carried_says_why(name: str, words: str) -> None:
    async def act(w: World) -> None:
        configure(w, "Manual")
        await settled(w)
        await carry(w, PullOperation())
        w.api.put("bare", {"f0": "1"})
        w.api.put("made", {"f0": "1"})
        w.api.own("made")
        w.git.commit({**w.git.files(), f"{FOLDER}/.gitintegrationignore": "p4.yaml\n"})
        w.deliver()
        await w.sync()
        for wanted in (PushOperation(pipelines=["p0", name]), PullOperation(pipelines=[name])):
            _, error, _ = await carry(w, wanted)
            assert isinstance(error, OperationError)
            assert error.reason is Reason.UnknownPipeline
            assert words in error.message

    run(act, FILES)


@pytest.mark.parametrize(
    ("wanted", "unchanged", "done"),
    [
        (PullOperation(), 4, {"updated": 1}),
        (PullOperation(dry_run=True), 4, {"updated": 1}),
        (PullOperation(pipelines=["p0", "p1"]), 1, {"updated": 1}),
        (PushOperation(), 4, {"updated": 1}),
        (PushOperation(branch="side"), 4, {"updated": 1}),
    ],
)
def test_what_is_unchanged_is_counted_of_all(
    wanted: PushOperation | PullOperation, unchanged: int, done: dict[str, int]
) -> None:
    async def act(w: World) -> None:
        configure(w, "Bidirectional")
        await settled(w)
        configure(w, "Manual")
        await settled(w)
        if isinstance(wanted, PullOperation):
            w.git.commit({**w.git.files(), f"{FOLDER}/p0.yaml": manifest("p0", f0="git", team="a")})
        else:
            w.api.put("p0", {"f0": "cluster"})
        w.deliver()
        ended, error, _ = await carry(w, wanted)
        assert ended, error
        counts = ended.fields["counts"]
        assert counts["unchanged"] == unchanged
        assert {name: counts[name] for name in done} == done

    run(act, FILES)


def _conflicting(names: Sequence[str] | None) -> Sequence[PushOperation | PullOperation]:
    listed = list(names) if names else None
    return (
        PushOperation(pipelines=listed),
        PullOperation(pipelines=listed),
        PushOperation(pipelines=listed, branch="side"),
    )


@pytest.mark.parametrize(
    "wanted", [*_conflicting(["p0"]), PullOperation(plan_digest="x" * 16), PushOperation(plan_digest="y" * 16)]
)
def test_what_fails_tells_branch_and_counts_with_nothing_done(wanted: PushOperation | PullOperation) -> None:
    async def act(w: World) -> None:
        configure(w, "Bidirectional")
        await settled(w)
        configure(w, "Manual")
        await settled(w)
        w.git.commit({**w.git.files(), f"{FOLDER}/p0.yaml": manifest("p0", f0="git", team="a")})
        w.api.put("p0", {"f0": "cluster"})
        w.deliver()
        specs, files = w.api.specs(), w.git.files()
        _, error, found = await carry(w, wanted)
        assert error is not None
        assert (w.api.specs(), w.git.files()) == (specs, files)
        assert found["branch"] == (wanted.branch or "main")
        counts = found["counts"]
        assert (counts["created"], counts["updated"], counts["deleted"], counts["merged"]) == (0, 0, 0, 0)
        assert counts["conflicted"] == 1
        assert [conflict["name"] for conflict in found["conflicts"]] == ["p0"]
        assert counts["unchanged"] == (0 if wanted.pipelines else 4)

    run(act, FILES)


@pytest.mark.parametrize("mode", ["Bidirectional", "Pull", "Push"])
@pytest.mark.parametrize("side", ["cluster", "git"])
@pytest.mark.parametrize(
    "wanted",
    [
        PullOperation(dry_run=True),
        PushOperation(dry_run=True),
        PullOperation(pipelines=["p1"]),
        PushOperation(pipelines=["p1"]),
        PullOperation(),
        PushOperation(plan_digest="x" * 16),
    ],
    ids=["dry pull", "dry push", "pull of another", "push of another", "pull of all", "push that fails"],
)
def test_what_an_operation_looked_at_first_is_carried_by_the_next_sync(
    wanted: PushOperation | PullOperation, side: str, mode: str
) -> None:
    async def act(w: World) -> None:
        configure(w, "Bidirectional")
        await settled(w)
        configure(w, mode)
        await settled(w)
        if side == "git":
            w.git.commit({**w.git.files(), f"{FOLDER}/p0.yaml": manifest("p0", f0="new", team="a")})
        else:
            w.api.put("p0", {"f0": "new"})
        w.deliver()
        await carry(w, wanted)
        outcome = await settled(w)
        carried = mode in ("Bidirectional", "Pull" if side == "git" else "Push")
        if carried:
            assert outcome.in_sync
            assert ahead(w) == []
            assert w.api.specs()["p0"]["f0"] == "new"
            assert "new" in w.git.files()[f"{FOLDER}/p0.yaml"]
        elif ahead(w):  # the operation may have carried it
            assert ahead(w) == [("p0", side, "Mode")]

    run(act, FILES)
