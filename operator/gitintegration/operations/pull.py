"""A pull on demand: pipelines of a branch, or of an older commit, into the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class _Source:
    """What a pull reads git from."""

    session: SyncSession
    """The integration's own where it is the default branch as it is now."""
    layout: Layout
    branch: str
    commit: str | None

    @property
    def short(self) -> str:
        return (self.commit or "")[:12]


class Pull:
    def __init__(self, reconciler: Reconciler, git: GitClient, workers: Workers) -> None:
        self._reconciler, self._git, self._workers = reconciler, git, workers

    async def run(
        self, session: SyncSession, request: RunRequest, order: OperationContext, wanted: PullOperation
    ) -> OperationResult:
        """Bring pipelines of a branch into the cluster. What it is refused for single ones is told; the rest is done."""
        note_branch(order, session, request, wanted.branch)
        head, layout = await self._reconciler.observe(session, request)
        asked = self._settled(session, request, wanted)
        source = await self._source(session, asked, order, wanted, head, layout)
        keys, rest = chosen(source.session, request, wanted.pipelines), 0
        if not wanted.pipelines:
            moved = {key for key, p in session.table.open.items() if p.remote or p.conflict}
            moved |= source.session.table.suspects
            keys = [key for key in keys if key in moved]
            rest = unmoved(session, request, keys)
        items = await self._read(source, asked, keys, wanted)
        plan, ready = self._plan(asked, source, items, rest)
        told: dict[str, Any] = {"branch": source.branch, "baseCommit": head.commit or "", "commit": source.commit or ""}
        told |= plan.to_status()
        begun = order.status.get("phase") == "Running" and bool(order.status.get("planDigest"))
        if not begun:
            order.found.update(undone(plan, head.commit or ""))
        check_named(items, plan.conflicts, wanted.pipelines)
        if not begun:
            check_digest(wanted.plan_digest, plan)
        if wanted.dry_run:
            return OperationResult(plan_words("pull", plan, dry_run=True), told)
        if begun:  # told and begun by a process that ended meanwhile: what it did is done
            kept = ("counts", "changes", "changesTruncated", "conflicts", "planDigest")
            told |= {k: v for k, v in order.status.items() if k in kept}
        else:
            check_deletes(session, asked, plan.changes, wanted, side_is_empty=source.session.index.empty)
            await order.record(told)
        if refused := await self._write(session, source, asked, wanted, items, ready, told):
            said = problem_words([item.problem for item in refused if item.problem])
            count = sum(told["counts"][action] for action in ("created", "updated", "deleted")) - len(refused)
            words = said._replace(what=f"{max(0, count)} pulled, {len(refused)} refused: {said.what}")
            raise PartialFailure(OperationError(Reason.InvalidManifests, words), partly(told, refused))
        if not wanted.revision:
            return OperationResult(f"pulled from {source.branch}: {done_words(told)}", told)
        if not told["changes"]:
            return OperationResult(f"the same as at {source.short}", told)
        return OperationResult(f"restored from {source.short}: {done_words(told)}", told, "Restored")

    async def _source(
        self,
        session: SyncSession,
        request: RunRequest,
        order: OperationContext,
        wanted: PullOperation,
        head: RemoteHeads,
        layout: Layout,
    ) -> _Source:
        """What is pulled from: the default branch as it was just seen, another branch, or an older commit of one.

        Raises OperationError where there is none such, or it moved on from what was expected.
        """
        branch = order.found["branch"] = wanted.branch or head.branch
        tip = head.commit if branch == head.branch else await head_of(self._git, request.remote, branch)
        if tip is None and (branch != head.branch or wanted.revision):
            words = messages.OPERATION_NO_BRANCH(branch=branch, url=request.remote.url)
            raise OperationError(Reason.BranchNotFound, words)
        check_expected(wanted.expected_remote_commit, tip, branch)
        if branch == head.branch and not wanted.revision:
            return _Source(session, layout, branch, tip)
        commit = await self._revision(session, request, branch, tip, wanted.revision) if wanted.revision else tip
        there, layout = await self._elsewhere(session, request, RemoteHeads(branch, commit, 0, named=True))
        return _Source(there, layout, branch, commit)

    async def _read(
        self, source: _Source, request: RunRequest, keys: Sequence[ObjectKey], wanted: PullOperation
    ) -> list[Item]:
        if wanted.revision:
            return await self._restored(source.session, request, keys, wanted.revision)
        return await self._reconciler.reader.read(source.session, request, source.layout, keys)

    @staticmethod
    def _plan(request: RunRequest, source: _Source, items: Sequence[Item], rest: int) -> tuple[Plan, list[Item]]:
        """What would be done, and the items that it is done to. `rest`: how many need no look."""
        left = [conflict_of(item) for item in items if item.decision.conflict]
        ready = _pullable(request, items)
        changes = [change(item, item.path, Side.cluster) for item in ready]
        unchanged = len(items) - len(ready) - len(left) + rest
        return Plan("pull", source.branch, changes, left, unchanged, count_invalid(source.session)), ready

    async def _write(
        self,
        session: SyncSession,
        source: _Source,
        request: RunRequest,
        wanted: PullOperation,
        items: list[Item],
        ready: list[Item],
        told: dict[str, Any],
    ) -> list[Item]:
        """Write what is ready, and again what somebody was faster with; those that were refused.

        Raises PartialFailure with what was done where it can't go on, ClusterUnavailable where it goes on later.
        """
        refused: list[Item] = []
        again: set[ObjectKey] = set()
        for attempt in range(_ATTEMPTS):
            if attempt:
                items = await self._read(source, request, sorted(again), wanted)
                ready = _pullable(request, items)
            try:
                await self._reconciler.applier.apply(source.session, request, ready, RunStats())
            except ClusterUnavailable:
                raise  # it goes on where it is
            except GitIntegrationError as error:
                rest = [*refused, *(item for item in ready if not item.pulled)]
                raise PartialFailure(error, partly(told, rest)) from None
            if wanted.revision:
                session.restored |= {i.key: (i.version, source.commit or "") for i in ready if i.pulled}
            if source.session is session:
                await self._checkpoint(session, request, items)
            again = {item.key for item in ready if item.raced}
            refused += [item for item in ready if item.problem and item.key not in again]
            if not again:
                break
        return refused

    async def _checkpoint(self, session: SyncSession, request: RunRequest, items: Sequence[Item]) -> None:
        for item in items:
            rests = session.table.open.get(item.key)
            item.held = not item.carried and rests is not None and rests.phase is Phase.HELD
            item.pulled = item.pulled or (item.decision.conflict is None and item.decision.cluster is None)
        await self._reconciler.checkpoint(session, request, items)

    def _settled(self, session: SyncSession, request: RunRequest, wanted: PullOperation) -> RunRequest:
        """The request with the operation's strategy and resolutions."""
        takes: dict[ObjectKey, Strategy] = {}
        for resolution in wanted.resolutions or ():
            for key in chosen(session, request, [resolution.pipeline]):
                takes[key] = Strategy(resolution.take)
        return replace(request, policy=Policy.of_pull(request.spec, wanted, takes))

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
        self, session: SyncSession, request: RunRequest, keys: Sequence[ObjectKey], revision: str
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


def _pullable(request: RunRequest, items: Sequence[Item]) -> list[Item]:
    return [i for i in items if request.may.admits(i.decision, Side.cluster) and i.problem is None]
