"""Tells what is about to be written, in the cluster, before it is; and reads what a process that ended has left there.

The intents of one run are stored until the next run has something to tell, or the base moves without: then they are void.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import orjson

from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.base_shards import BaseRecord, ShardSet
from gitintegration.core.intent import Intent, Side, understood
from gitintegration.core.merge import Base
from gitintegration.core.values import ObjectKey
from gitintegration.errors import Forbidden, Refused
from gitintegration.sync.cluster_side import ClusterSide
from gitintegration.sync.item import Item, Request, in_turn

_BATCH = 500
"""Intents held open at a time; bounds memory."""
_LARGE = 100_000
"""Bytes of a manifest past which nothing is told of it: four of them would have to go into one object."""


@dataclass(slots=True)
class InFlight:
    """The intents of one integration."""

    stored: ShardSet
    keys: set[ObjectKey]
    """Those that are not remembered yet."""
    unclear: set[ObjectKey]
    """Those of which it is not known whether they came about."""
    of_this_run: bool = False
    understood: set[ObjectKey] = field(default_factory=set)
    """Those whose base was brought up to date by it, and is not stored yet: until it is, what was told is all that is known."""

    def carried(self, item: Item) -> None:
        """What became of an item is about to be remembered; what was not written, as far as is known, stays unclear."""
        if item.carried:
            self.keys.discard(item.key)
            self.unclear.discard(item.key)

    def moved(self, record: BaseRecord) -> None:
        """A base is about to be stored of which only a part of what was told is in: the rest is told on that one as well."""
        told = self.stored.get(record.key) if record.key in self.keys else None
        if told is not None:
            self.stored.put(replace(told, blob=f"{told.blob} {_digest(record)}"))

    def forget(self) -> None:
        """Of what is remembered nothing needs to be told any more."""
        needed = self.keys | self.understood
        if not needed:
            self.stored.clear()
        for key in self.stored.marks.keys() - needed:
            self.stored.delete(key)


class Intents:
    def __init__(self, store: BaseStore, cluster: ClusterSide) -> None:
        self._store, self._cluster = store, cluster

    async def load(self, base_store: BaseStore, namespace: str, uid: str) -> tuple[ShardSet, InFlight]:
        """The base; and what was told and not remembered, whose base is still what it was then."""
        base, stored = await base_store.load_with(self._store, namespace, uid)
        keys = {told.key for told in stored.records() if _is_on(told, base.get(told.key))}
        base.close_shards()
        return base, InFlight(stored, keys, set(keys))

    async def tell(self, flight: InFlight, request: Request, items: Sequence[Item]) -> None:
        """Store what is about to be written to either side. What is remembered is to be stored before."""
        flight.forget()
        for number, item in enumerate(in_turn(items), start=1):
            git, live = item.git_view, item.live.view if item.live else None
            item.told = True
            if len(item.git.value if item.git else orjson.dumps(live)) > _LARGE:
                continue
            intent = Intent.of(item.decision, git, live)
            goal = intent.git.goal if git is not None else item.kind.schema.strip_defaults(intent.git.goal)
            pairs = [git, goal], [live, intent.live.goal]
            flight.stored.put(BaseRecord(item.key, item.path, _digest(item.record), "", *pairs))
            flight.keys.add(item.key)
            flight.unclear.add(item.key)
            if number % _BATCH == 0:
                flight.stored.close_shards()
        await self._save(flight, request)
        flight.of_this_run = True

    async def void(self, flight: InFlight, request: Request) -> None:
        """The base is about to move: an intent of an earlier run would be taken for one that was told on it."""
        if flight.stored.marks and not flight.of_this_run:
            flight.forget()
        if flight.stored.changed:
            await self._save(flight, request)

    async def forget_all(self, flight: InFlight | None, namespace: str, name: str, uid: str) -> None:
        """What was about to be written to another repository is nothing to this one."""
        if flight is None:
            return
        for keys in (flight.keys, flight.unclear, flight.understood):
            keys.clear()
        flight.stored.clear()
        await self._store.save(namespace, name, uid, flight.stored)

    async def _save(self, flight: InFlight, request: Request) -> None:
        await self._store.save(request.namespace, request.name, request.uid, flight.stored)

    async def understand(self, flight: InFlight, request: Request, item: Item) -> BaseRecord | None:
        """The record of an item as it would be if it had been remembered, where it shows that what was told came about."""
        told, known, live = flight.stored.get(item.key), item.record, item.live
        if told is None or not _is_on(told, known):
            flight.keys.discard(item.key)
            flight.unclear.discard(item.key)
            return known
        intent = Intent(Side(*told.git), Side(*told.live))
        stored = None
        if intent.live.is_new and live is not None:
            with contextlib.suppress(Refused, Forbidden):
                stored = await self._cluster.as_stored(item.kind, request.namespace, intent.live.goal, live)
        before = Base(known.git, known.live) if known else None
        git = item.kind.view(orjson.loads(item.git.value)) if item.git else None
        keys = item.kind.schema.list_keys
        flight.unclear.discard(item.key)
        found = understood(before, intent, git, live.view if live else None, stored=stored, list_keys=keys)
        if found == before:
            return known
        flight.understood.add(item.key)
        if found is None:
            return None
        return BaseRecord(item.key, item.path or told.path, "", "", found.git, found.live)


def _is_on(told: BaseRecord, base: BaseRecord | None) -> bool:
    """Whether the base of an item is still one that its intent was told on."""
    return _digest(base) in told.blob.split(" ")


def _digest(record: BaseRecord | None) -> str:
    if record is None:
        return ""
    text = orjson.dumps([record.path, record.blob, record.resource_version, record.git, record.live])
    return hashlib.sha256(text).hexdigest()[:16]
