"""The connection to the API server: kubernetes.aio finds it and logs in, requests are raw JSON on top.

The client's typed models would cost more than the requests themselves where thousands of objects are read.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import math
import os
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yarl
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from gitintegration import messages
from gitintegration.cluster.paths import Path as ApiPath
from gitintegration.errors import (
    ClusterError,
    ClusterUnavailable,
    Forbidden,
    NotAdmitted,
    Reason,
    Refused,
    Stale,
    Words,
)

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
FIELD_MANAGER = "gitintegration"
_WAITS, _LONGEST_WAIT = 3, 5.0
"""So often an API server that throttles is waited for, each time as long as it says, but no longer than so many seconds."""
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class NotFoundError(ClusterError):
    """404, for callers to whom that is no surprise.

    `named` is the object that is not there, as the answer's details name it; empty where it is the route that is missing.
    """

    def __init__(self, message: str, named: str = "") -> None:
        super().__init__(Reason.ProgressingWithRetry, message, retry=True)
        self.named = named


class Unauthenticated(Forbidden):
    """401: the API server does not know who asks, or no longer."""


class Cluster:
    """One API server. `timeout` is in seconds, for a whole request; `agent` tells this process from others.

    `fence` returns the seconds for which this process may still write, or raises LeaseLost; `observe` is told the
    method and status code of every request, 0 for no answer.
    """

    def __init__(
        self, configuration: Configuration, *, limit: int = 32, timeout: float = 30.0, agent: str = ""
    ) -> None:
        self.fence: Callable[[], float] = lambda: math.inf
        self.observe: Callable[[str, int], None] = lambda method, code: None
        self._configuration = configuration
        self._api = ApiClient(configuration)
        self._headers = {"User-Agent": f"gitintegration/{version('gitintegration')}" + (f" ({agent})" if agent else "")}
        self._session = self._connected(self._api.rest_client.ssl_context, limit)
        self._watches = self._connected(self._api.rest_client.ssl_context, 0)
        self._others: aiohttp.ClientSession | None = None
        self._acting: dict[str, str] = {}
        self._timeout = timeout

    @classmethod
    async def connect(cls, kubeconfig: str | None = None, context: str | None = None, **options: Any) -> Cluster:
        """The cluster of a kubeconfig, else the one the process runs in, else the default kubeconfig's."""
        configuration = Configuration()
        if kubeconfig is None and await asyncio.to_thread(_IN_CLUSTER.exists):
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                kubeconfig, context, configuration, persist_config=False
            )
        return cls(configuration, **options)

    def acting_as(self, user: str) -> Cluster:
        """The same connections, with the rights of a ServiceAccount (system:serviceaccount:NAMESPACE:NAME), whose groups
        the API server adds by itself."""
        made = copy.copy(self)
        made._acting = {"Impersonate-User": user}
        return made

    async def close(self) -> None:
        await self._session.close()
        await self._watches.close()
        if self._others:
            await self._others.close()
        await self._api.close()  # type: ignore[no-untyped-call]

    @property
    def configuration(self) -> Configuration:
        return self._configuration

    async def get(self, path: ApiPath, query: Mapping[str, str] | None = None, accept: str = JSON) -> Any:
        """The JSON at `path`, or None on 404."""
        try:
            return await self.request("GET", path, query=query, accept=accept)
        except NotFoundError:
            return None

    async def request(
        self,
        method: str,
        path: ApiPath,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        accept: str = JSON,
        content_type: str = JSON,
        token: str | None = None,
    ) -> Any:
        """One request; its JSON answer. Raises ClusterError: NotFoundError, Stale, Refused, Forbidden, unavailable.

        Where the API server has too much to do, it is made again when that says; nothing of it was done then.
        With `token` it is made as its bearer, once, and with nothing of the process's own identity.
        """
        session = self._session if token is None else self._for_others()
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        headers = {**self._acting, "Accept": accept, **({"Content-Type": content_type} if data is not None else {})}
        refreshed, waits = False, 0
        while True:
            headers["Authorization"] = await self._authorization() if token is None else f"Bearer {token}"
            timeout = self._timeout if method == "GET" else min(self._timeout, self.fence())
            try:
                async with asyncio.timeout(timeout):
                    async with session.request(
                        method,
                        self._url(path),
                        params=query,
                        data=data,
                        headers=headers,
                        allow_redirects=False,
                        server_hostname=self._configuration.tls_server_name,
                    ) as response:
                        text = await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self.observe(method, 0)
                words = f"the API server can't be reached: {_trouble(error, timeout)}"
                raise ClusterUnavailable(words) from None
            self.observe(method, response.status)
            if response.status < 300:
                return orjson.loads(text) if text else None
            refusal = _error(response.status, text, response.headers, self._acting.get("Impersonate-User"))
            if response.status == 401 and not refreshed:
                refreshed = True
            elif response.status == 429 and token is None and waits < _WAITS:
                waits += 1
                await asyncio.sleep(min(refusal.retry_after or 0.0, _LONGEST_WAIT))
            else:
                raise refusal

    def _for_others(self) -> aiohttp.ClientSession:
        """A session that shows no client certificate: the API server would take that before a bearer token.

        In all else it is the kubeconfig's: authority, server name, proxy, or no check at all.
        """
        if self._others is None:
            bare = copy.copy(self._configuration)
            bare.cert_file = bare.key_file = None
            self._others = self._connected(ApiClient(bare).rest_client.ssl_context, 64)
        return self._others

    def _connected(self, context: ssl.SSLContext, limit: int) -> aiohttp.ClientSession:
        """A session of `limit` connections, 0 for any number."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=limit, ttl_dns_cache=60),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._configuration.proxy or None,
        )

    @asynccontextmanager
    async def watch(self, path: ApiPath, query: Mapping[str, str], accept: str) -> AsyncIterator[AsyncIterator[Any]]:
        """The events of a watch as they come; ends when the server ends it."""
        headers = {**self._acting, "Accept": accept, "Authorization": await self._authorization()}
        try:
            async with self._watches.get(
                self._url(path),
                params={**query, "watch": "true", "allowWatchBookmarks": "true"},
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=330),
                server_hostname=self._configuration.tls_server_name,
            ) as response:
                if response.status >= 300:
                    acting = self._acting.get("Impersonate-User")
                    raise _error(response.status, await response.read(), response.headers, acting)
                yield _lines(response.content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterUnavailable(f"the watch broke: {_trouble(error, 330)}") from None

    def _url(self, path: ApiPath) -> yarl.URL:
        """The path as it stands: nothing of it is resolved, decoded or encoded again."""
        return yarl.URL(self._configuration.host + path, encoded=True)

    async def _authorization(self) -> str:
        return await self._configuration.get_api_key_with_prefix("BearerToken", "authorization") or ""


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[Any]:
    """Events may be longer than the reader's line limit."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield orjson.loads(line)


def _trouble(error: Exception, seconds: float) -> str:
    """What went wrong on the way to the API server, without an address: a proxy's may hold a password."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate is not accepted: {_said(error.certificate_error)}"
        case aiohttp.ClientConnectorSSLError():
            return f"TLS fails: {_said(error.os_error)}"
        case aiohttp.ClientConnectorDNSError():
            return "its name is not known to the DNS"
        case aiohttp.ClientProxyConnectionError():
            return f"its proxy can't be reached: {_said(error.os_error)}"
        case aiohttp.ClientHttpProxyError():
            return f"its proxy answers {error.status}" + (": it wants other credentials" if error.status == 407 else "")
        case aiohttp.ClientConnectorError():
            return _said(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer"
        case TimeoutError():
            return f"no answer within {seconds:.3g} s"
    return type(error).__name__


def _said(error: Exception) -> str:
    """In the words of the system or of OpenSSL."""
    match error:
        case ssl.SSLCertVerificationError():
            return error.verify_message
        case ssl.SSLError():
            return error.reason or type(error).__name__
        case OSError() if error.errno:
            return os.strerror(error.errno).lower()
    return type(error).__name__


def _error(status: int, text: bytes, headers: Mapping[str, str], acting: str | None = None) -> ClusterError:
    """`acting`: the user that was impersonated."""
    said: Any = None
    with contextlib.suppress(orjson.JSONDecodeError):
        said = orjson.loads(text)
    said = said if isinstance(said, dict) else {}
    message = str(said.get("message") or text[:500].decode(errors="replace"))
    wait = headers.get("Retry-After", "")
    match status:
        case 404:
            details = said.get("details")
            return NotFoundError(message, str(details.get("name", "")) if isinstance(details, dict) else "")
        case 409 | 410:
            return Stale(message)
        case 403 if "ValidatingAdmissionPolicy 'gitintegration-" in message:
            return NotAdmitted(message)
        case 403 if _NO_RIGHT.match(message) is None:
            return Refused(message)  # an admission plugin's or a quota's word, which may speak of anything
        case 401:
            return Unauthenticated(message)
        case 403:
            return Forbidden(_lacking(message, acting))
        case 400 | 405 | 413 | 415 | 422:
            return Refused(message, _causes(said.get("details")))
        case 500 if "request is too large" in message:
            return Refused(message)  # etcd's word, however often it is tried
        case 500 if "calling webhook" in message:
            return Refused(message)  # it speaks of this object; the others may pass
    asked_to_wait = float(wait) if wait.isdigit() else None
    return ClusterUnavailable(message, retry_after=asked_to_wait, answered=status != 429)


_NO_RIGHT = re.compile(r"(?:[a-z0-9./-]{1,600}(?: \"[^\"]{0,253}\")? )?is forbidden: User ")
"""What the authorizer answers, of a resource and perhaps a name."""
_LACKS = re.compile(
    r"is forbidden: User \"(?P<user>[a-z0-9:.-]{1,300})\" cannot (?P<verb>[a-z]{1,32}) "
    r"resource \"(?P<resource>[a-z0-9.-]{1,253})(?:/[a-z]{1,32})?\" in API group \"(?P<group>[a-z0-9.-]{0,253})\""
    r"(?: in the namespace \"(?P<space>[a-z0-9-]{1,63})\")?"
)
_TENANT = ("secrets", "serviceaccounts")
"""What the operator may be given in single namespaces only; of ConfigMaps that it reads those that are named."""


def _lacking(message: str, acting: str | None) -> Words:
    """Who lacks which right, and the command that grants it."""
    found = _LACKS.search(message)
    if found is None:
        return Words(message)
    user, resource, space = found["user"], found["resource"], found["space"]
    full = f"{resource}.{found['group']}" if found["group"] else resource
    account = user.removeprefix("system:serviceaccount:").split(":")
    if user == acting and len(account) == 2:
        return messages.ACCOUNT_LACKS(said=message, account=account[1], space=account[0], resource=resource, full=full)
    is_tenants = resource in _TENANT or (found["verb"], resource) == ("get", "configmaps")
    if is_tenants and not found["group"] and space and len(account) == 2:
        return messages.TENANT_LACKS(said=message, space=space, operator=":".join(account))
    return messages.OPERATOR_LACKS(said=message, resource=resource, full=full)


def _causes(details: Any) -> list[tuple[str, str]]:
    """Path and complaint of each field that an API server names."""
    causes = details.get("causes") if isinstance(details, dict) else None
    found = [cause for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []
    return [(str(cause.get("field", "")), str(cause.get("message", ""))) for cause in found]
