"""What is synced of an object, and how a synced value is put back into the whole.

A *view* is the part of a manifest or live object that both sides share: all but status and, of metadata, only name,
labels and annotations, without the keys that other tools keep for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gitintegration.core.values import Json

_FOREIGN = re.compile(
    r"^(kubectl\.kubernetes\.io|meta\.helm\.sh|argocd\.argoproj\.io|kopf\.[^/]*|([^/]+\.)?toolkit\.fluxcd\.io"
    r"|planasonix\.com/(edited-by|change-reason))(/|$)"
)
"""Annotations and labels that tools keep, and what tells of an edit: nobody's edits."""
_SYNCED_METADATA = ("labels", "annotations")


class Pointer(NamedTuple):
    """A JSON pointer, taken apart (RFC 6901)."""

    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pointer:
        return cls(tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]))


def view(whole: Json, ignore: Sequence[Pointer] = ()) -> Json:
    """The synced part of `whole`; `whole` itself is left as it is."""
    metadata = whole.get("metadata") or {}
    kept: dict[str, Json] = {"name": metadata.get("name")}
    for field in _SYNCED_METADATA:
        if own := {k: v for k, v in (metadata.get(field) or {}).items() if not _FOREIGN.match(k)}:
            kept[field] = own
    result = {
        "apiVersion": whole.get("apiVersion"),
        "kind": whole.get("kind"),
        "metadata": kept,
        **{k: v for k, v in whole.items() if k not in ("apiVersion", "kind", "metadata", "status")},
    }
    for pointer in ignore:
        for steps in reversed(list(_places(result, pointer.steps))):
            result = _without(result, steps)
    return result


def with_ignored(synced: Json, whole: Json, ignore: Sequence[Pointer]) -> Json:
    """`synced` with the ignored fields as `whole` has them."""
    for pointer in ignore:
        synced = _carried(synced, whole, pointer.steps)
    return synced


def restore(whole: Json, synced: Json, ignore: Sequence[Pointer] = ()) -> Json:
    """`whole` with its synced part replaced by `synced`; all that is not synced stays."""
    metadata = dict(whole.get("metadata") or {})
    for field in _SYNCED_METADATA:
        foreign = {k: v for k, v in (metadata.get(field) or {}).items() if _FOREIGN.match(k)}
        merged = {**foreign, **synced.get("metadata", {}).get(field, {})}
        if merged:
            metadata[field] = _in_order(metadata.get(field) or {}, merged)
        elif metadata.get(field):
            del metadata[field]
    metadata["name"] = synced["metadata"]["name"]
    result = {k: v for k, v in synced.items() if k != "metadata"}
    if "status" in whole:
        result["status"] = whole["status"]
    result["metadata"] = metadata
    return _in_order(whole, with_ignored(result, whole, ignore))


def places(value: Json, pointer: Pointer) -> Iterator[tuple[tuple[str, ...], Json]]:
    """The steps to each value that a pointer names, and the value."""
    for steps in _places(value, pointer.steps):
        yield steps, _get(value, steps)[1]


def replaced(value: Json, pointer: Pointer, made: Callable[[Json], Json]) -> Json:
    """A copy with each value that a pointer names made into another."""
    if not pointer.steps:
        return made(value)
    step, rest = pointer.steps[0], Pointer(pointer.steps[1:])
    for name in _matching(value, step):
        if isinstance(value, dict):
            value = {**value, name: replaced(value[name], rest, made)}
        else:
            at = int(name)
            value = [*value[:at], replaced(value[at], rest, made), *value[at + 1 :]]
    return value


def fits(steps: Sequence[str], pointer: Pointer) -> bool:
    """Whether a pointer may name the place that these steps lead to; a step `*` of theirs stands for some item of a list."""
    if len(steps) != len(pointer.steps):
        return False
    return all(
        (wanted == "*" or wanted.isdigit())
        if step == "*"
        else step == wanted or ("*" in wanted and _fits(step, wanted.split("*")))
        for step, wanted in zip(steps, pointer.steps, strict=True)
    )


def _in_order(model: Json, value: Json) -> Json:
    """`value` with the keys it shares with `model` in the order of `model`, new ones behind."""
    return {k: value[k] for k in [*(k for k in model if k in value), *(k for k in value if k not in model)]}


def _get(value: Json, steps: tuple[str, ...]) -> tuple[bool, Json]:
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return False, None
    return True, value


def _without(value: Json, steps: tuple[str, ...]) -> Json:
    """A copy without the value at `steps`; a map that becomes empty by it goes too, so that both sides look alike."""
    if not steps or not _get(value, steps)[0]:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(value, list):
        index = int(step)
        inner = [_without(value[index], rest)] if rest else []
        return [*value[:index], *inner, *value[index + 1 :]]
    if not rest:
        return {k: v for k, v in value.items() if k != step}
    inner_value = _without(value[step], rest)
    if inner_value == {}:
        return {k: v for k, v in value.items() if k != step}
    return {**value, step: inner_value}


def _places(value: Json, steps: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The steps to each value that a pointer names; `*` in a step stands for any part of a key, and alone for all items."""
    if not steps:
        yield ()
        return
    step, rest = steps[0], steps[1:]
    for name in _matching(value, step):
        inner = value[name] if isinstance(value, dict) else value[int(name)]
        yield from ((name, *more) for more in _places(inner, rest))


def _matching(value: Json, step: str) -> list[str]:
    if isinstance(value, dict):
        return [name for name in value if name == step or ("*" in step and _fits(name, step.split("*")))]
    if isinstance(value, list):
        return [str(index) for index in range(len(value)) if step in ("*", str(index))]
    return []


def _fits(name: str, parts: list[str]) -> bool:
    """Whether the parts stand in the name one after the other, the first at its begin and the last at its end."""
    first, *between, last = parts
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for part in between:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _carried(value: Json, whole: Json, steps: tuple[str, ...]) -> Json:
    """`value` with what the steps name in `whole`; of items, those that `value` has too."""
    if not steps:
        return whole
    step, rest = steps[0], steps[1:]
    for name in _matching(whole, step):
        inner = whole[name] if isinstance(whole, dict) else whole[int(name)]
        if next(_places(inner, rest), None) is None:
            continue
        if isinstance(whole, dict):
            fields = value if isinstance(value, dict) else {}
            value = {**fields, name: _carried(fields.get(name), inner, rest)}
        elif isinstance(value, list):
            value = _with_item(value, whole, int(name), rest, by_name=step == "*")
    return value


def _with_item(value: list[Json], whole: list[Json], index: int, rest: tuple[str, ...], *, by_name: bool) -> list[Json]:
    if not rest:
        return [*value[:index], whole[index], *value[index:]]
    at = _partner(value, whole, index) if by_name else index
    if at is None or at >= len(value):
        return value
    return [*value[:at], _carried(value[at], whole[index], rest), *value[at + 1 :]]


def _partner(value: list[Json], whole: list[Json], index: int) -> int | None:
    """Where an item of one list is in the other: by its name where all have one, else at its place in a list as long."""
    names, others = _names(value), _names(whole)
    if names is not None and others is not None:
        return names.index(others[index]) if others[index] in names else None
    return index if len(value) == len(whole) else None


def _names(items: list[Json]) -> list[str] | None:
    names = [item["name"] for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]
    return names if len(set(names)) == len(items) else None
