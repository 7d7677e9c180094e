"""One writer among replicas: a Lease, held by one of them at a time, and the fence that stops a writer who lost it.

Written by hand: kopf has no election by Lease, and that of the kubernetes client's asyncio half can leave two leaders
behind (a create that always fails, a refused connection that ends the watch but not the work).

The holder writes only while its last renewal is younger than `deadline`; others take over once they have seen no
renewal for `duration`, by their own clocks. What is written is guarded besides: by resourceVersion in the cluster, by
the old object name in git.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from gitintegration.cluster.client import JSON, Cluster, NotFoundError
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.errors import ClusterError, LeaseLost, Stale
from gitintegration.logs import Trouble

_KIND = ResourceKind("coordination.k8s.io", "v1", "Lease", "leases", True)


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds: of silence until another takes over, until the holder stops by itself, between renewals."""

    duration: float = 15.0
    deadline: float = 10.0
    period: float = 2.0


def lease_name(shard: str, namespaces: Sequence[str]) -> str:
    """Operators that divide the work by shard or by namespace don't wait for each other."""
    parts = ["gitintegration"]
    if shard:
        parts.append(shard)
    if namespaces:
        parts.append(hashlib.sha256(",".join(sorted(namespaces)).encode()).hexdigest()[:8])
    return "-".join(parts)


def boot_clock() -> float:
    """Seconds since boot; goes on while the machine, or this process, sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """`identity` is this process and no other: of two that share one, neither would know of the other."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        identity: str,
        terms: Terms = Terms(),
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._cluster, self._identity, self._terms, self._clock = cluster, identity, terms, clock
        self._path = _KIND.path(namespace, name)
        self._all, self._name, self._namespace = _KIND.path(namespace), name, namespace
        self._record: dict[str, Any] | None = None
        self._seen = 0.0
        """When the record was seen to change last."""
        self._until = 0.0
        self._log = structlog.get_logger("lease")
        self._not_had = Trouble(self._log, "the Lease can't be had", clock)
        self._not_renewed = Trouble(self._log, "the Lease was not renewed", clock)

    @property
    def leading(self) -> bool:
        return self._clock() < self._until

    def remaining(self) -> float:
        """Seconds for which this process may still write. Raises LeaseLost where it may not."""
        left = self._until - self._clock()
        if left <= 0:
            raise LeaseLost(f"this process does not hold the Lease {self._name} any more")
        return left

    async def acquire(self, standing_by: Callable[[], None]) -> None:
        """Returns when it is ours. `standing_by` is called where another holds it meanwhile."""
        told = None
        while True:
            try:
                self._look(await self._cluster.get(self._path))
                if await self._take():
                    self._log.info("leading", lease=self._name, identity=self._identity)
                    return
                standing_by()
                if told != (holder := self._holder):
                    self._log.info("standing by", lease=self._name, holder=holder)
                    told = holder
                await self._wait_for_its_end()
            except Stale:
                continue
            except ClusterError as error:
                self._not_had.tell(error.message, lease=self._name)
                await asyncio.sleep(self._terms.period)

    async def hold(self) -> None:
        """Renews it; returns when it is lost."""
        while True:
            await asyncio.sleep(self._terms.period)
            try:
                await self._renew()
            except Stale:
                with contextlib.suppress(ClusterError):
                    found = await self._cluster.get(self._path)
                    if found is None or (found["spec"].get("holderIdentity") or "") != self._identity:
                        break
                    self._record = found
            except ClusterError as error:
                self._not_renewed.tell(error.message, lease=self._name)
            if not self.leading:
                break
        self._until = 0.0
        self._log.error("the Lease is lost", lease=self._name)

    async def release(self) -> None:
        """Let another have it at once. From here on nothing is written."""
        if not self.leading or self._record is None:
            return
        self._until = 0.0
        with contextlib.suppress(ClusterError):
            await self._put({**self._spec(), "holderIdentity": "", "leaseDurationSeconds": 1})

    @property
    def _holder(self) -> str:
        return str(((self._record or {}).get("spec") or {}).get("holderIdentity") or "")

    def _look(self, found: dict[str, Any] | None) -> None:
        before, self._record = self._record, found
        if (
            found is None
            or before is None
            or found["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
        ):
            self._seen = self._clock()

    def _ends(self) -> float:
        """When it is free, where nobody renews it."""
        if not self._holder or self._holder == self._identity:
            return 0.0
        assert self._record is not None
        return self._seen + float(self._record["spec"].get("leaseDurationSeconds") or self._terms.duration)

    async def _take(self) -> bool:
        if self._clock() < self._ends():
            return False
        if self._record is None:
            began = self._clock()
            metadata = {"name": self._name, "namespace": self._namespace}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": self._spec()}
            self._record = await self._cluster.request("POST", self._all, body=body)
            self._until = began + self._terms.deadline
        else:
            await self._renew(transition=self._holder != self._identity)
        return True

    async def _renew(self, *, transition: bool = False) -> None:
        began = self._clock()
        await self._put(self._spec(transition=transition))
        self._until = began + self._terms.deadline

    async def _put(self, spec: dict[str, Any]) -> None:
        assert self._record is not None
        try:
            self._record = await self._cluster.request("PUT", self._path, body={**self._record, "spec": spec})
        except NotFoundError as error:
            self._record = None
            raise Stale(error.message) from None

    def _spec(self, *, transition: bool = False) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = (self._record or {}).get("spec") or {}
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._terms.duration),
            "acquireTime": now if transition or "acquireTime" not in before else before["acquireTime"],
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + transition,
        }

    async def _wait_for_its_end(self) -> None:
        """Until the holder lets go of it, or does not renew it in time."""
        assert self._record is not None
        version = self._record["metadata"]["resourceVersion"]
        query = {"fieldSelector": f"metadata.name={self._name}", "resourceVersion": version}
        while (left := self._ends() - self._clock()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left), self._cluster.watch(self._all, query, JSON) as events:
                    async for event in events:
                        if event["type"] == "ERROR":
                            raise Stale("the watch of the Lease is too old")
                        if event["type"] in ("ADDED", "MODIFIED"):
                            self._look(event["object"])
                        if event["type"] == "DELETED" or self._ends() <= self._clock():
                            self._record = None if event["type"] == "DELETED" else self._record
                            return
                        query["resourceVersion"] = event["object"]["metadata"]["resourceVersion"]
