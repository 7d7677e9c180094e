"""The operator's process: it ends in time whatever hangs, and the next one goes on."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable

import pytest

from tests.bed import policies
from tests.bed.controlplane import ControlPlane
from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest

MakeWorld = Callable[..., World]


@pytest.mark.parametrize("hanging", [False, True], ids=["idle", "in the middle of a sync"])
def test_sigterm_ends_it_within_ten_seconds_and_nothing_is_lost(
    world: MakeWorld, operator: OperatorProcess, hanging: bool
) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    w.integrate()
    w.in_sync()
    faults = w.server.faults
    if hanging:
        faults.only, faults.delay = w.repo.name, 60.0
    try:
        asked = len(w.server.requests)
        w.patch("orders", {"owner": "cluster"})
        eventually(lambda: len(w.server.requests) > asked)
        assert operator.stop() < 10.0  # the grace that the manifests count on; no measure of speed
    finally:
        faults.only, faults.delay = "", 0.0
    operator.start()
    w.in_sync()
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster")
    assert w.repo.count() == 2
    assert "Traceback" not in operator.log()


def test_an_integration_that_is_moved_to_another_repository_while_nobody_runs_takes_nothing_along(
    world: MakeWorld, operator: OperatorProcess
) -> None:
    """What was agreed on with the repository before, or about to be written, deletes nothing, at no later start either."""
    w = world({"pipelines/orders.yaml": manifest("orders"), "pipelines/refunds.yaml": manifest("refunds")})
    other = w.server.create(f"{w.namespace}-other", files={"pipelines/stock.yaml": manifest("stock")})
    w.secret()
    w.integrate(sync={"mode": "Pull", "maxDeletes": "100%"})
    w.in_sync()
    operator.stop()
    w.integrate(repositoryURL=other.url(), sync={"mode": "Pull", "maxDeletes": "100%"})
    for _ in range(3):
        operator.start()
        assert w.sync_now()["remoteCommit"] == other.head()
        assert w.names() == {"orders", "refunds", "stock"}
        operator.kill()
    operator.start()


def test_an_api_server_that_throttles_is_waited_for(world: MakeWorld, operator: OperatorProcess) -> None:
    """No sync fails by it, so there is nothing to tell."""

    def throttled() -> int:
        lines = [line for line in operator.metrics().splitlines() if "kube" in line and 'code="429"' in line]
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if "_created" not in line)

    names = {f"p{n}" for n in range(40)}
    w = world({f"pipelines/{name}.yaml": manifest(name) for name in names})
    w.secret()
    before = throttled()
    with policies.meanwhile(w.plane, policies.ONE_REQUEST):
        w.integrate()
        eventually(lambda: throttled() > before)
    w.in_sync()
    assert w.names() == names
    assert "Warning" not in w.kubectl("get", "events", "-o", "jsonpath={.items[*].type}")


def test_who_loses_the_lease_ends_and_every_line_that_it_ever_said_is_json(
    control_plane: ControlPlane, operator: OperatorProcess
) -> None:
    """Whatever the tests before had it say: libraries' lines and the process's last words as well. But for what the helper
    process of multiprocessing says when it outlives a killed operator, which none does in a container."""
    lease = ("-n", "gitintegration-system", "lease", "gitintegration")
    other = json.dumps({"spec": {"holderIdentity": "somebody-else"}})
    control_plane.kubectl(lease[0], lease[1], "patch", *lease[2:], "--type=merge", "-p", other)
    eventually(lambda: not operator.is_alive)
    control_plane.kubectl(lease[0], lease[1], "delete", *lease[2:])
    lines = [json.loads(line) for line in operator.log().splitlines() if "resource_tracker" not in line]
    assert lines[-1]["event"] == "the Lease was lost"
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    operator.start()


def test_probes_answer(operator: OperatorProcess) -> None:
    for path in ("healthz", "readyz"):
        with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/{path}", timeout=5) as answer:
            assert answer.status == 200
