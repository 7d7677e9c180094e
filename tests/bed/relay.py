"""Connections between this machine and the network namespace of a node, which share no network: a process of its own, since
a socket belongs to the namespace that it was made in.

relay.py PID PORT [EGRESS]   PID: a process of the namespace. In it PORT, on any address, leads to the same port of this
machine's loopback. EGRESS: a socket, on which an HTTP proxy that only CONNECTs leads into the namespace. A line tells that
it is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNET = 0x40000000
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Namespace:
    """The network namespace of a process."""

    def __init__(self, pid: int | str) -> None:
        self._there, self._here = (os.open(f"/proc/{one}/ns/net", os.O_RDONLY | os.O_CLOEXEC) for one in (pid, "self"))

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is in it meanwhile: what is made there stays there."""
        _enter(self._there)
        try:
            yield
        finally:
            _enter(self._here)

    def socket(self) -> socket.socket:
        with self.entered():
            made = socket.socket()
        made.setblocking(False)
        return made


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(1 << 16):
        target.write(chunk)
        await target.drain()
    target.write_eof()


async def _join(one: Ends, other: Ends) -> None:
    """Until both have ended what they say, or one is gone."""
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass(one[0], other[1]))
            both.create_task(_pass(other[0], one[1]))
    finally:
        one[1].transport.abort()
        other[1].transport.abort()


async def relay(namespace: Namespace, port: int, egress: Path | None) -> None:
    """Until it is cancelled."""

    async def outward(*client: *Ends) -> None:
        with contextlib.suppress(OSError, ExceptionGroup):
            try:
                server = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                client[1].transport.abort()
                raise
            await _join(client, server)

    async def inward(*client: *Ends) -> None:
        with contextlib.suppress(OSError, ExceptionGroup, asyncio.IncompleteReadError):
            try:
                head = await client[0].readuntil(b"\r\n\r\n")
                host, _, asked = head.split()[1].decode().rpartition(":")
                made = namespace.socket()
                await asyncio.wait_for(asyncio.get_running_loop().sock_connect(made, (host, int(asked))), 10)
                server = await asyncio.open_connection(sock=made)
            except OSError:
                client[1].write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                client[1].close()
                raise
            client[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _join(client, server)

    listener = namespace.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))
    await asyncio.start_server(outward, sock=listener, backlog=256)
    if egress:
        await asyncio.start_unix_server(inward, egress)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    pid, port, *egress = sys.argv[1:]
    asyncio.run(relay(Namespace(pid), int(port), Path(egress[0]) if egress else None))
