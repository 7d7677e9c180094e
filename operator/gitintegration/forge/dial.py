"""How httpx gets to a host: a name is looked up once, and what is dialled is what was checked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import httpcore

from gitintegration.git.egress import Egress


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """The connections of a pool, to forges and to proxies. Raises RemoteError for an address that is refused."""

    def __init__(self, egress: Egress) -> None:
        self._egress, self._inner = egress, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as the base class has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                found = await self._egress.resolve(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except OSError:
            raise UnknownHost(host) from None
        failure: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectError("no address")
        for _, (address, _) in found:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class UnknownHost(Exception):
    """A name that has no address."""
