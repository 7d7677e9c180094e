"""All items of one integration: what was read of each last, where it rests, and which are due.

Nothing is taken out while a run works on an item, so nothing has to be put back: a run that fails, is cancelled or is killed
leaves the table as it was, and the item is due. What is observed while it is worked on bears a higher number than the reading,
so a checkpoint of that reading leaves it due. Pure; these methods are the only writers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from types import MappingProxyType
from typing import Final

from gitintegration.core.state.item import RETRIED, Left, OpenItem
from gitintegration.core.state.record import Watermark
from gitintegration.core.values import ObjectKey

ABSENT: Final = "absent"
"""Stands for the resourceVersion of an object that was looked for and is not there."""

Observed = Callable[[ObjectKey], str | None]
"""The resourceVersion that the watch has seen, ABSENT for none; None: nobody's business."""


class ItemTable:
    def __init__(self, marks: Mapping[ObjectKey, Watermark], in_doubt: Collection[ObjectKey] = ()) -> None:
        """`marks`: the versions that were stored; `in_doubt`: what a process before this one logged and did not checkpoint."""
        self._marks = marks
        self._reconciled: dict[ObjectKey, str] = {}
        """The object's version at the last checkpoint, where this process made it; else it is in the marks."""
        self._open: dict[ObjectKey, OpenItem] = {}
        self._left: dict[ObjectKey, Left] = {}
        """What is none of the integration's."""
        self._watched: dict[ObjectKey, int] = {}
        """Due where the watch has another version than was reconciled; the number of the last event."""
        self._suspect: dict[ObjectKey, int] = {}
        """Due whatever the watch says; the number of the last reason."""
        self._number = 0
        self._asked = ""
        self.suspect(in_doubt)

    # --- what is observed ---------------------------------------------------------------------------------------------

    def observe(self, key: ObjectKey, version: str) -> bool:
        """Note what the watch tells of an object. True where it is news, and asks for a run."""
        known = self.reconciled(key)
        if version == known:
            return False
        if version == ABSENT and key not in self._marks and key not in self._open and not self._is_due(key):
            self._reconciled.pop(key, None)
            self._left.pop(key, None)
            return False
        self._watched[key] = self._next()
        return True

    def suspect(self, keys: Iterable[ObjectKey]) -> None:
        """Have these looked at by the next run, whatever the watch says of them."""
        number = self._next()
        for key in keys:
            self._suspect[key] = number

    def ask(self, asked: str) -> bool:
        """Begin a run: what is retried is due, and where the user asks otherwise than before (then True), all that is open."""
        otherwise, self._asked = self._asked != asked, asked
        self.suspect([key for key, item in self._open.items() if otherwise or item.phase in RETRIED])
        return otherwise

    # --- what is due --------------------------------------------------------------------------------------------------

    @property
    def suspects(self) -> Set[ObjectKey]:
        """What is due whatever the watch says."""
        return self._suspect.keys()

    @property
    def number(self) -> int:
        """Of the last observation; what is read from now on is read after it."""
        return self._number

    def due(self, observed: Observed) -> set[ObjectKey]:
        """The keys that a run has to look at. Where the watch has come to what was reconciled, its event was no news."""
        for key in [key for key in self._watched if observed(key) in (None, self.reconciled(key))]:
            del self._watched[key]
        return self._watched.keys() | self._suspect.keys()

    def reconciled(self, key: ObjectKey) -> str | None:
        """The object's version at the last checkpoint; None: there was none. Empty: its change waits."""
        if (version := self._reconciled.get(key)) is not None:
            return version
        mark = self._marks.get(key)
        return mark.resource_version if mark else None

    def is_agreed(self, key: ObjectKey) -> bool:
        """Whether both sides agreed on it once."""
        return key in self._marks

    def known(self) -> set[ObjectKey]:
        """All that a checkpoint was made of."""
        return self._marks.keys() | self._reconciled.keys()

    # --- what came of it ----------------------------------------------------------------------------------------------

    def checkpoint(
        self, key: ObjectKey, version: str, number: int, item: OpenItem | None = None, left: Left | None = None
    ) -> None:
        """Note that the item was read, or written, at this version of its object, after observation `number`, and where it rests.

        `item` None: it is synced, or `left`. What was observed since leaves it due.
        """
        self._left.pop(key, None)
        if left is not None:
            self._left[key] = left
        if item is None:
            self._open.pop(key, None)
        else:
            self._open[key] = item
        if version == ABSENT and key not in self._marks:
            self._reconciled.pop(key, None)
        else:
            self._reconciled[key] = version
        for reasons in (self._watched, self._suspect):
            if reasons.get(key, number) <= number:
                reasons.pop(key, None)

    def rest(self, key: ObjectKey, item: OpenItem | None) -> None:
        """Note where an item stands while its run goes wrong: it stays due."""
        if item is None:
            self._open.pop(key, None)
        else:
            self._open[key] = item
        self.suspect([key])

    def drop(self, keys: Iterable[ObjectKey]) -> None:
        """These are none of the integration's any more."""
        for key in keys:
            for known in (self._reconciled, self._open, self._watched, self._suspect):
                known.pop(key, None)

    def forget(self, keys: Iterable[ObjectKey]) -> None:
        """As if these had never been synced: they are looked at anew."""
        keys = list(keys)
        for key in keys:
            self._reconciled.pop(key, None)
        self.suspect(keys)

    # --- what rests ---------------------------------------------------------------------------------------------------

    @property
    def open(self) -> Mapping[ObjectKey, OpenItem]:
        """What is not synced."""
        return MappingProxyType(self._open)

    @property
    def left(self) -> Mapping[ObjectKey, Left]:
        """What was read, and is none of the integration's."""
        return MappingProxyType(self._left)

    def open_local(self) -> Iterator[ObjectKey]:
        """What is ahead in the cluster."""
        return (key for key, item in self._open.items() if item.local)

    def _is_due(self, key: ObjectKey) -> bool:
        return key in self._watched or key in self._suspect

    def _next(self) -> int:
        self._number += 1
        return self._number
