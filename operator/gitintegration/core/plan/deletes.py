"""Held deletes: a mass delete waits for a person, because an emptied folder is more often a mistake than a wish."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection
from dataclasses import dataclass

from gitintegration.core.values import ObjectKey

ALWAYS_ALLOWED = 3
"""So many deletes at once are never held by a percentage or count."""

COPY = "copy"
"""The direction of what a changed prefix would have written anew."""


@dataclass(frozen=True, slots=True)
class DeleteLimit:
    """`spec.sync.maxDeletes`: a count, or a share of all pipelines known."""

    count: int | None = None
    percent: float | None = None

    @classmethod
    def parse(cls, text: str | int) -> DeleteLimit:
        if isinstance(text, str) and text.endswith("%"):
            return cls(percent=float(text[:-1]))
        return cls(count=int(text))

    def allows(self, deletes: int, known: int) -> bool:
        if deletes <= ALWAYS_ALLOWED:
            return True
        if self.count is not None:
            return deletes <= self.count
        return deletes <= math.floor(known * (self.percent or 0.0) / 100)


def digest(direction: str, keys: Collection[ObjectKey]) -> str:
    """Names exactly this set of deletes, so that a confirmation can't release others."""
    text = "\n".join([direction, *sorted(f"{k.group}/{k.kind}/{k.name}" for k in keys)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def is_confirmed(direction: str, keys: Collection[ObjectKey], confirmed: str | None) -> bool:
    """Whether a person named exactly these: `confirmed` is what was written, digests with commas between them."""
    return digest(direction, keys) in {word.strip() for word in (confirmed or "").split(",")}


def held(
    direction: str,
    deletes: Collection[ObjectKey],
    *,
    known: int,
    side_is_empty: bool,
    limit: DeleteLimit,
    confirmed: str | None,
) -> str | None:
    """The digest to confirm where these deletes, or copies, must wait, else None.

    `known` counts the pipelines that had a base; `side_is_empty` says that the side that lost them, or is to have them, holds none.
    """
    if not deletes or (limit.allows(len(deletes), known) and not side_is_empty):
        return None
    return None if is_confirmed(direction, deletes, confirmed) else digest(direction, deletes)
