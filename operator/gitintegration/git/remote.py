"""A remote as it is dialled: address, credentials, trust, proxy. Nothing here ever shows a secret."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from typing import TypeAlias

from gitintegration.core.concealment import conceal
from gitintegration.errors import CredentialError, GitIntegrationError
from gitintegration.git.url import RemoteURL

_SERVER = "the server"


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No credentials."""


@dataclass(frozen=True, slots=True)
class Basic:
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SshKey:
    """`known_hosts` is required: an unknown host key is refused."""

    private_key: bytes = field(repr=False)
    known_hosts: bytes = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)


Auth: TypeAlias = Anonymous | Basic | Bearer | SshKey


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; for ssh it is asked to CONNECT."""

    address: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM texts: the authority to trust instead of the system's, and a client certificate with its key."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Remote:
    """One repository. `timeout` is in seconds, for a whole round trip.

    `secret` is the name of the Secret that holds its credentials, `key` what is called so in it; empty where there is none.
    """

    url: RemoteURL
    auth: Auth = field(default_factory=Anonymous)
    tls: Tls = field(default_factory=Tls)
    proxy: Proxy | None = None
    timeout: float = 60.0
    secret: str = ""
    key: str = ""

    @property
    def fingerprint(self) -> str:
        """By which it is remembered, so that what is remembered of those that were holds none of their credentials."""
        return fingerprint(self)

    @property
    def warnings(self) -> Iterator[str]:
        """What should be known of how credentials travel, in words."""
        if self.proxy is not None and self.proxy.username and self.proxy.address.startswith("http:"):
            yield "the proxy's credentials go to it unencrypted: use an https address where it has one"
        if self.url.scheme == "http" and not isinstance(self.auth, Anonymous):
            yield f"the credentials go to {self.url.host} unencrypted: use https in spec.repositoryURL"

    def name(self, error: GitIntegrationError) -> None:
        """Have an error say of which server and which Secret it is; what reads a server's bytes knows neither."""
        error.of_secret(self.secret)
        if error.message.startswith(_SERVER):
            error.words = error.words._replace(what=self.url.host + error.message.removeprefix(_SERVER))
        elif isinstance(error, CredentialError):
            error.name_secret(self.secret)

    @contextmanager
    def concealed(self) -> Iterator[None]:
        """Errors that leave this block do not repeat what serves to log in."""
        with concealed(self.auth, self.tls, self.proxy):
            yield


def fingerprint(*values: Remote | Tls | Proxy | None) -> str:
    """The same for equal values and for no others."""
    parts = [(type(value).__name__, astuple(value) if value is not None else ()) for value in values]
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()


@contextmanager
def concealed(auth: Auth, tls: Tls, proxy: Proxy | None) -> Iterator[None]:
    """Errors that leave this block do not repeat what serves to log in."""
    try:
        yield
    except GitIntegrationError as error:
        error.message = conceal(error.message, _secrets(auth, tls, proxy))
        error.args = (error.message,)
        raise


def _secrets(auth: Auth, tls: Tls, proxy: Proxy | None) -> Iterator[str]:
    match auth:
        case Basic(user, password):
            yield from (password, f"{user}:{password}")
        case Bearer(token):
            yield token
        case SshKey(key, _, passphrase):
            yield from (key.decode(errors="replace"), passphrase or "")
    yield tls.key or ""
    if proxy and proxy.password:
        yield from (proxy.password, f"{proxy.username or ''}:{proxy.password}")
