"""The write-ahead log of a sync: what is about to be written to either side is stored before it is, in the row of its item.

Only a checkpoint takes an intent away, in the same write that moves the base. What a process left in doubt is resolved by the
next reading of both sides.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import orjson

from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.state.record import UNKNOWN, Intent, ItemRecord, SideIntent, Watermark
from gitintegration.core.state.recovery import recover
from gitintegration.errors import Forbidden, Refused
from gitintegration.sync.cluster_side import ClusterSide
from gitintegration.sync.item import Item, Request, in_turn
from gitintegration.sync.workspace import Workspace

_BATCH = 500
"""Intents held open at a time; bounds memory."""
_LARGE = 100_000
"""Bytes of a manifest past which nothing is logged of it: four of them would have to go into one object."""


class WriteAheadLog:
    def __init__(self, store: BaseStore[ItemRecord], cluster: ClusterSide) -> None:
        self._store, self._cluster = store, cluster

    async def append(self, ws: Workspace, request: Request, items: Sequence[Item]) -> None:
        """Store what is about to be written to either side, with all checkpoints before it; nothing is written before this returns."""
        new = [item for item in items if not item.logged]
        if not new or not ws.logs:
            return
        for number, item in enumerate(in_turn(new), start=1):
            item.logged = True
            if intent := _intent_of(item):
                known = ws.records.get(item.key)
                bare = known or ItemRecord(item.key, Watermark(item.target, UNKNOWN, UNKNOWN), None)
                ws.records.put(replace(bare, intent=intent))
            if number % _BATCH == 0:
                ws.records.evict()
        await self.flush(ws, request)

    async def flush(self, ws: Workspace, request: Request) -> None:
        """Store all that changed since the last flush."""
        await self._store.save(request.namespace, request.name, request.uid, ws.records)

    async def recover(self, ws: Workspace, request: Request, item: Item) -> None:
        """Bring the base of an item that is in doubt to what it would be, had the process that logged it gone on."""
        known = ws.records.get(item.key)
        if known is None or known.intent is None:
            return
        intent, live = known.intent, item.live
        stored = None
        if intent.cluster.is_new and live is not None:
            with contextlib.suppress(Refused, Forbidden):
                stored = await self._cluster.as_stored(item.kind, request.namespace, intent.cluster.goal, live)
        git = item.kind.view(orjson.loads(item.git.value)) if item.git else None
        keys = item.kind.schema.list_keys
        found = recover(known.base, intent, git, live.view if live else None, stored=stored, list_keys=keys)
        left = intent if intent.cluster.is_new and live is not None and stored is None else None
        if found is None and left is None:
            ws.records.delete(item.key)
            item.record = None
            return
        same = found == known.base
        mark = known.mark if same else Watermark(item.path or known.path, UNKNOWN, UNKNOWN)
        made = ItemRecord(item.key, mark, found, left)
        ws.records.put(made)
        item.record = made if made.base else None


def _intent_of(item: Item) -> Intent | None:
    git, live = item.git_view, item.live.view if item.live else None
    if len(item.git.value if item.git else orjson.dumps(live)) > _LARGE:
        return None
    intent = Intent.of(item.decision, git, live)
    if git is None:
        intent = replace(intent, git=SideIntent(None, item.kind.schema.strip_defaults(intent.git.goal)))
    return intent
