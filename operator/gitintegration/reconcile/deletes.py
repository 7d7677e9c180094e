"""Which deletes, and copies to another prefix, wait for a person: they are weighed all together, so each waits until all are counted."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gitintegration.core.layout import folder_of
from gitintegration.core.plan.deletes import COPY, DeleteLimit, held, is_confirmed
from gitintegration.core.plan.policy import Policy, Side, write_to
from gitintegration.core.status import HeldCopies, HeldDeletes
from gitintegration.core.values import ObjectKey
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.session.session import SyncSession


def kept_back(request: RunRequest, batch: Sequence[Item]) -> set[ObjectKey]:
    """Deletes, what shares a file with one that is deleted in git, and copies to another prefix than before."""
    paths = {item.target for item in batch if _deletes(item, Side.git)}
    mates = {i.key for i in batch if i.deletes or (i.decision.git is not None and i.target in paths)}
    return mates | ({i.key for i in batch if _is_new_in_git(i)} if request.prefix_before is not None else set())


def _is_new_in_git(item: Item) -> bool:
    return item.git is None and item.decision.git is not None and item.decision.git.value is not None


def _deletes(item: Item, side: Side) -> bool:
    write = write_to(item.decision, side)
    return write is not None and write.value is None


def hold_copies(session: SyncSession, request: RunRequest, items: Sequence[Item]) -> list[HeldCopies]:
    """What a changed prefix would write anew, by the rules of a mass delete; what lies below the new one already is not in it."""
    copies = [item for item in _of(request, items, COPY) if not _begun(item, COPY)]
    found = unconfirmed_copies(session, request, [i.key for i in copies])
    if found is None:
        return []
    for item in copies:
        item.held = True
    return [found]


def unconfirmed_copies(session: SyncSession, request: RunRequest, keys: Collection[ObjectKey]) -> HeldCopies | None:
    """These, where a changed prefix would have them written anew and a person has to say so."""
    if request.prefix_before is None:
        return None
    known, limit = len(session.records.marks.keys() | set(keys)), DeleteLimit.parse(request.spec.sync.max_deletes)
    wanted = held(COPY, keys, known=known, side_is_empty=session.index.empty, limit=limit, confirmed=request.confirmed)
    if wanted is None:
        return None
    folder = folder_of(request.spec.path_prefix)
    return HeldCopies(request.prefix_before, folder, len(keys), known, wanted, tuple(keys))


def hold_deletes(
    session: SyncSession, request: RunRequest, items: Sequence[Item], known: int, head: RemoteHeads
) -> list[HeldDeletes]:
    """By the mode, whatever this run may do: an operation adds and takes away writes, and never a hold."""
    limit, found = DeleteLimit.parse(request.spec.sync.max_deletes), list[HeldDeletes]()
    for side, empty in ((Side.cluster, session.index.empty), (Side.git, not is_peopled(request))):
        deletes = [item for item in _of(request, items, side) if not _begun(item, side)]
        keys = [i.key for i in deletes]
        wanted = held(side, keys, known=known, side_is_empty=empty, limit=limit, confirmed=request.confirmed)
        if wanted:
            names = tuple(sorted(key.name for key in keys))
            gone = head.branch if head.commit is None else ""
            stood = head.commit or session.last_seen
            found.append(HeldDeletes(side.value, len(keys), known, wanted, names, gone, stood, tuple(keys)))
            for item in deletes:
                item.held = True
    return found


def confirmed(request: RunRequest, items: Sequence[Item], *, reviewed: bool) -> list[Item]:
    """What is about to be written because a person named it. `reviewed`: what goes to git is proposed only, as long as it is named."""
    found = list[Item]()
    sides = (Side.cluster, *(() if reviewed else (Side.git, COPY)))
    for direction in sides if request.confirmed else ():
        some = _of(request, items, direction)
        left = [item for item in some if not _begun(item, direction)]
        if any(is_confirmed(direction, [i.key for i in each], request.confirmed) for each in (some, left) if each):
            found += [item for item in some if item.may_go(request.may, _side(direction))]
    return found


def _of(request: RunRequest, items: Sequence[Item], direction: str) -> list[Item]:
    """What the mode deletes on a side, or copies to another prefix."""
    if direction == COPY and request.prefix_before is None:
        return []
    mode, side = Policy.of(request.spec), _side(direction)
    is_one = _is_new_in_git if direction == COPY else lambda item: _deletes(item, side) and not item.handed_over
    return [item for item in items if is_one(item) and mode.admits(item.decision, side)]


def _side(direction: str) -> Side:
    return Side.git if direction == COPY else Side(direction)


def _begun(item: Item, direction: str) -> bool:
    """Whether a run before began with it: who was asked then is not asked again for what is left."""
    if item.begun is None:
        return False
    if direction == COPY:
        return item.begun.git.is_new
    return (item.begun.cluster if direction == Side.cluster else item.begun.git).is_gone


def is_peopled(request: RunRequest) -> bool:
    """Whether the namespace holds any object of the kinds."""
    return any(kind.informer.of(request.namespace) for kind in request.kinds.values())
