"""A Secret as an integration may use it: what it holds, where that may be sent, and whom it goes with. Pure.

Who names a Secret need not be allowed to read it, and chooses the host that its credentials are sent to. So a Secret
says by itself what it is for: its type, and the annotations of this group.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gitintegration import messages
from gitintegration.api.base_model import ALLOWED_HOSTS, OWNED_BY
from gitintegration.errors import CredentialError, Reason

_TYPES = ("Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls")
"""A ServiceAccount's token, say, opens the cluster, and is nothing to log in to a git server with."""
_LARGEST = 256 << 10
"""Bytes of all keys together: a private key with its certificates and known hosts takes a tenth."""


@dataclass(frozen=True, slots=True)
class Secret:
    """`version` is its resourceVersion; `hosts` are names or patterns as *.example.com, None where it has no such annotation."""

    name: str
    uid: str
    version: str
    data: Mapping[str, str] = field(repr=False)
    hosts: tuple[str, ...] | None = None
    owned_by: tuple[str, ...] = ()
    owner_uids: tuple[str, ...] = ()

    def check_host(self, host: str, *, required: bool = False) -> None:
        """Raises CredentialError where its credentials may not be sent to `host`. `required`: it must say where to."""
        if self.hosts is None:
            if required:
                words = messages.SECRET_NO_HOSTS(secret=self.name, host=host)
                raise CredentialError(Reason.SecretNotAllowed, words)
            return
        if not any(_matches(host.lower(), pattern) for pattern in self.hosts):
            hosts = ",".join([*self.hosts, host])
            words = messages.SECRET_OTHER_HOST(secret=self.name, host=host, hosts=hosts)
            raise CredentialError(Reason.SecretNotAllowed, words)

    def belongs_to(self, name: str, uid: str) -> bool:
        """Whether it may go with this integration."""
        return name in self.owned_by or uid in self.owner_uids


def read_secret(found: Mapping[str, Any] | None, name: str) -> Secret:
    """A Secret as the API server gave it. Raises CredentialError where it is missing, of another type, or no text."""
    if found is None:
        raise CredentialError(Reason.SecretNotFound, messages.SECRET_MISSING(secret=name))
    kind = found.get("type") or "Opaque"
    if kind not in _TYPES:
        words = messages.SECRET_TYPE(secret=name, type=kind, types=", ".join(_TYPES))
        raise CredentialError(Reason.SecretNotAllowed, words)
    encoded: Mapping[str, str] = found.get("data") or {}
    if sum(map(len, encoded.values())) > _LARGEST * 4 // 3:
        raise CredentialError(Reason.InvalidSecret, f"Secret {name!r} is larger than {_LARGEST >> 10} KB")
    try:
        data = {key: _text(text) for key, text in encoded.items()}
    except ValueError:
        raise CredentialError(Reason.InvalidSecret, f"Secret {name!r} holds a key that is no text") from None
    metadata = found["metadata"]
    annotations = metadata.get("annotations") or {}
    hosts = annotations.get(ALLOWED_HOSTS)
    return Secret(
        name,
        metadata["uid"],
        metadata["resourceVersion"],
        data,
        None if hosts is None else _listed(hosts.lower()),
        _listed(annotations.get(OWNED_BY, "")),
        tuple(owner["uid"] for owner in metadata.get("ownerReferences") or ()),
    )


def _text(encoded: str) -> str:
    """As it was meant: an editor of Windows ends its lines otherwise, and one line is no line of several."""
    text = base64.b64decode(encoded).decode().replace("\r\n", "\n")
    return text.removesuffix("\n") if text.count("\n") == 1 else text


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))
