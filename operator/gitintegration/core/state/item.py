"""Where an item rests between two runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from gitintegration.core.invalid import Problem
from gitintegration.core.merge import Conflict
from gitintegration.core.plan.conflict_values import ConflictValue


class Phase(StrEnum):
    SYNCED = "Synced"
    AHEAD = "Ahead"
    """A change waits that the mode does not carry, or a review."""
    CONFLICT = "Conflict"
    HELD = "Held"
    """It waits for a confirmation, or rests because others undo what is written."""
    BLOCKED = "Blocked"
    """One of the two sides refused it, or its file can't be edited."""
    UNREADABLE = "Unreadable"
    """Its file yields nothing where it was, which says nothing of what became of it."""
    OVERLAP = "Overlap"
    """Another integration claims it as well: neither writes it."""
    RELEASED = "Released"
    """Its labels went to somebody else; its file stays at least until he has it."""
    WAITING = "Waiting"
    """It can't be looked at while its kind, or its file's version, is not served."""


class Why(StrEnum):
    """Why an item is not the same on both sides. A contract with users: add, never rename."""

    Pending = "Pending"
    """It is carried by the next sync."""
    Mode = "Mode"
    Review = "Review"
    NotPruned = "NotPruned"
    Conflict = "Conflict"
    Held = "Held"
    Contested = "Contested"
    """Another tool puts back what is written."""
    Refused = "Refused"
    Unreadable = "Unreadable"
    KindUnavailable = "KindUnavailable"
    Overlap = "Overlap"
    """Another integration claims it, or has it now."""
    Controlled = "Controlled"
    """A controller makes it from something else. This and those below are not counted as ahead: they are carried never."""
    NotSelected = "NotSelected"
    Ignored = "Ignored"


class Left(NamedTuple):
    """Why an object or a manifest of a listed kind is none of the integration's, and where it is."""

    why: Why
    side: str
    path: str = ""


RETRIED: Final = frozenset({Phase.HELD, Phase.BLOCKED, Phase.OVERLAP, Phase.WAITING})
"""Due at every run: what stands in the way may be gone."""


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An item that is not synced, and why."""

    phase: Phase
    local: bool = False
    """The cluster is ahead."""
    remote: bool = False
    """Git is ahead."""
    path: str = ""
    id: str = ""
    conflict: Conflict | None = None
    problem: Problem | None = None
    values: tuple[ConflictValue, ...] = ()
    """What is held of the fields in conflict."""
    mark: str = ""
    """Another where what either side holds in conflict is."""
    rival: str = ""
    """The integration that claims it as well, or has it now."""

    @property
    def is_told(self) -> bool:
        """Whether people are told of it; that a kind waits is told once for all of its items."""
        return (
            self.phase is Phase.OVERLAP
            or self.local
            or self.remote
            or self.conflict is not None
            or self.problem is not None
        )
