"""Pushes that a server declines for what is in one file: the others are pushed without it.

A rule on contents (secret scanning, file names, sizes) speaks of single files. Its answer may name them; else they are found
by halves. So many declined pushes in a run, and no more: a rule that forbids the whole push must not be tried for ever.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from gitintegration.errors import Reason, RemoteError

_DECLINED = 8
"""Pushes that may be declined in one run."""
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


class Target(Protocol):
    """What a push writes, by its file."""

    @property
    def target(self) -> str: ...


T = TypeVar("T", bound=Target)


async def push_without_declined(
    items: Sequence[T], attempt: Callable[[Sequence[T]], Awaitable[None]], known: set[str]
) -> list[tuple[T, str]]:
    """Push all that the server takes; what it declines, with its words.

    `known`: files that it declined before while it took others, and has not taken since; those that it takes are taken out.
    Raises RemoteError where it takes nothing, or speaks of no content.
    """
    parts: list[Sequence[T]] = [items]
    declined = 0
    refused: list[tuple[T, str]] = []
    sure = False
    while parts:
        part = parts.pop(0)
        try:
            await attempt(part)
            known.difference_update(item.target for item in part)
            sure = True
        except RemoteError as error:
            declined += 1
            named = [item for item in part if names(error.said or error.message, item.target)]
            if not _is_of_content(error, named) or declined > _DECLINED:
                raise
            suspects = named or (part if len({item.target for item in part}) == 1 else [])
            sure = sure or bool(named) or any(item.target in known for item in suspects)
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


def _is_of_content(error: RemoteError, named: Sequence[T]) -> bool:
    if error.reason is not Reason.PushRejected:
        return False
    low = (error.said or error.message).lower()
    return bool(named) or not any(words in low for words in _OF_ALL)


def _halves(items: Sequence[T]) -> list[Sequence[T]]:
    """The items of one half of the files, and of the other."""
    files = list(dict.fromkeys(item.target for item in items))
    first = set(files[: len(files) // 2])
    return [[i for i in items if i.target in first], [i for i in items if i.target not in first]]
