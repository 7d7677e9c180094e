"""What counts as evidence that an object was deleted. Pure: what was seen goes in, a value comes out; unknown is one.

An object is taken for deleted only where its side said so. A kind whose definition went, and took its objects along, said
nothing of them; nor did a namespace that is going, or a server that does not answer for the kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any

from gitintegration.core.values import ObjectKey


@dataclass(frozen=True, slots=True)
class Definition:
    """What makes the API server serve a kind, as far as it can be seen."""

    uid: str
    made: datetime
    leaving: bool = False
    """It is being removed, and its objects with it."""
    changed: datetime | None = None
    """When it was written last, its status apart."""
    generation: int = 0
    """Counts its changes."""


def definition_name(kind_id: tuple[str, str]) -> str:
    """By which a status remembers the definition of a kind: its name and group."""
    group, kind = kind_id
    return f"{kind}.{group}" if group else kind


def remembered(status: Mapping[str, Any], kind_id: tuple[str, str]) -> Definition | None:
    """The definition that what both sides agreed on belongs to, as a process before this one told it."""
    uid = (status.get("observedDefinitions") or {}).get(definition_name(kind_id))
    return Definition(uid, datetime.min.replace(tzinfo=UTC)) if uid else None


class Standing(Enum):
    """What the absence of an object of a kind says."""

    served = "it was deleted"
    away = "nothing: the kind is not served"
    remade = "nothing: it went with an older definition of the kind"


def standing(
    before: Definition | None, now: Definition | None, *, listed: bool, agreed_at: datetime | None = None
) -> Standing:
    """What a kind's absent objects say.

    `before`: its definition when it was last served; `now`: as it is; None: not known, or it has none of its own.
    `listed`: discovery names it with all its verbs. `agreed_at`: a moment at which both sides were synced, where `before` is not known.
    """
    if not listed or (now is not None and now.leaving):
        return Standing.away
    if now is None:
        return Standing.served if before is None else Standing.away
    if before is not None:
        return Standing.served if before.uid == now.uid else Standing.remade
    return Standing.remade if agreed_at is not None and now.made > agreed_at else Standing.served


def survived(remembered: Mapping[ObjectKey, str], there: Mapping[str, str], keys: Iterable[ObjectKey]) -> bool:
    """Whether any of `keys` is there still as remembered, so that the storage of its kind is the one it was.

    `remembered` and `there`: resourceVersions, by key and by name.
    """
    known = [key for key in keys if key in remembered]
    return not known or any(there.get(key.name) == remembered[key] for key in known)


class Course(StrEnum):
    """Where a branch went, from the commit that it was seen at last."""

    onward = "onward"
    behind = "behind"
    """To a commit before it, or to none."""
    elsewhere = "elsewhere"
    unknown = "unknown"


STANDS_FOR = 30.0
"""Seconds for which a branch must stand behind a commit that was seen on it, before that is believed."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A head that is not believed yet, since when (seconds)."""

    commit: str | None
    since: float


def doubted(course: Course, commit: str | None, before: Behind | None, now: float) -> Behind | None:
    """What is to be waited for, where a branch was found at `commit`; None: it is believed.

    A replica of the server that lags tells of a branch as it was: what it lacks was not taken back by anybody.
    """
    if course in (Course.onward, Course.elsewhere):
        return None
    if before is None or before.commit != commit:
        return Behind(commit, now)
    return before if now - before.since < STANDS_FOR else None
