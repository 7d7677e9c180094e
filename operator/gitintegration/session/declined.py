"""What a git server declined to take into a push, until it is another value or some time has passed."""

from __future__ import annotations

from dataclasses import dataclass, field

from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.values import Json, ObjectKey, digest_of

_KEPT_FOR = 600.0
"""Seconds for which what was declined is not tried again: the server's rules may change."""


@dataclass(slots=True)
class Declined:
    """Of one integration, by item."""

    _known: dict[ObjectKey, tuple[str, Problem, float]] = field(default_factory=dict)
    _now: float = 0.0
    paths: set[str] = field(default_factory=set)
    """Where the server declined a value, also long ago or to an earlier process, and took none since."""

    def add(self, key: ObjectKey, value: Json | None, path: str, words: str) -> Problem:
        """Note that the server declined a value at `path`. Gives it as the item's problem."""
        problem = Problem(path, InvalidReason.PushRefused, f"{key}: {words}")
        self._known[key] = digest_of(value), problem, self._now + _KEPT_FOR
        self.paths.add(path)
        return problem

    def problem(self, key: ObjectKey, value: Json | None) -> Problem | None:
        """Why this value is not pushed."""
        known = self._known.get(key)
        return known[1] if known and known[0] == digest_of(value) else None

    def expire(self, now: float) -> None:
        """Begin a run: what was declined long ago is tried again."""
        self._now = now
        self._known = {key: known for key, known in self._known.items() if known[2] > now}

    def clear(self) -> None:
        """Somebody asks for another try."""
        self._known.clear()
