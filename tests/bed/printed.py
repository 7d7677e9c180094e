"""Whether what a command printed is as its published schema says, to the last field."""

from __future__ import annotations

import functools
import json
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource

from gitintegration.commands.schemas import PRINTED
from tests.bed.cluster import ROOT


def check(command: str, text: str) -> Any:
    """The value that a command printed. Raises ValidationError where it is not as its schema says, or holds what that does not know."""
    value = json.loads(text)
    known = [(path.name, Resource.from_contents(schema(path.stem))) for path in (ROOT / "docs" / "schemas").iterdir()]
    Draft202012Validator(schema(PRINTED[command]), registry=Registry().with_resources(known)).validate(value)
    return value


@functools.cache
def schema(name: str) -> Any:
    """A published one, closed: what it does not name is not allowed."""
    return _closed(json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text()))


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {name: _closed(inner) for name, inner in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made
