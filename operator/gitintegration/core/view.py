"""What is synced of an object, and how a synced value is put back into the whole.

A *view* is the part of a manifest or live object that both sides share: all but status and, of metadata, only name,
labels and annotations, without the keys that other tools keep for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from gitintegration.core.values import Json

_FOREIGN = re.compile(
    r"^(kubectl\.kubernetes\.io|meta\.helm\.sh|argocd\.argoproj\.io|kopf\.[^/]*|([^/]+\.)?toolkit\.fluxcd\.io)(/|$)"
)
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
        result = _without(result, pointer.steps)
    return result


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
    for pointer in ignore:
        found, value = _get(whole, pointer.steps)
        if found:
            result = _with(result, pointer.steps, value)
    return _in_order(whole, result)


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


def _with(value: Json, steps: tuple[str, ...], leaf: Json) -> Json:
    if not steps:
        return leaf
    step, rest = steps[0], steps[1:]
    if isinstance(value, list):
        index = int(step) if step.isdigit() else len(value)
        if index < len(value) and rest:
            return [*value[:index], _with(value[index], rest, leaf), *value[index + 1 :]]
        return [*value[:index], leaf, *value[index:]]
    inner = value.get(step) if isinstance(value, dict) else None
    return {**(value if isinstance(value, dict) else {}), step: _with(inner if inner is not None else {}, rest, leaf)}
