"""How much of the volume caches may take: each, and all together. What was used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from gitintegration.errors import LimitExceeded


def size_of(directory: Path) -> int:
    """Bytes of all files below it."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:
            continue
    return total


class Disk:
    """Bytes: `each` for one cache, `total` for all. `evict` takes a cache away, or says that it is in use."""

    def __init__(self, each: int = 768 << 20, total: int = 2 << 30) -> None:
        self._each, self._total = each, total
        self._sizes: OrderedDict[Path, int] = OrderedDict()
        self._outgoing: dict[Path, int] = {}
        self.evict: Callable[[Path], bool] = lambda directory: not directory.exists()

    def measured(self, directory: Path, size: int) -> None:
        """`directory` has been used, and takes so many bytes now. Raises LimitExceeded where that is too much."""
        self._sizes[directory] = size
        self._weigh(directory)

    def outgoing(self, directory: Path, size: int) -> None:
        """Beside that it holds a commit of so many bytes, until it is sent. Raises LimitExceeded where that is too much."""
        self._outgoing[directory] = size
        self._weigh(directory)

    def sent(self, directory: Path) -> None:
        """Whatever became of it, the commit is not there any more."""
        self._outgoing.pop(directory, None)

    def _takes(self, directory: Path) -> int:
        return self._sizes.get(directory, 0) + self._outgoing.get(directory, 0)

    def _total_taken(self) -> int:
        return sum(self._sizes.values()) + sum(self._outgoing.values())

    def _weigh(self, directory: Path) -> None:
        size = self._takes(directory)
        self._sizes.setdefault(directory, 0)
        self._sizes.move_to_end(directory)
        if size > self._each:
            words = f"what is kept of the repository takes {size} bytes, more than {self._each} (--cache-size-each)"
            raise LimitExceeded(words)
        for other in list(self._sizes):
            if self._total_taken() <= self._total:
                return
            if other != directory and self.evict(other):
                self.forget(other)
        if self._total_taken() > self._total and size == max(map(self._takes, self._sizes)):
            raise LimitExceeded(f"the caches in use take more than {self._total} bytes (--cache-size); trying again")

    def forget(self, directory: Path) -> None:
        """It is no more."""
        self._sizes.pop(directory, None)
        self.sent(directory)
