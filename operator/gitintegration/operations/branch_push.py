"""A push to another branch than the default one, where other things may lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gitintegration.api.operation import PushOperation
from gitintegration.cluster.base_store import BaseStore
from gitintegration.commits.files import CommitBase, Edits
from gitintegration.core.layout import Layout
from gitintegration.core.plan.plan import Plan, PlannedChange
from gitintegration.core.state.record import Published
from gitintegration.core.state.shards import ShardedRecords
from gitintegration.core.status import ConflictEntry
from gitintegration.core.values import ObjectKey
from gitintegration.errors import OperationError, Reason
from gitintegration.operations.result import (
    OperationContext,
    OperationResult,
    as_line,
    check_conflicts,
    check_deletes,
    check_digest,
    check_named,
    check_problems,
    count_invalid,
    lossy,
    plan_words,
    sorted_out,
    undone,
    unmoved,
)
from gitintegration.reconcile.branches import Target, merged
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.reconcile.reconciler import Reconciler
from gitintegration.session.session import SyncSession


class BranchPush:
    def __init__(self, reconciler: Reconciler, pushed: BaseStore[Published]) -> None:
        """`pushed` remembers what was pushed to other branches, so that a second push there is no conflict with the first."""
        self._reconciler, self._pushed = reconciler, pushed

    async def run(
        self,
        session: SyncSession,
        request: RunRequest,
        order: OperationContext,
        wanted: PushOperation,
        layout: Layout,
        head: RemoteHeads,
        branch: str,
        at: str | None,
        items: Sequence[Item],
        keys: Sequence[ObjectKey],
    ) -> tuple[OperationResult, Sequence[PlannedChange]]:
        branches = self._reconciler.branches
        if at is not None:
            await branches.have_tree(session, request, at)
        ground = CommitBase.on(at or head.commit)
        ready, left = sorted_out(request, items)
        same = len(items) + (0 if wanted.pipelines else unmoved(session, request, keys))
        found = Plan("push", branch, (), left, same - len(ready) - len(left), count_invalid(session))
        order.found.update(undone(found, at or head.commit or ""))
        check_named(items, left, wanted.pipelines)
        places = await branches.places(session, request, layout, ground, ready, {})
        if wanted.pipelines:
            check_problems(item.problem for item in ready)
        ready = [item for item in ready if item.key in places]
        pushed = await self._pushed.load(request.namespace, request.uid)
        known = pushed if at is not None else None
        edits, changes, done = self._edits(branch, ready, places, known, left)
        order.found.update(undone(replace(found, conflicts=left), at or head.commit or ""))
        check_conflicts(left, wanted.pipelines)
        plan = Plan("push", branch, changes, left, same - len(changes) - len(left), count_invalid(session))
        told = {"branch": branch, "baseCommit": at or head.commit or "", **plan.to_status()}
        check_digest(wanted.plan_digest, plan)
        if wanted.dry_run or not edits:
            return OperationResult(plan_words("push", plan, dry_run=wanted.dry_run), told), ()
        check_deletes(session, request, changes, wanted)
        message = as_line(wanted.message) or request.message_of(done, session.restored)
        made = await branches.commit(session, request, ground, edits, message, order.created_at)
        try:
            if made.edited.failed:
                raise OperationError(Reason.InvalidManifests, "; ".join(words for _, words in made.edited.failed[:3]))
            assert made.commit is not None
            told = {**told, **lossy(made)}
            await order.record({**told, "commit": made.commit.sha})
            await branches.push(session, request, f"refs/heads/{branch}", at, made)
        finally:
            branches.discard(session, made)
        for item in done:
            assert item.decision.git is not None
            pushed.put(Published(item.key, branch, places[item.key].path, item.decision.git.value))
        await self._pushed.save(request.namespace, request.name, request.uid, pushed)
        words = f"pushed {made.commit.sha[:12]} to {branch}: {plan.words()}"
        return OperationResult(words, {**told, "commit": made.commit.sha}), changes

    def _edits(
        self,
        branch: str,
        ready: Sequence[Item],
        places: Mapping[ObjectKey, Target],
        pushed: ShardedRecords[Published] | None,
        left: list[ConflictEntry],
    ) -> tuple[Edits, list[PlannedChange], list[Item]]:
        """What a push writes to a branch, and the items it is of; what stands in the way of others goes to `left`."""
        edits: Edits = {}
        changes: list[PlannedChange] = []
        done: list[Item] = []
        for item in ready:
            assert item.decision.git is not None
            place = places[item.key]
            there = place.view(item)
            before = pushed.get(Published.key_of(item.key, branch)) if pushed else None
            value, obstacle = merged(item, before.value if before else item.git_view, there, item.decision.git.value)
            if obstacle:
                conflict = (place.path, "BothModified", obstacle.fields)
                left.append(ConflictEntry(item.key.kind, item.key.name, item.id, *conflict))
                continue
            edit = self._reconciler.branches.edit(item, place, value)
            if edit is None:
                continue
            edits.setdefault(place.path, (place.blob or None, []))[1].append(edit)
            both = item.decision.remote_ahead or there not in (item.git_view, value)
            keys = item.kind.schema.list_keys
            changes.append(PlannedChange.of(item.key, item.id, place.path, there, value, keys, merged=both))
            done.append(item)
        return edits, changes, done
