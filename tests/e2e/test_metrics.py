"""What Prometheus reads from a running operator, and that the rules and the dashboard ask only for what there is."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.bed.gitserver import WRITER
from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest
from tests.e2e.test_operations import ask

MakeWorld = Callable[..., World]


def read(operator: OperatorProcess) -> tuple[str, dict[tuple[str, frozenset[tuple[str, str]]], float]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/metrics", timeout=10) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = response.read().decode()
    families = text_string_to_metric_families(text)
    return text, {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(operator: OperatorProcess, metric: str, /, **labels: Any) -> float | None:
    return read(operator)[1].get((f"gitintegration_{metric}", frozenset(labels.items())))


def test_each_integration_and_each_request_is_told(world: MakeWorld, operator: OperatorProcess) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders"), "pipelines/users.yaml": manifest("users")})
    at = {"namespace": w.namespace, "name": "gi"}
    w.secret()
    began = time.time()
    w.integrate()
    w.in_sync()
    eventually(lambda: value(operator, "ready", **at) == 1.0)
    assert began - 1 < (value(operator, "last_success_timestamp_seconds", **at) or 0) <= time.time()
    assert value(operator, "local_ahead", **at) == value(operator, "remote_ahead", **at) == 0
    assert value(operator, "leader") == 1.0
    assert value(operator, "queue_depth") is not None
    assert (value(operator, "queue_wait_seconds_count") or 0) > 0
    for request in ("ls-refs", "fetch", "probe"):
        assert (value(operator, "git_request_duration_seconds_count", request=request, outcome="ok") or 0) > 0
    assert (value(operator, "sync_duration_seconds_count", result="synced") or 0) > 0
    assert (value(operator, "kube_requests_total", method="GET", code="200") or 0) > 0

    w.by_hand()
    w.patch("orders", {"owner": "cluster"})
    w.patch("users", {"owner": "cluster"})
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="git")})
    eventually(lambda: w.sync_now() and value(operator, "conflicts", **at) == 1)
    assert value(operator, "local_ahead", **at) == w.status()["localAheadCount"]
    ended = value(operator, "operations_total", kind="push", phase="Succeeded") or 0
    ask(w, "push", pipelines=["orders"], branch="side")
    assert value(operator, "operations_total", kind="push", phase="Succeeded") == ended + 1
    assert (value(operator, "git_request_duration_seconds_count", request="push", outcome="ok") or 0) > 0

    failed = value(operator, "sync_failures_total", reason="AuthenticationFailed") or 0
    w.secret(username=WRITER[0], password="not-it-at-all")
    eventually(lambda: value(operator, "ready_reason", **at, reason="AuthenticationFailed") == 1)
    assert value(operator, "ready", **at) == 0
    assert (value(operator, "sync_failures_total", reason="AuthenticationFailed") or 0) > failed
    text, _ = read(operator)
    assert not [secret for secret in (WRITER[1], "not-it-at-all", w.repo.url()) if secret in text]
    w.kubectl("delete", "gi", "gi")
    eventually(lambda: value(operator, "ready", **at) is None)
