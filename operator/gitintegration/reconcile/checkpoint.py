"""What is kept of an item when a run is through with it: what both sides agree on now, and where it rests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gitintegration.core.merge import Base, rebase
from gitintegration.core.people import Edit
from gitintegration.core.state.item import OpenItem, Phase
from gitintegration.core.state.record import UNKNOWN, ItemRecord, Watermark
from gitintegration.core.values import ObjectKey
from gitintegration.reconcile.item import Item, Verb
from gitintegration.session.session import SyncSession


def checkpoint(session: SyncSession, item: Item) -> None:
    """Move the base of an item as far as it was carried; what is left of it stays open."""
    decision = item.decision
    if not decision.local_ahead:
        session.edits.pop(item.key, None)
    if item.leaves:
        _release(session, item.key)
        return
    if not decision.conflict and (item.pulled or decision.settled):
        if item.git is None and item.live is None:
            _forget(session, item)
        elif item.git is not None and item.live is not None:
            _move_base(session, item)
    if item.raced or item.waits:
        session.table.rest(item.key, rests(item))
    else:
        session.table.checkpoint(item.key, item.version, item.number, rests(item))


def abandon(session: SyncSession, items: Iterable[Item | Staged]) -> None:
    """A run goes wrong: what was carried is kept, the rest is due still, and told as it stands."""
    for item in items:
        if isinstance(item, Staged):
            session.table.rest(item.key, item.before)
        elif item.carried:
            checkpoint(session, item)
        else:
            session.table.rest(item.key, rests(item))


def _move_base(session: SyncSession, item: Item) -> None:
    """The base as both sides have it now; a side with a change that was not carried is UNKNOWN in it."""
    assert item.git is not None
    assert item.live is not None
    whole = item.problem is None
    pulled = item.pulled or (not item.decision.remote_ahead and whole)
    pushed = not item.decision.local_ahead and whole
    base = rebase(item.decision, item.git_view, item.live.view, pulled=pulled, pushed=pushed)
    if base is None:
        return
    version = item.live.resource_version if pushed else UNKNOWN
    mark = Watermark(item.git.path, item.git.blob if pulled else UNKNOWN, version)
    known = session.records.get(item.key)
    intent = known.intent if known and not item.carried else None
    made = ItemRecord(item.key, mark, base, intent, known.pushes if known else None)
    if known is None or replace(made, mark=mark._replace(resource_version=known.mark.resource_version)) != known:
        session.records.put(made)


def _forget(session: SyncSession, item: Item) -> None:
    """Neither side has it. What may land of it yet must be known when it does."""
    known = session.records.get(item.key)
    session.records.delete(item.key)
    if known and known.pushes:
        mark = Watermark(known.path, UNKNOWN, UNKNOWN)
        session.records.put(ItemRecord(item.key, mark, None, pushes=known.pushes))


def _release(session: SyncSession, key: ObjectKey) -> None:
    """Keep what was agreed on before its object's labels made it somebody else's, and have it looked at again at once."""
    known = session.records.get(key)
    if known is not None:
        session.records.put(known.released())
    session.table.rest(key, None)


def rests(item: Item, *, pushed: bool = False) -> OpenItem | None:
    """Where an item stands as its run leaves it, or once it is `pushed`; None: both sides hold the same."""
    decision = item.decision
    local = decision.local_ahead and not pushed
    remote = decision.remote_ahead and not item.pulled
    if not (local or remote or decision.conflict or item.problem):
        return None
    problem = None if item.raced or item.waits else item.problem
    if item.held:
        phase = Phase.HELD
    elif problem:
        phase = Phase.BLOCKED
    elif decision.conflict:
        phase = Phase.CONFLICT
    else:
        phase = Phase.WAITING if item.waits else Phase.AHEAD
    values, mark = item.conflict_values, item.conflict_mark
    return OpenItem(phase, local, remote, item.path, item.id, decision.conflict, problem, values, mark)


# --- of what is edited, and not pushed yet ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Staged:
    """What is kept of an item whose edit is made: its values are in the pack and in its logged row."""

    key: ObjectKey
    number: int
    version: str
    target: str
    id: str
    verb: Verb
    before: OpenItem | None
    """Where it rests if nothing is pushed."""
    after: OpenItem | None
    """Where it rests once it is."""
    edit: Edit
    leaves: bool
    """Whether it is somebody else's by then."""
    takes_all: bool
    """Whether nothing of git is left ahead by then."""
    base: Base | None = None
    """What is agreed on then, where the log holds nothing of it."""

    @classmethod
    def of(cls, session: SyncSession, item: Item, base: Base | None) -> Staged:
        return cls(
            key=item.key,
            number=item.number,
            version=item.version,
            target=item.target,
            id=item.id,
            verb=item.verb,
            before=rests(item),
            after=rests(item, pushed=True),
            edit=item.edit(session),
            leaves=item.leaves,
            takes_all=item.pulled or not item.decision.remote_ahead,
            base=base,
        )


def base_once_pushed(item: Item) -> Base | None:
    """What both sides agree on when git holds what was decided; None: nothing, it is gone."""
    goal = item.git_goal
    if goal is None or item.live is None:
        return None
    pulled = item.pulled or not item.decision.remote_ahead
    base = rebase(item.decision, goal, item.live.view, pulled=pulled, pushed=True)
    return base or (item.record.base if item.record else None)


def install(session: SyncSession, staged: Staged) -> None:
    """Take the logged base of an item for agreed, now that git holds it: what a recovery would do."""
    git, known = session.index.items.get(staged.key), session.records.get(staged.key)
    if staged.leaves:
        _release(session, staged.key)
        return
    base = staged.base or (known.pushes.bases[-1] if known and known.pushes else None)
    if git is None or base is None:
        session.records.delete(staged.key)
    else:
        mark = Watermark(git.path, git.blob if staged.takes_all else UNKNOWN, staged.version)
        session.records.put(ItemRecord(staged.key, mark, base))
    session.edits.pop(staged.key, None)
    if staged.edit.reason:
        session.reasons[staged.key] = staged.edit.reason
    session.table.checkpoint(staged.key, staged.version, staged.number, staged.after)
