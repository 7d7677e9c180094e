"""Which hosts and addresses a tenant may send the operator to."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.errors import GitIntegrationError
from gitintegration.git.budget import Budget
from gitintegration.git.client import GitClient
from gitintegration.git.egress import ANYWHERE, Egress, parse_address
from gitintegration.git.http import HttpTransport
from gitintegration.git.remote import Proxy, Remote
from gitintegration.git.url import RemoteURL

_FORMS = {
    "mapped": "::ffff:{}",
    "compatible": "::{}",
    "translated": "::ffff:0:{}",
    "NAT64": "64:ff9b::{}",
    "NAT64 of one's own": "64:ff9b:1::{}",
    "with a zone": "::ffff:{}%eth0",
    "ISATAP": "2001:db8::5efe:{}",
    "ISATAP, global": "2001:db8::200:5efe:{}",
}


def six_to_four(address: str) -> str:
    return str(ipaddress.IPv6Address((0x2002 << 112) | int(ipaddress.IPv4Address(address)) << 80 | 1))


def teredo(server: str, client: str) -> str:
    low = int(ipaddress.IPv4Address(client)) ^ 0xFFFFFFFF
    return str(ipaddress.IPv6Address((0x20010000 << 96) | int(ipaddress.IPv4Address(server)) << 64 | low))


def nat64(length: int, address: str) -> str:
    """As RFC 6052 puts it behind so many bits, with bits 64 to 71 zero."""
    before, four = bytearray(ipaddress.IPv6Address("64:ff9b:1::").packed), ipaddress.IPv4Address(address).packed
    places = [at for at in range(length // 8, 16) if at != 8][:4]
    for at, byte in zip(places, four, strict=True):
        before[at] = byte
    return str(ipaddress.IPv6Address(bytes(before)))


METADATA = "169.254.169.254"
REFUSED = [
    METADATA,
    "169.254.0.23",
    "fe80::1",
    "fe80::a9fe:a9fe%eth0",
    "fd00:ec2::254",
    "fd00:ec2::254%1",
    "fd00:ec2::23",
    "fd00:ec2:0:1::7",
    "fd20:ce::254",
    "168.63.129.16",
    "100.100.100.200",
    "::6464:64c8",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "255.255.255.255",
    "ff02::1",
    *(form.format(METADATA) for form in _FORMS.values()),
    *(form.format("100.100.100.200") for form in _FORMS.values()),
    "::ffff:0:a9fe:a9fe",
    six_to_four(METADATA),
    teredo("8.8.8.8", METADATA),
    teredo(METADATA, "8.8.8.8"),
    *(nat64(length, METADATA) for length in (48, 56, 64, 96)),
    "2852039166",
    "0xa9fea9fe",
    "0xA9FEA9FE",
    "025177524776",
    "0251.0376.0251.0376",
    "0xa9.254.0xa9.254",
    "169.254.43518",
    "169.16689662",
    "169.254.169.254.",
]


@pytest.mark.parametrize("host", REFUSED)
def test_a_nodes_own_addresses_are_refused_in_every_form(host: str) -> None:
    with pytest.raises(GitIntegrationError, match="refused"):
        ANYWHERE.check_host(host)
    with pytest.raises(GitIntegrationError, match="refused"):
        ANYWHERE.check_proxy(Proxy(f"http://[{host}]:3128" if ":" in host else f"http://{host}:3128"))
    if ":" in host:
        with pytest.raises(GitIntegrationError, match="refused"):
            ANYWHERE.check_host(f"[{host}]")


@pytest.mark.parametrize("host", [METADATA, "::169.254.169.254", "fd00:ec2::23"])
async def test_they_are_not_dialled_either(host: str) -> None:
    """What aiohttp takes for an address it looks up nowhere: the last check is where its socket is made."""
    with pytest.raises(GitIntegrationError, match="refused"):
        await ANYWHERE.resolve(host, 80)
    with pytest.raises(GitIntegrationError, match="refused"):
        await ANYWHERE.connect(host, 80)
    remote = Remote(RemoteURL("http", host, 80, "/a"))
    async with HttpTransport() as http, Budget().exchange() as exchange:
        with pytest.raises(GitIntegrationError, match="refused"):
            await http.advertisement(remote, "git-upload-pack", exchange, fresh=True)


@pytest.mark.parametrize(
    "host",
    [
        "github.com",
        "10.0.0.7",
        "127.0.0.1",
        "::1",
        "2001:db8::1",
        "::ffff:140.82.121.3",
        "64:ff9b::140.82.121.3",
        nat64(48, "140.82.121.3"),
        nat64(96, "140.82.121.3"),
        six_to_four("140.82.121.3"),
        "100.64.0.1",
        "fd12:3456::1",
        "face.example.com",
    ],
)
def test_others_are_not(host: str) -> None:
    ANYWHERE.check_host(host)


@given(st.sampled_from(["10.20.30.40", METADATA, "100.100.100.200"]), st.data())
def test_whatever_lies_around_an_address_that_is_refused(address: str, data: st.DataObject) -> None:
    egress = Egress(denied=["10.0.0.0/8"])
    four = int(ipaddress.IPv4Address(address))
    high = data.draw(
        st.sampled_from([0, 0xFFFF << 32, 0xFFFF << 48, 0x64FF9B << 96, 0x20010DB800000000 << 64 | 0x5EFE << 32])
    )
    with pytest.raises(GitIntegrationError, match="refuse"):
        egress.check_host(str(ipaddress.IPv6Address(high | four)))
    low = data.draw(st.integers(0, (1 << 80) - 1))
    with pytest.raises(GitIntegrationError, match="refuse"):
        egress.check_host(str(ipaddress.IPv6Address(0x2002 << 112 | four << 80 | low)))


def test_an_administrator_denies_more() -> None:
    egress = Egress(denied=["127.0.0.0/8", "::1/128", "10.1.2.3/16"])
    for host in ("127.0.0.1", "::1", "10.1.200.7", "::ffff:10.1.0.1", "0x7f000001", "2130706433", "017700000001"):
        with pytest.raises(GitIntegrationError, match="--denied-networks"):
            egress.check_host(host)
    egress.check_host("10.2.0.1")


@pytest.mark.parametrize("text", ["10.0.0.0/33", "github.com", "", "::/0/0"])
def test_a_network_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        Egress(denied=[text])


async def test_a_name_that_leads_to_a_denied_network() -> None:
    egress = Egress(denied=["127.0.0.0/8", "::1/128"])
    with pytest.raises(GitIntegrationError, match="--denied-networks"):
        await egress.resolve("localhost", 80)
    async with GitClient(None, egress=egress) as git:  # type: ignore[arg-type]
        with pytest.raises(GitIntegrationError, match="--denied-networks"):
            await git.ls_refs(Remote(RemoteURL("http", "localhost", 80, "/a")), [])


def test_names_are_not_taken_for_addresses() -> None:
    for name in ("github.com", "face", "a.b", "1.2.3.4.example.com", "0xg", ""):
        assert parse_address(name) is None, name


def test_only_allowed_hosts_where_there_is_a_list() -> None:
    egress = Egress(["github.com", "*.Example.com"])
    for host in ("github.com", "GitHub.com", "git.example.com", "a.b.example.com"):
        egress.check_host(host)
    for host in ("example.com", "github.com.evil.org", "evil-github.com", "127.0.0.1"):
        with pytest.raises(GitIntegrationError, match="not among the hosts"):
            egress.check_host(host)
    with pytest.raises(GitIntegrationError, match="not among the hosts"):
        egress.check_proxy(Proxy("http://proxy.evil.org:3128"))
    egress.check_proxy(None)
