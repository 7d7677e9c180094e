"""What became of a write that a process logged and did not checkpoint."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.core.merge import Base, Versions, decide
from gitintegration.core.state.record import Intent, Pushes, SideIntent
from gitintegration.core.state.recovery import recover
from tests.unit.core.logged import push_of

OLD, NEW, NEWER = {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 3, "b": 1}
STORED = {**NEW, "mode": "auto"}


def same(value: Any) -> SideIntent:
    return SideIntent(value, value)


@pytest.mark.parametrize(
    ("base", "intent", "git", "live", "wanted"),
    [
        pytest.param(Base(OLD, OLD), Intent(same(NEW), SideIntent(OLD, NEW)), NEWER, NEW, Base(NEW, NEW), id="pulled"),
        pytest.param(
            Base(OLD, OLD), Intent(same(NEW), SideIntent(OLD, NEW)), NEWER, OLD, Base(OLD, OLD), id="not pulled"
        ),
        pytest.param(Base(OLD, OLD), Intent(SideIntent(OLD, NEW), same(NEW)), NEW, NEWER, Base(NEW, NEW), id="pushed"),
        pytest.param(
            Base(OLD, OLD), Intent(SideIntent(OLD, NEW), same(NEW)), OLD, NEWER, Base(OLD, OLD), id="not pushed"
        ),
        pytest.param(
            Base(OLD, OLD), Intent(same(NEW), SideIntent(OLD, NEW)), None, NEW, Base(NEW, NEW), id="pulled, deleted"
        ),
        pytest.param(
            None, Intent(same(NEW), SideIntent(None, NEW)), None, STORED, Base(NEW, STORED), id="created in the cluster"
        ),
        pytest.param(None, Intent(same(NEW), SideIntent(None, NEW)), None, NEWER, None, id="created there by another"),
        pytest.param(None, Intent(same(NEW), SideIntent(None, NEW)), NEW, None, None, id="not created in the cluster"),
        pytest.param(
            None, Intent(SideIntent(None, NEW), same(STORED)), NEW, None, Base(NEW, STORED), id="created in git"
        ),
        pytest.param(None, Intent(SideIntent(None, NEW), same(STORED)), None, STORED, None, id="not created in git"),
        pytest.param(
            Base(OLD, OLD), Intent(same(None), SideIntent(OLD, None)), NEW, None, None, id="deleted in the cluster"
        ),
        pytest.param(
            Base(OLD, OLD), Intent(same(None), SideIntent(OLD, None)), None, OLD, Base(OLD, OLD), id="not deleted"
        ),
        pytest.param(Base(OLD, OLD), Intent(SideIntent(OLD, None), same(None)), None, NEW, None, id="deleted in git"),
    ],
)
def test_what_came_about_is_read_off_the_side_that_was_written(
    base: Base | None, intent: Intent, git: Any, live: Any, wanted: Base | None
) -> None:
    stored = STORED if intent.cluster.is_new else None
    assert recover(base, intent, push_of(intent), git, live, stored=stored) == wanted


def test_each_field_of_a_merge_is_judged_by_the_side_it_was_written_to() -> None:
    base, git, live = Base({"a": 1, "b": 1}, {"a": 1, "b": 1}), {"a": 2, "b": 1}, {"a": 1, "b": 2}
    intent = Intent.of(decide(Versions(base, git, live)), git, live)
    assert (intent.git.goal, intent.cluster.goal) == ({"a": 2, "b": 2}, {"a": 2, "b": 2})
    assert recover(base, intent, push_of(intent), {"a": 3, "b": 1}, {"a": 2, "b": 2}) == Base(
        {"a": 2, "b": 1}, {"a": 2, "b": 1}
    )


LAST = {"a": 4, "b": 1}


@pytest.mark.parametrize(
    ("base", "before", "pushes", "git", "live", "wanted"),
    [
        pytest.param(Base(OLD, OLD), OLD, [NEW, NEWER], NEW, LAST, Base(NEW, NEW), id="the first landed"),
        pytest.param(Base(OLD, OLD), OLD, [NEW, NEWER], NEWER, LAST, Base(NEWER, NEWER), id="the last landed"),
        pytest.param(Base(OLD, OLD), OLD, [NEW, NEWER], LAST, NEWER, Base(OLD, OLD), id="none landed"),
        pytest.param(Base(OLD, OLD), OLD, [NEW, None], None, None, None, id="the delete landed"),
        pytest.param(Base(OLD, OLD), OLD, [NEW, None], NEW, None, Base(NEW, NEW), id="what is deleted landed"),
        pytest.param(None, None, [NEW, NEWER], NEW, None, Base(NEW, NEW), id="the first of a new item landed"),
        pytest.param(None, None, [NEW, {"a": 2}], NEW, LAST, Base(NEW, NEW), id="the one with more fields landed"),
        pytest.param(None, None, [NEW, None], OLD, None, None, id="somebody else made it"),
    ],
)
def test_of_several_pushes_onto_one_commit_the_one_that_landed_counts(
    base: Base | None, before: Any, pushes: list[Any], git: Any, live: Any, wanted: Base | None
) -> None:
    logged = Pushes("head", before, tuple(value and Base(value, value) for value in pushes))
    assert recover(base, None, logged, git, live) == wanted
