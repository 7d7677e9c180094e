"""A pull on demand: pipelines of a branch, or of an older commit, into the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from gitintegration import messages
from gitintegration.api.operation import PullOperation
from gitintegration.core.layout import Layout
from gitintegration.core.merge import Decision, Strategy, Write
from gitintegration.core.plan.plan import Plan
from gitintegration.core.plan.policy import Policy, Side
from gitintegration.core.state.item import Phase
from gitintegration.core.state.table import ItemTable
from gitintegration.core.status import ConflictEntry
from gitintegration.core.values import ObjectKey
from gitintegration.errors import ClusterUnavailable, GitIntegrationError, OperationError, Reason
from gitintegration.git import log as git_log
from gitintegration.git.client import GitClient
from gitintegration.git.workers import Workers
from gitintegration.messages import named
from gitintegration.operations.result import (
    OperationContext,
    OperationResult,
    PartialFailure,
    change,
    check_deletes,
    check_digest,
    check_expected,
    check_named,
    chosen,
    conflict_of,
    count_invalid,
    done_words,
    head_of,
    note_branch,
    partly,
    plan_words,
    problem_words,
    undone,
    unmoved,
)
from gitintegration.reconcile.branches import SECONDS
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest, RunStats
from gitintegration.reconcile.reconciler import Reconciler
from gitintegration.session.live_objects import by_kind
from gitintegration.session.session import SyncSession

_ATTEMPTS = 6


class Pull:
    def __init__(self, reconciler: Reconciler, git: GitClient, workers: Workers) -> None:
        self._reconciler, self._git, self._workers = reconciler, git, workers

    async def run(
        self, session: SyncSession, request: RunRequest, order: OperationContext, wanted: PullOperation
    ) -> OperationResult:
        """Bring pipelines of a branch into the cluster. What it is refused for single ones is told; the rest is done."""
        note_branch(order, session, request, wanted.branch)
        head, layout = await self._reconciler.observe(session, request)
        branch = order.found["branch"] = wanted.branch or head.branch
        source, at = session, head.commit
        if branch != head.branch or wanted.revision:
            at = head.commit if branch == head.branch else await head_of(self._git, request.remote, branch)
            if at is None:
                words = messages.OPERATION_NO_BRANCH(branch=branch, url=request.remote.url)
                raise OperationError(Reason.BranchNotFound, words)
        check_expected(wanted.expected_remote_commit, at, branch)
        asked = self._settled(session, request, wanted)
        if source_commit := wanted.revision or (at if branch != head.branch else None):
            commit = (
                await self._revision(session, request, branch, at, wanted.revision)
                if wanted.revision
                else source_commit
            )
            source, layout, at = (
                *await self._elsewhere(session, asked, RemoteHeads(branch, commit, 0, named=True)),
                commit,
            )
        keys, rest = chosen(source, request, wanted.pipelines), 0
        if wanted.pipelines is None or not wanted.pipelines:
            moved = {key for key, p in session.table.open.items() if p.remote or p.conflict} | source.table.suspects
            keys = [key for key in keys if key in moved]
            rest = unmoved(session, request, keys)
        begun = order.status.get("phase") == "Running" and bool(order.status.get("planDigest"))
        refused: list[Item] = []
        told: dict[str, Any] = {}
        for attempt in range(_ATTEMPTS):
            if wanted.revision:
                items = await self._restored(source, asked, layout, keys, wanted.revision)
            else:
                items = await self._reconciler.reader.read(source, asked, layout, keys)
            ready, left = self._pullable(asked, items)
            if attempt == 0:
                changes = [change(item, item.path, Side.cluster) for item in ready]
                unchanged = len(items) - len(ready) - len(left) + rest
                plan = Plan("pull", branch, changes, left, unchanged, count_invalid(source))
                if not begun:
                    order.found.update(undone(plan, head.commit or ""))
                told = {"branch": branch, "baseCommit": head.commit or "", "commit": at or "", **plan.to_status()}
                check_named(items, left, wanted.pipelines)
                if not begun:
                    check_digest(wanted.plan_digest, plan)
                if wanted.dry_run:
                    return OperationResult(plan_words("pull", plan, dry_run=True), told)
                if begun:  # told and begun by a process that ended meanwhile: what it did is done
                    kept = ("counts", "changes", "changesTruncated", "conflicts", "planDigest")
                    told |= {k: v for k, v in order.status.items() if k in kept}
                else:
                    check_deletes(session, asked, changes, wanted, side_is_empty=source.index.empty)
                    await order.record(told)
            try:
                await self._reconciler.applier.apply(source, asked, ready, RunStats())
            except ClusterUnavailable:
                raise  # it goes on where it is
            except GitIntegrationError as error:
                raise PartialFailure(
                    error, partly(told, [*refused, *(item for item in ready if not item.pulled)])
                ) from None
            if wanted.revision:
                session.restored |= {item.key: (item.version, at or "") for item in ready if item.pulled}
            if source is session:
                for item in items:
                    rests = session.table.open.get(item.key)
                    item.held = not item.carried and rests is not None and rests.phase is Phase.HELD
                    item.pulled = item.pulled or (item.decision.conflict is None and item.decision.cluster is None)
                await self._reconciler.checkpoint(session, request, items)
            again = {item.key for item in ready if item.raced}
            refused += [item for item in ready if item.problem and item.key not in again]
            if not again:
                break
            keys = sorted(again)
        if refused:
            said = problem_words([item.problem for item in refused if item.problem])
            count = sum(told["counts"][action] for action in ("created", "updated", "deleted")) - len(refused)
            words = said._replace(what=f"{max(0, count)} pulled, {len(refused)} refused: {said.what}")
            failed = partly(told, refused)
            raise PartialFailure(OperationError(Reason.InvalidManifests, words), failed)
        if not wanted.revision:
            return OperationResult(f"pulled from {branch}: {done_words(told)}", told)
        if not told["changes"]:
            return OperationResult(f"the same as at {(at or '')[:12]}", told)
        return OperationResult(f"restored from {(at or '')[:12]}: {done_words(told)}", told, "Restored")

    def _settled(self, session: SyncSession, request: RunRequest, wanted: PullOperation) -> RunRequest:
        """The request with the operation's strategy and resolutions."""
        takes: dict[ObjectKey, Strategy] = {}
        for resolution in wanted.resolutions or ():
            for key in chosen(session, request, [resolution.pipeline]):
                takes[key] = Strategy(resolution.take)
        return replace(request, policy=Policy.of_pull(request.spec, wanted, takes))

    @staticmethod
    def _pullable(request: RunRequest, items: Sequence[Item]) -> tuple[list[Item], list[ConflictEntry]]:
        left = [conflict_of(item) for item in items if item.decision.conflict]
        ready = [i for i in items if request.may.admits(i.decision, Side.cluster) and i.problem is None]
        return ready, left

    async def _elsewhere(
        self, session: SyncSession, request: RunRequest, head: RemoteHeads
    ) -> tuple[SyncSession, Layout]:
        """The workspace as it would be with another head. What was agreed is shared, and not changed by reading."""
        other = SyncSession(
            session.uid,
            session.directory,
            session.index.copy(),
            session.records,
            ItemTable(session.records.marks),
            logs=False,
        )
        other.scope, other.loaded = session.scope, True
        other.ignore_blob, other.ignore_text = session.ignore_blob, session.ignore_text
        layout = await self._reconciler.advance_to(other, request, head)
        return other, layout

    async def _revision(
        self, session: SyncSession, request: RunRequest, branch: str, tip: str | None, revision: str
    ) -> str:
        """The full name of a commit of the branch. Raises OperationError where it has no such commit."""
        assert tip is not None
        found = await self._workers.run(SECONDS, git_log.find_commit, session.directory, tip, revision)
        if not found:
            await self._git.fetch_history(request.remote, session.directory, [tip])
            found = await self._workers.run(SECONDS, git_log.find_commit, session.directory, tip, revision)
        if len(found) != 1:
            how = "names more than one commit of branch" if found else "is no commit of branch"
            raise OperationError(Reason.InvalidSpec, messages.NO_REVISION(revision=revision, how=how, branch=branch))
        await self._reconciler.branches.have_tree(session, request, found[0])
        return found[0]

    async def _restored(
        self, session: SyncSession, request: RunRequest, layout: Layout, keys: Sequence[ObjectKey], revision: str
    ) -> list[Item]:
        """The items as the commit held them, to be written over whatever the cluster holds."""
        items = []
        missing = [key.name for key in keys if key not in session.index.items]
        if missing:
            words = messages.NOT_AT_REVISION(
                revision=revision[:12], names=named(missing, 10), prefix=request.spec.path_prefix or "."
            )
            raise OperationError(Reason.UnknownPipeline, words)
        for kind_id, names in by_kind(keys, request.kinds).items():
            kind = request.kinds[kind_id]
            live = await self._reconciler.reader.live(
                request, kind, {k.name: session.index.items[k].api_version for k in names}
            )
            for key in names:
                item = Item(key, kind, None, session.index.items[key], live.get(key.name))
                item.manifest = orjson.loads(session.index.items[key].value)
                item.git_view = kind.view(item.manifest)
                if not await self._reconciler.reader.holds(request, item):
                    item.decision = Decision(cluster=Write(item.git_view), remote_ahead=True)
                items.append(item)
        return items
