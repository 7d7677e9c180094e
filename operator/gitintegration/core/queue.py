"""The order of work: one entry for each key, the most urgent due one first. Pure; the caller brings the clock.

A key is never handed out twice at once. What is asked for while it runs is one run more, after it. Asking again for a
key that waits keeps the earlier due time and the better priority, so periodic work never delays an edit.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Priority(IntEnum):
    """Lower goes first."""

    requested = 0
    changed = 1
    edited = 2
    periodic = 3


@dataclass(slots=True)
class _Entry:
    due: float
    priority: Priority
    ticket: int
    running: bool = False
    again: tuple[float, Priority] | None = None


class Queue(Generic[K]):
    """Times are seconds on one monotonic clock."""

    def __init__(self) -> None:
        self._entries: dict[K, _Entry] = {}
        self._waiting: list[tuple[float, int, K]] = []
        self._ready: list[tuple[Priority, float, int, K]] = []
        self._tickets = count()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, key: K, due: float, priority: Priority) -> None:
        """Ask for a run of `key` at `due`."""
        entry = self._entries.get(key)
        if entry is None:
            self._put(key, _Entry(due, priority, 0))
        elif entry.running:
            old = entry.again or (due, priority)
            entry.again = (min(old[0], due), min(old[1], priority))
        elif due < entry.due or priority < entry.priority:
            self._put(key, _Entry(min(due, entry.due), min(priority, entry.priority), 0))

    def pop(self, now: float) -> tuple[K, Priority] | None:
        """The most urgent key that is due; it counts as running until `done`."""
        while self._waiting and self._waiting[0][0] <= now:
            _, ticket, key = heapq.heappop(self._waiting)
            entry = self._entries.get(key)
            if entry and entry.ticket == ticket and not entry.running:
                heapq.heappush(self._ready, (entry.priority, entry.due, ticket, key))
        while self._ready:
            _, _, ticket, key = heapq.heappop(self._ready)
            entry = self._entries.get(key)
            if entry and entry.ticket == ticket and not entry.running:
                entry.running = True
                return key, entry.priority
        return None

    def done(self, key: K) -> None:
        """The run of `key` has ended; what was asked for meanwhile is put back."""
        entry = self._entries.pop(key, None)
        if entry and entry.again:
            self._put(key, _Entry(entry.again[0], entry.again[1], 0))

    def remove(self, key: K) -> None:
        """Forget `key`; a run under way is not put back."""
        self._entries.pop(key, None)

    def next_due(self) -> float | None:
        """When the next key becomes due, or None. May be early, never late."""
        if self._ready:
            return self._ready[0][1]
        return self._waiting[0][0] if self._waiting else None

    def _put(self, key: K, entry: _Entry) -> None:
        entry.ticket = next(self._tickets)
        self._entries[key] = entry
        heapq.heappush(self._waiting, (entry.due, entry.ticket, key))
