"""Where the values of a manifest come from: the commit that gave each field the value it has, found version by version.

Bounded by how many commits and versions of its file are looked at. Runs in a worker, on what the cache has.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from gitintegration.commits import files
from gitintegration.commits.files import GitItem, Scope
from gitintegration.core import diff
from gitintegration.core.diff import ABSENT
from gitintegration.core.merge import alike
from gitintegration.core.plan.authors import shown_name
from gitintegration.core.text import decoded, plain
from gitintegration.core.values import Json, ObjectKey
from gitintegration.core.yaml_places import lines_of
from gitintegration.core.yaml_read import ReadLimits
from gitintegration.errors import GitIntegrationError, LimitExceeded
from gitintegration.git import slices
from gitintegration.git.objects import EXECUTABLE, FILE, Objects

_COMMITS = 5000
"""That are looked at for one item."""
_REGULAR = (FILE, EXECUTABLE, 0o100664)
_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """What of an item is asked after: values at these paths, () for the whole. `until`: a version that is known to be older."""

    key: ObjectKey
    path: str
    fields: tuple[diff.Path, ...]
    until: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """A commit, as people are told of it."""

    sha: str
    author: str
    time: int
    subject: str


@dataclass(frozen=True, slots=True)
class Traced:
    """Of each field the commit that gave it its value; None: that lies further back than was looked."""

    origins: tuple[Origin | None, ...]
    whole: bool
    """Whether all there is was looked at."""
    ended: bool = False
    """Whether the cache ends before the history does."""
    absent: tuple[str, ...] = ()
    """Blobs that the cache lacks; the rest says little until they are there."""


def origins(directory: Path, tip: str, asked: Sequence[Asked], scope: Scope, versions: int) -> list[Traced]:
    """All of what is asked, or the first of it: the rest is for another call. `versions` of a file are looked at."""
    found: list[Traced] = []
    with Objects(directory) as store:
        for each in asked:
            if found and slices.is_over():
                break
            found.append(_Walk(store, each, scope, versions).back_from(tip))
    return found


def lines(
    directory: Path, item: GitItem, fields: Sequence[diff.Path], limits: ReadLimits
) -> tuple[int | None, list[int | None]]:
    """The line of a manifest in its file, and those of its fields."""
    with Objects(directory) as store:
        return lines_of(store.raw(item.blob), item.path, item.location, fields, limits)


class _Unreadable:
    """A version that tells nothing of what the item was."""


_Version = tuple[Json, ...] | _Unreadable | None
"""The values of the fields; None: it has to be fetched."""
_UNREADABLE = _Unreadable()


class _Walk:
    """Every field goes back through the first parent that has its value, until none has."""

    def __init__(self, store: Objects, asked: Asked, scope: Scope, versions: int) -> None:
        self._store, self._asked, self._scope, self._left = store, asked, scope, versions
        self._found: dict[int, Origin] = {}
        self._versions: dict[str, _Version] = {}
        self._blobs: dict[str, str] = {}
        self._absent: dict[str, None] = {}
        self._whole, self._ended = True, False
        self._pending: dict[str, set[int]] = {}
        self._queue: list[tuple[int, str]] = []

    def back_from(self, tip: str) -> Traced:
        self._hand(tip, set(range(len(self._asked.fields))))
        looked_at = 0
        while self._queue:
            sha = heapq.heappop(self._queue)[1]
            fields = self._pending.pop(sha)
            looked_at += 1
            if looked_at > _COMMITS:
                self._whole = False
                break
            self._go_on(sha, fields)
        told = tuple(self._found.get(number) for number in range(len(self._asked.fields)))
        return Traced(told, self._whole, self._ended, tuple(self._absent))

    def _go_on(self, sha: str, fields: set[int]) -> None:
        """Hand the fields on to the parents of a commit, or to itself."""
        try:
            commit = self._store.commit(sha)
            blob = self._blob(sha)
            parents = {parent.decode(): self._blob(parent.decode()) for parent in commit.parents}
        except GitIntegrationError:  # where a shallow fetch ends
            self._whole, self._ended = False, True
            return
        if blob and blob == self._asked.until:
            return
        if (same := next((parent for parent, there in parents.items() if there == blob), None)) is not None:
            self._hand(same, fields)
            return
        if self._left == 0:
            self._whole = False
            return
        self._left -= 1
        after, fetched = self._version(blob), True
        for parent, there in (parents or {"": ""}).items():
            before = self._version(there)
            if after is None or before is None:
                fetched = False
                if there:
                    self._hand(parent, fields)
                continue
            kept = {number for number in fields if _keeps(before, after, number)}
            if there:  # else it is a field that never was
                self._hand(parent, kept)
            fields = fields - kept
        if fetched:
            author = shown_name(decoded(commit.author, commit.encoding))
            subject = plain(decoded(commit.message, commit.encoding).strip().partition("\n")[0])[:_SUBJECT]
            self._found |= dict.fromkeys(fields, Origin(sha, author, commit.commit_time, subject))

    def _hand(self, sha: str, fields: set[int]) -> None:
        if not fields:
            return
        if sha not in self._pending:
            time = self._store.commit(sha).commit_time if self._store.has(sha) else 0
            heapq.heappush(self._queue, (-time, sha))
        self._pending.setdefault(sha, set()).update(fields)

    def _blob(self, sha: str) -> str:
        """The file as a commit has it; empty: it is not there."""
        if sha not in self._blobs:
            entry, _ = self._store.at(self._store.commit(sha).tree.decode(), self._asked.path)
            self._blobs[sha] = entry.sha if entry and entry.mode in _REGULAR else ""
        return self._blobs[sha]

    def _version(self, blob: str) -> _Version:
        if not blob:
            return (ABSENT,) * len(self._asked.fields)
        if blob not in self._versions:
            if not self._store.has(blob):
                self._absent[blob] = None
                return None
            self._versions[blob] = self._read(blob)
        return self._versions[blob]

    def _read(self, blob: str) -> _Version:
        try:
            content = self._store.raw(blob)
        except LimitExceeded:
            return _UNREADABLE
        scanned = files.scan_one(self._asked.path, blob, content, self._scope)
        item = next((item for item in scanned.items if item.key == self._asked.key), None)
        if item is None:
            return _UNREADABLE if scanned.problems else (ABSENT,) * len(self._asked.fields)
        value = orjson.loads(item.value)
        return tuple(diff.get(value, path) for path in self._asked.fields)


def _keeps(before: _Version, after: _Version, number: int) -> bool:
    """Whether a field is the same in two versions, as far as they tell."""
    if not isinstance(before, tuple) or not isinstance(after, tuple):
        return True
    return alike(before[number], after[number])
