"""What a sync is about to write, told before it writes: so a process that ends before it remembers is understood.

Without it, what was written would look like somebody's edit: a delete that follows would be taken back, and another edit of
the same field would be a conflict. It is only told what was meant, never that it came about; what came about is read off
the side that was to be written.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitintegration.core.diff import ListKeys, UnappliableError, apply, diff, no_list_keys
from gitintegration.core.merge import Base, Decision, holds
from gitintegration.core.values import Json


@dataclass(frozen=True, slots=True)
class Side:
    """What a side held when it was told, and what it was to hold. None: no such item."""

    was: Json | None
    goal: Json | None

    @property
    def is_new(self) -> bool:
        return self.was is None and self.goal is not None

    @property
    def is_gone(self) -> bool:
        return self.was is not None and self.goal is None


@dataclass(frozen=True, slots=True)
class Intent:
    git: Side
    live: Side

    @classmethod
    def of(cls, decision: Decision, git: Json | None, live: Json | None) -> Intent:
        return cls(
            Side(git, decision.git.value if decision.git else git),
            Side(live, decision.cluster.value if decision.cluster else live),
        )


def understood(
    base: Base | None,
    intent: Intent,
    git: Json | None,
    live: Json | None,
    *,
    stored: Json | None = None,
    list_keys: ListKeys = no_list_keys,
) -> Base | None:
    """The base as it would have been remembered, as far as the two sides as they are now bear it out.

    `stored`: the live goal of a new object as the API server would store it; without it a new object is left unclear.
    A field that the side it was written to does not hold (any more) stays as the old base has it.
    """
    if intent.live.is_gone:
        return None if live is None else base
    if intent.git.is_gone:
        return None if git is None else base
    if intent.live.is_new:
        return Base(intent.git.goal, stored) if _holds_all(live, stored, list_keys) else base
    if intent.git.is_new:
        return Base(intent.git.goal, intent.live.goal) if _holds_all(git, intent.git.goal, list_keys) else base
    if base is None:
        return None
    agreed = [
        change
        for side, now in ((intent.live, live), (intent.git, git))
        for change in diff(side.was, side.goal, list_keys)
        if now is not None and holds(now, change)
    ]
    try:
        return Base(apply(agreed, base.git), apply(agreed, base.live))
    except UnappliableError:
        return base


def _holds_all(now: Json | None, wanted: Json | None, list_keys: ListKeys) -> bool:
    return now is not None and wanted is not None and all(holds(now, c) for c in diff({}, wanted, list_keys))
