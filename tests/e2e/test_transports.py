"""The same two-way sync over every transport and with every kind of credential, against real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import READER, TOKEN, WRITER, GitServer
from tests.bed.operator import ContainedOperator, OperatorProcess
from tests.bed.proxy import LOGIN, Proxy
from tests.bed.sshserver import SshServer
from tests.bed.world import World, eventually, manifest

MakeWorld = Callable[..., World]
FILES = {"pipelines/orders.yaml": manifest("orders")}


@pytest.fixture(scope="module")
def ssh(bed_directory: Path) -> Iterator[SshServer]:
    server = SshServer(bed_directory / "ssh")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def strict_server(bed_directory: Path) -> Iterator[GitServer]:
    """Asks for a client certificate."""
    server = GitServer(bed_directory / "strict", require_client_certificate=True)
    yield server
    server.stop()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.stop()


def carries_both_ways(w: World) -> None:
    """An edit of each side arrives on the other."""
    w.in_sync()
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster"))
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", "7 7 * * *", owner="cluster")})
    w.in_sync()
    assert w.spec("orders")["schedule"] == "7 7 * * *"
    assert w.repo.count() == 3
    assert w.status()["connection"]["permissions"] == ["read", "write"]


def test_of_a_server_that_is_known_a_repository_is_asked_for_its_refs_at_once(world: MakeWorld) -> None:
    """Thousands of repositories of one server are looked at with one request each, also after a restart."""
    known, w = world(FILES), world(FILES)
    for each in (known, w):
        each.secret()
    known.integrate()
    known.in_sync()
    w.integrate()
    w.in_sync()
    first = next(request for request in w.server.requests if w.repo.name in request[1])
    assert first == ("POST", f"/{w.repo.name}.git/git-upload-pack")


def test_a_server_that_speaks_protocol_2_may_have_a_repository_that_does_not(world: MakeWorld) -> None:
    known, old = world(FILES), world(FILES)
    old.server.old.add(old.repo.name)
    for each in (known, old):
        each.secret()
        each.integrate()
        each.in_sync()
    carries_both_ways(old)
    carries_both_ways(known)


@pytest.mark.parametrize(
    "secret",
    [
        {"token": TOKEN},
        {"bearerToken": TOKEN},
        {"username": WRITER[0], "password": WRITER[1]},
    ],
    ids=["token", "bearer", "basic"],
)
def test_https_with_an_authority_of_its_own(world: MakeWorld, git_server: GitServer, secret: dict[str, str]) -> None:
    w = world(FILES)
    w.secret(**secret, **{"ca.crt": git_server.authority.certificate.read_text()})
    w.integrate(repositoryURL=w.repo.url("https"))
    carries_both_ways(w)


def test_https_with_a_client_certificate(
    control_plane: Any, strict_server: GitServer, operator: OperatorProcess
) -> None:
    w = World(control_plane, strict_server, f"t-mtls-{strict_server.https_port}", FILES)
    trust = {"ca.crt": strict_server.authority.certificate.read_text(), "token": TOKEN}
    w.secret(**trust)
    w.integrate(repositoryURL=w.repo.url("https"))
    eventually(lambda: w.condition("Connected").get("reason") == "NetworkUnreachable")
    pair = strict_server.client
    w.secret(**trust, **{"tls.crt": pair.certificate.read_text(), "tls.key": pair.key.read_text()})
    carries_both_ways(w)
    assert pair.key.read_text().splitlines()[1] not in operator.log()


@pytest.mark.parametrize("passphrase", [None, "the key's passphrase"], ids=["plain-key", "encrypted-key"])
def test_ssh(world: MakeWorld, ssh: SshServer, passphrase: str | None) -> None:
    w = world(FILES)
    w.secret(**ssh.secret(passphrase=passphrase))
    w.integrate(repositoryURL=ssh.url(w.repo))
    carries_both_ways(w)


def test_ssh_by_the_scp_like_form(world: MakeWorld, ssh: SshServer) -> None:
    w = world(FILES)
    w.secret(**ssh.secret())
    if not ssh.takes_scp_like:  # only root may listen on port 22, which this form always means
        w.integrate(repositoryURL=ssh.scp_like(w.repo))
        eventually(lambda: w.condition("Connected").get("reason") == "NetworkUnreachable")
        return
    w.integrate(repositoryURL=ssh.scp_like(w.repo))
    carries_both_ways(w)


@pytest.mark.parametrize("over", ["https", "ssh"])
def test_through_a_proxy_with_a_password(
    world: MakeWorld, git_server: GitServer, ssh: SshServer, proxy: Proxy, operator: OperatorProcess, over: str
) -> None:
    w = world(FILES)
    if over == "https":
        w.secret(token=TOKEN, **{"ca.crt": git_server.authority.certificate.read_text()})
    else:
        w.secret(**ssh.secret())
    w.secret("proxy", address=proxy.address, username=LOGIN[0], password="wrong")
    url = w.repo.url("https") if over == "https" else ssh.url(w.repo)
    w.integrate(repositoryURL=url, proxySecretRef={"name": "proxy"})
    eventually(lambda: "proxy" in w.condition("Ready").get("message", ""))
    assert not proxy.made
    w.secret("proxy", address=proxy.address, username=LOGIN[0], password=LOGIN[1])
    carries_both_ways(w)
    assert proxy.made
    assert LOGIN[1] not in operator.log()


def test_a_reader_pulls_and_is_told_that_it_may_not_push(world: MakeWorld) -> None:
    w = world(FILES)
    w.secret(username=READER[0], password=READER[1])
    w.integrate()
    assert w.in_sync()["connection"]["permissions"] == ["read"]
    w.patch("orders", {"owner": "cluster"})
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == "PermissionDenied" and c)
    assert "may not" in ready["message"]
    assert w.status()["localAheadCount"] == 1
    assert w.repo.count() == 1
    w.secret()  # another, that may: noticed at once
    eventually(lambda: w.repo.count() == 2)


def test_a_reader_over_ssh_is_told_the_servers_words(world: MakeWorld, ssh: SshServer) -> None:
    w = world(FILES)
    w.secret(**ssh.secret(ssh.reader))
    w.integrate(repositoryURL=ssh.url(w.repo))
    assert w.in_sync()["connection"]["permissions"] == ["read"]
    w.patch("orders", {"owner": "cluster"})
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == "PermissionDenied" and c)
    assert "may not write here" in ready["message"]


def test_an_unknown_host_key_is_refused(world: MakeWorld, ssh: SshServer) -> None:
    w = world(FILES)
    w.secret(**{**ssh.secret(), "known_hosts": ssh.wrong_known_hosts})
    w.integrate(repositoryURL=ssh.url(w.repo))
    ready = eventually(lambda: (c := w.condition("Ready")).get("reason") == "HostKeyMismatch" and c)
    assert "known_hosts" in ready["message"]
    w.secret(**ssh.secret())
    w.in_sync()


def test_a_key_that_the_server_does_not_know(world: MakeWorld, ssh: SshServer, bed_directory: Path) -> None:
    w = world(FILES)
    stranger = SshServer(bed_directory / "stranger")
    stranger.stop()
    w.secret(**{**ssh.secret(stranger.writer)})
    w.integrate(repositoryURL=ssh.url(w.repo))
    ready = eventually(lambda: (c := w.condition("Ready")).get("reason") == "AuthenticationFailed" and c)
    assert "key" in ready["message"]


def test_it_works_as_its_container_runs_it(
    world: MakeWorld, control_plane: ControlPlane, ssh: SshServer, tmp_path: Path
) -> None:
    """There its workers are children of PID 1, no signal ends it that it does not handle, and its user has no name."""
    over_http, over_ssh = world(FILES), world(FILES)
    over_http.secret()
    over_ssh.secret(**ssh.secret())
    shard = {"planasonix.com/shard": over_http.namespace}
    over_http.integrate(labels=shard)
    over_ssh.integrate(labels=shard, repositoryURL=ssh.url(over_ssh.repo))
    contained = ContainedOperator(control_plane, tmp_path, f"--shard={over_http.namespace}", name="contained")
    try:
        carries_both_ways(over_http)
        carries_both_ways(over_ssh)
        libraries = [Path(f"/proc/{pid}/maps").read_text() for pid in contained.children()]
    finally:
        contained.stop()
    assert sum("pydantic_core" in each or "orjson" in each for each in libraries) == 2
    assert not any("aiohttp" in each for each in libraries), "a worker holds what only the operator needs"
    assert not contained.is_alive
    assert "Traceback" not in contained.log()
