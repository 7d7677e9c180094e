"""A remote as it is dialled: address, credentials, trust, proxy. Nothing here ever shows a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from gitintegration.git.url import RemoteURL


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
    """One repository. `timeout` is in seconds, for a whole round trip."""

    url: RemoteURL
    auth: Auth = field(default_factory=Anonymous)
    tls: Tls = field(default_factory=Tls)
    proxy: Proxy | None = None
    timeout: float = 60.0
