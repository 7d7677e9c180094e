"""A document's text anew: what did not change is copied as it stands, what changed is written in the file's style.

An entry of a block collection is a run of whole lines: the comments directly above it, its own lines, and the comments
below that are set in deeper. It travels, and goes, with all of them; what lies between entries stays.

An alias follows its anchor: an anchored value is edited where it stands, and an alias whose value is then another one
is replaced by what it should be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from gitintegration.core.diff import same
from gitintegration.core.values import Json
from gitintegration.core.yaml_flow import FlowEdit
from gitintegration.core.yaml_loss import Owned, Span
from gitintegration.core.yaml_match import matched
from gitintegration.core.yaml_read import merged
from gitintegration.core.yaml_render import (
    NOT_IN_LINES,
    Style,
    behind,
    block,
    flow,
    in_order,
    is_plain,
    item,
    literal,
    scalar,
    with_added,
)
from gitintegration.core.yaml_style import is_tall, line_indent, style_of, usual_quote
from gitintegration.core.yaml_tree import Entry, Node, Text, TooFineError

_TAIL = re.compile(r"[ \t]+#[^\n]*")
_HEADER = re.compile(r"([|>])([0-9+-]*)([^\n]*)")
_ABSENT: Final[Any] = object()
FINEST: Final = 1 << 30
"""Deeper than any value is."""


class Rewriter:
    """Of one document. Below `depth` levels, what changed is written anew as a whole."""

    def __init__(self, source: Text, root: Node, *, json: bool = False, depth: int = FINEST) -> None:
        self.source = source
        self.text = source.text
        self.root = root
        self.json = json
        self.depth = depth
        self.deepest = 0
        """How deep fine edits went."""
        self.owned = Owned()
        self._planned: dict[int, Json] = {}
        """What anchored nodes are going to be, by id; absent from it, they stay."""

    @cached_property
    def style(self) -> Style:
        return style_of(self.source, self.root, json=self.json)

    def rewritten(self, new: Json, limit: int) -> tuple[Span, str]:
        """The place of the document's content up to `limit`, and its new text."""
        root = self.root
        if self._stays(root, new):
            return Span(root.start, root.start), ""
        new = in_order(new)
        self._plan(root, new)
        try:
            if root.is_block and type(new) is type(root.value) and new and self.depth > 0:
                start = self.source.line_start(root.content)
                start = start if self.source.starts_line(root.content) else root.content
                pieces = self._pieces(root, start, limit, root=True)
                return Span(start, pieces[-1].end), self._block(root, new, pieces, 0)
            if root.style in ("{", "[") and type(new) is type(root.value) and new and self.depth > 0:
                return Span(root.content, root.end), self._flow(root, new, 0)
        except TooFineError:
            pass
        self._forget(root)
        self.owned = Owned()
        self._own(root, new, root.start)
        if root.style in ("{", "["):
            return Span(root.start, root.end), flow(new, self.style)
        return Span(root.start, root.end), "\n".join(block(new, 0, self.style))

    # What stays, and what aliases stand for

    def _stays(self, node: Node, new: Json) -> bool:
        if node.kind == "alias":
            return same(self._meant(node), new)
        if not same(node.value, new):
            return False
        return not (node.has_alias and self._planned) or self._follows(node)

    def _follows(self, node: Node) -> bool:
        """Whether each alias in it still stands for the same."""
        return all(same(self._meant(inner), inner.value) for inner in node.walk() if inner.kind == "alias")

    def _meant(self, alias: Node) -> Json:
        target = alias.target
        return self._planned.get(id(target), target.value) if target is not None else None

    def _plan(self, node: Node, new: Json) -> None:
        if node.anchor is not None:
            self._planned[id(node)] = new

    def _forget(self, node: Node, *, but: bool = True) -> None:
        """Anchors in it are not there any more; with `but`, its own is."""
        for inner in node.walk():
            if inner.anchor is not None and not (but and inner is node):
                self._planned[id(inner)] = _ABSENT

    # Block collections

    def _pieces(self, node: Node, start: int, limit: int, *, root: bool = False) -> list[Piece]:
        """The lines of each entry; the first begins at `start` or behind it, no one reaches beyond `limit`."""
        column = self.source.column(node.entries[0].start)
        places = [self._place_of(entry, start, limit) for entry in node.entries]
        pieces: list[Piece] = []
        gap = start
        for index, (begin, end) in enumerate(places):
            if index and not self.source.starts_line(begin):
                raise TooFineError
            lead = begin if (root and index == 0) else self._lead(gap, begin)
            following = places[index + 1][0] if index + 1 < len(places) else limit
            pieces.append(Piece(node.entries[index], gap, lead, gap := self._tail(end, following, column)))
        return pieces

    def _place_of(self, entry: Entry, start: int, limit: int) -> tuple[int, int]:
        """Its lines, from their begin or from behind the dash before it."""
        begin = self.source.line_start(entry.start) if self.source.starts_line(entry.start) else entry.start
        end = self.source.line_end(entry.end)
        if begin < start or end > limit:
            raise TooFineError
        return begin, end

    def _tail(self, start: int, limit: int, column: int) -> int:
        """Behind the comments that are set in deeper than `column`."""
        at = end = start
        while at < limit:
            stop = self.source.line_end(at)
            line = self.text[at:stop]
            bare = line.lstrip(" ")
            if bare.startswith("#") and len(line) - len(bare) > column:
                end = stop
            elif bare.strip():
                break
            at = stop
        return min(end, limit)

    def _lead(self, start: int, begin: int) -> int:
        """Where the comments directly above begin."""
        while begin > start:
            line = self.source.line_start(begin - 1)
            if line < start or not self.text[line:begin].lstrip(" \t").startswith("#"):
                break
            begin = line
        return begin

    def _block(self, node: Node, new: Json, pieces: list[Piece], level: int) -> str:
        column = self.source.column(node.entries[0].start)
        make = self._map if node.kind == "map" else self._list
        made = make(node, new, pieces, column, level)
        first = pieces[0]
        if self.source.starts_line(first.entry.start):
            return made
        made = made.lstrip("\n")
        if made[:column].strip(" "):
            raise TooFineError
        return made[column:]

    def _raw(self, piece: Piece, column: int) -> str:
        """Its lines, the first one set in also where it stood behind a dash."""
        pad = "" if self.source.starts_line(piece.entry.start) else " " * column
        return pad + self.text[piece.lead : piece.end]

    def _map(self, node: Node, new: dict[str, Json], pieces: list[Piece], column: int, level: int) -> str:
        expand = self._must_expand(node, new)
        lines: dict[str, list[str]] = {}
        order: list[str] = []
        given: set[str] = set()
        explicit = {p.entry.name for p in pieces if not p.entry.is_merge}
        for index, piece in enumerate(pieces):
            entry = piece.entry
            gap = self.text[piece.gap : piece.lead]
            slot = f"\0{index}" if entry.is_merge else entry.name
            order.append(slot)
            if entry.is_merge:
                source = self._sources(entry)
                if expand:
                    self._drop(piece)
                    mine = {k: new[k] for k in source if k in new and k not in explicit and k not in given}
                    given |= set(mine)
                    lines[slot] = [gap, *self._new_lines(mine, column, node)]
                else:
                    given |= {k for k in source if k in new and k not in explicit and same(source[k], new[k])}
                    lines[slot] = [gap, self._merge_entry(piece, column)]
            elif entry.name in new:
                lines[slot] = [gap, self._entry(piece, new[entry.name], column, level)]
            else:
                self._drop(piece)
                lines[slot] = [gap]
        added = [name for name in new if name not in explicit and name not in given]
        self._place(node, new, added, order, lines, column)
        return "".join(text for slot in order for text in lines[slot])

    def _merge_entry(self, piece: Piece, column: int) -> str:
        """A `<<` whose aliases are still there."""
        if any(self._meant(n) is _ABSENT for n in piece.entry.value.walk() if n.kind == "alias"):
            raise TooFineError
        return self._raw(piece, column)

    def _sources(self, entry: Entry) -> dict[str, Json]:
        """What a `<<` brings in, as its anchors are going to be."""
        value = entry.value
        if value.kind == "list":
            maps = [self._meant(e.value) if e.value.kind == "alias" else e.value.value for e in value.entries]
        else:
            maps = [self._meant(value) if value.kind == "alias" else value.value]
        return merged([m for m in maps if isinstance(m, dict)])

    def _must_expand(self, node: Node, new: dict[str, Json]) -> bool:
        """Whether a `<<` brings in what should not be there, or hides what stands before it."""
        if not any(entry.is_merge for entry in node.entries):
            return False
        result: dict[str, Json] = {}
        explicit = {entry.name for entry in node.entries if not entry.is_merge}
        for entry in node.entries:
            if entry.is_merge:
                if any(self._meant(n) is _ABSENT for n in entry.value.walk() if n.kind == "alias"):
                    return True
                result.update(self._sources(entry))
            elif entry.name in new:
                result[entry.name] = new[entry.name]
        return any(k not in new or (k in explicit and not same(v, new[k])) for k, v in result.items())

    def _place(
        self,
        node: Node,
        new: Mapping[str, Json],
        added: list[str],
        order: list[str],
        lines: dict[str, list[str]],
        column: int,
    ) -> None:
        """Put each added key where it belongs, behind the last `<<`: that one would hide what stands before it."""
        behind = max((i + 1 for i, slot in enumerate(order) if slot not in new and slot.startswith("\0")), default=0)
        there = [name for name in order[behind:] if name in new]
        starts_line = self.source.starts_line(node.entries[0].start)
        before = order[behind - 1] if behind else None
        at: dict[str | None, list[str]] = {}
        fresh = set(added)
        for name in with_added(there, added, first_stays=not starts_line and order[0] in there[:1]):
            if name in fresh:
                at.setdefault(before, []).append("".join(self._new_lines({name: new[name]}, column, node)))
            else:
                before = name
        for place, texts in at.items():
            if place is not None:
                lines[place] += texts
            elif starts_line:
                lines[order[0]].insert(1, "".join(texts))
            else:
                lines[order[0]][len(lines[order[0]]) :] = texts

    def _new_lines(self, values: Mapping[str, Json], column: int, node: Node) -> list[str]:
        if not values:
            return []
        quote = usual_quote(node)
        made = []
        for name, value in values.items():
            if quote and isinstance(value, str) and "\n" not in value:
                made.append(f"{' ' * column}{scalar(name)}: {scalar(value, quote=quote)}\n")
            else:
                made += [f"{line}\n" for line in block({name: value}, column, self.style)]
        return made

    def _list(self, node: Node, new: list[Json], pieces: list[Piece], column: int, level: int) -> str:
        places = matched(node.value, new)
        kept = {place: value for place, value in zip(places, new, strict=True) if place is not None}
        texts: dict[int, str] = {}
        for index, piece in enumerate(pieces):
            if index in kept:
                texts[index] = self._entry(piece, kept[index], column, level)
            else:
                self._drop(piece)
        gaps = [self.text[piece.gap : piece.lead] for piece in pieces]
        moved = [p for p in places if p is not None]
        if moved != sorted(moved) and any(n.has_alias or n.anchor for n in node.walk()):
            raise TooFineError
        return self._in_order(node, new, places, texts, gaps, column)

    def _in_order(
        self, node: Node, new: list[Json], places: list[int | None], texts: dict[int, str], gaps: list[str], column: int
    ) -> str:
        """The items in their new order; what lay between them stays where it was, as far as there are items left."""
        quote = usual_quote(node)
        out: list[str] = []
        at = 0
        slots = iter(sorted(place for place in places if place is not None))
        for value, place in zip(new, places, strict=True):
            if place is None:
                out.append(self._new_item(value, column, quote))
                continue
            stop = next(slots) + 1
            out += gaps[at:stop]
            at = stop
            out.append(texts[place])
        return "".join([*out, *gaps[at:]])

    def _new_item(self, value: Json, column: int, quote: str | None) -> str:
        if quote and isinstance(value, str) and "\n" not in value:
            return f"{' ' * column}- {scalar(value, quote=quote)}\n"
        return "".join(f"{line}\n" for line in item(value, column, self.style))

    def _drop(self, piece: Piece) -> None:
        self.owned.removed.append(Span(piece.lead, piece.end))
        self._forget(piece.entry.value, but=False)

    # One entry

    def _entry(self, piece: Piece, new: Json, column: int, level: int) -> str:
        entry, node = piece.entry, piece.entry.value
        if self._stays(node, new):
            return self._raw(piece, column)
        self._plan(node, new)
        self.deepest = max(self.deepest, level + 1)
        pad = "" if self.source.starts_line(entry.start) else " " * column
        marks = len(self.owned.changed), len(self.owned.removed)
        try:
            if level + 1 >= self.depth:
                raise TooFineError
            return pad + self._fine(piece, new, column, level + 1)
        except TooFineError:
            del self.owned.changed[marks[0] :], self.owned.removed[marks[1] :]
            self._forget(node)
            self._own(node, new, entry.start)
            return pad + self._coarse(piece, new, column)

    def _own(self, node: Node, new: Json, start: int) -> None:
        """What an edit owns of an entry at `start` that is written anew: where its value is another one."""
        if self._stays(node, new):
            return
        if node.entries and isinstance(new, dict | list) and not new:
            self.owned.removed.append(Span(node.content, node.end))
        if not node.is_block or type(new) is not type(node.value) or not new:
            self.owned.changed.append(Span(start, node.end))
        if not node.is_block or type(new) is not type(node.value):
            return
        if isinstance(new, dict):
            kept = {i: new[e.name] for i, e in enumerate(node.entries) if e.name in new}
        else:
            places = enumerate(matched(node.value, new))
            kept = {place: new[index] for index, place in places if place is not None}
        before = start
        for index, entry in enumerate(node.entries):
            if index in kept:
                self._own(entry.value, kept[index], entry.start)
            elif not entry.is_merge:
                line = self.source.line_start(entry.start)
                self.owned.removed.append(Span(self._lead(before, line), self.source.line_end(entry.end)))
            before = self.source.line_end(entry.end)

    def _fine(self, piece: Piece, new: Json, column: int, level: int) -> str:
        entry, node, text = piece.entry, piece.entry.value, self.text
        if entry.sign is None or node.kind == "alias":
            raise TooFineError
        if node.kind == "scalar":
            if isinstance(new, dict | list):
                raise TooFineError
            made, start = self._scalar(node, new, column)
            self.owned.changed.append(Span(entry.start, max(node.end, entry.sign)))
            return text[piece.lead : start] + made + text[node.end : piece.end]
        if type(new) is not type(node.value) or not new or not node.value:
            raise TooFineError
        if node.style:
            made = self._flow(node, new, level)
            return text[piece.lead : node.content] + made + text[node.end : piece.end]
        start = self._body(entry)
        pieces = self._pieces(node, start, piece.end)
        return text[piece.lead : start] + self._block(node, new, pieces, level) + text[pieces[-1].end : piece.end]

    def _body(self, entry: Entry) -> int:
        """Where the lines of a block collection begin: below its key, or behind its dash."""
        node = entry.value
        behind_sign = max(self._properties_end(node), entry.sign or 0)
        below = self.source.line_end(behind_sign)
        return below if node.content >= below else node.content

    def _properties_end(self, node: Node) -> int:
        """Behind its anchor and tag, or 0 where it has none."""
        own = self.text[node.start : node.content]
        bare = re.sub(r"[ \t]#[^\n]*", lambda match: " " * len(match[0]), own)
        return node.start + len(bare.rstrip()) if own else 0

    def _coarse(self, piece: Piece, new: Json, column: int) -> str:
        """The entry with a value that is written anew; the comment on its first line stays, and those behind it."""
        entry, node, text = piece.entry, piece.entry.value, self.text
        if entry.sign is None:
            if entry.key is None:
                raise TooFineError
            head = text[piece.lead : self.source.line_start(entry.start)] + " " * column
            head = head if self.source.starts_line(entry.start) else ""
            made = "\n".join(block({entry.name: new}, column, self.style))[column:]
            return f"{head}{made}\n{text[self.source.line_end(entry.end) : piece.end]}"
        head = text[piece.lead : entry.sign]
        anchor = f" &{node.anchor}" if node.anchor and node.kind != "alias" else ""
        comment = self._comment(entry)
        rest = text[self.source.line_end(entry.end) : piece.end]
        if not self._in_block(entry, new):
            return f"{head}{anchor} {self._inline(new, node, column)}{comment}\n{rest}"
        if entry.key is None and isinstance(new, dict | list) and not anchor and not comment:
            lines = item(new, column, self.style)
            return f"{head}{lines[0][column + 1 :]}\n" + "".join(f"{line}\n" for line in lines[1:]) + rest
        first, lines = behind(new, column, self.style if entry.key is not None else replace(self.style, step=2, dash=2))
        return f"{head}{anchor}{first}{comment}\n" + "".join(f"{line}\n" for line in lines) + rest

    def _in_block(self, entry: Entry, new: Json) -> bool:
        """Whether a value is written in lines of its own."""
        if isinstance(new, str):
            return "\n" in new and literal(new, 2, 0) is not None and entry.value.style not in ("'", '"')
        return isinstance(new, dict | list) and bool(new)

    def _inline(self, new: Json, node: Node, column: int) -> str:
        if isinstance(new, str):
            quote = node.style if node.style in ("'", '"') else ""
            return scalar(new, quote=quote, default=self.style.quote)
        return flow(new, self.style, column)

    def _comment(self, entry: Entry) -> str:
        """The one on the first line of an entry's value, or behind it."""
        node = entry.value
        if node.is_block:
            at = max(self._properties_end(node), entry.sign or 0)
            if node.content < self.source.line_end(at):
                return ""
        elif node.is_block_scalar:
            match = _HEADER.match(self.text, node.content)
            at = match.end(2) if match else node.content
        else:
            at = max(node.end, entry.sign or 0)
        match_ = _TAIL.match(self.text, at)
        return match_[0] if match_ else ""

    # Scalars

    def _scalar(self, node: Node, new: Json, column: int) -> tuple[str, int]:
        """The new text, and where it begins; it ends where the node does."""
        if node.is_block_scalar:
            return self._block_scalar(node, new, column), node.content
        if isinstance(new, str) and "\n" in new and node.style not in ("'", '"') and literal(new, 2, 0):
            raise TooFineError
        return self._line(node, new)

    def _line(self, node: Node, new: Json, *, in_flow: Style | None = None) -> tuple[str, int]:
        start, anchor = node.content, ""
        if node.tag is not None and not (node.tag.endswith(":str") and isinstance(new, str)):
            start, anchor = node.start, f"&{node.anchor} " if node.anchor else ""
        if in_flow and in_flow.json:
            return flow(new, in_flow), start
        quote = node.style if node.style in ("'", '"') else in_flow.quote if in_flow and in_flow.quoted else ""
        if not isinstance(new, str) or (not quote and is_plain(new, flow=in_flow is not None)):
            made = anchor + (new if isinstance(new, str) else scalar(new))
        else:
            made = anchor + scalar(new, quote=quote or (in_flow or self.style).quote)
        if node.start == node.end or (node.content == node.end and start == node.content):
            made = f" {made}"
        return made, start

    def _block_scalar(self, node: Node, new: Json, column: int) -> str:
        """A line of it is a line of the file: those that stay, stay as they are."""
        text = self.text
        head = _HEADER.match(text, node.content)
        if not isinstance(new, str) or head is None or node.tag is not None:
            raise TooFineError
        lines = text[head.end() + 1 : node.end].split("\n") if node.end > head.end() else []
        digit = next((int(ch) for ch in head[2] if ch.isdigit()), 0)
        indent = column + digit if digit else _indent(lines, column + self.style.step)
        blank = self._blank_lines(self.source.line_end(node.end))
        if head[1] == ">" and (folded := _refolded(lines, node.value, new, indent)) is not None:
            return head[0] + "".join(f"\n{line}" for line in folded)
        made = literal(new, indent, column, kept=True, blank=blank)
        if made is None:
            raise TooFineError
        header, *body = made
        if digit and not header[1:2].isdigit():
            header = f"|{digit}{header[1:]}"
        if head[1] == "|" and "+" in head[2] and header[-1] not in "-+" and not blank:
            header += "+"
        if head[1] == "|":
            body = _kept_lines(lines, body, indent)
            flags = set(head[2]) == set(header[1:])
            header = f"|{head[2]}" if flags else header
        return "\n".join([header + head[3], *body])

    def _blank_lines(self, at: int) -> int:
        count = 0
        while at < len(self.text) and not self.text[at : (end := self.source.line_end(at))].strip(" \n"):
            count, at = count + 1, end
        return count

    # Flow collections

    def _flow(self, node: Node, new: Json, level: int) -> str:
        def edit(entry: Entry, value: Json, style: Style) -> str:
            return self._flow_entry(entry, value, style, level + 1)

        if not is_tall(self.source, node):
            self.owned.changed.append(Span(node.content, node.end))

        def drop(entry: Entry) -> None:
            self.owned.removed.append(self._flow_span(entry))
            self._forget(entry.value, but=False)

        return FlowEdit(self.source, self.style, edit, drop, self._sources).rewritten(node, new)

    def _flow_span(self, entry: Entry) -> Span:
        """With the comments above it and behind it, where it has lines of its own."""
        if not self.source.starts_line(entry.start):
            return Span(entry.start, entry.end)
        rest = self.text[entry.end : self.source.line_end(entry.end)].lstrip(" ,")
        end = self.source.line_end(entry.end) if not rest.strip() or rest.startswith("#") else entry.end
        return Span(self._lead(0, self.source.line_start(entry.start)), end)

    def _flow_entry(self, entry: Entry, new: Json, style: Style, level: int) -> str:
        node, text = entry.value, self.text
        if self._stays(node, new):
            return text[entry.start : entry.end]
        self._plan(node, new)
        self.deepest = max(self.deepest, level)
        if node.style in ("{", "[") and type(new) is type(node.value) and new and node.value and level < self.depth:
            try:
                return text[entry.start : node.content] + self._flow(node, new, level)
            except TooFineError:
                pass
        self._forget(node)
        self._own(node, new, entry.start)
        if node.kind == "scalar" and not isinstance(new, dict | list) and (entry.key is None or entry.sign):
            made, start = self._line(node, new, in_flow=style)
            return text[entry.start : start] + (made.lstrip() if text[start - 1].isspace() else made)
        head = text[entry.start : entry.sign] + style.colon[1:] if entry.sign else ""
        if entry.key is not None and not entry.sign:
            head = f"{text[entry.start : entry.key.end]}{style.colon}"
        anchor = f"&{node.anchor} " if node.anchor and node.kind != "alias" else ""
        return head + anchor + flow(new, style, line_indent(self.source, entry.start))


@dataclass(frozen=True, slots=True)
class Piece:
    """The lines of an entry. From `gap` to `lead` lies what belongs to none, from `lead` the comments above it."""

    entry: Entry
    gap: int
    lead: int
    end: int


def _indent(lines: list[str], default: int) -> int:
    """Of a block scalar's lines: that of the first one which isn't blank."""
    return next((len(line) - len(line.lstrip(" ")) for line in lines if line.strip(" ")), default)


def _kept_lines(old: list[str], new: list[str], indent: int) -> list[str]:
    """The new lines, as they stood in the file where they stood there: blank ones may hold spaces."""
    places = matched([line[indent:] for line in old], [line[indent:] for line in new])
    same_ = [
        place is not None and old[place][indent:] == line[indent:] for place, line in zip(places, new, strict=True)
    ]
    return [old[p] if p is not None and s else line for p, s, line in zip(places, same_, new, strict=True)]


def _refolded(lines: list[str], old: str, new: str, indent: int) -> list[str] | None:
    """A folded text's lines with the change in the lines that hold it; None where folding is not that simple."""
    bare = [line[indent:] for line in lines]
    body, wanted = old.rstrip("\n"), new.rstrip("\n")
    if len(old) - len(body) != len(new) - len(wanted) or any(line[:1] in (" ", "\t") for line in bare):
        return None
    places, at = _folded_places(bare)
    if at != len(body) or not wanted or not places:
        return None
    head = next((i for i, (a, b) in enumerate(zip(body, wanted, strict=False)) if a != b), min(len(body), len(wanted)))
    room = min(len(body), len(wanted)) - head
    tail = next((i for i in range(room) if body[-1 - i] != wanted[-1 - i]), room)
    first = max((i for i, (_, start, _) in enumerate(places) if start <= head), default=0)
    last = min((i for i, (_, _, end) in enumerate(places) if end >= len(body) - tail), default=len(places) - 1)
    middle = wanted[places[first][1] : len(wanted) - (len(body) - places[last][2])]
    made: list[str] = []
    for number, part in enumerate(re.split("(\n+)", middle)):
        if number % 2:
            made += [""] * len(part)
        elif not part or part[0] in " \t" or NOT_IN_LINES.search(part):
            return None
        else:
            made.append(" " * indent + part)
    return [*lines[: places[first][0]], *made, *lines[places[last][0] + 1 :]]


def _folded_places(lines: list[str]) -> tuple[list[tuple[int, int, int]], int]:
    """For each line that isn't blank: its index, and where it begins and ends in the folded text; the text's length."""
    places: list[tuple[int, int, int]] = []
    at = blank = 0
    for index, line in enumerate(lines):
        if not line:
            blank += 1
            continue
        at += max(blank, 1) if places else blank
        places.append((index, at, at + len(line)))
        at, blank = at + len(line), 0
    return places, at
