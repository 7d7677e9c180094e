"""The stored rows: what both sides of an item agreed on and what is about to be written to them, and what was put on other branches.

A row of an item holds base and intent of one moment, in one shard: whenever a process is killed, what the next one reads is
the row before a flush or the row after it, never a mixture.
"""

from __future__ import annotations

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


class Codec(Protocol, Generic[R]):
    """From and to the fields of a row behind its key and versions. `decode` raises ValueError for what nobody here wrote."""

    version: int
    """Of the rows that `encode` makes; `decode` reads those of every version before as well. Rows that the release before this
    one would misread, or would lose something of, take the next number."""

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
    next_base: Base | None = None
    """What is agreed on once git holds what is about to be pushed, where something is."""

    @classmethod
    def of(cls, decision: Decision, git: Json | None, live: Json | None) -> Intent:
        return cls(
            SideIntent(git, decision.git.value if decision.git else git),
            SideIntent(live, decision.cluster.value if decision.cluster else live),
        )


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One item. `base` None: nothing was agreed on yet, and only the intent is stored."""

    key: ObjectKey
    mark: Watermark
    base: Base | None
    intent: Intent | None = None

    @property
    def path(self) -> str:
        return self.mark.path

    @property
    def is_agreed(self) -> bool:
        return self.base is not None

    @property
    def in_doubt(self) -> bool:
        return self.intent is not None

    @property
    def is_released(self) -> bool:
        """Whether its object's labels went to somebody else."""
        return self.mark.resource_version == RELEASED

    def released(self, path: str | None = None) -> ItemRecord:
        """What is kept of it once they did: what was agreed on, with the file that lies at `path` by now."""
        mark = self.mark._replace(path=self.path if path is None else path, resource_version=RELEASED)
        return replace(self, mark=mark, intent=None)


_AS_BASE, _AS_BEFORE, _AS_GOAL = 0, 1, 2
"""Stand in a stored intent for a value that the row holds already."""


class ItemCodec:
    """`[git]` where both sides agreed on one value, `[git, live]`, or `[git, live, intent]` while something is in flight."""

    version = FIRST

    def encode(self, record: ItemRecord) -> Fields:
        git, live = (record.base.git, record.base.live) if record.base else (None, None)
        if record.intent is None:
            return [git] if same_value(git, live) else [git, live]
        intent = record.intent
        sides = (intent.git, git), (intent.cluster, live)
        values = [value for side, base in sides for value in _folded(side, base)]
        if (then := intent.next_base) is not None:
            goals = (then.git, intent.git.goal), (then.live, intent.cluster.goal)
            values += [_AS_GOAL if same_value(value, goal) else value for value, goal in goals]
        return [git, live, values]

    def decode(self, key: ObjectKey, mark: Watermark, fields: Fields) -> ItemRecord:
        match fields:
            case [git]:
                live, intent = git, None
            case [git, live]:
                intent = None
            case [git, live, ([_, _, _, _] | [_, _, _, _, _, _]) as intent]:
                pass
            case _:
                raise ValueError("damaged: a row holds no item")
        _check_manifests(git, live)
        base = None if git is None or live is None else Base(git, live)
        if intent is None:
            return ItemRecord(key, mark, base)
        sides = _unfolded(intent[0], intent[1], git), _unfolded(intent[2], intent[3], live)
        then = [side.goal if value == _AS_GOAL else value for side, value in zip(sides, intent[4:], strict=False)]
        _check_manifests(*then)
        next_base = Base(then[0], then[1]) if then and None not in then else None
        return ItemRecord(key, mark, base, Intent(*sides, next_base))


def _folded(side: SideIntent, base: Json | None) -> tuple[Any, Any]:
    of_base = base is not None
    before = _AS_BASE if of_base and same_value(side.before, base) else side.before
    if same_value(side.goal, side.before):
        return before, _AS_BEFORE
    return before, _AS_BASE if of_base and same_value(side.goal, base) else side.goal


def _unfolded(before: Any, goal: Any, base: Json | None) -> SideIntent:
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

    def encode(self, record: Published) -> Fields:
        return [record.value, None]

    def decode(self, key: ObjectKey, mark: Watermark, fields: Fields) -> Published:
        name, _, branch = key.name.partition(" ")
        match fields:
            case [value] | [value, None] if branch:
                _check_manifests(value)
                return Published(ObjectKey(key.group, key.kind, name), branch, mark.path, value)
        raise ValueError("damaged: a row holds nothing that was published")
