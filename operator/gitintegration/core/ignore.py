"""Patterns as in .gitignore, of files that are no pipelines.

Anybody who commits writes them, so they are matched by re2, in time linear in pattern and path (Python's own expressions
took 18 s for `*a*a*a*a*a*ab` and a name of 60 letters), are bounded, and are compiled and matched in worker processes only:
compiling 800 lines was measured at 3 s. What git takes for no pattern is passed over, as git does.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import lru_cache

import re2  # type: ignore[import-untyped]
from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

from gitintegration.errors import LimitExceeded

_MOST, _LONGEST = 1000, 1024
"""Patterns, and characters of each."""
_NO_PATTERN = (GitIgnorePatternError, re.error, re2.error, UnicodeError)


def checked(lines: Sequence[str], where: str) -> tuple[str, ...]:
    """The lines that may be patterns. Raises LimitExceeded, naming `where` they stand, for too many or too long ones.

    To drop some would have files synced that nobody meant to be.
    """
    found = tuple(line for line in lines if line.strip() and not line.startswith("#"))
    if len(found) > _MOST:
        raise LimitExceeded(f"{where} holds {len(found)} patterns; {_MOST} are allowed")
    if any(len(line) > _LONGEST for line in found):
        raise LimitExceeded(f"{where} holds a pattern of more than {_LONGEST} characters")
    return found


def ignores(patterns: tuple[str, ...], path: str) -> bool:
    """Whether the last pattern that matches a path, below the prefix, takes it out. Raises LimitExceeded."""
    return bool(patterns) and _compiled(patterns).match_file(path)


@lru_cache(maxsize=4)
def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    try:
        return _compile(patterns)
    except _NO_PATTERN:
        good = tuple(line for line in patterns if _is_pattern(line))
    try:
        return _compile(good)
    except _NO_PATTERN:  # each by itself can be matched: re2 takes only so much memory for all
        words = f"the {len(good)} patterns of spec.ignore and the ignore file take too much memory together: have fewer stars in them"
        raise LimitExceeded(words) from None


def _is_pattern(line: str) -> bool:
    try:
        _compile((line,))
    except _NO_PATTERN:
        return False
    return True


def _compile(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of Python's own expressions, which match nothing here
        return GitIgnoreSpec.from_lines(patterns, backend="re2")
