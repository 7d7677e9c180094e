"""A commit in the making: files are edited in a worker, so many at a time, into a pack that nobody has yet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

from gitintegration.commits import files
from gitintegration.commits.files import CommitBase, Committed, Edited, Edits, Scope, Texts
from gitintegration.errors import LimitExceeded
from gitintegration.git.disk import Disk
from gitintegration.git.workers import Workers

P = ParamSpec("P")
R = TypeVar("R")


class CommitBuilder:
    def __init__(
        self,
        workers: Workers,
        disk: Disk,
        directory: Path,
        base: CommitBase,
        scope: Scope,
        seconds: float,
        batch: int,
    ) -> None:
        """`batch`: files that wait for their worker, at most, so that memory does not follow the size of a commit."""
        self._workers, self._disk, self._directory = workers, disk, directory
        self._base, self._scope = base, scope
        self._seconds, self._batch = seconds, batch
        self._pack = directory / f"outgoing-{os.getpid()}-{time.monotonic_ns()}"
        self._waiting: Edits = {}
        self._edited = Edited({})

    async def edit(self, edits: Edits) -> None:
        """Edit these files; each is edited once."""
        for path, changes in edits.items():
            if len(self._waiting) >= self._batch:
                await self._flush()
            self._waiting[path] = changes

    async def _flush(self) -> None:
        """Have a worker edit what waits: all of it, or as much as it has time for in its turn."""
        done = self._edited.packed
        self._take(await self._run(files.edit, self._directory, self._pack, self._waiting, self._scope, done))

    def _take(self, made: Edited) -> None:
        self._edited = self._edited.and_then(made)
        try:
            self._disk.outgoing(self._directory, self._edited.size)
        except LimitExceeded:
            self.discard()
            raise
        self._waiting = dict(islice(self._waiting.items(), made.taken, None))

    async def commit(self, texts: Texts) -> Committed:
        """The commits with all edits, not pushed yet. What waits is edited with it, in one call of a worker."""
        whole = False
        while not whole:
            made = await self._run(
                files.commit,
                self._directory,
                self._pack,
                self._base,
                self._waiting,
                self._scope,
                texts,
                self._edited.packed,
            )
            self._take(made.edited)
            whole = made.whole
        if made.commit is None:
            self.discard()
        return Committed(made.commit, self._edited, made=made.made)

    async def _run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await self._workers.run(self._seconds, function, *args, **kwargs)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Nobody pushes it."""
        self._pack.unlink(missing_ok=True)
        self._disk.sent(self._directory)
