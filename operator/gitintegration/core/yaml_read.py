"""YAML as kubectl reads it: YAML 1.1 with Go's idea of numbers and booleans, to plain JSON values.

A walk over libyaml's events straight to values. Events come without recursion, so depth is bounded before anything
recurses (composing 30,000 nested brackets ends the process), and aliases are counted before they multiply.
"""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]

from gitintegration.core.invalid import InvalidReason, ManifestError
from gitintegration.core.values import Json

MERGE = "<<"


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """`size` in bytes; `nodes` counts values after aliases are followed."""

    size: int = 1 << 20
    depth: int = 100
    nodes: int = 500_000


_TRUE = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"}
_FALSE = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"}
_NULL = {"", "~", "null", "Null", "NULL"}
_WORDS: dict[str, Json] = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False), **dict.fromkeys(_NULL)}
_SPECIAL = frozenset(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")) | {
    ".nan",
    ".NaN",
    ".NAN",
}
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_INTEGER = re.compile(r"^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$")
_GO_INTEGRAL = 1e21
_NUMERIC = frozenset("+-.0123456789")
_TAG = "tag:yaml.org,2002:"


def resolve_plain(text: str) -> Json:
    """What an unquoted scalar without a tag stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if text in _SPECIAL:
        raise ManifestError(InvalidReason.NotYAML, f"{text} has no place in JSON")
    plain = text.replace("_", "")
    if match := _INTEGER.match(plain):
        sign, *digits = match.groups()
        base, number = next((b, d) for b, d in zip((16, 2, 8, 10), digits, strict=True) if d is not None)
        value = int(number, base) * (-1 if sign == "-" else 1)
        return value if -(1 << 63) <= value < 1 << 63 else _number(float(value))
    if not _FLOAT.match(plain) or math.isinf(parsed := float(plain)):
        return text
    return _number(parsed)


def _number(value: float) -> Json:
    """As Go writes it in JSON: the shortest digits that name the float, without a fraction written like an integer."""
    return int(Decimal(repr(value))) if value.is_integer() and abs(value) < _GO_INTEGRAL else value


def read_documents(source: bytes, limits: ReadLimits = ReadLimits()) -> list[Json]:
    """The value of each document; an empty one is None. Raises ManifestError."""
    text = decode_text(source, limits)
    walker = _Walker(limits)
    try:
        parser = CParser(text)
        get = parser.get_event
        while walker.take(get()):
            pass
    except yaml.YAMLError as error:
        deep = "nesting depth" in str(getattr(error, "problem", ""))  # libyaml's own bound, met while it looks ahead
        raise ManifestError(InvalidReason.TooDeep if deep else InvalidReason.NotYAML, _told(error)) from None
    finally:
        if "parser" in locals():
            parser.dispose()
    return walker.documents


def read_json(source: bytes, limits: ReadLimits = ReadLimits()) -> Json:
    """A JSON file's value. Raises ManifestError."""
    text = decode_text(source, limits)
    depth = 0
    for ch in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(ch[0], 0)
        if depth > limits.depth:
            raise ManifestError(InvalidReason.TooDeep, f"is nested deeper than {limits.depth} levels")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ManifestError(InvalidReason.NotYAML, f"line {error.lineno}, column {error.colno}: {error.msg}") from None


def decode_text(source: bytes, limits: ReadLimits) -> str:
    """The text of a file, without a byte order mark. Raises ManifestError."""
    if len(source) > limits.size:
        raise ManifestError(InvalidReason.TooLarge, f"is {len(source)} bytes; {limits.size} are allowed")
    try:
        text = source.decode("utf-16" if source[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(InvalidReason.NotYAML, f"is not text: byte {error.start} is not UTF-8") from None
    if "\0" in text:
        raise ManifestError(InvalidReason.NotYAML, "is a binary file")
    return text


def _told(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}{getattr(error, 'problem', None) or str(error).splitlines()[0]}"


class _MergeKey:
    """A plain `<<`; quoted, it is a key like any other."""


class _Merge(list[Json]):
    """The values of a `<<` key, until the map is closed."""


_MERGE_KEY = _MergeKey()
_MERGE_SLOT: Any = object()  # no key of a document is it


class _Walker:
    """Keeps one frame for each open collection; closes them bottom-up."""

    def __init__(self, limits: ReadLimits) -> None:
        self.documents: list[Json] = []
        self._limits = limits
        self._stack: list[tuple[Json, str | None, list[Json]]] = []
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._nodes = 0
        self._sizes: list[int] = []
        self._root: Json = None

    def take(self, event: Any) -> bool:
        """False at the end of the stream."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._add(self._scalar(event), event.anchor, 1)
        elif kind is yaml.MappingStartEvent:
            self._open({}, event)
        elif kind is yaml.SequenceStartEvent:
            self._open([], event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._alias(event.anchor)
        elif kind is yaml.DocumentStartEvent:
            self._root, self._anchors = None, {}
        elif kind is yaml.DocumentEndEvent:
            self.documents.append(self._root)
        elif kind is yaml.StreamEndEvent:
            return False
        return True

    def _scalar(self, event: Any) -> Json:
        tag = event.tag
        if tag is None or tag == "!":
            if not event.implicit[0] or tag is not None:
                return event.value
            return _MERGE_KEY if event.value == MERGE else resolve_plain(event.value)
        if tag == f"{_TAG}str":
            return event.value
        if tag == f"{_TAG}binary":
            return base64.b64decode(event.value).decode("utf-8", "replace")
        value = resolve_plain(event.value)
        known: Any = {
            f"{_TAG}int": int,
            f"{_TAG}float": (int, float),
            f"{_TAG}bool": bool,
            f"{_TAG}null": type(None),
        }.get(tag)
        if known and not isinstance(value, known):
            raise ManifestError(InvalidReason.NotYAML, f"line {event.start_mark.line + 1}: cannot decode as {tag}")
        return value if known else event.value

    def _open(self, value: Json, event: Any) -> None:
        if len(self._stack) >= self._limits.depth:
            words = f"is nested deeper than {self._limits.depth} levels (line {event.start_mark.line + 1})"
            raise ManifestError(InvalidReason.TooDeep, words)
        self._stack.append((value, event.anchor, []))
        self._sizes.append(1)

    def _close(self) -> None:
        value, anchor, _ = self._stack.pop()
        size = self._sizes.pop()
        if isinstance(value, dict) and _MERGE_SLOT in value:
            value = _merge(value.pop(_MERGE_SLOT), value)
        self._add(value, anchor, size)

    def _alias(self, name: str) -> None:
        if name not in self._anchors:
            raise ManifestError(InvalidReason.NotYAML, f"unknown anchor {name!r}")
        value, size = self._anchors[name]
        self._add(value, None, size)

    def _add(self, value: Json, anchor: str | None, size: int) -> None:
        self._nodes += size
        if self._nodes > self._limits.nodes * 4:
            raise ManifestError(InvalidReason.TooLarge, "holds too many values once its aliases are followed")
        if anchor:
            self._anchors[anchor] = (value, size)
        if not self._stack:
            self._root = value
            return
        self._sizes[-1] += size
        into, _, pending = self._stack[-1]
        if isinstance(into, list):
            into.append(MERGE if value is _MERGE_KEY else value)
        elif not pending:
            pending.append(value)
        else:
            key = pending.pop()
            self._set(into, key, value)

    def _set(self, into: dict[str, Json], key: Json, value: Json) -> None:
        value = MERGE if value is _MERGE_KEY else value
        if key is _MERGE_KEY:
            into[_MERGE_SLOT] = _Merge(value if isinstance(value, list) else [value])
            return
        name = _key(key)
        if name in into:
            raise ManifestError(InvalidReason.NotYAML, f"the key {name!r} stands twice in one map")
        into[name] = value


def _key(key: Json) -> str:
    """JSON has string keys only; written as kubectl writes them."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return str(key)
    if isinstance(key, float):
        return str(int(key)) if key.is_integer() else repr(key)
    raise ManifestError(InvalidReason.NotYAML, "null, a list or a map can't be a key")


def _merge(sources: list[Json], own: dict[str, Json]) -> dict[str, Json]:
    result: dict[str, Json] = {}
    for source in sources:
        if not isinstance(source, dict):
            raise ManifestError(InvalidReason.NotYAML, "a merge key (<<) takes a map or a list of maps")
        for name, value in source.items():
            result.setdefault(name, value)
    return {**result, **own}
