"""The git side of a sync: look at the refs, fetch what is new, and bring the index to the branch's head."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.core.layout import IGNORE_FILE, SUFFIXES, Layout
from gitintegration.errors import Reason, RemoteError
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import CacheCorruptError, Entry
from gitintegration.git.remote import Remote
from gitintegration.git.workers import Workers
from gitintegration.sync import files, history
from gitintegration.sync.files import Scope
from gitintegration.sync.workspace import GitIndex, Workspace

_BATCH = 500
"""Files parsed in one call of a worker."""


@dataclass(frozen=True, slots=True)
class Head:
    """The branch as it is now; `commit` is None where the repository is empty."""

    branch: str
    commit: str | None
    latency_ms: int
    review_branch: str | None = None
    review: str | None = None
    """Commit of the review branch, where one is asked for and there."""

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def review_ref(self) -> str:
        return f"refs/heads/{self.review_branch}"


async def look(git: GitClient, remote: Remote, branch: str | None, review: str | None = None) -> Head:
    """One round trip. Raises RemoteError, with BranchNotFound where the repository has others but not this branch."""
    started = time.monotonic()
    asked = [f"refs/heads/{branch or ''}", *([f"refs/heads/{review}"] if review else [])]
    refs = await git.ls_refs(remote, asked)
    latency = int((time.monotonic() - started) * 1000)
    name = branch or (refs.head or "refs/heads/main").removeprefix("refs/heads/")
    commit = refs.refs.get(f"refs/heads/{name}")
    if commit is None and branch and "HEAD" in refs.refs and refs.head != f"refs/heads/{branch}":
        words = f"branch {name!r} is not in the repository: create it, or change spec.defaultBranch"
        raise RemoteError(Reason.BranchNotFound, words, retry=True)
    return Head(name, commit, latency, review, refs.refs.get(f"refs/heads/{review}") if review else None)


class Observer:
    """Keeps the index of a workspace at the branch's head."""

    def __init__(self, git: GitClient, workers: Workers) -> None:
        self._git = git
        self._workers = workers

    async def bring_to(
        self, ws: Workspace, remote: Remote, spec: GitIntegrationSpec, head: Head, scope: Scope, scope_text: str
    ) -> Layout:
        """Fetch and index `head`; the keys that may have changed are added to `ws.git_dirty`."""
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
            self._forget_all(ws)
            ws.scope = scope_text
            return layout
        old = ws.index.commit if ws.index.commit else None
        if old != head.commit:
            await self._fetch(ws, remote, head.commit, old)
            await self._check_history(ws, remote, old, head.commit)
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
            self._forget_all(ws)
        for path in gone:
            ws.git_dirty |= ws.index.remove(path)
        kept = await self.unignored(layout, [*(e.path for e in found.files), *(path for path, _ in found.refused)])
        await self._read(ws, remote, [e for e in found.files if e.path in kept and layout.could_hold(e.path)], scope)
        for path, words in found.refused:
            ws.git_dirty |= ws.index.remove(path)
            if path in kept:
                ws.index.refused[path] = words
        if whole:
            self._compare_with_memory(ws)
        elif frozen and ws.base:
            ws.git_dirty |= {key for key, mark in ws.base.marks.items() if mark.path in frozen}
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
    def _compare_with_memory(ws: Workspace) -> None:
        """Of a whole reading, only what is not as remembered needs a plan."""
        marks = ws.base.marks if ws.base else {}
        items = ws.index.items
        ws.git_dirty = set(ws.pending) | (marks.keys() - items.keys())
        for key, item in items.items():
            mark = marks.get(key)
            if mark is None or (mark.path, mark.blob) != (item.path, item.blob):
                ws.git_dirty.add(key)

    @staticmethod
    def _layout(ws: Workspace, spec: GitIntegrationSpec) -> Layout:
        return Layout.of(spec.path_prefix, spec.new_file_path, spec.ignore or "", ws.ignore_text, len(spec.resources))

    @staticmethod
    def _forget_all(ws: Workspace) -> None:
        """All that was or is in git may have changed."""
        ws.git_dirty |= ws.index.items.keys() | (ws.base.marks.keys() if ws.base else set())
        ws.index = GitIndex()

    async def _fetch(self, ws: Workspace, remote: Remote, commit: str, old: str | None) -> None:
        if old is not None and objects.pack_count(ws.directory) >= objects.MAX_PACKS:
            await self._workers.run(remote.timeout, objects.wipe, ws.directory)
            ws.reset_git()
            old = None
        await self._git.fetch(remote, ws.directory, commit, old, history.LOOK_BACK)

    async def _check_history(self, ws: Workspace, remote: Remote, old: str | None, new: str) -> None:
        if old is None and ws.last_seen not in (None, new):
            old = ws.last_seen
            assert old
            if not await self._workers.run(remote.timeout, objects.is_ancestor, ws.directory, old, new):
                await self._git.fetch_commits(remote, ws.directory, new, old)
        if old is None:
            return
        if await self._workers.run(remote.timeout, objects.is_ancestor, ws.directory, old, new):
            ws.rewritten = None
        else:
            ws.rewritten = (
                f"the branch was rewritten: {new[:12]} does not follow {old[:12]}; synced on from what was remembered"
            )

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
            await self.ensure(ws, remote, [blob])
            text = await self._workers.run(remote.timeout, files.read_text, ws.directory, blob)
        before, ws.ignore_blob, ws.ignore_text = ws.ignore_text, blob, text
        return text != before

    async def unignored(self, layout: Layout, paths: Collection[str]) -> frozenset[str]:
        """Those of `paths` that no pattern takes out; where there are patterns, a worker matches them."""
        if not layout.patterns or not paths:
            return frozenset(paths)
        return await self._workers.run(60.0, layout.unignored, paths)

    async def ensure(self, ws: Workspace, remote: Remote, shas: list[str]) -> None:
        """Have these blobs in the cache."""
        if absent := await self._workers.run(max(remote.timeout, 60.0), objects.missing, ws.directory, shas):
            await self._git.fetch_blobs(remote, ws.directory, absent)

    async def _read(self, ws: Workspace, remote: Remote, entries: list[Entry], scope: Scope) -> None:
        await self.ensure(ws, remote, [e.sha for e in entries])
        for start in range(0, len(entries), _BATCH):
            batch = entries[start : start + _BATCH]
            for scanned in await self._workers.run(60.0, files.scan, ws.directory, batch, scope):
                ws.git_dirty |= ws.index.put(scanned)


def cache_directory(root: Path, uid: str) -> Path:
    return root / f"gi-{uid}"
