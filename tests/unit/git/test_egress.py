"""Which hosts a tenant may send the operator to."""

from __future__ import annotations

import pytest

from gitintegration.errors import GitIntegrationError
from gitintegration.git.egress import ANYWHERE, Egress
from gitintegration.git.remote import Proxy


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "fe80::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
        "168.63.129.16",
        "0.0.0.0",
        "::",
        "224.0.0.1",
    ],
)
def test_a_nodes_own_addresses_are_refused(host: str) -> None:
    with pytest.raises(GitIntegrationError, match="refused"):
        ANYWHERE.check_host(host)
    with pytest.raises(GitIntegrationError, match="refused"):
        ANYWHERE.check_proxy(Proxy(f"http://[{host}]:3128" if ":" in host else f"http://{host}:3128"))


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376"])
async def test_so_are_other_spellings_once_they_are_resolved(host: str) -> None:
    with pytest.raises(GitIntegrationError, match=r"169\.254\.169\.254"):
        await ANYWHERE.resolve(host, 80)


@pytest.mark.parametrize("host", ["github.com", "10.0.0.7", "127.0.0.1", "2001:db8::1"])
def test_others_are_not(host: str) -> None:
    ANYWHERE.check_host(host)


def test_only_allowed_hosts_where_there_is_a_list() -> None:
    egress = Egress(["github.com", "*.Example.com"])
    for host in ("github.com", "GitHub.com", "git.example.com", "a.b.example.com"):
        egress.check_host(host)
    for host in ("example.com", "github.com.evil.org", "evil-github.com", "127.0.0.1"):
        with pytest.raises(GitIntegrationError, match="--allowed-hosts"):
            egress.check_host(host)
    with pytest.raises(GitIntegrationError, match="--allowed-hosts"):
        egress.check_proxy(Proxy("http://proxy.evil.org:3128"))
    egress.check_proxy(None)
