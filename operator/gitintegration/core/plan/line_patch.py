"""Two texts as a unified patch, as git writes it: what the one loses and the other gains, with three lines around it. Pure."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_AROUND = 3
_COMPARED = 50_000
"""Pairs of lines past which what lies between two known lines is told as one piece: difflib takes time by the cube of lines
that repeat, and whoever writes a file may have it repeat them."""
_NO_NEWLINE = "\\ No newline at end of file\n"


@dataclass(frozen=True, slots=True)
class LinePatch:
    text: str
    added: int
    removed: int


def line_patch(path: str, old: str | None, new: str | None) -> LinePatch:
    """What makes `new` of `old` at a path of a repository; None: no such file. `git apply` takes it."""
    before, after = _lines(old), _lines(new)
    pieces = list(_pieces(before, after))
    added = sum(len(piece.after) for piece in pieces)
    removed = sum(len(piece.before) for piece in pieces)
    if old == new:
        return LinePatch("", 0, 0)
    name = [_quoted(f"{side}/{path}") for side in "ab"]
    head = f"diff --git {name[0]} {name[1]}\n"
    if old is None:
        head += "new file mode 100644\n"
    if new is None:
        head += "deleted file mode 100644\n"
    if not pieces:
        return LinePatch(head, 0, 0)
    head += f"--- {'/dev/null' if old is None else name[0]}\n+++ {'/dev/null' if new is None else name[1]}\n"
    return LinePatch(head + "".join(_hunk(group, before, after) for group in _grouped(pieces)), added, removed)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Lines that stand in the place of others, from these lines on."""

    at: int
    to: int
    before: Sequence[str]
    after: Sequence[str]


def _lines(text: str | None) -> list[str]:
    """With their ends, as git counts them: a carriage return ends none."""
    if not text:
        return []
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _pieces(before: Sequence[str], after: Sequence[str]) -> Iterator[_Piece]:
    """What differs between the lines that both have, once each, in the same order."""
    at = to = 0
    for here, there in [*_anchors(before, after), (len(before), len(after))]:
        yield from _between(before[at:here], after[to:there], at, to)
        at, to = here + 1, there + 1


def _between(old: Sequence[str], new: Sequence[str], at: int, to: int) -> Iterator[_Piece]:
    start, most = 0, min(len(old), len(new))
    while start < most and old[start] == new[start]:
        start += 1
    end = 0
    while end < most - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old, new, at, to = old[start : len(old) - end], new[start : len(new) - end], at + start, to + start
    if not old and not new:
        return
    if len(old) * len(new) > _COMPARED:
        yield _Piece(at, to, old, new)
        return
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield _Piece(at + a, to + c, old[a:b], new[c:d])


def _anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the lines that both sides have once: the longest run of them that is in order on both."""
    once = [{line for line, count in Counter(lines).items() if count == 1} for lines in (before, after)]
    there = {line: number for number, line in enumerate(after) if line in once[1]}
    pairs = [(n, there[line]) for n, line in enumerate(before) if line in once[0] and line in there]
    ends: list[int] = []  # by length of a run: the smallest place in `after` that one of it ends at
    last: list[int] = []
    before_it: list[int] = []
    for number, (_, to) in enumerate(pairs):
        length = bisect_left(ends, to)
        before_it.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [to]
        last[length : length + 1] = [number]
    found: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        found.append(pairs[number])
        number = before_it[number]
    return found[::-1]


def _grouped(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Those that have no more between them than what is shown around them."""
    group: list[_Piece] = []
    for piece in pieces:
        if group and piece.at - (group[-1].at + len(group[-1].before)) > 2 * _AROUND:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _hunk(group: Sequence[_Piece], before: Sequence[str], after: Sequence[str]) -> str:
    first, last = group[0], group[-1]
    lead = min(first.at, _AROUND)
    end = min(last.at + len(last.before) + _AROUND, len(before))
    lines: list[str] = []
    at = first.at - lead
    for piece in group:
        lines += [f" {line}" for line in before[at : piece.at]]
        lines += [f"-{line}" for line in piece.before]
        lines += [f"+{line}" for line in piece.after]
        at = piece.at + len(piece.before)
    lines += [f" {line}" for line in before[at:end]]
    old = end - (first.at - lead)
    new = old + sum(len(piece.after) - len(piece.before) for piece in group)
    head = f"@@ -{_range(first.at - lead, old)} +{_range(first.to - lead, new)} @@\n"
    return head + "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}" for line in lines)


def _range(start: int, count: int) -> str:
    first = start + 1 if count else start
    return str(first) if count == 1 else f"{first},{count}"


_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def _quoted(path: str) -> str:
    """As git quotes a path that would be misread."""
    if not any(c in _ESCAPES or ord(c) < 32 or ord(c) == 127 for c in path):
        return path
    return (
        '"' + "".join(_ESCAPES.get(c) or (f"\\{ord(c):03o}" if ord(c) < 32 or ord(c) == 127 else c) for c in path) + '"'
    )
