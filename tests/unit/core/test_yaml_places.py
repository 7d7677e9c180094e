"""On which lines of a file a manifest and its fields stand."""

from __future__ import annotations

import json

import pytest

from gitintegration.core.diff import ABSENT, Item
from gitintegration.core.yaml_edit import Location
from gitintegration.core.yaml_places import lines_of
from gitintegration.core.yaml_read import ReadLimits

LOAD = Item(("name",), ("load",), (ABSENT,))
FIELDS = [("metadata", "name"), ("spec", "owner"), ("spec", "steps", LOAD, "image"), ("spec", "none")]
ONE = """# a comment
apiVersion: a/v1
kind: K
metadata: {name: one}
spec:
  owner: ann
  steps:
  - name: extract
  - name: load
    image: etl
"""
LIST = """apiVersion: v1
kind: List
items:
- kind: K
- metadata: {name: two}
  spec:
    owner: ann
"""
MERGED = "base: &b\n  owner: ann\n" + ONE.replace("spec:\n  owner: ann\n", "spec:\n  <<: *b\n")
FOLDED = {"kind": "K", "metadata": {"name": "one"}, "spec": {"owner": "ann", "steps": [{"name": "load", "image": "e"}]}}


@pytest.mark.parametrize(
    ("text", "path", "location", "line", "lines"),
    [
        (ONE, "a.yaml", Location(0), 2, [4, 6, 10, None]),
        (ONE.replace("\n", "\r\n"), "a.yaml", Location(0), 2, [4, 6, 10, None]),
        (f"---\na: 1\n---\n{ONE}", "a.yaml", Location(1), 5, [7, 9, 13, None]),
        (LIST, "a.yaml", Location(0, 1), 5, [5, 7, None, None]),
        (json.dumps(FOLDED, indent=1), "a.json", Location(0), 1, [4, 7, 11, None]),
        (ONE.replace("owner: ann", "owner: &o ann\n  other: *o"), "a.yaml", Location(0), 2, [4, 6, 11, None]),
        (MERGED, "a.yaml", Location(0), 1, [6, None, 12, None]),
        ("", "a.yaml", Location(0), None, [None] * 4),
        ("a: [1\n", "a.yaml", Location(0), None, [None] * 4),
        (ONE, "a.yaml", Location(3), None, [None] * 4),
        (LIST, "a.yaml", Location(0, 7), None, [None] * 4),
    ],
)  # fmt: skip
def test_lines(text: str, path: str, location: Location, line: int | None, lines: list[int | None]) -> None:
    assert lines_of(text.encode(), path, location, FIELDS, ReadLimits()) == (line, lines)
