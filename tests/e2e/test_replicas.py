"""Replicas under one Lease, and shards beside each other: one writer at any instant, whatever ends or pauses it."""

from __future__ import annotations

import json
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import GitServer
from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest
from tests.e2e.test_operations import ask, status_of

SHARD = "planasonix.com/shard"
FAILOVER = 90.0
"""Seconds; how long it takes is measured by `make bench`."""


@pytest.fixture
def shard() -> str:
    return f"s-{uuid.uuid4().hex[:6]}"


@pytest.fixture
def replicas(control_plane: ControlPlane, tmp_path: Path, shard: str) -> Iterator[list[OperatorProcess]]:
    made = [OperatorProcess(control_plane, tmp_path, f"--shard={shard}", name=f"replica-{n}") for n in range(3)]
    yield made
    for one in made:
        one.kill()


def holder(w: World, shard: str) -> str:
    lease = w.plane.kubectl("-n", "gitintegration-system", "get", "lease", f"gitintegration-{shard}", "-o", "json")
    return str(json.loads(lease)["spec"]["holderIdentity"])


class Author(threading.Thread):
    """Edits a pipeline in the cluster all the time; `last` is what it wrote last."""

    def __init__(self, w: World) -> None:
        super().__init__(daemon=True)
        self._w, self._end, self.last = w, threading.Event(), 0

    def run(self) -> None:
        while not self._end.wait(0.05):
            self._w.patch("orders", {"owner": f"owner-{self.last + 1}"})
            self.last += 1

    def __enter__(self) -> Author:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()


def test_one_writes_through_crashes_pauses_and_restarts(
    control_plane: ControlPlane, git_server: GitServer, replicas: list[OperatorProcess], shard: str
) -> None:
    w = World(control_plane, git_server, f"t-{shard}", {"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    # of an edit that was pushed by a process that was killed before it could say so, and of the next one, ours counts
    w.integrate(labels={SHARD: shard}, sync={"strategy": "ours"})
    w.in_sync()
    by_identity = {one.identity: one for one in replicas}
    with Author(w) as author:

        def in_git_again(seconds: float) -> None:
            """What is edited from now on gets into git within so many seconds."""
            edited = author.last + 1
            eventually(lambda: _owner(w) >= edited, seconds)

        in_git_again(FAILOVER)
        order = [holder(w, shard)]
        by_identity[order[-1]].kill()
        in_git_again(FAILOVER)
        order.append(holder(w, shard))
        paused = by_identity[order[-1]]
        os.kill(paused.pid, signal.SIGSTOP)
        in_git_again(FAILOVER)
        order.append(holder(w, shard))
        taken = len(control_plane.writes(w.namespace))
        os.kill(paused.pid, signal.SIGCONT)
        eventually(lambda: not paused.is_alive)
        assert "the Lease is lost" in paused.log()
        by_identity[order[0]].start()
        by_identity[order[-1]].stop()
        in_git_again(FAILOVER)
        order.append(holder(w, shard))
    eventually(lambda: _owner(w) == author.last)
    w.in_sync()
    assert order[0] != order[1] != order[2] != order[3]

    writes = [write for write in control_plane.writes(w.namespace) if write.who]
    assert [who for who, _ in groupby(writes, key=lambda write: write.who)] == order  # each once: none came back
    for one, other in pairwise(writes):
        assert one.who == other.who or one.ended <= other.began, "two wrote at once"
    assert not [write for write in control_plane.writes(w.namespace)[taken:] if write.who == paused.identity]
    told = w.repo.log("--format=%T").split()
    assert all(a != b for a, b in pairwise(told)), "an empty commit"


def _owner(w: World) -> int:
    text = w.repo.read("pipelines/orders.yaml") or ""
    return int(text.partition("owner-")[2].partition("\n")[0] or 0)


def test_shards_keep_to_their_own(
    control_plane: ControlPlane,
    world: Callable[..., World],
    tmp_path: Path,
    shard: str,
) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    w.integrate(labels={SHARD: shard})
    done = ask(w, "test", wait=False)
    other = OperatorProcess(control_plane, tmp_path, f"--shard={shard}")
    try:
        w.in_sync()
        eventually(lambda: status_of(w, done["name"]).get("phase") == "Succeeded")
        assert {write.who for write in control_plane.writes(w.namespace)} == {"", other.identity}
        w.integrate(labels={})
        w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="default-shard")})
        eventually(lambda: w.sync_now() and w.spec("orders")["owner"] == "default-shard")
        assert control_plane.writes(w.namespace)[-1].who != other.identity
    finally:
        other.kill()
