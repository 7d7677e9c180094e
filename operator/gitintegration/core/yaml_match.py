"""Which item of a list became which: by name, by value, by place; in time linear in the list."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Sequence

from gitintegration.core.values import Json

_MANY = 10_000
_SAME = 0.6
_HARDLY = 0.1


def matched(old: Sequence[Json], new: Sequence[Json]) -> list[int | None]:
    """For each new item the index of the old one that it was; None: it is new. No old one is named twice."""
    a, b = [_canonical(v) for v in old], [_canonical(v) for v in new]
    head = _common(a, b)
    tail = _common(a[head:][::-1], b[head:][::-1])
    found: list[int | None] = [*range(head), *[None] * (len(b) - head - tail), *range(len(a) - tail, len(a))]
    ids = _identities(old, new)
    if ids is None and _in_place(a[head : len(a) - tail], b[head : len(b) - tail]):
        return [*range(len(a))]
    ids_a, ids_b = ids or (a, b)
    places: dict[str, deque[int]] = {}
    for index in range(head, len(a) - tail):
        places.setdefault(ids_a[index], deque()).append(index)
    for index in range(head, len(b) - tail):
        if same := places.get(ids_b[index]):
            found[index] = same.popleft()
    _pair_left(old, new, found, sorted(index for indexes in places.values() for index in indexes))
    return found


def _in_place(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether as many items stayed where they are as there are at all in both: then none was moved, or went."""
    if len(a) != len(b):
        return False
    return sum(x == y for x, y in zip(a, b, strict=True)) >= (Counter(a) & Counter(b)).total()


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else f"{type(value).__name__} {value}"


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    count = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        count += 1
    return count


def _identities(old: Sequence[Json], new: Sequence[Json]) -> tuple[list[str], list[str]] | None:
    """Names, where all items of both lists have one of their own."""
    a, b = [_identity(v) for v in old], [_identity(v) for v in new]
    if None in a or None in b or len(set(a)) < len(a) or len(set(b)) < len(b):
        return None
    return [str(v) for v in a], [str(v) for v in b]


def _identity(value: Json) -> str | None:
    if not isinstance(value, dict):
        return None
    if isinstance(name := value.get("name"), str):
        return name
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{value.get('kind')}/{name}" if isinstance(name, str) else None


def _pair_left(old: Sequence[Json], new: Sequence[Json], found: list[int | None], left: list[int]) -> None:
    """Items between the same neighbours are the same ones, changed: renamed, say."""
    waiting, before, gap = deque(left), -1, list[int]()
    for index, place in enumerate([*found, len(old)]):
        if place is None:
            gap.append(index)
            continue
        while waiting and waiting[0] < before:
            waiting.popleft()
        between = []
        while waiting and waiting[0] < place:
            between.append(waiting.popleft())
        _pair(old, new, found, between, gap)
        before, gap = place, []
    taken = {place for place in found if place is not None}
    _pair_moved(old, new, found, [place for place in left if place not in taken])


def _pair_moved(old: Sequence[Json], new: Sequence[Json], found: list[int | None], left: list[int]) -> None:
    """What is most of an item is the item, renamed and moved at once."""
    fresh = [index for index, place in enumerate(found) if place is None]
    if len(left) * len(fresh) <= _MANY:
        for index in fresh:
            best = max(left, key=lambda place: _likeness(old[place], new[index]), default=None)
            if best is not None and isinstance(new[index], dict) and _likeness(old[best], new[index]) > _SAME:
                found[index] = best
                left.remove(best)


def _pair(old: Sequence[Json], new: Sequence[Json], found: list[int | None], olds: list[int], news: list[int]) -> None:
    """As many on both sides: one by one. Else those that are most alike, as long as there are few."""
    if len(olds) == len(news) or len(olds) * len(news) > _MANY:
        pairs = [(1.0, a, b) for a, b in zip(olds, news, strict=False)]
    else:
        pairs = [(like, a, b) for a in olds for b in news if (like := _likeness(old[a], new[b])) > _HARDLY]
    taken: set[int] = set()
    for _, a, b in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if a not in taken and found[b] is None and _likeness(old[a], new[b]) > 0:
            found[b] = a
            taken.add(a)


def _likeness(a: Json, b: Json) -> float:
    """Between 0, another item, and 1, the same."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = a.keys() | b.keys()
        if a.keys().isdisjoint(b):
            return _HARDLY
        return sum(1 if a[k] == b[k] else 0.5 for k in a.keys() & b.keys()) / len(keys)
    if isinstance(a, dict | list) or isinstance(b, dict | list):
        return 0.5 if type(a) is type(b) else 0
    return 0.5  # two scalars
