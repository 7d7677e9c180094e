"""Runs what the queue hands out, so many at once, on the event loop.

A run returns when the key wants to be run next. Runs are cancelled when their key is removed and when the loop stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextvars import ContextVar
from typing import Any, Generic

import structlog

from gitintegration.core.queue import K, Priority, Queue

_ASIDE = 4
"""So many times the places may be taken by runs that are aside."""
_KEY: ContextVar[Any] = ContextVar("key")
"""Whose run the running task is part of."""

_AFTER_DEFECT = 30.0
"""Seconds until a run that raised, or gave its place up, is tried again."""
_PATIENCE = 20.0
"""Seconds that a run may go on before it has to give its place up to a share that has none."""
_LOOK_EVERY = 1.0


class Dispatcher(Generic[K]):
    def __init__(
        self,
        run: Callable[[K, Priority], Awaitable[float | None]],
        concurrency: int,
        lane: Callable[[K], Hashable] | None = None,
        width: int = 0,
        waited: Callable[[float], None] = lambda seconds: None,
        share: Callable[[K], Hashable] | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        """`run(key, priority)` does the work and returns the seconds until its next periodic run, or None for never.

        At most `concurrency` run at once, `width` of those in one lane, and of one share fewer the fewer are free
        (core/queue.py). Where all places are taken and a share has none, one that has many gives one up: its longest run is
        cancelled, past `patience` seconds. `waited` is told for how many seconds each run was overdue.
        What goes wrong belongs to the resource's status; a run that raises all the same is run again after a while.
        """
        self._run, self._waited = run, waited
        self._concurrency = concurrency
        self._queue: Queue[K] = Queue(lane, width, share, concurrency)
        self._tasks: dict[K, asyncio.Task[None]] = {}
        self._aside: set[K] = set()
        self._yielding: set[K] = set()
        """What was cancelled for others."""
        self._patience = patience
        self._wake = asyncio.Event()
        self._closing = False
        self._log = structlog.get_logger("dispatcher")

    def __len__(self) -> int:
        """How many keys there are, at work or waiting for it."""
        return len(self._queue)

    def waiting(self) -> int:
        """How many keys are due and do not run. May be asked from another thread."""
        return self._queue.overdue(time.monotonic())

    def runs(self, key: K) -> bool:
        """Whether it runs at this moment."""
        return key in self._tasks

    def add(self, key: K, priority: Priority, delay: float = 0.0) -> None:
        """Ask for a run of `key` in `delay` seconds."""
        self._queue.add(key, time.monotonic() + delay, priority)
        self._wake.set()

    async def remove(self, key: K) -> None:
        """Forget `key`, and end its run if there is one; returns when it has ended."""
        self._queue.remove(key)
        if task := self._tasks.get(key):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])

    async def run_forever(self) -> None:
        """Hand out work until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            while self._has_room() and (entry := self._queue.pop(time.monotonic())):
                self._waited(max(0.0, time.monotonic() - self._queue.due_of(entry[0])))
                self._tasks[entry[0]] = loop.create_task(self._one(*entry))
            if self._has_room():
                due = self._queue.next_due()
            else:
                self._make_room(time.monotonic())
                due = time.monotonic() + _LOOK_EVERY
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else max(0.0, due - time.monotonic())):
                    await self._wake.wait()

    def _make_room(self, now: float) -> None:
        """End one run where a share has no place at all, and others have many."""
        key = None if self._yielding or self._closing else self._queue.to_yield(now, self._patience)
        if key is not None and (task := self._tasks.get(key)):
            self._log.warning("a long run gives its place up", key=key)
            self._yielding.add(key)
            task.cancel()

    def _has_room(self) -> bool:
        return len(self._tasks) - len(self._aside) < self._concurrency and not self._closing

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """While the run that this is part of is about work that may take long, others have its place."""
        key = _KEY.get(None)
        if key not in self._tasks or key in self._aside or len(self._aside) >= _ASIDE * self._concurrency:
            yield
            return
        self._aside.add(key)
        self._queue.step_aside(key)
        self._wake.set()
        try:
            yield
        finally:
            self._aside.discard(key)
            self._queue.step_aside(key, aside=False)

    async def drain(self, seconds: float) -> None:
        """Start nothing more, let what runs end, and cancel what has not after `seconds`."""
        self._closing = True
        if tasks := list(self._tasks.values()):
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)

    async def _one(self, key: K, priority: Priority) -> None:
        _KEY.set(key)
        try:
            try:
                delay = await self._run(key, priority)
            except asyncio.CancelledError:
                if key not in self._yielding:
                    raise
                delay = _AFTER_DEFECT
            except Exception:
                self._log.exception("run failed", key=key)
                delay = _AFTER_DEFECT
            if delay is not None:
                self.add(key, Priority.periodic, delay)
        finally:
            self._queue.done(key)
            self._yielding.discard(key)
            del self._tasks[key]
            self._wake.set()
