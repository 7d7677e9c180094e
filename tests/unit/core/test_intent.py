"""What is understood of a write that a process told of and did not remember."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.core.intent import Intent, Side, understood
from gitintegration.core.merge import Base, Versions, decide

OLD, NEW, NEWER = {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 3, "b": 1}
STORED = {**NEW, "mode": "auto"}


def same(value: Any) -> Side:
    return Side(value, value)


@pytest.mark.parametrize(
    ("base", "intent", "git", "live", "wanted"),
    [
        pytest.param(Base(OLD, OLD), Intent(same(NEW), Side(OLD, NEW)), NEWER, NEW, Base(NEW, NEW), id="pulled"),
        pytest.param(Base(OLD, OLD), Intent(same(NEW), Side(OLD, NEW)), NEWER, OLD, Base(OLD, OLD), id="not pulled"),
        pytest.param(Base(OLD, OLD), Intent(Side(OLD, NEW), same(NEW)), NEW, NEWER, Base(NEW, NEW), id="pushed"),
        pytest.param(Base(OLD, OLD), Intent(Side(OLD, NEW), same(NEW)), OLD, NEWER, Base(OLD, OLD), id="not pushed"),
        pytest.param(
            Base(OLD, OLD), Intent(same(NEW), Side(OLD, NEW)), None, NEW, Base(NEW, NEW), id="pulled, deleted"
        ),
        pytest.param(
            None, Intent(same(NEW), Side(None, NEW)), None, STORED, Base(NEW, STORED), id="created in the cluster"
        ),
        pytest.param(None, Intent(same(NEW), Side(None, NEW)), None, NEWER, None, id="created there by another"),
        pytest.param(None, Intent(same(NEW), Side(None, NEW)), NEW, None, None, id="not created in the cluster"),
        pytest.param(None, Intent(Side(None, NEW), same(STORED)), NEW, None, Base(NEW, STORED), id="created in git"),
        pytest.param(None, Intent(Side(None, NEW), same(STORED)), None, STORED, None, id="not created in git"),
        pytest.param(Base(OLD, OLD), Intent(same(None), Side(OLD, None)), NEW, None, None, id="deleted in the cluster"),
        pytest.param(Base(OLD, OLD), Intent(same(None), Side(OLD, None)), None, OLD, Base(OLD, OLD), id="not deleted"),
        pytest.param(Base(OLD, OLD), Intent(Side(OLD, None), same(None)), None, NEW, None, id="deleted in git"),
    ],
)
def test_what_came_about_is_read_off_the_side_that_was_written(
    base: Base | None, intent: Intent, git: Any, live: Any, wanted: Base | None
) -> None:
    stored = STORED if intent.live.is_new else None
    assert understood(base, intent, git, live, stored=stored) == wanted


def test_each_field_of_a_merge_is_judged_by_the_side_it_was_written_to() -> None:
    base, git, live = Base({"a": 1, "b": 1}, {"a": 1, "b": 1}), {"a": 2, "b": 1}, {"a": 1, "b": 2}
    intent = Intent.of(decide(Versions(base, git, live)), git, live)
    assert (intent.git.goal, intent.live.goal) == ({"a": 2, "b": 2}, {"a": 2, "b": 2})
    assert understood(base, intent, {"a": 3, "b": 1}, {"a": 2, "b": 2}) == Base({"a": 2, "b": 1}, {"a": 2, "b": 1})
