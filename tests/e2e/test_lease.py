"""The Lease on the real API server: one holder at a time, a fence that closes before another may begin."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from gitintegration.cluster.client import Cluster
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.cluster.lease import Lease, Terms, boot_clock, lease_name
from gitintegration.errors import ClusterUnavailable, LeaseLost
from tests.bed.controlplane import ControlPlane

TERMS = Terms(duration=2.0, deadline=1.0, period=0.2)
WITHIN = 20.0
_LEASES = ResourceKind("coordination.k8s.io", "v1", "Lease", "leases", True)


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    made = await Cluster.connect(str(control_plane.kubeconfig))
    yield made
    await made.close()
    await asyncio.sleep(0.25)  # aiohttp closes TLS behind its back; its documentation asks for this before a loop ends


@pytest.fixture
def name() -> str:
    return f"lease-{uuid.uuid4().hex[:8]}"


def lease(cluster: Cluster, name: str, identity: str) -> Lease:
    return Lease(cluster, "default", name, identity, TERMS)


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def nothing() -> None:
    """Nobody needs to be told."""


def allowed(one: Lease) -> bool:
    try:
        return one.remaining() > 0
    except LeaseLost:
        return False


async def test_the_second_waits_until_the_first_is_silent_and_fenced(cluster: Cluster, name: str) -> None:
    first, second = lease(cluster, name, "a"), lease(cluster, name, "b")
    assert not allowed(first)
    standing = asyncio.Event()
    async with asyncio.timeout(WITHIN):
        await first.acquire(nothing)
        holding = asyncio.create_task(first.hold())
        taking = asyncio.create_task(second.acquire(standing.set))
        await standing.wait()
        for _ in range(30):  # longer than its duration: renewals keep it
            assert allowed(first) and not allowed(second)
            await asyncio.sleep(0.1)
        await ended(holding)  # as if it hung
        silent = boot_clock()
        while not second.leading:
            both = allowed(first) and allowed(second)
            assert not both
            await asyncio.sleep(0.01)
        await taking
    assert not allowed(first)
    assert boot_clock() - silent > TERMS.duration - TERMS.period - 0.1
    with pytest.raises(LeaseLost):
        first.remaining()
    await asyncio.wait_for(first.hold(), WITHIN)  # it sees that another has it, and ends
    assert allowed(second)


async def test_what_is_released_is_taken_at_once(cluster: Cluster, name: str) -> None:
    first, second = lease(cluster, name, "a"), lease(cluster, name, "b")
    standing = asyncio.Event()
    async with asyncio.timeout(WITHIN):
        await first.acquire(nothing)
        taking = asyncio.create_task(second.acquire(standing.set))
        await standing.wait()
        began = boot_clock()
        await first.release()
        assert not allowed(first)
        await taking
    assert boot_clock() - began < TERMS.duration
    record = await cluster.get(_LEASES.path("default", name))
    assert (record["spec"]["holderIdentity"], record["spec"]["leaseTransitions"]) == ("b", 1)


async def test_of_many_that_begin_at_once_one_leads(cluster: Cluster, name: str) -> None:
    all_ = [lease(cluster, name, f"i{n}") for n in range(5)]
    tasks = [asyncio.create_task(one.acquire(nothing)) for one in all_]
    done, left = await asyncio.wait(tasks, timeout=WITHIN, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    assert sum(allowed(one) for one in all_) == 1
    await ended(*left)


async def test_the_same_process_has_it_again_at_once(cluster: Cluster, name: str) -> None:
    await lease(cluster, name, "pod-0").acquire(nothing)
    began = boot_clock()
    await lease(cluster, name, "pod-0").acquire(nothing)
    assert boot_clock() - began < TERMS.duration


async def test_a_lease_that_is_deleted_or_unreachable_is_lost(
    cluster: Cluster, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = lease(cluster, name, "a")
    await one.acquire(nothing)
    await cluster.request("DELETE", _LEASES.path("default", name))
    await asyncio.wait_for(one.hold(), WITHIN)
    assert not allowed(one)
    other = lease(cluster, name, "b")
    await other.acquire(nothing)

    async def away(*_: object, **__: object) -> None:
        raise ClusterUnavailable("gone")

    monkeypatch.setattr(cluster, "request", away)
    began = boot_clock()
    await asyncio.wait_for(other.hold(), WITHIN)
    assert TERMS.deadline - 0.5 < boot_clock() - began < TERMS.duration
    assert not allowed(other)


async def test_what_is_not_held_is_not_written(cluster: Cluster, name: str) -> None:
    one = lease(cluster, name, "a")
    guarded = Cluster(cluster.configuration)
    guarded.fence = one.remaining
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    maps = ResourceKind("", "v1", "ConfigMap", "configmaps", True)
    try:
        with pytest.raises(LeaseLost):
            await guarded.request("POST", maps.path("default"), body=body)
        assert await guarded.get(maps.path("default", name)) is None
        await one.acquire(nothing)
        await guarded.request("POST", maps.path("default"), body=body)
        assert await guarded.get(maps.path("default", name))
    finally:
        await guarded.close()


def test_operators_that_share_the_work_do_not_wait_for_each_other() -> None:
    assert lease_name("", ()) == "gitintegration"
    assert lease_name("eu", ()) == "gitintegration-eu"
    assert lease_name("", ("b", "a")) == lease_name("", ("a", "b")) != lease_name("", ("a",))
