"""Work that burns a core or chews on hostile bytes, in processes that can be killed.

dulwich and the YAML parser hold the interpreter's lock, and a bomb can make of a megabyte a gigabyte: so they run
beside the event loop, with a bound on memory, and end when the deadline does. Plain data goes in and out.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import multiprocessing
import os
import resource
import signal
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import TimeoutError as PoolTimeout
from functools import partial
from typing import Any, ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from gitintegration.errors import LimitExceeded, Reason, RemoteUnavailable
from gitintegration.git.slices import Answer, brief, limited, long
from gitintegration.git.turns import SHARE, Turns
from gitintegration.stderr import as_it_is

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_PR_SET_PDEATHSIG = 1


def _prepare(parent: int, max_memory: int, modules: Sequence[str], begin: Callable[[], None]) -> None:
    """In the new process: bound its memory, leave Ctrl-C to the parent, die with it, and import what is to come."""
    begin()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_AS, (max_memory, max_memory))
    for name in modules:
        importlib.import_module(name)
    gc.freeze()


def _nothing() -> None:
    """The first task."""


class _Killed(RemoteUnavailable):
    """A process ended in the middle of its task, `by` a signal."""

    def __init__(self, by: int) -> None:
        super().__init__(Reason.ProgressingWithRetry, "a worker process died; trying again")
        self.by = by


class Workers:
    """A pool. `max_memory` bounds the address space of each process, in bytes; `modules` are those it will work with.

    `begin` is what each does first, before anything can go wrong in it.
    """

    def __init__(
        self,
        count: int = 2,
        *,
        max_memory: int = 384 << 20,
        max_tasks: int = 500,
        modules: Sequence[str] = (),
        begin: Callable[[], None] = as_it_is,
    ) -> None:
        self.turns = Turns(count)
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(
            max_workers=count,
            max_tasks=max_tasks,
            initializer=_prepare,
            initargs=[os.getpid(), max_memory, modules, begin],
            context=context,
        )

    def start(self) -> None:
        """Start the processes, so that the first sync finds them ready; else they start with it."""
        self._pool.schedule(_nothing)

    async def run(self, seconds: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`function(*args)` in a worker, once it is the turn of whom SHARE names. Past `seconds`, or when this call is cancelled, the worker is killed.

        It may be broken off and begun again, so it must come to the same when it is (slices.py).
        Raises what the function raised, LimitExceeded where it ran out of memory, RemoteUnavailable where it died.
        """

        def attempt(slice: Callable[..., T]) -> Awaitable[T]:
            return self._run(seconds, function.__name__, slice, function, args, kwargs)

        begin: Callable[[], Awaitable[Answer[R] | None]] = partial(attempt, brief)
        go_on: Callable[[], Awaitable[Answer[R]]] = partial(attempt, long)
        return (await self.turns.run(SHARE.get(), begin, go_on)).value

    async def limited(self, seconds: float, cpu: float, function: Callable[..., R], *args: Any) -> tuple[R] | None:
        """The same for what may stay in one call for ever: None where it took `cpu` seconds of the processor, and was killed."""
        async with self.turns.turn(SHARE.get()):
            try:
                return (await self._run(seconds, function.__name__, limited, cpu, function, *args),)
            except _Killed as killed:
                if killed.by == signal.SIGPROF:
                    return None
                raise

    async def _run(self, seconds: float, name: str, function: Callable[..., R], *args: Any) -> R:
        future = self._pool.schedule(function, args=list(args), timeout=seconds)
        try:
            return await asyncio.wrap_future(future)
        except (PoolTimeout, TimeoutError):
            raise RemoteUnavailable(Reason.Timeout, f"{name} took longer than {seconds:g} s") from None
        except MemoryError:
            raise LimitExceeded("the repository's content needs more memory than a worker may use") from None
        except ProcessExpired as error:
            raise _Killed(-error.exitcode) from None
        except asyncio.CancelledError:
            future.cancel()  # type: ignore[no-untyped-call]
            raise

    def close(self) -> None:
        """Kills what runs and returns when all workers are gone."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()
