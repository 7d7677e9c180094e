"""Finds who made each side's change of a conflict, and when: once for each new one, of those that are shown."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gitintegration.cluster.client import FIELD_MANAGER
from gitintegration.commits.files import Scope
from gitintegration.commits.origins import Asked, Origin, Traced, origins
from gitintegration.core.diff import Path as FieldPath
from gitintegration.core.managers import last_writer
from gitintegration.core.merge import ConflictReason
from gitintegration.core.people import UNSEEN, editors
from gitintegration.core.plan.authors import Authors, Told, Torn, shown_name
from gitintegration.core.status import SHOWN, ConflictEntry, parse_timestamp, timestamp
from gitintegration.core.text import plain_values
from gitintegration.core.values import ObjectKey
from gitintegration.errors import GitIntegrationError, LimitExceeded
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.workers import Workers
from gitintegration.reconcile.item import RunRequest
from gitintegration.reconcile.mirror import GitMirror
from gitintegration.session.live_objects import LiveObjects
from gitintegration.session.session import SyncSession

_SECONDS = 60.0
_DEPTH = 200
"""Commits that are fetched, once, where those in the cache do not tell."""
_VERSIONS = 30
"""Of a file that are looked at."""


class AuthorFinder:
    def __init__(
        self,
        objects: LiveObjects,
        mirror: GitMirror,
        git: GitClient,
        workers: Workers,
        scope: Callable[[RunRequest], Scope],
    ) -> None:
        self._objects, self._mirror, self._git, self._workers, self._scope = objects, mirror, git, workers, scope

    async def told(
        self, session: SyncSession, request: RunRequest, conflicts: Sequence[ConflictEntry], *, asks: bool = True
    ) -> list[ConflictEntry]:
        """The conflicts with their authors, as far as they are shown. What is known of them is not asked for again.

        That somebody is not to be found is no reason for a run to fail. `asks`: False tells only what is known.
        """
        shown = sorted(conflicts, key=ConflictEntry.order)[:SHOWN]
        known = session.authors
        for entry in shown:
            if entry.torn and not _is_known(session, entry.torn) and (carried := _carried(session, entry)):
                known[entry.torn.key] = entry.torn.mark, carried
        new = [entry.torn for entry in shown if entry.torn and not _is_known(session, entry.torn)]
        if new and asks:
            try:
                ours = {torn.key: await self.ours(session, request, torn) for torn in new}
                theirs = await self._theirs(session, request, new)
            except GitIntegrationError as error:
                if not error.is_passing:
                    known |= {torn.key: (torn.mark, Authors({}, {})) for torn in new}
            else:
                known |= {torn.key: (torn.mark, Authors(ours[torn.key], theirs[torn.key])) for torn in new}
        there = {entry.torn.key for entry in shown if entry.torn} | session.table.open.keys()
        session.authors = {key: kept for key, kept in known.items() if key in there}
        if asks:
            session.told = ()
        return [
            replace(entry, authors=session.authors[entry.torn.key][1])
            if entry.torn and _is_known(session, entry.torn)
            else entry
            for entry in conflicts
        ]

    async def ours(self, session: SyncSession, request: RunRequest, torn: Torn) -> Told:
        """Who made the cluster's change."""
        kind = request.kinds.get((torn.key.group, torn.key.kind))
        if kind is None or torn.conflict.reason is ConflictReason.DeletedInCluster:
            return {}
        return (await self.live_edits(session, request, torn.key)).of(torn.conflict.paths)

    async def _theirs(self, session: SyncSession, request: RunRequest, torn: Sequence[Torn]) -> dict[ObjectKey, Told]:
        found: dict[ObjectKey, Told] = {each.key: {} for each in torn}
        commit, marks = session.index.commit, session.records.marks
        if commit is None:
            return found
        asked = [
            Asked(each.key, each.path, _fields(each), marks[each.key].blob if each.key in marks else "")
            for each in torn
        ]
        for each, one in zip(asked, await self.trace(session, request, commit, asked), strict=True):
            found[each.key] = git_edit(_last(one))
        return found

    async def trace(
        self,
        session: SyncSession,
        request: RunRequest,
        commit: str,
        asked: Sequence[Asked],
        versions: int = _VERSIONS,
        depth: int = _DEPTH,
    ) -> list[Traced]:
        """Where values come from: by the commits that the cache has, and where these end too soon, by `depth` of them.

        `versions` of each file are looked at.
        """
        found = await self._traced(session.directory, request, commit, asked, versions)
        far = [number for number, one in enumerate(found) if one.ended and not all(one.origins)]
        if far:
            scratch = session.directory.with_name(f"op-{session.directory.name}")
            try:
                await self._git.fetch(request.remote, scratch, commit, None, depth)
                more = await self._traced(scratch, request, commit, [asked[number] for number in far], versions)
            except LimitExceeded:  # so much is not fetched for that: it stays untold
                return found
            finally:
                await asyncio.to_thread(objects.wipe, scratch)
                self._git.disk.forget(scratch)
            for number, one in zip(far, more, strict=True):
                found[number] = one
        return found

    async def _traced(
        self, directory: Path, request: RunRequest, commit: str, asked: Sequence[Asked], versions: int
    ) -> list[Traced]:
        """By the commits that a cache has. Versions of files that it lacks are fetched."""
        scope = self._scope(request)

        async def walk() -> list[Traced]:
            found: list[Traced] = []
            while len(found) < len(asked):
                left = asked[len(found) :]
                found += await self._workers.run(_SECONDS, origins, directory, commit, left, scope, versions)
            return found

        found = await walk()
        if absent := list(dict.fromkeys(blob for one in found for blob in one.absent)):
            await self._mirror.ensure(directory, request.remote, absent)
            found = await walk()
        return found

    async def live_edits(self, session: SyncSession, request: RunRequest, key: ObjectKey) -> LiveEdits:
        """Who edited an object in the cluster."""
        kind = request.kinds[key.group, key.kind]
        managed, last = await self._objects.managers(kind, request.namespace, key.name)
        return LiveEdits(managed, editors(session.edits.get(key, ()), last, kind.user) if kind.stamped else ())


@dataclass(frozen=True, slots=True)
class LiveEdits:
    """Who edited an object since git had it, as far as that is known."""

    managed: Sequence[Mapping[str, Any]] = ()
    """Which field manager holds which fields, and when each wrote last."""
    editors: tuple[str, ...] = ()
    """People in the order of their edits, where these are stamped."""

    def of(self, paths: Collection[FieldPath]) -> Told:
        """Of fields that were edited: the person, where only one edited at all; else the field manager, and those whom it may be.

        Nothing says whose single fields are: a stamp is of the object, and people share field managers.
        """
        entry = last_writer(self.managed, paths, FIELD_MANAGER)
        if len(self.editors) == 1 and self.editors[0] != UNSEEN:
            return _edit(self.editors[0], entry)
        people = list(filter(None, map(shown_name, self.editors)))
        return {**_edit(str((entry or {}).get("manager") or ""), entry), **({"editors": people} if people else {})}

    def last(self) -> Told:
        """Of the object: who edited it last, also before git had that."""
        entry = last_writer(self.managed, _EDITED, FIELD_MANAGER) or last_writer(self.managed, [()], FIELD_MANAGER)
        person = self.editors[-1] if self.editors else UNSEEN
        return _edit(person or str((entry or {}).get("manager") or ""), entry)


_EDITED = (("spec",), ("metadata", "labels"), ("metadata", "annotations"))
"""What is looked for first: whoever writes a finalizer edits nothing."""


def _edit(name: str, entry: Mapping[str, Any] | None) -> Told:
    """Whose it is, and when that field manager wrote last."""
    told = {"by": shown_name(name)}
    with contextlib.suppress(ValueError):
        told["at"] = timestamp(parse_timestamp(str((entry or {}).get("time"))))
    return told if told["by"] else {}


def git_edit(origin: Origin | None) -> Told:
    """What a commit tells of its author."""
    if origin is None:
        return {}
    told = {"by": origin.author, "at": timestamp(datetime.fromtimestamp(origin.time, UTC)), "commit": origin.sha}
    return {name: text for name, text in told.items() if text}


def _fields(torn: Torn) -> tuple[Any, ...]:
    """What git's change is of: the item as a whole, where it is gone."""
    return ((),) if torn.conflict.reason is ConflictReason.DeletedInGit else torn.conflict.paths


def _last(traced: Traced) -> Origin | None:
    return max((origin for origin in traced.origins if origin), key=lambda o: o.time, default=None)


def _is_known(session: SyncSession, torn: Torn) -> bool:
    return session.authors.get(torn.key, ("", None))[0] == torn.mark


def _carried(session: SyncSession, entry: ConflictEntry) -> Authors | None:
    """The authors of the same conflict, as an earlier process told them of the branch as it still is."""
    if session.index.commit is None or session.index.commit != session.last_seen:
        return None
    told = plain_values(entry.to_status())
    before = next((b for b in session.told if {n: b.get(n) for n in _SAME} == {n: told.get(n) for n in _SAME}), {})
    found = Authors(before.get("ours") or {}, before.get("theirs") or {})
    return found if told.get("values") and found.to_status() else None


_SAME = ("kind", "name", "path", "reason", "fields", "values")
