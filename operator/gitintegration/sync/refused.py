"""Pushes that a server declines for what is in one file: the others are pushed without it.

A rule on contents (secret scanning, file names, sizes) speaks of single files. Its answer may name them; else they are found
by halves. So many declined pushes in a run, and no more: a rule that forbids the whole push must not be tried for ever.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.values import Json, ObjectKey
from gitintegration.errors import Reason, RemoteError
from gitintegration.sync.item import Item

_DECLINED = 8
"""Pushes that may be declined in one run."""
_KEPT_FOR = 600.0
"""Seconds for which what was declined is not tried again: the server's rules may change."""
_OF_ALL = (
    "protected branch",
    "not allowed to push",
    "pull request",
    "permission",
    "archived",
    "read-only",
    "read only",
)
"""What is said of a push whatever it holds."""

Attempt: TypeAlias = Callable[[Sequence[Item]], Awaitable[None]]


@dataclass(slots=True)
class Refused:
    """What a server declined, until it is another value, or some time has passed."""

    _known: dict[ObjectKey, tuple[str, Problem, float]] = field(default_factory=dict)
    _now: float = 0.0

    def add(self, item: Item, path: str, words: str) -> None:
        """The server declined what of the item should be at `path`: that is the item's problem."""
        item.problem = Problem(path, InvalidReason.PushRefused, f"{item.key}: {words}")
        if item.decision.git is not None:
            self._known[item.key] = _digest(item.decision.git.value), item.problem, self._now + _KEPT_FOR

    def problem(self, key: ObjectKey, value: Json | None) -> Problem | None:
        """Why this value is not pushed."""
        known = self._known.get(key)
        return known[1] if known and known[0] == _digest(value) else None

    def forget(self, now: float) -> None:
        """A run begins; what was declined long ago is tried again."""
        self._now = now
        self._known = {key: known for key, known in self._known.items() if known[2] > now}

    def clear(self) -> None:
        self._known.clear()


def _digest(value: Json | None) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def push_without_refused(items: Sequence[Item], attempt: Attempt) -> list[tuple[Item, str]]:
    """Push all that the server takes; what it declines, with its words.

    Raises RemoteError where it takes nothing, or speaks of no content.
    """
    parts, declined = [list(items)], 0
    refused: list[tuple[Item, str]] = []
    sure = False
    while parts:
        part = parts.pop(0)
        try:
            await attempt(part)
            sure = True
        except RemoteError as error:
            declined += 1
            named = [item for item in part if names(error.message, item.target)]
            if not _is_of_content(error, named) or declined > _DECLINED:
                raise
            suspects = named or (part if len({item.target for item in part}) == 1 else [])
            sure = sure or bool(named)
            refused += [(item, error.message) for item in suspects]
            left = [item for item in part if item not in suspects]
            parts = [*(_halves(left) if not suspects else [left]), *parts] if left else parts
            last = error
    if refused and not sure:
        raise last
    return refused


def names(words: str, path: str) -> bool:
    """Whether a path stands in a server's words, and not as a part of another."""
    return bool(path) and re.search(rf"(?<![\w./-]){re.escape(path)}(?![\w/-])", words) is not None


def _is_of_content(error: RemoteError, named: Sequence[Item]) -> bool:
    if error.reason is not Reason.PushRejected:
        return False
    low = error.message.lower()
    return bool(named) or not any(words in low for words in _OF_ALL)


def _halves(items: Sequence[Item]) -> list[list[Item]]:
    """The items of one half of the files, and of the other."""
    files = list(dict.fromkeys(item.target for item in items))
    first = set(files[: len(files) // 2])
    return [[i for i in items if i.target in first], [i for i in items if i.target not in first]]
