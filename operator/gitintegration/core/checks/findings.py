"""What merging a pull request would come to, and what follows from that: the state of its check, in one line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gitintegration.core.invalid import Problem
from gitintegration.core.plan.authors import Told
from gitintegration.core.plan.detail import FieldValue
from gitintegration.core.status import ConflictEntry
from gitintegration.core.text import plain
from gitintegration.core.values import ObjectKey
from gitintegration.messages import counted, named

DESCRIPTION = 140
"""Characters of a status' line: what the narrowest forge has room for."""


class CheckState(StrEnum):
    """How a check stands, in the words of most forges."""

    pending = "pending"
    success = "success"
    failure = "failure"
    error = "error"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a check stands, and why, in one line."""

    state: CheckState
    description: str

    @classmethod
    def of(cls, state: CheckState, words: str) -> Verdict:
        """Cut to the room there is, without what a terminal or a page would obey."""
        return cls(state, _cut(plain(words), DESCRIPTION))

    def against(self, base: str) -> Verdict:
        """The same, with the commit that it was found against."""
        end = f"; against {base[:10]}" if base else ""
        return Verdict(self.state, _cut(self.description, DESCRIPTION - len(end)) + end)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


@dataclass(frozen=True, slots=True)
class Brought:
    """What becomes of one pipeline in the cluster. `action`: create, update or delete."""

    key: ObjectKey
    path: str
    action: str
    fields: Sequence[FieldValue] = ()
    """What each was and will be, of an update."""
    more: int = 0
    """Fields beyond those."""
    held: bool = False
    """It waits for a person's word once it is merged."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Edits of a pipeline in the cluster that git does not have, and that stay as they are."""

    key: ObjectKey
    fields: Sequence[str]
    author: Told


@dataclass(frozen=True, slots=True)
class Unmerged:
    """A file that both branches changed in the same place, so that git can't merge it."""

    path: str
    words: str


@dataclass(frozen=True, slots=True)
class Signatures:
    """What is asked of the commits that are pulled (`spec.verify`), and what the head of the pull request has of it.

    The commit that it is merged as is not there yet: whose signature that has nobody can say before.
    """

    signer: str = ""
    """Whose trusted key signed the head; empty: nobody's."""
    flaw: str = ""
    """Why not, as the condition's reason."""
    each: bool = False
    """Whether each commit that comes onto the branch is to be signed, and not the last alone."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All that merging would do. `branch` and `base`: what it would be merged into."""

    branch: str
    base: str
    brought: Sequence[Brought] = ()
    conflicts: Sequence[ConflictEntry] = ()
    kept: Sequence[Kept] = ()
    problems: Sequence[Problem] = ()
    """What would be left alone, and why: also what the API server refuses, in its own words."""
    unmerged: Sequence[Unmerged] = ()
    alike: int = 0
    """Pipelines that it changes in git to what the cluster holds already."""
    unpruned: int = 0
    """Pipelines that it deletes in git, and that stay in the cluster: the spec prunes nothing."""
    waits: str = ""
    """Why nothing of it goes live by itself, in words."""
    signatures: Signatures | None = None
    """Where commits are verified."""

    @property
    def touches(self) -> bool:
        """Whether any pipeline is touched."""
        return bool(self.brought or self.conflicts or self.problems or self.unmerged or self.alike or self.unpruned)

    @property
    def held(self) -> int:
        return sum(one.held for one in self.brought)

    @property
    def verdict(self) -> Verdict:
        """Whether it should be merged as it is.

        Deletes that will be held are no failure: nobody can confirm them before they are merged, so a check that is required
        would never let them be.
        """
        if not self.touches:
            return Verdict.of(CheckState.success, self._signed("no pipeline is touched"))
        wrong = []
        if self.unmerged:
            wrong.append(f"git can't merge {named([one.path for one in self.unmerged], 2)}")
        if self.conflicts:
            names = named(sorted(one.name for one in self.conflicts), 3)
            wrong.append(f"{counted(len(self.conflicts), 'conflict')} with the cluster: {names}")
        if self.problems:
            wrong.append(f"{counted(len(self.problems), 'manifest')} would be left alone")
        if wrong:
            return Verdict.of(CheckState.failure, "; ".join(wrong))
        return Verdict.of(CheckState.success, self._signed(self._words))

    def _signed(self, words: str) -> str:
        return f"{words}; a trusted key must sign the merge" if self.signatures else words

    @property
    def deeds(self) -> str:
        """What it does to the cluster by itself, in words; empty where that is nothing."""
        actions = [one.action for one in self.brought if not one.held]
        counts = ((verb, actions.count(verb)) for verb in ("create", "update", "delete"))
        return ", ".join(f"{verb}s {count}" for verb, count in counts if count)

    @property
    def _words(self) -> str:
        done = f"once pulled, it {self.deeds}" if self.waits else f"merging {self.deeds}"
        told = [f"{counted(self.held, 'delete')} held for confirmation"] if self.held else []
        told += [done] if self.deeds else []
        told += [f"{self.unpruned} deleted in git only"] if self.unpruned else []
        if not told:
            return "the cluster holds it already"
        return "; ".join([*told, *([self.waits] if self.waits else [])])
