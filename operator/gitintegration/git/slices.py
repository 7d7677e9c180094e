"""How long a task goes on in a worker before others have their turn. Runs in a worker.

Nobody can tell by looking at it how long a file, a pack or a history takes, so each task is begun as if it were brief.
Seconds are the processor's, so that no task is taken for a long one because the machine is busy.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Generic, TypeVar

R = TypeVar("R")

BRIEF = 0.3
"""A task that takes longer is broken off, to be begun again where it is in the way of others of its kind alone."""
_BRIEF_SLICE, _LONG_SLICE = 0.15, 1.0
"""What can be cut gives back what is left after so long."""

_until = _look = math.inf
"""On the processor's clock, and on the wall's, which is no slower and takes a hundredth of the time to read."""


def is_over() -> bool:
    """Whether the task that runs should give back what is left of it."""
    global _look
    now = time.monotonic()
    if now < _look:
        return False
    left = _until - time.process_time()
    _look = now + left
    return left <= 0


class Overrun(BaseException):
    """The task is not brief. No Exception, so that nobody on its way takes it for the fault of a file."""


class Answer(Generic[R]):
    """What a task came to."""

    def __init__(self, value: R) -> None:
        self.value = value


@contextmanager
def cut_after(seconds: float) -> Iterator[None]:
    """What can be cut gives back what is left after so long."""
    global _until, _look
    _until, _look = time.process_time() + seconds, time.monotonic() + seconds
    try:
        yield
    finally:
        _until = _look = math.inf


@contextmanager
def uncounted() -> Iterator[None]:
    """What is done here comes to its end, and is not the task's time: half an import, of a library in Rust say, can't be made whole."""
    left, again = signal.setitimer(signal.ITIMER_PROF, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, left, again)


def brief(function: Callable[..., R], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Answer[R] | None:
    """What the function gives; None where it was broken off, and must be begun again.

    That is so whatever came of it then: what it cleans up on its way may fail in turn (a map of a file that is still looked
    at can't be closed), and would pass for the fault of what was read.
    """
    armed, broken_off = True, False

    def end(_: int, __: FrameType | None) -> None:
        nonlocal broken_off
        if armed:
            broken_off = True
            raise Overrun

    signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, BRIEF, BRIEF)  # again where somebody caught it
    try:
        with cut_after(_BRIEF_SLICE):
            answer = Answer(function(*args, **kwargs))
        return None if broken_off else answer
    except BaseException:
        if broken_off:
            return None
        raise
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)


def long(function: Callable[..., R], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Answer[R]:
    """What the function gives."""
    with cut_after(_LONG_SLICE):
        return Answer(function(*args, **kwargs))


def limited(seconds: float, function: Callable[..., R], *args: Any) -> R:
    """What the function gives. The process ends where it takes longer, in whatever code it is then."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return function(*args)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
