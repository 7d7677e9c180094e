"""Every way a sync can fail, as one tree.

    GitIntegrationError          reason, message, retry
    ├── SpecError                the user must change the resource; waiting does not help
    ├── CredentialError          the user must change the Secret
    ├── RemoteError              the git server refused, or could not be reached
    │   ├── StaleRemote          the branch moved under a push: plan anew
    │   └── RemoteUnavailable    network or server trouble: retry with back-off
    ├── Unverified               a commit is not signed by who is trusted
    ├── OperationError           an operation can't do what it was asked for
    ├── ClusterError             the API server refused
    │   ├── Stale                the object moved under a write (409): plan anew
    │   ├── Refused              schema, webhook or quota said no to one object
    │   ├── Forbidden            RBAC said no
    │   ├── KindUnavailable      one kind can't be read now: its items wait as they are
    │   └── ClusterUnavailable   the API server is away: retry with back-off
    └── LimitExceeded            a bound that protects the operator was reached

`reason` is the condition reason that the error becomes; `retry` says whether it is tried again with growing pauses.
Messages are written for the user of the resource and never hold a credential; `messages` has those that ask for something.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Condition reasons. A contract with users and tools: add, never rename."""

    Succeeded = "Succeeded"
    Progressing = "Progressing"
    ProgressingWithRetry = "ProgressingWithRetry"
    Suspended = "Suspended"
    InvalidSpec = "InvalidSpec"
    InvalidURL = "InvalidURL"
    SecretNotFound = "SecretNotFound"
    InvalidSecret = "InvalidSecret"
    SecretNotAllowed = "SecretNotAllowed"
    ConfigMapNotFound = "ConfigMapNotFound"
    InvalidConfigMap = "InvalidConfigMap"
    StatusTooLarge = "StatusTooLarge"
    AuthenticationFailed = "AuthenticationFailed"
    PermissionDenied = "PermissionDenied"
    RepositoryNotFound = "RepositoryNotFound"
    BranchNotFound = "BranchNotFound"
    HostKeyMismatch = "HostKeyMismatch"
    NetworkUnreachable = "NetworkUnreachable"
    Timeout = "Timeout"
    PushRejected = "PushRejected"
    RateLimited = "RateLimited"
    Conflicts = "Conflicts"
    InvalidManifests = "InvalidManifests"
    DeletesHeld = "DeletesHeld"
    PrefixChanged = "PrefixChanged"
    EmptyPrefix = "EmptyPrefix"
    HistoryRewritten = "HistoryRewritten"
    NewerMemory = "NewerMemory"
    Overlap = "Overlap"
    Forbidden = "Forbidden"
    KindUnavailable = "KindUnavailable"
    RemoteBehind = "RemoteBehind"
    Contested = "Contested"
    LimitExceeded = "LimitExceeded"
    Unsigned = "Unsigned"
    UntrustedKey = "UntrustedKey"
    SignatureInvalid = "SignatureInvalid"
    AuthorNotAllowed = "AuthorNotAllowed"
    NotRegistered = "NotRegistered"
    NoReceiver = "NoReceiver"
    StaleRemote = "StaleRemote"
    PlanStale = "PlanStale"
    UnknownPipeline = "UnknownPipeline"
    IntegrationNotFound = "IntegrationNotFound"


NEEDS_A_PERSON = frozenset(
    {
        Reason.InvalidSpec,
        Reason.InvalidURL,
        Reason.SecretNotFound,
        Reason.InvalidSecret,
        Reason.SecretNotAllowed,
        Reason.ConfigMapNotFound,
        Reason.InvalidConfigMap,
        Reason.AuthenticationFailed,
        Reason.PermissionDenied,
        Reason.RepositoryNotFound,
        Reason.BranchNotFound,
        Reason.HostKeyMismatch,
        Reason.Forbidden,
        Reason.Overlap,
        Reason.NewerMemory,
        Reason.Unsigned,
        Reason.UntrustedKey,
        Reason.SignatureInvalid,
        Reason.AuthorNotAllowed,
    }
)
"""What waiting does not mend, though it is looked at again: told as Stalled, so that tools that wait for it give up."""


class Words(NamedTuple):
    """What happened, and what mends it, where somebody can: see `messages`."""

    what: str
    remedy: str = ""

    def of_secret(self, name: str) -> Words:
        """With the name of the Secret that they speak of."""
        return Words(*(text.replace("$SECRET", name or "SECRET") for text in self))


class GitIntegrationError(Exception):
    """The root. `message` says what happened, `remedy` what mends it; `messages.Place` joins them for the condition."""

    def __init__(
        self, reason: Reason, message: str | Words, *, retry: bool = False, retry_after: float | None = None
    ) -> None:
        self.message, self.remedy = message if isinstance(message, Words) else Words(message)
        super().__init__(self.message)
        self.reason = reason
        self.retry = retry
        self.retry_after = retry_after
        """Seconds the other side asked us to wait (Retry-After), or None."""

    @property
    def is_passing(self) -> bool:
        """Whether time alone may mend it."""
        return self.retry and self.reason not in NEEDS_A_PERSON

    @property
    def words(self) -> Words:
        return Words(self.message, self.remedy)

    @words.setter
    def words(self, words: Words) -> None:
        self.message, self.remedy = words
        self.args = (self.message,)

    def of_secret(self, name: str) -> None:
        """It speaks of this Secret."""
        self.words = self.words.of_secret(name)

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders; their own arguments differ from class to class."""
        return _rebuild, (type(self), self.__dict__)


def _rebuild(kind: type[GitIntegrationError], state: dict[str, object]) -> GitIntegrationError:
    error = kind.__new__(kind, state["message"])
    error.__dict__.update(state)
    return error


class SpecError(GitIntegrationError):
    """The resource asks for something that can't be done as it stands."""


class CredentialError(GitIntegrationError):
    """A Secret or ConfigMap is missing, lacks a key, or holds one that can't be read."""

    def name_secret(self, name: str) -> None:
        """The same, and its message says so; empty: there is none."""
        self.of_secret(name)
        if name and name not in self.message:
            self.words = self.words._replace(what=f"Secret {name!r}: {self.message}")


class RemoteError(GitIntegrationError):
    """The git server refused."""

    said = ""
    """Its own words alone, where they tell what of a push it declines."""


class StaleRemote(RemoteError):
    """The branch is no longer at the commit that the push was planned on."""

    def __init__(self, message: str | Words) -> None:
        super().__init__(Reason.ProgressingWithRetry, message, retry=True)


class RemoteUnavailable(RemoteError):
    """Network, DNS, TLS, timeout, 5xx or rate limit: time may mend it."""

    def __init__(self, reason: Reason, message: str | Words, *, retry_after: float | None = None) -> None:
        super().__init__(reason, message, retry=True, retry_after=retry_after)


class Unverified(GitIntegrationError):
    """A commit is not signed by who is trusted: nothing is pulled from it, and nothing pushed onto it."""

    def __init__(self, reason: Reason, message: str | Words) -> None:
        super().__init__(reason, message, retry=True)


class OperationError(GitIntegrationError):
    """An operation was asked for what can't be done as things are; it has changed nothing."""


class ClusterError(GitIntegrationError):
    """The API server refused."""


class Stale(ClusterError):
    """The object's resourceVersion moved, it exists already, or it is gone: plan anew."""

    def __init__(self, message: str | Words) -> None:
        super().__init__(Reason.ProgressingWithRetry, message, retry=True)


class Refused(ClusterError):
    """Schema, admission webhook or quota said no to this object."""

    def __init__(self, message: str | Words, causes: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(Reason.InvalidManifests, message)
        self.causes = tuple(causes)
        """Path of a field and what is wrong with it, where the API server tells."""


class NotAdmitted(Refused):
    """One of our own admission policies said that the writer lacks a right that the object uses."""


class Forbidden(ClusterError):
    """RBAC said no."""

    def __init__(self, message: str | Words) -> None:
        super().__init__(Reason.Forbidden, message, retry=True)


class KindUnavailable(ClusterError):
    """The API server answers, but not for this kind: not served, its backend or its conversion webhook is down."""

    def __init__(self, message: str | Words) -> None:
        super().__init__(Reason.KindUnavailable, message, retry=True)


class ClusterUnavailable(ClusterError):
    """The API server is away or overloaded. `answered`: it said so itself, of what it was asked for."""

    def __init__(self, message: str | Words, *, retry_after: float | None = None, answered: bool = False) -> None:
        super().__init__(Reason.NetworkUnreachable, message, retry=True, retry_after=retry_after)
        self.answered = answered


class LeaseLost(ClusterError):
    """Another replica may be writing by now: nothing is written any more."""

    def __init__(self, message: str | Words) -> None:
        super().__init__(Reason.ProgressingWithRetry, message, retry=True)


class LimitExceeded(GitIntegrationError):
    """A bound that protects the operator was reached (bytes, files, depth, memory)."""

    def __init__(self, message: str | Words) -> None:
        super().__init__(Reason.LimitExceeded, message, retry=True)
