"""Reads items on both sides and decides what should become of each. Writes nothing but what is remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

import orjson

from gitintegration.core.diff import same
from gitintegration.core.layout import Layout
from gitintegration.core.plan.policy import Policy, Side
from gitintegration.core.state.claim import Claim, claim
from gitintegration.core.state.evidence import Standing
from gitintegration.core.state.item import Left, OpenItem, Phase, Why
from gitintegration.core.state.record import ItemRecord
from gitintegration.core.values import Json, ObjectKey
from gitintegration.errors import Forbidden, KindUnavailable, Refused
from gitintegration.git.workers import Workers
from gitintegration.reconcile.decide import Decider, base_of, is_edited
from gitintegration.reconcile.handover import Handover
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.reconcile.mirror import GitMirror
from gitintegration.reconcile.rivals import BranchFile
from gitintegration.reconcile.wal import WriteAheadLog
from gitintegration.session.live_objects import NOTHING, Kind, LiveObject, LiveObjects, Prefetched, by_kind
from gitintegration.session.session import SyncSession


class Reader:
    def __init__(
        self,
        objects: LiveObjects,
        mirror: GitMirror,
        workers: Workers,
        wal: WriteAheadLog,
        adopt: Callable[[SyncSession, Item], None],
        now: Callable[[], float],
        batch: int,
    ) -> None:
        """`adopt` takes what a review has brought to the default branch for agreed. `now` in seconds."""
        self._objects, self._mirror, self._wal, self._adopt = objects, mirror, wal, adopt
        self._decider, self._handover, self._batch = Decider(objects, now), Handover(workers), batch

    async def prefetch(self, request: RunRequest, keys: Sequence[ObjectKey]) -> Prefetched:
        """List the kinds of which so many of these are wanted that it is the cheaper way."""
        return await self._objects.prefetch(request.kinds, request.namespace, keys)

    async def live(
        self, request: RunRequest, kind: Kind, wanted: Mapping[str, str], ahead: Prefetched | None
    ) -> dict[str, LiveObject]:
        """Objects by name, each in the version that `wanted` names."""
        return await self._objects.read(kind, request.namespace, wanted, ahead or NOTHING)

    async def holds(self, request: RunRequest, item: Item) -> bool:
        """Whether the cluster holds the item's manifest already, as it would store it."""
        if item.live is None:
            return False
        try:
            stored = await self._objects.as_stored(item.kind, request.namespace, item.manifest, item.live)
        except (Refused, Forbidden):
            return False
        return same(stored, item.live.view)

    async def read(
        self,
        session: SyncSession,
        request: RunRequest,
        layout: Layout,
        keys: Sequence[ObjectKey],
        ahead: Prefetched | None = None,
    ) -> list[Item]:
        """Read these items on both sides and decide; what is none of the integration's is left out.

        A kind that can't be read is told in `session.away`, and its items wait, unless no kind can be read.
        """
        items: list[Item] = []
        if ahead is None:
            ahead = await self.prefetch(request, keys)
        for kind_id, names in by_kind(keys, request.kinds).items():
            if kind_id in session.away:
                continue
            kind = request.kinds[kind_id]
            for start in range(0, len(names), self._batch):
                try:
                    items += await self._plan_batch(
                        session, request, layout, kind, names[start : start + self._batch], ahead
                    )
                except (KindUnavailable, Forbidden) as error:
                    session.away[kind_id] = error
                    self._objects.forget(kind)
                    break
        return items

    async def _plan_batch(
        self,
        session: SyncSession,
        request: RunRequest,
        layout: Layout,
        kind: Kind,
        keys: list[ObjectKey],
        ahead: Prefetched,
    ) -> list[Item]:
        number = session.table.number  # before they are read: what moves from now on is due again
        records = {key: _agreed(session.records.get(key)) for key in keys}
        versions = {}
        for key in keys:
            git, record = session.index.items.get(key), records[key]
            versions[key.name] = (
                git.api_version
                if git
                else (record.base.live["apiVersion"] if record and record.base else kind.kind.api_version)
            )
        present = await self._objects.read(kind, request.namespace, versions, ahead)
        if any(record is not None and key.name not in present for key, record in records.items()):
            records = await self._evident(session, request, kind, records)
        seen = []
        for key in keys:
            item = Item(key, kind, records[key], session.index.items.get(key), present.get(key.name), number=number)
            if session.logs and key in session.records.in_doubt and not session.index.frozen(key, item.path):
                await self._wal.recover(session, request, item)
            seen.append(item)
        known = {item.record.path for item in seen if item.record and layout.could_hold(item.record.path)}
        covered = await self._mirror.unignored(layout, known)
        items = []
        for item in seen:
            if self._is_ours(session, request, covered, item) and await self._is_served(session, item):
                self._adopt(session, item)
                await self._decider.decide(session, request, item)
                self._note_reason(session, request, item)
                items.append(item)
            elif item.moved and await self._handover.may_remove(session, request, item):
                items.append(item)
        return items

    @staticmethod
    def _note_reason(session: SyncSession, request: RunRequest, item: Item) -> None:
        """The reason of an edit that a process before this one has carried is to be taken off."""
        if request.may.to_git and item.live and item.live.reason and item.record and not item.decision.local_ahead:
            session.reasons[item.key] = item.live.reason

    async def _evident(
        self, session: SyncSession, request: RunRequest, kind: Kind, records: dict[ObjectKey, ItemRecord | None]
    ) -> dict[ObjectKey, ItemRecord | None]:
        """The records, where that an object is not there says that it was deleted.

        Raises KindUnavailable where it says nothing; where all went with the kind's definition, nothing was agreed on.
        """
        match await self._objects.standing(kind, request.namespace):
            case Standing.served:
                return records
            case Standing.remade:
                forget_base(session, [key for key in session.records.marks if (key.group, key.kind) == kind.id])
                return dict.fromkeys(records)
        words = f"{kind.kind.kind} ({kind.kind.api_version}) or namespace {request.namespace} is being removed: what goes with it is no delete, "
        raise KindUnavailable(words + "and git keeps it; install the CRD again, or delete this GitIntegration")

    def _is_ours(self, session: SyncSession, request: RunRequest, covered: Set[str], item: Item) -> bool:
        """Not ours: frozen, ignored, somebody's output, or without the labels that are asked for."""
        known_path = item.record.path if item.record else None
        if item.git is not None:
            item.manifest = orjson.loads(item.git.value)
            item.git_view = item.kind.view(item.manifest)
        if session.index.frozen(item.key, known_path):
            found = claim_of(item, base_of(item).git) if item.record else Claim.ours
            if found is Claim.let_go:
                return self._let_go(session, item)
            if found is Claim.moved:
                return self._release(session, request, item)
            edited = item.live is not None and (item.record is None or is_edited(item))
            why = session.index.blank(item.key, known_path)
            frozen = OpenItem(Phase.UNREADABLE, edited, False, item.path, item.id, problem=why)
            return self._leave(session, item, frozen if frozen.is_told else None)
        if item.git is None and known_path and known_path not in covered:
            return self._leave(session, item, why=Why.Ignored)
        if item.live is not None and item.live.leaving:
            return self._leave(session, item, session.table.open.get(item.key))
        if item.live is not None and item.live.controlled and item.record is None and item.git is None:
            return self._leave(session, item, why=Why.Controlled)
        match claim_of(item, item.manifest):
            case Claim.ours:
                session.let_go.pop(item.key, None)
                return self._is_ours_alone(session, request, item)
            case Claim.moved if _is_drift(request, item):
                session.let_go.pop(item.key, None)
                return self._is_ours_alone(session, request, item)
            case Claim.moved if item.git is None:
                return self._let_go(session, item)
            case Claim.moved:
                return self._release(session, request, item)
            case Claim.let_go:
                return self._let_go(session, item)
            case Claim.nobodys:
                return self._leave(session, item, why=Why.NotSelected)

    def _is_ours_alone(self, session: SyncSession, request: RunRequest, item: Item) -> bool:
        """Whether no other integration claims it; what another agreed on with the same file goes over with it."""
        here = BranchFile(request.remote.url, session.branch, item.path, item.git.blob if item.git else "")
        for rival in request.rivals:
            if rival.claims(item.key, item.live, here, known=item.record is not None):
                before = session.table.open.get(item.key)
                if before is None or before.rival != rival.name:
                    session.nudges.setdefault(rival.name, set()).add(item.key)
                rests = OpenItem(Phase.OVERLAP, False, False, item.path, item.id, rival=rival.name)
                return self._leave(session, item, rests)
        if item.record is None and item.git is not None and session.logs:
            agreed = (rival.agreed(item.key, here) for rival in request.rivals)
            if taken := next((each for each in agreed if each), None):
                item.record = taken
                session.records.put(taken)
        return True

    def _let_go(self, session: SyncSession, item: Item) -> bool:
        if session.logs:
            session.release(item.key)
        return self._leave(session, item, why=Why.NotSelected)

    def _release(self, session: SyncSession, request: RunRequest, item: Item) -> bool:
        """Its labels went to somebody else."""
        if not session.logs:
            return self._leave(session, item, why=Why.NotSelected)
        if item.git is None and (own := self._handover.own_file(session, request, item)):
            item.git, item.git_view = own, item.kind.view(orjson.loads(own.value))
        item.moved = item.git is not None
        return self._leave(session, item, self._handover.release(session, item))

    @staticmethod
    def _leave(session: SyncSession, item: Item, rests: OpenItem | None = None, why: Why | None = None) -> bool:
        """Have it rest, with no plan. `why`: it is not carried at all. Gives False."""
        left = _left(item, why) if why else None
        session.table.checkpoint(item.key, item.version, item.number, rests, left)
        return False

    async def _is_served(self, session: SyncSession, item: Item) -> bool:
        """Whether its file names a version that is served, or one that never was: that one is the file's own fault.

        A version that is not served any more is told once, and what is in it waits as it is.
        """
        if item.git is None or item.record is None or base_of(item).git["apiVersion"] != item.git.api_version:
            return True
        if await self._objects.version(item.kind, item.git.api_version) is not None:
            return True
        kind = item.kind.kind
        words = f"files name {item.git.api_version} of {kind.kind}, which the cluster no longer serves; nothing of them is written or deleted: "
        words += f"have its CRD serve that version again, or name {kind.api_version} in them"
        session.away[item.git.api_version, kind.kind] = KindUnavailable(words)
        return self._leave(session, item, OpenItem(Phase.WAITING, is_edited(item), False, item.path, item.id))


def _left(item: Item, why: Why) -> Left | None:
    if item.live is None:
        return Left(why, Side.git.value, item.path) if item.git else None
    return Left(why, Side.cluster.value, item.path) if item.path else _LEFT.setdefault(why, Left(why, "cluster"))


_LEFT: dict[Why, Left] = {}
"""One of each for all: there may be as many as a namespace has objects."""


def _is_drift(request: RunRequest, item: Item) -> bool:
    """Whether a label that moved is a hand edit that git takes back: where git always wins, and nobody else asks for the item."""
    if item.live is None or not Policy.of(request.spec).reverts or not item.kind.selects(item.manifest):
        return False
    return not any(rival.selects(item.key, item.live.whole) for rival in request.rivals)


def claim_of(item: Item, git: Json | None) -> Claim:
    """Whose an item is, where git holds this."""
    base = item.record.base if item.record else None
    released = item.released and base is not None and (item.git_view is None or same(item.git_view, base.git))
    return claim(item.kind.selects, base, git, item.live.whole if item.live else None, released=released)


def _agreed(record: ItemRecord | None) -> ItemRecord | None:
    """A row of an intent alone agrees on nothing."""
    return record if record and record.base else None


def forget_base(session: SyncSession, keys: Iterable[ObjectKey]) -> None:
    """As if these had never been synced: they are looked at anew."""
    keys = list(keys)
    for key in keys:
        session.records.delete(key)
    session.table.forget(keys)
    session.resume_point = None
