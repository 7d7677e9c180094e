"""Where tenants may send the operator: hosts that are allowed by name, and no address of a node's own services.

Whoever writes a GitIntegration chooses what the operator dials. The metadata service of a cloud answers on link-local
addresses and hands out the node's credentials, so those are refused whatever name leads there, and in whatever form:
an address is judged by every address that a router, a translator or a proxy may make of it.
"""

from __future__ import annotations

import asyncio
import fnmatch
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import ResolveResult

from gitintegration import messages
from gitintegration.errors import Reason, RemoteError, SpecError
from gitintegration.git.remote import Proxy

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: Sequence[str]) -> tuple[_Network, ...]:
    """The networks in CIDR notation. Raises ValueError that names the text that is none."""
    made = []
    for text in texts:
        try:
            made.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            raise ValueError(f"{text!r} is no network like 10.0.0.0/8 or fd00::/8") from None
    return tuple(made)


_REFUSED = parse_networks(
    (
        "0.0.0.0/8",  # this host
        "169.254.0.0/16",
        "192.0.0.0/24",  # of protocols; Oracle's metadata service is in it
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::/32",  # AWS
        "fd20:ce::/32",  # Google
        "fd00:42::42/128",  # Scaleway
    )
)
"""No repository is there: link-local and multicast addresses, and those on which clouds serve a node's own secrets."""
_V6_FORMS = parse_networks(("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
"""IPv4-compatible, mapped, translated, and NAT64: the last 32 bits are an IPv4 address."""
_LOCAL_NAT64, _SIX_TO_FOUR = parse_networks(("64:ff9b:1::/48", "2002::/16"))
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Bits 64 to 95 of an address that holds an IPv4 address behind them."""


def parse_address(host: str) -> _Address | None:
    """The address that `host` is, in any notation that getaddrinfo takes (decimal, octal, hex; with a zone); None for a name."""
    text = host.strip("[]").rstrip(".").partition("%")[0]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except (OSError, UnicodeError):
        return None


def forms(address: _Address) -> Iterator[_Address]:
    """The address, and each IPv4 address that it may be carried or translated to."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    bits = int(address)
    held = set()
    if any(address in network for network in _V6_FORMS) and bits > 1:  # :: and ::1 hold none
        held.add(bits & 0xFFFFFFFF)
    if address in _LOCAL_NAT64:  # RFC 6052: behind 48, 56, 64 or 96 bits, with eight zeros in the middle
        packed = address.packed
        spread = (packed[6:8] + packed[9:11], packed[7:8] + packed[9:12], packed[9:13], packed[12:16])
        held |= {int.from_bytes(four, "big") for four in spread if four[0]}
    if address in _SIX_TO_FOUR:
        held.add(bits >> 80 & 0xFFFFFFFF)
    if address.teredo:
        held |= {int(one) for one in address.teredo}
    if bits >> 32 & 0xFFFFFFFF in _ISATAP:
        held.add(bits & 0xFFFFFFFF)
    yield from map(ipaddress.IPv4Address, sorted(held))


class Egress:
    """`allowed`: patterns of host names, as `github.com` or `*.example.com`; empty: any host.

    `denied`: networks that are refused besides those of a node's own services.
    """

    def __init__(self, allowed: Sequence[str] = (), denied: Sequence[str] = (), *, require_tls: bool = False) -> None:
        """`require_tls`: nothing goes over plain http. Raises ValueError for a network that is none."""
        self._require_tls = require_tls
        self._allowed = tuple(pattern.lower() for pattern in allowed)
        self._denied = parse_networks(denied)

    def check_host(self, host: str) -> None:
        """Raises SpecError for a host that is not allowed, RemoteError for a refused address."""
        if self._allowed and not any(fnmatch.fnmatchcase(host.lower(), pattern) for pattern in self._allowed):
            raise SpecError(Reason.InvalidURL, messages.HOST_REFUSED(host=host))
        if (address := parse_address(host)) is not None:
            self.check_address(address, host)

    def check_proxy(self, proxy: Proxy | None) -> None:
        """The same for the host of a proxy. One that is told no password may be asked in plain http to connect to others."""
        if proxy is not None:
            parts = urlsplit(proxy.address)
            self.check_host(parts.hostname or "")
            if proxy.username:
                self.check_scheme(parts.scheme, "the proxy Secret's key `address`")

    def check_scheme(self, scheme: str, where: str) -> None:
        """Raises SpecError for plain http, where the administrator wants none."""
        if self._require_tls and scheme == "http":
            raise SpecError(Reason.InvalidURL, messages.PLAIN_HTTP(where=where))

    def check_address(self, address: _Address | str, host: str) -> None:
        """Raises RemoteError where this address of `host` is one that no repository has."""
        found = parse_address(address) if isinstance(address, str) else address
        for form in forms(found) if found is not None else ():
            if any(form in network for network in _REFUSED):
                words = f"{host} leads to {form}, an address of the node's own network, which is refused"
                raise RemoteError(Reason.InvalidURL, words, retry=True)
            if any(form in network for network in self._denied):
                words = f"{host} leads to {form}, which the operator's administrator refuses (--denied-networks)"
                raise RemoteError(Reason.InvalidURL, words, retry=True)

    async def resolve(self, host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
        """The addresses of a host, none of them refused. Raises OSError where it has none."""
        self.check_host(host)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for _, _, _, _, address in found:
            self.check_address(str(address[0]), host)
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

    def __init__(self, egress: Egress) -> None:
        super().__init__()
        self._egress = egress

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        for one in found:
            self._egress.check_address(one["host"], host)
        return found
