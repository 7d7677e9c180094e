"""The git side of a sync: look at the refs, fetch what is new, and bring the index to the branch's head."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.core.evidence import STANDS_FOR, Course, doubted
from gitintegration.core.layout import IGNORE_FILE, SUFFIXES, Layout
from gitintegration.core.values import ObjectKey
from gitintegration.errors import Reason, RemoteError, SpecError
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import CacheCorruptError, Entry
from gitintegration.git.remote import Remote
from gitintegration.git.wire import Refs
from gitintegration.git.workers import Workers
from gitintegration.sync import files, history
from gitintegration.sync.files import ScannedFile, Scope
from gitintegration.sync.workspace import GitIndex, Workspace

_HEADS = "refs/heads/"
_BATCH = 500
"""Files parsed in one call of a worker, at most."""
_SECONDS = 60.0
"""Of one such call, which has its turn for about one second and then gives back what is left."""


@dataclass(frozen=True, slots=True)
class Head:
    """The branch as it is now; `commit` is None where the repository is empty."""

    branch: str
    commit: str | None
    latency_ms: int
    review_branch: str | None = None
    review: str | None = None
    """Commit of the review branch, where one is asked for and there."""
    named: bool = False
    """Somebody asked for just this commit: that the branch was seen elsewhere says nothing against it."""

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def review_ref(self) -> str:
        return f"refs/heads/{self.review_branch}"


async def look(git: GitClient, remote: Remote, branch: str | None, review: str | None = None) -> Head:
    """One round trip. Raises RemoteError, with BranchNotFound where the repository has others but not this branch."""
    started = time.monotonic()
    asked = [f"{_HEADS}{branch or ''}", *([f"{_HEADS}{review}"] if review else [])]
    refs = await git.ls_refs(remote, asked)
    latency = int((time.monotonic() - started) * 1000)
    name = branch or (refs.head or f"{_HEADS}main").removeprefix(_HEADS)
    if review is not None:
        check_names(review, [name])
    commit = refs.refs.get(f"{_HEADS}{name}")
    if commit is None:
        there = refs if branch is None else await git.ls_refs(remote, [_HEADS])
        _check_empty(name, there, wanted=branch)
    return Head(name, commit, latency, review, refs.refs.get(f"refs/heads/{review}") if review else None)


def check_names(branch: str, others: Iterable[str]) -> None:
    """Raises SpecError where git can't hold `branch` beside one of `others`: it takes the one for a folder of the other."""
    for other in others:
        if branch.startswith(f"{other}/") or other.startswith(f"{branch}/"):
            words = f"spec.sync.push.branch {branch!r} can't be made beside branch {other!r}: name one that is no folder of the other"
            raise SpecError(Reason.InvalidSpec, words)


def _check_empty(name: str, refs: Refs, wanted: str | None) -> None:
    """Raises RemoteError where a branch is missing in a repository that has others: only an empty one is begun by us."""
    others = sorted(ref.removeprefix(_HEADS) for ref in (*refs.refs, *refs.others) if ref.startswith(_HEADS))
    if not others:
        return
    known = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if len(others) > 10 else "")
    what = (
        f"branch {wanted!r} is not in the repository" if wanted else f"HEAD names branch {name!r}, which is not there"
    )
    what = what if wanted or refs.head else "HEAD names a branch that is not in the repository"
    words = f"{what}, which has {known[:1000]}: create it, or change spec.defaultBranch"
    raise RemoteError(Reason.BranchNotFound, words, retry=True)


class Observer:
    """Keeps the index of a workspace at the branch's head."""

    def __init__(self, git: GitClient, workers: Workers, now: Callable[[], float] = time.monotonic) -> None:
        self._git, self._now = git, now
        self._workers = workers

    async def bring_to(
        self, ws: Workspace, remote: Remote, spec: GitIntegrationSpec, head: Head, scope: Scope, scope_text: str
    ) -> Layout:
        """Fetch and index `head`; the keys that may have changed are due by it."""
        try:
            return await self._bring_to(ws, remote, spec, head, scope, scope_text)
        except CacheCorruptError:
            await self._workers.run(remote.timeout, objects.wipe, ws.directory)
            ws.reset_git()
            return await self._bring_to(ws, remote, spec, head, scope, scope_text)

    async def _bring_to(
        self, ws: Workspace, remote: Remote, spec: GitIntegrationSpec, head: Head, scope: Scope, scope_text: str
    ) -> Layout:
        layout = self._layout(ws, spec)
        if ws.scope == scope_text and ws.index.commit == head.commit:
            return layout
        if head.commit is None:
            if known := ws.index.commit or ws.last_seen:
                self._doubt(ws, Course.behind, known, None)
            ws.table.suspect(ws.index.items.keys() | ws.records.marks.keys())
            ws.index, ws.scope = GitIndex(), scope_text
            return layout
        old = ws.index.commit if ws.index.commit else None
        if old != head.commit:
            await self._fetch(ws, remote, head.commit, old)
            await self._check_history(ws, remote, old, head)
        whole = old is None or ws.scope != scope_text
        before = ws.index
        seconds = max(remote.timeout, 60.0)
        folder = layout.prefix
        if whole:
            found = await self._workers.run(
                seconds, objects.listing, ws.directory, head.commit, folder, SUFFIXES, IGNORE_FILE
            )
            gone: tuple[str, ...] = ()
        else:
            assert old
            found, gone = await self._workers.run(
                seconds, objects.changes, ws.directory, old, head.commit, folder, SUFFIXES, IGNORE_FILE
            )
        if await self._ignore_changed(ws, remote, found.files, gone, folder, whole=whole):
            layout = self._layout(ws, spec)
            found = await self._workers.run(
                seconds, objects.listing, ws.directory, head.commit, folder, SUFFIXES, IGNORE_FILE
            )
            gone, whole = (), True
        moved = [*(e.path for e in found.files), *(path for path, _ in found.refused), *gone]
        touched = history.ids_in(before, moved)
        frozen = before.unreadable(moved)
        if whole:
            ws.index = GitIndex()
        for path in gone:
            ws.table.suspect(ws.index.remove(path))
        ws.index.obstacle = found.obstacle
        kept = await self.unignored(layout, [*(e.path for e in found.files), *(path for path, _ in found.refused)])
        entries = [e for e in found.files if e.path in kept and layout.could_hold(e.path)]
        seen = set[ObjectKey]()
        async for scanned in self.read(ws.directory, remote, entries, scope):
            seen |= ws.index.put(scanned)
        for path, words in found.refused:
            seen |= ws.index.remove(path)
            if path in kept:
                ws.index.refused[path] = words
        ws.table.suspect(seen if not whole else self._unlike_memory(ws))
        if frozen and not whole:
            ws.table.suspect(key for key, mark in ws.records.marks.items() if mark.path in frozen)
        ws.index.commit, ws.scope = head.commit, scope_text
        if old != head.commit:
            await self._keep_history(ws, spec, layout, old, touched, None if whole else moved)
        return layout

    async def _keep_history(
        self,
        ws: Workspace,
        spec: GitIntegrationSpec,
        layout: Layout,
        old: str | None,
        touched: history.Touched,
        moved: list[str] | None,
    ) -> None:
        """`moved`: the paths that differ from `old`, where that was found out."""
        assert ws.index.commit
        limit, since = spec.history_limit, None if ws.rewritten else old or ws.last_seen
        new = await self._workers.run(
            60.0, objects.commits, ws.directory, ws.index.commit, since, layout.prefix, limit, moved
        )
        after = history.ids_in(ws.index, {path for commit in new for path in commit.paths})
        told = [history.shown(commit, touched, after) for commit in new]
        there = {commit.sha for commit in new}
        kept = [c for c in ws.history or () if c["sha"] not in there] if since else []
        ws.history = [*told, *kept][:limit]

    @staticmethod
    def _unlike_memory(ws: Workspace) -> set[ObjectKey]:
        """Of a whole reading, only what is not as remembered needs a plan."""
        marks, items = ws.records.marks, ws.index.items
        found = ws.table.open.keys() | (marks.keys() - items.keys())
        for key, item in items.items():
            mark = marks.get(key)
            if mark is None or (mark.path, mark.blob) != (item.path, item.blob):
                found.add(key)
        return found

    @staticmethod
    def _layout(ws: Workspace, spec: GitIntegrationSpec) -> Layout:
        return Layout.of(spec.path_prefix, spec.new_file_path, spec.ignore or "", ws.ignore_text, len(spec.resources))

    async def _fetch(self, ws: Workspace, remote: Remote, commit: str, old: str | None) -> None:
        if old is not None and objects.pack_count(ws.directory) >= objects.MAX_PACKS:
            await self._workers.run(remote.timeout, objects.wipe, ws.directory)
            ws.reset_git()
            old = None
        await self._git.fetch(remote, ws.directory, commit, old, history.LOOK_BACK)

    async def _check_history(self, ws: Workspace, remote: Remote, old: str | None, head: Head) -> None:
        """Raises RemoteError where the branch went back behind what was seen of it, and that is not believed yet."""
        new = head.commit
        assert new
        if old is None and ws.last_seen not in (None, new):
            old = ws.last_seen
            assert old
            if await self._course(ws, remote, old, new) is Course.unknown:
                await self._git.fetch_commits(remote, ws.directory, new, old)
        if old is None:
            return
        course = await self._course(ws, remote, old, new)
        if course is Course.unknown and not head.named:
            with contextlib.suppress(RemoteError):  # one that lags does not have it
                await self._git.fetch_commits(remote, ws.directory, old, new)
            course = await self._course(ws, remote, old, new)
        if not head.named:
            self._doubt(ws, course, old, new)
        if course is Course.onward:
            ws.rewritten = None
        else:
            ws.rewritten = (
                f"the branch was rewritten: {new[:12]} does not follow {old[:12]}; synced on from what was remembered"
            )

    async def _course(self, ws: Workspace, remote: Remote, old: str, new: str) -> Course:
        return await self._workers.run(remote.timeout, objects.course, ws.directory, old, new)

    def _doubt(self, ws: Workspace, course: Course, known: str, found: str | None) -> None:
        ws.behind = doubted(course, found, ws.behind, self._now())
        if ws.behind is not None:
            where = f"is at {found[:12]}" if found else "is not there"
            words = f"the branch {where}, behind {known[:12]}, which was seen on it: a replica of the server may lag; "
            words += f"nothing is written until it follows, or has stood so for {STANDS_FOR:g} s"
            raise RemoteError(Reason.RemoteBehind, words, retry=True)

    async def _ignore_changed(
        self,
        ws: Workspace,
        remote: Remote,
        found: tuple[Entry, ...],
        gone: tuple[str, ...],
        folder: str,
        *,
        whole: bool,
    ) -> bool:
        """Reads the ignore file where it changed; True where the patterns are others now."""
        path = f"{folder}{IGNORE_FILE}"
        entry = next((e for e in found if e.path == path), None)
        if entry is None and not (path in gone or (whole and ws.ignore_blob)):
            return False
        blob = entry.sha if entry else None
        if blob == ws.ignore_blob:
            return False
        text = ""
        if blob:
            await self.ensure(ws.directory, remote, [blob])
            text = await self._workers.run(remote.timeout, files.read_text, ws.directory, blob)
        before, ws.ignore_blob, ws.ignore_text = ws.ignore_text, blob, text
        return text != before

    async def unignored(self, layout: Layout, paths: Collection[str]) -> frozenset[str]:
        """Those of `paths` that no pattern takes out; where there are patterns, a worker matches them."""
        if not layout.patterns or not paths:
            return frozenset(paths)
        return await self._workers.run(60.0, layout.unignored, paths)

    async def ensure(self, directory: Path, remote: Remote, shas: list[str]) -> None:
        """Have these blobs in the cache."""
        if absent := await self._workers.run(max(remote.timeout, 60.0), objects.missing, directory, shas):
            await self._git.fetch_blobs(remote, directory, absent)

    async def read(
        self, directory: Path, remote: Remote, entries: Sequence[Entry], scope: Scope
    ) -> AsyncIterator[ScannedFile]:
        """What these files hold, in the order that they are asked for in. Those that the cache lacks are fetched."""
        if entries:
            await self.ensure(directory, remote, [entry.sha for entry in entries])
        done = 0
        while done < len(entries):
            batch = entries[done : done + _BATCH]
            for scanned in await self._workers.run(_SECONDS, files.scan, directory, batch, scope):
                done += 1
                yield scanned


def cache_directory(root: Path, uid: str) -> Path:
    return root / f"gi-{uid}"
