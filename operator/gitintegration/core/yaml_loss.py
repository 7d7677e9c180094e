"""What an edit took from a file beside what it was to change: found by comparing, not by how it was made."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from gitintegration.core.yaml_tree import Tree, parse_yaml


class Span(NamedTuple):
    start: int
    end: int


@dataclass(slots=True)
class Owned:
    """What edits may touch: the lines of changed values, but not their comments, and all of what is removed."""

    changed: list[Span] = field(default_factory=list)
    removed: list[Span] = field(default_factory=list)


class _Cover:
    """Spans, to be asked about."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        end = -1
        for span in sorted(spans):
            end = max(end, span.end)
            self._starts.append(span.start)
            self._ends.append(end)

    def touches(self, start: int, end: int) -> bool:
        before = bisect_right(self._starts, end)
        return before > 0 and self._ends[before - 1] >= start


def is_lossy(tree: Tree, owned: Iterable[Owned], made: str) -> bool:
    """Whether a comment is gone that stood in nothing removed, or a line that no edit owns."""
    all_owned = list(owned)
    text = tree.source.text
    removed = _Cover(span for each in all_owned for span in each.removed)
    touched = _Cover(span for each in all_owned for span in (*each.removed, *each.changed))
    return _comments_gone(tree, removed, made) or _lines_gone(text, touched, made)


def _comments_gone(tree: Tree, removed: _Cover, made: str) -> bool:
    text = tree.source.text
    if "#" not in text:
        return False
    seen = Counter(_HASH.findall(made))  # also what only looks like one: enough to be sure, not to accuse
    if not Counter(m[0] for m in _HASH.finditer(text) if not removed.touches(m.start(), m.end())) - seen:
        return False
    had = Counter(text[a:b].rstrip() for a, b in tree.comments() if not removed.touches(a, b))
    return bool(had - Counter(made[a:b].rstrip() for a, b in parse_yaml(made).comments()))


def _lines_gone(text: str, touched: _Cover, made: str) -> bool:
    lines = Counter(m[0] for m in _LINE.finditer(text) if not touched.touches(m.start(), m.end()))
    gone, come = lines - (there := Counter(_LINE.findall(made))), there - lines
    return bool(Counter(map(_bare, gone.elements())) - Counter(map(_bare, come.elements())))


_HASH = re.compile(r"#[^\n]*")
_LINE = re.compile(r"[^\n]*[^\s]")
_EDGES = re.compile(r"^\s*(?:- +)*|,?(?=\s+#)|,?\s*$")


def _bare(line: str) -> str:
    """Without indentation, a dash before it, and the comma that tells whether more follows."""
    return _EDGES.sub("", line)
