"""A confirmation holds for once: nothing is released twice by it, and nobody is asked twice for what was begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gitintegration.api.operation import PullOperation
from gitintegration.core.status import Outcome
from tests.laws.history import manifest
from tests.laws.runs import run, settled
from tests.laws.test_operations import Operation
from tests.laws.world import FOLDER, Crash, World, parse

NAMES = [f"p{number}" for number in range(8)]
GOING = NAMES[:7]
FILES = {f"{FOLDER}/{name}.yaml": manifest(name, {"f0": name}) for name in NAMES}
ANNOTATION = "planasonix.com/confirmDeletes"


def deleted_in_git(w: World) -> None:
    w.git.commit({path: text for path, text in w.git.files().items() if path.split("/")[1][:-5] not in GOING})


def deleted_in_cluster(w: World) -> None:
    for name in GOING:
        w.api.remove(name)


def moved(w: World) -> None:
    w.spec["pathPrefix"], w.generation = "etl/", w.generation + 1000


def back(w: World) -> None:
    """What went is there again, on both sides."""
    w.git.commit({**w.git.files(), **FILES})


def is_gone(w: World) -> bool:
    return not set(GOING) & (w.api.specs().keys() | parse(w.git.files()).keys())


def is_copied(w: World) -> bool:
    return {f"etl/{name}.yaml" for name in NAMES} <= w.git.files().keys()


CASES: Mapping[str, tuple[Callable[[World], None], Callable[[World], bool]]] = {
    "cluster": (deleted_in_git, is_gone),
    "git": (deleted_in_cluster, is_gone),
    "copies": (moved, is_copied),
}


async def held(w: World, delete: Callable[[World], None]) -> Outcome:
    w.configure(max_deletes="50%")
    assert (await settled(w)).in_sync
    delete(w)
    outcome = await settled(w)
    assert len(outcome.held) == 1
    return outcome


async def to_its_end(w: World) -> Outcome:
    """However often the process is killed."""
    while True:
        try:
            return await settled(w)
        except Crash:
            w.restart(wipe=True)


@pytest.mark.parametrize("how", list(CASES))
@pytest.mark.parametrize("looks_first", [False, True], ids=["a sync goes on", "an operation looks first"])
def test_a_confirmation_used_by_a_process_killed_at_any_request(how: str, looks_first: bool) -> None:
    delete, is_done = CASES[how]
    counts: list[int] = []

    async def act(w: World, at: int | None, after: bool) -> None:
        asked = (await held(w, delete)).held[0].digest
        w.annotations = {ANNOTATION: asked}
        begun, where = w.steps.count, f"killed {'after' if after else 'before'} request {at}"
        if at is not None:
            (w.steps.after if after else w.steps.before)[begun + at] = w.steps.crash
        try:
            outcome = await settled(w)
        except Crash:
            w.restart(wipe=True)
            if looks_first:
                await Operation(w, PullOperation(dry_run=True)).to_its_end()
            outcome = await to_its_end(w)
        counts.append(w.steps.count - begun)
        assert not outcome.held, f"{where}: asked twice"
        assert is_done(w), where
        assert ANNOTATION not in w.annotations, where

    run(lambda w: act(w, None, False), FILES)
    for at in range(counts[0]):
        for after in (False, True):
            run(lambda w, at=at, after=after: act(w, at, after), FILES)  # type: ignore[misc]


@pytest.mark.parametrize("how", ["cluster", "git"])
@pytest.mark.parametrize("restarts", [False, True])
def test_what_was_released_once_is_asked_for_another_time(how: str, restarts: bool) -> None:
    """Whoever set the annotation: the operator takes it off itself."""
    delete, _ = CASES[how]

    async def act(w: World) -> None:
        asked = (await held(w, delete)).held[0].digest
        w.annotations = {ANNOTATION: asked}
        assert (await settled(w)).in_sync
        assert is_gone(w)
        back(w)
        assert (await settled(w)).in_sync
        if restarts:
            w.restart(wipe=True)
        delete(w)
        outcome = await settled(w)
        assert [one.digest for one in outcome.held] == [asked]
        assert not is_gone(w)

    run(act, FILES)


def test_a_confirmation_that_can_not_be_taken_off_releases_nothing() -> None:
    async def act(w: World) -> None:
        asked = (await held(w, deleted_in_git)).held[0].digest
        w.annotations = {ANNOTATION: asked}

        def refused(patch: object) -> dict[str, object]:
            raise ConnectionError

        taken, w.api.patched = w.api.patched, refused
        outcome, _ = await w.sync()
        assert outcome.error
        assert w.api.specs().keys() >= set(NAMES)
        w.api.patched = taken
        assert (await settled(w)).in_sync
        assert is_gone(w)

    run(act, FILES)


def test_what_is_edited_after_it_was_begun_is_asked_for_anew() -> None:
    """The rest of a release that was cut short goes on by itself only as it was."""

    async def act(w: World) -> None:
        asked = (await held(w, deleted_in_git)).held[0].digest
        w.annotations = {ANNOTATION: asked}
        taken = w.api.patched

        def cut_short(patch: Mapping[str, Any]) -> Mapping[str, Any]:
            w.steps.before[w.steps.count + 3] = w.steps.crash
            return taken(patch)

        w.api.patched = cut_short
        with pytest.raises(Crash):
            await settled(w)
        w.restart(wipe=True)
        left = [name for name in GOING if name in w.api.specs()]
        assert 0 < len(left) < len(GOING)
        assert ANNOTATION not in w.annotations
        for name in left:
            w.api.put(name, {"f0": "edited"})
        outcome = await settled(w)
        assert set(left) <= w.api.specs().keys()
        assert {conflict.name for conflict in outcome.conflicts} == set(left)

    run(act, FILES)
