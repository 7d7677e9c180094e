"""A push to another branch than the default one, where other things may lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gitintegration.api.operation import PushOperation
from gitintegration.cluster.base_store import BaseStore
from gitintegration.commits.files import CommitBase, Edits
from gitintegration.core.invalid import Problem
from gitintegration.core.layout import Layout
from gitintegration.core.people import Edit
from gitintegration.core.plan.plan import Plan, PlannedChange
from gitintegration.core.state.record import Published
from gitintegration.core.state.shards import ShardedRecords
from gitintegration.core.status import ConflictEntry
from gitintegration.core.values import Json, ObjectKey
from gitintegration.errors import OperationError, Reason
from gitintegration.operations.plan_pages import PlanPages, file_details
from gitintegration.operations.portions import Portions
from gitintegration.operations.result import (
    OperationContext,
    OperationResult,
    as_line,
    check_deletes,
    check_digest,
    check_named,
    count_invalid,
    lossy,
    plan_words,
    sorted_out,
    undone,
    with_lines,
)
from gitintegration.reconcile.branches import Branches, Target, merged
from gitintegration.reconcile.commit_builder import CommitBuilder
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest, Verb
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
        portions: Portions,
        rest: int,
    ) -> tuple[OperationResult, Sequence[PlannedChange]]:
        """One commit on a branch that stands `at` a commit, where it is there. `rest`: how many pipelines need no look."""
        branches, base = self._reconciler.branches, at or head.commit
        if at is not None:
            await branches.have_tree(session, request, at)
        pushed = await self._pushed.load(request.namespace, request.uid)
        draft = _Draft(branches, session, request, layout, CommitBase.on(base), branch, pushed, is_new=at is None)
        plan, problems = Plan("push", branch), list[Problem]()
        order.pages.begin()
        async for items in portions:
            plan = await draft.planned(plan, items, pages=order.pages if order.pages.wanted else None)
            problems += [item.problem for item in items if item.problem]
        left = await self._reconciler.authors.told(session, request, plan.conflicts)
        plan = replace(plan, unchanged=plan.unchanged + rest, invalid=count_invalid(session), conflicts=left)
        order.found.update(undone(plan, base or ""))
        check_named(problems, plan.conflicts, wanted.pipelines)
        told = {"branch": branch, "baseCommit": base or "", **plan.to_status(), **await order.pages.end()}
        check_digest(wanted.plan_digest, plan)
        if wanted.dry_run or not plan.changes:
            return OperationResult(plan_words("push", plan, dry_run=wanted.dry_run), told), ()
        check_deletes(session, request, plan.changes, wanted)
        builder, written = branches.begin(session, request, draft.ground), Plan("push", branch)
        try:
            async for items in portions:
                written = await draft.planned(written, items, builder)
            left = await self._reconciler.authors.told(session, request, written.conflicts)
            plan = replace(plan, changes=with_lines(written.changes, plan.changes), conflicts=left)
            told |= plan.to_status()
            check_digest(wanted.plan_digest, plan)
            check_deletes(session, request, plan.changes, wanted)
            message = as_line(wanted.message) or request.message_of(draft.done, session.restored)
            by = [named.edit for named in draft.done]
            made = await builder.commit([(request.text_of(message, by, order.created_at), frozenset())])
        except BaseException:
            builder.discard()
            raise
        try:
            if made.edited.failed:
                raise OperationError(Reason.InvalidManifests, "; ".join(words for _, words in made.edited.failed[:3]))
            if made.commit is None:
                return OperationResult("nothing to push", {**told, "changes": []}), ()
            told = {**told, **lossy(made), "commit": made.commit.sha}
            await order.record(told)
            await branches.push(session, request, f"refs/heads/{branch}", at, made)
        finally:
            branches.discard(session, made)
        await self._pushed.save(request.namespace, request.name, request.uid, pushed)
        return OperationResult(f"pushed {made.commit.sha[:12]} to {branch}: {plan.words()}", told), plan.changes


@dataclass(frozen=True, slots=True)
class _Named:
    """What a commit tells of an item."""

    key: ObjectKey
    verb: Verb
    version: str
    edit: Edit


class _Draft:
    """A commit on a branch where other things may lie than on the default one."""

    def __init__(
        self,
        branches: Branches,
        session: SyncSession,
        request: RunRequest,
        layout: Layout,
        ground: CommitBase,
        branch: str,
        pushed: ShardedRecords[Published],
        *,
        is_new: bool,
    ) -> None:
        """`is_new`: the branch is not there yet."""
        self._branches, self._session, self._request, self._layout = branches, session, request, layout
        self.ground, self._branch, self._pushed, self._is_new = ground, branch, pushed, is_new
        self._given: dict[ObjectKey, str] = {}
        """Places of items that have no file yet."""
        self.done: list[_Named] = []
        """What was edited."""

    async def planned(
        self,
        plan: Plan,
        items: Sequence[Item],
        builder: CommitBuilder | None = None,
        pages: PlanPages | None = None,
    ) -> Plan:
        """The plan with these items. What stands in the way of one is a conflict.

        `builder`: it edits their files. `pages`: where they are told with values.
        """
        ready, left = sorted_out(self._request, items)
        places = await self._branches.places(
            self._session, self._request, self._layout, self.ground, ready, self._given
        )
        self._given |= {item.key: item.new_path for item in ready if item.new_path}
        edits: Edits = {}
        changes, edited, values = list[PlannedChange](), list[Item](), list[tuple[Json | None, Json | None]]()
        for item in ready:
            if (place := places.get(item.key)) is None:
                continue
            value, there = self._value(item, place, left), place.view(item)
            edit = self._branches.edit(item, place, value)
            if edit is None:
                continue
            edits.setdefault(place.path, (place.blob or None, []))[1].append(edit)
            both = item.decision.remote_ahead or there not in (item.git_view, value)
            keys = item.kind.schema.list_keys
            changes.append(PlannedChange.of(item.key, item.id, place.path, there, value, keys, merged=both))
            edited.append(item)
            values.append((there, value))
            if builder is not None:
                assert item.decision.git is not None
                self._pushed.put(Published(item.key, self._branch, place.path, item.decision.git.value))
                self.done.append(_Named(item.key, item.verb, item.version, item.edit(self._session)))
        if builder is not None:
            await builder.edit(edits)
        if pages is not None and edited:
            patches = await self._branches.preview(self._session, self._request, edits)
            details = file_details(edited, changes, values, patches)
            changes = [detail.counted for detail in details]
            await pages.add(details, patches)
        self._pushed.evict()
        return replace(
            plan,
            changes=[*plan.changes, *changes],
            conflicts=[*plan.conflicts, *left],
            unchanged=plan.unchanged + len(items) - len(changes) - len(left),
        )

    def _value(self, item: Item, place: Target, left: list[ConflictEntry]) -> Json | None:
        """What the branch is to hold; what it holds, where that is another's edit, which goes to `left`."""
        assert item.decision.git is not None
        there = place.view(item)
        before = None if self._is_new else self._pushed.get(Published.key_of(item.key, self._branch))
        value, obstacle = merged(item, before.value if before else item.git_view, there, item.decision.git.value)
        if obstacle:
            conflict = (place.path, "BothModified", obstacle.fields)
            left.append(ConflictEntry(item.key.kind, item.key.name, item.id, *conflict))
            return there
        return value
