"""A forge that means harm: its API answers what has no end, or unfolds, or leads in circles."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable

from tests.bed.ports import Ports, Way, hold

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_ENDLESS = b"Transfer-Encoding: chunked\r\n"
_PIECE = 1 << 16


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _asked(reader: asyncio.StreamReader) -> None:
    """Until the request's header has been read; its body, which is small, comes along."""
    await reader.readuntil(b"\r\n\r\n")


def _sends(head: bytes, each: Callable[[], bytes], seconds: float = 0.0) -> Way:
    """Sends `head`, then pieces without end, one every so many seconds."""

    async def way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _asked(reader)
        writer.write(head)
        while True:
            writer.write(each())
            await writer.drain()
            await asyncio.sleep(seconds)

    return way


def _packed_twice() -> Callable[[], bytes]:
    """A piece of zeros, packed and packed again: a kilobyte of it stands for gigabytes."""
    inner, outer = (zlib.compressobj(9, zlib.DEFLATED, 31) for _ in range(2))

    def each() -> bytes:
        once = b"".join(inner.compress(bytes(1 << 20)) for _ in range(4)) + inner.flush(zlib.Z_SYNC_FLUSH)
        return _chunk(outer.compress(once) + outer.flush(zlib.Z_SYNC_FLUSH))

    return each


async def _redirects(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _asked(reader)
    writer.write(b"HTTP/1.1 307 Again\r\nLocation: /api/v3/again\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    await hold(reader, writer)


async def _silent_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _asked(reader)
    for sign in iter(_OK):
        writer.write(bytes([sign]))
        await writer.drain()
        await asyncio.sleep(1)
    await hold(reader, writer)


WAYS: dict[str, tuple[Way, str | None]] = {
    "gzip-chain": (_sends(_OK + b"Content-Encoding: gzip, gzip\r\n" + _ENDLESS + b"\r\n", _packed_twice()), "packs"),
    "endless": (_sends(_OK + _ENDLESS + b"\r\n", lambda: _chunk(b"[" * _PIECE)), "answers more than"),
    "redirects": (_redirects, "redirects to"),
    "headers": (_sends(_OK, lambda: b"X-Harm: " + b"h" * 4000 + b"\r\n"), "no answer from"),
    "drip": (_sends(_OK + _ENDLESS + b"\r\n", lambda: _chunk(b" "), 0.5), None),
    "drip-header": (_silent_header, None),
    "silent": (hold, None),
}
"""Name -> how it answers, and words of what is told of it; None: it is held open until the deadline."""


def forges(ports: Ports) -> dict[str, str]:
    """One forge for each way; the address of its API."""
    return {name: f"http://127.0.0.1:{ports.listen(f'forge-{name}', way)}/api/v3" for name, (way, _) in WAYS.items()}
