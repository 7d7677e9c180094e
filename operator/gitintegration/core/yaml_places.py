"""On which line of a file a manifest stands, and each of its fields."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from gitintegration.core.diff import ORDER, Item, Path
from gitintegration.core.invalid import ManifestError
from gitintegration.core.yaml_edit import Location
from gitintegration.core.yaml_read import ReadLimits, decode_text
from gitintegration.core.yaml_tree import Entry, Node, parse_json, parse_yaml


def lines_of(
    source: bytes, path: str, location: Location, fields: Sequence[Path], limits: ReadLimits
) -> tuple[int | None, list[int | None]]:
    """The line of the manifest, from 1 on, and those of its fields; None where that can't be told."""
    none: list[int | None] = [None] * len(fields)
    try:
        text = decode_text(source, limits).replace("\r\n", "\n")
        text = text if text.endswith("\n") else f"{text}\n"
        tree = parse_json(text) if path.endswith(".json") else parse_yaml(text)
    except ManifestError:
        return None, none
    root = tree.roots[location.document] if location.document < len(tree.roots) else None
    if root is not None and location.item is not None:
        items = next((e.value for e in _entries(root) if e.key is not None and e.name == "items"), None)
        found = _entries(items) if items else []
        root = found[location.item].value if location.item < len(found) else None
    if root is None:
        return None, none
    ends = [match.start() for match in re.finditer("\n", text)]
    places = [_place(root, field) for field in fields]
    return bisect_left(ends, root.start) + 1, [None if at is None else bisect_left(ends, at) + 1 for at in places]


def _entries(node: Node) -> list[Entry]:
    return (node.target or node).entries


def _place(node: Node, path: Path) -> int | None:
    """Where the entry begins that a path leads to."""
    at: int | None = node.start
    for step in path:
        if step is ORDER:
            return at
        entry = next((e for e in _entries(node) if _leads(e, step)), None)
        if entry is None:
            return None
        at, node = entry.start, entry.value
    return at


def _leads(entry: Entry, step: object) -> bool:
    if isinstance(step, Item):
        return step.matches((entry.value.target or entry.value).value)
    return entry.key is not None and not entry.is_merge and entry.name == step
