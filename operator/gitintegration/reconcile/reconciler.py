"""One sync, from the first look to the last checkpoint. Level-triggered: every run starts from what both sides now are."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.layout import Layout, folder_of
from gitintegration.core.plan.batches import batches
from gitintegration.core.plan.policy import Policy, Side
from gitintegration.core.state.evidence import survived
from gitintegration.core.state.item import Phase
from gitintegration.core.state.record import ItemRecord
from gitintegration.core.state.shards import key_bits
from gitintegration.core.status import HeldCopies, HeldDeletes, Outcome
from gitintegration.core.values import ObjectKey
from gitintegration.errors import Forbidden, GitIntegrationError, Refused, Stale, StaleRemote
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.workers import Workers
from gitintegration.reconcile.apply import Applier
from gitintegration.reconcile.authors import AuthorFinder
from gitintegration.reconcile.branches import Branches
from gitintegration.reconcile.checkpoint import abandon, checkpoint
from gitintegration.reconcile.deletes import confirmed, hold_copies, hold_deletes, kept_back
from gitintegration.reconcile.heads import RemoteHeads, ls_remote
from gitintegration.reconcile.item import Item, RunRequest, RunStats
from gitintegration.reconcile.mirror import GitMirror
from gitintegration.reconcile.publish import Branch, DirectPublisher, Publisher, Review
from gitintegration.reconcile.read import Reader, forget_base
from gitintegration.reconcile.report import outcome_of
from gitintegration.reconcile.verify import Verifier, unverified
from gitintegration.reconcile.wal import WriteAheadLog
from gitintegration.session.live_objects import LiveObjects, by_kind, observe_all, observed_by
from gitintegration.session.session import SyncSession

_ATTEMPTS = 6
"""Lost races are planned anew so often before the rest waits for the next run."""


class Reconciler:
    """Holds nothing of any integration; that is the session's."""

    def __init__(
        self,
        *,
        mirror: GitMirror,
        branches: Branches,
        objects: LiveObjects,
        store: BaseStore[ItemRecord],
        review: Review,
        git: GitClient,
        workers: Workers,
        memories: Sequence[BaseStore[Any]] = (),
        now: Callable[[], float] = time.monotonic,
        batch: int = 500,
    ) -> None:
        """`batch` items are worked on at a time, neighbours in the memory's shards; it bounds memory.

        `memories`: what else is remembered of an integration, and forgotten with its source. `now` in seconds.
        """
        self._objects = objects
        self._git, self._workers, self._memories, self._now, self.batch = git, workers, memories, now, batch
        self._store, self.branches, self.mirror, self._review = store, branches, mirror, review
        self._wal = WriteAheadLog(store, objects)
        self.reader = Reader(objects, mirror, workers, self._wal, review.adopt_merged, now, batch)
        self.applier = Applier(objects, self._wal)
        self.verifier = Verifier(git, workers)
        self.authors = AuthorFinder(objects, mirror, git, workers, branches.scope)

    async def sync(self, session: SyncSession, request: RunRequest) -> tuple[Outcome, RunStats]:
        """Bring both sides together as far as mode, conflicts and limits allow.

        What goes wrong after both sides were seen is in the outcome, with true counts; before that it is raised.
        """
        stats = RunStats()
        await self.load(session, request.namespace)
        if session.looked_at:
            session.table.suspect([key for key, item in session.table.open.items() if item.phase is Phase.AHEAD])
            session.looked_at = False
        self._renounce(session, request)
        error: GitIntegrationError | None = None
        for _ in range(_ATTEMPTS):
            head, request = await self._look(session, request)
            head, request, stats.doubted = await self._believed(session, request, head)
            error = None
            if self._is_at_rest(session, request, head):
                break
            try:
                await self._pass(session, request, head, stats)
            except (StaleRemote, Stale) as lost:
                error = lost
                continue
            except GitIntegrationError as trouble:
                if session.index.commit != head.commit:
                    raise
                error = trouble
                break
            if not self._is_due_at_once(session, request):
                break
        if error is None:
            folder, scope = folder_of(request.spec.path_prefix), self.branches.scope(request)
            await self.mirror.look_elsewhere(session, request.remote, request.kinds, folder, scope)
        stats.let_go, session.untold = session.untold, []
        stats.damaged = session.records.told_lost()
        outcome = outcome_of(session, request, head, stats, error)
        told = await self.authors.told(session, request, outcome.conflicts, asks=error is None)
        return replace(outcome, conflicts=told), stats

    def _is_at_rest(self, session: SyncSession, request: RunRequest, head: RemoteHeads) -> bool:
        """Whether nothing moved since the process before this one left both sides the same.

        Then what git holds needs not be read: a restart costs what changed meanwhile, not all there is.
        """
        if session.resume_point is None or session.index.commit is not None or not session.records.marks:
            return False
        known = session.resume_point == (head.commit, session.records.digest) and not (
            request.review or request.refusals or session.selection != request.selection
        )
        if not known or self._due(session, request):
            session.resume_point = None
            return False
        return True

    async def observe(self, session: SyncSession, request: RunRequest) -> tuple[RemoteHeads, Layout]:
        """Look at both sides and settle what is equal already; neither is written."""
        await self.load(session, request.namespace)
        self._renounce(session, request)
        session.looked_at = True
        head, request = await self._look(session, request, review=False)
        found = await self.verifier.head(session, request, head.commit)
        if found is not None and found.flaw is not None:
            raise unverified(found)
        return head, await self._pass(session, replace(request, policy=request.may.observe_only()), head, RunStats())

    async def _look(
        self, session: SyncSession, request: RunRequest, *, review: bool = True
    ) -> tuple[RemoteHeads, RunRequest]:
        """The branch as it is now, and the request as it is to be carried out with it.

        Where HEAD names another branch than before, and the spec names none, it is another source.
        """
        branch = request.review if review else None
        head = await ls_remote(self._git, request.remote, request.spec.default_branch, branch)
        if request.spec.default_branch is None and session.branch not in (None, head.branch):
            await self.leave_source(session, request.namespace, request.name)
            request = replace(request, rescan=True)
        session.branch = head.branch
        return head, request

    async def _believed(
        self, session: SyncSession, request: RunRequest, head: RemoteHeads
    ) -> tuple[RemoteHeads, RunRequest, GitIntegrationError | None]:
        """The head as far as it is verified, and the request as it is to be carried out with it: onto what is not, nothing is pushed.

        Raises Unverified where no commit was verified yet.
        """
        found = await self.verifier.head(session, request, head.commit)
        if found is None or found.flaw is None:
            return head, replace(request, policy=None), None
        verified = await self.verifier.last(session, request)
        if verified is None:
            raise unverified(found)
        session.looked_at = True  # what rests as ahead is looked at again: the next head may take it
        held = replace(request, policy=replace(Policy.of(request.spec), to_git=False))
        return replace(head, commit=verified), held, unverified(found)

    async def load(self, session: SyncSession, namespace: str) -> None:
        """What is remembered; and what another process logged and did not checkpoint, which is looked at again."""
        if not session.loaded:
            found = await self._store.load(namespace, session.uid, retired="intent")
            if not session.loaded:  # a neighbour may have asked for it at the same time
                session.remember(found)

    async def leave_source(self, session: SyncSession, namespace: str, name: str) -> None:
        """Another repository, branch or prefix from now on: what was agreed, offered or pushed says nothing about it.

        Cut short, it is to be done again.
        """
        await self.load(session, namespace)
        session.records.clear()
        await self._store.save(namespace, name, session.uid, session.records)
        await self._review.forget_all(session, namespace)
        for memory in self._memories:
            await memory.forget(namespace, session.uid)
        await self._workers.run(60.0, objects.wipe, session.directory)
        session.leave_source()

    @staticmethod
    def _due(session: SyncSession, request: RunRequest) -> set[ObjectKey]:
        """What a run has to look at, of the kinds that can be worked with now."""
        if request.rescan:
            for kind in request.kinds.values():
                observe_all(session.table, kind, request.namespace)
        due = session.table.due(observed_by(request.kinds, request.namespace, session.table))
        return {key for key in due if (key.group, key.kind) in request.kinds}

    def _is_due_at_once(self, session: SyncSession, request: RunRequest) -> bool:
        """Whether a race left something to be planned anew at once."""
        there = {kind_id: kind for kind_id, kind in request.kinds.items() if kind_id not in session.away}
        due = session.table.due(observed_by(there, request.namespace, session.table))
        return bool(by_kind(due, there))

    @staticmethod
    def _select(session: SyncSession, request: RunRequest) -> None:
        """Where other kinds or labels are asked for than before, all items are looked at, and what is of no listed kind is let go."""
        if session.selection == request.selection:
            return
        session.let_go.clear()
        marks, table = session.records.marks, session.table
        known = marks.keys() | table.known() | table.open.keys() | session.index.items.keys()
        left = {key for key in known if (key.group, key.kind) not in request.listed}
        for key in left & marks.keys():
            session.release(key)
        table.drop(left)
        there = (kind.key(n) for kind in request.kinds.values() for n in kind.informer.of(request.namespace))
        table.suspect([*(known - left), *there])
        session.selection = request.selection

    @staticmethod
    def _renounce(session: SyncSession, request: RunRequest) -> None:
        """What was agreed on of kinds whose objects went with their definition says nothing any more."""
        for kind_id in (session.remade | session.returned) & request.kinds.keys():
            keys = [key for key in session.records.marks if (key.group, key.kind) == kind_id]
            there = {
                name: meta.resource_version
                for name, meta in request.kinds[kind_id].informer.of(request.namespace).items()
            }
            known = {key: session.records.marks[key].resource_version for key in keys}
            if kind_id in session.remade or not survived(known, there, keys):
                forget_base(session, keys)
            session.remade.discard(kind_id)
            session.returned.discard(kind_id)
        changed = session.redefined & request.kinds.keys()
        session.table.suspect([key for key in session.records.marks if (key.group, key.kind) in changed])
        session.redefined -= changed

    async def advance_to(self, session: SyncSession, request: RunRequest, head: RemoteHeads) -> Layout:
        """Have the workspace hold what git holds at `head`."""
        scope = self.branches.scope(request)
        return await self.mirror.advance_to(
            session, request.remote, request.spec, head, scope, self._scope_text(request)
        )

    async def _pass(self, session: SyncSession, request: RunRequest, head: RemoteHeads, stats: RunStats) -> Layout:
        """Work on all that is due, a batch at a time; deletes last, when all of them are counted."""
        session.away.clear()
        layout = await self.advance_to(session, request, head)
        self._select(session, request)
        if session.table.ask(f"{request.generation} {request.confirmed} {request.requested_at}"):
            session.declined.clear()
            session.contest.clear(but=session.rested)
            session.rested = ()
        session.declined.expire(self._now())
        publisher = await self._publisher(session, request, layout, head)
        try:
            if keys := sorted(self._due(session, request), key=key_bits):
                stats.held = await self._work(session, request, layout, head, keys, publisher, stats)
            await publisher.publish(stats)
        except GitIntegrationError:
            publisher.abandon()
            raise
        await self.take_off(session, request)
        await self._wal.flush(session, request)
        return layout

    async def take_off(self, session: SyncSession, request: RunRequest) -> None:
        """Take the reasons of edits that are carried off their objects: the next edit has its own, or none."""
        for key, reason in list(session.reasons.items()):
            kind = request.kinds.get((key.group, key.kind))
            try:
                if kind is not None:
                    await self._objects.take_off(kind, request.namespace, key.name, reason)
            except (Stale, Refused, Forbidden):
                session.table.suspect([key])
            del session.reasons[key]

    async def _work(
        self,
        session: SyncSession,
        request: RunRequest,
        layout: Layout,
        head: RemoteHeads,
        keys: Sequence[ObjectKey],
        publisher: Publisher,
        stats: RunStats,
    ) -> list[HeldDeletes | HeldCopies]:
        known, back = len(session.records.marks), list[Item]()
        try:
            ahead = await self.reader.prefetch(request, keys)
            for some in batches(keys, session.index.path_of, self.batch):
                batch = await self.reader.read(session, request, layout, some, ahead)
                waiting = kept_back(request, batch)
                back += [item for item in batch if item.key in waiting]
                await self._carry(session, request, [i for i in batch if i.key not in waiting], publisher, stats)
        except GitIntegrationError:
            abandon(session, back)
            raise
        held: list[HeldDeletes | HeldCopies] = [*hold_deletes(session, request, back, known, head)]
        held += hold_copies(session, request, back)
        if named := confirmed(request, back, reviewed=request.review not in (None, head.branch)):
            try:
                await self._wal.keep(session, request, named)
                await request.use_up()
            except GitIntegrationError:
                abandon(session, back)
                raise
        await self._carry(session, request, back, publisher, stats)
        return held

    async def _carry(
        self, session: SyncSession, request: RunRequest, batch: Sequence[Item], publisher: Publisher, stats: RunStats
    ) -> None:
        """Write what is new in git to the cluster, stage what is new there, and checkpoint what nothing is left of."""
        ready = [item for item in batch if item.may_go(request.may, Side.cluster)]
        try:
            await self.applier.apply(session, request, ready, stats)
            done = await publisher.stage(batch)
        except GitIntegrationError:
            abandon(session, batch)
            raise
        for item in done:
            checkpoint(session, item)
        session.records.evict()

    async def _publisher(
        self, session: SyncSession, request: RunRequest, layout: Layout, head: RemoteHeads
    ) -> Publisher:
        async def replan(keys: Sequence[ObjectKey]) -> list[Item]:
            return await self.reader.read(session, request, layout, keys)

        if request.may.to_git and request.review not in (None, head.branch):
            await self._review.begin(session, request, head)
            return self._review.publisher(session, request, layout, head, replan)
        return DirectPublisher(self.branches, self._wal, session, request, layout, head, replan)

    def branch(self, session: SyncSession, request: RunRequest, layout: Layout, head: RemoteHeads) -> Branch:
        """The default branch, for one commit on it."""
        return Branch(self.branches, self._wal, session, request, layout, head)

    @staticmethod
    def checkpoint(session: SyncSession, items: Sequence[Item]) -> None:
        """Keep what both sides agree on now, and where each item rests, for the next flush to store."""
        for item in items:
            checkpoint(session, item)
        session.records.evict()

    async def flush(self, session: SyncSession, request: RunRequest) -> None:
        """Store all that changed since the last flush."""
        await self._wal.flush(session, request)

    @staticmethod
    def _scope_text(request: RunRequest) -> str:
        spec = request.spec
        parts = (
            folder_of(spec.path_prefix),
            spec.ignore,
            sorted(request.listed),
            sorted(request.anywhere),
            request.source,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()
