"""`sync.drift: revert`: what is edited in the cluster is as in git again, and nothing else is touched for it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gitintegration.api.base_model import read_spec
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.api.operation import PullOperation
from gitintegration.core.diff import no_list_keys
from gitintegration.core.merge import Base, Versions, revert
from gitintegration.errors import SpecError
from tests.laws.runs import run, settled
from tests.laws.test_ahead import carry
from tests.laws.world import API, FOLDER, Crash, World

SPEC = {"f0": "1", "f1": {"a": "1", "b": "2"}, "list": ["one", "two"], "mode": "auto", "own": "git"}


def manifest(name: str, **spec: Any) -> str:
    return yaml.safe_dump({"apiVersion": API, "kind": "Pipeline", "metadata": {"name": name}, "spec": {**SPEC, **spec}})


FILES = {f"{FOLDER}/{name}.yaml": manifest(name) for name in ("p0", "p1", "p2", "p3", "p4", "p5")}


def configure(w: World, drift: str = "revert") -> None:
    w.configure("Pull")
    w.spec["sync"]["drift"] = drift
    w.spec["resources"] = [{"apiVersion": API, "kind": "Pipeline", "ignoreFields": ["/spec/own"]}]


def told(w: World) -> list[str]:
    return [message for reason, message in w.api.events if reason == "DriftReverted"]


EDITS: dict[str, tuple[dict[str, Any] | None, str]] = {
    "a value": ({**SPEC, "f0": "hand"}, "spec.f0"),
    "a field more": ({**SPEC, "more": {"x": 1}}, "spec.more"),
    "a field less": ({k: v for k, v in SPEC.items() if k != "f0"}, "spec.f0"),
    "deep": ({**SPEC, "f1": {"a": "1", "b": "hand"}}, "spec.f1.b"),
    "a list": ({**SPEC, "list": ["two", "one", "more"]}, "spec.list"),
    "beside an ignored field": ({**SPEC, "f0": "hand", "own": "hand"}, "spec.f0"),
    "deleted": (None, "deleted"),
}


@pytest.mark.parametrize("restart", ["", "before", "after"])
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_brought_back_and_told_once(edit: str, restart: str) -> None:
    async def act(w: World) -> None:
        configure(w)
        await settled(w)
        files, (spec, field) = w.git.files(), EDITS[edit]
        if spec is None:
            w.api.remove("p0")
        else:
            w.api.put("p0", spec)
        if restart == "before":
            w.restart(wipe=True)
        w.deliver()
        outcome, _ = await w.sync()
        if restart == "after":
            w.restart(wipe=True)
            w.deliver()
            outcome, _ = await w.sync()
        own = (
            {} if spec is None else {"own": spec["own"]}
        )  # what is ignored is not carried, where it is made anew neither
        assert w.api.specs()["p0"] == {**{k: v for k, v in SPEC.items() if k != "own"}, **own}
        assert outcome.in_sync
        assert outcome.local_ahead == 0
        writes = len(w.api.writes)
        await settled(w)
        assert len(w.api.writes) == writes
        assert (w.git.files(), w.git.pushed) == (files, [])
        assert len(told(w)) == 1
        assert f"Pipeline/p0 ({field}" in told(w)[0]

    run(act, FILES)


def test_ignored_fields_and_what_git_never_held_are_let_be() -> None:
    async def act(w: World) -> None:
        configure(w)
        await settled(w)
        edited = {**w.api.specs()["p0"], "own": "hand"}
        w.api.put("p0", edited)
        w.api.put("mine", {"f0": "1"})
        before, writes = w.api.specs(), len(w.api.writes)
        outcome = await settled(w)
        assert w.api.specs() == before
        assert not [write for write in w.api.writes[writes:] if write[1] == "pipelines"]
        assert outcome.local_ahead == 1
        assert told(w) == []

    run(act, FILES)


def test_git_wins_where_both_edited_and_its_change_comes_along() -> None:
    async def act(w: World) -> None:
        configure(w)
        await settled(w)
        w.api.put("p0", {**SPEC, "f0": "hand", "list": ["hand"]})
        w.api.put("p1", {**SPEC, "f0": "hand"})
        w.api.put("p2", {**SPEC, "f0": "same"})
        files = {path: text for path, text in w.git.files().items() if "p1" not in path}
        w.git.commit(
            {**files, f"{FOLDER}/p0.yaml": manifest("p0", f0="git"), f"{FOLDER}/p2.yaml": manifest("p2", f0="same")}
        )
        outcome = await settled(w)
        assert w.api.specs()["p0"] == {**SPEC, "f0": "git"}
        assert "p1" not in w.api.specs()
        assert w.api.specs()["p2"] == {**SPEC, "f0": "same"}
        assert outcome.in_sync
        assert not outcome.conflicts

    run(act, FILES)


@pytest.mark.parametrize("drift", ["keep", "revert"])
def test_who_keeps_drift_keeps_it_until_he_says_otherwise(drift: str) -> None:
    async def act(w: World) -> None:
        configure(w, "keep")
        await settled(w)
        w.api.put("p0", {**SPEC, "f0": "hand"})
        assert (await settled(w)).local_ahead == 1
        assert w.api.specs()["p0"]["f0"] == "hand"
        configure(w, drift)
        await settled(w)
        assert w.api.specs()["p0"]["f0"] == ("1" if drift == "revert" else "hand")
        assert len(told(w)) == (drift == "revert")

    run(act, FILES)


def test_an_operation_that_looks_first_does_not_hide_an_edit() -> None:
    async def act(w: World) -> None:
        configure(w)
        await settled(w)
        w.api.put("p0", {**SPEC, "f0": "hand"})
        w.deliver()
        ended, error, _ = await carry(w, PullOperation(dry_run=True))
        assert ended, error
        await settled(w)
        assert w.api.specs()["p0"] == SPEC

    run(act, FILES)


def reverted(w: World) -> int:
    return sum(name == "p0" for _, _, name in w.api.writes) - 1


async def fight(w: World, rounds: int = 8) -> None:
    """Another tool writes its own value whenever it finds another, and each time a sync follows."""
    for _ in range(rounds):
        w.api.put("p0", {**SPEC, "f0": "tool"})
        w.deliver()
        await w.sync()


def check_rests(w: World) -> None:
    assert w.api.specs()["p0"]["f0"] == "tool"
    assert {c["type"]: c for c in w.status["conditions"]}["Ready"]["reason"] == "Contested"
    assert w.status["ahead"][0]["reason"] == "Contested"


@pytest.mark.parametrize("restart", [False, True])
def test_another_tool_that_edits_again_and_again_ends_in_peace(restart: bool) -> None:
    async def act(w: World) -> None:
        configure(w)
        await settled(w)
        await fight(w)
        check_rests(w)
        before = w.status
        if restart:
            w.restart(wipe=True)
            w.deliver()
            await w.sync()
            assert w.status == before
            await fight(w)
            check_rests(w)
        assert reverted(w) == len(told(w)) == 3

    run(act, FILES)


@pytest.mark.parametrize("after", [False, True])
def test_a_fight_ends_also_where_the_operator_is_killed_in_it(after: bool) -> None:
    """What was not told yet is counted anew: one more fight at most, and none once it was told."""
    killed, at, most = True, 0, 0

    async def act(w: World) -> None:
        nonlocal killed, most
        configure(w)
        await settled(w)
        (w.steps.after if after else w.steps.before)[w.steps.count + at] = w.steps.crash
        try:
            await fight(w)
            killed = False
        except Crash:
            w.restart(wipe=after)
            await fight(w)
        check_rests(w)
        most = max(most, reverted(w))
        assert reverted(w) <= (6 if killed else 3), f"killed at request {at}"

    while killed:
        run(act, FILES)
        at += 1
    assert at > 12
    assert most > 3


def test_a_mass_delete_in_git_is_held_all_the_same() -> None:
    async def act(w: World) -> None:
        configure(w)
        w.spec["sync"]["maxDeletes"] = 3
        await settled(w)
        for name in w.api.specs():
            w.api.put(name, {**SPEC, "f0": "hand"})
        w.git.commit({f"{FOLDER}/p0.yaml": manifest("p0")})
        w.deliver()
        outcome, _ = await w.sync()
        assert [held.count for held in outcome.held] == [5]
        assert len(w.api.specs()) == 6

    run(act, FILES)


@pytest.mark.parametrize(
    ("git", "live", "written"),
    [
        ({"a": 1}, {"a": 2, "default": 1}, {"a": 1, "default": 1}),
        ({"a": 3}, {"a": 2, "default": 1}, {"a": 3, "default": 1}),
        ({"a": 3}, {"a": 3, "default": 1}, None),
        ({"a": 1}, {"a": 1, "default": 2}, {"a": 1, "default": 1}),
        ({"a": 1, "b": 1}, {"a": 1, "b": 2, "default": 1}, {"a": 1, "b": 1, "default": 1}),
    ],
)
def test_what_the_server_filled_in_stays(git: Any, live: Any, written: Any) -> None:
    base = Base({"a": 1}, {"a": 1, "default": 1})
    made = revert(Versions(base, git, live), base, no_list_keys)
    assert (made.cluster.value if made.cluster else None) == written
    assert made.git is None
    assert not made.local_ahead
    assert made.settled is (written is None)


@pytest.mark.parametrize("mode", ["Manual", "Push", "Bidirectional"])
def test_other_modes_say_that_it_is_not_for_them(mode: str) -> None:
    with pytest.raises(SpecError, match=r"spec\.sync.*drift revert is for mode Pull"):
        read_spec(GitIntegrationSpec, {"repositoryURL": "https://h/r", "sync": {"mode": mode, "drift": "revert"}})
    kept = read_spec(GitIntegrationSpec, {"repositoryURL": "https://h/r", "sync": {"mode": mode, "drift": "keep"}})
    assert kept.sync.drift == "keep"
