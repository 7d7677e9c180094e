"""HTTP to a forge: trust and proxy of the repository, no redirects, limits told and never slept out."""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import httpx
import orjson

from gitintegration import messages
from gitintegration.errors import Reason, RemoteError, RemoteUnavailable
from gitintegration.forge.dial import CheckedBackend, UnknownHost
from gitintegration.git.budget import Budget, Exchange
from gitintegration.git.egress import ANYWHERE, Egress
from gitintegration.git.keys import Keys
from gitintegration.git.recent import Recent
from gitintegration.git.remote import Basic, Bearer, Proxy, Tls, concealed, fingerprint
from gitintegration.git.tls import make_context
from gitintegration.git.wire import shown

_SHOWN = 300
_NUMBER = 40
"""Characters of a header that holds a number or a date."""
_LARGEST = 4 << 20
"""Bytes of an answer. A page of pull requests takes less than one megabyte."""
_EACH_CHUNK = 256
"""Bytes that a piece of an answer counts for beside its own: a megabyte in pieces of one byte takes the event loop a minute."""
_CHUNKS = 16
"""After so many pieces without a pause the others have their turn."""
_VALUES = 100_000
"""Values of an answer, so that reading it takes the event loop no longer than 50 ms: 100 pull requests have 40,000."""
_TOGETHER = 64 << 20
"""Bytes of all answers that are being read."""
_CONTEXTS = 64
_ERRORS = 10
"""So many are told of those that a forge names."""


class ForgeHttp:
    """One connection for each request. `transport` takes the network's place in tests; `fence` raises where this process
    may not write; `observe` is told the method and status code of every request, 0 for no answer."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        fence: Callable[[], object] = lambda: None,
        observe: Callable[[str, int], None] = lambda method, code: None,
        egress: Egress = ANYWHERE,
        keys: Keys | None = None,
    ) -> None:
        self._egress, self.keys = egress, keys or Keys()
        self.waits: Callable[[], AbstractContextManager[None]] = nullcontext
        """Entered for as long as a request takes."""
        self._transport, self._fence, self._observe = transport, fence, observe
        self._contexts: Recent[str, ssl.SSLContext] = Recent(_CONTEXTS)
        """By the fingerprint of what to trust and to show."""
        self._budget = Budget(2 * _LARGEST, _TOGETHER)

    def forget(self, tls: Tls) -> None:
        """Nothing is asked with this trust any more; where something is, its context is made anew."""
        if tls != Tls():
            self._contexts.drop(fingerprint(tls))

    async def _context(self, tls: Tls) -> ssl.SSLContext:
        key = fingerprint(tls)
        return self._contexts.get(key) or self._contexts.put(key, make_context(await self.keys.tls(tls)))

    def _client(self, trust: ssl.SSLContext, proxy: Proxy | None) -> httpx.AsyncClient:
        """For one request. A pool that many share keeps what it had begun to open for one that was cancelled."""
        through = None
        if proxy is not None:
            login = (proxy.username, proxy.password or "") if proxy.username else None
            through = httpx.Proxy(proxy.address, auth=login)
        transport = self._transport
        if transport is None:
            transport = made = httpx.AsyncHTTPTransport(verify=trust, proxy=through, trust_env=False)
            made._pool._network_backend = CheckedBackend(self._egress)  # httpx hands it no other way
        return httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            transport=transport,
            headers={"User-Agent": "gitintegration", "Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        login: Basic | Bearer,
        tls: Tls = Tls(),  # noqa: B008
        proxy: Proxy | None = None,
        timeout: float = 60.0,  # noqa: ASYNC109 - handed on
        params: Mapping[str, str] | None = None,
        json: Any = None,
        about: str = "pull requests",
    ) -> Any:
        """The JSON of an answer; None where it has none (204). Raises RemoteError with the forge's own words; 409 and 422 as
        Declined. `about` is what is asked for, in a word of the plural."""
        host = host_of(url)
        self._egress.check_scheme(httpx.URL(url).scheme, f"the API of {host}")
        self._egress.check_host(host)
        self._egress.check_proxy(proxy)
        if method != "GET":
            self._fence()
        auth = httpx.BasicAuth(login.username, login.password) if isinstance(login, Basic) else None
        headers = {"Authorization": f"Bearer {login.token}"} if isinstance(login, Bearer) else {}
        trust = await self._context(tls)
        try:
            with self.waits():
                async with (
                    self._client(trust, proxy) as client,
                    self._budget.exchange() as exchange,
                    asyncio.timeout(timeout),
                    client.stream(
                        method, url, params=params, json=json, headers=headers, auth=auth, timeout=timeout
                    ) as stream,
                ):
                    answer = await _whole(stream, exchange)
        except (httpx.TimeoutException, TimeoutError):
            self._observe(method, 0)
            words = messages.TIMED_OUT(host=f"the API of {host}", seconds=f"{timeout:g}")
            raise RemoteUnavailable(Reason.Timeout, words) from None
        except UnknownHost as error:
            self._observe(method, 0)
            raise RemoteUnavailable(Reason.NetworkUnreachable, f"the name {error} can't be resolved") from None
        except _NO_ANSWER as error:
            self._observe(method, 0)
            said = f"no answer from {host}: {type(error).__name__}"
            raise RemoteUnavailable(Reason.NetworkUnreachable, said) from None
        self._observe(method, answer.status_code)
        with concealed(login, tls, proxy):
            return _read(answer, about)


_NO_ANSWER = (httpx.HTTPError, httpx.InvalidURL, UnicodeError)
"""What httpx raises where a request has no answer that can be read. It looks where a redirect leads, though it follows none."""


class Declined(RemoteError):
    """The forge understood, and said no (409, 422)."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.PushRejected, message)


async def _whole(stream: httpx.Response, exchange: Exchange) -> httpx.Response:
    """The answer with its body. It is asked for unpacked: what is packed, and packed again, unfolds to gigabytes in one piece."""
    host = host_of(stream.request.url)
    if stream.headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
        words = f"{host} packs its answer (Content-Encoding), though it was asked for it as it is"
        raise RemoteError(Reason.NetworkUnreachable, words, retry=True)
    body = bytearray()
    chunks = 0
    async for chunk in stream.aiter_bytes():
        if len(body) + len(chunk) > _LARGEST:
            raise RemoteError(Reason.LimitExceeded, f"{host} answers more than {_LARGEST >> 20} MB", retry=True)
        exchange.take(len(chunk) + _EACH_CHUNK)
        body += chunk
        chunks += 1
        if chunks % _CHUNKS == 0:
            await asyncio.sleep(0)
    if sum(map(body.count, (b",", b"[", b"{"))) > _VALUES:
        raise RemoteError(Reason.LimitExceeded, f"{host} answers more than {_VALUES} values", retry=True)
    return httpx.Response(stream.status_code, headers=stream.headers, content=bytes(body), request=stream.request)


def host_of(url: httpx.URL | str) -> str:
    """Of an address; as it stands where that is no international name. Raises RemoteError where it is no address."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise RemoteError(Reason.InvalidURL, f"the address of the forge's API is none: {error}") from None
    try:
        return parsed.host
    except UnicodeError:
        return parsed.raw_host.decode()


def _read(answer: httpx.Response, about: str) -> Any:
    status, host = answer.status_code, host_of(answer.request.url)
    is_json = "json" in answer.headers.get("Content-Type", "")
    body = _parsed(answer.content) if is_json else None
    said = _words(body)
    told = f": {said}" if said else ""
    if wait := _limited(answer):
        words = messages.RATE_LIMITED(host=f"the API of {host}", status=f"{status}{told}")
        raise RemoteUnavailable(Reason.RateLimited, words, retry_after=wait)
    if status in (200, 201) and is_json:
        if body is _NO_JSON:
            raise RemoteUnavailable(Reason.NetworkUnreachable, f"{host} answers what is no JSON")
        return body
    if status == 204:
        return None
    if status == 401 or status == 203 or (status < 400 and not is_json and status not in range(300, 400)):
        raise RemoteError(
            Reason.AuthenticationFailed, messages.FORGE_LOGIN(host=host, what=about, words=told), retry=True
        )
    if status in range(300, 400):
        place = _place(answer)
        if place == host and "signin" in answer.headers.get("Location", "").lower():
            raise RemoteError(
                Reason.AuthenticationFailed, messages.FORGE_LOGIN(host=host, what=about, words=""), retry=True
            )
        raise RemoteError(Reason.InvalidURL, messages.FORGE_MOVED(host=host, place=place))
    if status == 403:
        raise RemoteError(Reason.PermissionDenied, messages.FORGE_DENIED(host=host, what=about, words=told), retry=True)
    if status == 404:
        raise RemoteError(
            Reason.RepositoryNotFound, messages.FORGE_HIDDEN(host=host, what=about, words=told), retry=True
        )
    if status in (400, 405, 409, 422):
        raise Declined(f"{host} declines the {about.removesuffix('s')}{told}")
    words = messages.SERVER_TROUBLE(host=f"the API of {host}", status=f"{status}{told}")
    raise RemoteUnavailable(Reason.NetworkUnreachable, words)


def _place(redirect: httpx.Response) -> str:
    """The host that an answer sends us to, as far as it names one."""
    try:
        return host_of(redirect.headers.get("Location", "")) or "elsewhere"
    except RemoteError:
        return "elsewhere"


_NO_JSON = object()


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except ValueError:
        return _NO_JSON


def _words(body: Any) -> str:
    """What it says of itself."""
    if not isinstance(body, dict):
        return ""
    said = body.get("message") or body.get("error_description") or body.get("error") or ""
    if isinstance(said, dict):
        said = said.get("message", "")
    errors = body.get("errors")
    more = [e.get("message", "") for e in errors[:_ERRORS] if isinstance(e, dict)] if isinstance(errors, list) else []
    return shown(" ".join(part[:_SHOWN] for part in [said, *more] if part and isinstance(part, str)))[:_SHOWN]


def _limited(answer: httpx.Response) -> float | None:
    """Seconds to wait, where that is why it was refused."""
    if answer.status_code not in (403, 429, 503):
        return None
    after = answer.headers.get("Retry-After", "")[:_NUMBER]
    if after.isdecimal():
        return float(after)
    if after and (moment := _moment(after)):
        return max(1.0, moment - time.time())
    reset = answer.headers.get("X-RateLimit-Reset") or answer.headers.get("RateLimit-Reset") or ""
    remaining = answer.headers.get("X-RateLimit-Remaining") or answer.headers.get("RateLimit-Remaining")
    if remaining == "0" and reset.isdecimal():
        seconds = float(reset[:_NUMBER])
        return max(1.0, seconds - time.time() if seconds > 1e9 else seconds)
    return 60.0 if answer.status_code == 429 else None


def _moment(date: str) -> float | None:
    """Seconds since the epoch; None where it is no date."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
