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
_MOMENT = 1.0
"""Seconds that a run may wait for a server and keep its place from a share that has none."""
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
        (core/queue.py). Where all places are taken and a share has none, runs that wait for servers step aside. Where that
        is not enough, one run is cancelled, past `patience` seconds: the longest of the share that has many, else the one
        that waits longest for its server. `waited` is told for how many seconds each run was overdue.
        What goes wrong belongs to the resource's status; a run that raises all the same is run again after a while.
        """
        self._run, self._waited = run, waited
        self._concurrency = concurrency
        self._queue: Queue[K] = Queue(lane, width, share, concurrency)
        self._tasks: dict[K, asyncio.Task[None]] = {}
        self._aside: set[K] = set()
        self._waits: dict[K, float] = {}
        """Since when a run waits for its server."""
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
            while (self._has_room() or self._make_room()) and (entry := self._queue.pop(time.monotonic())):
                self._waited(max(0.0, time.monotonic() - self._queue.due_of(entry[0])))
                self._tasks[entry[0]] = loop.create_task(self._one(*entry))
            due = self._queue.next_due() if self._has_room() else time.monotonic() + _LOOK_EVERY
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else max(0.0, due - time.monotonic())):
                    await self._wake.wait()

    def _has_room(self) -> bool:
        return len(self._tasks) - len(self._aside) < self._concurrency and not self._closing

    def _make_room(self) -> bool:
        """Where a share has no place at all, those who wait for a server step aside, or one run ends. Whether there is room now."""
        now = time.monotonic()
        if self._closing or not self._queue.is_starving(now):
            return False
        for waiting in [key for key, since in self._waits.items() if now - since >= min(_MOMENT, self._patience)]:
            self._step_aside(waiting, stays_in_lane=True)
        if self._has_room():
            return True
        key = None if self._yielding else self._queue.to_yield(now, self._patience) or self._longest_wait(now)
        if key is not None and (task := self._tasks.get(key)):
            self._log.warning("a long run gives its place up", key=key)
            self._yielding.add(key)
            task.cancel()
        return False

    def _longest_wait(self, now: float) -> K | None:
        key = min(self._waits, key=self._waits.__getitem__, default=None)
        return key if key is not None and now - self._waits[key] >= self._patience else None

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """While the run that this is part of is about work that may take long, others have its place."""
        key = _KEY.get(None)
        steps = key in self._tasks and self._step_aside(key)
        try:
            yield
        finally:
            if steps:
                self._step_back(key)

    @contextlib.contextmanager
    def waits(self) -> Iterator[None]:
        """While the run that this is part of waits for a server: where it takes long, others may have its place."""
        key = _KEY.get(None)
        if key not in self._tasks or key in self._waits:
            yield
            return
        self._waits[key] = time.monotonic()
        try:
            yield
        finally:
            del self._waits[key]
            self._step_back(key)

    def _step_aside(self, key: K, *, stays_in_lane: bool = False) -> bool:
        if key in self._aside or len(self._aside) >= _ASIDE * self._concurrency:
            return False
        self._aside.add(key)
        self._queue.step_aside(key, stays_in_lane=stays_in_lane)
        self._wake.set()
        return True

    def _step_back(self, key: K) -> None:
        self._aside.discard(key)
        self._queue.step_back(key)

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
