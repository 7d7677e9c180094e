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
from datetime import datetime
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
_CLOCK = r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.[0-9]+)?"
_TIME = re.compile(
    rf"([0-9]{{4}})-([0-9]{{1,2}})-([0-9]{{1,2}})(?:[Tt]{_CLOCK}(?:Z|[-+][0-9]{{2}}:[0-9]{{2}})| {_CLOCK})?"
)
_MARK_INSIDE = re.compile("(?:^|[\n\r\x85\u2028\u2029])\ufeff")
_ESCAPED_SLASH = re.compile(r"(?<!\\)(?:\\\\)*\\/")
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
    if "\ufeff" in text and _MARK_INSIDE.search(text):
        raise ManifestError(InvalidReason.NotYAML, "a line begins with a byte order mark; take it out")
    walker = _Walker(limits, text)
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
    flow: bool = False
    """It is in braces or brackets."""
    key: Json = _NO_KEY
    own: set[str] = field(default_factory=set)
    """Its keys that are not merged into it."""
    nodes: int = 1
    size: int = 2
    depth: int = 1


class _Walker:
    """Keeps one frame for each open collection; closes them bottom-up."""

    def __init__(self, limits: ReadLimits, text: str) -> None:
        self.documents: list[Json] = []
        self._limits = limits
        self._text = text
        self._slashes = "\\/" in text and not text.lstrip().startswith("{")  # kubectl takes that for JSON
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Frame] = {}
        self._nodes = self._size = 0
        self._root: Json = None

    def take(self, event: Any) -> bool:
        """False at the end of the stream."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._check_scalar(event)
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
            self._begin(event)
        elif kind is yaml.DocumentEndEvent:
            self.documents.append(MERGE if self._root is MERGE_KEY else self._root)
        elif kind is yaml.StreamEndEvent:
            return False
        return True

    def _open(self, value: Json, event: Any) -> None:
        if len(self._stack) >= self._limits.depth:
            raise self._too_deep(event)
        self._stack.append(_Frame(value, event.anchor, bool(event.flow_style)))

    def _check_scalar(self, event: Any) -> None:
        """Refuse what libyaml takes, and kubectl's older copy of it refuses or takes for something else."""
        flow, end = bool(self._stack) and self._stack[-1].flow, event.end_mark.index
        if flow and "?" in event.value and not event.style:
            words = "kubectl can't read a `?` in unquoted text between brackets or braces; put the text in quotes"
        elif flow and event.tag and not event.value and self._text[end : end + 1] == ",":
            words = "kubectl reads a tag with a comma right behind it otherwise; put a blank between them"
        elif self._slashes and event.style == '"' and _ESCAPED_SLASH.search(self._text[event.start_mark.index : end]):
            words = "kubectl doesn't know the escape `\\/` in YAML; write `/`"
        elif self._is_key() and event.implicit[0] and _is_rounded(event.value):
            words = f"kubectl takes the key {event.value[:80]} for a number and rounds it; put it in quotes"
        else:
            return
        raise ManifestError(InvalidReason.NotYAML, f"line {event.start_mark.line + 1}: {words}")

    def _is_key(self) -> bool:
        """Whether a key of a map comes next."""
        frame = self._stack[-1] if self._stack else None
        return frame is not None and isinstance(frame.value, dict) and frame.key is _NO_KEY

    def _begin(self, event: Any) -> None:
        if event.version and event.version != (1, 1):
            words = f"line {event.start_mark.line + 1}: kubectl reads YAML 1.1 only; take the %YAML line out"
            raise ManifestError(InvalidReason.NotYAML, words)
        self._root, self._anchors = None, {}

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
    """What a scalar stands for; MERGE_KEY for a `<<` without quotes. Raises ManifestError."""
    text, tag = event.value, event.tag
    if text == MERGE and (event.implicit[0] or tag == f"{_TAG}merge"):
        return MERGE_KEY
    if tag is None or tag == "!":
        return resolve_plain(text) if event.implicit[0] and tag is None else text
    kind = tag.removeprefix(_TAG) if tag.startswith(_TAG) else ""
    if kind == "binary":
        return _binary(event)
    value = resolve_plain(text) if kind in ("int", "float", "bool", "null") else text
    if not _is_kind(kind, text, value):
        raise ManifestError(InvalidReason.NotYAML, f"line {event.start_mark.line + 1}: cannot decode as {tag}")
    return value


def _is_kind(kind: str, text: str, value: Json) -> bool:
    """Whether Go takes the text for what its tag says it is."""
    if kind == "int":
        match = _INTEGER.fullmatch(text.replace("_", ""))
        return match is not None and _integer(*match.groups()) is not None
    if kind == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "timestamp":
        return _is_time(text)
    return isinstance(value, bool) if kind == "bool" else value is None if kind == "null" else True


def _is_rounded(key: str) -> bool:
    """Whether a key is a float that kubectl writes in another way: it does so in 32 bits, and with an exponent."""
    if key[:1] not in _NUMERIC or isinstance(resolve_plain(key), str) or _INTEGER.fullmatch(key.replace("_", "")):
        return False
    value = float(key.replace("_", ""))
    return float(f"{value:.6g}") != value or not (1e-4 <= abs(value) < 1e6 or (value == 0 and key[0] != "-"))


def _is_time(text: str) -> bool:
    match = _TIME.fullmatch(text)
    try:
        return match is not None and bool(datetime(*(int(part) for part in match.groups() if part is not None)))  # type: ignore[arg-type]
    except ValueError:
        return False


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
