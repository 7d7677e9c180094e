"""Connections: so many at a time, each with a deadline for what it owes. uvicorn has neither for a request's head.

A place is safe while a request of a known caller is served on it. All others are lent: where none is left, the client
that holds most of them loses his oldest, so that whoever opens many and says nothing stands in his own way only.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

from gitintegration.gateway.callers import client_of

PLACE = "gitintegration.place"
"""Extension of a request's scope: the connection that it came on."""

CONNECTIONS = 512
HEAD = 10.0
"""Seconds for the head of a request, from the first byte that may be its own."""
ANSWER = 20.0
"""Seconds for an answer that is complete to be taken."""
LINGER = 1.0
"""Seconds for which what still comes is dropped after a refusal, so that it can be read."""
READ = 16 << 10
"""Bytes that are taken from a connection at a time: each may hold some times that. asyncio's own is 256 KiB."""
HEAD_SIZE = 32 << 10
"""Bytes of a request's line and headers; a token may have half of them."""


class Places:
    """Of all connections. `limit` are open at a time."""

    def __init__(self, limit: int = CONNECTIONS) -> None:
        self._limit = limit
        self._open: dict[Connection, str] = {}
        """In the order in which they came, with the client."""

    def enter(self, connection: Connection, client: str) -> bool:
        """Whether there is a place; another may have lost his."""
        if len(self._open) >= self._limit:
            victim = self._victim()
            if victim is None:
                return False
            self.leave(victim)
            victim.give_up()
        self._open[connection] = client
        return True

    def leave(self, connection: Connection) -> None:
        self._open.pop(connection, None)

    def _victim(self) -> Connection | None:
        lent = [(connection, client) for connection, client in self._open.items() if not connection.safe]
        if not lent:
            return None
        greedy = Counter(client for _, client in lent).most_common(1)[0][0]
        return next(connection for connection, client in lent if client == greedy)


class Connection(H11Protocol):
    """uvicorn's, with a place and with deadlines."""

    def __init__(self, places: Places, **parts: Any) -> None:
        super().__init__(**parts)
        self._places = places
        self._head: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None
        self._ended = False
        self.safe = False
        """Whether a request of a known caller is served on it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.max_size = READ  # type: ignore[attr-defined]
        if self._places.enter(self, client_of(self.client[0] if self.client else None)):
            self._head = self.loop.call_later(HEAD, self._late)
        else:
            self.give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._places.leave(self)
        self._no_head_due()
        if self._answer is not None:
            self._answer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing() or self._ended:
            return
        super().data_received(data)
        if self._between and not self.transport.is_closing() and self._head is None:
            self._head = self.loop.call_later(HEAD, self._late)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:  # its task runs once this has returned
            self._no_head_due()
            extensions: dict[str, Any] = {PLACE: self}
            self.scope["extensions"] = extensions

    def on_response_complete(self) -> None:
        self._to_be_taken()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._end(400, "bad_request", "this is no HTTP request, or its headers are too large")

    def give_up(self) -> None:
        """There is no place for it, or another wants it: it does not stay to be read."""
        self._end(503, "busy", "too many connections; try again")
        self.transport.abort()

    @property
    def _between(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _late(self) -> None:
        self._end(408, "timeout", f"the head of the request was not complete within {HEAD:g} s")

    def _end(self, status: int, code: str, message: str) -> None:
        """Says why where that is still possible, and ends it."""
        if self._between and self.conn.our_state is h11.IDLE and not self._ended:
            body = orjson.dumps({"error": {"code": code, "message": message, "fields": []}})
            retry = [("retry-after", "1")] if status == 503 else []
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            said = b"".join(f"{name}: {value}\r\n".encode() for name, value in [*headers, *retry])
            self.transport.write(b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, _PHRASES[status], said, body))
            self.transport.write_eof()
            self._ended = True
            self._no_head_due()
            self._answer = self.loop.call_later(LINGER, self.transport.abort)
        else:
            self.transport.abort()

    def _no_head_due(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _to_be_taken(self) -> None:
        """What is written is taken in time, or the connection ends."""
        if self.transport.get_write_buffer_size() and self._answer is None:
            self._answer = self.loop.call_later(ANSWER, self._taken)

    def _taken(self) -> None:
        self._answer = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()


_PHRASES = {400: b"Bad Request", 408: b"Request Timeout", 503: b"Service Unavailable"}
