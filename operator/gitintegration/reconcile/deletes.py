"""Which deletes, and copies to another prefix, wait for a person: they are weighed all together, so each waits until all are counted."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gitintegration.core.layout import folder_of
from gitintegration.core.plan.deletes import COPY, DeleteLimit, held
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


def hold_copies(session: SyncSession, request: RunRequest, items: list[Item]) -> list[HeldCopies]:
    """What a changed prefix would write anew, by the rules of a mass delete; what lies below the new one already is not in it."""
    mode = Policy.of(request.spec)
    copies = [i for i in items if _is_new_in_git(i) and mode.admits(i.decision, Side.git)]
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
    session: SyncSession, request: RunRequest, items: list[Item], known: int, head: RemoteHeads
) -> list[HeldDeletes]:
    """By the mode, whatever this run may do: an operation adds and takes away writes, and never a hold."""
    limit, mode = DeleteLimit.parse(request.spec.sync.max_deletes), Policy.of(request.spec)
    found = []
    for side, empty in ((Side.cluster, session.index.empty), (Side.git, not is_peopled(request))):
        deletes = [i for i in items if _deletes(i, side) and mode.admits(i.decision, side) and not i.handed_over]
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


def is_peopled(request: RunRequest) -> bool:
    """Whether the namespace holds any object of the kinds."""
    return any(kind.informer.of(request.namespace) for kind in request.kinds.values())
