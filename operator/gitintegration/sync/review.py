"""Where the default branch takes changes by review only: what is ahead is offered on another (`spec.sync.push.branch`).

What was offered stays ahead until the default branch has it, however it got there: content decides. It is not committed
again. The branch follows the default branch by merge commits, never by force. Deleted, it stays away until there is
something new to offer. What reviewers wrote there is theirs: it is merged with, by field, and never reverted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.diff import UnappliableError, apply, diff
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.layout import Layout, commit_message
from gitintegration.core.merge import Base
from gitintegration.core.plan import PlannedChange
from gitintegration.core.pull_request import pull_request_text
from gitintegration.core.state.record import UNKNOWN, ItemRecord, Proposal, Watermark
from gitintegration.core.values import Json, ObjectKey
from gitintegration.errors import GitIntegrationError, Reason, RemoteError, StaleRemote
from gitintegration.forge.dialects import Draft
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import target_of
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import CacheCorruptError
from gitintegration.git.workers import Workers
from gitintegration.sync import history
from gitintegration.sync.branches import SECONDS, Branches, Place, merged, same_value
from gitintegration.sync.files import Committed, Edit, Edits, Ground
from gitintegration.sync.item import Item, Request, Tally, summary
from gitintegration.sync.observe import Head
from gitintegration.sync.refused import names
from gitintegration.sync.workspace import Offered, Workspace

_SHARED = "shared"
"""Stands for the blob of a file that others edited on the branch as well: it is not ours to write anew."""


def _proposal(ws: Workspace, key: ObjectKey) -> Proposal | None:
    return ws.offers.get(key) if ws.offers is not None else None


class Review:
    """Keeps the review branch of an integration."""

    def __init__(
        self, git: GitClient, workers: Workers, store: BaseStore[Proposal], branches: Branches, forges: Forges
    ) -> None:
        self._git, self._workers, self._store, self._branches = git, workers, store, branches
        self._forges = forges

    async def load(self, ws: Workspace, request: Request) -> None:
        if ws.offers is None:
            ws.offers = await self._store.load(request.namespace, request.uid)
        if any(mark.resource_version not in ("", request.review) for mark in ws.offers.marks.values()):
            ws.offers.clear()  # they were made on another branch

    async def forget_all(self, ws: Workspace, namespace: str, name: str) -> None:
        """What was offered to another repository is not offered to this one."""
        ws.offers = None
        await self._store.forget(namespace, name, ws.uid)

    @staticmethod
    def take_over(ws: Workspace, item: Item) -> None:
        """Where the default branch took what was offered, both sides agreed on that, whatever either did since."""
        offer = _proposal(ws, item.key)
        if offer is None or not offer.is_open or not same_value(offer.offered, item.git_view):
            return
        if offer.offered is None:
            ws.records.delete(item.key)
            item.record = None
        elif offer.cluster is not None and item.git is not None:
            mark = Watermark(item.git.path, UNKNOWN, UNKNOWN)
            item.record = ItemRecord(item.key, mark, Base(offer.offered, offer.cluster))
            ws.records.put(item.record)

    @staticmethod
    def find_work(ws: Workspace, head: Head) -> None:
        """All that is ahead, and all that was, is planned anew where one of the two branches moved."""
        assert ws.offers is not None
        if (head.review, head.commit) != ws.review_ground:
            ws.table.suspect(list(ws.table.open_local()))
            ws.table.suspect(key for key, mark in ws.offers.marks.items() if mark.resource_version)

    @staticmethod
    def left_out(ws: Workspace, request: Request, head: Head, wanted: Sequence[Item]) -> list[ObjectKey]:
        """What else belongs on a branch that has to be made because something new is to be offered."""
        if head.review is not None or not any(_is_new(ws, request, item) for item in wanted):
            return []
        there = {item.key for item in wanted}
        return sorted(key for key in ws.table.open_local() if key not in there)

    @staticmethod
    def withdrawn(
        ws: Workspace, request: Request, head: Head, keys: Sequence[ObjectKey], items: Sequence[Item]
    ) -> list[Item]:
        """What was offered and is not ahead any more, though the default branch did not take it.

        `keys`: all that was looked at. What is on neither side is no item of a sync.
        """
        assert ws.offers is not None
        if head.review is None:
            return []
        planned = {item.key: item for item in items}
        found = []
        for key in keys:
            offer = _proposal(ws, key)
            kind = request.kinds.get((key.group, key.kind))
            if offer is None or not offer.is_open or kind is None:
                continue
            item = planned.get(key)
            gone = ws.table.reconciled(key) is None and not ws.index.knows(key)
            if item is None and gone:
                item = Item(key, kind, None, None, None)
            calm = item and not (item.decision.local_ahead or item.decision.conflict or item.problem)
            if item and calm and same_value(item.git_view, offer.default):
                found.append(item)
        return found

    async def offer(
        self, ws: Workspace, request: Request, layout: Layout, head: Head, items: Sequence[Item], tally: Tally
    ) -> None:
        """Have the branch hold these items as the cluster does. Raises StaleRemote where it moved."""
        assert ws.offers is not None
        branch = head.review_branch or ""
        fresh = {item.key for item in items if _is_new(ws, request, item)}
        if not items or (head.review is None and not fresh):
            follows = ws.offered.follows if ws.offered and ws.offered.branch == branch else True
            ws.review_ground, ws.offered = (head.review, head.commit), Offered(branch, head.review, follows)
            return
        ws.proposed = ws.proposed and not fresh
        ground, follows = await self._ground(ws, request, head, fresh=bool(fresh))
        if head.review not in ground.parents:  # the branch begins anew: nothing on it is open
            ws.offers.clear()
            fresh = {item.key for item in items}
        commit, blobs = head.review, dict[str, str]()
        known = {key: mark.path for key, mark in ws.offers.marks.items()}
        places = await self._branches.places(ws, request, layout, ground, items, known)
        items = [item for item in items if item.key in places]
        fresh &= places.keys()
        edits = self._edits(ws, request, ground, places, items, fresh)
        if edits or ground.is_merge:
            made = await self._commit(ws, request, head, ground, edits, [i for i in items if i.problem is None])
            if made.commit is not None:
                try:
                    await self._branches.push(ws, request, head.review_ref, head.review, made)
                except RemoteError as error:
                    if _set_aside(ws, items, places, error):
                        raise StaleRemote("the server declines a file: the others are offered without it") from None
                    raise
                commit = made.commit.sha
                tally.commits.append(commit)
                tally.lossy += made.edited.lossy
            failed = dict(made.edited.failed)
            for item in items:
                if item.key in failed:
                    item.problem = Problem(item.path, InvalidReason.Refused, failed[item.key])
            blobs = {path: blob or "" for path, blob in made.edited.blobs.items()}
            if ground.onto == head.commit:
                blobs = {**self._of_default(ws, ground), **blobs}
        done = fresh | {edit.key for _, changes in edits.values() for edit in changes}
        self._remember(ws, request, [i for i in items if i.key in done and i.problem is None], places, blobs)
        ws.review_ground, ws.offered = (commit, head.commit), Offered(branch, commit, follows)

    async def propose(self, ws: Workspace, request: Request, head: Head, tally: Tally) -> bool:
        """The pull request of what is offered. False where it has to be tried again; that stops nothing else."""
        if not request.spec.sync.push.create_pull_request or ws.offered is None or ws.offered.commit is None:
            return True
        try:
            target = target_of(request.spec.provider, request.remote, request.api_token)
            if not ws.proposed:
                if changes := self._changes(ws, request):
                    title, body = pull_request_text(changes, integration=request.name, namespace=request.namespace)
                    made = await self._forges.ensure(target, ws.offered.branch, head.branch, Draft(title, body))
                    ws.pull_request = made.to_status()
                ws.proposed = True
            elif ws.pull_request and ws.pull_request["state"] == "open":
                ws.pull_request = (await self._forges.get(target, int(ws.pull_request["number"]))).to_status()
        except GitIntegrationError as error:
            tally.troubles.append(error)
        return ws.proposed

    @staticmethod
    def _changes(ws: Workspace, request: Request) -> list[PlannedChange]:
        """All that is on offer."""
        assert ws.offers is not None
        found = []
        for key, mark in ws.offers.marks.items():
            offer, kind = _proposal(ws, key), request.kinds.get((key.group, key.kind))
            pending = ws.table.open.get(key)
            if offer is None or not offer.is_open or kind is None or same_value(offer.offered, offer.default):
                continue
            name = pending.id if pending else key.name
            keys = kind.schema.list_keys
            found.append(PlannedChange.of(key, name, mark.path, offer.default, offer.offered, keys))
        return found

    async def save(self, ws: Workspace, request: Request, planned: Sequence[Item]) -> None:
        """Keep what was offered, once it is on the branch. What is no longer ahead may be offered again one day."""
        assert ws.offers is not None
        for item in planned:
            record = ws.offers.get(item.key)
            if record is not None and record.is_open and not item.decision.local_ahead:
                ws.offers.put(replace(record, branch=""))
        await self._store.save(request.namespace, request.name, request.uid, ws.offers)

    # --- the ground ---------------------------------------------------------------------------------------------------

    async def _ground(self, ws: Workspace, request: Request, head: Head, *, fresh: bool) -> tuple[Ground, bool]:
        """What the next commit of the branch is made on, and whether the branch holds all of the default branch then."""
        ours, theirs = head.review, head.commit
        if ours is None or theirs is None:
            return Ground.on(ours or theirs), True
        try:
            return await self._meet(ws, request, ours, theirs, fresh=fresh)
        except CacheCorruptError:
            for commit in (ours, theirs):
                await self._git.fetch(request.remote, ws.directory, commit, None, history.LOOK_BACK)
            return await self._meet(ws, request, ours, theirs, fresh=fresh)

    async def _meet(
        self, ws: Workspace, request: Request, ours: str, theirs: str, *, fresh: bool
    ) -> tuple[Ground, bool]:
        await self._branches.have_tree(ws, request, ours)
        base = await self._branches.merge_base(ws, request, ours, theirs)
        if base == theirs:
            return Ground.on(ours), True
        if base == ours:
            return Ground.on(theirs if fresh else ours), True
        if base is None:
            return Ground.on(ours), False
        meeting = await self._workers.run(SECONDS, objects.meet, ws.directory, base, ours, theirs)
        assert ws.offers is not None
        own = {(mark.path, mark.blob) for mark in ws.offers.marks.values()}
        if any((path, blob) not in own for path, blob in meeting.both.items()):
            return Ground.on(ours), False
        # What is wholly ours is made anew on the default branch: it may have taken it, and moved or changed it since.
        taken = {path: kept for path, kept in meeting.alone.items() if (path, kept.sha if kept else "") not in own}
        return Ground((ours, theirs), theirs, taken), True

    # --- the commit ---------------------------------------------------------------------------------------------------

    def _edits(
        self,
        ws: Workspace,
        request: Request,
        ground: Ground,
        places: dict[ObjectKey, Place],
        items: Sequence[Item],
        fresh: set[ObjectKey],
    ) -> Edits:
        edits: Edits = {}
        for item in items:
            place = places[item.key]
            on_default = _on_default(item, place)
            if item.key not in fresh and not (ground.is_merge and on_default):
                continue
            edit = self._edit(ws, request, item, place, on_default=on_default)
            if edit is not None:
                edits.setdefault(place.path, (place.blob or None, []))[1].append(edit)
        return edits

    def _edit(self, ws: Workspace, request: Request, item: Item, place: Place, *, on_default: bool) -> Edit | None:
        """The edit that makes the branch hold the item; None where it does, or where a reviewer wrote otherwise."""
        offer = _proposal(ws, item.key)
        known = offer.offered if offer and offer.is_open and not on_default else item.git_view
        value, obstacle = merged(item, known, place.view(item), _wanted(item))
        if obstacle:
            words = f"{item.key} on branch {request.review} holds {obstacle}: make it equal there or in the cluster"
            item.problem = Problem(place.path, InvalidReason.Refused, words)
            return None
        return self._branches.edit(item, place, value)

    async def _commit(
        self,
        ws: Workspace,
        request: Request,
        head: Head,
        ground: Ground,
        edits: Edits,
        items: Sequence[Item],
    ) -> Committed:
        edited = {edit.key for _, changes in edits.values() for edit in changes}
        message = f"Merge {head.branch} into {request.review}\n"
        if edited and not ground.is_merge:
            message = commit_message(
                summary([item for item in items if item.key in edited]),
                integration=request.name,
                namespace=request.namespace,
                template=request.spec.sync.push.message_template,
            )
        return await self._branches.commit(ws, request, ground, edits.items(), message)

    @staticmethod
    def _of_default(ws: Workspace, ground: Ground) -> dict[str, str]:
        """The files with offers that a commit on the default branch's tree has just as that has them."""
        assert ws.offers is not None
        paths = {mark.path for mark in ws.offers.marks.values()} - ground.taken.keys()
        return {path: ws.index.files[path].blob if path in ws.index.files else "" for path in paths}

    @staticmethod
    def _remember(
        ws: Workspace, request: Request, offered: Sequence[Item], places: dict[ObjectKey, Place], blobs: dict[str, str]
    ) -> None:
        """`blobs`: what the branch holds now of the files that were written."""
        offers = ws.offers
        assert offers is not None
        before: dict[str, set[str]] = {}
        for mark in offers.marks.values():
            before.setdefault(mark.path, set()).add(mark.blob)
        ours: dict[str, bool] = {}
        for item in offered:
            place, value = places[item.key], _wanted(item)
            mine = not place.blob or _on_default(item, place) or {place.blob} == before.get(place.path)
            ours[place.path] = mine and ours.get(place.path, True)
            live = item.live.view if item.live else None
            branch = request.review or ""
            offers.put(Proposal(item.key, place.path, place.blob, branch, value, live, item.git_view))
        for key, mark in list(offers.marks.items()):
            blob = blobs.get(mark.path, mark.blob) if ours.get(mark.path, True) else _SHARED
            if blob != mark.blob and (record := offers.get(key)):
                offers.put(replace(record, blob=blob))


def _set_aside(ws: Workspace, items: Sequence[Item], places: dict[ObjectKey, Place], error: RemoteError) -> bool:
    """Whether a push was declined for files that the server named, which are left out of the next one."""
    named = [
        item for item in items if error.reason is Reason.PushRejected and names(error.message, places[item.key].path)
    ]
    for item in named:
        ws.refused.add(item, places[item.key].path, error.message)
    return bool(named)


def _on_default(item: Item, place: Place) -> bool:
    """Whether the branch has the item's file just as the default branch has it; neither has one counts."""
    return place.blob == (item.git.blob if item.git and item.git.path == place.path else "")


def _wanted(item: Item) -> Json | None:
    """What the branch should hold of it; of what is not ahead any more, what the default branch holds."""
    value = item.decision.git.value if item.decision.git else item.git_view
    return item.kind.schema.strip_defaults(value) if item.git is None and value is not None else value


def _is_new(ws: Workspace, request: Request, item: Item) -> bool:
    """Whether it holds a change that was not offered yet; what the default branch changed since is none."""
    offer, value = _proposal(ws, item.key), _wanted(item)
    if offer is None or not offer.is_open:
        return True
    if None in (offer.offered, value, offer.default, item.git_view):
        return not same_value(offer.offered, value)
    keys = item.kind.schema.list_keys
    try:
        carried = apply(diff(offer.default, offer.offered, keys), item.git_view)
    except UnappliableError:
        return True
    return bool(diff(carried, value, keys))
