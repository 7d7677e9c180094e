"""How httpx gets to a host: a name is looked up once, what is dialled is what was checked, and it ends with its request."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

from gitintegration.git.egress import Egress


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """The connections of a pool, to forges and to proxies. Raises RemoteError for an address that is refused."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as the base class has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with _failing_as(httpcore.ConnectError, httpcore.ConnectTimeout):
                async with asyncio.timeout(timeout):
                    return _Stream(*await asyncio.open_connection(sock=await self._egress.connect(host, port)))
        except socket.gaierror:
            raise UnknownHost(host) from None

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """One connection. httpcore's own, by anyio, stays open where its request is cancelled while it connects or shakes hands."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        with _failing_as(httpcore.ReadError, httpcore.ReadTimeout):
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        with _failing_as(httpcore.WriteError, httpcore.WriteTimeout):
            async with asyncio.timeout(timeout):
                self._writer.write(buffer)
                await self._writer.drain()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        try:
            with _failing_as(httpcore.ConnectError, httpcore.ConnectTimeout):
                async with asyncio.timeout(timeout):
                    await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def aclose(self) -> None:
        """At once: nobody waits for what a server may still say, or has not read."""
        self._writer.transport.abort()

    def get_extra_info(self, info: str) -> Any:
        return self._writer.get_extra_info(info)


@contextmanager
def _failing_as(error: type[Exception], late: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise late from None
    except socket.gaierror:
        raise
    except OSError as why:  # ssl.SSLError is one
        raise error(str(why)) from None


class UnknownHost(Exception):
    """A name that has no address."""
