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
        self.evict: Callable[[Path], bool] = lambda directory: not directory.exists()

    def measured(self, directory: Path, size: int) -> None:
        """`directory` has been used, and takes so many bytes now. Raises LimitExceeded where that is too much."""
        self._sizes[directory] = size
        self._sizes.move_to_end(directory)
        if size > self._each:
            words = f"what was fetched of the repository takes {size} bytes, more than {self._each} (--cache-size-each)"
            raise LimitExceeded(words)
        for other in list(self._sizes):
            if sum(self._sizes.values()) <= self._total:
                return
            if other != directory and self.evict(other):
                del self._sizes[other]
        if sum(self._sizes.values()) > self._total and size == max(self._sizes.values()):
            raise LimitExceeded(f"the caches in use take more than {self._total} bytes (--cache-size); trying again")

    def forget(self, directory: Path) -> None:
        """It is no more."""
        self._sizes.pop(directory, None)
