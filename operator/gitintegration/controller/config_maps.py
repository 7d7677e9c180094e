"""What integrations take from ConfigMaps: how people are called in commits, and whose signatures are trusted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gitintegration import messages
from gitintegration.controller.remotes import openpgp_files
from gitintegration.core.people import people_of
from gitintegration.errors import CredentialError, Reason
from gitintegration.git import openpgp
from gitintegration.git.verifying import Trust, keys_of

T = TypeVar("T")

PEOPLE, SIGNERS = "spec.authors.mapRef", "spec.verify.configMapRef"
"""The fields that name one."""


def people_in(found: Mapping[str, Any] | None, name: str) -> dict[str, str]:
    """Identities by user, out of key `authors`. Raises CredentialError."""
    return _read(found, name, PEOPLE, "authors", people_of)


def trust_in(
    found: Mapping[str, Any] | None, name: str, authors: Sequence[str], own: str | openpgp.PublicKey
) -> tuple[Trust, dict[str, str]]:
    """Whose commits are taken, out of key `allowed_signers`, and the files of OpenPGP keys beside it. Raises CredentialError."""

    def trust(text: str) -> Trust:
        made = Trust(text, tuple(authors), own)
        keys_of(made)
        return made

    data = (found or {}).get("data") or {}
    files = openpgp_files(data)
    if files and "allowed_signers" not in data:
        return trust(""), files
    return _read(found, name, SIGNERS, "allowed_signers", trust), files


def no_keys(name: str, key: str, words: str) -> CredentialError:
    """Of a file of a ConfigMap that holds no OpenPGP keys."""
    return _wrong({"map": name, "field": SIGNERS, "key": key}, words)


def _read(found: Mapping[str, Any] | None, name: str, field: str, key: str, parse: Callable[[str], T]) -> T:
    """A key of a ConfigMap, as the API server gave it. Looked at again by itself: nobody watches it."""
    facts = {"map": name, "field": field, "key": key}
    if found is None:
        raise CredentialError(Reason.ConfigMapNotFound, messages.CONFIG_MAP_MISSING(**facts), retry=True)
    text = (found.get("data") or {}).get(key)
    try:
        if text is None:
            raise ValueError("is not there")
        return parse(text)
    except ValueError as error:
        words = str(error) if text is None else f"can't be used: {error}"
        raise _wrong(facts, words) from None


def _wrong(facts: Mapping[str, str], words: str) -> CredentialError:
    return CredentialError(Reason.InvalidConfigMap, messages.CONFIG_MAP_KEY(**facts, words=words), retry=True)
