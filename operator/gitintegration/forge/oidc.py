"""Tokens of CI systems: whether one is signed by the issuer that is named, for that audience, and says what it must.

An issuer is asked for its keys only where the administrator allows it: who writes an integration must not send this process
to any host.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt
import orjson
import structlog

from gitintegration.api.integration import Oidc

WELL_KNOWN = ("https://token.actions.githubusercontent.com", "https://gitlab.com")
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
"""Signatures by a key that the issuer alone has: never one that is shared, never none."""
_FRESH, _AGAIN = 3600.0, 30.0
"""Seconds for which keys are kept; and until they are asked for again where one is not known."""
_LARGEST = 256 << 10
"""Bytes of an issuer's answer."""
_TOKEN = 16 << 10
_LEEWAY = 60.0
_TIMEOUT = 5.0


class Issuers:
    """Those that are allowed. `transport` takes the network's place in tests."""

    def __init__(
        self,
        allowed: tuple[str, ...] = WELL_KNOWN,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = {issuer.rstrip("/") for issuer in allowed}
        self._transport, self._now = transport, now
        self._keys: dict[str, tuple[float, Mapping[str, jwt.PyJWK]]] = {}
        self._asking: dict[str, asyncio.Lock] = {}
        self._log = structlog.get_logger("hooks")

    async def proves(self, token: str, wanted: Oidc) -> bool:
        """Whether this token is good for what is wanted."""
        issuer = wanted.issuer.rstrip("/")
        if issuer not in self._allowed or len(token) > _TOKEN:
            return False
        try:
            key = await self._key(issuer, str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                return False
            said: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=list(_ALGORITHMS) if key.algorithm_name is None else [key.algorithm_name],
                audience=wanted.audience,
                issuer=wanted.issuer,
                leeway=_LEEWAY,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return False
        return all(_says(said.get(name), value) for name, value in wanted.claims.items()) and bool(wanted.claims)

    async def _key(self, issuer: str, kid: str) -> jwt.PyJWK | None:
        async with self._asking.setdefault(issuer, asyncio.Lock()):
            at, keys = self._keys.get(issuer, (float("-inf"), {}))
            age = self._now() - at
            if age > _FRESH or (kid not in keys and age > _AGAIN):
                try:
                    keys = await self._fetch(issuer)
                except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, LookupError, TypeError) as error:
                    self._log.warning("the keys of an issuer can't be had", issuer=issuer, error=type(error).__name__)
                self._keys[issuer] = (self._now(), keys)
            return keys.get(kid)

    async def _fetch(self, issuer: str) -> Mapping[str, jwt.PyJWK]:
        async with asyncio.timeout(_TIMEOUT):
            about = await self._get(f"{issuer}/.well-known/openid-configuration")
            place = httpx.URL(str(about["jwks_uri"]))
            if about["issuer"] != issuer or place.scheme != "https" or not _near(place.host, httpx.URL(issuer).host):
                raise ValueError("another issuer")
            found = await self._get(str(place))
        keys: dict[str, jwt.PyJWK] = {}
        for one in found["keys"][:64]:
            if (
                isinstance(one, dict)
                and one.get("kty") != "oct"
                and one.get("use", "sig") == "sig"
                and one.get("alg", _ALGORITHMS[0]) in _ALGORITHMS
            ):
                with contextlib.suppress(jwt.PyJWTError, ValueError, TypeError):  # of a sort that is not known here
                    keys[str(one.get("kid", ""))] = jwt.PyJWK(one)
        return keys

    async def _get(self, url: str) -> Any:
        async with (
            httpx.AsyncClient(
                transport=self._transport, follow_redirects=False, trust_env=False, timeout=_TIMEOUT
            ) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity", "Accept": "application/json"}) as answer,
        ):
            answer.raise_for_status()
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise ValueError("packed, though it was asked for as it is")
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST:
                    raise ValueError("too large")
        return orjson.loads(body)


def _near(host: str, issuer: str) -> bool:
    """Whether keys at this host are the issuer's own."""
    return host == issuer or host.endswith(f".{issuer}")


def _says(claim: Any, wanted: str) -> bool:
    """Exactly: a list that holds it among others is another thing."""
    if isinstance(claim, bool):
        return wanted == str(claim).lower()
    return isinstance(claim, str | int) and str(claim) == wanted
