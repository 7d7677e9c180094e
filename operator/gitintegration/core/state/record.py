"""The stored rows: what both sides of an item agreed on and what is about to be written to them, and what was put on other branches.

A row of an item holds base and intent of one moment, in one shard: whenever a process is killed, what the next one reads is
the row before a flush or the row after it, never a mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from gitintegration.core.diff import same_value
from gitintegration.core.merge import Base, Decision
from gitintegration.core.values import Json, ObjectKey

UNKNOWN: Final = ""
"""Stands for the version of a side whose change was not carried, or never seen: a new process looks at it again."""

RELEASED: Final = "released"
"""Stands for the version of an object whose labels went to somebody else: it is synced no more, and its file is still there."""


class Watermark(NamedTuple):
    """The versions that a row was made from; kept open for every item, enough to see that nothing changed."""

    path: str
    blob: str
    resource_version: str


class Row(Protocol):
    """What can be stored in shards."""

    @property
    def key(self) -> ObjectKey: ...

    @property
    def mark(self) -> Watermark: ...

    @property
    def is_agreed(self) -> bool:
        """Whether its watermark counts; a row of an intent alone agrees on nothing."""

    @property
    def in_doubt(self) -> bool:
        """Whether something is logged that is not checkpointed."""


R = TypeVar("R", bound=Row)
Fields: TypeAlias = list[Any]


FIRST: Final = 1
"""The version of what is stored and names none."""
SECOND: Final = 2
"""With pushes, and the commit that they were made onto."""


class Codec(Protocol, Generic[R]):
    """From and to the fields of a row behind its key and versions. `decode` raises ValueError for what nobody here wrote."""

    version: int
    """The newest that `encode` makes rows of; `decode` reads those of every version before as well. Rows that the release before
    this one would misread, or would lose something of, take the next number."""

    def version_of(self, record: R) -> int:
        """Which the row of a record is of. The less often it is a new one, the more often the release before can follow."""

    def encode(self, record: R) -> Fields: ...

    def decode(self, key: ObjectKey, mark: Watermark, fields: Fields) -> R: ...


@dataclass(frozen=True, slots=True)
class SideIntent:
    """What a side held when the intent was logged, and what it was to hold. None: no such item."""

    before: Json | None
    goal: Json | None

    @property
    def is_new(self) -> bool:
        return self.before is None and self.goal is not None

    @property
    def is_gone(self) -> bool:
        return self.before is not None and self.goal is None


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be written. It says what was meant, never that it came about."""

    git: SideIntent
    cluster: SideIntent

    @property
    def deletes(self) -> bool:
        """On one of the sides."""
        return self.cluster.is_gone or self.git.is_gone

    def stands(self, git: Json | None, live: Json | None) -> bool:
        """Whether both sides are as they were when it was logged."""
        return (self.git.before, self.cluster.before) == (git, live)

    @classmethod
    def of(cls, decision: Decision, git: Json | None, live: Json | None) -> Intent:
        return cls(
            SideIntent(git, decision.git.value if decision.git else git),
            SideIntent(live, decision.cluster.value if decision.cluster else live),
        )


_PUSHES = 4
"""So many of one item, made onto one commit, are remembered. The oldest of more has landed by now, or never will."""


@dataclass(frozen=True, slots=True)
class Pushes:
    """Pushes of which it is not known what became: any of them may land as long as the branch stands where they were made onto.

    That it was read there once more says nothing: a server may be slow to take a push, and a replica slow to tell of it.
    """

    onto: str | None
    """The commit; None: there was no branch."""
    before: Json | None
    """What git held there."""
    bases: tuple[Base | None, ...]
    """What is agreed on once the push has landed, the newest last; None: that the item is gone."""

    def with_push(self, base: Base | None, *, remember_others: bool) -> Pushes:
        """With one more."""
        others = tuple(each for each in self.bases if each != base) if remember_others else ()
        return replace(self, bases=(*others, base)[-_PUSHES:])

    def without_last(self) -> Pushes | None:
        """Without the newest, which was refused."""
        return replace(self, bases=self.bases[:-1]) if len(self.bases) > 1 else None


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One item. `base` None: nothing was agreed on yet, and only what is in flight is stored."""

    key: ObjectKey
    mark: Watermark
    base: Base | None
    intent: Intent | None = None
    pushes: Pushes | None = None

    @property
    def path(self) -> str:
        return self.mark.path

    @property
    def is_agreed(self) -> bool:
        return self.base is not None

    @property
    def in_doubt(self) -> bool:
        return self.intent is not None or self.pushes is not None

    @property
    def is_released(self) -> bool:
        """Whether its object's labels went to somebody else."""
        return self.mark.resource_version == RELEASED

    def released(self, path: str | None = None) -> ItemRecord:
        """What is kept of it once they did: what was agreed on, with the file that lies at `path` by now."""
        mark = self.mark._replace(path=self.path if path is None else path, resource_version=RELEASED)
        return replace(self, mark=mark, intent=None, pushes=None)


_AS_BASE, _AS_BEFORE, _AS_GOAL = 0, 1, 2
"""Stood in an intent of the first version for a value that the row held already."""
_SIDES, _INTENT = 2, 4
"""Values of the base, and of an intent."""


class ItemCodec:
    """`[git]` where both sides agreed on one value, `[git, live]`, or `[values, logged, onto]` while something is in flight.

    The values are those of the base, then the intent's four where one is `logged`, then of pushes what git held before and two
    for each. A number stands for the value at that place.
    """

    version = SECOND

    def version_of(self, record: ItemRecord) -> int:
        return SECOND if record.in_doubt else FIRST

    def encode(self, record: ItemRecord) -> Fields:
        git, live = (record.base.git, record.base.live) if record.base else (None, None)
        if not record.in_doubt:
            return [git] if same_value(git, live) else [git, live]
        values: list[Json | None] = [git, live]
        likely: list[tuple[int, ...]] = [(), (0,)]
        if intent := record.intent:
            values += [intent.git.before, intent.git.goal, intent.cluster.before, intent.cluster.goal]
            likely += [(0,), (2, 0), (1,), (4, 1)]
        if pushes := record.pushes:
            goals = ((3,), (5, 1)) if intent else ((0,), (1,))
            values += [pushes.before, *(v for b in pushes.bases for v in ((b.git, b.live) if b else (None, None)))]
            likely += [(2, 0) if intent else (0,), *(goals * len(pushes.bases))]
        return [_folded(values, likely), intent is not None, [pushes.onto] if pushes else None]

    def decode(self, key: ObjectKey, mark: Watermark, fields: Fields) -> ItemRecord:
        match fields:
            case [(None | dict()) as git]:
                return ItemRecord(key, mark, _base(git, git))
            case [(None | dict()) as git, (None | dict()) as live]:
                return ItemRecord(key, mark, _base(git, live))
            case [(None | dict()) as git, (None | dict()) as live, ([_, _, _, _] | [_, _, _, _, _, _]) as intent]:
                return _of_first_version(key, mark, git, live, intent)
            case [list() as values, bool() as logged, (None | [None] | [str()]) as onto]:
                return _in_flight(key, mark, _unfolded(values), logged=logged, onto=onto)
        raise ValueError("damaged: a row holds no item")


def _base(git: Json | None, live: Json | None) -> Base | None:
    return None if git is None or live is None else Base(git, live)


def _folded(values: Sequence[Json | None], likely: Sequence[Sequence[int]]) -> list[Json | int | None]:
    """The values, with the place of a `likely` one instead of each that is the same."""
    found: list[Json | int | None] = []
    for value, places in zip(values, likely, strict=True):
        alike = (place for place in places if value is not None and same_value(value, values[place]))
        found.append(next(alike, value))
    return found


def _unfolded(values: Sequence[object]) -> list[Json | None]:
    found: list[Json | None] = []
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(found):
            found.append(found[value])
        else:
            _check_manifests(value)
            found.append(value)
    return found


def _in_flight(
    key: ObjectKey, mark: Watermark, values: list[Json | None], *, logged: bool, onto: list[str | None] | None
) -> ItemRecord:
    begun = _SIDES + (_INTENT if logged else 0)
    if len(values) < begun or (onto is None) != (len(values) == begun) or (onto and (len(values) - begun) % 2 == 0):
        raise ValueError("damaged: a row holds other values than it names")
    intent = Intent(SideIntent(*values[2:4]), SideIntent(*values[4:6])) if logged else None
    pushes = None
    if onto:
        before, *goals = values[begun:]
        pushes = Pushes(onto[0], before, tuple(map(_base, goals[::2], goals[1::2])))
    return ItemRecord(key, mark, _base(values[0], values[1]), intent, pushes)


def _of_first_version(
    key: ObjectKey, mark: Watermark, git: Json | None, live: Json | None, intent: Sequence[Any]
) -> ItemRecord:
    """Of a push was known what is agreed on then, and not what it was made onto."""
    sides = _side(intent[0], intent[1], git), _side(intent[2], intent[3], live)
    then = [side.goal if value == _AS_GOAL else value for side, value in zip(sides, intent[4:], strict=False)]
    _check_manifests(*then)
    pushes = None
    if not same_value(sides[0].before, sides[0].goal):
        goals = then or [side.goal for side in sides]
        pushes = Pushes(UNKNOWN, sides[0].before, (_base(*goals),))
    return ItemRecord(key, mark, _base(git, live), Intent(*sides), pushes)


def _side(before: Any, goal: Any, base: Json | None) -> SideIntent:
    was = base if before == _AS_BASE else before
    wanted = was if goal == _AS_BEFORE else base if goal == _AS_BASE else goal
    _check_manifests(was, wanted)
    return SideIntent(was, wanted)


def _check_manifests(*values: object) -> None:
    """Whoever may write the operator's memory may have written anything."""
    if not all(isinstance(value, dict | None) for value in values):
        raise ValueError("damaged: a row holds what is no manifest")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was offered of an item on the review branch; None: its removal."""

    key: ObjectKey
    path: str
    blob: str
    """Of its file as it was left there."""
    branch: str
    """Where it is open; empty: it is settled."""
    offered: Json | None
    cluster: Json | None
    """What the cluster held then."""
    default: Json | None
    """What the default branch held then."""

    is_agreed, in_doubt = True, False

    @property
    def is_open(self) -> bool:
        return bool(self.branch)

    @property
    def mark(self) -> Watermark:
        return Watermark(self.path, self.blob, self.branch)


class ProposalCodec:
    version = FIRST

    def version_of(self, record: Proposal) -> int:
        return FIRST

    def encode(self, record: Proposal) -> Fields:
        return [[record.offered, record.cluster], record.default]

    def decode(self, key: ObjectKey, mark: Watermark, fields: Fields) -> Proposal:
        match fields:
            case [[offered, cluster], default]:
                _check_manifests(offered, cluster, default)
                return Proposal(key, mark.path, mark.blob, mark.resource_version, offered, cluster, default)
        raise ValueError("damaged: a row holds no proposal")


@dataclass(frozen=True, slots=True)
class Published:
    """What an operation pushed of an item to another branch."""

    item: ObjectKey
    branch: str
    path: str
    value: Json | None

    is_agreed, in_doubt = True, False

    @staticmethod
    def key_of(item: ObjectKey, branch: str) -> ObjectKey:
        """A space is in no name of an object and in no name of a branch."""
        return ObjectKey(item.group, item.kind, f"{item.name} {branch}")

    @property
    def key(self) -> ObjectKey:
        return self.key_of(self.item, self.branch)

    @property
    def mark(self) -> Watermark:
        return Watermark(self.path, "", "")


class PublishedCodec:
    version = FIRST

    def version_of(self, record: Published) -> int:
        return FIRST

    def encode(self, record: Published) -> Fields:
        return [record.value, None]

    def decode(self, key: ObjectKey, mark: Watermark, fields: Fields) -> Published:
        name, _, branch = key.name.partition(" ")
        match fields:
            case [value] | [value, None] if branch:
                _check_manifests(value)
                return Published(ObjectKey(key.group, key.kind, name), branch, mark.path, value)
        raise ValueError("damaged: a row holds nothing that was published")
