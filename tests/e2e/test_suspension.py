"""A suspension that ends by itself, on the real cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.bed.controlplane import ControlPlane
from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest

MakeWorld = Callable[..., World]
SHARD = "suspended"
FILES = {"pipelines/orders.yaml": manifest("orders"), "pipelines/users.yaml": manifest("users")}


@pytest.fixture(scope="module")
def sharded(control_plane: ControlPlane, bed_directory: Path) -> Iterator[OperatorProcess]:
    """An operator that may be stopped, for nobody else's integrations."""
    process = OperatorProcess(control_plane, bed_directory / SHARD, f"--shard={SHARD}")
    yield process
    process.kill()


def started(world: MakeWorld) -> World:
    w = world(FILES)
    w.secret()
    w.integrate(labels={"planasonix.com/shard": SHARD}, sync={"interval": "1h"})
    w.in_sync()
    return w


def suspended(w: World, seconds: float, reason: str) -> datetime:
    """Has it suspended for so long, and both sides edited; when it ends."""
    end = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)
    suspend = {"reason": reason, "until": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
    w.integrate(labels={"planasonix.com/shard": SHARD}, sync={"interval": "1h"}, suspend=suspend)
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == "Suspended" and c)
    assert (ready["status"], f"until {suspend['until']}: {reason}" in ready["message"]) == ("True", True)
    w.patch("orders", {"owner": "cluster"})
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="git")})
    return end


def status_of(w: World, operation: str) -> dict[str, Any]:
    return (w.get(operation, "gitoperation") or {}).get("status", {})  # type: ignore[no-any-return]


def _is_done(w: World, operation: str) -> bool:
    return "finishedAt" in status_of(w, operation)


def carried(w: World) -> bool:
    return w.spec("users")["owner"] == "git" and w.repo.read("pipelines/orders.yaml") == manifest(
        "orders", owner="cluster"
    )


@pytest.mark.parametrize("end", ["alone", "restarted", "away"])
def test_it_goes_on_by_itself_and_nothing_is_lost(world: MakeWorld, sharded: OperatorProcess, end: str) -> None:
    """Also where the operator is another process by then, or only comes after the end."""
    w = started(world)
    over = suspended(w, 8, "the warehouse is moved")
    if end != "alone":
        sharded.stop()
    if end == "restarted":
        sharded.start()
        eventually(lambda: "watching" in sharded.log().rsplit('"leading"', 1)[-1])
    if datetime.now(UTC) < over:
        assert (w.spec("users")["owner"], w.repo.count()) == ("ann", 2)
    if end == "away":
        eventually(lambda: datetime.now(UTC) > over)
        sharded.start()
    eventually(lambda: carried(w), 30)
    assert datetime.now(UTC) >= over
    eventually(lambda: w.condition("Ready")["reason"] == "Succeeded")
    assert w.status()["inSync"]
    assert w.spec("gi", "gi")["suspend"]["reason"] == "the warehouse is moved"


def test_a_bad_end_is_refused_by_name(world: MakeWorld, sharded: OperatorProcess) -> None:
    w = started(world)
    for until in ("tomorrow", "2026-13-01T00:00:00Z", "2026-12-24T18:00:00"):
        with pytest.raises(RuntimeError, match=r"spec\.suspend\.until"):
            w.integrate(suspend={"reason": "moved", "until": until})
    with pytest.raises(RuntimeError, match=r"spec\.suspend\.reason"):
        w.integrate(suspend={"reason": "x" * 513})
    assert sharded.is_alive


def test_operations_need_force_and_others_may_claim_its_pipelines(world: MakeWorld, sharded: OperatorProcess) -> None:
    w = started(world)
    w.integrate(labels={"planasonix.com/shard": SHARD}, sync={"interval": "1h"}, suspend={"reason": "moved"})
    eventually(lambda: w.condition("Ready")["reason"] == "Suspended")
    w.patch("orders", {"owner": "cluster"})
    for name, force in (("unasked", False), ("forced", True)):
        spec = {"integrationRef": {"name": "gi"}, "kind": "push", "push": {}, "force": force}
        w.apply(
            {"apiVersion": "planasonix.com/v1alpha1", "kind": "GitOperation", "metadata": {"name": name}, "spec": spec}
        )
        eventually(partial(_is_done, w, name))
    assert [status_of(w, n)["phase"] for n in ("unasked", "forced")] == ["Failed", "Succeeded"]
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster")
    w.integrate("other", pathPrefix="other", labels={"planasonix.com/shard": SHARD})
    assert w.in_sync("other")["pipelineCount"] == 2
    end = (datetime.now(UTC) + timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    suspend = {"reason": "moved", "until": end}
    w.integrate(labels={"planasonix.com/shard": SHARD}, sync={"interval": "1h"}, suspend=suspend)
    eventually(lambda: [w.condition("Ready", name)["reason"] for name in ("gi", "other")] == ["Overlap"] * 2, 30)


def test_nothing_is_polled_while_it_is_suspended(world: MakeWorld, sharded: OperatorProcess) -> None:
    w = started(world)
    suspended(w, 3600, "moved")
    asked, before = len(w.server.requests), w.get("gi", "gitintegration")
    started(world)  # by the time another is in sync, this one would have asked
    assert len([r for r in w.server.requests[asked:] if w.namespace in str(r)]) == 0
    now = w.get("gi", "gitintegration")
    assert before
    assert now
    assert now["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
