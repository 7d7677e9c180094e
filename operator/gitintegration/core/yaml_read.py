"""YAML as kubectl reads it: YAML 1.1 with Go's idea of numbers and booleans, to plain JSON values.

A walk over libyaml's events straight to values. Events come without recursion, so depth is bounded before anything
recurses (composing 30,000 nested brackets ends the process), and what an alias stands for is counted, in values, bytes
and depth, before it is followed. All of it is linear in the file's size, and what comes out can be written as JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass, field
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
    """`size` in bytes; `nodes` counts values after aliases are followed, `unfolds` says how much larger they may be."""

    size: int = 1 << 20
    depth: int = 100
    nodes: int = 500_000
    unfolds: int = 8
    """Times `size`: what a file may come to, in characters, once its aliases are followed."""


_TRUE = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"}
_FALSE = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"}
_NULL = {"", "~", "null", "Null", "NULL"}
_WORDS: dict[str, Json] = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False), **dict.fromkeys(_NULL)}
_SPECIAL = frozenset(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")) | {
    ".nan",
    ".NaN",
    ".NAN",
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_INT64, _UINT64 = 1 << 63, 1 << 64
_DIGITS = 70
"""More digits than any base needs for 64 bits, leading zeros aside: what is longer is no integer to Go either."""
_NUMERIC = frozenset("+-.0123456789")
_TAG = "tag:yaml.org,2002:"
_SURROGATE = re.compile("[\udc80-\udcff]")


def resolve_plain(text: str) -> Json:
    """What an unquoted scalar without a tag stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if text in _SPECIAL:
        raise ManifestError(InvalidReason.NotYAML, f"{text} has no place in JSON")
    plain = text.replace("_", "")
    if (match := _INTEGER.fullmatch(plain)) and (value := _integer(*match.groups())) is not None:
        return value
    if not _FLOAT.fullmatch(plain) or math.isinf(parsed := float(plain)):
        return text
    return _number(parsed)


def _integer(sign: str, *digits: str | None) -> Json:
    """None where it doesn't fit 64 bits."""
    base, number = next((b, d) for b, d in zip((16, 2, 8, 10), digits, strict=True) if d is not None)
    number = number.lstrip("0") or "0"
    if len(number) > _DIGITS:
        return None
    value = int(number, base) * (-1 if sign == "-" else 1)
    if -_INT64 <= value < _INT64:
        return value
    return _number(float(value)) if not sign and value < _UINT64 else None


def _number(value: float) -> Json:
    """As Go writes it in JSON: the shortest digits that name the float, without a fraction written like an integer.

    Beyond 64 bits it stays a float, as JSON's readers take it.
    """
    if not value.is_integer() or not -_INT64 <= value < _UINT64:
        return value
    whole = int(Decimal(repr(value)))
    return whole if -_INT64 <= whole < _UINT64 else value


def read_documents(source: bytes, limits: ReadLimits = ReadLimits()) -> list[Json]:
    """The value of each document; an empty one is None. Raises ManifestError."""
    text = decode_text(source, limits)
    walker = _Walker(limits)
    try:
        parser = CParser(ended(text))
        get = parser.get_event
        while walker.take(get()):
            pass
    except yaml.YAMLError as error:
        deep = "nesting depth" in str(getattr(error, "problem", ""))  # libyaml's own bound, met while it looks ahead
        raise ManifestError(InvalidReason.TooDeep if deep else InvalidReason.NotYAML, told(error)) from None
    finally:
        if "parser" in locals():
            parser.dispose()
    return walker.documents


def read_json(source: bytes, limits: ReadLimits = ReadLimits()) -> Json:
    """A JSON file's value. Raises ManifestError."""
    text = decode_text(source, limits)
    try:
        value = orjson.loads(text)  # strict, and has a bound on depth of its own
    except orjson.JSONDecodeError as error:
        reason = InvalidReason.TooDeep if "depth" in error.msg else InvalidReason.NotYAML
        raise ManifestError(reason, f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    _check_depth(value, limits.depth)
    return json.loads(text, object_pairs_hook=_unique, parse_int=_json_integer)


def _check_depth(value: Json, depth: int) -> None:
    level = _collections([value])
    for _ in range(depth):
        level = [inner for outer in level for inner in _collections(outer)]
        if not level:
            return
    raise ManifestError(InvalidReason.TooDeep, f"is nested deeper than {depth} levels")


def _collections(value: Json) -> list[Json]:
    inside = value.values() if isinstance(value, dict) else value
    return [inner for inner in inside if isinstance(inner, dict | list)]


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value: dict[str, Json] = {}
    for name, inner in pairs:
        if name in value:
            raise _twice(name)
        value[name] = inner
    return value


def _json_integer(digits: str) -> Json:
    """As the API server takes it: what is beyond 64 bits is a float."""
    value = int(digits) if len(digits) <= _DIGITS else None
    return value if value is not None and -_INT64 <= value < _INT64 else _number(float(digits))


def _twice(name: str) -> ManifestError:
    return ManifestError(InvalidReason.NotYAML, f"the key {name[:80]!r} stands twice in one map")


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


def ended(text: str) -> str:
    """With a line break at its end, as kubectl adds one: a block scalar there ends in it."""
    return text if text.endswith("\n") else f"{text}\n"


def told(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}{getattr(error, 'problem', None) or str(error).splitlines()[0]}"


class _MergeKey:
    """A plain `<<`; quoted, it is a key like any other."""


MERGE_KEY = _MergeKey()
_NO_KEY: Any = object()  # no key of a document is it


@dataclass(slots=True)
class _Frame:
    """An open collection, and what it holds so far, aliases followed."""

    value: Json
    anchor: str | None = None
    key: Json = _NO_KEY
    own: set[str] = field(default_factory=set)
    """Its keys that are not merged into it."""
    nodes: int = 1
    size: int = 2
    depth: int = 1


class _Walker:
    """Keeps one frame for each open collection; closes them bottom-up."""

    def __init__(self, limits: ReadLimits) -> None:
        self.documents: list[Json] = []
        self._limits = limits
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Frame] = {}
        self._nodes = self._size = 0
        self._root: Json = None

    def take(self, event: Any) -> bool:
        """False at the end of the stream."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            value = read_scalar(event)
            self._keep(_Frame(value, event.anchor, size=len(event.value) + 4, depth=0))
        elif kind is yaml.MappingStartEvent:
            self._open({}, event)
        elif kind is yaml.SequenceStartEvent:
            self._open([], event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._count(1, 2)
            self._place(self._stack.pop())
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._root, self._anchors = None, {}
        elif kind is yaml.DocumentEndEvent:
            self.documents.append(MERGE if self._root is MERGE_KEY else self._root)
        elif kind is yaml.StreamEndEvent:
            return False
        return True

    def _open(self, value: Json, event: Any) -> None:
        if len(self._stack) >= self._limits.depth:
            raise self._too_deep(event)
        self._stack.append(_Frame(value, event.anchor))

    def _alias(self, event: Any) -> None:
        meant = self._anchors.get(event.anchor)
        if meant is None:
            raise ManifestError(InvalidReason.NotYAML, f"unknown anchor {event.anchor[:80]!r}")
        if len(self._stack) + meant.depth > self._limits.depth:
            raise self._too_deep(event)
        self._keep(_Frame(meant.value, nodes=meant.nodes, size=meant.size, depth=meant.depth))

    def _too_deep(self, event: Any) -> ManifestError:
        words = f"is nested deeper than {self._limits.depth} levels (line {event.start_mark.line + 1})"
        return ManifestError(InvalidReason.TooDeep, words)

    def _keep(self, leaf: _Frame) -> None:
        self._count(leaf.nodes, leaf.size)
        self._place(leaf)

    def _count(self, nodes: int, size: int) -> None:
        self._nodes += nodes
        self._size += size
        if self._nodes > self._limits.nodes or self._size > self._limits.size * self._limits.unfolds:
            raise ManifestError(InvalidReason.TooLarge, "holds too many values once its aliases are followed")

    def _place(self, done: _Frame) -> None:
        """Put a value where it stands: into the collection that is open, or at the root."""
        if done.anchor:
            self._anchors[done.anchor] = done
        if not self._stack:
            self._root = done.value
            return
        frame = self._stack[-1]
        frame.nodes += done.nodes
        frame.size += done.size
        frame.depth = max(frame.depth, done.depth + (frame.key is not MERGE_KEY))
        if isinstance(frame.value, list):
            frame.value.append(MERGE if done.value is MERGE_KEY else done.value)
        elif frame.key is _NO_KEY:
            frame.key = done.value
        else:
            key, frame.key = frame.key, _NO_KEY
            self._set(frame, key, MERGE if done.value is MERGE_KEY else done.value)

    def _set(self, frame: _Frame, key: Json, value: Json) -> None:
        if key is MERGE_KEY:
            frame.value.update(merged(value if isinstance(value, list) else [value]))
            return
        name = key_text(key)
        if name in frame.own:
            raise _twice(name)
        frame.own.add(name)
        frame.value[name] = value


def read_scalar(event: Any) -> Json:
    """What a scalar stands for; MERGE_KEY for a plain `<<`. Raises ManifestError."""
    tag = event.tag
    if tag is None or tag == "!":
        if not event.implicit[0] or tag is not None:
            return event.value
        return MERGE_KEY if event.value == MERGE else resolve_plain(event.value)
    if tag == f"{_TAG}str":
        return event.value
    if tag == f"{_TAG}binary":
        return _binary(event)
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


def _binary(event: Any) -> str:
    """Text as Go decodes it: each byte that is no UTF-8 becomes one replacement character."""
    try:
        data = base64.b64decode(event.value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        words = f"line {event.start_mark.line + 1}: !!binary holds no base64"
        raise ManifestError(InvalidReason.NotYAML, words) from None
    return _SURROGATE.sub("\ufffd", data.decode("utf-8", "surrogateescape"))


def key_text(key: Json) -> str:
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


def merged(sources: list[Json]) -> dict[str, Json]:
    """What a merge key brings in: of several maps, the first one wins. Keys that stand before it are overridden."""
    result: dict[str, Json] = {}
    for source in sources:
        if not isinstance(source, dict):
            raise ManifestError(InvalidReason.NotYAML, "a merge key (<<) takes a map or a list of maps")
        for name, value in source.items():
            result.setdefault(name, value)
    return result
