"""What one run works on: the request, its items, and the tally of what was written."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gitintegration.api.base_model import PIPELINE_ID
from gitintegration.api.integration import GitIntegrationSpec, Mode
from gitintegration.api.names import split_api_version
from gitintegration.core.invalid import Problem
from gitintegration.core.layout import Summary
from gitintegration.core.merge import Decision, Strategy
from gitintegration.core.state.record import ItemRecord
from gitintegration.core.state.table import ABSENT
from gitintegration.core.status import HeldDeletes
from gitintegration.core.values import Json, ObjectKey
from gitintegration.core.view import view, with_ignored
from gitintegration.errors import GitIntegrationError
from gitintegration.git.objects import CommitInfo
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
    warnings: tuple[str, ...] = ()
    """What works and should not stay so, of the login."""
    confirmed: str | None = None
    requested_at: str | None = None
    source: str = ""
    rescan: bool = True
    """Go through all objects for what moved; False: only through what the watch has told of."""
    api_token: str | None = field(default=None, repr=False)
    """For the forge's API, where the Secret has one."""
    takes: Mapping[ObjectKey, Strategy] = field(default_factory=dict)
    """Who wins the conflicts of single items, whatever the strategy says."""
    looks_only: bool = False

    def looking(self) -> Request:
        """The same request, carrying nothing by itself; what its mode holds back is held back all the same."""
        return replace(self, looks_only=True)

    @property
    def listed(self) -> frozenset[tuple[str, str]]:
        """The kinds that the spec names, by group and kind, whether they can be worked with now or not."""
        named = ((resource.api_version, resource.kind) for resource in self.spec.resources)
        return frozenset((split_api_version(version)[0], kind) for version, kind in named)

    @property
    def anywhere(self) -> frozenset[tuple[str, str]]:
        """The kinds whose manifests may name another namespace."""
        named = ((r.api_version, r.kind) for r in self.spec.resources if r.namespace == "Ignore")
        return frozenset((split_api_version(version)[0], kind) for version, kind in named)

    @property
    def review(self) -> str | None:
        """The branch that changes are offered on for review, where one is named."""
        return self.spec.sync.push.branch

    def strategy(self, key: ObjectKey) -> Strategy:
        return self.takes.get(key) or Strategy(self.spec.sync.strategy)

    @property
    def pulls(self) -> bool:
        """Whether the mode carries what is ahead in git to the cluster."""
        return self.spec.sync.mode in (Mode.Pull, Mode.Bidirectional)

    @property
    def pushes(self) -> bool:
        """Whether the mode carries what is ahead in the cluster to git."""
        return self.spec.sync.mode in (Mode.Push, Mode.Bidirectional)

    @property
    def may_pull(self) -> bool:
        return self.pulls and not self.looks_only

    @property
    def may_push(self) -> bool:
        return self.pushes and not self.looks_only


_VALUES = ("record", "live", "manifest", "git_view", "decision")


@dataclass(slots=True)
class Item:
    """One item while it is planned and written. Its values can be folded; who asks for one of them unfolds all."""

    key: ObjectKey
    kind: Kind
    record: ItemRecord | None
    git: GitItem | None
    live: Live | None
    manifest: Json | None = None
    git_view: Json | None = None
    decision: Decision = field(default_factory=Decision)
    problem: Problem | None = None
    pulled: bool = False
    pushed: bool = False
    held: bool = False
    raced: bool = False
    """It moved while it was written: it is planned anew at once."""
    waits: bool = False
    """Its kind could not be written just now."""
    logged: bool = False
    """That it is about to be written is stored."""
    number: int = 0
    """Of the last observation before it was read."""
    new_path: str = ""
    _folded: bytes | None = field(default=None, repr=False)

    @property
    def is_folded(self) -> bool:
        return self._folded is not None

    def fold(self) -> None:
        """As bytes the values take a fifth of the memory. Not for what deletes."""
        if self.is_folded and not any(_is_there(self, name) for name in _VALUES):
            return
        folded = pickle.dumps([getattr(self, name) for name in _VALUES])
        self.drop()
        self._folded = folded

    def drop(self) -> None:
        """Nobody asks for its values any more."""
        self._folded = None
        for name in _VALUES:
            if _is_there(self, name):
                delattr(self, name)

    def __getattr__(self, name: str) -> Any:
        """Asked for what is not there: a folded value, or nothing that an item has."""
        if name not in _VALUES or self._folded is None:
            raise AttributeError(name)
        values, self._folded = dict(zip(_VALUES, pickle.loads(self._folded), strict=True)), None  # noqa: S301 - ours
        for each, value in values.items():
            if not _is_there(self, each):  # else it was set meanwhile
                setattr(self, each, value)
        return values[name]

    @property
    def is_made_whole(self) -> bool:
        """Whether what it lacks on one side is made there with its ignored fields."""
        return self.kind.resource.on_create and (self.git is None or self.live is None)

    def made_with(self, value: Json) -> Json:
        """What is to be made of `value` where the item is new: with the ignored fields of the other side, if the spec wants them."""
        whole = self.live.whole if self.live else self.manifest
        if not self.is_made_whole or whole is None:
            return value
        return with_ignored(value, view(whole), self.kind.pointers)

    @property
    def deletes(self) -> bool:
        """On one of the sides."""
        writes = () if self.is_folded else (self.decision.cluster, self.decision.git)
        return any(write is not None and write.value is None for write in writes)

    @property
    def carried(self) -> bool:
        """Nothing of it is left to write."""
        return (self.pulled or self.decision.cluster is None) and (self.pushed or self.decision.git is None)

    @property
    def version(self) -> str:
        """Of its object, as it was read or written last."""
        return self.live.resource_version if self.live else ABSENT

    @property
    def path(self) -> str:
        return self.git.path if self.git else (self.record.path if self.record else "")

    @property
    def target(self) -> str:
        """Where it lies in git, or is to lie."""
        return self.git.path if self.git else self.new_path or self.path

    @property
    def id(self) -> str:
        for source in (
            self.live.whole if self.live else None,
            self.manifest,
            self.record.base.live if self.record and self.record.base else None,
        ):
            annotations = ((source or {}).get("metadata") or {}).get("annotations") or {}
            if PIPELINE_ID in annotations:
                return str(annotations[PIPELINE_ID])
        return self.key.name


def _is_there(item: Item, name: str) -> bool:
    try:
        object.__getattribute__(item, name)
    except AttributeError:
        return False
    return True


def in_turn(items: Iterable[Item], *, last: bool = False) -> Iterator[Item]:
    """One after the other; what was folded is folded again when its turn is over, or let go where it was the last."""
    for item in items:
        folded = item.is_folded
        yield item
        if folded and last:
            item.drop()
        elif folded:
            item.fold()


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit that is made and not pushed yet."""

    info: CommitInfo
    made: Committed
    items: Sequence[Item]


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
    lossy: list[str] = field(default_factory=list)

    @property
    def wrote(self) -> bool:
        return bool(self.created or self.updated or self.deleted or self.commits)


_NAMED: Final = 3
LOSSY: Final = 50
"""Paths that are told at most."""


def lossy_words(paths: Sequence[str]) -> str:
    """For an event."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    named = ", ".join(path[:200] for path in paths[:_NAMED])
    return f"edits took comments or lines beside their own from {named}{more}; see the commit"


def summary(items: Sequence[Item]) -> Summary:
    """What a commit of these items says of itself."""
    created, updated, deleted = list[str](), list[str](), list[str]()
    for item in items:
        (deleted if item.deletes else updated if item.git else created).append(item.key.name)
    return Summary(created, updated, deleted)
