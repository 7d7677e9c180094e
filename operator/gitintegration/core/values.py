"""The values everything is made of: JSON, and the key of an item."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple, TypeAlias

import orjson

Json: TypeAlias = Any
"""A JSON value as Python has it: dict with str keys, list, str, int, float, bool or None."""


class ObjectKey(NamedTuple):
    """What names an item within one integration: its namespace is the integration's own."""

    group: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def digest_of(value: Json) -> str:
    """Names a value, whatever the order of its keys."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


def to_bytes(value: Json) -> bytes:
    """Its JSON, to be kept: what orjson makes was measured to hold on to 4 KB, however short it is, so it is copied."""
    return bytes(memoryview(orjson.dumps(value)))
