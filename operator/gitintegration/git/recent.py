"""What is kept because it may be asked for again, and so much of it at most: what was asked for longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `limit` values; `dropped` is told of each that goes."""

    def __init__(self, limit: int, dropped: Callable[[V], object] = lambda value: None) -> None:
        self._limit, self._dropped = limit, dropped
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[V]:
        return iter(list(self._values.values()))

    def get(self, key: K) -> V | None:
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: K, value: V) -> V:
        """The value, which is kept in place of the one before."""
        before = self._values.pop(key, None)
        self._values[key] = value
        if before is not None and before is not value:
            self._dropped(before)
        while len(self._values) > self._limit:
            self._dropped(self._values.popitem(last=False)[1])
        return value

    def drop(self, key: K) -> None:
        if (value := self._values.pop(key, None)) is not None:
            self._dropped(value)

    def drop_oldest(self, while_: Callable[[V], bool]) -> None:
        """Drop from what was asked for longest ago on."""
        while self._values and while_(next(iter(self._values.values()))):
            self.drop(next(iter(self._values)))

    def clear(self) -> None:
        for key in list(self._values):
            self.drop(key)
