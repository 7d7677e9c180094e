"""Which fields of a pipeline are told, and in which of them a side is ahead."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.core.diff import format_path, no_list_keys
from gitintegration.core.merge import Base, Versions, decide
from gitintegration.operations.blame import fields_of

AGREED: dict[str, Any] = {"spec": {"owner": "ann", "limits": {"cpu": 1, "memory": 2}, "tags": ["a", "b"]}}
DEFAULTED: dict[str, Any] = {"spec": {**AGREED["spec"], "mode": "auto"}}


def with_spec(whole: dict[str, Any], **spec: Any) -> dict[str, Any]:
    merged = {**whole["spec"], **spec}
    return {"spec": {name: value for name, value in merged.items() if value is not None}}


@pytest.mark.parametrize(
    ("git", "live", "differing"),
    [
        (AGREED, DEFAULTED, []),
        (AGREED, with_spec(DEFAULTED, owner="bob"), ["spec.owner"]),
        (with_spec(AGREED, owner="bob"), DEFAULTED, ["spec.owner"]),
        (with_spec(AGREED, owner="git"), with_spec(DEFAULTED, owner="live"), ["spec.owner"]),
        (AGREED, with_spec(DEFAULTED, retries=3), ["spec.retries"]),
        (AGREED, with_spec(DEFAULTED, limits=None), ["spec.limits.cpu", "spec.limits.memory"]),
        (with_spec(AGREED, tags=["a"]), DEFAULTED, ["spec.tags"]),
        (AGREED, None, ["spec.owner", "spec.limits.cpu", "spec.limits.memory", "spec.tags"]),
    ],
)
def test_a_field_differs_where_a_side_is_ahead(
    git: dict[str, Any] | None, live: dict[str, Any] | None, differing: list[str]
) -> None:
    """What the server filled in is nobody's edit."""
    decision = decide(Versions(Base(AGREED, DEFAULTED), git, live))
    fields = fields_of(git, live, decision, no_list_keys)
    assert [format_path(field.path) for field in fields if field.differs] == differing
    kept = [format_path(field.path) for field in fields]
    assert kept[:4] == ["spec.owner", "spec.limits.cpu", "spec.limits.memory", "spec.tags"]
    assert "spec.mode" not in kept


def test_what_git_never_held_is_told_as_the_cluster_has_it() -> None:
    decision = decide(Versions(None, None, DEFAULTED))
    fields = fields_of(None, DEFAULTED, decision, no_list_keys)
    assert [format_path(field.path) for field in fields][-1] == "spec.mode"
    assert all(field.differs for field in fields)
