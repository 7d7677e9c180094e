"""Fields that a field manager owns, as the API server tells it, and which changes are that manager's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from gitintegration.core.diff import ORDER, Change, Item, Path, Step

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


def last_writer(managed: Sequence[Mapping[str, Any]], paths: Collection[Path], own: str) -> Mapping[str, Any] | None:
    """The entry of the manager other than `own` that holds one of these fields and wrote last; None where nobody does.

    Its time is that of all its fields: the server keeps none of single ones.
    """
    wanted = {tuple(_plain(step) for step in path if step is not ORDER) for path in paths}
    others = (m for m in managed if m.get("manager") not in (own, "", None) and m.get("subresource") != "status")
    holders = [m for m in others if any(_meet(path, held) for held in owned_by([m], [m["manager"]]) for path in wanted)]
    return max(holders, key=lambda m: str(m.get("time") or ""), default=None)


def _meet(path: Owned, held: Owned) -> bool:
    """Whether one of two fields is the other, or within it."""
    common = min(len(path), len(held))
    return path[:common] == held[:common]


def _plain(step: Step) -> str | frozenset[tuple[str, Any]]:
    if isinstance(step, Item):
        return frozenset(zip(step.fields, step.values, strict=True))
    return step if isinstance(step, str) else ""
