"""The items of an operation, a portion at a time: its memory follows the portion, not how many pipelines there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeAlias

from gitintegration.core.plan.batches import batches
from gitintegration.core.state.shards import key_bits
from gitintegration.core.values import ObjectKey
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.reconcile.reconciler import Reconciler
from gitintegration.session.live_objects import Prefetched

Read: TypeAlias = Callable[[Sequence[ObjectKey], Prefetched | None], Awaitable[list[Item]]]


class Portions:
    """Read as often as they are asked for: to plan, and to carry out what was planned. One portion alone is read once."""

    def __init__(
        self,
        reconciler: Reconciler,
        request: RunRequest,
        keys: Sequence[ObjectKey],
        path_of: Callable[[ObjectKey], str | None],
        read: Read,
    ) -> None:
        """`path_of`: the file of an item; those of one file are in one portion."""
        self._reconciler, self._request, self.read = reconciler, request, read
        self._keys = list(batches(sorted(keys, key=key_bits), path_of, reconciler.batch))
        self._only: list[Item] | None = None

    async def __aiter__(self) -> AsyncIterator[list[Item]]:
        if self._only is not None:
            yield self._only
            return
        ahead = await self._reconciler.reader.prefetch(self._request, [key for keys in self._keys for key in keys])
        for keys in self._keys:
            items = await self.read(keys, ahead)
            if len(self._keys) == 1:
                self._only = items
            yield items
