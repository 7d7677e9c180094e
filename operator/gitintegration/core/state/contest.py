"""Another tool that puts back what is written here: after some rounds an item rests, instead of a war of commits.

Only what undoes a write of ours counts, so that a person who changes a value to and fro is not taken for one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from gitintegration.core.values import Json, ObjectKey, digest_of

ROUNDS, WITHIN = 3, 600.0
"""So often a write may be undone in so many seconds."""


@dataclass(frozen=True, slots=True)
class _Writes:
    """Of one item: what its object held before the last write, and when writes were undone."""

    before: str
    undone: tuple[float, ...] = ()
    rival: str = ""


@dataclass(slots=True)
class Contest:
    """The items of one integration whose objects were written lately."""

    _items: dict[ObjectKey, _Writes] = field(default_factory=dict)
    _before: set[tuple[str, str]] = field(default_factory=set)
    """Kind and name of what rested when an earlier process ended, and was not seen since."""

    def wrote(self, key: ObjectKey, before: Json) -> None:
        """An object was written that held `before`."""
        known = self._items.get(key) or _Writes("")
        self._items[key] = replace(known, before=digest_of(before))

    def saw(self, key: ObjectKey, live: Json, manager: str, now: float) -> bool:
        """Whether an object, as it is now, makes its item rest; `manager` wrote it last."""
        known = self._items.get(key)
        if (key.kind, key.name) in self._before:
            self._before.discard((key.kind, key.name))
            known = _Writes("", (now,) * ROUNDS, manager)
        if known is None:
            return False
        undone = tuple(at for at in known.undone if now - at < WITHIN)
        if known.before and known.before == digest_of(live):
            known = replace(known, before="", rival=manager)
            undone = (*undone, now)
        self._items[key] = replace(known, undone=undone)
        return len(undone) >= ROUNDS

    def clear(self, but: Collection[tuple[str, str]] = ()) -> None:
        """Somebody asks for another try. `but`: kind and name of what rests all the same, for so long as if it began to now."""
        self._items.clear()
        self._before = set(but)

    def rival(self, key: ObjectKey) -> str | None:
        """Who undoes what is written, where that makes an item rest; None: it does not. Empty: nobody knows."""
        known = self._items.get(key)
        return known.rival if known and len(known.undone) >= ROUNDS else None
