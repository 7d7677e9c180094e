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
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as PoolTimeout
from typing import ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from gitintegration.errors import LimitExceeded, Reason, RemoteUnavailable
from gitintegration.git.turns import SHARE, Turns

P = ParamSpec("P")
R = TypeVar("R")

_PR_SET_PDEATHSIG = 1


def _prepare(parent: int, max_memory: int, modules: Sequence[str]) -> None:
    """In the new process: bound its memory, leave Ctrl-C to the parent, die with it, and import what is to come."""
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


class Workers:
    """A pool. `max_memory` bounds the address space of each process, in bytes; `modules` are those it will work with."""

    def __init__(
        self, count: int = 2, *, max_memory: int = 384 << 20, max_tasks: int = 500, modules: Sequence[str] = ()
    ) -> None:
        self.turns = Turns(count)
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(
            max_workers=count,
            max_tasks=max_tasks,
            initializer=_prepare,
            initargs=[os.getpid(), max_memory, modules],
            context=context,
        )

    def start(self) -> None:
        """Start the processes, so that the first sync finds them ready; else they start with it."""
        self._pool.schedule(_nothing)

    async def run(self, seconds: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`function(*args)` in a worker, once it is the turn of whom SHARE names. Past `seconds`, or when this call is cancelled, the worker is killed.

        Raises what the function raised, LimitExceeded where it ran out of memory, RemoteUnavailable where it died.
        """
        async with self.turns.turn(SHARE.get()):
            return await self._run(seconds, function, *args, **kwargs)

    async def _run(self, seconds: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        future = self._pool.schedule(function, args=list(args), kwargs=dict(kwargs), timeout=seconds)
        try:
            return await asyncio.wrap_future(future)
        except (PoolTimeout, TimeoutError):
            raise RemoteUnavailable(Reason.Timeout, f"{function.__name__} took longer than {seconds:g} s") from None
        except (MemoryError, ProcessExpired) as error:
            if isinstance(error, MemoryError):
                raise LimitExceeded("the repository's content needs more memory than a worker may use") from None
            raise RemoteUnavailable(Reason.ProgressingWithRetry, "a worker process died; trying again") from None
        except asyncio.CancelledError:
            future.cancel()  # type: ignore[no-untyped-call]
            raise

    def close(self) -> None:
        """Kills what runs and returns when all workers are gone."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()
