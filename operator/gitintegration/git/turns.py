"""Whose turn it is where places are few: each share has one before any has more, and long tasks never have them all.

A share is a namespace. One whose work is slow waits behind itself; what others ask for finds a place. Each task is begun
as a brief one. What is not brief goes on among the long ones, which leave a place free; and so does all that its share asks
for, until that has been quick for a while. Of those that wait, whoever used least lately goes first.

So a share whose tasks are brief waits for one brief task at most where the slow ones are known to be slow; and before that
for one of each of them, once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeAlias, TypeVar

R = TypeVar("R")

SHARE: ContextVar[str] = ContextVar("share", default="")
"""Whose work the running task does."""

_HALF = 10.0
"""Seconds in which half of what was used is forgotten."""
_SLOW = 10.0
"""Seconds that a share counts as slow after its last task that was not brief."""
_LASTING = 1.0
"""Seconds: a task among the long ones that takes more was none for the others' place."""
_FORGOTTEN = 0.001
"""Seconds of use that are as good as none."""

_Waiting: TypeAlias = tuple[str, bool]
"""A share, and whether its task is a long one."""


class Turns:
    """So many `places`. `alone` tells whether there is one share only, which may then have them all; `clock` in seconds."""

    def __init__(
        self, places: int, alone: Callable[[], bool] = lambda: True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.alone = alone
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext
        """Entered for as long as somebody waits for a long task, and has it."""
        self._places, self._clock = places, clock
        self._running: Counter[str] = Counter()
        self._long = 0
        self._waiting: dict[_Waiting, deque[asyncio.Future[None]]] = {}
        self._used: dict[str, tuple[float, float]] = {}
        """By share: seconds used, as they counted at a time on the clock."""
        self._slow: dict[str, float] = {}
        """Until when a share counts as slow."""

    async def run(self, share: str, begin: Callable[[], Awaitable[R | None]], go_on: Callable[[], Awaitable[R]]) -> R:
        """What `begin` gives in a place for a brief task; where it gives None, what `go_on` does in one for a long task."""
        if not self.alone() and self._slow.get(share, 0.0) <= self._clock():
            async with self.turn(share):
                if (made := await begin()) is not None:
                    return made
            self._is_slow(share)
        if self.alone():
            async with self.turn(share, long=True):
                return await go_on()
        with self.aside():
            async with self.turn(share, long=True):
                return await go_on()

    @asynccontextmanager
    async def turn(self, share: str, *, long: bool = False) -> AsyncIterator[None]:
        """A place, for as long as the block takes."""
        await self._enter(share, long)
        began = self._clock()
        try:
            yield
        finally:
            self._leave(share, long, self._clock() - began)

    def _is_slow(self, share: str) -> None:
        now = self._clock()
        self._slow = {one: until for one, until in self._slow.items() if until > now} | {share: now + _SLOW}

    def _may_run(self, share: str, long: bool) -> bool:
        """Not more of one share than would be left for others, and not the last place for what is long."""
        left = self._places - self._running.total()
        if left <= 0 or self.alone():
            return left > 0
        running = self._running[share]
        return (not long or self._long < max(1, self._places - 1)) and (not running or running < left)

    def _take(self, share: str, long: bool) -> None:
        self._running[share] += 1
        self._long += long

    async def _enter(self, share: str, long: bool) -> None:
        if (share, long) not in self._waiting and self._may_run(share, long):
            self._take(share, long)
            return
        told = asyncio.get_running_loop().create_future()
        self._waiting.setdefault((share, long), deque()).append(told)
        try:
            await told
        except asyncio.CancelledError:
            if told.done() and not told.cancelled():
                self._leave(share, long, 0.0)
            raise

    def _leave(self, share: str, long: bool, seconds: float) -> None:
        self._running[share] -= 1
        self._long -= long
        if not self._running[share]:
            del self._running[share]
        self._charge(share, seconds)
        if long and seconds > _LASTING:
            self._is_slow(share)
        for waiting in ((share, False), (share, True)):  # it had its turn: now it waits behind the others
            if waiting in self._waiting:
                self._waiting[waiting] = self._waiting.pop(waiting)
        self._hand_on()

    def _charge(self, share: str, seconds: float) -> None:
        self._used[share] = (self._use(share) + seconds, self._clock())
        if len(self._used) > 1000:
            self._used = {one: used for one, used in self._used.items() if self._use(one) > _FORGOTTEN}

    def _use(self, share: str) -> float:
        """Seconds that it used lately."""
        seconds, at = self._used.get(share, (0.0, 0.0))
        return float(seconds * 0.5 ** ((self._clock() - at) / _HALF))

    def _hand_on(self) -> None:
        """Give what is free to those that wait: first to those who have least, of them to who used least, and longest ago."""
        self._waiting = {share: left for share, all_ in self._waiting.items() if (left := _undone(all_))}
        while ready := [waiting for waiting in self._waiting if self._may_run(*waiting)]:
            waiting = min(ready, key=lambda one: (self._running[one[0]], self._use(one[0])))
            self._take(*waiting)
            self._waiting[waiting].popleft().set_result(None)
            if not self._waiting[waiting]:
                del self._waiting[waiting]


def _undone(waiting: deque[asyncio.Future[None]]) -> deque[asyncio.Future[None]]:
    """Without those that were cancelled."""
    return deque(told for told in waiting if not told.done())
