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
    removed = _Cover(span for each in all_owned for span in each.removed)
    touched = _Cover(span for each in all_owned for span in (*each.removed, *each.changed))
    text = tree.source.text
    for old, new in (_windows(text, made), (Span(0, len(text)), Span(0, len(made)))):  # mostly the first is enough
        if not _comments_gone(tree, removed, made, old, new) and not _lines_gone(text, touched, made, old, new):
            return False
    return True


def _windows(text: str, made: str) -> tuple[Span, Span]:
    """The lines of both texts between those that they begin with alike, and those that they end with.

    What is not missing there is not missing at all; what is may be one of two lines alike, of which the other one went.
    """
    head = text.rfind("\n", 0, _common(text, made)) + 1
    room = min(len(text), len(made)) - head
    tail = _common(text[len(text) - room :][::-1], made[len(made) - room :][::-1])
    line = text.find("\n", len(text) - tail)
    tail = len(text) - line - 1 if tail and line >= 0 else 0
    return Span(head, len(text) - tail), Span(head, len(made) - tail)


def _common(a: str, b: str) -> int:
    """With how many characters both begin, found by halves: to compare is what is fast."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[low:middle] == b[low:middle] else (low, middle - 1)
    return low


def _comments_gone(tree: Tree, removed: _Cover, made: str, old: Span, new: Span) -> bool:
    text = tree.source.text
    seen = Counter(_HASH.findall(made, *new))  # also what only looks like one: enough to be sure, not to accuse
    if not Counter(m[0] for m in _HASH.finditer(text, *old) if not removed.touches(m.start(), m.end())) - seen:
        return False
    had = Counter(text[a:b].rstrip() for a, b in tree.comments() if not removed.touches(a, b))
    return bool(had - Counter(made[a:b].rstrip() for a, b in parse_yaml(made).comments()))


def _lines_gone(text: str, touched: _Cover, made: str, old: Span, new: Span) -> bool:
    lines = Counter(m[0] for m in _LINE.finditer(text, *old) if not touched.touches(m.start(), m.end()))
    if not lines:
        return False
    gone, come = lines - (there := Counter(_LINE.findall(made, *new))), there - lines
    return bool(Counter(map(_bare, gone.elements())) - Counter(map(_bare, come.elements())))


_HASH = re.compile(r"#[^\n]*")
_LINE = re.compile(r"[^\n]*[^\s]")
_EDGES = re.compile(r"^\s*(?:- +)*|,?(?=\s+#)|,?\s*$")


def _bare(line: str) -> str:
    """Without indentation, a dash before it, and the comma that tells whether more follows."""
    return _EDGES.sub("", line)
