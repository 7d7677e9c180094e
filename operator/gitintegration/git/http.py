"""Smart HTTP: one advertisement, then requests. Redirects are refused, because credentials would travel with them."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp import AddrInfoType

from gitintegration import messages
from gitintegration.errors import Reason, RemoteError, RemoteUnavailable, Words
from gitintegration.git.budget import Exchange, Metered
from gitintegration.git.egress import ANYWHERE, CheckedResolver, Egress
from gitintegration.git.keys import Keys
from gitintegration.git.recent import Recent
from gitintegration.git.remote import Basic, Bearer, Proxy, Remote, Tls, fingerprint
from gitintegration.git.tls import make_context
from gitintegration.git.wire import Advertisement, Reader, read_advertisement, shown

_CHUNK = 1 << 16
_REDIRECTS = range(300, 400)
_KNOWN = 20_000
"""Remotes of which is remembered what their servers can do; ten times as many as one process is made for."""
_SERVERS = 4096
_CONTEXTS = 128
"""An authority of a tenant's own takes half a megabyte at most."""


class HttpTransport:
    """All HTTP remotes share one session; `limit` bounds the connections to one host."""

    def __init__(self, limit: int = 8, egress: Egress = ANYWHERE, keys: Keys | None = None) -> None:
        self._limit, self._egress, self._keys = limit, egress, keys or Keys()
        self._session: aiohttp.ClientSession | None = None
        self._known: Recent[tuple[str, str], Advertisement] = Recent(_KNOWN)
        """By fingerprint and service."""
        self._modern: Recent[tuple[str, str, int | None], Advertisement] = Recent(_SERVERS)
        """What servers said last that spoke protocol 2, by scheme, host and port."""
        self._contexts: Recent[str, ssl.SSLContext] = Recent(_CONTEXTS)

    async def __aenter__(self) -> HttpTransport:
        connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=self._limit,
            ttl_dns_cache=60,
            resolver=CheckedResolver(self._egress),
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    def _socket(self, target: AddrInfoType) -> socket.socket:
        """The last place before an address is dialled, wherever it came from."""
        family, kind, protocol, _, address = target
        self._egress.check_address(str(address[0]), str(address[0]))
        return socket.socket(family, kind, protocol)

    def may_skip(self, remote: Remote) -> bool:
        """Whether refs can be asked for at once: nothing was asked of the repository yet, and its server speaks protocol 2."""
        return _server(remote) in self._modern and (remote.fingerprint, "git-upload-pack") not in self._known

    def tells_unborn(self, remote: Remote) -> bool:
        """Whether its server can be asked for a HEAD whose branch is not there."""
        known = self._known.get((remote.fingerprint, "git-upload-pack")) or self._modern.get(_server(remote))
        return known is not None and known.tells_unborn

    def doubt(self, remote: Remote) -> None:
        """Its server may not speak protocol 2 everywhere."""
        self._modern.drop(_server(remote))

    def forget(self, remote: Remote) -> None:
        """What was learnt of the remote may have changed: ask it again."""
        for service in ("git-upload-pack", "git-receive-pack"):
            self._known.drop((remote.fingerprint, service))

    def leave(self, remote: Remote) -> None:
        """Nothing is asked of the remote any more. Others with the same trust make its context anew."""
        self.forget(remote)
        if remote.tls != Tls():
            self._contexts.drop(fingerprint(remote.tls))

    async def advertisement(
        self, remote: Remote, service: str, exchange: Exchange, wanted: Collection[str] = (), *, fresh: bool
    ) -> Advertisement:
        """What the server can do. Remembered, unless it must be `fresh`: then HEAD and the `wanted` refs are today's."""
        key = (remote.fingerprint, service)
        known = self._known.get(key)
        if known and not fresh:
            return known
        url = f"{_base(remote)}/info/refs?service={service}"
        headers = {"Git-Protocol": "version=2"} if service == "git-upload-pack" else {}
        async with self._request("GET", url, remote, headers) as response:
            if not response.headers.get("Content-Type", "").startswith(f"application/x-{service}-advertisement"):
                words = messages.NO_GIT(host=remote.url.host, url=remote.url)
                raise RemoteError(Reason.RepositoryNotFound, words, retry=True)
            found = await read_advertisement(_reader(response, exchange), wanted)
        self._known.put(key, replace(found, refs=None))
        if found.version == 2:
            self._modern.put(_server(remote), found)
        return found

    @asynccontextmanager
    async def post(
        self, remote: Remote, service: str, body: bytes, exchange: Exchange, pack: Path | None = None
    ) -> AsyncIterator[Reader]:
        """Sends a request (and behind it a pack); gives the answer to read."""
        headers = {"Content-Type": f"application/x-{service}-request", "Accept": f"application/x-{service}-result"}
        if service == "git-upload-pack":
            headers["Git-Protocol"] = "version=2"
        payload: bytes | AsyncIterator[bytes] = body
        if pack is not None:
            size = pack.stat().st_size + len(body)
            if size <= 1 << 20:
                payload = body + pack.read_bytes()
            else:
                payload = _stream(body, pack)
                headers["Content-Length"] = str(size)
        async with self._request("POST", f"{_base(remote)}/{service}", remote, headers, payload) as response:
            yield _reader(response, exchange)

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: str,
        remote: Remote,
        headers: Mapping[str, str],
        data: bytes | AsyncIterator[bytes] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session
        proxy, proxy_auth = _proxy(remote.proxy)
        trust = await self._context(remote.tls) if remote.url.scheme == "https" else True
        try:
            async with self._session.request(
                method,
                url,
                data=data,
                headers={**_ALWAYS, **headers, **_authorization(remote)},
                allow_redirects=False,
                ssl=trust,
                proxy=proxy,
                proxy_auth=proxy_auth,
            ) as response:
                _check(response, remote)
                yield response
        except aiohttp.ClientError as error:
            raise _translated(error, remote) from None
        except asyncio.IncompleteReadError:
            raise RemoteUnavailable(Reason.NetworkUnreachable, "the server closed the connection early") from None

    async def _context(self, tls: Tls) -> ssl.SSLContext:
        key = fingerprint(tls)
        return self._contexts.get(key) or self._contexts.put(key, make_context(await self._keys.tls(tls)))


_ALWAYS = {"User-Agent": "git/2.45 (gitintegration)", "Accept-Encoding": "gzip"}


def _reader(response: aiohttp.ClientResponse, exchange: Exchange) -> Reader:
    """The body, counted as it unfolds. Raises RemoteError where it is packed in a way that was not asked for."""
    packed = response.headers.get("Content-Encoding", "identity").strip().lower()
    if packed in ("gzip", "x-gzip"):
        return Metered(Unfolded(response.content), exchange)
    if packed not in ("identity", ""):
        words = "the server packs its answer in a way that it was not asked for (Content-Encoding)"
        raise RemoteError(Reason.NetworkUnreachable, words, retry=True)
    return Metered(response.content, exchange)


class Unfolded:
    """What a gzip stream holds; never more of it in memory than a piece beyond what was asked for."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content, self._inflate, self._unread = content, zlib.decompressobj(31), bytearray()

    async def readexactly(self, n: int) -> bytes:
        while len(self._unread) < n:
            data = self._inflate.unconsumed_tail or (b"" if self._inflate.eof else await self._content.readany())
            if not data:
                raise asyncio.IncompleteReadError(bytes(self._unread), n)
            try:
                self._unread += self._inflate.decompress(data, _CHUNK)
            except zlib.error:
                raise RemoteError(Reason.NetworkUnreachable, "the server's answer is no gzip", retry=True) from None
        found = bytes(self._unread[:n])
        del self._unread[:n]
        return found


async def _stream(body: bytes, pack: Path) -> AsyncIterator[bytes]:
    yield body
    with pack.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _server(remote: Remote) -> tuple[str, str, int | None]:
    return remote.url.scheme, remote.url.host, remote.url.port


def _base(remote: Remote) -> str:
    return str(remote.url).rstrip("/")


def _authorization(remote: Remote) -> dict[str, str]:
    """Sent at once: waiting for a 401 doubles every request."""
    match remote.auth:
        case Basic(username, password):
            return {"Authorization": aiohttp.encode_basic_auth(username, password)}
        case Bearer(token):
            return {"Authorization": f"Bearer {token}"}
    return {}


def _proxy(proxy: Proxy | None) -> tuple[str | None, aiohttp.BasicAuth | None]:
    if proxy is None:
        return None, None
    auth = aiohttp.BasicAuth(proxy.username, proxy.password or "") if proxy.username else None
    return proxy.address, auth


def _check(response: aiohttp.ClientResponse, remote: Remote) -> None:
    status = response.status
    kind = response.headers.get("Content-Type", "").lower()
    if status == 200 or (status == 203 and "html" not in kind):
        return
    if status in (203, 401):
        raise _unknown(remote, ": it answers with a page to sign in (203)" if status == 203 else " (401)")
    if status == 403:
        writes = "git-receive-pack" in str(response.url)
        raise RemoteError(Reason.PermissionDenied, _denied(remote, writes=writes), retry=True)
    if status in (404, 410):
        hidden = messages.REPOSITORY_HIDDEN if remote.secret else messages.REPOSITORY_MISSING
        raise RemoteError(Reason.RepositoryNotFound, hidden(**_facts(remote), status=status), retry=True)
    if status in _REDIRECTS:
        raise _redirected(response, remote)
    wait = _retry_after(response.headers.get("Retry-After"))
    if status == 429 or (status == 503 and wait is not None):
        words = messages.RATE_LIMITED(host=remote.url.host, status=status)
        raise RemoteUnavailable(Reason.RateLimited, words, retry_after=wait)
    answer = shown(f"{status} {response.reason or ''}")
    words = messages.SERVER_TROUBLE(host=remote.url.host, status=answer)
    raise RemoteUnavailable(Reason.NetworkUnreachable, words)


def _facts(remote: Remote) -> dict[str, object]:
    of_secret = {"secret": remote.secret or "SECRET", "key": remote.key or "token"}
    return {"host": remote.url.host, "url": remote.url, **of_secret}


def _denied(remote: Remote, *, writes: bool) -> Words:
    if not isinstance(remote.auth, Basic | Bearer):
        return messages.DENIED_TO_ALL(**_facts(remote), do="write to" if writes else "read")
    return (messages.WRITE_DENIED if writes else messages.READ_DENIED)(**_facts(remote), how=" (403)")


def _unknown(remote: Remote, how: str) -> RemoteError:
    """Who asks is not known to the server. `how`: it said so."""
    known = isinstance(remote.auth, Basic | Bearer)
    words = messages.LOGIN_REFUSED(**_facts(remote), how=how) if known else messages.LOGIN_WANTED(**_facts(remote))
    return RemoteError(Reason.AuthenticationFailed, words, retry=True)


_SIGN_IN = re.compile(r"sign[-_]?[io]n|log[-_]?[io]n|auth(?!or)|sso|saml|adfs|openid|session", re.IGNORECASE)


def _redirected(response: aiohttp.ClientResponse, remote: Remote) -> RemoteError:
    """Where the repository lives, in words, or that the server wants to know who asks. No credential is sent there."""
    try:
        target = urlsplit(urljoin(str(response.url), response.headers.get("Location", "")))
        port = f":{target.port}" if target.port is not None else ""
    except ValueError:
        return RemoteError(Reason.InvalidURL, "the server redirects to an address that is none", retry=True)
    asked = next((end for end in _ENDS if target.path.endswith(end)), None)
    host = f"[{target.hostname}]" if ":" in (target.hostname or "") else target.hostname
    place = shown(f"{target.scheme}://{host}{port}{target.path.removesuffix(asked or '')}")
    if asked is None and _SIGN_IN.search(f"{target.hostname}{target.path}"):
        return _unknown(remote, f": it sends us to its page to sign in ({place})")
    words = f"the server redirects to {place}: redirects are not followed"
    if target.scheme != "https" and remote.url.scheme == "https":
        words += ", and this one would send the credentials without TLS"
    elif target.scheme in ("http", "https"):
        words += "; set spec.repositoryURL to where it lives"
    return RemoteError(Reason.InvalidURL, words, retry=True)


_ENDS = ("/info/refs", "/git-upload-pack", "/git-receive-pack")


def _retry_after(value: str | None) -> float | None:
    return float(value[:40]) if value and value.isdecimal() else None


def _translated(error: aiohttp.ClientError, remote: Remote) -> RemoteUnavailable:
    host = f"{remote.url.host}:{remote.url.port}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return RemoteUnavailable(Reason.NetworkUnreachable, messages.CERTIFICATE(host=host, key="ca.crt"))
    if isinstance(error, aiohttp.ClientConnectorSSLError | aiohttp.ClientSSLError):
        return RemoteUnavailable(
            Reason.NetworkUnreachable, f"no TLS connection to {host}: {type(error.os_error).__name__}"
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return RemoteUnavailable(
            Reason.NetworkUnreachable, f"the proxy can't be used for {host}: {type(error).__name__}"
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return RemoteUnavailable(Reason.NetworkUnreachable, f"the name {remote.url.host} can't be resolved")
    if isinstance(error, aiohttp.ClientConnectorError):
        return RemoteUnavailable(Reason.NetworkUnreachable, f"no connection to {host}: {error.os_error.strerror}")
    return RemoteUnavailable(Reason.NetworkUnreachable, f"the connection to {host} broke: {type(error).__name__}")
