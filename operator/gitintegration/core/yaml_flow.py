"""Flow collections anew: entries with a line each, as in KYAML and most JSON, or on lines together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from gitintegration.core.diff import same
from gitintegration.core.values import Json
from gitintegration.core.yaml_match import matched
from gitintegration.core.yaml_render import Style, flow, flow_key, with_added
from gitintegration.core.yaml_style import is_tall, line_indent, usual_quote
from gitintegration.core.yaml_tree import Entry, Node, Text, TooFineError


class _Part(NamedTuple):
    """What is in the collection then: the place of an old entry, or None for a new one, and its value."""

    place: int | None
    name: str | None
    value: Json


@dataclass(frozen=True, slots=True)
class FlowEdit:
    """`edit` gives an entry's new text, `drop` is told what goes, `merge` what a `<<` will bring in."""

    source: Text
    style: Style
    edit: Callable[[Entry, Json, Style], str]
    drop: Callable[[Entry], None]
    merge: Callable[[Entry], Mapping[str, Json]]

    def rewritten(self, node: Node, new: Json) -> str:
        """The text of a collection from its opening bracket to its closing one. Raises TooFineError."""
        tall = is_tall(self.source, node)
        style = self._inner_style(node, tall=tall)
        parts = self._list(node, new) if isinstance(new, list) else self._map(node, new)
        wanted = {part.place: part.value for part in parts if part.place is not None}
        texts: dict[int, str] = {}
        for index, entry in enumerate(node.entries):
            if index not in wanted:
                self.drop(entry)
            elif entry.is_merge:
                texts[index] = self._raw(entry)
            else:
                texts[index] = self.edit(entry, wanted[index], style)
        below = self.source.column(node.entries[0].start) if tall else line_indent(self.source, node.content)
        made: list[tuple[int | None, str]] = []
        for part in parts:
            key = "" if part.name is None else f"{flow_key(part.name, style)}{style.colon}"
            text = texts[part.place] if part.place is not None else key + flow(part.value, style, below)
            made.append((part.place, text))
        if [place for place, _ in made] == list(range(len(node.entries))):
            return self._same_shape(node, texts)
        return self._tall(node, made) if tall else self._wide(node, made)

    def _raw(self, entry: Entry) -> str:
        return self.source.text[entry.start : entry.end]

    def _inner_style(self, node: Node, *, tall: bool) -> Style:
        """Strings have the quotes that all strings beside them have."""
        spread = tall or "\n" in self.source.text[node.content : node.end]
        usual = usual_quote(node, flow=True)
        quoted = self.style.quoted if usual is None else bool(usual)
        return replace(self.style, tall=spread and self.style.tall, quoted=quoted, quote=usual or self.style.quote)

    def _list(self, node: Node, new: list[Json]) -> list[_Part]:
        return [_Part(place, None, value) for place, value in zip(matched(node.value, new), new, strict=True)]

    def _map(self, node: Node, new: dict[str, Json]) -> list[_Part]:
        """Old keys stay in their order; new ones go where they belong, behind the last `<<`."""
        given: dict[str, Json] = {}
        explicit = {e.name for e in node.entries if not e.is_merge}
        for entry in node.entries:
            if entry.is_merge:
                given.update(self.merge(entry))
                if any(k not in new for k in given):
                    raise TooFineError
        parts = [
            _Part(index, entry.name, new.get(entry.name))
            for index, entry in enumerate(node.entries)
            if entry.is_merge or entry.name in new
        ]
        behind = max((i + 1 for i, part in enumerate(parts) if node.entries[part.place or 0].is_merge), default=0)
        old = {part.name: part for part in parts[behind:]}
        added = [k for k in new if k not in explicit and not (k in given and same(given[k], new[k]))]
        placed = with_added([str(name) for name in old], added)
        return [*parts[:behind], *(old.get(name) or _Part(None, name, new[name]) for name in placed)]

    def _same_shape(self, node: Node, texts: Mapping[int, str]) -> str:
        text, at, out = self.source.text, node.content, []
        for index, entry in enumerate(node.entries):
            out += [text[at : entry.start], texts[index]]
            at = entry.end
        return "".join([*out, text[at : node.end]])

    def _tall(self, node: Node, made: list[tuple[int | None, str]]) -> str:
        """Each entry with its lines: the comments above it, and the one behind it."""
        text, source = self.source.text, self.source
        pad = text[source.line_start(node.entries[0].start) : node.entries[0].start]
        starts = [source.line_start(e.start) for e in node.entries]
        ends = [source.line_end(e.end) for e in node.entries]
        closing = source.line_start(node.end - 1)
        comma = text[source.behind(node.entries[-1].end)] == ","
        leads = [text[a:b] for a, b in zip([source.line_end(node.content), *ends], starts, strict=False)]
        lines: list[str] = []
        kept = {place for place, _ in made}
        at = 0
        for number, (place, core) in enumerate(made):
            end = "," if comma or number + 1 < len(made) else ""
            if place is None:
                lines.append(f"{pad}{core}{end}\n")
                continue
            lines += [_unowned(leads[i]) for i in range(at, place) if i not in kept]
            rest = re.sub(r"^[ \t]*,", "", text[node.entries[place].end : ends[place]])
            lines.append(f"{leads[place]}{pad}{core}{end}{rest if rest.strip() else chr(10)}")
            at = max(at, place + 1)
        lines += [_unowned(leads[i]) for i in range(at, len(leads)) if i not in kept]
        head = text[node.content : source.line_end(node.content)]
        return head + "".join(lines) + text[ends[-1] : closing] + text[closing : node.end]

    def _wide(self, node: Node, made: list[tuple[int | None, str]]) -> str:
        """What stood between two entries stands there again; a comment in it stays with the entry before it."""
        text, entries = self.source.text, node.entries
        gaps = [text[a.end : b.start] for a, b in itertools.pairwise(entries)]
        opening, closing = text[node.content : entries[0].start], text[entries[-1].end : node.end]
        usual = next((gap for gap in reversed(gaps) if "#" not in gap), self.style.comma)
        places = [place for place, _ in made if place is not None]
        if places != sorted(places) and any("#" in gap for gap in (*gaps, opening, closing)):
            raise TooFineError
        out, last = [opening], None
        for number, (place, core) in enumerate(made):
            if number:
                out.append(
                    gaps[last] if place is not None and last is not None and last < min(place, len(gaps)) else usual
                )
            out.append(core)
            last = place
        if last is not None and last < len(gaps) and "#" in gaps[last]:
            out.append(gaps[last].rstrip(" ") if not self.style.json else "")
            closing = closing.lstrip(",")
        return "".join([*out, closing])


def _unowned(lead: str) -> str:
    """What stood above an entry that went, without the comments directly above it."""
    lines = lead.splitlines(keepends=True)
    while lines and lines[-1].strip().startswith("#"):
        lines.pop()
    return "".join(lines)
