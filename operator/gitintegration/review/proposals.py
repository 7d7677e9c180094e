"""What is proposed on the review branch, item by item: what is new, what was taken, what is not ahead any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gitintegration.core.diff import UnappliableError, apply, diff, same_value
from gitintegration.core.merge import Base
from gitintegration.core.plan.plan import PlannedChange
from gitintegration.core.state.record import UNKNOWN, ItemRecord, Proposal, Watermark
from gitintegration.core.values import ObjectKey
from gitintegration.reconcile.branches import Target
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.session.session import SyncSession

_SHARED = "shared"
"""Stands for the blob of a file that others edited on the branch as well: it is not ours to write anew."""


def proposal_of(session: SyncSession, key: ObjectKey) -> Proposal | None:
    return session.proposals.get(key) if session.proposals is not None else None


def adopt_merged(session: SyncSession, item: Item) -> None:
    """Where the default branch took what was offered, both sides agreed on that, whatever either did since."""
    proposal = proposal_of(session, item.key)
    if proposal is None or not proposal.is_open or not same_value(proposal.offered, item.git_view):
        return
    if proposal.offered is None:
        session.records.delete(item.key)
        item.record = None
    elif proposal.cluster is not None and item.git is not None:
        mark = Watermark(item.git.path, UNKNOWN, UNKNOWN)
        item.record = ItemRecord(item.key, mark, Base(proposal.offered, proposal.cluster))
        session.records.put(item.record)


def missing(session: SyncSession, head: RemoteHeads, wanted: Sequence[Item]) -> list[ObjectKey]:
    """What else belongs on a branch that has to be made because something new is to be offered."""
    if head.review is not None or not any(is_new(session, item) for item in wanted):
        return []
    there = {item.key for item in wanted}
    return sorted(key for key in session.table.open_local() if key not in there)


def stale(session: SyncSession, request: RunRequest, head: RemoteHeads, items: Sequence[Item]) -> list[Item]:
    """What was offered and is not ahead any more, though the default branch did not take it.

    What is on neither side is no item of a sync.
    """
    assert session.proposals is not None
    if head.review is None:
        return []
    planned = {item.key: item for item in items}
    found = []
    for key in [key for key, mark in session.proposals.marks.items() if mark.resource_version]:
        proposal = proposal_of(session, key)
        kind = request.kinds.get((key.group, key.kind))
        if proposal is None or kind is None:
            continue
        item = planned.get(key)
        if item is None and session.table.reconciled(key) is None and not session.index.knows(key):
            item = Item(key, kind, None, None, None)
        calm = item and not (item.decision.local_ahead or item.decision.conflict or item.problem)
        if item and calm and same_value(item.git_view, proposal.default):
            found.append(item)
    return found


def is_new(session: SyncSession, item: Item) -> bool:
    """Whether it holds a change that was not offered yet; what the default branch changed since is none."""
    proposal, value = proposal_of(session, item.key), item.git_goal
    if proposal is None or not proposal.is_open:
        return True
    if None in (proposal.offered, value, proposal.default, item.git_view):
        return not same_value(proposal.offered, value)
    keys = item.kind.schema.list_keys
    try:
        carried = apply(diff(proposal.default, proposal.offered, keys), item.git_view)
    except UnappliableError:
        return True
    return bool(diff(carried, value, keys))


def is_as_default(item: Item, place: Target) -> bool:
    """Whether the branch has the item's file just as the default branch has it; neither has one counts."""
    return place.blob == (item.git.blob if item.git and item.git.path == place.path else "")


def open_changes(session: SyncSession, request: RunRequest) -> list[PlannedChange]:
    """All that is on proposal."""
    assert session.proposals is not None
    found = []
    for key, mark in session.proposals.marks.items():
        proposal, kind = proposal_of(session, key), request.kinds.get((key.group, key.kind))
        pending = session.table.open.get(key)
        if proposal is None or not proposal.is_open or kind is None or same_value(proposal.offered, proposal.default):
            continue
        name = pending.id if pending else key.name
        keys = kind.schema.list_keys
        found.append(PlannedChange.of(key, name, mark.path, proposal.default, proposal.offered, keys))
    return found


def note(
    session: SyncSession,
    request: RunRequest,
    offered: Sequence[Item],
    places: dict[ObjectKey, Target],
    blobs: dict[str, str],
) -> None:
    """`blobs`: what the branch holds now of the files that were written."""
    offers = session.proposals
    assert offers is not None
    before: dict[str, set[str]] = {}
    for mark in offers.marks.values():
        before.setdefault(mark.path, set()).add(mark.blob)
    ours: dict[str, bool] = {}
    for item in offered:
        place, value = places[item.key], item.git_goal
        mine = not place.blob or is_as_default(item, place) or {place.blob} == before.get(place.path)
        ours[place.path] = mine and ours.get(place.path, True)
        live = item.live.view if item.live else None
        branch = request.review or ""
        offers.put(Proposal(item.key, place.path, place.blob, branch, value, live, item.git_view))
    for key, mark in list(offers.marks.items()):
        blob = blobs.get(mark.path, mark.blob) if ours.get(mark.path, True) else _SHARED
        if blob != mark.blob and (record := offers.get(key)):
            offers.put(replace(record, blob=blob))


def close(session: SyncSession, items: Sequence[Item]) -> None:
    """What is no longer ahead may be proposed again one day."""
    assert session.proposals is not None
    for item in items:
        known = session.proposals.get(item.key)
        if known is not None and known.is_open and not item.decision.local_ahead:
            session.proposals.put(replace(known, branch=""))
