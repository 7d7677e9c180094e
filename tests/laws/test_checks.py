"""Checks of pull requests: whatever they find, neither side is written, nothing is told twice, and none waits for ever."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.errors import Refused
from tests.laws.history import ANCHOR, FIELDS, NAMES, Edit, History, manifest
from tests.laws.pulls import Pulls
from tests.laws.runs import settled
from tests.laws.test_laws import _SHARED, world
from tests.laws.test_requests import asked
from tests.laws.world import FOLDER, Crash, World

Act = Callable[[World, Pulls], Coroutine[Any, Any, None]]
NAMED = "orders", "users", "gone"


def path(name: str) -> str:
    return f"{FOLDER}/{name}.yaml"


def begun(files: Mapping[str, str]) -> dict[str, str]:
    return {path(ANCHOR): manifest(ANCHOR, {"f0": "anchor"}), **files}


def run(act: Act, mode: str = "Pull", **checks: Any) -> None:
    """Acts in a world where both sides hold three pipelines, and nothing is open."""
    directory, w = world()
    with directory:
        w.git.commit(begun({path(name): manifest(name, {"f0": "1", "f1": "1"}) for name in NAMED}))
        pulls = Pulls(w, "Bidirectional", **checks)

        async def whole() -> None:
            await settled(w)
            pulls.configure(mode, **checks)
            await settled(w)
            await act(w, pulls)

        asyncio.run(whole())


def propose(w: World, pulls: Pulls, changes: Mapping[str, str | None], number: int = 1) -> str:
    """A pull request that changes these files of the branch as it is."""
    base = w.git.heads["main"]
    files = {**w.git.files(), **{at: text for at, text in changes.items() if text is not None}}
    files = {at: text for at, text in files.items() if at not in changes or changes[at] is not None}
    branch = pulls.open.setdefault(number, f"pull-{number}")
    w.git.commit(files, base, branch=branch)
    return branch


async def checked(w: World) -> None:
    """Long enough after the last look that all is due that may be."""
    w.deliver()
    await w.sync()
    w.deliver()
    await w.sync()


def everything(w: World) -> tuple[Any, ...]:
    """All that a check must leave as it is."""
    held = {key: value for key, value in w.api.objects.items() if key[0] == "pipelines"}
    return copy.deepcopy(held), w.api.memory(), dict(w.git.heads), list(w.git.pushed), list(w.api.writes)


@pytest.mark.parametrize(
    ("live", "changes", "state", "words", "comment"),
    [
        ({}, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})}, "success", "merging updates 1", "`spec.f0` | `\"1\"` | `\"2\"`"),
        ({}, {path("new"): manifest("new", {"f0": "2"})}, "success", "merging creates 1", "create | `Pipeline/new`"),
        ({}, {path("gone"): None}, "success", "merging deletes 1", "delete | `Pipeline/gone`"),
        ({}, {"README.md": "# new"}, "success", "no pipeline is touched", None),
        (
            {"orders": {"f0": "live", "f1": "1"}}, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})},
            "failure", "1 conflict with the cluster: orders", '`"1"` | `"live"` | `"2"`',
        ),
        (
            {"orders": {"f0": "live", "f1": "1"}}, {path("orders"): manifest("orders", {"f0": "1", "f1": "2"})},
            "success", "merging updates 1", "#### Edits in the cluster that stay",
        ),
        (
            {"orders": {"f0": "2", "f1": "1"}}, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})},
            "success", "the cluster holds it already", "as the cluster holds it already",
        ),
        ({}, {path("orders"): "a: [b"}, "failure", "1 manifest would be left alone", "NotYAML"),
        ({}, {path("twice"): manifest("orders", {"f0": "3"})}, "failure", "1 manifest would be left alone", "Duplicate"),
    ],
    ids=["update", "create", "delete", "nothing", "conflict", "edit that stays", "alike", "no manifest", "twice"],
)  # fmt: skip
def test_what_merging_would_do(
    live: Mapping[str, Any], changes: Mapping[str, str | None], state: str, words: str, comment: str | None
) -> None:
    async def act(w: World, pulls: Pulls) -> None:
        for name, spec in live.items():
            w.api.put(name, spec)
        await checked(w)
        branch = propose(w, pulls, changes)
        before = everything(w)
        await checked(w)
        assert pulls.told(branch) == (state, words)
        assert (comment is None) == (1 not in pulls.comments)
        assert comment is None or comment in pulls.comments[1], pulls.comments[1]
        assert everything(w) == before
        (row,) = w.status["pullRequests"]
        assert (row["number"], row["head"], row["state"], row["description"]) == (1, w.git.heads[branch], state, words)

    run(act)


def test_what_both_branches_changed_is_merged_by_field_or_told() -> None:
    async def act(w: World, pulls: Pulls) -> None:
        fine = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        torn = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "1", "f1": "2"})}, 2)
        w.git.commit({**w.git.files(), path("orders"): manifest("orders", {"f0": "1", "f1": "base"})})
        await checked(w)
        assert pulls.told(fine) == ("success", "merging updates 1")
        assert pulls.told(torn) == ("failure", f"git can't merge {path('orders')}")

    run(act)


def test_deletes_that_would_be_held_are_told_so() -> None:
    async def act(w: World, pulls: Pulls) -> None:
        pulls.configure("Pull", max_deletes="0")
        w.git.commit({**w.git.files(), **{path(f"n{n}"): manifest(f"n{n}", {"f0": "1"}) for n in range(2)}})
        await settled(w)
        branch = propose(w, pulls, {path(name): None for name in ("orders", "users", "gone", "n0", "n1")})
        await checked(w)
        assert pulls.told(branch) == ("success", "5 deletes held for confirmation")
        pulls.merge(1)
        await checked(w)
        assert pulls.statuses[-1][:2] == (pulls.merged[1], "pending")
        assert "held until a person confirms" in pulls.statuses[-1][2]

    run(act)


def test_from_an_edit_that_stands_in_its_way_to_its_end() -> None:
    """It fails for a live edit, turns green by itself when that is taken back, is merged, and told to be live."""

    async def act(w: World, pulls: Pulls) -> None:
        branch = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        await checked(w)
        assert pulls.told(branch)[0] == "success"
        w.api.put("orders", {"f0": "live", "f1": "1"})
        await checked(w)
        assert pulls.told(branch) == ("failure", "1 conflict with the cluster: orders")
        assert "Conflicts" in pulls.comments[1]
        w.api.put("orders", {"f0": "1", "f1": "1"})
        await checked(w)
        assert pulls.told(branch) == ("success", "merging updates 1")
        assert "Conflicts" not in pulls.comments[1]
        pulls.merge(1)
        await checked(w)
        commit, state, words = pulls.statuses[-1]
        assert (commit, state) == (pulls.merged[1], "success")
        assert words.startswith("live since 2026-01-01 ")
        assert w.api.specs()["orders"]["f0"] == "2"
        assert "pullRequests" not in w.status

    run(act)


def test_merged_into_a_conflict_it_is_told_on_the_merge_commit() -> None:
    async def act(w: World, pulls: Pulls) -> None:
        w.api.put("orders", {"f0": "live", "f1": "1"})
        propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        await checked(w)
        pulls.merge(1)
        await checked(w)
        assert pulls.statuses[-1] == (pulls.merged[1], "failure", "1 conflict with the cluster: orders")
        w.api.put("orders", {"f0": "2", "f1": "1"})
        await checked(w)
        assert pulls.statuses[-1][:2] == (pulls.merged[1], "success")

    run(act)


def test_nothing_is_told_twice_not_by_the_next_process_either() -> None:
    async def act(w: World, pulls: Pulls) -> None:
        propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        await checked(w)
        assert pulls.writes == 2
        for wipe in (False, True):
            w.git.commit({**w.git.files(), "README.md": f"# {wipe}"})
            await checked(w)
            w.restart(wipe=wipe)
            await checked(w)
        assert pulls.writes == 2

    run(act)


def test_of_many_nothing_is_told_twice_by_the_next_process() -> None:
    """More than have a row in the status; one of them moved meanwhile, and one is new."""

    async def act(w: World, pulls: Pulls) -> None:
        change = {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})}
        for number in range(1, 26):
            propose(w, pulls, change, number)
        for _ in range(4):
            await checked(w)
        assert pulls.writes == 2 * 25
        assert len(w.status["pullRequests"]) == 20
        w.restart(wipe=True)
        propose(w, pulls, {path("users"): manifest("users", {"f0": "3", "f1": "1"})}, 2)
        propose(w, pulls, change, 26)
        for _ in range(4):
            await checked(w)
        assert pulls.writes == 2 * 27
        assert "users" in pulls.comments[2]
        assert len({sha for sha, _, _ in pulls.statuses}) == len(pulls.statuses) == 27

    run(act)


def test_what_a_policy_refused_is_tried_again_though_nothing_moves() -> None:
    async def act(w: World, pulls: Pulls) -> None:
        answer, denies = w.api._answer, ["admission webhook denied the request: no | owner"]

        def judged(method: str, plural: str, name: str | None, body: Any, query: Mapping[str, str]) -> Any:
            if denies and plural == "pipelines" and method == "PUT":
                raise Refused(denies[0])
            return answer(method, plural, name, body, query)

        w.api._answer = judged  # type: ignore[method-assign]
        branch = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        await checked(w)
        assert pulls.told(branch) == ("failure", "1 manifest would be left alone")
        assert "denied the request: no \\| owner" in pulls.comments[1]
        denies.clear()
        w.deliver()
        await w.sync()
        assert pulls.told(branch)[0] == "failure", "it is not asked at each sync"
        w.now += 60
        await checked(w)
        assert pulls.told(branch) == ("success", "merging updates 1")

    run(act)


@pytest.mark.parametrize("live", [{}, {"orders": {"f0": "live", "f1": "1"}}], ids=["succeeds", "fails"])
def test_while_nothing_moves_it_costs_the_list_of_them_alone(live: Mapping[str, Any]) -> None:
    async def act(w: World, pulls: Pulls) -> None:
        for name, spec in live.items():
            w.api.put(name, spec)
        await checked(w)
        branch = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        await checked(w)
        assert pulls.told(branch)[0] == ("failure" if live else "success")
        told, found = w.status["pullRequests"], asked(w)
        pulls.asked.clear()
        for _ in range(5):
            w.now += 600
            await checked(w)
        assert set(found) == {"ls_refs"}
        assert set(pulls.asked) == {"GET /pulls"}
        assert len(pulls.asked) <= len(found)
        assert w.status["pullRequests"] == told

    run(act)


def test_the_next_process_reads_nothing_for_it_while_both_sides_are_as_they_were() -> None:
    async def act(w: World, pulls: Pulls) -> None:
        branch = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        await checked(w)
        assert pulls.told(branch)[0] == "success"
        w.restart(wipe=True)
        found = asked(w)
        pulls.asked.clear()
        await checked(w)
        assert set(found) == {"ls_refs", "GET memory"}
        assert set(pulls.asked) == {"GET /pulls"}
        w.api.put("orders", {"f0": "live", "f1": "1"})
        await checked(w)
        assert pulls.told(branch) == ("failure", "1 conflict with the cluster: orders")

    run(act)


def test_a_status_alone_where_no_comment_is_asked_for_and_none_where_off() -> None:
    async def act(w: World, pulls: Pulls) -> None:
        branch = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        await checked(w)
        assert pulls.told(branch)[0] == "success"
        assert not pulls.comments
        pulls.configure("Pull", check="off")
        propose(w, pulls, {path("orders"): "a: [b"})
        await checked(w)
        assert len(pulls.statuses) == 1
        assert "pullRequests" not in w.status
        assert "PullRequestsChecked" not in {c["type"] for c in w.status["conditions"]}

    run(act, check="status")


@pytest.mark.parametrize("forks", [False, True])
def test_what_comes_from_a_fork_is_not_read_unless_it_is_asked_for(forks: bool) -> None:
    async def act(w: World, pulls: Pulls) -> None:
        pulls.forks.add(1)
        branch = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        if not forks:
            del w.git.heads[branch]  # whoever looked for it would not find it
            w.git.heads[branch] = "f" * 40
        await checked(w)
        state, words = pulls.told(branch)
        assert state == ("success" if forks else "error")
        assert ("fork" in words) != forks
        assert (1 in pulls.comments) == forks

    run(act, forks=forks)


@pytest.mark.parametrize("when", ["error", "success"])
def test_one_that_can_not_be_checked_waits_and_not_for_ever(when: str) -> None:
    async def act(w: World, pulls: Pulls) -> None:
        branch = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        head, w.git.heads[branch] = (
            w.git.heads[branch],
            "f" * 40,
        )  # the forge tells of a commit that git does not show yet
        await checked(w)
        assert pulls.told(branch)[0] == "pending"
        w.now += 700
        await checked(w)
        assert pulls.told(branch)[0] == when
        w.git.heads[branch] = head
        w.now += 60
        await checked(w)
        assert pulls.told(branch) == ("success", "merging updates 1")

    run(act, whenUnreachable=when)


def test_a_cluster_that_does_not_answer_leaves_no_check_waiting() -> None:
    async def act(w: World, pulls: Pulls) -> None:
        branch = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        await checked(w)
        w.api.trouble = "conversion webhook is down"
        w.git.commit({**w.git.files(), "README.md": "# moves"})
        await checked(w)
        assert pulls.told(branch)[0] == "success", "what is known of it stays for a while"
        w.now += 700
        await checked(w)
        assert pulls.told(branch)[0] == "error"
        w.api.trouble = None
        w.now += 60
        await checked(w)
        assert pulls.told(branch)[0] == "success"

    run(act)


@pytest.mark.parametrize(
    "trouble",
    [httpx.Response(503), httpx.Response(403, json={"message": "no"}), httpx.Response(200, json={"odd": 1})],
    ids=["down", "refused", "odd"],
)
def test_a_forge_that_fails_is_a_condition_and_stops_no_sync(trouble: httpx.Response) -> None:
    async def act(w: World, pulls: Pulls) -> None:
        branch = propose(w, pulls, {path("orders"): manifest("orders", {"f0": "2", "f1": "1"})})
        pulls.trouble = trouble
        w.git.commit({**w.git.files(), path("users"): manifest("users", {"f0": "2", "f1": "1"})})
        await checked(w)
        conditions = {c["type"]: c["status"] for c in w.status["conditions"]}
        assert conditions == {"Ready": "True", "Connected": "True", "InSync": "True", "PullRequestsChecked": "False"}
        assert w.api.specs()["users"]["f0"] == "2"
        pulls.trouble = None
        w.now += 600
        await checked(w)
        assert pulls.told(branch)[0] == "success"
        conditions = {c["type"]: c["status"] for c in w.status["conditions"]}
        assert conditions["PullRequestsChecked"] == "True"

    run(act)


_edits = st.builds(Edit, st.just("git"), st.sampled_from(NAMES), st.sampled_from(("set", "set", "unset", "delete", "move", "gather", "list")), st.sampled_from(FIELDS))  # fmt: skip
_live = st.builds(Edit, st.just("cluster"), st.sampled_from(NAMES), st.sampled_from(("set", "set", "unset", "delete")), st.sampled_from(FIELDS))  # fmt: skip
_some = st.lists(_edits, max_size=5)
_modes = st.sampled_from(("Manual", "Pull", "Push", "Bidirectional"))


@_SHARED
@given(
    _some, _some, st.lists(st.one_of(_edits, _live), max_size=5), _modes, st.booleans(), st.none() | st.integers(0, 40)
)
def test_whatever_a_check_finds_neither_side_is_written(
    first: Sequence[Edit], proposed: Sequence[Edit], later: Sequence[Edit], mode: str, crowded: bool, killed: int | None
) -> None:
    """Law: also where it is killed on its way, the pipelines, the branch and the memory are as they were."""
    directory, w = world(crowded=crowded)
    with directory:
        history = History(w)
        pulls = Pulls(w, "Bidirectional", check="off")

        async def act() -> None:
            for edit in first:
                history.play(edit)
            await settled(w)
            main = w.git.heads["main"]
            for edit in proposed:
                history.play(edit)
            w.git.heads["proposed"], w.git.heads["main"] = w.git.heads["main"], main
            for edit in later:
                history.play(edit)
            pulls.configure(mode)
            for _ in range(4):
                w.deliver()
                await w.sync()
            pulls.open[1] = "proposed"
            before = everything(w)
            if killed is not None:
                w.steps.before[w.steps.count + killed] = w.steps.crash
            try:
                w.deliver()
                await w.sync()
            except Crash:
                w.restart()
            w.steps.before.clear()
            assert everything(w) == before
            await checked(w)
            assert everything(w) == before
            assert pulls.told("proposed")[0] in ("success", "failure"), "it was not even checked"

        asyncio.run(act())
