"""Servers of a test on loopback, each on a port of its own and all in one thread: who is connected to them is counted."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

_PATIENCE = 120.0
"""Seconds: they have much to do, and yield to others."""
Way = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""How one connection is served; it ends when this returns, or when the other side is gone."""


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing, and stays until the other side goes."""
    while await reader.read(1 << 16):
        continue


class Ports:
    """Until `stop`."""

    def __init__(self) -> None:
        self.open: Counter[str] = Counter()
        """Connections that are open, by what they were made to."""
        self.met: Counter[str] = Counter()
        """All that there were."""
        self._servers: list[Any] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def listen(self, name: str, way: Way = hold) -> int:
        """Serves `way` until the end; the port."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with self.meeting(name), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                try:
                    await way(reader, writer)
                finally:
                    writer.transport.abort()

        server = self.run(asyncio.start_server(serve, "127.0.0.1", 0, backlog=256))
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def adopt(self, making: Coroutine[Any, Any, Any]) -> Any:
        """A server of another kind, which is made in this thread and closed with the others."""
        server = self.run(making)
        self._servers.append(server)
        return server

    @contextlib.contextmanager
    def meeting(self, name: str) -> Iterator[None]:
        self.met[name] += 1
        self.open[name] += 1
        try:
            yield
        finally:
            self.open[name] -= 1

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_PATIENCE)

    def stop(self) -> None:
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
