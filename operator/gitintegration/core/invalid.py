"""Why a manifest was left alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gitintegration.errors import Words


class InvalidReason(StrEnum):
    """A contract with users: add, never rename."""

    NotYAML = "NotYAML"
    TooLarge = "TooLarge"
    TooDeep = "TooDeep"
    NoName = "NoName"
    InvalidName = "InvalidName"
    WrongNamespace = "WrongNamespace"
    Duplicate = "Duplicate"
    Refused = "Refused"
    InvalidPath = "InvalidPath"
    InvalidVersion = "InvalidVersion"
    EmptyFile = "EmptyFile"
    LFSPointer = "LFSPointer"
    Encrypted = "Encrypted"
    NoManifest = "NoManifest"
    PushRefused = "PushRefused"


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of `status.invalid`."""

    path: str
    reason: InvalidReason
    message: str
    remedy: str = ""

    @property
    def words(self) -> Words:
        return Words(self.message, self.remedy)


class ManifestError(Exception):
    """A file that can't be read as manifests, as a whole."""

    def __init__(self, reason: InvalidReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
