"""How many bytes servers may send: one bound for each exchange, and one for all that run at a time.

What an exchange took in lies in memory or in the cache until it ends. Where all together take more than there is room for,
the one that took most ends, so that a server that sends without end stops itself and nobody beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gitintegration.errors import LimitExceeded
from gitintegration.git.wire import Reader

_EACH_READ = 256
"""Bytes that a read counts for beside its own: lines without content are work as well."""
_READS = 32
"""After so many reads without a pause the others have their turn."""


class Exchange:
    """What one conversation took so far."""

    def __init__(self, budget: Budget, scope: asyncio.Timeout) -> None:
        self._budget, self._scope = budget, scope
        self.taken = 0
        self.told_to_end = False

    def take(self, size: int) -> None:
        """Count bytes. Raises LimitExceeded where they are more than one exchange may take."""
        self.taken += size
        if self.taken > self._budget.each:
            raise LimitExceeded(f"the server sends more than {self._budget.each} bytes in one exchange")
        self._budget.taken(self, size)

    def end(self) -> None:
        """Make room for the others."""
        self.told_to_end = True
        self._scope.reschedule(asyncio.get_running_loop().time())


class Budget:
    """Bytes: `each` for one exchange, `total` for all that run."""

    def __init__(self, each: int = 1 << 29, total: int = 768 << 20) -> None:
        self.each, self.total = each, total
        self._running: set[Exchange] = set()
        self._sum = 0

    @asynccontextmanager
    async def exchange(self) -> AsyncIterator[Exchange]:
        """One conversation. Raises LimitExceeded where it is ended because it took most."""
        made: Exchange | None = None
        try:
            async with asyncio.timeout(None) as scope:
                made = Exchange(self, scope)
                self._running.add(made)
                yield made
        except TimeoutError:
            if made is None or not made.told_to_end:
                raise
            raise LimitExceeded(self._words(made)) from None
        finally:
            if made is not None:
                self._running.discard(made)
                self._sum -= made.taken

    def taken(self, by: Exchange, size: int) -> None:
        """`by` took `size` bytes more. Raises LimitExceeded where it has to end for it."""
        self._sum += size
        if self._sum <= self.total:
            return
        staying = [one for one in self._running if not one.told_to_end or one is by]
        if sum(one.taken for one in staying) <= self.total:
            return
        largest = max(staying, key=lambda one: one.taken)
        if largest is by:
            raise LimitExceeded(self._words(by))
        largest.end()

    def _words(self, exchange: Exchange) -> str:
        return (
            f"the server sent {exchange.taken} bytes, the most of all exchanges under way, which have no more than "
            f"{self.total} together; trying again"
        )


class Metered:
    """A reader whose bytes are counted, and that lets others have their turn."""

    def __init__(self, reader: Reader, exchange: Exchange) -> None:
        self._reader, self._exchange = reader, exchange
        self._reads = 0

    async def readexactly(self, n: int) -> bytes:
        self._exchange.take(n + _EACH_READ)
        self._reads += 1
        if self._reads % _READS == 0:
            await asyncio.sleep(0)
        return await self._reader.readexactly(n)
