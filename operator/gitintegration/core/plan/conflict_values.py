"""What base and both sides hold of the fields that are in conflict, as people are shown it: bounded, and without what is redacted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gitintegration.core.diff import ORDER, format_path, get
from gitintegration.core.merge import Base, Conflict
from gitintegration.core.redaction import Redaction
from gitintegration.core.values import Json

_CHARACTERS = 1024
"""Of all values of a conflict with their fields: so many are kept of every pipeline in conflict, shown or not."""


@dataclass(frozen=True, slots=True)
class ConflictValue:
    """One field; None: it is not there."""

    field: str
    base: str | None
    ours: str | None
    theirs: str | None

    @property
    def size(self) -> int:
        return sum(len(text or "") for text in (self.field, self.base, self.ours, self.theirs))

    def to_status(self) -> dict[str, Any]:
        told = {"field": self.field, "base": self.base, "ours": self.ours, "theirs": self.theirs}
        return {name: text for name, text in told.items() if text is not None}


def conflict_values(
    conflict: Conflict, base: Base | None, live: Json | None, git: Json | None, redaction: Redaction
) -> tuple[ConflictValue, ...]:
    """The first of its fields that have room. The base is told as git had it."""
    return tuple(_within_bounds(_values(conflict, base, live, git, redaction)))


def _within_bounds(values: Iterator[ConflictValue]) -> Iterator[ConflictValue]:
    left = _CHARACTERS
    for value in values:
        left -= value.size
        if left < 0:
            return
        yield value


def _values(
    conflict: Conflict, base: Base | None, live: Json | None, git: Json | None, redaction: Redaction
) -> Iterator[ConflictValue]:
    sides = (base.git if base else None, live, git)
    for path in conflict.paths:
        if path[-1:] != (ORDER,):
            yield ConflictValue(format_path(path), *(redaction.shown(path, get(side, path)) for side in sides))
