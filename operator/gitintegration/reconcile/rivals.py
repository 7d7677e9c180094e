"""The other integrations of a namespace, as far as they have to do with whose an item is.

An item belongs to one integration. The labels of its object say to which; where there is none, those of its manifests. What two
claim, neither writes. One whose labels went to another is handed over: its file goes once the other has it, and never where
the two files may be one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gitintegration.api.integration import GitIntegrationSpec, LabelSelector
from gitintegration.api.names import split_api_version
from gitintegration.core.selection import selects
from gitintegration.core.state.record import RELEASED, UNKNOWN, ItemRecord, Watermark
from gitintegration.core.values import Json, ObjectKey
from gitintegration.git.url import RemoteURL
from gitintegration.session.live_objects import LiveObject
from gitintegration.session.session import SyncSession


@dataclass(frozen=True, slots=True)
class Rival:
    """Another integration that works with kinds of this namespace, by its spec, whether it has run yet or not."""

    name: str
    selectors: Mapping[tuple[str, str], LabelSelector]
    """Of the kinds that it shares."""
    session: SyncSession
    url: RemoteURL

    def selects(self, key: ObjectKey, whole: Json | None) -> bool:
        selector = self.selectors.get((key.group, key.kind))
        return selector is not None and selects(selector, whole)

    def claims(self, key: ObjectKey, live: LiveObject | None, here: BranchFile, *, known: bool) -> bool:
        """Whether it takes the item for its own as well: by the object's labels, or by a manifest that it never synced.

        Where there is no object, whoever had it has to say what became of it. `here`: where the one who asks has the item, and
        `known`: whether he has synced it. A file that both have speaks for the one who did.
        """
        if live is not None and self.selects(key, live.whole):
            return True
        git, mark = self.session.index.items.get(key), self.session.records.marks.get(key)
        if mark is not None:
            return live is None and mark.resource_version != RELEASED
        if git is None:
            return False
        there = BranchFile(self.url, self.session.branch, git.path, git.blob)
        is_one = there.is_like(here) or (there.path, there.blob) == (here.path, here.blob)
        return not (is_one and (known or live is not None)) and self.selects(key, orjson.loads(git.value))

    def holds(self, key: ObjectKey, live: LiveObject) -> bool:
        """Whether both its sides hold the item as the object is now."""
        records, table = self.session.records, self.session.table
        mark = records.marks.get(key)
        if (
            mark is None
            or UNKNOWN in mark
            or any(key in some for some in (table.open, table.suspects, records.in_doubt))
        ):
            return False
        return table.reconciled(key) == live.resource_version

    def place(self, key: ObjectKey) -> BranchFile | None:
        """The file that it has agreed on."""
        mark = self.session.records.marks.get(key)
        return BranchFile(self.url, self.session.branch, mark.path, mark.blob) if mark else None

    def agreed(self, key: ObjectKey, here: BranchFile) -> ItemRecord | None:
        """What it agreed on with the very file that lies `here`, or one that is the same, for whoever takes the item over."""
        there = self.place(key)
        if there is None or not (there.is_like(here) or there.blob == here.blob != UNKNOWN):
            return None
        known = self.session.records.get(key)
        if known is None or known.base is None:
            return None
        return ItemRecord(key, Watermark(here.path, UNKNOWN, UNKNOWN), known.base)


@dataclass(frozen=True, slots=True)
class BranchFile:
    """A file of a branch of a repository."""

    url: RemoteURL
    branch: str | None
    path: str
    blob: str = ""

    def is_like(self, other: BranchFile) -> bool:
        """Whether both are surely one file."""
        return (self.branch, self.path) == (other.branch, other.path) and self._repository == other._repository

    def may_be(self, other: BranchFile) -> bool:
        """Whether both may be one: a repository has more than one address."""
        return (self.branch, self.path) == (other.branch, other.path)

    @property
    def _repository(self) -> tuple[str, str, int, str]:
        url = self.url
        return url.scheme, url.host.lower(), url.port, url.path.strip("/").removesuffix(".git")


def shared(mine: GitIntegrationSpec, theirs: GitIntegrationSpec) -> dict[tuple[str, str], LabelSelector]:
    """What the other selects of the kinds that both list, told apart by labels: a kind that is not, one of them has as a whole."""
    ours = _selectors(mine)
    return {
        kind: selector
        for kind, selector in _selectors(theirs).items()
        if selector and ours.get(kind) and ours[kind] != selector
    }


def undivided(mine: GitIntegrationSpec, theirs: GitIntegrationSpec) -> set[tuple[str, str]]:
    """The kinds that both list and that labels don't tell apart: whatever is of them, both claim."""
    return (_selectors(mine).keys() & _selectors(theirs).keys()) - shared(mine, theirs).keys()


def _selectors(spec: GitIntegrationSpec) -> dict[tuple[str, str], LabelSelector | None]:
    return {(split_api_version(r.api_version)[0], r.kind): r.label_selector for r in spec.resources}
