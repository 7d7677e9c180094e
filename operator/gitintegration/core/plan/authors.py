"""Who made each side's change of a conflict, and when, as people are told it: bounded, and nothing that is only guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gitintegration.core.merge import Conflict
from gitintegration.core.text import plain
from gitintegration.core.values import ObjectKey

_NAME = 128
"""Characters of a name: others chose it."""

Told: TypeAlias = Mapping[str, Any]
"""`by` whom, `at` what time, in git by which `commit`; what is not known is left out. In the cluster, where several people
may be meant: the `editors`."""


@dataclass(frozen=True, slots=True)
class Torn:
    """A conflict, for whoever looks for its authors. `mark` is another where what either side holds is."""

    key: ObjectKey
    path: str
    conflict: Conflict
    mark: str


@dataclass(frozen=True, slots=True)
class Authors:
    """Of the cluster's change, and of git's."""

    ours: Told
    theirs: Told

    def to_status(self) -> dict[str, Any]:
        return {side: dict(told) for side, told in (("ours", self.ours), ("theirs", self.theirs)) if told}


NOBODY = Authors({}, {})


def shown_name(name: str) -> str:
    """As it may be shown: of an author of git, without the mail address."""
    return plain(name.partition("<")[0].strip())[:_NAME]
