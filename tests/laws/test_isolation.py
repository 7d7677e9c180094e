"""Law 9: what one file or item does wrong stops nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from gitintegration.api.base_model import REQUESTED_AT
from gitintegration.commits import files as sync_files
from gitintegration.core import manifest_file
from gitintegration.core.merge import decide
from gitintegration.errors import GitIntegrationError, Reason
from gitintegration.reconcile import decide as deciding
from tests.laws.history import Edit, History, manifest
from tests.laws.test_evidence import begun, sync
from tests.laws.test_laws import settle, world
from tests.laws.world import FOLDER, REVIEW, World, parse

SECRET = "AKIA"


def declines(w: World, *, named: bool) -> None:
    """A secret scanner; its answer names the file, or does not."""

    def rule(files: Mapping[str, str]) -> str | None:
        bad = [path for path, text in files.items() if SECRET in text]
        return (f"secret found in {bad[0]}:7" if named else "pre-receive hook declined") if bad else None

    w.git.rule = rule


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("bad", [["p3"], ["p0", "p5"], ["p6", "p7"]])
def test_a_push_that_is_declined_for_a_file_is_made_without_it(bad: list[str], named: bool) -> None:
    async def act() -> None:
        await begun(w)
        declines(w, named=named)
        for number in range(8):
            name = f"p{number}"
            w.api.put(name, {"f0": SECRET if name in bad else "1"})
        outcome = await sync(w)
        assert {e.path: e.reason for e in outcome.invalid} == {f"{FOLDER}/{n}.yaml": "PushRefused" for n in bad}
        assert all(("secret" if named else "hook") in e.message for e in outcome.invalid)
        assert outcome.error is None
        assert {n for n in parse(w.git.files()) if n.startswith("p")} == {f"p{n}" for n in range(8)} - set(bad)
        assert w.git.declined <= 8
        declined = w.git.declined
        w.api.put("p1", {"f0": "2"})
        outcome = await sync(w)
        assert parse(w.git.files())["p1"]["f0"] == "2"
        assert w.git.declined == declined, "what was declined is not tried with every other edit"
        assert len(outcome.invalid) == len(bad)
        for name in bad:
            w.api.put(name, {"f0": "mended"})
        await settle(w)
        assert set(bad) <= parse(w.git.files()).keys()
        assert not (await sync(w)).invalid

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("words", ["Not allowed to push to protected branch main", "pre-receive hook declined"])
def test_a_push_that_is_declined_as_a_whole_is_told_so_and_not_tried_for_ever(words: str) -> None:
    async def act() -> None:
        await begun(w)
        w.git.rule = lambda files: words
        for number in range(40):
            w.api.put(f"p{number}", {"f0": "1"})
        outcome = await sync(w)
        assert outcome.error is not None
        assert outcome.error.reason is Reason.PushRejected
        assert w.git.declined <= 10
        assert not outcome.invalid
        w.git.rule = lambda files: None
        await settle(w)
        assert len(parse(w.git.files())) == 44

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("bad", [["p3"], ["p0", "p5"]])
@pytest.mark.parametrize("later", ["the next process", "after a while", "asked for"])
def test_what_was_declined_is_told_the_same_when_it_is_tried_again(later: str, bad: list[str], named: bool) -> None:
    """By then nothing else is pushed that the server would take, so that the push as a whole is declined. A new process
    tries once: what the server declined is not remembered, only that it did."""

    async def act() -> None:
        await begun(w)
        declines(w, named=named)
        for number in range(8):
            w.api.put(f"p{number}", {"f0": SECRET if f"p{number}" in bad else "1"})
        await sync(w)
        told, pushed, declined = w.status, list(w.git.pushed), w.git.declined
        assert len(told["invalid"]) == len(bad)
        if later == "the next process":
            w.restart(wipe=True)
        elif later == "after a while":
            w.now += 600
        else:
            w.annotations = {REQUESTED_AT: "now"}
        outcome = await sync(w)
        assert outcome.error is None
        assert moving_apart(w.status) == moving_apart(told)
        assert declined < w.git.declined <= declined + 2 * len(bad)
        declined = w.git.declined
        await sync(w)
        assert (w.git.pushed, w.git.declined) == (pushed, declined)
        w.api.put("p1", {"f0": "2"})
        await sync(w)
        assert parse(w.git.files())["p1"]["f0"] == "2"
        assert w.git.declined == declined
        w.git.rule = lambda files: None
        await settle(w)
        assert set(bad) <= parse(w.git.files()).keys()
        w.git.rule = lambda files: "pre-receive hook declined"
        w.api.put(bad[0], {"f0": "2"})
        outcome = await sync(w)
        assert outcome.error is not None, "what the server took since is not suspected"
        assert outcome.error.reason is Reason.PushRejected

    def moving_apart(status: Mapping[str, Any]) -> dict[str, Any]:
        moving = ("lastSyncAt", "lastSuccessfulSyncAt", "lastHandledReconcileAt")
        return {name: value for name, value in status.items() if name not in moving}

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_what_was_declined_is_tried_again_when_it_is_asked_for() -> None:
    async def act() -> None:
        await begun(w)
        declines(w, named=True)
        w.api.put("p", {"f0": SECRET})
        await sync(w)
        w.git.rule = lambda files: None
        assert len((await sync(w)).invalid) == 1
        await settle(w)
        assert "p" in parse(w.git.files())

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_what_is_declined_on_the_review_branch_is_offered_without_it() -> None:
    async def act() -> None:
        await begun(w)
        declines(w, named=True)
        w.configure(review=REVIEW)
        for name in ("p", "q"):
            w.api.put(name, {"f0": SECRET if name == "p" else "1"})
        outcome = await sync(w)
        assert [e.reason for e in outcome.invalid] == ["PushRefused"]
        assert {"q"} == parse(w.git.files(w.git.heads[REVIEW])).keys() & {"p", "q"}

    directory, w = world()
    with directory:
        asyncio.run(act())


async def contested(w: World) -> History:
    """Three times `a` is edited in git, and another tool puts its own back."""
    history = await begun(w)
    own = w.api.specs()["a"]
    for _ in range(3):
        history.play(Edit("git", "a", "set", "f1"))
        await sync(w)
        w.api.put("a", own)
        outcome = await sync(w)
    assert len(w.git.pushed) == 2, "the third time it rests"
    assert [r.reason for r in outcome.refusals] == [Reason.Contested]
    return history


def test_a_tool_that_puts_back_what_is_written_makes_its_item_rest() -> None:
    async def act() -> None:
        history = await contested(w)
        history.play(Edit("git", "b", "set", "f1"))
        await sync(w)
        assert ("b", "f1") in history.state("cluster")
        await settle(w)
        assert history.state("cluster") == history.state("git")

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("wipe", [False, True])
@pytest.mark.parametrize("crowded", [False, True])
def test_what_rests_for_another_tool_rests_on_in_the_next_process(crowded: bool, wipe: bool) -> None:
    """A restart is no request for another try: the status says so, and the new process reads it there."""

    async def act() -> None:
        history = await contested(w)
        before, told = w.api.specs()["a"], w.status
        assert [(entry["name"], entry["reason"]) for entry in told["ahead"]] == [("a", "Contested")]
        for _ in range(2):
            w.restart(wipe=wipe)
            await sync(w)
            assert w.status == told
        history.play(Edit("git", "b", "set", "f1"))
        history.play(Edit("git", "a", "set", "s0"))
        w.restart(wipe=wipe)
        await sync(w)
        assert w.api.specs()["a"] == before
        assert ("b", "f1") in history.state("cluster"), "the others are carried"
        assert len(w.git.pushed) == 2
        w.now += 600
        await sync(w)
        assert history.state("cluster") == history.state("git"), "after a while it is tried again"

    directory, w = world(crowded=crowded)
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("asked", ["spec", "annotation"])
def test_who_asks_while_no_process_runs_is_heard_by_the_next(asked: str) -> None:
    async def act() -> None:
        history = await contested(w)
        if asked == "spec":
            w.configure()
        else:
            w.annotations = {REQUESTED_AT: "now"}
        w.restart()
        outcome = await sync(w)
        assert not outcome.refusals
        assert history.state("cluster") == history.state("git")

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_a_tool_that_gives_in_is_told_of_no_more() -> None:
    async def act() -> None:
        await contested(w)
        w.api.put("a", parse(w.git.files())["a"])
        outcome = await sync(w)
        assert outcome.in_sync

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_one_who_changes_a_value_to_and_fro_is_no_tool() -> None:
    async def act() -> None:
        history = await begun(w)
        own = w.api.specs()["a"]
        for number in range(8):
            w.api.put("a", own if number % 2 else {**own, "f1": "on"})
            outcome = await sync(w)
            assert not outcome.refusals
            assert not outcome.local_ahead
        assert history.state("cluster") == history.state("git")

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_a_reader_or_an_editor_that_fails_at_one_file_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is put in at the readers; a file that makes it is not known."""
    read, write = manifest_file.parse_file, vars(sync_files)["_edited"]

    def broken(path: str, *rest: Any) -> Any:
        if path.endswith("bad.yaml"):
            raise RecursionError("maximum recursion depth exceeded")
        return read(path, *rest)

    def stuck(path: str, *rest: Any, **more: Any) -> Any:
        if path.endswith("a.yaml"):
            raise IndexError("list index out of range")
        return write(path, *rest, **more)

    async def act() -> None:
        history = await begun(w)
        monkeypatch.setattr(sync_files, "parse_file", broken)
        monkeypatch.setattr(sync_files, "_edited", stuck)
        w.git.commit({**w.git.files(), f"{FOLDER}/bad.yaml": manifest("bad", {"f0": "1"})})
        for name in ("a", "b"):
            history.play(Edit("cluster", name, "set", "f1"))
        outcome = await sync(w)
        assert outcome.error is None
        assert ("b", "f1") in history.state("git")
        assert {e.path for e in outcome.invalid} == {f"{FOLDER}/bad.yaml", f"{FOLDER}/a.yaml"}
        assert all("internal error" in e.message for e in outcome.invalid)

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_an_item_that_cannot_be_compared_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(versions: Any, *rest: Any) -> Any:
        if versions.live is not None and versions.live["metadata"]["name"] == "a":
            raise TypeError("unhashable type")
        return decide(versions, *rest)

    async def act() -> None:
        history = await begun(w)
        monkeypatch.setattr(deciding, "decide", broken)
        for name in ("a", "b"):
            history.play(Edit("cluster", name, "set", "f1"))
        outcome = await sync(w)
        assert ("b", "f1") in history.state("git")
        assert "TypeError" in outcome.invalid[0].message
        monkeypatch.setattr(deciding, "decide", decide)
        await settle(w)
        assert ("a", "f1") in history.state("git")

    directory, w = world()
    with directory:
        try:
            asyncio.run(act())
        except GitIntegrationError as error:  # would be the whole sync's
            raise AssertionError(error) from error
