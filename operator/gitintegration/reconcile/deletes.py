"""Which deletes wait for a person: they are weighed all together, so each waits until all are counted."""

from __future__ import annotations

from collections.abc import Sequence

from gitintegration.core.plan.deletes import DeleteLimit, held
from gitintegration.core.plan.policy import Policy, Side, write_to
from gitintegration.core.status import HeldDeletes
from gitintegration.core.values import ObjectKey
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.session.session import SyncSession


def kept_back(batch: Sequence[Item]) -> set[ObjectKey]:
    """Deletes, and what shares a file with one that is deleted in git."""
    paths = {item.target for item in batch if _deletes(item, Side.git)}
    return {item.key for item in batch if item.deletes or (item.decision.git is not None and item.target in paths)}


def _deletes(item: Item, side: Side) -> bool:
    write = write_to(item.decision, side)
    return write is not None and write.value is None


def hold_deletes(session: SyncSession, request: RunRequest, items: list[Item], known: int) -> list[HeldDeletes]:
    """By the mode, whatever this run may do: an operation adds and takes away writes, and never a hold."""
    limit, mode = DeleteLimit.parse(request.spec.sync.max_deletes), Policy.of(request.spec)
    found = []
    for side, empty in ((Side.cluster, session.index.empty), (Side.git, not is_peopled(request))):
        deletes = [i for i in items if _deletes(i, side) and mode.admits(i.decision, side)]
        keys = [i.key for i in deletes]
        wanted = held(side, keys, known=known, side_is_empty=empty, limit=limit, confirmed=request.confirmed)
        if wanted:
            found.append(HeldDeletes(side.value, len(keys), known, wanted))
            for item in deletes:
                item.held = True
    return found


def is_peopled(request: RunRequest) -> bool:
    """Whether the namespace holds any object of the kinds."""
    return any(kind.informer.of(request.namespace) for kind in request.kinds.values())
