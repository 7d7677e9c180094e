"""The order of work: one entry for each key, the most urgent due one first. Pure; the caller brings the clock.

A key is never handed out twice at once. What is asked for while it runs is one run more, after it. Asking again for a
key that waits keeps the earlier due time and the better priority, so periodic work never delays an edit. Keys of one
lane (one git server, say) take only so many places, so that a dead server never takes them all. Keys of one share (one
namespace) take another place, of all and of their lane, only while they have fewer than are free: so whoever has much
to do waits behind himself, and a share that has none running finds a place. Where there is none to find, shares take turns:
who had one waits until all others had theirs, however urgent or overdue his keys are. A key that is about slow work for a
while, or waits for its server, steps aside: others have its place meanwhile, though its share has none more for it; who
waits for a server keeps his place in its lane.
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
    share: Hashable = None
    since: float = 0.0
    """When its run began."""
    aside: bool = False
    stays_in_lane: bool = False
    """While it is aside."""
    again: tuple[float, Priority] | None = None


_Ready: TypeAlias = tuple[Priority, float, int, K]
_Gate: TypeAlias = tuple[str, Hashable, Hashable]
"""What a key may have to wait at: it waits at the first that is closed.

Its share had its turn, in the lane or in all (`turn`, `round`); the lane is full; its share has its part of the lane
(`both`), or of all (`share`)."""
_ALL: _Gate = ("all", None, None)


def _turns(lane: Hashable, share: Hashable) -> tuple[_Gate, _Gate]:
    return ("turn", lane, share), ("round", None, share)


def _places(lane: Hashable, share: Hashable) -> tuple[_Gate, _Gate, _Gate]:
    return ("lane", lane, None), ("both", lane, share), ("share", None, share)


class Queue(Generic[K]):
    """Times are seconds on one monotonic clock."""

    def __init__(
        self,
        lane: Callable[[K], Hashable] | None = None,
        width: int = 0,
        share: Callable[[K], Hashable] | None = None,
        places: int = 0,
    ) -> None:
        """`lane` tells which lane a key runs in, `share` whose it is; so many (`width`) run in one lane at once, and so
        many (`places`) in all, which the caller sees to. 0: any number."""
        self._lane, self._width = lane or (lambda _: None), width
        self._share, self._places = share, places
        self._running = 0
        self._busy: Counter[_Gate] = Counter()
        """How many of them run behind each gate."""
        self._parked: dict[_Gate, list[_Ready[K]]] = {}
        self._served: dict[_Gate, set[Hashable]] = {}
        """Which shares had their turn, of a lane and of all."""
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
        """The most urgent key that is due, of those whose turn it is; it counts as running until `done`."""
        while self._waiting and self._waiting[0][0] <= now:
            _, ticket, key = heapq.heappop(self._waiting)
            entry = self._entries.get(key)
            if entry and entry.ticket == ticket and not entry.running:
                heapq.heappush(self._ready, (entry.priority, entry.due, ticket, key))
        while self._ready or self._next_round():
            ready = heapq.heappop(self._ready)
            _, _, ticket, key = ready
            entry = self._entries.get(key)
            if not entry or entry.ticket != ticket or entry.running:
                continue
            lane, share = self._lane(key), self._share(key) if self._share else None
            gates = (*_turns(lane, share), *_places(lane, share))
            if closed := next(filter(self._is_closed, gates), None):
                heapq.heappush(self._parked.setdefault(closed, []), ready)
                for gate in gates:  # whose turn this was there, it is another's now
                    if gate in self._parked and not self._is_closed(gate):
                        self._wake(gate)
                continue
            self._count(lane, share, 1)
            for served in (("lane", lane, None), _ALL):
                self._served.setdefault(served, set()).add(share)
            entry.running, entry.lane, entry.share, entry.since = True, lane, share, now
            return key, entry.priority
        return None

    def _next_round(self) -> bool:
        """Of those whose turn it is nobody can run: where there is room all begin anew. False: nobody can run at all."""
        for served in [gate for gate in self._served if not self._is_closed(gate)]:
            del self._served[served]
        for gate in [gate for gate in self._parked if not self._is_closed(gate)]:
            self._wake(gate)
        return bool(self._ready)

    def _is_closed(self, gate: _Gate) -> bool:
        kind, lane, share = gate
        busy = self._busy[gate]
        if kind == "lane":
            return 0 < self._width <= busy
        if self._share is None:
            return False
        if kind in ("turn", "round"):
            return share in self._served.get(("lane", lane, None) if kind == "turn" else _ALL, ())
        if not busy:
            return False
        if kind == "both":
            return bool(self._width) and busy >= self._width - self._busy["lane", lane, None]
        return bool(self._places) and busy >= self._places - self._running

    def _count(self, lane: Hashable, share: Hashable, step: int) -> None:
        self._running += step
        for gate in _places(lane, share):
            self._busy[gate] += step
            if not self._busy[gate]:
                del self._busy[gate]

    def done(self, key: K) -> None:
        """The run of `key` has ended; what was asked for meanwhile is put back."""
        entry = self._entries.pop(key, None)
        if entry and entry.running:
            self._leave(entry)
        if entry and entry.again:
            self._put(key, _Entry(entry.again[0], entry.again[1], 0))

    def remove(self, key: K) -> None:
        """Forget `key`; a run under way is not put back."""
        entry = self._entries.pop(key, None)
        if entry and entry.running:
            self._leave(entry)

    def _leave(self, entry: _Entry) -> None:
        self._step(entry, aside=False)
        self._count(entry.lane, entry.share, -1)

    def step_aside(self, key: K, *, stays_in_lane: bool = False) -> None:
        """What runs gives its place to others, but to none of its own share."""
        entry = self._entries.get(key)
        if entry and entry.running and not entry.aside:
            entry.stays_in_lane = stays_in_lane
            self._step(entry, aside=True)

    def step_back(self, key: K) -> None:
        """It takes its place again, whether it is free or not."""
        entry = self._entries.get(key)
        if entry and entry.running:
            self._step(entry, aside=False)

    def _step(self, entry: _Entry, *, aside: bool) -> None:
        if entry.aside != aside:
            entry.aside = aside
            self._running += -1 if aside else 1
            if not entry.stays_in_lane:
                self._busy["lane", entry.lane, None] += -1 if aside else 1

    def _wake(self, gate: _Gate) -> None:
        parked = self._parked[gate]
        while parked:
            ready = heapq.heappop(parked)
            entry = self._entries.get(ready[3])
            if entry and entry.ticket == ready[2]:
                heapq.heappush(self._ready, ready)
                break
        if not parked:
            del self._parked[gate]

    def to_yield(self, now: float, patience: float) -> K | None:
        """The run that is to end for a share that starves (`is_starving`), where all places are taken; else None.

        It is of the share that has most, and more than one: the run that has gone on longest, for `patience` seconds at least.
        """
        if not self._places or self._running < self._places:
            return None
        held: dict[Hashable, list[tuple[float, int, K]]] = {}
        for key, entry in self._entries.items():
            if entry.running and not entry.aside:
                held.setdefault(entry.share, []).append((entry.since, entry.ticket, key))
        most = max(held.values(), key=len, default=[])
        if len(most) < 2:
            return None
        since, _, key = min(most, key=lambda run: run[:2])
        return key if now - since >= patience else None

    def is_starving(self, now: float) -> bool:
        """Whether a key is due whose share has nothing running, and whose lane has room."""
        for key, entry in self._entries.items():
            if entry.running or entry.due > now or self._share is None:
                continue
            lane, share = self._lane(key), self._share(key)
            if not self._busy["share", None, share] and not self._is_closed(("lane", lane, None)):
                return True
        return False

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
