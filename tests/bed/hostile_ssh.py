"""SSH servers that mean harm: those that end no handshake, those that say too much, and those that never let go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import Callable
from typing import Any

import asyncssh
from asyncssh.packet import String

from tests.bed.ports import Ports, Way, hold

_VERSION = b"SSH-2.0-Harm\r\n"
_MSG_IGNORE, _MSG_KEXINIT, _MSG_BANNER = 2, 20, 53
_FLOOD = 1 << 15


def _packet(payload: bytes) -> bytes:
    """As it is sent before keys are agreed on."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def _offers() -> bytes:
    lists = [b"curve25519-sha256", b"ssh-ed25519", *[b"aes128-ctr"] * 2, *[b"hmac-sha2-256"] * 2, *[b"none"] * 2]
    body = b"".join(struct.pack(">I", len(names)) + names for names in (*lists, b"", b""))
    return _packet(bytes([_MSG_KEXINIT]) + os.urandom(16) + body + bytes(5))


def _says(opening: bytes, each: bytes = b"") -> Way:
    """Without a handshake: sends `opening`, then `each` without end, or nothing more."""

    async def way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(opening)
        while each:
            writer.write(each)
            await writer.drain()
        await hold(reader, writer)

    return way


_UNSHAKEN: dict[str, tuple[Way, str | None]] = {
    "no-version": (hold, None),
    "no-exchange": (_says(_VERSION), None),
    "half-exchange": (_says(_VERSION + _offers()), None),
    "lines": (_says(b"", b"welcome\r\n" * 4000), "no SSH connection"),
    "nothings": (_says(_VERSION, _packet(bytes([_MSG_IGNORE]) + struct.pack(">I", 0)) * 1000), "no SSH connection"),
}

Session = Callable[[asyncssh.SSHServerProcess[bytes]], Any]


async def _silent(process: asyncssh.SSHServerProcess[bytes]) -> None:
    await process.stdin.read()


async def _stderr(process: asyncssh.SSHServerProcess[bytes]) -> None:
    while True:
        process.stderr.write(b"no " * _FLOOD)
        await process.stderr.drain()


async def _stdout(process: asyncssh.SSHServerProcess[bytes]) -> None:
    process.stdout.write(b"000eversion 2\n")
    while True:
        process.stdout.write((b"%04x" % 60_004 + b"c=" + b"x" * 59_997 + b"\n") * 8)
        await process.stdout.drain()


async def _no_exit(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """All of it but the end: the branch is there, and nothing comes after it."""
    process.stdout.write(b"000eversion 2\n0000")
    await process.stdin.readuntil(b"0000")
    await process.stdin.read()


async def _ignored(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Messages that nobody is told of, and that are counted for no answer."""
    await _pour(process.channel.get_connection(), _MSG_IGNORE)


async def _pour(connection: Any, kind: int) -> None:
    text = String(b"x" * (_FLOOD - 100))
    while not connection.is_closed():
        connection.send_packet(kind, text, *([String("")] if kind == _MSG_BANNER else []))
        while connection._transport and connection._transport.get_write_buffer_size() > 1 << 20:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)


_SHAKEN: dict[str, tuple[Session, dict[str, Any], str | None]] = {
    "compressing": (_stdout, {"compression_algs": ["zlib@openssh.com", "zlib"]}, "no SSH connection"),
    "silent": (_silent, {}, None),
    "stderr": (_stderr, {}, None),
    "stdout": (_stdout, {}, "longer than"),
    "ignored": (_ignored, {}, None),
    "banners": (_silent, {}, None),
    "no-exit": (_no_exit, {}, None),
    "keepalives": (_silent, {"keepalive_interval": 0.002, "keepalive_count_max": 1 << 40}, None),
}
TOLD = {name: told for name, (_, told) in _UNSHAKEN.items()} | {name: told for name, (_, _, told) in _SHAKEN.items()}
"""Name -> words of what is told of it; None: it is held open until the deadline."""


class SshServers:
    """One for each way; `urls` by its name. What logs in is anybody, with `secret`."""

    def __init__(self, ports: Ports) -> None:
        self._host = asyncssh.generate_private_key("ssh-ed25519")
        self._key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
        at = {name: ports.listen(f"ssh-{name}", way) for name, (way, _) in _UNSHAKEN.items()}
        for name, (session, options, _) in _SHAKEN.items():
            at[name] = ports.adopt(self._listen(ports, f"ssh-{name}", session, options)).get_port()
        self.urls = {name: f"ssh://git@127.0.0.1:{port}/repo" for name, port in at.items()}
        public = self._host.export_public_key().decode().strip()
        self._known = "".join(f"[127.0.0.1]:{port} {public}\n" for port in at.values())

    @property
    def secret(self) -> dict[str, str]:
        return {"identity": self._key, "known_hosts": self._known}

    async def _listen(self, ports: Ports, name: str, session: Session, options: dict[str, Any]) -> asyncssh.SSHAcceptor:
        class Anybody(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                self._connection = conn
                self._meeting = contextlib.ExitStack()
                self._meeting.enter_context(ports.meeting(name))

            def connection_lost(self, exc: Exception | None) -> None:
                self._meeting.close()

            async def begin_auth(self, username: str) -> bool:
                if name == "ssh-banners":
                    await _pour(self._connection, _MSG_BANNER)
                return False

        async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
            with contextlib.suppress(ConnectionError, asyncssh.Error, asyncio.IncompleteReadError):
                await session(process)

        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self._host],
            server_factory=Anybody,
            process_factory=serve,
            encoding=None,
            **options,
        )
