"""Git over SSH by asyncssh: keys in memory only, host keys known beforehand, connections kept for the next poll."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import asyncssh

from gitintegration import messages
from gitintegration.errors import CredentialError, Reason, RemoteError, RemoteUnavailable
from gitintegration.git.budget import Exchange, Metered
from gitintegration.git.egress import Egress
from gitintegration.git.keys import Keys
from gitintegration.git.recent import Recent
from gitintegration.git.remote import Remote, SshKey
from gitintegration.git.wire import Advertisement, Reader, Special, read_advertisement, server_said

_KEEP = 900
"""Connections unused for so many seconds are closed."""
_CONNECTIONS = 512
"""So many are kept; each holds some 100 KB and a file descriptor."""
_WINDOW = 1 << 20
"""Bytes that a server may send ahead of what is read."""
_PIECE = 16 << 10
"""Bytes that are read at once. The smallest packets, which say nothing, take 30 ms of the event loop for so many."""
_SLOW, _SLOW_SUM = 0.005, 0.5
"""Seconds of CPU: pieces that take more are told from others, and so much of them a connection may cost. Of packets with content
a piece takes less than one millisecond, and the handshake some twenty once or twice."""
_KEX = "-diffie-hellman-group-exchange-*,diffie-hellman-group17-*,diffie-hellman-group18-*,rsa*"
"""None in which the server names a group of its own, for a power in a large one takes the event loop minutes; nor the largest
of the others."""


@dataclass(slots=True)
class Channel:
    """A running git service on the other side."""

    advertisement: Advertisement
    reader: Reader
    process: asyncssh.SSHClientProcess[bytes]

    def write(self, data: bytes) -> None:
        self.process.stdin.write(data)

    def end(self) -> None:
        """Tell the service that nothing more is wanted."""
        self.process.stdin.write(Special.flush.value)
        self.process.stdin.write_eof()


@dataclass(slots=True)
class _Kept:
    """A connection, and when it was used last."""

    connection: asyncssh.SSHClientConnection
    used: float


class _Careful(asyncssh.SSHClient):
    """Reads in small pieces, and ends a connection that takes the event loop much time for little: what it sends is counted
    nowhere else where it says nothing."""

    is_made = False
    """Its socket belongs to the event loop since, and is closed with the connection."""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.is_made = True
        self._connection, self._read, self._spent = conn, conn.data_received, 0.0
        conn._transport.max_size = _PIECE  # type: ignore[union-attr]  # asyncio's, which takes 256 KB at once
        conn.data_received = self._take  # type: ignore[method-assign]  # asyncssh tells nobody of packets without content

    def _take(self, data: bytes, datatype: int | None = None) -> None:
        began = time.thread_time()
        self._read(data, datatype)
        took = time.thread_time() - began
        if took > _SLOW:
            self._spent += took
            if self._spent > _SLOW_SUM:
                self._connection.abort()


class SshTransport:
    """Connections by remote; a remote holds its credentials, so no connection is shared across them."""

    def __init__(self, egress: Egress, keys: Keys) -> None:
        self._egress, self._keys = egress, keys
        self._connections: Recent[str, _Kept] = Recent(_CONNECTIONS, lambda kept: kept.connection.abort())
        """By fingerprint."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """So that a remote is dialled once at a time."""

    async def close(self) -> None:
        self._connections.clear()

    @asynccontextmanager
    async def open(
        self, remote: Remote, service: str, exchange: Exchange, wanted: Collection[str] = ()
    ) -> AsyncIterator[Channel]:
        """Start `service` for the repository of `remote`. Of the refs that it tells by itself, HEAD and `wanted` are kept."""
        path = remote.url.path.replace("'", "'\\''")
        try:
            connection = await self._connect(remote)
            process = await connection.create_process(
                f"{service} '{path}'",
                encoding=None,
                env={"GIT_PROTOCOL": "version=2"} if "upload" in service else {},
                window=_WINDOW,
            )
        except (asyncssh.Error, OSError) as error:
            self.drop(remote)
            raise _translated(error, remote) from None
        try:
            reader = Metered(process.stdout, exchange)
            yield Channel(await read_advertisement(reader, wanted), reader, process)
        except (asyncio.IncompleteReadError, asyncssh.Error, ConnectionError):
            raise await self._explained(process, remote) from None
        finally:
            process.close()

    async def _explained(self, process: asyncssh.SSHClientProcess[bytes], remote: Remote) -> RemoteError:
        """The stream ended early: what did the other side say?"""
        words = b""
        try:
            async with asyncio.timeout(2):
                words = await process.stderr.read(4096)
        except (TimeoutError, asyncssh.Error):
            pass
        if text := words.decode(errors="replace").strip():
            return server_said(text)
        self.drop(remote)
        return RemoteUnavailable(Reason.NetworkUnreachable, f"the connection to {remote.url.host} broke")

    def drop(self, remote: Remote) -> None:
        """Close the connection to `remote`, if there is one."""
        self._connections.drop(remote.fingerprint)

    async def _connect(self, remote: Remote) -> asyncssh.SSHClientConnection:
        now, key = asyncio.get_running_loop().time(), remote.fingerprint
        self._connections.drop_oldest(lambda kept: now - kept.used > _KEEP)
        async with self._locks.setdefault(key, asyncio.Lock()):
            kept = self._connections.get(key)
            if kept is None or kept.connection.is_closed():
                kept = self._connections.put(key, _Kept(await _dial(remote, self._egress, self._keys), now))
            kept.used = now
            return kept.connection


async def _dial(remote: Remote, egress: Egress, keys: Keys) -> asyncssh.SSHClientConnection:
    auth = remote.auth
    if not isinstance(auth, SshKey):
        raise CredentialError(Reason.InvalidSecret, messages.SECRET_SSH())
    plain = await keys.ssh(auth)  # a worker has read it, and known_hosts, in full
    key = asyncssh.import_private_key(plain, unsafe_skip_rsa_key_validation=True)
    known = asyncssh.import_known_hosts(auth.known_hosts.decode())
    if remote.proxy:
        sock = await _through_proxy(remote, egress)
    else:
        sock = await egress.connect(remote.url.host, remote.url.port)
    client = _Careful()
    try:
        return await asyncssh.connect(
            remote.url.host,
            remote.url.port,
            username=remote.url.user or "git",
            client_keys=[key],
            known_hosts=known,
            client_factory=lambda: client,
            config=None,
            agent_path=None,
            preferred_auth="publickey",
            compression_algs=["none"],
            kex_algs=_KEX,
            keepalive_interval=60,
            login_timeout=remote.timeout,
            tunnel=None,
            sock=sock,
        )
    except BaseException:
        if not client.is_made:
            sock.close()
        raise


async def _through_proxy(remote: Remote, egress: Egress) -> socket.socket:
    """A socket that an HTTP proxy has connected to the host."""
    assert remote.proxy
    parts = urlsplit(remote.proxy.address)
    loop = asyncio.get_running_loop()
    sock = await egress.connect(parts.hostname or "", parts.port or 3128)
    try:
        target = f"{remote.url.host}:{remote.url.port}"
        login = f"{remote.proxy.username}:{remote.proxy.password or ''}".encode()
        auth = f"Proxy-Authorization: Basic {base64.b64encode(login).decode()}\r\n" if remote.proxy.username else ""
        await loop.sock_sendall(sock, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{auth}\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < 8192 and (byte := await loop.sock_recv(sock, 1)):
            answer += byte
        if b" 200" not in answer.split(b"\r\n", 1)[0]:
            raise OSError("the proxy refuses to connect")
    except BaseException:
        sock.close()
        raise
    return sock


def _translated(error: Exception, remote: Remote) -> RemoteError:
    host = f"{remote.url.host}:{remote.url.port}"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        words = messages.HOST_KEY(host=host, secret=remote.secret)
        return RemoteError(Reason.HostKeyMismatch, words, retry=True)
    if isinstance(error, asyncssh.PermissionDenied):
        words = messages.KEY_REFUSED(host=host, secret=remote.secret, user=remote.url.user or "git")
        return RemoteError(Reason.AuthenticationFailed, words, retry=True)
    if isinstance(error, OSError):
        return RemoteUnavailable(Reason.NetworkUnreachable, f"no connection to {host}: {error.strerror or error}")
    return RemoteUnavailable(Reason.NetworkUnreachable, f"no SSH connection to {host}: {type(error).__name__}")
