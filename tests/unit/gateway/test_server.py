"""Whose word on who asks is believed."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.errors import SpecError
from gitintegration.gateway.callers import client_of
from gitintegration.gateway.server import configured

PROXIES = ("10.0.0.1", "10.1.0.0/16", "fd00::1")


async def client(peer: str, *forwarded: str, proxies: tuple[str, ...] = PROXIES) -> str:
    """Whom a request of `peer` with these X-Forwarded-For counts for."""
    found: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(client_of(scope["client"][0]))

    config = configured(app, "127.0.0.1", 0, debug=False, proxies=proxies)
    config.load()
    headers = [(b"x-forwarded-for", value.encode("latin1")) for value in forwarded]
    scope = {"type": "http", "client": (peer, 1234), "headers": headers, "scheme": "http"}
    served: Any = config.loaded_app
    await served(scope, None, None)
    return found[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.7", (), "192.0.2.7"),
        ("192.0.2.7", ("198.51.100.9",), "192.0.2.7"),
        ("192.0.2.7", ("198.51.100.9, 10.0.0.1",), "192.0.2.7"),
        ("192.0.2.7", ("10.0.0.1",), "192.0.2.7"),
        ("10.2.0.1", ("198.51.100.9",), "10.2.0.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.9",), "198.51.100.9"),
        ("10.1.255.255", ("198.51.100.9",), "198.51.100.9"),
        ("10.0.0.1", ("203.0.113.1, 198.51.100.9",), "198.51.100.9"),
        ("10.0.0.1", ("203.0.113.1", "198.51.100.9"), "198.51.100.9"),
        ("10.0.0.1", ("203.0.113.1, 198.51.100.9, 10.1.2.3",), "198.51.100.9"),
        ("10.0.0.1", ("198.51.100.9:4711",), "198.51.100.9"),
        ("10.0.0.1", ("10.0.0.1, 198.51.100.9",), "198.51.100.9"),
        ("fd00::1", ("[2001:db8:1:2:3::4]:4711",), "2001:db8:1:2::"),
        ("10.0.0.1", ("::ffff:198.51.100.9",), "198.51.100.9"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("unknown",), ""),
        ("10.0.0.1", ("198.51.100.9, unknown",), ""),
        ("10.0.0.1", ("198.51.100.9\xff",), ""),
        ("10.0.0.1", ("[2001:db8::1",), ""),
        ("10.0.0.1", ("1" * 4000,), ""),
        ("10.0.0.1", (", " * 4000 + "198.51.100.9",), "198.51.100.9"),
    ],
)
async def test_a_forwarded_address_is_believed_of_those_that_are_named_alone(
    peer: str, forwarded: tuple[str, ...], expected: str
) -> None:
    """The last that no such proxy has; what is none at all is one client, whatever it says."""
    assert await client(peer, *forwarded) == expected


async def test_where_none_is_named_nobody_is_believed() -> None:
    assert await client("127.0.0.1", "198.51.100.9", proxies=()) == "127.0.0.1"


@pytest.mark.parametrize("proxy", ["*", "proxy.example.com", "10.0.0.0/33", "10.0.0.1/8", "", "10.0.0.1,10.0.0.2"])
def test_what_is_no_address_is_refused_at_the_start(proxy: str) -> None:
    with pytest.raises(SpecError, match="--trusted-proxies"):
        configured(None, "127.0.0.1", 0, debug=False, proxies=("10.0.0.1", proxy))
