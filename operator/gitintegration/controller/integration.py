"""An integration as its operator knows it between runs."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from gitintegration.api.base_model import CONFIRM_DELETES, HOOK_RECEIVED, REQUESTED_AT
from gitintegration.api.durations import parse_duration
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.controller.credentials import Login
from gitintegration.core.hooks import HookMark, Looks
from gitintegration.core.invalid import InvalidReason
from gitintegration.core.layout import folder_of
from gitintegration.core.schema import Schema
from gitintegration.core.state.evidence import Definition
from gitintegration.core.state.item import Why
from gitintegration.core.status import Outcome, parse_timestamp
from gitintegration.core.verdict import OWN, Verdict
from gitintegration.errors import StaleRemote
from gitintegration.git.remote import Remote
from gitintegration.session.live_objects import Kind
from gitintegration.session.session import SyncSession

IntegrationKey: TypeAlias = tuple[str, str]
"""Namespace and name of an integration."""

_MAX_BACKOFF = 300.0
_LOST_RACE = 10.0
"""Seconds at most between tries of a push that pushes of others overtake: nothing is wrong, and waiting longer wins no race."""
_LONGEST_WAIT = 3600.0
"""Seconds that a server may ask to wait: past that it is tried again, whatever it said."""
_SUSPENDED = 86_400.0
_RESCAN = 600.0
"""Seconds after which all objects are gone through again, whatever the watch has told."""


@dataclass(slots=True)
class Integration:
    """An integration as last seen, and what is kept between its runs."""

    seen: dict[str, Any]
    session: SyncSession
    status: dict[str, Any]
    kinds: dict[tuple[str, str], Kind] = field(default_factory=dict)
    definitions: dict[tuple[str, str], Definition] = field(default_factory=dict)
    """Of each kind, what made the server serve it when it was last watched."""
    schemas: dict[tuple[str, str], tuple[int, Schema]] = field(default_factory=dict)
    """Of each kind, the schema that its objects were looked at with, and the generation of its definition."""
    away: set[tuple[str, str]] = field(default_factory=set)
    """Kinds that the server did not serve when they were last asked for."""
    overlaps: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """Kinds that others claim as a whole as well, and their names."""
    claimant: tuple[dict[str, Any], GitIntegrationSpec | None] | None = None
    """As it was last seen when a neighbour asked, and the spec by which it claims what it selects, while it is not suspended; None:
    it claims nothing."""
    login: Login = field(default_factory=Login)
    remote: Remote | None = None
    """As it was dialled last: of it, connections and the like are kept elsewhere."""
    rescan: bool = True
    """Not all objects were gone through yet since the watch began."""
    scanned: float = 0.0
    failures: int = 0
    unwritten: int = 0
    """How many statuses in a row could not be written."""
    succeeded: float | None = None
    """When a sync last ended well, in seconds since the epoch."""
    next_periodic: float = 0.0
    looks: Looks = field(default_factory=Looks)
    """When it is looked that a delivery told of."""

    @property
    def must_rescan(self) -> bool:
        """Whether the watch may have missed something since all objects were gone through."""
        relisted = any(kind.informer.listed > self.scanned for kind in self.kinds.values())
        return self.rescan or relisted or time.monotonic() - self.scanned > _RESCAN

    @property
    def agreed_at(self) -> datetime | None:
        """When both sides were last synced, as the status tells it."""
        told = self.status.get("lastSuccessfulSyncAt")
        return parse_timestamp(told) if told else None

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self.seen["metadata"]  # type: ignore[no-any-return]

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.metadata.get("annotations") or {}

    @property
    def leaving(self) -> bool:
        return bool(self.metadata.get("deletionTimestamp"))

    def trigger(self) -> tuple[Any, ...]:
        """What of the object makes a sync necessary when it changes; its status does not."""
        wanted = tuple(self.annotations.get(name) for name in (REQUESTED_AT, CONFIRM_DELETES))
        return (self.metadata["uid"], self.metadata["generation"], self.metadata.get("deletionTimestamp"), *wanted)

    @property
    def hook_mark(self) -> HookMark | None:
        """The last delivery that concerned it."""
        return HookMark.parse(self.annotations.get(HOOK_RECEIVED, ""))

    def until_rewrite(self) -> float:
        """Seconds until a status that could not be written is tried again."""
        return min(_MAX_BACKOFF, 2.0 ** min(self.unwritten, 9)) * random.uniform(0.8, 1.2)  # noqa: S311

    def settle(self, outcome: Outcome) -> float:
        """Count what a run came to; the seconds until the next, a little at random so that not all run at once."""
        error = outcome.error
        if error is not None:
            self.failures += 1
            most = _LOST_RACE if isinstance(error, StaleRemote) else _MAX_BACKOFF
            backoff = min(most, 2.0 ** min(self.failures, 9)) * random.uniform(0.8, 1.2)  # noqa: S311
            return max(backoff, min(_LONGEST_WAIT, error.retry_after or 0.0)) if error.retry else _MAX_BACKOFF
        self.failures = 0
        if outcome.suspended:
            return _SUSPENDED
        try:
            interval = parse_duration(self.seen["spec"].get("sync", {}).get("interval", "5m"))
        except ValueError:
            interval = 300.0
        if outcome.refusals:
            interval = min(interval, 10.0)
        return interval * random.uniform(0.95, 1.05)  # noqa: S311


def _verified(status: Mapping[str, Any]) -> tuple[str | None, Verdict | None]:
    """The commit that was verified last; and what was found of it, where it is the operator's own."""
    told = status.get("verified") or {}
    commit, author, key, signer = (str(told.get(name) or "") for name in ("commit", "author", "key", "signer"))
    found = Verdict(commit, author, key, signer)
    return found.commit or None, found if signer == OWN else None


def first_seen(body: Mapping[str, Any], directory: Path) -> Integration:
    """An integration as a process finds it: what an earlier one left in its status. `directory` is for its cache."""
    status = dict(body.get("status") or {})
    session = SyncSession(body["metadata"]["uid"], directory)
    session.last_seen, session.history = status.get("remoteCommit"), status.get("history")
    session.verified, session.own = _verified(status)
    session.told = status.get("conflicts") or ()
    session.pull_request, session.branch = status.get("pullRequest"), status.get("observedBranch")
    session.selection = status.get("observedSelection")
    session.resume_point = rested_at(body["metadata"]["generation"], status)
    declined = [told for told in status.get("invalid") or () if told.get("reason") == InvalidReason.PushRefused]
    session.declined.paths = {told.get("path", "") for told in declined}
    entry = Integration(kept(body), session, status)
    asked = entry.annotations.get(REQUESTED_AT) not in (None, status.get("lastHandledReconcileAt"))
    if not asked and status.get("observedGeneration") == body["metadata"]["generation"]:
        contested = [told for told in status.get("ahead") or () if told.get("reason") == Why.Contested]
        session.rested = {(told.get("kind", ""), told.get("name", "")) for told in contested}
    return entry


def kept(body: Mapping[str, Any]) -> dict[str, Any]:
    """What stays in memory of an integration: who owns which field was measured to be most of it, and is not asked for."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**{name: value for name, value in body.items() if name != "status"}, "metadata": metadata}


def source_of(spec: GitIntegrationSpec) -> str:
    """Tells one repository, branch and prefix from another, in `status.observedSource`.

    Never another for the same spec: what was agreed on is forgotten where it is. Another meaning takes another field.
    """
    source = (spec.repository_url, spec.default_branch, folder_of(spec.path_prefix))
    return hashlib.sha256(repr(source).encode()).hexdigest()[:16]


def rested_at(generation: int, status: Mapping[str, Any]) -> tuple[str, str] | None:
    """Where a status says that both sides are the same, for the spec as it is: the commit, and what was agreed on then."""
    same = status.get("inSync") and status.get("observedGeneration") == generation
    commit, memory = status.get("lastSyncedCommit"), status.get("observedMemory")
    return (commit, memory) if same and commit and memory and commit == status.get("remoteCommit") else None
