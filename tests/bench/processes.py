"""What a process and its children cost, from /proc: proportional memory (PSS), so that what they share counts once, and CPU."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_TICKS = os.sysconf("SC_CLK_TCK")
_EVERY = 0.1


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found, stack = [], [pid]
    while stack:
        one = stack.pop()
        found.append(one)
        tasks: list[str] = []
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile, as a thread of it may below
            tasks = os.listdir(f"/proc/{one}/task")
        for task in tasks:
            with suppress(OSError):
                stack += [int(child) for child in Path(f"/proc/{one}/task/{task}/children").read_text().split()]
    return found


def memory(pid: int) -> int:
    """Bytes of PSS of the tree."""
    total = 0
    for one in tree(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) * 1024
    return total


def cpu(pid: int) -> float:
    """Seconds of CPU of the tree so far, with those of children that have ended."""
    total = 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(fields[n]) for n in (11, 12, 13, 14))
    return total / _TICKS


class Meter:
    """Peak memory and CPU of a process tree between enter and exit."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.peak = 0
        self.cpu = 0.0

    def __enter__(self) -> Meter:
        self._done = threading.Event()
        self._before = cpu(self._pid)
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self.peak = max(self.peak, memory(self._pid))
        self.cpu = cpu(self._pid) - self._before

    def _sample(self) -> None:
        while not self._done.wait(_EVERY):
            self.peak = max(self.peak, memory(self._pid))
