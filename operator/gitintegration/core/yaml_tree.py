"""A document as a tree that knows where in the text everything stands; an edit is made on it.

libyaml tells the places: kubectl's reader was made after it, so both find the same nodes in a text. Values are those of
`yaml_read`. JSON has a reader of its own here: its escapes and its long keys are not all YAML's. Line breaks are `\\n` only.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]

from gitintegration.core.invalid import InvalidReason, ManifestError
from gitintegration.core.values import Json
from gitintegration.core.yaml_read import MERGE, MERGE_KEY, key_text, merged, read_scalar, told

Kind: TypeAlias = Literal["scalar", "map", "list", "alias"]
_BETWEEN = re.compile(r"(?:[\s\ufeff]|#[^\n]*)*")
_PROPERTY = re.compile(r"[&!](?:<[^>]*>|[^\s,\[\]{}])*")
_COMMENT = re.compile(r"(?:(?<=\s)|^)#[^\n]*", re.MULTILINE)
_DEEPEST = 200


class TooFineError(Exception):
    """Here is no place for a fine edit; the nearest entry may be written anew."""


@dataclass(slots=True, eq=False)
class Node:
    """`start` is where it begins, with its anchor and tag, `content` where it begins behind them, `end` where it ends."""

    kind: Kind
    start: int
    content: int
    end: int
    value: Json = None
    style: str = ""
    """A scalar's quote or block sign, or nothing; `{` or `[` for a collection in flow style."""
    anchor: str | None = None
    tag: str | None = None
    entries: list[Entry] = field(default_factory=list)
    target: Node | None = None
    """What an alias stands for."""
    has_alias: bool = False

    @property
    def is_block(self) -> bool:
        """A map or list whose entries are lines."""
        return self.kind in ("map", "list") and not self.style

    @property
    def is_block_scalar(self) -> bool:
        return self.style in ("|", ">")

    def walk(self) -> Iterator[Node]:
        """It and all below it, in the text's order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            for entry in reversed(node.entries):
                stack.append(entry.value)
                if entry.key is not None:
                    stack.append(entry.key)


@dataclass(slots=True, eq=False)
class Entry:
    """Of a map or a list. `start` is its key, `?` or dash; `sign` is behind its colon or dash, or None without one."""

    start: int
    sign: int | None
    key: Node | None
    value: Node

    @property
    def is_merge(self) -> bool:
        return self.key is not None and self.key.value is MERGE_KEY

    @property
    def name(self) -> str:
        return MERGE if self.key is None or self.is_merge else key_text(self.key.value)

    @property
    def end(self) -> int:
        """Behind its last character that is no comment."""
        return max(self.value.end, self.sign or 0, self.key.end if self.key else 0)


class Text:
    """A text and its lines."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def line_start(self, index: int) -> int:
        return self._starts[bisect_right(self._starts, index) - 1]

    def line_end(self, index: int) -> int:
        """Just behind the line break of the line that `index` stands on."""
        line = bisect_right(self._starts, index)
        return self._starts[line] if line < len(self._starts) else len(self.text)

    def column(self, index: int) -> int:
        return index - self.line_start(index)

    def starts_line(self, index: int) -> bool:
        """Whether nothing but indentation stands before it."""
        return not self.text[self.line_start(index) : index].strip(" ")

    def behind(self, index: int) -> int:
        """The next character that is neither space nor comment."""
        match = _BETWEEN.match(self.text, index)
        return match.end() if match else index


@dataclass(slots=True)
class Tree:
    """A piece of a file: its documents' roots (None: an empty one)."""

    source: Text
    roots: list[Node | None]
    starts: list[int]
    """Where each document begins: its `---`, or the text where it has none."""

    def limit(self, number: int) -> int:
        """Where a document ends."""
        return self.starts[number + 1] if number + 1 < len(self.starts) else len(self.source.text)

    def comments(self) -> list[tuple[int, int]]:
        """Where comments stand: in what no scalar covers."""
        text, found, at = self.source.text, [], 0
        leaves = (n for root in self.roots if root for n in root.walk() if n.kind in ("scalar", "alias"))
        for start, end in [*((_header_end(text, n), n.end) for n in leaves), (len(text), len(text))]:
            if start >= at:
                found += [match.span() for match in _COMMENT.finditer(text, at, start)]
                at = end
        return found


def _header_end(text: str, node: Node) -> int:
    if not node.is_block_scalar:
        return node.content
    stop = text.find("\n", node.content)
    return len(text) if stop < 0 else stop


def parse_yaml(text: str) -> Tree:
    """The trees of a text that ends in a line break. Raises ManifestError, yaml.YAMLError."""
    builder = _Builder(Text(text))
    parser = CParser(text)
    try:
        while builder.take(parser.get_event()):
            pass
    except yaml.YAMLError as error:
        raise ManifestError(InvalidReason.NotYAML, told(error)) from None
    finally:
        parser.dispose()
    return Tree(builder.source, builder.roots, builder.starts)


class _Builder:
    def __init__(self, source: Text) -> None:
        self.source = source
        self.roots: list[Node | None] = []
        self.starts: list[int] = []
        self._open: list[tuple[Node, list[Node]]] = []
        """Open collections, and of a map the key that waits for its value."""
        self._anchors: dict[str, Node] = {}

    def take(self, event: Any) -> bool:
        """False at the end of the stream."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._add(self._scalar(event))
        elif kind is yaml.MappingStartEvent:
            self._start("map", "{" if event.flow_style else "", event)
        elif kind is yaml.SequenceStartEvent:
            self._start("list", "[" if event.flow_style else "", event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._end(event)
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self.roots.append(None)
            self.starts.append(event.start_mark.index if event.explicit else 0)
            self._anchors = {}
        elif kind is yaml.StreamEndEvent:
            return False
        return True

    def _node(self, kind: Kind, style: str, event: Any) -> Node:
        start = content = event.start_mark.index
        for _ in range((event.anchor is not None) + (event.tag is not None)):
            match = _PROPERTY.match(self.source.text, self.source.behind(content))
            content = match.end() if match else content
        node = Node(kind, start, content, content, style=style, anchor=event.anchor, tag=event.tag)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: Any) -> Node:
        node = self._node("scalar", event.style or "", event)
        node.value = read_scalar(event)
        node.end = max(event.end_mark.index, node.content)
        if node.end > node.content:
            if node.content > node.start:
                node.content = min(self.source.behind(node.content), node.end)
            if node.is_block_scalar:
                node.end = self._block_end(node)
        return node

    def _block_end(self, node: Node) -> int:
        """Behind the last line of its content, without that line's break: blank lines may be content too."""
        text = self.source.text
        first = text.find("\n", node.content, node.end)
        if first < 0:
            return node.end
        header = text[node.content : first]
        if "+" in header.partition("#")[0]:
            return max(first, node.end - 1)
        lines = text[first + 1 : node.end].split("\n")
        indent = next((len(line) - len(line.lstrip(" ")) for line in lines if line.strip(" ")), 0)
        while lines and not lines[-1].strip(" ") and len(lines[-1]) <= indent:
            lines.pop()
        return first + sum(len(line) + 1 for line in lines)

    def _start(self, kind: Kind, style: str, event: Any) -> None:
        if len(self._open) >= _DEEPEST:
            raise ManifestError(InvalidReason.TooDeep, "is nested too deep")
        node = self._node(kind, style, event)
        if node.content > node.start:
            node.content = self.source.behind(node.content)
        self._open.append((node, []))

    def _end(self, event: Any) -> None:
        node, _ = self._open.pop()
        node.end = event.end_mark.index if node.style else max([node.content, *(e.end for e in node.entries[-1:])])
        node.value = _map_value(node) if node.kind == "map" else [_text(e.value.value) for e in node.entries]
        self._add(node)

    def _alias(self, event: Any) -> None:
        target = self._anchors.get(event.anchor)
        if target is None:
            raise ManifestError(InvalidReason.NotYAML, f"unknown anchor {event.anchor[:80]!r}")
        start, end = event.start_mark.index, event.end_mark.index
        self._add(Node("alias", start, start, end, value=target.value, target=target, has_alias=True))

    def _add(self, node: Node) -> None:
        if not self._open:
            self.roots[-1] = None if node.start == node.end else node
            return
        parent, keys = self._open[-1]
        parent.has_alias = parent.has_alias or node.has_alias
        at = parent.entries[-1].end if parent.entries else parent.content + bool(parent.style)
        if parent.kind == "list":
            parent.entries.append(self._item(parent, node, at))
        elif not keys:
            keys.append(node)
        else:
            parent.entries.append(self._pair(keys.pop(), node, at))

    def _item(self, parent: Node, node: Node, at: int) -> Entry:
        if parent.style:
            return Entry(node.start, None, None, node)
        dash = self.source.behind(at)
        if self.source.text[dash : dash + 1] != "-":
            raise ManifestError(InvalidReason.NotYAML, "a list's dash is not where it should be")
        return Entry(dash, dash + 1, None, _placed(node, dash + 1))

    def _pair(self, key: Node, value: Node, at: int) -> Entry:
        text, start = self.source.text, self.source.behind(at)
        if text[start : start + 1] == ",":
            start = self.source.behind(start + 1)
        start = start if text[start : start + 1] == "?" and start < key.start else key.start
        colon = self.source.behind(key.end)
        sign = colon + 1 if text[colon : colon + 1] == ":" else None
        return Entry(start, sign, key, _placed(value, key.end if sign is None else sign))


def _placed(node: Node, sign: int) -> Node:
    """An empty value stands right behind its sign."""
    if node.start == node.end:
        node.start = node.content = node.end = sign
    return node


def _text(value: Json) -> Json:
    return MERGE if value is MERGE_KEY else value


def _map_value(node: Node) -> dict[str, Json]:
    value: dict[str, Json] = {}
    for entry in node.entries:
        inner = _text(entry.value.value)
        if entry.is_merge:
            value.update(merged(inner if isinstance(inner, list) else [inner]))
        else:
            value[entry.name] = inner
    return value


_TOKEN = re.compile(r'\s*("(?:[^"\\]++|\\.)*+"|[\[\]{},:]|[^\s"\[\]{},:]+)', re.DOTALL)


def parse_json(text: str) -> Tree:
    """The tree of a text that was read as JSON before. Raises ManifestError."""
    open_, keys = [Node("list", 0, 0, len(text), style="[")], [None]
    colons: list[int] = [0]
    for match in _TOKEN.finditer(text):
        token, start, end = match[1], match.start(1), match.end(1)
        if token in "]}":
            node = open_.pop()
            keys.pop()
            colons.pop()
            node.end = end
            values = [e.value.value for e in node.entries]
            node.value = values if token == "]" else dict(zip((e.name for e in node.entries), values, strict=True))
        elif token in "[{":
            node = Node("list" if token == "[" else "map", start, start, end, style=token)
            open_.append(node)
            keys.append(None)
            colons.append(0)
            continue
        elif token == ":":
            colons[-1] = end
            continue
        elif token == ",":
            continue
        else:
            node = Node("scalar", start, start, end, value=json.loads(token), style='"' if token[0] == '"' else "")
        parent = open_[-1]
        if parent.kind == "list":
            parent.entries.append(Entry(node.start, None, None, node))
        elif keys[-1] is None:
            keys[-1] = node  # type: ignore[call-overload]
        else:
            key: Any = keys[-1]
            parent.entries.append(Entry(key.start, colons[-1], key, node))
            keys[-1] = None
    return Tree(Text(text), [open_[0].entries[0].value], [0])
