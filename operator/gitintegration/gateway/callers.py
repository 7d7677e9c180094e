"""Whose token it is: asked of the API server by TokenReview, remembered for seconds, and bounded for those whom nobody knows.

A token is known by a keyed digest; the token itself is kept nowhere. One that was good within the last hour is asked for
again whatever goes on; the others share few places and a rate, by client and in all, so that guessing reaches the API
server no faster than that, and whoever guesses stands in his own way first.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Generic, TypeVar

User = Mapping[str, Any]
"""What a TokenReview tells: username, uid, groups, extra."""
K = TypeVar("K")
V = TypeVar("V")


class Busy(Exception):
    """No place just now; whoever asks may come again after `seconds`."""

    def __init__(self, message: str, seconds: int = 1) -> None:
        super().__init__(message)
        self.message, self.seconds = message, seconds


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what is asked of the API server for tokens, and kept of it."""

    fresh: float = 10.0
    """Seconds for which an answer is believed, good or bad."""
    known: float = 3600.0
    """Seconds for which a token that was good is asked for again without standing in line."""
    kept: int = 1024
    """Tokens remembered, of each sort."""
    asking: int = 8
    """Reviews at a time, of each sort."""
    waiting: int = 64
    """Unknown tokens under review or in line for it."""
    waiting_of_one: int = 32
    """The same of one client."""
    failures: float = 40.0
    """Tokens a second that may turn out to be nobody's; twice as many at once."""
    failures_of_one: float = 5.0
    """The same of one client."""


class Lately(Generic[K, V]):
    """The last `size` things that were used; the one longest unused goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def put(self, key: K, value: V) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._size:
            self._items.popitem(last=False)

    def drop(self, key: K) -> None:
        self._items.pop(key, None)

    def __len__(self) -> int:
        return len(self._items)


class Allowance:
    """`rate` a second, twice as many at once; what was spent comes back with time."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._left, self._at = rate, 2 * rate, now

    def left(self, now: float) -> float:
        self._left = min(2 * self._rate, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left

    def spend(self, now: float) -> None:
        self._left = self.left(now) - 1

    def wait(self, now: float) -> float:
        """Seconds until there is one to spend."""
        return max(0.0, (1 - self.left(now)) / self._rate)


class Callers:
    """`review` asks the API server; it returns None for a token that is nobody's."""

    def __init__(
        self,
        review: Callable[[str], Awaitable[User | None]],
        bounds: Bounds = Bounds(),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._review, self._bounds, self._now = review, bounds, now
        self._key = secrets.token_bytes(32)
        self._users: Lately[bytes, tuple[float, User]] = Lately(bounds.kept)
        self._nobodies: Lately[bytes, float] = Lately(bounds.kept)
        self._running: dict[bytes, asyncio.Task[User | None]] = {}
        self._known, self._unknown = asyncio.Semaphore(bounds.asking), asyncio.Semaphore(bounds.asking)
        self._waiting: Counter[str] = Counter()
        self._failures = Allowance(bounds.failures, now())
        self._failures_of: Lately[str, Allowance] = Lately(bounds.kept)

    async def user(self, token: str, client: str) -> User | None:
        """Whose token it is, or None where it is nobody's. Raises Busy, and ClusterError where nobody can tell."""
        key = blake2b(token.encode(), key=self._key, digest_size=32).digest()
        now, fresh = self._now(), self._bounds.fresh
        last = self._users.get(key)
        if last and now - last[0] < fresh:
            return last[1]
        refused = self._nobodies.get(key)
        if refused is not None and now - refused < fresh:
            return None
        running = self._running.get(key)
        if running is None:
            known = last is not None and now - last[0] < self._bounds.known
            if not known:
                self._admit(client)
            running = asyncio.get_running_loop().create_task(self._ask(key, token, None if known else client))
            self._running[key] = running
            running.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(running)

    def forget(self, token: str) -> None:
        """It is asked for anew: the API server did not take it."""
        self._users.drop(blake2b(token.encode(), key=self._key, digest_size=32).digest())

    def _admit(self, client: str) -> None:
        """Takes a place in the line of unknown tokens. Raises Busy."""
        bounds, now = self._bounds, self._now()
        if self._waiting.total() >= bounds.waiting or self._waiting[client] >= bounds.waiting_of_one:
            raise Busy("too many unknown tokens wait to be looked at; try again")
        of_one = self._failures_of.get(client)
        wait = max(self._failures.wait(now), of_one.wait(now) if of_one else 0.0)
        if wait:
            raise Busy("too many unknown tokens were sent; try again", math.ceil(wait))
        self._waiting[client] += 1

    async def _ask(self, key: bytes, token: str, client: str | None) -> User | None:
        """`client`: who sent it and has a place in line; None for a token that was good lately."""
        if client is None:
            async with self._known:
                return self._learn(key, await self._review(token), None)
        try:
            async with self._unknown:
                return self._learn(key, await self._review(token), client)
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    def _learn(self, key: bytes, user: User | None, client: str | None) -> User | None:
        now = self._now()
        if user is not None:
            self._users.put(key, (now, user))
            return user
        self._users.drop(key)
        self._nobodies.put(key, now)
        if client is not None:
            of_one = self._failures_of.get(client) or Allowance(self._bounds.failures_of_one, now)
            of_one.spend(now)
            self._failures_of.put(client, of_one)
            self._failures.spend(now)
        return None

    def _done(self, key: bytes, task: asyncio.Task[User | None]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # told to whoever waited; it may be that nobody did


def client_of(address: str | None) -> str:
    """Who shares a place with whom: an IPv4 address by itself, an IPv6 one with its /64, which is one site's."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False).network_address)
    return str(found)
