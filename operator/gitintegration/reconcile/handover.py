"""An item whose labels went to another integration: let go at once, and its file removed once the other has it."""

from __future__ import annotations

from gitintegration.commits.files import GitItem
from gitintegration.core.diff import diff
from gitintegration.core.merge import Decision, Write, holds
from gitintegration.core.plan.policy import Policy, Side
from gitintegration.core.state.item import OpenItem, Phase
from gitintegration.git import objects
from gitintegration.git.workers import Workers
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.reconcile.rivals import BranchFile, Rival
from gitintegration.session.session import SyncSession

_SECONDS = 60.0
"""Deadline of one look into a cache."""


class Handover:
    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    @staticmethod
    def release(session: SyncSession, item: Item) -> OpenItem:
        """Sync it no more. What was agreed on is kept as long as its file is there: it tells what is edited in that since."""
        assert item.record is not None
        session.tell_of(item.key)
        if (kept := item.record.released(item.path)) != session.records.get(item.key):
            session.records.put(kept)
        return OpenItem(Phase.RELEASED, path=item.path, id=item.id)

    @staticmethod
    def own_file(session: SyncSession, request: RunRequest, item: Item) -> GitItem | None:
        """Of an item that stands twice below the prefix, the one that is not the file of another integration below it."""
        theirs = [place for rival in request.rivals if (place := rival.place(item.key))]
        copies = session.index.copies(item.key)
        own = [
            c
            for c in copies
            if not any(p.is_like(BranchFile(request.remote.url, session.branch, c.path)) for p in theirs)
        ]
        return own[0] if len(own) == 1 < len(copies) else None

    async def may_remove(self, session: SyncSession, request: RunRequest, item: Item) -> bool:
        """Have the file of a released item go, where another integration holds the item in another file.

        One that was edited since stays, and is told; one that is, or may be, the other's as well stays.
        """
        assert item.record is not None
        assert item.record.base is not None
        holder = next((rival for rival in request.rivals if self._has(rival, item)), None)
        if item.live is None or holder is None:
            return False
        here, there = BranchFile(request.remote.url, session.branch, item.path), holder.place(item.key)
        if there is None or there.is_like(here):
            session.records.delete(item.key)
            session.let_go.pop(item.key, None)
            session.table.checkpoint(item.key, item.version, item.number)
            return False
        if there.may_be(here) and holder.session.index.commit is None:  # it has not looked at its repository yet
            session.nudges.setdefault(holder.name, set()).add(item.key)
            return False
        since = diff(item.record.base.git, item.git_view, item.kind.schema.list_keys)
        edited = not all(holds(item.live.view, change) for change in since)
        item.decision = Decision(git=Write(None), local_ahead=True)
        shared = there.may_be(here) and await self._is_one_repository(session, holder)
        if shared or edited or not Policy.of(request.spec).admits(item.decision, Side.git):
            rests = OpenItem(Phase.RELEASED, False, edited and not shared, item.path, item.id, rival=holder.name)
            session.table.checkpoint(item.key, item.version, item.number, rests)
            return False
        if not request.may.admits(item.decision, Side.git):  # an operation only looks
            session.table.suspect([item.key])
            return False
        session.let_go.pop(item.key, None)
        item.handed_over = True
        return True

    @staticmethod
    def _has(rival: Rival, item: Item) -> bool:
        live = item.live
        return live is not None and rival.selects(item.key, live.whole) and rival.holds(item.key, live)

    async def _is_one_repository(self, session: SyncSession, holder: Rival) -> bool:
        """Whether two addresses may be of one repository: then one cache knows the other's head."""
        ours, theirs = session, holder.session
        for directory, head in ((ours.directory, theirs.index.commit), (theirs.directory, ours.index.commit)):
            if head is None or not await self._workers.run(_SECONDS, objects.missing, directory, [head]):
                return True
        return False
