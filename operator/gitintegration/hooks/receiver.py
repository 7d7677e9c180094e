"""One delivery, from its raw bytes to whom it woke. What is refused is refused in one way, whatever the reason is."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from gitintegration.api.integration import Oidc, Provider
from gitintegration.core.hooks import HookMark
from gitintegration.errors import ClusterError
from gitintegration.gateway.callers import Allowance, Lately
from gitintegration.gateway.gate import Refusal
from gitintegration.hooks.events import Event, Ping, PullRequest, Push, delivery_of, read_event
from gitintegration.hooks.targets import Target, Targets, spread, told_commit
from gitintegration.hooks.verify import Body, Headers, Verdict, Why, verify
from gitintegration.hooks.waker import Waker

_RATE = 50.0
"""Deliveries a second to one path; twice as many at once."""
_FRESH, _AGAIN = 5.0, 1.0
"""Seconds for which keys are believed; and until they are read again where they do not fit."""
_STALE = 600.0
"""Seconds for which they serve while the API server is away."""
REFUSED_AFTER = 0.25
"""Seconds from a delivery's last byte to a refusal, so that the time of it tells nothing."""


class Ring(Protocol):
    async def get(self, path: str) -> tuple[str, ...]: ...


class Tokens(Protocol):
    """Looks at tokens of CI systems."""

    async def proves(self, token: str, wanted: Oidc) -> bool: ...


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Mapping[str, Any]


class Receiver:
    """`count` is told how each delivery ended, in one word of a few."""

    def __init__(
        self,
        targets: Targets,
        ring: Ring,
        waker: Waker,
        count: Callable[[str], None],
        *,
        tokens: Tokens | None = None,
        ready: Callable[[], bool] = lambda: True,
        now: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._targets, self._ring, self._waker, self.count = targets, ring, waker, count
        self._tokens, self._ready, self._now, self._clock, self._sleep = tokens, ready, now, clock, sleep
        self._rates: Lately[str, Allowance] = Lately(4096)
        self._keys: Lately[str, tuple[float, tuple[str, ...]]] = Lately(4096)
        self._nobodys = secrets.token_hex(32)
        self._log = structlog.get_logger("hooks")

    async def deliver(self, path: str, headers: Headers, body: Body) -> Answer:
        """Raises Refusal."""
        began = self._now()
        if not self._ready():
            self.count("starting")
            raise Refusal(503, "busy", "the receiver has just started; try again", headers={"Retry-After": "1"})
        target = self._targets.find(path)
        if target is not None:
            self._pay(path)
        verdict = await self._proven(target, headers, body)
        if target is None or not verdict:
            self.count(str(verdict.why))
            if target is not None:
                self._log.info(
                    "refused",
                    namespace=target.namespace,
                    integration=target.name,
                    why=str(verdict.why),
                    bytes=len(body),
                )
            await self._sleep(max(0.0, began + REFUSED_AFTER - self._now()))
            raise Refusal(404, "not_found", "no such hook, or not proven to be from its sender")
        return await self._taken(target, read_event(headers, body), delivery_of(headers), verdict)

    def _pay(self, path: str) -> None:
        now = self._now()
        rate = self._rates.get(path) or Allowance(_RATE, now)
        self._rates.put(path, rate)
        if wait := rate.wait(now):
            self.count("limited")
            after = {"Retry-After": str(math.ceil(wait))}
            raise Refusal(429, "too_many", "too many deliveries to this hook; one is as good as many", headers=after)
        rate.spend(now)

    async def _proven(self, target: Target | None, headers: Headers, body: Body) -> Verdict:
        moment = self._clock().timestamp()
        if target is None:  # as much work as for one that is there
            verify(headers, body, [self._nobodys], Provider.generic, moment)
            return Verdict(why=Why.unknown)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if target.oidc is not None and self._tokens is not None and scheme.lower() == "bearer":
            good = await self._tokens.proves(bearer.strip(), target.oidc)
            verdict = Verdict("authorization") if good else Verdict(why=Why.wrong)
            rest = {name: value for name, value in headers.items() if name != "authorization"}
            other = verify(rest, body, await self._tokens_of(target, _FRESH), target.provider, moment)
            return other if verdict and other.why in (Why.wrong, Why.stale) else verdict
        verdict = verify(headers, body, await self._tokens_of(target, _FRESH), target.provider, moment)
        if verdict.why is Why.wrong:  # they may just have been changed
            verdict = verify(headers, body, await self._tokens_of(target, _AGAIN), target.provider, moment)
        return verdict

    async def _tokens_of(self, target: Target, age: float) -> tuple[str, ...]:
        """As they were at most `age` seconds ago. Raises Refusal where nobody can tell."""
        if not target.secret:
            return ()
        now, known = self._now(), self._keys.get(target.path)
        if known is not None and known[1] and now - known[0] < age:
            return known[1]
        try:
            found = await self._ring.get(target.path)
        except ClusterError as error:
            if known is not None and now - known[0] < _STALE:
                return known[1]
            raise self._away(target, error) from None
        self._keys.put(target.path, (now, found))
        return found

    async def _taken(self, target: Target, event: Event, delivery: str, verdict: Verdict) -> Answer:
        kin = [(one, commit) for one in self._targets.kin(target) if (commit := told_commit(event, one)) is not None]
        told = {"event": _NAMES.get(type(event), "other"), "scheme": verdict.scheme}
        if not kin:
            self.count("ping" if isinstance(event, Ping) else "nothing")
            return Answer(200 if isinstance(event, Ping) else 202, {"data": {**told, "looks": 0}})
        at = self._clock()
        try:
            marks = [(one, HookMark(at, commit, delivery, spread(len(kin)))) for one, commit in kin]
            await asyncio.gather(*(self._waker.wake(one, mark) for one, mark in marks))
        except ClusterError as error:
            raise self._away(target, error) from None
        self.count("woken")
        self._log.debug(
            "woken", namespace=target.namespace, integrations=[one.name for one, _ in kin], delivery=delivery
        )
        return Answer(202, {"data": {**told, "looks": len(kin)}})

    def _away(self, target: Target, error: ClusterError) -> Refusal:
        self.count("failed")
        self._log.warning("not taken", namespace=target.namespace, integration=target.name, error=error.message)
        return Refusal(503, "busy", "the API server can't be asked just now; try again", headers={"Retry-After": "5"})


_NAMES: Mapping[type, str] = {Push: "push", PullRequest: "pull_request", Ping: "ping"}
