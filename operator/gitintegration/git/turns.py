"""Whose turn it is where places are few: each share has one before any has more.

A share is a namespace. One whose work is slow waits behind itself; what others ask for finds a place.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

SHARE: ContextVar[str] = ContextVar("share", default="")
"""Whose work the running task does."""


class Turns:
    """So many `places`. `alone` tells whether there is one share only, which may then have them all."""

    def __init__(self, places: int, alone: Callable[[], bool] = lambda: True) -> None:
        self.alone = alone
        self._places = places
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, share: str) -> AsyncIterator[None]:
        """A place, for as long as the block takes."""
        await self._enter(share)
        try:
            yield
        finally:
            self._leave(share)

    def _may_run(self, share: str) -> bool:
        """Not more of one share than would be left for others."""
        left = self._places - self._running.total()
        running = self._running[share]
        return left > 0 and (not running or self.alone() or running < left)

    async def _enter(self, share: str) -> None:
        if share not in self._waiting and self._may_run(share):
            self._running[share] += 1
            return
        told = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(share, deque()).append(told)
        try:
            await told
        except asyncio.CancelledError:
            if told.done() and not told.cancelled():
                self._leave(share)
            raise

    def _leave(self, share: str) -> None:
        self._running[share] -= 1
        if not self._running[share]:
            del self._running[share]
        if share in self._waiting:  # it had its turn: now it waits behind the others
            self._waiting[share] = self._waiting.pop(share)
        self._hand_on()

    def _hand_on(self) -> None:
        """Give what is free to those that wait: first to those who have least, of them to whose turn is longest ago."""
        self._waiting = {share: left for share, all_ in self._waiting.items() if (left := _undone(all_))}
        while ready := [share for share in self._waiting if self._may_run(share)]:
            share = min(ready, key=lambda share: self._running[share])
            self._running[share] += 1
            self._waiting[share].popleft().set_result(None)
            if not self._waiting[share]:
                del self._waiting[share]


def _undone(waiting: deque[asyncio.Future[None]]) -> deque[asyncio.Future[None]]:
    """Without those that were cancelled."""
    return deque(told for told in waiting if not told.done())
