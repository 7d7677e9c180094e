"""The operator's process: it ends in time whatever hangs, and the next one goes on."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable

import pytest

from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest

pytestmark = pytest.mark.xdist_group("lifecycle")
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


def test_probes_answer(operator: OperatorProcess) -> None:
    for path in ("healthz", "readyz"):
        with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/{path}", timeout=5) as answer:
            assert answer.status == 200
