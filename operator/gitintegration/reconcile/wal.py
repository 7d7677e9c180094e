"""The write-ahead log of a sync: what is about to be written to either side is stored before it is, in the row of its item.

Only a checkpoint takes an intent away, in the same write that moves the base. What a process left in doubt is resolved by the
next reading of both sides, and a push by the next that finds the branch elsewhere than it was made onto.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace

import orjson

from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.merge import Base
from gitintegration.core.plan.policy import Side
from gitintegration.core.state.record import UNKNOWN, Intent, ItemRecord, Pushes, SideIntent, Watermark
from gitintegration.core.state.recovery import recover
from gitintegration.errors import Forbidden, Refused
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.session.live_objects import LiveObjects
from gitintegration.session.session import SyncSession

_BATCH = 500
"""Intents held open at a time; bounds memory."""
_LARGE = 100_000
"""Bytes of a manifest past which nothing is logged of it: four of them would have to go into one object."""


class WriteAheadLog:
    def __init__(self, store: BaseStore[ItemRecord], cluster: LiveObjects) -> None:
        self._store, self._cluster = store, cluster

    async def append(self, session: SyncSession, request: RunRequest, items: Iterable[Item]) -> None:
        """Store what is about to be written to the cluster, with all checkpoints before it; nothing is written before this returns."""
        logged = 0
        for item in items:
            item.logged = self.put(session, item)
            if item.logged and item.may_go(request.may, Side.git) and request.review in (None, session.branch):
                cluster = item.decision.cluster.value if item.decision.cluster else None
                self._put_push(session, item, Base(item.git_goal, cluster) if item.git_goal and cluster else None)
            logged += item.logged
            if logged % _BATCH == 0:
                session.records.evict()
        if logged:
            await self.flush(session, request)

    @staticmethod
    def put(session: SyncSession, item: Item) -> bool:
        """Log what is about to be written, for the next flush to store. False where it is too large to be logged."""
        if not session.logs or len(item.git.value if item.git else orjson.dumps(item.live and item.live.view)) > _LARGE:
            return False
        intent = Intent.of(item.decision, item.git_view, item.live.view if item.live else None)
        intent = replace(intent, git=SideIntent(item.git_view, item.git_goal))
        known = session.records.get(item.key)
        bare = known or ItemRecord(item.key, Watermark(item.target, UNKNOWN, UNKNOWN), None)
        session.records.put(replace(bare, intent=intent))
        return True

    def put_push(self, session: SyncSession, item: Item, then: Base | None) -> bool:
        """Log what is about to be pushed, and what is agreed on once it is. False where it is too large to be logged."""
        if not self.put(session, item):
            return False
        self._put_push(session, item, then)
        return True

    @staticmethod
    def _put_push(session: SyncSession, item: Item, then: Base | None) -> None:
        known, onto = session.records.get(item.key), session.index.commit
        assert known is not None
        same = known.pushes is not None and known.pushes.onto == onto
        before = known.pushes if known.pushes and same else Pushes(onto, item.git_view, ())
        small = not before.bases or len(orjson.dumps([b and (b.git, b.live) for b in before.bases])) <= _LARGE
        session.records.put(replace(known, pushes=before.with_push(then, remember_others=small)))

    async def keep(self, session: SyncSession, request: RunRequest, items: Iterable[Item]) -> None:
        """Store what is about to be written to either side, before anything of it is: whoever comes after goes on with it."""
        for number, item in enumerate(items, start=1):
            self.put(session, item)
            if number % _BATCH == 0:
                session.records.evict()
        await self.flush(session, request)

    async def flush(self, session: SyncSession, request: RunRequest) -> None:
        """Store all that changed since the last flush."""
        await self._store.save(request.namespace, request.name, request.uid, session.records)

    async def recover(self, session: SyncSession, request: RunRequest, item: Item) -> None:
        """Bring the base of an item that is in doubt to what it would be, had the process that logged it gone on."""
        known = session.records.get(item.key)
        if known is None or not known.in_doubt:
            return
        intent, live = known.intent, item.live
        waiting = known.pushes if known.pushes and known.pushes.onto == session.index.commit else None
        landed = None if waiting else known.pushes
        stored = None
        if intent and intent.cluster.is_new and live is not None:
            with contextlib.suppress(Refused, Forbidden):
                stored = await self._cluster.as_stored(item.kind, request.namespace, intent.cluster.goal, live)
        git = item.kind.view(orjson.loads(item.git.value)) if item.git else None
        keys = item.kind.schema.list_keys
        found = recover(known.base, intent, landed, git, live.view if live else None, stored=stored, list_keys=keys)
        left = intent if intent and intent.cluster.is_new and live is not None and stored is None else None
        is_asked_for = intent and (intent.deletes or (intent.git.is_new and request.prefix_before is not None))
        if intent and is_asked_for and intent.stands(git, live.view if live else None):
            item.begun = left = intent
        if found is None and left is None and waiting is None:
            session.records.delete(item.key)
            item.record = None
            return
        if known.base and found and item.kind.selects(known.base.live) and not item.kind.selects(found.live):
            item.record = known.released()
            session.records.put(item.record)
            return
        same = found == known.base
        mark = known.mark if same else Watermark(item.path or known.path, UNKNOWN, UNKNOWN)
        made = ItemRecord(item.key, mark, found, left, waiting)
        if made != known:
            session.records.put(made)
        item.record = made if made.base else None
