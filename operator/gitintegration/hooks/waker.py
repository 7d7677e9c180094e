"""Wakes the operator: one annotation an integration, so often and no oftener, however many deliveries come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from gitintegration.core.hooks import HookMark
from gitintegration.errors import ClusterError
from gitintegration.gateway.callers import Allowance
from gitintegration.hooks.targets import Target

Annotate: TypeAlias = Callable[[str, str, str, str], Awaitable[None]]
"""Namespace, name, UID, mark."""
_RATE = 2.0
"""Marks a second of one integration; twice as many at once. Later ones wait, and the last of them is written."""


@dataclass(slots=True)
class _Slot:
    allowance: Allowance
    next: HookMark | None = None
    drain: asyncio.Task[None] | None = None
    busy: int = 0


class Waker:
    def __init__(self, annotate: Annotate, now: Callable[[], float] = time.monotonic) -> None:
        self._annotate, self._now = annotate, now
        self._slots: dict[tuple[str, str], _Slot] = {}
        self._log = structlog.get_logger("hooks")

    async def wake(self, target: Target, mark: HookMark) -> None:
        """Write the mark, now or, where others were just written, with what comes until then. Raises ClusterError."""
        slot = self._slots.setdefault(target.key, _Slot(Allowance(_RATE, self._now())))
        if slot.busy or slot.drain is not None or slot.allowance.wait(self._now()):
            slot.next = mark
            if slot.drain is None:
                slot.drain = asyncio.get_running_loop().create_task(self._drain(target, slot))
            return
        await self._write(target, slot, mark)

    async def _write(self, target: Target, slot: _Slot, mark: HookMark) -> None:
        slot.busy += 1
        slot.allowance.spend(self._now())
        try:
            await self._annotate(target.namespace, target.name, target.uid, str(mark))
        finally:
            slot.busy -= 1

    async def _drain(self, target: Target, slot: _Slot) -> None:
        try:
            while slot.next is not None:
                await asyncio.sleep(slot.allowance.wait(self._now()))
                mark, slot.next = slot.next, None
                try:
                    await self._write(target, slot, mark)
                except ClusterError as error:  # it is asked at the next interval
                    self._log.warning(
                        "not woken", namespace=target.namespace, integration=target.name, error=error.message
                    )
        finally:
            slot.drain = None

    def forget(self, key: tuple[str, str]) -> None:
        """The integration is no more."""
        slot = self._slots.pop(key, None)
        if slot is not None and slot.drain is not None:
            slot.drain.cancel()

    async def close(self, seconds: float = 2.0) -> None:
        """Until what waits is written, at most so long."""
        if drains := [slot.drain for slot in self._slots.values() if slot.drain is not None]:
            _, late = await asyncio.wait(drains, timeout=seconds)
            for drain in late:
                drain.cancel()
