"""Edits of one manifest in its file that touch only the lines of what changed.

Text is spliced at the positions that libyaml tells for each node; comments, order, quotes, anchors, line endings and the
other documents stay as they are. A splice that can't be made raises `_TooFineError`, and a coarser edit of the same
manifest is tried. Every result is read again and must be exactly what was meant before it is handed out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import yaml

from gitintegration.core.diff import same
from gitintegration.core.invalid import InvalidReason, ManifestError
from gitintegration.core.values import Json
from gitintegration.core.yaml_read import MERGE, ReadLimits, decode_text, read_documents, read_json, resolve_plain
from gitintegration.core.yaml_render import block, entry, flow, item, literal_lines, scalar

_LIMITS = ReadLimits()


class Location(NamedTuple):
    """Where in a file a manifest stands: the document, and the place in `items` where that is a List."""

    document: int
    item: int | None = None


@dataclass(frozen=True, slots=True)
class EditResult:
    source: bytes
    coarse: bool
    """The manifest had to be written anew: its comments did not survive. Told in the log."""


class _TooFineError(Exception):
    """This splice can't be made; a coarser one may."""


class _Splice(NamedTuple):
    start: int
    end: int
    text: str


def set_item(source: bytes, path: str, location: Location, new: Json, limits: ReadLimits = _LIMITS) -> EditResult:
    """The file with the manifest at `location` having exactly the value `new`, and all else as it was."""
    if path.endswith(".json"):
        return EditResult(_edit_json(source, location, new, limits), False)
    text = decode_text(source, limits)
    wanted = _with_item(read_documents(source, limits), location, new)
    attempts: list[tuple[Callable[[_Editor], None], bool]] = [
        (lambda editor: editor.edit(location, new), False),
        (lambda editor: editor.edit_top_level(location, new), True),
        (lambda editor: editor.rewrite(location, new), True),
    ]
    for attempt, coarse in attempts:
        try:
            editor = _Editor(text)
            attempt(editor)
            made = _encoded(editor.result(), source)
            if _reads_as(made, wanted, limits):
                return EditResult(made, coarse)
        except (_TooFineError, yaml.YAMLError, ManifestError, IndexError):
            continue
    raise ManifestError(InvalidReason.NotYAML, "the change can't be written into this file; edit it by hand")


def remove_item(source: bytes, path: str, location: Location, limits: ReadLimits = _LIMITS) -> bytes | None:
    """The file without the manifest at `location`; None where no other document or item is left in it."""
    if path.endswith(".json"):
        whole = read_json(source, limits)
        if location.item is None or len(whole["items"]) == 1:
            return None
        rest = [v for i, v in enumerate(whole["items"]) if i != location.item]
        return _edit_json(source, Location(0), {**whole, "items": rest}, limits)
    documents = read_documents(source, limits)
    if location.item is not None and len(documents[location.document]["items"]) > 1:
        whole = documents[location.document]
        rest = [v for i, v in enumerate(whole["items"]) if i != location.item]
        return set_item(source, path, Location(location.document), {**whole, "items": rest}, limits).source
    wanted = [d for i, d in enumerate(documents) if i != location.document]
    if all(document is None for document in wanted):
        return None
    made = _encoded(_without_document(decode_text(source, limits), location.document), source)
    if not _reads_as(made, wanted, limits):
        raise ManifestError(InvalidReason.NotYAML, "the manifest can't be taken out of this file; edit it by hand")
    return made


def _with_item(documents: list[Json], location: Location, new: Json) -> list[Json]:
    result = list(documents)
    if location.item is None:
        result[location.document] = new
    else:
        whole = result[location.document]
        items = [new if i == location.item else v for i, v in enumerate(whole["items"])]
        result[location.document] = {**whole, "items": items}
    return result


def _reads_as(made: bytes, wanted: list[Json], limits: ReadLimits) -> bool:
    return same(read_documents(made, limits), wanted)


def _encoded(text: str, source: bytes) -> bytes:
    """In the encoding, and with the byte order mark, of the file as it was."""
    if source[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return text.encode("utf-16")
    return (b"\xef\xbb\xbf" if source.startswith(b"\xef\xbb\xbf") else b"") + text.encode()


def _edit_json(source: bytes, location: Location, new: Json, limits: ReadLimits) -> bytes:
    text = decode_text(source, limits)
    whole = _with_item([json.loads(text)], location, new)[0]
    found = re.search(r"\n([ \t]+)\S", text)
    indent: str | None = found[1] if found else None
    separators = None if indent or ", " in text or ": " in text else (",", ":")
    made = json.dumps(whole, indent=indent, ensure_ascii=text.isascii() and "\\u" in text, separators=separators)
    tail = text[len(text.rstrip()) :]
    return _encoded((made.replace("\n", "\r\n") if "\r\n" in text else made) + tail, source)


def _document_starts(text: str) -> list[int]:
    starts: list[int] = []
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.DocumentStartEvent):
            assert event.start_mark
            starts.append(event.start_mark.index if event.explicit else 0)
    return starts


def _without_document(text: str, index: int) -> str:
    starts = _document_starts(text)
    start = starts[index] if index else 0
    end = starts[index + 1] if index + 1 < len(starts) else len(text)
    return text[:start] + text[end:]


class _Editor:
    """Collects splices over one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._roots: list[Any] = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
        self._splices: list[_Splice] = []
        self._shared: set[int] = set()
        self._seen: set[int] = set()
        for root in self._roots:
            self._count(root)

    def _count(self, node: Any) -> None:
        stack = [node]
        while stack:
            node = stack.pop()
            if id(node) in self._seen:
                self._shared.add(id(node))
                continue
            self._seen.add(id(node))
            if isinstance(node, yaml.MappingNode):
                stack += [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                stack += node.value

    def result(self) -> str:
        text = self._text
        last = len(text) + 1
        for splice in sorted(self._splices, key=lambda s: (s.start, s.end), reverse=True):
            if splice.end > last:
                raise _TooFineError
            made = splice.text if self._newline == "\n" else splice.text.replace("\n", "\r\n")
            text = text[: splice.start] + made + text[splice.end :]
            last = splice.start
        return text

    def edit(self, location: Location, new: Json) -> None:
        """The finest edit."""
        self._value(self._root(location), new)

    def edit_top_level(self, location: Location, new: Json) -> None:
        """Whole values of the changed top-level keys."""
        root = self._root(location)
        if not isinstance(root, yaml.MappingNode):
            raise _TooFineError
        self._mapping(root, new, whole=True)

    def rewrite(self, location: Location, new: Json) -> None:
        """The manifest written anew in its place."""
        node = self._roots[location.document]
        value = new
        if location.item is not None:
            whole = _plain(node)
            value = {**whole, "items": [new if i == location.item else v for i, v in enumerate(whole["items"])]}
        end = self._content_end(node)
        self._splices.append(_Splice(node.start_mark.index, end, "\n".join(block(value, 0))))

    def _root(self, location: Location) -> Any:
        root = self._roots[location.document]
        if location.item is None:
            return root
        for key, value in root.value:
            if key.value == "items":
                return value.value[location.item]
        raise _TooFineError

    def _value(self, node: Any, new: Json) -> None:
        """Make `node` hold `new`, where it stands."""
        if same(_plain(node), new):
            return
        if id(node) in self._shared:
            raise _TooFineError
        if isinstance(node, yaml.MappingNode) and isinstance(new, dict) and new:
            self._flow(node, new) if node.flow_style else self._mapping(node, new)
        elif isinstance(node, yaml.SequenceNode) and isinstance(new, list) and new:
            self._flow(node, new) if node.flow_style else self._sequence(node, new)
        elif isinstance(node, yaml.ScalarNode) and not isinstance(new, dict | list):
            self._scalar(node, new)
        else:
            raise _TooFineError

    def _flow(self, node: Any, new: Json) -> None:
        """In place where the shape stays; added keys go before the closing brace; else the line is written anew."""
        mark = len(self._splices)
        try:
            if isinstance(node, yaml.MappingNode):
                self._flow_mapping(node, new)
                return
            if len(node.value) == len(new):
                for child, value in zip(node.value, new, strict=True):
                    self._value(child, value)
                return
        except _TooFineError:
            del self._splices[mark:]
        self._splices.append(_Splice(node.start_mark.index, node.end_mark.index, flow(new)))

    def _flow_mapping(self, node: Any, new: dict[str, Json]) -> None:
        pairs = {_plain_key(key): (key, value) for key, value in node.value}
        if not set(pairs) <= set(new):
            raise _TooFineError
        for name, (key, value) in pairs.items():
            if value.start_mark.index < key.end_mark.index and not same(_plain(value), new[name]):
                raise _TooFineError
            self._value(value, new[name])
        if added := {k: v for k, v in new.items() if k not in pairs}:
            end = len(self._text[: node.end_mark.index - 1].rstrip())
            self._splices.append(_Splice(end, end, (", " if pairs else "") + flow(added)[1:-1]))

    def _scalar(self, node: Any, new: Json) -> None:
        start, end = node.start_mark.index, node.end_mark.index
        if node.style in ("|", ">"):
            self._block_scalar(node, new)
            return
        quote = node.style if node.style in ("'", '"') else None
        text = scalar(new, flow=True, quote=quote) if quote else scalar(new, flow=self._in_flow(start))
        if start == end:
            if not self._text[:start].endswith((" ", "\n")):
                text = f" {text}"
        elif "\n" in self._text[start:end] and not isinstance(new, str):
            raise _TooFineError
        self._splices.append(_Splice(start, end, text))

    def _in_flow(self, index: int) -> bool:
        line = self._text[self._text.rfind("\n", 0, index) + 1 : index]
        return any(ch in line for ch in "{[")

    def _block_scalar(self, node: Any, new: Json) -> None:
        """A literal keeps its header and its indentation; what can't stand in it makes the edit coarser."""
        if node.style != "|" or not isinstance(new, str) or not new or new[0] in " \n\t":
            raise _TooFineError
        start = node.start_mark.index
        first = self._text.index("\n", start) + 1
        header = self._text[start:first].split("#")[0].strip()
        body = self._text[first : node.end_mark.index]
        sample = next((line for line in body.splitlines() if line.strip()), None)
        if sample is None or header not in ("|", "|-", "|+"):
            raise _TooFineError
        indent = sample[: len(sample) - len(sample.lstrip(" "))]
        if not all(line.isprintable() or "\t" in line for line in new.split("\n")):
            raise _TooFineError
        wanted = "|-" if not new.endswith("\n") else ("|+" if new.endswith("\n\n") else "|")
        lines = "\n".join((indent + line) if line else "" for line in literal_lines(new))
        end = first + len(body.rstrip())
        if header != wanted:
            at = start + self._text[start:first].index(header)
            self._splices.append(_Splice(at, at + len(header), wanted))
        self._splices.append(_Splice(first, end, lines))

    def _mapping(self, node: Any, new: dict[str, Json], *, whole: bool = False) -> None:
        old = _plain(node)
        pairs = [(_plain_key(key), key, value) for key, value in node.value]
        explicit = {name for name, _, _ in pairs}
        gone = [name for name in old if name not in new]
        if any(name not in explicit for name in gone) or any(not isinstance(n, str) for n in explicit):
            raise _TooFineError
        if not set(new) & explicit:
            raise _TooFineError
        for index, (name, key, value) in enumerate(pairs):
            if name in gone:
                self._delete_entry(pairs, index)
            elif name in new and name != MERGE and not same(old[name], new[name]):
                self._change_entry(key, value, new[name], whole=whole)
        self._add_entries(node, pairs, new, old, set(gone))

    def _change_entry(self, key: Any, value: Any, new: Json, *, whole: bool) -> None:
        mark = len(self._splices)
        is_alias = not (key.end_mark.index <= value.start_mark.index)
        if not is_alias and not whole:
            try:
                self._value(value, new)
                return
            except _TooFineError:
                del self._splices[mark:]
                if id(value) in self._shared:
                    raise
        self._replace_entry(key, value, new, is_alias=is_alias)

    def _replace_entry(self, key: Any, value: Any, new: Json, *, is_alias: bool) -> None:
        """What stands behind `key:`, written anew; a comment at the end of its first line stays where it can."""
        colon = self._text.index(":", key.end_mark.index) + 1
        if is_alias:
            match = re.compile(r"[ \t]*\*[^\s,\]}#]+").match(self._text, colon)
            if not match:
                raise _TooFineError
            end = match.end()
        else:
            if self._anchored(colon, value):
                raise _TooFineError
            end = max(self._content_end(value), colon)
        head, rest = entry(new, key.start_mark.column, dash=self._dash(value))
        self._splices.append(_Splice(colon, end, "\n".join([head, *rest])))

    def _anchored(self, colon: int, value: Any) -> bool:
        """Whether an anchor stands before the value: then other places may name it."""
        before = self._text[colon : value.start_mark.index + 1]
        return "&" in before

    def _dash(self, value: Any) -> int:
        """How far the items of lists are set in below their key, in this value or in the whole text."""
        found = re.search(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n( *)- ", self._text, re.MULTILINE)
        return 2 if found and len(found[2]) > len(found[1]) else 0

    def _delete_entry(self, pairs: list[tuple[str, Any, Any]], index: int) -> None:
        _, key, value = pairs[index]
        start = key.start_mark.index
        line = self._text.rfind("\n", 0, start) + 1
        before = self._text[line:start]
        if before.strip():
            if index + 1 >= len(pairs):
                raise _TooFineError
            self._splices.append(_Splice(start, pairs[index + 1][1].start_mark.index, ""))
            return
        self._splices.append(_Splice(line, self._line_end(self._entry_end(key, value)), ""))

    def _entry_end(self, key: Any, value: Any) -> int:
        colon = self._text.index(":", key.end_mark.index) + 1
        if key.end_mark.index > value.start_mark.index:
            return self._line_end(colon) - 1
        return max(colon, self._content_end(value))

    def _line_end(self, index: int) -> int:
        """Just behind the line break of the line that `index` stands on."""
        found = self._text.find("\n", index)
        return len(self._text) if found < 0 else found + 1

    def _add_entries(
        self, node: Any, pairs: list[tuple[str, Any, Any]], new: dict[str, Json], old: dict[str, Json], gone: set[str]
    ) -> None:
        anchor = next(((k, v) for name, k, v in reversed(pairs) if name in new or name == MERGE), None)
        if anchor is None:
            raise _TooFineError
        explicit = {name: (k, v) for name, k, v in pairs if name not in gone}
        column = pairs[0][1].start_mark.column
        at: dict[int, list[str]] = {}
        place = None
        for name, value in new.items():
            if name in explicit:
                place = explicit[name]
            elif name not in old or not same(old[name], value):
                head, rest = entry(value, column, dash=self._dash(node))
                lines = [" " * column + f"{scalar(name)}:{head}", *rest]
                at.setdefault(self._line_end(self._entry_end(*(place or anchor))), []).extend(lines)
        for index, lines in at.items():
            self._insert_lines(index, lines)

    def _insert_lines(self, index: int, lines: list[str]) -> None:
        text = "\n".join(lines)
        if index and not self._text[:index].endswith("\n"):
            self._splices.append(_Splice(index, index, f"\n{text}"))
        else:
            self._splices.append(_Splice(index, index, f"{text}\n"))

    def _sequence(self, node: Any, new: list[Json]) -> None:
        old = [_plain(child) for child in node.value]
        dashes = [self._dash_of(child) for child in node.value]
        column = dashes[0] - (self._text.rfind("\n", 0, dashes[0]) + 1)
        step = self._dash(node)
        for kind, a, b, c, d in _aligned(old, new):
            if kind == "edit":
                for offset in range(b - a):
                    self._item(node.value[a + offset], dashes[a + offset], new[c + offset], column, step)
                continue
            for index in range(a, b):
                self._delete_item(node.value[index], dashes[index])
            if d > c:
                lines = [line for value in new[c:d] for line in item(value, column, dash=step)]
                self._insert_items(node, dashes, a if kind == "insert" else b, lines)

    def _item(self, child: Any, dash: int, new: Json, column: int, step: int) -> None:
        mark = len(self._splices)
        try:
            self._value(child, new)
        except _TooFineError:
            del self._splices[mark:]
            if id(child) in self._shared or "&" in self._text[dash : child.start_mark.index + 1]:
                raise
            first, *rest = item(new, column, dash=step)
            end = max(self._content_end(child), dash + 1)
            self._splices.append(_Splice(dash, end, "\n".join([first[column:], *rest])))

    def _insert_items(self, node: Any, dashes: list[int], before: int, lines: list[str]) -> None:
        if before == 0:
            line = self._text.rfind("\n", 0, dashes[0]) + 1
            if self._text[line : dashes[0]].strip():
                raise _TooFineError
            self._insert_lines(line, lines)
        else:
            self._insert_lines(self._line_end(self._content_end(node.value[before - 1])), lines)

    def _delete_item(self, child: Any, dash: int) -> None:
        line = self._text.rfind("\n", 0, dash) + 1
        if self._text[line:dash].strip():
            raise _TooFineError
        self._splices.append(_Splice(line, self._line_end(max(self._content_end(child), dash)), ""))

    def _dash_of(self, child: Any) -> int:
        """The place of the dash before an item; only comments and line breaks may lie between."""
        if id(child) in self._shared:
            raise _TooFineError
        found = self._text.rfind("-", 0, child.start_mark.index)
        between = self._text[found + 1 : child.start_mark.index]
        if found < 0 or (between.strip() and not between.strip().startswith(("#", "&"))):
            raise _TooFineError
        return found

    def _content_end(self, node: Any) -> int:
        """Behind the last character of a node that is no comment and no white space."""
        while True:
            if isinstance(node, yaml.ScalarNode):
                end = int(node.end_mark.index)
                if node.style in ("|", ">"):
                    return len(self._text[:end].rstrip())
                return end
            if node.flow_style or not node.value:
                return int(node.end_mark.index)
            last = node.value[-1]
            key, child = last if isinstance(last, tuple) else (None, last)
            if key is not None and child.start_mark.index < key.end_mark.index:
                return self._alias_end(self._text.index(":", key.end_mark.index) + 1)
            if key is not None and child.start_mark.index == child.end_mark.index:
                return max(self._text.index(":", key.end_mark.index) + 1, 0)
            if id(child) in self._shared and key is None:
                raise _TooFineError
            node = child

    def _alias_end(self, index: int) -> int:
        match = re.compile(r"[ \t]*\*[^\s,\]}#]+").match(self._text, index)
        if not match:
            raise _TooFineError
        return match.end()


def _aligned(old: list[Json], new: list[Json]) -> list[tuple[str, int, int, int, int]]:
    """Which items stand for which: (edit|replace|delete|insert, old from, old to, new from, new to)."""
    a, b = _identities(old, new)
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    result = []
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal" or (kind == "replace" and j - i == m - k and not _named(old, new)):
            result.append(("edit", i, j, k, m))
        else:
            result.append((kind, i, j, k, m))
    return result


def _named(old: list[Json], new: list[Json]) -> bool:
    names = [v.get("name") if isinstance(v, dict) else None for v in (*old, *new)]
    return all(isinstance(n, str) for n in names)


def _identities(old: list[Json], new: list[Json]) -> tuple[list[str], list[str]]:
    if _named(old, new):
        return [v["name"] for v in old], [v["name"] for v in new]
    return [json.dumps(v, sort_keys=True) for v in old], [json.dumps(v, sort_keys=True) for v in new]


def _plain_key(key: Any) -> str:
    if not isinstance(key, yaml.ScalarNode):
        raise _TooFineError
    value = _plain(key)
    return key.value if isinstance(value, str) or key.value == MERGE else json.dumps(value)


def _plain(node: Any) -> Json:
    """The value of a composed node, as the reader gives it."""
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style or _tagged_text(node) else resolve_plain(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child) for child in node.value]
    result: dict[str, Json] = {}
    merged: dict[str, Json] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == MERGE and not key.style:
            for source in _plain(value) if isinstance(value, yaml.SequenceNode) else [_plain(value)]:
                for name, inner in source.items():
                    merged.setdefault(name, inner)
        else:
            result[_plain_key(key)] = _plain(value)
    return {**merged, **result}


def _tagged_text(node: Any) -> bool:
    """`!!str 1`: a plain scalar with a tag is longer than its text."""
    longer: bool = node.end_mark.index - node.start_mark.index > len(node.value)
    return longer and bool(node.tag == "tag:yaml.org,2002:str")
