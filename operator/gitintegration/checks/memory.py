"""What is remembered of each pull request, so that a forge is told nothing twice. Pure: the caller brings the time.

It outlives a process in `status.pullRequests`, for the newest; of others there is in `status.pullRequestsTold` what their forge was told.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gitintegration.core.checks.findings import CheckState, Verdict
from gitintegration.core.hooks import HookMark
from gitintegration.core.values import ObjectKey
from gitintegration.errors import GitIntegrationError
from gitintegration.forge.checks import OpenPull

SHOWN, _BEYOND = 20, 100
"""Pull requests that have a row in the status, and others of which it holds what was told."""
Ground: TypeAlias = tuple[object, ...]
"""All that a check follows from; another where the result may be another."""


@dataclass(slots=True)
class Known:
    """One pull request. Times are of the monotonic clock."""

    number: int
    url: str
    head: str
    """The commit that it would bring, as the forge tells it."""
    branch: str = ""
    fork: bool = False
    commit: str = ""
    """The whole name of the head; once it is merged, of the commit that it was merged as."""
    merged: bool = False
    base: str = ""
    verdict: Verdict | None = None
    found_at: str = ""
    """When the verdict was found first."""
    told: str = ""
    """Names what the forge was told of the commit last."""
    commented: str = ""
    comment: str = ""
    """Id of the comment."""
    ground: Ground | None = None
    keys: frozenset[ObjectKey] | None = None
    """The pipelines that it touches."""
    seen: Mapping[ObjectKey, str] | None = None
    """Of those that were read, the version of each object that it was planned on; None where an earlier process read them."""
    rest: str = ""
    """Names what it was planned against, where both sides were the same then: while they still are, nothing is read for it."""
    may_pass: bool = False
    """Whether it fails for what may change though neither side moves, as a policy of the cluster does."""
    looked: float = -math.inf
    trouble: float | None = None
    """Since when it can't be checked."""
    why: GitIntegrationError | None = None

    def judge(self, commit: str, base: str, verdict: Verdict, now: str) -> None:
        """Take a verdict; when and against what it was found first is kept while it stays the same."""
        if (self.commit, self.verdict) != (commit, verdict):
            self.commit, self.base, self.verdict, self.found_at = commit, base, verdict, now

    @property
    def mark(self) -> str:
        """Names what the forge is to be told of the commit."""
        assert self.verdict is not None
        text = f"{self.commit} {self.verdict.state} {self.verdict.description}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_status(self) -> dict[str, Any]:
        told: dict[str, Any] = {"number": self.number, "url": self.url, "head": self.commit or self.head}
        if self.verdict is not None:
            told |= {"state": self.verdict.state.value, "description": self.verdict.description}
        told |= {"base": self.base, "checkedAt": self.found_at, "comment": self.comment}
        told |= {"digest": f"{self.told}.{self.commented}.{self.rest}".rstrip(".")}
        told |= {"merged": True} if self.merged else {}
        return {name: value for name, value in told.items() if value != ""}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Known:
        """As an earlier process told it. Raises LookupError, TypeError, ValueError where it is nothing of the kind."""
        known = cls(int(row["number"]), str(row["url"]), str(row["head"]))
        known.commit, known.merged = known.head, bool(row.get("merged"))
        known.told, known.commented, known.rest, *_ = (*str(row.get("digest", "")).split("."), "", "", "")
        known.comment, known.base = str(row.get("comment", "")), str(row.get("base", ""))
        known.found_at = str(row.get("checkedAt", ""))
        if "state" in row:
            known.verdict = Verdict(CheckState(row["state"]), str(row.get("description", "")))
        return known

    def to_line(self) -> str:
        """What was told of it, and no more."""
        return f"{self.number} {self.commit or self.head} {self.told}.{self.commented} {self.comment}".strip()

    @classmethod
    def of_line(cls, line: str) -> Known:
        """The same, of an earlier process; it is not known yet where its page is. Raises ValueError where it is nothing of the kind."""
        number, head, digest, *comment = line.split(" ")
        known = cls(int(number), "", head, commit=head, comment=comment[0] if comment else "")
        known.told, _, known.commented = digest.partition(".")
        return known


@dataclass(slots=True)
class CheckMemory:
    """All of one integration."""

    known: dict[int, Known] = field(default_factory=dict)
    mark: HookMark | None = None
    """The last delivery that was heeded."""
    base: str | None = None
    """The branch's head when the forge was asked last."""
    listed: float = -math.inf
    """When that was."""
    list_at: float = -math.inf
    """When the forge is asked which are open."""
    second_at: float = -math.inf
    """When it is asked once more, though nothing tells of it: it may tell of what it does not show yet."""
    next_at: float = math.inf
    """When one of them is due, though nothing moves."""
    again_at: float = -math.inf
    """Nothing is done before that."""
    failures: int = 0

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> CheckMemory:
        """What an earlier process left in the status."""
        memory = cls()
        for row in status.get("pullRequests") or ():
            try:
                known = Known.of(row)
            except (LookupError, TypeError, ValueError, AttributeError):
                continue
            memory.known[known.number] = known
        for line in status.get("pullRequestsTold") or ():
            with contextlib.suppress(ValueError, AttributeError):
                known = Known.of_line(line)
                memory.known.setdefault(known.number, known)
        return memory

    def take(self, found: Sequence[OpenPull]) -> list[Known]:
        """Note which are open, in the order that they are told in. Gives those that were, and are not any more."""
        there = {pull.number: pull for pull in found}
        self.known = {number: known for number, known in self.known.items() if known.url or number in there}
        gone = [known for number, known in self.known.items() if number not in there and not known.merged]
        rows = [self._row(pull) for pull in found]
        rest = [known for number, known in self.known.items() if number not in there]
        self.known = {known.number: known for known in [*rows, *rest]}
        return gone

    def _row(self, pull: OpenPull) -> Known:
        known = self.known.get(pull.number)
        if known is None or known.merged:
            return Known(pull.number, pull.url, pull.commit, pull.head, pull.fork)
        if pull.commit != known.head and not known.head.startswith(pull.commit):
            known.ground, known.trouble, known.why, known.looked = None, None, None, -math.inf
        known.url, known.head, known.branch, known.fork = pull.url, pull.commit, pull.head, pull.fork
        return known

    def to_status(self) -> list[dict[str, Any]]:
        """The newest of them."""
        return [known.to_status() for known in self._newest[:SHOWN] if known.url]

    def beyond(self) -> list[str]:
        """What was told of others."""
        newest = self._newest
        others = [*(known for known in newest[:SHOWN] if not known.url), *newest[SHOWN:]]
        return [known.to_line() for known in others[:_BEYOND] if known.told and not known.merged]

    @property
    def _newest(self) -> list[Known]:
        return sorted(self.known.values(), key=lambda known: -known.number)
