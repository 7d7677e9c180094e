"""Tokens of a GitHub App's installation, made from its private key, kept until shortly before they end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any

from gitintegration import messages
from gitintegration.errors import CredentialError, Reason, RemoteError
from gitintegration.forge.client import ForgeHttp, host_of
from gitintegration.git.recent import Recent
from gitintegration.git.remote import Bearer, Proxy, Tls

_TOKENS = 4096
_LONGEST = 4096
"""Characters of a token; they were seen to have 520."""
_EARLY = 300.0
"""Seconds before its end that a token is renewed."""


@dataclass(frozen=True, slots=True)
class GitHubApp:
    """`base` is the API's address, https://api.github.com or https://HOST/api/v3."""

    app_id: str
    installation_id: str
    private_key: str = field(repr=False)
    base: str = "https://api.github.com"


class AppTokens:
    def __init__(self, http: ForgeHttp, clock: Callable[[], float] = time.time) -> None:
        self._http, self._clock = http, clock
        self._tokens: Recent[str, tuple[str, float]] = Recent(_TOKENS)

    def drop(self, app: GitHubApp) -> None:
        """The server does not take its token any more, or nobody asks for it."""
        self._tokens.drop(_key(app))

    async def token(self, app: GitHubApp, tls: Tls, proxy: Proxy | None, timeout: float = 60.0) -> str:  # noqa: ASYNC109
        """A token that is good for minutes at least. Raises CredentialError, RemoteError."""
        known = self._tokens.get(_key(app))
        if known and known[1] - _EARLY > self._clock():
            return known[0]
        url = f"{app.base.rstrip('/')}/app/installations/{app.installation_id}/access_tokens"
        try:
            answer = await self._http.request(
                "POST", url, login=Bearer(await self._assertion(app)), tls=tls, proxy=proxy, timeout=timeout
            )
        except RemoteError as error:
            if error.reason is Reason.RepositoryNotFound:
                words = messages.APP_UNKNOWN(host=host_of(app.base), installation=app.installation_id, app=app.app_id)
                raise CredentialError(Reason.InvalidSecret, words) from None
            if error.reason is Reason.AuthenticationFailed:
                words = messages.APP_REFUSED(host=host_of(app.base), app=app.app_id)
                raise RemoteError(Reason.AuthenticationFailed, words, retry=True) from None
            raise
        token, ends = _read(answer)
        self._tokens.put(_key(app), (token, ends))
        return token

    async def _assertion(self, app: GitHubApp) -> str:
        """Dated back a minute, because clocks differ; 9 of the 10 minutes that GitHub allows."""
        plain = await self._http.keys.app(app.private_key)
        import jwt  # only here: with cryptography it takes 3 MB
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key(plain, None, unsafe_skip_rsa_key_validation=True)  # a worker has done it
        assert isinstance(key, RSAPrivateKey)
        now = int(self._clock())
        return jwt.encode({"iat": now - 60, "exp": now + 540, "iss": app.app_id}, key, algorithm="RS256")


def _key(app: GitHubApp) -> str:
    """By which its token is remembered, without its key."""
    return hashlib.sha256(repr(astuple(app)).encode(errors="surrogatepass")).hexdigest()


def _read(answer: Any) -> tuple[str, float]:
    """Token, and its end in seconds since the epoch. Raises RemoteError where the answer holds none."""
    try:
        token, ends = str(answer["token"]), datetime.fromisoformat(answer["expires_at"].replace("Z", "+00:00"))
        if not (token.isascii() and token.isprintable() and 0 < len(token) <= _LONGEST):
            raise ValueError("no token")
        return token, ends.timestamp()
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise RemoteError(Reason.NetworkUnreachable, "GitHub answers without a token", retry=True) from None
