"""The git side of a sync: look at the refs, fetch what is new, and bring the index to the branch's head."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path

import orjson

from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.commits import files
from gitintegration.commits.files import GitItem, ScannedFile, Scope
from gitintegration.core.layout import IGNORE_FILE, SUFFIXES, Layout, words_elsewhere
from gitintegration.core.state.evidence import STANDS_FOR, Course, doubted
from gitintegration.core.values import ObjectKey
from gitintegration.errors import GitIntegrationError, Reason, RemoteError
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import CacheCorruptError, TreeFile
from gitintegration.git.remote import Remote
from gitintegration.git.workers import Workers
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.session import history
from gitintegration.session.git_index import GitIndex
from gitintegration.session.live_objects import Kind
from gitintegration.session.session import SyncSession

_BATCH = 500
"""Files parsed in one call of a worker, at most."""
_SECONDS = 60.0
"""Of one such call, which has its turn for about one second and then gives back what is left."""

_LOOKED_AT = 200
"""Files beside the prefix that are looked at for manifests, where none lies below it."""


class GitMirror:
    """Keeps the index of a workspace at the branch's head."""

    def __init__(self, git: GitClient, workers: Workers, now: Callable[[], float] = time.monotonic) -> None:
        self._git, self._now = git, now
        self._workers = workers

    async def advance_to(
        self,
        session: SyncSession,
        remote: Remote,
        spec: GitIntegrationSpec,
        head: RemoteHeads,
        scope: Scope,
        scope_text: str,
    ) -> Layout:
        """Fetch and index `head`; the keys that may have changed are due by it."""
        try:
            return await self._bring_to(session, remote, spec, head, scope, scope_text)
        except CacheCorruptError:
            await self._workers.run(remote.timeout, objects.wipe, session.directory)
            session.reset_git()
            return await self._bring_to(session, remote, spec, head, scope, scope_text)

    async def _bring_to(
        self,
        session: SyncSession,
        remote: Remote,
        spec: GitIntegrationSpec,
        head: RemoteHeads,
        scope: Scope,
        scope_text: str,
    ) -> Layout:
        layout = self._layout(session, spec)
        if session.scope == scope_text and session.index.commit == head.commit:
            return layout
        if head.commit is None:
            if known := session.index.commit or session.records.revision.commit or session.last_seen:
                self._doubt(session, Course.behind, known, None)
                session.last_seen = known
                session.records.follow(None, back=True)
            session.table.suspect(session.index.items.keys() | session.records.marks.keys())
            session.index, session.scope = GitIndex(), scope_text
            return layout
        old = session.index.commit if session.index.commit else None
        if old != head.commit and not head.made:
            await self._fetch(session, remote, head.commit, old)
            await self._check_history(session, remote, old, head)
        whole = old is None or session.scope != scope_text
        found, gone = await self._compare(session, remote, layout, None if whole else old, head.commit)
        if await self._ignore_changed(session, remote, found.files, gone, layout.prefix, whole=whole):
            layout, whole = self._layout(session, spec), True
            found, gone = await self._compare(session, remote, layout, None, head.commit)
        moved = [*(e.path for e in found.files), *(path for path, _ in found.refused), *gone]
        touched = history.ids_in(session.index, moved)
        if whole:
            session.index = GitIndex()
            await self._take_in(session, remote, layout, scope, found, gone)
            session.table.suspect(self._unlike_memory(session))
        else:
            frozen = session.index.unreadable(moved)
            session.table.suspect(await self._take_in(session, remote, layout, scope, found, gone))
            session.table.suspect(key for key, mark in session.records.marks.items() if frozen and mark.path in frozen)
        session.index.commit, session.scope = head.commit, scope_text
        session.records.follow(head.commit, back=session.rewritten is not None)
        if old != head.commit and not head.made:
            session.table.suspect(session.records.in_doubt)
            await self._keep_history(session, spec, layout, old, touched, None if whole else moved)
        return layout

    async def _compare(
        self, session: SyncSession, remote: Remote, layout: Layout, old: str | None, new: str
    ) -> tuple[objects.Listing, tuple[str, ...]]:
        """The files of commit `new` that are not so in `old`, and the paths that are gone; of no commit, all files."""
        at = (layout.prefix, SUFFIXES, IGNORE_FILE)
        seconds = max(remote.timeout, 60.0)
        if old is None:
            return await self._workers.run(seconds, objects.listing, session.directory, new, *at), ()
        return await self._workers.run(seconds, objects.changes, session.directory, old, new, *at)

    async def _take_in(
        self,
        session: SyncSession,
        remote: Remote,
        layout: Layout,
        scope: Scope,
        found: objects.Listing,
        gone: Sequence[str],
    ) -> set[ObjectKey]:
        """Have the index hold these files, and not what is gone; the items that they have to do with."""
        for path in gone:  # looked at again though the files can't be read: nobody would know of it the next time
            session.table.suspect(session.index.remove(path))
        session.index.obstacle = found.obstacle
        kept = await self.unignored(layout, [*(e.path for e in found.files), *(path for path, _ in found.refused)])
        entries = [e for e in found.files if e.path in kept and layout.could_hold(e.path)]
        seen = set[ObjectKey]()
        async for scanned in self.read(session.directory, remote, entries, scope):
            seen |= session.index.put(scanned)
        for path, words in found.refused:
            seen |= session.index.remove(path)
            if path in kept:
                session.index.refused[path] = words
        return seen

    async def _keep_history(
        self,
        session: SyncSession,
        spec: GitIntegrationSpec,
        layout: Layout,
        old: str | None,
        touched: history.Touched,
        moved: list[str] | None,
    ) -> None:
        """`moved`: the paths that differ from `old`, where that was found out."""
        assert session.index.commit
        limit, since = spec.history_limit, None if session.rewritten else old or session.last_seen
        new = await self._workers.run(
            60.0, objects.commits, session.directory, session.index.commit, since, layout.prefix, limit, moved
        )
        after = history.ids_in(session.index, {path for commit in new for path in commit.paths})
        told = [history.shown(commit, touched, after) for commit in new]
        there = {commit.sha for commit in new}
        kept = [c for c in session.history or () if c["sha"] not in there] if since else []
        session.history = [*told, *kept][:limit]

    @staticmethod
    def _unlike_memory(session: SyncSession) -> set[ObjectKey]:
        """Of a whole reading, only what is not as remembered needs a plan."""
        marks, items = session.records.marks, session.index.items
        found = session.table.open.keys() | (marks.keys() - items.keys())
        for key, item in items.items():
            mark = marks.get(key)
            if mark is None or (mark.path, mark.blob) != (item.path, item.blob):
                found.add(key)
        return found

    @staticmethod
    def _layout(session: SyncSession, spec: GitIntegrationSpec) -> Layout:
        return Layout.of(
            spec.path_prefix, spec.new_file_path, spec.ignore or "", session.ignore_text, len(spec.resources)
        )

    async def _fetch(self, session: SyncSession, remote: Remote, commit: str, old: str | None) -> None:
        if old is not None and objects.pack_count(session.directory) >= objects.MAX_PACKS:
            await self._workers.run(remote.timeout, objects.wipe, session.directory)
            session.reset_git()
            old = None
        await self._git.fetch(remote, session.directory, commit, old, history.LOOK_BACK)

    async def _check_history(self, session: SyncSession, remote: Remote, old: str | None, head: RemoteHeads) -> None:
        """Raises RemoteError where the branch went back behind what was seen of it, and that is not believed yet."""
        new = head.commit
        assert new
        seen = [old] if old else [session.records.revision.commit, session.last_seen]
        courses = {
            known: await self._course_from(session, remote, known, head, far=old is None)
            for known in filter(None, seen)
            if known != new
        }
        if not head.named:
            back = next((known for known, course in courses.items() if course is Course.behind), None)
            self._doubt(session, Course.behind if back else Course.onward, back or "", new)
        for known, course in courses.items():
            if course is not Course.onward:
                session.rewritten = f"the branch was rewritten: {new[:12]} does not follow {known[:12]}; synced on from what was remembered"
                return
        if courses:
            session.rewritten = None

    async def _course_from(
        self, session: SyncSession, remote: Remote, old: str, head: RemoteHeads, *, far: bool
    ) -> Course:
        """Where the branch went from a commit that was seen on it. `far`: the cache may lack what lies between."""
        new = head.commit
        assert new
        course = await self._course(session, remote, old, new)
        if course is Course.unknown and far:
            await self._git.fetch_commits(remote, session.directory, new, old)
            course = await self._course(session, remote, old, new)
        if course is Course.unknown and not head.named:
            with contextlib.suppress(RemoteError):  # one that lags does not have it
                await self._git.fetch_commits(remote, session.directory, old, new)
            course = await self._course(session, remote, old, new)
        return course

    async def _course(self, session: SyncSession, remote: Remote, old: str, new: str) -> Course:
        return await self._workers.run(remote.timeout, objects.course, session.directory, old, new)

    def _doubt(self, session: SyncSession, course: Course, known: str, found: str | None) -> None:
        session.behind = doubted(course, found, session.behind, self._now())
        if session.behind is not None:
            where = f"is at {found[:12]}" if found else "is not there"
            words = f"the branch {where}, behind {known[:12]}, which was seen on it: a replica of the server may lag; "
            words += f"nothing is written until it follows, or has stood so for {STANDS_FOR:g} s"
            raise RemoteError(Reason.RemoteBehind, words, retry=True)

    async def _ignore_changed(
        self,
        session: SyncSession,
        remote: Remote,
        found: tuple[TreeFile, ...],
        gone: tuple[str, ...],
        folder: str,
        *,
        whole: bool,
    ) -> bool:
        """Reads the ignore file where it changed; True where the patterns are others now."""
        path = f"{folder}{IGNORE_FILE}"
        entry = next((e for e in found if e.path == path), None)
        if entry is None and not (path in gone or (whole and session.ignore_blob)):
            return False
        blob = entry.sha if entry else None
        if blob == session.ignore_blob:
            return False
        text = ""
        if blob:
            if await self.ensure(session.directory, remote, [blob]):
                raise files.too_long()
            text = await self._workers.run(remote.timeout, files.read_text, session.directory, blob)
        before, session.ignore_blob, session.ignore_text = session.ignore_text, blob, text
        return text != before

    async def look_elsewhere(
        self, session: SyncSession, remote: Remote, kinds: Mapping[tuple[str, str], Kind], folder: str, scope: Scope
    ) -> None:
        """Where no manifest lies below the prefix, note where some do: it may be another than was meant. Once for a commit."""
        commit = session.index.commit
        if commit is None or not folder or not session.index.empty:
            session.elsewhere, session.looked_elsewhere = "", None
            return
        if session.looked_elsewhere == (commit, session.scope):
            return
        paths: list[str] = []
        with contextlib.suppress(GitIntegrationError):  # it is a hint, and looked for again
            found = await self._workers.run(
                _SECONDS, objects.outside, session.directory, commit, folder, SUFFIXES, _LOOKED_AT
            )
            async for scanned in self.read(session.directory, remote, found, scope):
                paths += [scanned.path for item in scanned.items if _is_selected(kinds, item)]
            session.looked_elsewhere = commit, session.scope
        session.elsewhere = words_elsewhere(folder, paths) if paths else ""

    async def unignored(self, layout: Layout, paths: Collection[str]) -> frozenset[str]:
        """Those of `paths` that no pattern takes out; where there are patterns, a worker matches them."""
        if not layout.patterns or not paths:
            return frozenset(paths)
        return await self._workers.run(60.0, layout.unignored, paths)

    async def ensure(self, directory: Path, remote: Remote, shas: list[str]) -> frozenset[str]:
        """Have these blobs in the cache, but for those that are far too large, which it gives."""
        if absent := await self._workers.run(max(remote.timeout, 60.0), objects.missing, directory, shas):
            return await self._git.fetch_blobs(remote, directory, absent)
        return frozenset()

    async def read(
        self, directory: Path, remote: Remote, entries: Sequence[TreeFile], scope: Scope
    ) -> AsyncIterator[ScannedFile]:
        """What these files hold. Those that the cache lacks are fetched."""
        absent = await self.ensure(directory, remote, [entry.sha for entry in entries]) if entries else frozenset()
        there = []
        for entry in entries:
            if entry.sha in absent:
                yield files.too_large(entry, scope)
            else:
                there.append(entry)
        done = 0
        while done < len(there):
            batch = there[done : done + _BATCH]
            for scanned in await self._workers.run(_SECONDS, files.scan, directory, batch, scope):
                done += 1
                yield scanned


def _is_selected(kinds: Mapping[tuple[str, str], Kind], item: GitItem) -> bool:
    kind = kinds.get((item.key.group, item.key.kind))
    return kind is not None and kind.selects(orjson.loads(item.value))


def cache_directory(root: Path, uid: str) -> Path:
    return root / f"gi-{uid}"
