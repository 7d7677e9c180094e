"""What the operator keeps in memory of one integration: what git holds, what was agreed, what is open.

All of it can be had again from the repository and the cluster; it is here so that a sync costs what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gitintegration.core.contest import Contest
from gitintegration.core.evidence import Behind
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.state.record import ItemCodec, ItemRecord, Proposal
from gitintegration.core.state.shards import ShardedRecords
from gitintegration.core.state.table import ItemTable
from gitintegration.core.values import ObjectKey
from gitintegration.errors import GitIntegrationError
from gitintegration.git.remote import Remote
from gitintegration.sync.files import GitItem, ScannedFile
from gitintegration.sync.refused import Refused


@dataclass(frozen=True, slots=True)
class Offered:
    """The review branch as it was left."""

    branch: str
    commit: str | None
    follows: bool
    """Whether it holds all of the default branch."""


class GitIndex:
    """The items of one commit, by key, with the files they are in."""

    def __init__(self) -> None:
        self.commit: str | None = None
        self.items: dict[ObjectKey, GitItem] = {}
        self.files: dict[str, ScannedFile] = {}
        self.refused: dict[str, str] = {}
        """Paths that can't be taken, with the reason."""
        self.obstacle: str = ""
        """What lies where the prefix should be: then nothing is known of any item."""
        self._copies: dict[ObjectKey, list[GitItem]] = {}
        self._bad: set[str] = set()
        """Paths of files with problems."""
        self._claims: dict[ObjectKey, int] = {}
        """What stands in files and can't be taken, and in how many."""

    def copy(self) -> GitIndex:
        """One that can be brought elsewhere while this stays."""
        made = GitIndex()
        made.commit, made.items, made.files = self.commit, dict(self.items), dict(self.files)
        made.refused, made.obstacle = dict(self.refused), self.obstacle
        made._copies = {key: list(copies) for key, copies in self._copies.items()}
        made._bad, made._claims = set(self._bad), dict(self._claims)
        return made

    def put(self, scanned: ScannedFile) -> set[ObjectKey]:
        """The keys that may have changed by it."""
        touched = self.remove(scanned.path)
        self.files[scanned.path] = scanned
        if scanned.problems:
            self._bad.add(scanned.path)
        for key in scanned.claims:
            touched.add(key)
            self._claims[key] = self._claims.get(key, 0) + 1
        for item in scanned.items:
            touched.add(item.key)
            if item.key in self._copies:
                self._copies[item.key].append(item)
            elif other := self.items.pop(item.key, None):
                self._copies[item.key] = [other, item]
            else:
                self.items[item.key] = item
        return touched

    def remove(self, path: str) -> set[ObjectKey]:
        self.refused.pop(path, None)
        self._bad.discard(path)
        old = self.files.pop(path, None)
        touched = set()
        for key in old.claims if old else ():
            touched.add(key)
            self._claims[key] -= 1
            if not self._claims[key]:
                del self._claims[key]
        for item in old.items if old else ():
            touched.add(item.key)
            if copies := self._copies.get(item.key):
                left = [c for c in copies if c.path != path]
                del self._copies[item.key]
                if len(left) == 1:
                    self.items[item.key] = left[0]
                elif left:
                    self._copies[item.key] = left
            else:
                self.items.pop(item.key, None)
        return touched

    def problems(self) -> list[Problem]:
        """All that is wrong with the files of this commit."""
        found = [p for path in sorted(self._bad) for p in self.files[path].problems]
        found += [Problem(path, InvalidReason.InvalidPath, words) for path, words in self.refused.items()]
        if self.obstacle:
            words = (
                "is no folder, and lies where spec.pathPrefix should be: nothing is written or deleted until it is one"
            )
            found.append(Problem(self.obstacle, InvalidReason.InvalidPath, words))
        for key, copies in self._copies.items():
            paths = sorted(c.path for c in copies)
            others = ", ".join(paths[1:])
            words = f"{key} stands in {others} as well; keep one of them"
            found.append(Problem(paths[0], InvalidReason.Duplicate, words))
        return found

    def frozen(self, key: ObjectKey, known_path: str | None) -> bool:
        """Whether what git says of `key` can't be known: it stands twice, or its file can't be read as it was."""
        if key in self._copies or key in self._claims or self.obstacle:
            return True
        if key in self.items or known_path is None:
            return False
        return known_path in self.refused or self._is_unclear(known_path)

    def blank(self, key: ObjectKey, known_path: str | None) -> Problem | None:
        """Why the file that held `key` yields nothing, where it does not; that it stands elsewhere says enough."""
        if known_path is None or known_path not in self.files or self.knows(key):
            return None
        return self.files[known_path].blank

    def _is_unclear(self, path: str) -> bool:
        scanned = self.files.get(path)
        return scanned is not None and bool(scanned.problems or scanned.blank)

    def unreadable(self, paths: Iterable[str]) -> set[str]:
        """Those of `paths` whose items can't be known: what was in them shows only once they are mended, or gone."""
        return {p for p in paths if p in self.refused or self._is_unclear(p)}

    def knows(self, key: ObjectKey) -> bool:
        """Whether it stands in git at all."""
        return key in self.items or key in self._copies or key in self._claims

    @property
    def empty(self) -> bool:
        return not self.items and not self._copies and not self._bad


@dataclass(slots=True)
class Workspace:
    """One integration, from its first sync to its end or the operator's."""

    uid: str
    directory: Path
    index: GitIndex = field(default_factory=GitIndex)
    records: ShardedRecords[ItemRecord] = field(default_factory=lambda: ShardedRecords(ItemCodec()))
    """What both sides agreed on last, and what is in flight; empty until it is loaded."""
    table: ItemTable = field(default_factory=lambda: ItemTable({}))
    loaded: bool = False
    logs: bool = True
    """Whether what is written is an agreement of both sides, and is logged before."""
    rested: tuple[str, str] | None = None
    """The commit at which the process before this one left both sides the same, and the digest of what was agreed on then;
    until this one reads what git holds."""
    away: dict[tuple[str, str], GitIntegrationError] = field(default_factory=dict)
    """Kinds that could not be read in the present run, by group and kind, and why."""
    remade: set[tuple[str, str]] = field(default_factory=set)
    """Kinds that are defined anew since both sides agreed: their objects went with the old definition."""
    returned: set[tuple[str, str]] = field(default_factory=set)
    """Kinds that are served again, of which it is not known whether their objects are the ones they were."""
    remote: Remote | None = None
    connection: Mapping[str, object] | None = None
    scope: str = ""
    """What the index was made for: another prefix, kinds or ignore patterns make it anew."""
    ignore_blob: str | None = None
    ignore_text: str = ""
    offers: ShardedRecords[Proposal] | None = None
    """What was offered for review, where that is asked for."""
    review_ground: tuple[str | None, str | None] | None = None
    """Heads of review branch and default branch that were last made to meet."""
    offered: Offered | None = None
    pull_request: Mapping[str, Any] | None = None
    """As the forge told it last; `proposed` says that it holds all that was offered."""
    proposed: bool = True
    contest: Contest = field(default_factory=Contest)
    """What is written, and put back by others."""
    refused: Refused = field(default_factory=Refused)
    """What the server declined to take into a push."""
    rewritten: str | None = None
    behind: Behind | None = None
    """A head that went back and is not believed yet."""
    branch: str | None = None
    """The branch that all this is of."""
    history: list[dict[str, object]] | None = None
    last_seen: str | None = None
    """The branch's head as an earlier process told it in the status."""

    def reset_git(self) -> None:
        """Forget what was read from git; the cache is fetched anew."""
        self.index = GitIndex()
        self.scope = ""
        self.ignore_blob = None

    def remember(self, records: ShardedRecords[ItemRecord]) -> None:
        """Begin with what is stored."""
        self.records, self.table, self.loaded = records, ItemTable(records.marks, records.in_doubt), True

    def leave_source(self) -> None:
        """Forget all that was known of another repository, branch or prefix, but for its memories, which are empty by now."""
        fresh = Workspace(self.uid, self.directory)
        fresh.remember(self.records)
        for each in fields(self):
            setattr(self, each.name, getattr(fresh, each.name))
