"""History on demand: the commits of a branch that touched a path, and the pipelines in them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from gitintegration import messages
from gitintegration.api.operation import HistoryOperation
from gitintegration.core.bounds import told_history
from gitintegration.core.layout import SUFFIXES, Layout
from gitintegration.errors import OperationError, Reason, RemoteError
from gitintegration.git import log as git_log
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import CommitInfo
from gitintegration.git.workers import Workers
from gitintegration.operations.blame import Blame
from gitintegration.operations.result import OperationContext, OperationResult
from gitintegration.operations.show import Show
from gitintegration.reconcile.branches import SECONDS
from gitintegration.reconcile.item import RunRequest
from gitintegration.reconcile.reconciler import Reconciler
from gitintegration.session import history
from gitintegration.session.session import SyncSession

_ATTEMPTS = 6
_INDEX_SECONDS = 120.0
"""A repository of 10,000 files and 5,000 commits was measured at 2 s."""


class History:
    def __init__(self, reconciler: Reconciler, git: GitClient, workers: Workers) -> None:
        self._branches, self._mirror, self._git, self._workers = reconciler.branches, reconciler.mirror, git, workers
        self._show, self._blame = Show(self._branches, self._mirror, git, workers), Blame(reconciler, workers)

    async def run(
        self,
        session: SyncSession,
        request: RunRequest,
        order: OperationContext,
        scratch: Path,
        wanted: HistoryOperation,
    ) -> OperationResult:
        """The commits of a branch that touched a path, or one of them. `scratch` is a folder of its own, and gone afterwards."""
        if wanted.blame:
            return await self._blame.run(session, request, order, wanted.blame, wanted.limit)
        named = wanted.branch or request.spec.default_branch
        refs = await self._git.ls_refs(request.remote, [f"refs/heads/{named}"] if named else ["refs/heads/"])
        branch = named or (refs.head or "refs/heads/main").removeprefix("refs/heads/")
        tip = refs.refs.get(f"refs/heads/{branch}")
        if tip is None:
            words = messages.OPERATION_NO_BRANCH(branch=branch, url=request.remote.url)
            raise OperationError(Reason.BranchNotFound, words)
        if wanted.revision:
            try:
                return await self._show.run(session, request, order, scratch, branch, tip, wanted.revision)
            finally:
                await asyncio.to_thread(objects.wipe, scratch)
        spec = request.spec
        layout = Layout.of(spec.path_prefix, spec.new_file_path, "", "", len(spec.resources))
        path = layout.prefix if wanted.path is None else wanted.path.lstrip("/")
        try:
            found = await self._log(session, request, scratch, tip, path, layout.prefix, wanted.limit)
            ids = await self._ids(request, scratch, found.commits)
        finally:
            await asyncio.to_thread(objects.wipe, scratch)
        told = [
            history.entry(
                CommitInfo(c.sha, c.subject, c.author, c.time, tuple({e.path: None for e in (*c.after, *c.before)})),
                {e.path: ids.get((e.path, e.sha), ()) for e in c.before},
                {e.path: ids.get((e.path, e.sha), ()) for e in c.after},
            )
            for c in found.commits
        ]
        return OperationResult(
            f"{len(told)} commits of {branch}", {"branch": branch, "commit": tip, "history": told_history(told)}
        )

    async def _log(
        self, session: SyncSession, request: RunRequest, scratch: Path, tip: str, path: str, prefix: str, limit: int
    ) -> git_log.Log:
        """From few commits where they show enough, else from all: by an index that is kept where it serves again."""
        kept = path.startswith(prefix)
        index = (session.directory if kept else scratch) / "history.sqlite"
        have = await self._workers.run(SECONDS, git_log.known, index, tip)
        if have is None:
            await self._git.fetch(request.remote, scratch, tip, None, limit + 1)
            found = await self._workers.run(SECONDS, git_log.log_shallow, scratch, tip, path, SUFFIXES, limit)
            if found.whole or len(found.commits) >= limit:
                return found
        if have != tip:
            folder = prefix if kept else path[: path.rfind("/") + 1]
            await self._git.fetch_log(request.remote, scratch, tip, have)
            for _ in range(_ATTEMPTS):
                absent = await self._workers.run(_INDEX_SECONDS, git_log.extend, index, scratch, tip, folder)
                if not absent:
                    break
                await self._git.fetch_trees(request.remote, scratch, absent)
            else:
                raise RemoteError(Reason.NetworkUnreachable, "the server leaves out trees of its history", retry=True)
        return await self._workers.run(SECONDS, git_log.log, index, tip, path, SUFFIXES, limit)

    async def _ids(
        self, request: RunRequest, scratch: Path, commits: Iterable[git_log.LoggedCommit]
    ) -> dict[tuple[str, str], list[str]]:
        """The pipelines in each version of a file."""
        entries = list(dict.fromkeys(e for commit in commits for e in (*commit.after, *commit.before)))
        read = self._mirror.read(scratch, request.remote, entries, self._branches.scope(request))
        return {(each.path, each.blob): [history.pipeline_id(item) for item in each.items] async for each in read}
