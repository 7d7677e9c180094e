"""What one run works on: the request, its items, and the tally of what was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gitintegration.api.base_model import PIPELINE_ID
from gitintegration.api.integration import GitIntegrationSpec, Mode
from gitintegration.core.base_shards import BaseRecord
from gitintegration.core.invalid import Problem
from gitintegration.core.layout import Summary
from gitintegration.core.merge import Decision, Strategy
from gitintegration.core.status import HeldDeletes
from gitintegration.core.values import Json, ObjectKey
from gitintegration.errors import GitIntegrationError
from gitintegration.git.objects import CommitInfo, NewCommit
from gitintegration.git.remote import Remote
from gitintegration.sync.cluster_side import Kind, Live
from gitintegration.sync.files import Committed, GitItem


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be synced, and what its user asked for."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: GitIntegrationSpec
    remote: Remote
    kinds: Mapping[tuple[str, str], Kind]
    refusals: tuple[GitIntegrationError, ...] = ()
    confirmed: str | None = None
    requested_at: str | None = None
    source: str = ""
    rescan: bool = True
    """Go through all objects for what moved; False: only through what the watch has told of."""
    api_token: str | None = field(default=None, repr=False)
    """For the forge's API, where the Secret has one."""
    takes: Mapping[ObjectKey, Strategy] = field(default_factory=dict)
    """Who wins the conflicts of single items, whatever the strategy says."""

    def looking(self) -> Request:
        """The same request, carrying nothing by itself."""
        sync = self.spec.sync.model_copy(update={"mode": Mode.Manual})
        return replace(self, spec=self.spec.model_copy(update={"sync": sync}))

    @property
    def review(self) -> str | None:
        """The branch that changes are offered on for review, where one is named."""
        return self.spec.sync.push.branch

    def strategy(self, key: ObjectKey) -> Strategy:
        return self.takes.get(key) or Strategy(self.spec.sync.strategy)

    @property
    def may_pull(self) -> bool:
        return self.spec.sync.mode in (Mode.Pull, Mode.Bidirectional)

    @property
    def may_push(self) -> bool:
        return self.spec.sync.mode in (Mode.Push, Mode.Bidirectional)


@dataclass(slots=True)
class Item:
    """One item while it is planned and written."""

    key: ObjectKey
    kind: Kind
    record: BaseRecord | None
    git: GitItem | None
    live: Live | None
    manifest: Json | None = None
    git_view: Json | None = None
    decision: Decision = field(default_factory=Decision)
    problem: Problem | None = None
    pulled: bool = False
    pushed: bool = False
    held: bool = False
    told: bool = False
    """That it is about to be written is stored."""
    new_path: str = ""

    @property
    def carried(self) -> bool:
        """Nothing of it is left to write."""
        return (self.pulled or self.decision.cluster is None) and (self.pushed or self.decision.git is None)

    @property
    def path(self) -> str:
        return self.git.path if self.git else (self.record.path if self.record else "")

    @property
    def id(self) -> str:
        for source in (
            self.live.whole if self.live else None,
            self.manifest,
            self.record.live if self.record else None,
        ):
            annotations = ((source or {}).get("metadata") or {}).get("annotations") or {}
            if PIPELINE_ID in annotations:
                return str(annotations[PIPELINE_ID])
        return self.key.name


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit that is made and not pushed yet."""

    info: CommitInfo
    commit: NewCommit
    made: Committed
    items: tuple[Item, ...]

    def discard(self) -> None:
        self.commit.pack.unlink(missing_ok=True)


@dataclass(slots=True)
class Tally:
    """What one run wrote, for the log, the events and the tests."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    commits: list[str] = field(default_factory=list)
    troubles: list[GitIntegrationError] = field(default_factory=list)
    """What went wrong beside the sync, with the pull request say; the rest was done."""
    held: list[HeldDeletes] = field(default_factory=list)
    coarse: list[str] = field(default_factory=list)

    @property
    def wrote(self) -> bool:
        return bool(self.created or self.updated or self.deleted or self.commits)


def summary(items: Sequence[Item]) -> Summary:
    """What a commit of these items says of itself."""
    return Summary(
        created=[i.key.name for i in items if i.git is None],
        updated=[i.key.name for i in items if i.git and i.decision.git and i.decision.git.value is not None],
        deleted=[i.key.name for i in items if i.decision.git and i.decision.git.value is None],
    )
