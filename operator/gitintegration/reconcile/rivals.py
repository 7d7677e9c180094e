"""The other integrations of a namespace, as far as they have to do with whose an item is.

An item belongs to one integration. The labels of its object say to which; where there is none, those of its manifests. What two
claim, neither writes. One whose labels went to another is handed over: its file goes once the other has it, and never where
the two files may be one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gitintegration.core.state.record import RELEASED, UNKNOWN, ItemRecord, Watermark
from gitintegration.core.values import Json, ObjectKey
from gitintegration.git.remote import Remote
from gitintegration.session.live_objects import Kind, LiveObject
from gitintegration.session.session import SyncSession


@dataclass(frozen=True, slots=True)
class Rival:
    """Another integration that works with kinds of this namespace."""

    name: str
    kinds: Mapping[tuple[str, str], Kind]
    session: SyncSession
    remote: Remote | None

    def selects(self, key: ObjectKey, whole: Json | None) -> bool:
        kind = self.kinds.get((key.group, key.kind))
        return kind is not None and kind.selects(whole)

    def claims(self, key: ObjectKey, live: LiveObject | None, here: Place) -> bool:
        """Whether it takes the item for its own as well: by the object's labels, or by a manifest that it never synced.

        `here`: where the one who asks has it. A file that both have says nothing where there is an object.
        """
        if live is not None and self.selects(key, live.whole):
            return True
        git, mark = self.session.index.items.get(key), self.session.records.marks.get(key)
        if git is None or (mark is not None and (live is not None or mark.resource_version == RELEASED)):
            return False
        there = Place(self.remote, self.session.branch, git.path)
        if live is not None and (there.is_like(here) or (git.path, git.blob) == (here.path, here.blob)):
            return False
        return self.selects(key, orjson.loads(git.value))

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

    def place(self, key: ObjectKey) -> Place | None:
        """The file that it has agreed on."""
        mark = self.session.records.marks.get(key)
        return Place(self.remote, self.session.branch, mark.path, mark.blob) if mark else None

    def agreed(self, key: ObjectKey, here: Place) -> ItemRecord | None:
        """What it agreed on with the very file that lies `here`, or one that is the same, for whoever takes the item over."""
        there = self.place(key)
        if there is None or not (there.is_like(here) or there.blob == here.blob != UNKNOWN):
            return None
        known = self.session.records.get(key)
        if known is None or known.base is None:
            return None
        return ItemRecord(key, Watermark(here.path, UNKNOWN, UNKNOWN), known.base)


@dataclass(frozen=True, slots=True)
class Place:
    """A file of a branch of a repository."""

    remote: Remote | None
    branch: str | None
    path: str
    blob: str = ""

    def is_like(self, other: Place) -> bool:
        """Whether both are surely one file."""
        return (self.branch, self.path) == (other.branch, other.path) and self._repository == other._repository

    def may_be(self, other: Place) -> bool:
        """Whether both may be one: a repository has more than one address."""
        return (self.branch, self.path) == (other.branch, other.path)

    @property
    def _repository(self) -> tuple[str, str] | None:
        if self.remote is None:
            return None
        url = self.remote.url
        return f"{url.scheme}://{url.host.lower()}:{url.port}", url.path.strip("/").removesuffix(".git")
