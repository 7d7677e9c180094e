"""What is agreed with an ssh server, whatever it would like."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncssh
import pytest

from gitintegration.errors import RemoteUnavailable
from gitintegration.git.client import GitClient
from gitintegration.git.remote import Remote, SshKey
from gitintegration.git.url import parse_url

CLIENT, HOST = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))


@pytest.fixture
async def git() -> AsyncIterator[GitClient]:
    async with GitClient(None) as made:  # type: ignore[arg-type]
        yield made


class Anybody(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


async def ask(git: GitClient, **options: Any) -> list[str]:
    """Asks a server with these options for refs; the compression that was agreed on."""
    agreed = []

    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        agreed.append(str(process.get_extra_info("recv_compression")))
        process.stdout.write(b"000eversion 2\n0000")
        await process.stdin.readuntil(b"0000")
        process.stdout.write(b"0000")
        process.exit(0)

    async with asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[HOST], server_factory=Anybody, process_factory=serve, encoding=None, **options
    ) as server:
        port = server.get_port()
        known = f"[127.0.0.1]:{port} {HOST.export_public_key().decode()}".encode()
        remote = Remote(parse_url(f"ssh://git@127.0.0.1:{port}/a"), SshKey(CLIENT.export_private_key(), known))
        await git.ls_refs(remote, [])
        assert len(git._ssh._connections) == 1
        git.forget(remote)
        assert len(git._ssh._connections) == 0
    return agreed


async def test_nothing_is_compressed(git: GitClient) -> None:
    assert await ask(git, compression_algs=["zlib@openssh.com", "zlib", "none"]) == ["none"]
    with pytest.raises(RemoteUnavailable):
        await ask(git, compression_algs=["zlib@openssh.com", "zlib"])


@pytest.mark.parametrize("kex", ["diffie-hellman-group-exchange-sha256", "diffie-hellman-group18-sha512"])
async def test_no_server_chooses_the_group_of_a_key_exchange(git: GitClient, kex: str) -> None:
    with pytest.raises(RemoteUnavailable):
        await ask(git, kex_algs=[kex])


@pytest.mark.parametrize("kex", ["curve25519-sha256", "ecdh-sha2-nistp256"])
async def test_others_serve(git: GitClient, kex: str) -> None:
    assert await ask(git, kex_algs=[kex]) == ["none"]


async def test_packets_that_say_nothing_end_the_connection(git: GitClient) -> None:
    """Sixteen bytes each, without end: they count for no exchange, and took the event loop half a second at a time."""
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"SSH-2.0-Harm\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write((b"\0\0\0\x0c\x06\x02" + bytes(10)) * 1000)
                await writer.drain()
                sent += 16_000
        writer.transport.abort()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        remote = Remote(parse_url(f"ssh://git@127.0.0.1:{port}/a"), SshKey(CLIENT.export_private_key(), b""))
        with pytest.raises(RemoteUnavailable) as found:
            await git.ls_refs(remote, [])
    assert found.value.reason.value == "NetworkUnreachable"
    assert sent > 100_000
