"""The order of work: one entry for each key, the most urgent due one first. Pure; the caller brings the clock.

A key is never handed out twice at once. What is asked for while it runs is one run more, after it. Asking again for a
key that waits keeps the earlier due time and the better priority, so periodic work never delays an edit. Keys of one
lane (one git server, say) take only so many places, so that a dead server never takes them all.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import Generic, TypeAlias, TypeVar

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
    lane: Hashable = None
    again: tuple[float, Priority] | None = None


_Ready: TypeAlias = tuple[Priority, float, int, K]


class Queue(Generic[K]):
    """Times are seconds on one monotonic clock."""

    def __init__(self, lane: Callable[[K], Hashable] | None = None, width: int = 0) -> None:
        """`lane` tells which lane a key runs in; so many (`width`) run in one at once, 0: any number."""
        self._lane, self._width = lane or (lambda _: None), width
        self._busy: Counter[Hashable] = Counter()
        self._parked: dict[Hashable, list[_Ready[K]]] = {}
        self._entries: dict[K, _Entry] = {}
        self._waiting: list[tuple[float, int, K]] = []
        self._ready: list[_Ready[K]] = []
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
            ready = heapq.heappop(self._ready)
            _, _, ticket, key = ready
            entry = self._entries.get(key)
            if not entry or entry.ticket != ticket or entry.running:
                continue
            lane = self._lane(key)
            if self._width and self._busy[lane] >= self._width:
                heapq.heappush(self._parked.setdefault(lane, []), ready)
                continue
            self._busy[lane] += 1
            entry.running, entry.lane = True, lane
            return key, entry.priority
        return None

    def done(self, key: K) -> None:
        """The run of `key` has ended; what was asked for meanwhile is put back."""
        entry = self._entries.pop(key, None)
        if entry and entry.running:
            self._leave(entry.lane)
        if entry and entry.again:
            self._put(key, _Entry(entry.again[0], entry.again[1], 0))

    def remove(self, key: K) -> None:
        """Forget `key`; a run under way is not put back."""
        entry = self._entries.pop(key, None)
        if entry and entry.running:
            self._leave(entry.lane)

    def _leave(self, lane: Hashable) -> None:
        """A place in the lane is free: what waits for it is ready again."""
        self._busy[lane] -= 1
        if not self._busy[lane]:
            del self._busy[lane]
        if parked := self._parked.get(lane):
            heapq.heappush(self._ready, heapq.heappop(parked))
        if not parked:
            self._parked.pop(lane, None)

    def due_of(self, key: K) -> float:
        """When the run of `key` was due."""
        return self._entries[key].due

    def overdue(self, now: float) -> int:
        """How many keys are due and do not run."""
        return sum(1 for entry in list(self._entries.values()) if not entry.running and entry.due <= now)

    def next_due(self) -> float | None:
        """When the next key becomes due, or None. May be early, never late."""
        if self._ready:
            return self._ready[0][1]
        return self._waiting[0][0] if self._waiting else None

    def _put(self, key: K, entry: _Entry) -> None:
        entry.ticket = next(self._tickets)
        self._entries[key] = entry
        heapq.heappush(self._waiting, (entry.due, entry.ticket, key))
