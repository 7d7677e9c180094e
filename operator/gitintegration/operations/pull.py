"""A pull on demand: pipelines of a branch, or of an older commit, into the cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from gitintegration import messages
from gitintegration.api.operation import PullOperation
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.layout import Layout
from gitintegration.core.merge import UNSETTLED, Decision, Settlement, Strategy, Take, Write
from gitintegration.core.plan.plan import Plan, PlannedChange
from gitintegration.core.plan.policy import Policy, Side
from gitintegration.core.state.item import Phase
from gitintegration.core.state.table import ItemTable
from gitintegration.core.status import ConflictEntry
from gitintegration.core.values import ObjectKey
from gitintegration.errors import ClusterUnavailable, GitIntegrationError, OperationError, Reason
from gitintegration.git.client import GitClient
from gitintegration.git.workers import Workers
from gitintegration.messages import named
from gitintegration.operations.plan_pages import PlanPages, object_details
from gitintegration.operations.portions import Portions
from gitintegration.operations.result import (
    OperationContext,
    OperationResult,
    PartialFailure,
    change,
    check_conflicts,
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
    revision_of,
    undone,
    unmoved,
)
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest, RunStats
from gitintegration.reconcile.reconciler import Reconciler
from gitintegration.session.live_objects import Prefetched, by_kind
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
        portions = self._portions(source, asked, keys, wanted)
        begun = order.status.get("phase") == "Running" and bool(order.status.get("planDigest"))
        plan, problems = await self._plan(asked, source, portions, rest, PlanPages() if begun else order.pages)
        told_by = await self._reconciler.authors.told(source.session, request, plan.conflicts)
        plan = replace(plan, conflicts=told_by)
        told: dict[str, Any] = {"branch": source.branch, "baseCommit": head.commit or "", "commit": source.commit or ""}
        told |= plan.to_status() | await order.pages.end()
        if not begun:
            order.found.update(undone(plan, head.commit or ""))
        check_named(problems, plan.conflicts, wanted.pipelines)
        settled = {(key.kind, key.name) for key in asked.may.settled}
        check_conflicts([c for c in plan.conflicts if (c.kind, c.name) in settled], [name for _, name in settled])
        if not begun:
            check_digest(wanted.plan_digest, plan)
        if wanted.dry_run:
            return OperationResult(plan_words("pull", plan, dry_run=True), told)
        if begun:  # told and begun by a process that ended meanwhile: what it did is done
            kept = ("counts", "changes", "changesTruncated", "conflicts", "plan", "planDigest")
            told |= {k: v for k, v in order.status.items() if k in kept}
        else:
            check_deletes(session, asked, plan.changes, wanted, side_is_empty=source.session.index.empty)
            await order.record(told)
        if refused := await self._write(session, source, asked, wanted, portions, plan, told, order.by):
            said = problem_words(list(refused.values()))
            count = sum(told["counts"][action] for action in ("created", "updated", "deleted")) - len(refused)
            words = said._replace(what=f"{max(0, count)} pulled, {len(refused)} refused: {said.what}")
            left = [change for change in plan.changes if change.key in refused]
            raise PartialFailure(OperationError(Reason.InvalidManifests, words), partly(told, left))
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
        await self._reconciler.verifier.check(session, request, commit)
        there, layout = await self._elsewhere(session, request, RemoteHeads(branch, commit, 0, named=True))
        return _Source(there, layout, branch, commit)

    def _portions(
        self, source: _Source, request: RunRequest, keys: Sequence[ObjectKey], wanted: PullOperation
    ) -> Portions:
        there, reader = source.session, self._reconciler.reader
        if wanted.revision:
            _check_held(there, request, keys, wanted.revision)

        async def read(some: Sequence[ObjectKey], ahead: Prefetched | None) -> list[Item]:
            if wanted.revision:
                return await self._restored(there, request, some, ahead)
            return await reader.read(there, request, source.layout, some, ahead)

        return Portions(self._reconciler, request, keys, there.index.path_of, read)

    async def _plan(
        self, request: RunRequest, source: _Source, portions: Portions, rest: int, pages: PlanPages
    ) -> tuple[Plan, Sequence[Problem]]:
        """What would be done, and what stands in the way of single items. `rest`: how many need no look."""
        pages.begin()
        changes, left, problems, read = list[PlannedChange](), list[ConflictEntry](), list[Problem](), 0
        sides = dict[ObjectKey, str]()
        async for items in portions:
            sides |= {item.key: _sides(item) for item in items if item.key in request.may.resolved}
            read += len(items)
            ready = _pullable(request, items)
            made = [change(item, item.path, Side.cluster) for item in ready]
            if pages.wanted and ready:
                details = await object_details(self._workers, ready, made)
                made = [detail.counted for detail in details]
                await pages.add(details)
            changes += made
            left += [conflict_of(item) for item in items if item.decision.conflict]
            problems += [item.problem for item in items if item.problem]
        unchanged = read - len(changes) - len(left) + rest
        invalid, resolved = count_invalid(source.session), _resolved(request, sides)
        return Plan("pull", source.branch, changes, left, unchanged, invalid, resolved), problems

    async def _write(
        self,
        session: SyncSession,
        source: _Source,
        request: RunRequest,
        wanted: PullOperation,
        portions: Portions,
        plan: Plan,
        told: dict[str, Any],
        by: str,
    ) -> dict[ObjectKey, Problem]:
        """Write what was planned, `by` whoever asked for it; what single ones were refused for.

        Raises PartialFailure with what was done where it can't go on, ClusterUnavailable where it goes on later.
        """
        writes = _Writes({each.key: each for each in plan.changes}, exact=bool(wanted.plan_digest), by=by)
        try:
            async for items in portions:
                await self._write_portion(session, source, request, portions, writes, items)
                if source.session is not session:
                    revision = (source.commit or "") if wanted.revision else ""
                    session.restored |= {key: (version, revision) for key, version in writes.made.items()}
        except ClusterUnavailable:
            raise  # it goes on where it is
        except GitIntegrationError as error:
            raise PartialFailure(error, partly(told, writes.left)) from None
        if source.session is session:
            await self._reconciler.flush(session, request)
        return writes.refused

    async def _write_portion(
        self,
        session: SyncSession,
        source: _Source,
        request: RunRequest,
        portions: Portions,
        writes: _Writes,
        items: Sequence[Item],
    ) -> None:
        """Write what is ready, and again what somebody was faster with."""
        for attempt in range(_ATTEMPTS):
            ready = writes.ready(request, items)
            writes.sign(request, ready, elsewhere=source.session is not session)
            try:
                await self._reconciler.applier.apply(source.session, request, ready, RunStats())
            finally:
                writes.note(ready, last=attempt == _ATTEMPTS - 1)
            if source.session is session:
                self._checkpoint(session, items)
            again = sorted(item.key for item in ready if item.raced)
            if not again:
                break
            items = await portions.read(again, None)

    def _checkpoint(self, session: SyncSession, items: Sequence[Item]) -> None:
        for item in items:
            rests = session.table.open.get(item.key)
            item.held = not item.carried and rests is not None and rests.phase is Phase.HELD
            item.pulled = item.pulled or (item.decision.conflict is None and item.decision.cluster is None)
            item.decision = replace(item.decision, git=None)  # what git lacks stays ahead: nothing of it is under way
        self._reconciler.checkpoint(session, items)

    def _settled(self, session: SyncSession, request: RunRequest, wanted: PullOperation) -> RunRequest:
        """The request with the operation's strategy and resolutions."""
        takes: dict[ObjectKey, Strategy] = {}
        settled: dict[ObjectKey, dict[str, Settlement]] = {}
        for resolution in wanted.resolutions or ():
            for key in chosen(session, request, [resolution.pipeline]):
                take = Take(resolution.take) if resolution.take else None
                if resolution.field is not None:
                    settled.setdefault(key, {})[resolution.field] = Settlement(take, resolution.value)
                elif take is not None:
                    takes[key] = Strategy(take.value)
        return replace(request, policy=Policy.of_pull(request.spec, wanted, takes, settled))

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
        """The full name of a commit of the branch, with its trees in the cache. Raises OperationError where it has no such commit."""
        assert tip is not None
        found = await revision_of(self._git, self._workers, session, request, branch, tip, revision)
        await self._reconciler.branches.have_tree(session, request, found)
        return found

    async def _restored(
        self, session: SyncSession, request: RunRequest, keys: Sequence[ObjectKey], ahead: Prefetched | None
    ) -> list[Item]:
        """The items as the commit held them, to be written over whatever the cluster holds."""
        items = []
        for kind_id, names in by_kind(keys, request.kinds).items():
            kind = request.kinds[kind_id]
            versions = {key.name: session.index.items[key].api_version for key in names}
            live = await self._reconciler.reader.live(request, kind, versions, ahead)
            for key in names:
                item = Item(key, kind, None, session.index.items[key], live.get(key.name))
                item.manifest = orjson.loads(session.index.items[key].value)
                item.git_view = kind.view(item.manifest)
                if not await self._reconciler.reader.holds(request, item):
                    item.decision = Decision(cluster=Write(item.git_view), remote_ahead=True)
                items.append(item)
        return items


class _Writes:
    """How far the changes of a plan were carried. `exact`: only as they were planned."""

    def __init__(self, planned: Mapping[ObjectKey, PlannedChange], *, exact: bool, by: str) -> None:
        self._planned, self._exact, self._by = planned, exact, by
        self.made: dict[ObjectKey, str] = {}
        """The version of each object that was written."""
        self.refused: dict[ObjectKey, Problem] = {}

    @property
    def left(self) -> list[PlannedChange]:
        return [change for key, change in self._planned.items() if key not in self.made]

    def ready(self, request: RunRequest, items: Sequence[Item]) -> list[Item]:
        """What may be written of these. Of what was planned, that can't be written as it is now, it is noted why."""
        ready = [item for item in _pullable(request, items) if self._is_planned(item)]
        taken = {item.key for item in ready}
        for item in items:
            open_still = item.problem or item.decision.conflict or item.decision.cluster
            if open_still and item.key in self._planned and item.key not in taken:
                words = f"{item.key} was changed after it was planned; ask for another dry run"
                self.refused[item.key] = item.problem or Problem(item.path, InvalidReason.Refused, words)
        return ready

    def _is_planned(self, item: Item) -> bool:
        planned = self._planned.get(item.key)
        return planned is not None and (not self._exact or change(item, item.path, Side.cluster) == planned)

    def sign(self, request: RunRequest, items: Sequence[Item], *, elsewhere: bool) -> None:
        """Have those bear whose edit they are that the branch does not hold: out of another commit, or with a value of the operation's."""
        for item in items:
            settled = request.may.settled.get(item.key, UNSETTLED).values()
            if item.kind.stamped and (elsewhere or any(each.take is None for each in settled)):
                item.by = self._by

    def note(self, items: Sequence[Item], *, last: bool) -> None:
        """What became of these. What somebody was faster with is tried again, unless it was the `last` time."""
        self.made |= {item.key: item.version for item in items if item.pulled}
        self.refused |= {item.key: item.problem for item in items if item.problem and (last or not item.raced)}


def _sides(item: Item) -> str:
    """Names what both sides hold of an item: whichever gives way was looked at."""
    held = orjson.dumps([item.git_view, item.live and item.live.view], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(held).hexdigest()


def _resolved(request: RunRequest, sides: Mapping[ObjectKey, str]) -> str:
    """Names how conflicts are settled, and between what; empty where none is."""
    may = request.may
    rows = [
        [
            *key,
            sides.get(key),
            may.takes.get(key),
            sorted([f, s.take, s.value] for f, s in may.settled.get(key, {}).items()),
        ]
        for key in sorted(may.resolved)
    ]
    return hashlib.sha256(orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)).hexdigest() if rows else ""


def _check_held(session: SyncSession, request: RunRequest, keys: Sequence[ObjectKey], revision: str) -> None:
    """Raises OperationError where the commit holds not all of these."""
    if missing := [key.name for key in keys if key not in session.index.items]:
        words = messages.NOT_AT_REVISION(
            revision=revision[:12], names=named(missing, 10), prefix=request.spec.path_prefix or "."
        )
        raise OperationError(Reason.UnknownPipeline, words)


def _pullable(request: RunRequest, items: Sequence[Item]) -> list[Item]:
    return [i for i in items if request.may.admits(i.decision, Side.cluster) and i.problem is None]
