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
    if "#" in text:
        had = Counter(text[a:b].rstrip() for a, b in tree.comments() if not removed.touches(a, b))
        has = Counter(made[a:b].rstrip() for a, b in parse_yaml(made).comments())
        if had - has:
            return True
    lines = Counter(
        _bare(match[0]) for match in re.finditer(r"[^\n]*\S", text) if not touched.touches(match.start(), match.end())
    )
    return bool(lines - Counter(_bare(line) for line in made.split("\n")))


_EDGES = re.compile(r"^\s*(?:- +)*|,?(?=\s+#)|,?\s*$")


def _bare(line: str) -> str:
    """Without indentation, a dash before it, and the comma that tells whether more follows."""
    return _EDGES.sub("", line)
