"""Fields that a field manager owns, as the API server tells it, and which changes are that manager's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from gitintegration.core.diff import Change, Item, Step

Owned: TypeAlias = "tuple[str | frozenset[tuple[str, Any]], ...]"
"""A path: names of map keys, and of list items their key fields."""


def owned_by(managed: Sequence[Mapping[str, Any]], managers: Collection[str]) -> frozenset[Owned]:
    """The fields that one of these managers wrote last. `managed` is `metadata.managedFields`."""
    found = (m.get("fieldsV1") or {} for m in managed if m.get("manager") in managers)
    return frozenset(path for fields in found for path in _leaves((), fields))


def _leaves(path: Owned, fields: Mapping[str, Any]) -> Iterator[Owned]:
    inner = {name: more for name, more in fields.items() if name[:2] in ("f:", "k:")}
    if path and not inner:
        yield path
    for name, more in inner.items():
        step = name[2:] if name.startswith("f:") else _key(name[2:])
        if step is not None:
            yield from _leaves((*path, step), more or {})


def _key(text: str) -> frozenset[tuple[str, Any]] | None:
    try:
        return frozenset(orjson.loads(text).items())
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return None


def is_owned(change: Change, owned: Collection[Owned]) -> bool:
    """Whether a change is of a field among `owned`, or within one."""
    path = tuple(_plain(step) for step in change.path)
    return any(path[:length] in owned for length in range(1, len(path) + 1))


def _plain(step: Step) -> str | frozenset[tuple[str, Any]]:
    if isinstance(step, Item):
        return frozenset(zip(step.fields, step.values, strict=True))
    return step if isinstance(step, str) else ""
