"""What `/status` says beside the document's own fields."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.gateway.app import _ahead

ENTRY = {"kind": "Pipeline", "name": "orders", "id": "pl_1", "side": "cluster", "reason": "Controlled"}


@pytest.mark.parametrize(
    ("told", "reasons", "truncated"),
    [
        ({}, [], False),
        ({"ahead": []}, [], False),
        ({"ahead": [ENTRY, {**ENTRY, "reason": "Mode", "path": "p/a.yaml"}]}, ["Controlled", "Mode"], False),
        ({"ahead": [ENTRY] * 50, "aheadTruncated": True}, ["Controlled"] * 50, True),
    ],
)
def test_what_is_ahead_is_there_where_anything_is(told: dict[str, Any], reasons: list[str], truncated: bool) -> None:
    made = _ahead(told)
    assert [entry.reason for entry in made.get("ahead", ())] == reasons
    assert ("ahead" in made) is bool(reasons)
    assert made.get("ahead_truncated", False) is truncated
    assert all(entry.pipeline_id == "pl_1" for entry in made.get("ahead", ()))
