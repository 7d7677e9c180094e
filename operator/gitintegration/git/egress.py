"""Where tenants may send the operator: hosts that are allowed by name, and no address of a node's own services.

Whoever writes a GitIntegration chooses what the operator dials. The metadata service of a cloud answers on link-local
addresses and hands out the node's credentials, so those are refused whatever name leads there.
"""

from __future__ import annotations

import asyncio
import fnmatch
import ipaddress
import socket
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import ResolveResult

from gitintegration.errors import Reason, RemoteError, SpecError
from gitintegration.git.remote import Proxy

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192")
)
"""Of AWS, Azure, Alibaba and Oracle; the others are link-local."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Egress:
    """`allowed`: patterns of host names, as `github.com` or `*.example.com`; empty: any host."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = tuple(pattern.lower() for pattern in allowed)

    def check_host(self, host: str) -> None:
        """Raises SpecError for a host that is not allowed, RemoteError for a refused address."""
        if self._allowed and not any(fnmatch.fnmatchcase(host.lower(), pattern) for pattern in self._allowed):
            words = f"{host} is not among the hosts that the operator may be sent to (--allowed-hosts)"
            raise SpecError(Reason.InvalidURL, words)
        try:
            check_address(ipaddress.ip_address(host), host)
        except ValueError:
            return

    def check_proxy(self, proxy: Proxy | None) -> None:
        """The same for the host of a proxy."""
        if proxy is not None:
            self.check_host(urlsplit(proxy.address).hostname or "")

    async def resolve(self, host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
        """The addresses of a host, none of them refused. Raises OSError where it has none."""
        self.check_host(host)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for _, _, _, _, address in found:
            check_address(ipaddress.ip_address(str(address[0]).partition("%")[0]), host)
        return [(family, (str(address[0]), port)) for family, _, _, _, address in found]

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket, to an address that was checked. Raises OSError."""
        loop = asyncio.get_running_loop()
        failure: OSError = OSError(f"{host} has no address")
        for family, address in await self.resolve(host, port):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                await loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure


ANYWHERE = Egress()
"""All but the refused addresses."""


class CheckedResolver(aiohttp.ThreadedResolver):
    """Names to addresses for aiohttp, which dials just what this returns."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        for one in found:
            check_address(ipaddress.ip_address(one["host"].partition("%")[0]), host)
        return found


def check_address(address: _Address, host: str) -> None:
    """Raises RemoteError where this address of `host` is one that no repository has."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return check_address(address.ipv4_mapped, host)
        if address in _NAT64:
            return check_address(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF), host)
    if address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA:
        words = f"{host} leads to {address}, an address of the node's own network, which is refused"
        raise RemoteError(Reason.InvalidURL, words, retry=True)
    return None
