"""What was found of a commit's signature."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

OWN = "operator"
"""Whose the key is that the operator signs with."""


class Flaw(StrEnum):
    """What is wrong with a commit, as the reason of the condition."""

    Unsigned = "Unsigned"
    UntrustedKey = "UntrustedKey"
    SignatureInvalid = "SignatureInvalid"
    AuthorNotAllowed = "AuthorNotAllowed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a commit. `key`: the fingerprint, empty where there is none; `signer`: the principals of its line."""

    commit: str
    author: str
    key: str = ""
    signer: str = ""
    flaw: Flaw | None = None
    words: str = ""

    @property
    def by(self) -> str:
        """Which key signed it, as the end of a sentence; empty where none did."""
        return f", by key {self.key}" if self.key else ""
