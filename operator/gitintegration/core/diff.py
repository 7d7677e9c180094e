"""Differences between two values, field by field, and their application to a third.

A path names map keys and, in keyed lists, items by their key, never by index: so a change found between two manifests
can be applied to the live object, where the same list may hold more, or in another order.

An added map or keyed list is told leaf by leaf, so that two sides may each add to what neither had. A removed one is
told once, at its top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from gitintegration.core.values import Json


class _Absent:
    """No value at all, which is not null."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        """There is one only, also on the other side of a pickle."""
        return "ABSENT"


ABSENT: Final = _Absent()


class Item(NamedTuple):
    """A step into a keyed list: the item whose key fields have these values."""

    fields: tuple[str, ...]
    values: tuple[Json, ...]
    defaults: tuple[Json, ...]
    """What stands for a key field that an item leaves out; ABSENT: nothing does."""

    def matches(self, item: Json) -> bool:
        return isinstance(item, dict) and all(
            _equal(item.get(name, default), wanted)
            for name, wanted, default in zip(self.fields, self.values, self.defaults, strict=True)
        )

    def fresh(self) -> dict[str, Json]:
        """An item that holds nothing but its key."""
        return {name: value for name, value in zip(self.fields, self.values, strict=True) if value is not ABSENT}


class _Order(NamedTuple):
    """The last step of a path that stands for the order of a keyed list's items."""

    word: str = "order"


ORDER: Final = _Order()

Step: TypeAlias = "str | Item | _Order"
Path: TypeAlias = "tuple[Step, ...]"
KeyFields: TypeAlias = "tuple[tuple[str, Any], ...]"
"""The key fields of a list, each with the default that stands where an item leaves it out (ABSENT: none)."""
ListKeys: TypeAlias = "Callable[[tuple[str, ...]], KeyFields | None]"
"""Tells the key fields of the list at a path (list items as `*`), or None where the schema knows none."""


class Change(NamedTuple):
    """One field: what it was, what it is. For a path that ends in ORDER both are tuples of item keys."""

    path: Path
    old: Json
    new: Json

    def inverse(self) -> Change:
        """The change that takes this one back; a map that came with its fields stays, empty."""
        return Change(self.path, self.new, self.old)


class UnappliableError(Exception):
    """A change that has no place in the value it should be applied to."""


def no_list_keys(_: tuple[str, ...]) -> KeyFields | None:
    """For kinds without a schema: lists are keyed only where every item has a unique name."""
    return None


def same(a: Json, b: Json) -> bool:
    """JSON equality: 1 and 1.0 are the same number, true is not 1."""
    if a is b:
        return True
    if isinstance(a, bool) or isinstance(b, bool):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def same_value(a: Json | None, b: Json | None) -> bool:
    """JSON equality, also of what is not there."""
    return a is b if a is None or b is None else same(a, b)


def diff(old: Json, new: Json, list_keys: ListKeys = no_list_keys) -> list[Change]:
    """The changes that make `new` of `old`."""
    return list(_diff((), (), old, new, list_keys))


def _diff(path: Path, schema_path: tuple[str, ...], old: Json, new: Json, keys: ListKeys) -> Iterator[Change]:
    if old is ABSENT and isinstance(new, dict) and new:
        old = {}
    elif old is ABSENT and isinstance(new, list) and new and key_fields(new, [], keys(schema_path)):
        old = []
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _diff_maps(path, schema_path, old, new, keys)
    elif isinstance(old, list) and isinstance(new, list) and (fields := key_fields(old, new, keys(schema_path))):
        yield from _diff_keyed(path, schema_path, old, new, fields, keys)
    elif not _equal(old, new):
        yield Change(path, old, new)


def _equal(a: Json, b: Json) -> bool:
    return a is b or (a is not ABSENT and b is not ABSENT and same(a, b))


def _diff_maps(path: Path, schema_path: tuple[str, ...], old: Json, new: Json, keys: ListKeys) -> Iterator[Change]:
    for name in [*old, *(name for name in new if name not in old)]:
        yield from _diff((*path, name), (*schema_path, name), old.get(name, ABSENT), new.get(name, ABSENT), keys)


def _diff_keyed(
    path: Path, schema_path: tuple[str, ...], old: Json, new: Json, fields: KeyFields, keys: ListKeys
) -> Iterator[Change]:
    olds, news = _by_key(old, fields), _by_key(new, fields)
    for item in [*olds, *(item for item in news if item not in olds)]:
        before, after = olds.get(item, ABSENT), news.get(item, ABSENT)
        yield from _diff((*path, item), (*schema_path, "*"), before, after, keys)
    if tuple(olds) != tuple(news):
        yield Change((*path, ORDER), tuple(olds), tuple(news))


def key_fields(a: list[Json], b: list[Json], declared: KeyFields | None) -> KeyFields | None:
    """The key fields by which both lists can be told apart item by item, or None: then a list is one value."""
    if not all(isinstance(item, dict) for item in (*a, *b)):
        return None
    if declared and _unique(a, declared) and _unique(b, declared):
        return declared
    by_name: KeyFields = (("name", ABSENT),)
    named = (*a, *b)
    if (
        named
        and all(isinstance(item.get("name"), str) for item in named)
        and _unique(a, by_name)
        and _unique(b, by_name)
    ):
        return by_name
    return None


def _unique(items: list[Json], fields: KeyFields) -> bool:
    found = [_key_of(item, fields) for item in items]
    if any(value is ABSENT or isinstance(value, dict | list) for item in found for value in item.values):
        return False
    return len(set(found)) == len(found)


def _key_of(item: Json, fields: KeyFields) -> Item:
    defaults = tuple(default for _, default in fields)
    return Item(tuple(name for name, _ in fields), tuple(item.get(name, default) for name, default in fields), defaults)


def _by_key(items: list[Json], fields: KeyFields) -> dict[Item, Json]:
    return {_key_of(item, fields): item for item in items}


def get(value: Json, path: Path) -> Json:
    """The value at `path`, or ABSENT. For ORDER: the tuple of item keys."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step, ABSENT) if isinstance(value, dict) else ABSENT
        elif isinstance(step, Item):
            value = next((i for i in value if step.matches(i)), ABSENT) if isinstance(value, list) else ABSENT
        else:
            return _order_of(value)
        if value is ABSENT:
            return ABSENT
    return value


def _order_of(value: Json) -> Json:
    fields = key_fields(value, [], None) if isinstance(value, list) else None
    return tuple(_by_key(value, fields)) if fields else ABSENT


def inverses(changes: Iterable[Change]) -> list[Change]:
    """The changes that take all of these back. A list item that came with its fields goes as a whole."""
    changes = list(changes)
    made = {change.path[:-1] for change in changes if _makes_item(change)}
    found: dict[Path, Change] = {}
    for change in changes:
        item = next((change.path[:n] for n in range(len(change.path)) if change.path[:n] in made), None)
        found[item or change.path] = Change(item, ABSENT, ABSENT) if item else change.inverse()
    return list(found.values())


def _makes_item(change: Change) -> bool:
    """Whether it is the key of an item that was not there: a key field that has no default no item is without."""
    if change.old is not ABSENT or len(change.path) < 2:
        return False
    item, name = change.path[-2:]
    if not isinstance(item, Item) or name not in item.fields:
        return False
    return item.defaults[item.fields.index(name)] is ABSENT


def apply(changes: Iterable[Change], value: Json) -> Json:
    """A copy of `value` with `changes` made. Raises UnappliableError where a change has no place in it."""
    for change in sorted(changes, key=lambda c: c.path[-1:] == (ORDER,)):
        value = _set(value, change.path, change)
    return value


def _set(value: Json, path: Path, change: Change) -> Json:
    if not path:
        return change.new
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        return _set_key(value, step, rest, change)
    if isinstance(step, Item):
        return _set_item(value, step, rest, change)
    return _reorder(value, change)


def _set_key(value: Json, step: str, rest: Path, change: Change) -> Json:
    if value is ABSENT or value is None:
        if change.new is ABSENT:
            return value
        value = {}
    if not isinstance(value, dict):
        raise UnappliableError(step)
    inner = _set(value.get(step, ABSENT), rest, change)
    if inner is ABSENT:
        return {k: v for k, v in value.items() if k != step}
    return {**value, step: inner}


def _set_item(value: Json, step: Item, rest: Path, change: Change) -> Json:
    if value is ABSENT or value is None:
        if change.new is ABSENT:
            return value
        value = []
    if not isinstance(value, list):
        raise UnappliableError(format_path((step,)))
    index = next((i for i, item in enumerate(value) if step.matches(item)), None)
    if index is None:
        made = ABSENT if change.new is ABSENT else _set(step.fresh() if rest else {}, rest, change)
        return value if made is ABSENT else [*value, made]
    inner = _set(value[index], rest, change)
    return [*value[:index], *([] if inner is ABSENT else [inner]), *value[index + 1 :]]


def _reorder(value: Json, change: Change) -> Json:
    if not isinstance(value, list) or not change.new or change.new is ABSENT:
        return value
    steps: list[Item] = list(change.new)
    known: dict[Item, Json] = {}
    present: list[Item] = []
    for item in value:
        if not isinstance(item, dict):
            raise UnappliableError("order")
        step = _key_of(item, tuple(zip(steps[0].fields, steps[0].defaults, strict=True)))
        if step in known:
            raise UnappliableError("order")
        known[step] = item
        present.append(step)
    return [known[step] for step in merge_order(change.old or (), present, steps) if step in known]


def merge_order(base: Sequence[Item], ours: Sequence[Item], theirs: Sequence[Item]) -> list[Item]:
    """Both sides' items, in the order of the side that moved some; added ones stay behind their neighbour."""
    skeleton, other = (theirs, ours) if not moved(base, ours) else (ours, theirs)
    result = list(skeleton)
    for index, item in enumerate(other):
        if item not in result:
            before = next((i for i in reversed(other[:index]) if i in result), None)
            result.insert(0 if before is None else result.index(before) + 1, item)
    return result


def moved(base: Sequence[Item], side: Sequence[Item]) -> bool:
    """Whether `side` has any two items of `base` in another order."""
    return [i for i in side if i in base] != [i for i in base if i in side]


def is_within(path: Path, outer: Path) -> bool:
    """Whether a path leads to another's place, or into what stands there."""
    return path[: len(outer)] == outer


def format_path(path: Path) -> str:
    """For people: `spec.steps[name=load].sql`, `metadata.labels["a.b/c"]`."""
    text = ""
    for step in path:
        if isinstance(step, Item):
            text += "[" + ",".join(f"{f}={v}" for f, v in zip(step.fields, step.values, strict=True)) + "]"
        elif isinstance(step, _Order):
            continue
        elif step and all(ch.isalnum() or ch in "_-" for ch in step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text
