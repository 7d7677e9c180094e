"""What the receiver of webhooks and the operator agree on: where a hook is, what a delivery leaves behind, when to look. Pure.

The receiver writes one annotation and nothing else, a HookMark; the operator looks, as it does when it is asked for a sync.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from gitintegration.api.base_model import HOOK_MARK

PREFIX = "/hooks/"
SECOND_LOOK = 3.0
"""Seconds after a hook when it is looked once more, where the first look did not see what it told of."""
RINGS = tuple(f"gitintegration-hooks-{digit:x}" for digit in range(16))
"""Secrets of the operator's namespace with the keys of all hooks: one alone may hold a megabyte."""

_MARK = re.compile(HOOK_MARK)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NO_ID = re.compile(r"[^0-9A-Za-z_-]")
_TOKENS = 4
_LONGEST = 4096
"""Characters of a token."""


def hook_path(uid: str) -> str:
    """Where the hook of the integration with this UID is. It stays when the token is rotated, and nobody guesses it."""
    return PREFIX + hashlib.sha256(f"gitintegration webhook {uid}".encode()).hexdigest()


def ring_of(path: str) -> tuple[str, str]:
    """The Secret that holds the keys of a hook, and its key there."""
    digest = path.removeprefix(PREFIX)
    return RINGS[int(digest[0], 16)], digest


@dataclass(frozen=True, slots=True)
class HookMark:
    """The last delivery that concerned an integration, as its annotation tells it."""

    at: datetime
    commit: str = ""
    """Where the delivery says that the branch is now; only ever compared with what git says."""
    delivery: str = ""
    """The forge's own name for it."""
    spread: int = 0
    """Seconds within which to look, at random, where one delivery concerns many."""

    def __str__(self) -> str:
        told = [self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")]
        if _COMMIT.fullmatch(self.commit):
            told.append(f"commit={self.commit}")
        if delivery := _NO_ID.sub("", self.delivery)[:64]:
            told.append(f"delivery={delivery}")
        if self.spread:
            told.append(f"spread={min(99, self.spread)}")
        return " ".join(told)

    @classmethod
    def parse(cls, text: str) -> HookMark | None:
        """None where it is no such mark: anybody who may edit the integration may have written it."""
        if not _MARK.fullmatch(text):
            return None
        moment, *rest = text.split(" ")
        told = dict(word.split("=", 1) for word in rest)
        try:
            at = datetime.fromisoformat(moment.replace("Z", "+00:00"))
        except ValueError:
            return None
        if at.tzinfo is None:
            return None
        return cls(at, told.get("commit", ""), told.get("delivery", ""), int(told.get("spread", "0")))


@dataclass(slots=True)
class Looks:
    """When an integration is looked at that deliveries tell of. Times are seconds on one monotonic clock.

    At once, and a few seconds later where the first look did not see what was told: a forge may deliver before it shows the
    ref. Until then further deliveries wait for the second look, so that however many come, two looks answer them.
    """

    _until: float = -math.inf
    _wanted: str = ""
    _before: str | None = None

    def hooked(self, mark: HookMark, head: str | None, now: float, chance: float = 0.0) -> float | None:
        """Seconds until it is to be looked; None where `head`, seen before, is what was told. `chance` is from 0 to 1."""
        if mark.commit and mark.commit == head:
            return None
        self._wanted = mark.commit
        if now < self._until:
            return self._until - now
        wait = mark.spread * chance
        self._until, self._before = now + wait + SECOND_LOOK, head
        return wait

    def looked(self, head: str | None, now: float) -> float | None:
        """A look has ended and saw `head`: seconds until the next; None where there is none to come."""
        seen = head == self._wanted if self._wanted else head != self._before
        if seen or now >= self._until:
            self._until = -math.inf
            return None
        return self._until - now


def keys_text(tokens: tuple[str, ...]) -> str:
    """The keys of one hook, as they are stored."""
    return orjson.dumps({"tokens": list(tokens)}).decode()


def read_keys(text: bytes) -> tuple[str, ...]:
    """The same read back; none where it is nothing of the kind."""
    try:
        tokens = orjson.loads(text)["tokens"]
        return tuple(token for token in tokens[:_TOKENS] if isinstance(token, str) and token)
    except (ValueError, LookupError, TypeError):
        return ()


def usable(token: str) -> bool:
    """Whether it may be a hook's token: there, and one that a header could carry."""
    return 0 < len(token) <= _LONGEST and token.isprintable()
