"""What integrations take from ConfigMaps: how people are called in commits, and whose signatures are trusted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitintegration import messages
from gitintegration.core.people import people_of
from gitintegration.errors import CredentialError, Reason

PEOPLE, SIGNERS = "spec.authors.mapRef", "spec.verify.configMapRef"
"""The fields that name one."""


def people_in(found: Mapping[str, Any] | None, name: str) -> dict[str, str]:
    """Identities by user, out of key `authors`. Raises CredentialError."""
    text = data_in(found, name, PEOPLE, "authors").get("authors")
    if text is None:
        raise unfit(name, PEOPLE, "authors", "is not there")
    try:
        return people_of(text)
    except ValueError as error:
        raise unfit(name, PEOPLE, "authors", f"can't be used: {error}") from None


def data_in(found: Mapping[str, Any] | None, name: str, field: str, key: str) -> Mapping[str, str]:
    """What a ConfigMap holds, as the API server gave it. Raises CredentialError where there is none, which is to have this key."""
    if found is None:
        words = messages.CONFIG_MAP_MISSING(map=name, field=field, key=key)
        raise CredentialError(Reason.ConfigMapNotFound, words, retry=True)
    return found.get("data") or {}


def unfit(name: str, field: str, key: str, words: str) -> CredentialError:
    """Of a key of a ConfigMap, which is looked at again by itself: nobody watches it."""
    told = messages.CONFIG_MAP_KEY(map=name, field=field, key=key, words=words)
    return CredentialError(Reason.InvalidConfigMap, told, retry=True)
