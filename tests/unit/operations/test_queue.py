"""Whose turn it is, over an API server's answers in memory."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gitintegration.cluster.operations import OperationObjects
from gitintegration.metrics import Metrics
from gitintegration.operations.queue import OperationQueue
from gitintegration.operations.result import OperationContext, OperationResult

SPEC = {"integrationRef": {"name": "gi"}, "kind": "push", "push": {}}
METADATA = {"namespace": "data", "name": "op", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1}


class ApiServer:
    """Keeps the status of one operation."""

    def __init__(self, status: dict[str, Any]) -> None:
        self.status = status

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Any:
        assert (method, path.rsplit("/", 1)[-1]) == ("PATCH", "status")
        self.status = {k: v for k, v in {**self.status, **body["status"]}.items() if v is not None}


class Turn:
    since = ""

    def __init__(self, *, exists: bool, suspended: bool = False) -> None:
        self.exists, self.suspended = exists, suspended

    async def is_ours(self) -> bool:
        return True

    async def prepared(self) -> Any:
        return SimpleNamespace(), SimpleNamespace()

    async def connection(self, spec: Any) -> Any:
        raise AssertionError

    async def announce(self, active: Any) -> None:
        """Nobody asks."""


async def test_one_that_runs_is_not_begun_anew_because_its_integration_is_seen_later() -> None:
    """After a restart the operation may be seen first: what it had told before its push must still be known."""
    told = {
        "phase": "Running",
        "startedAt": "2026-01-01T00:00:01Z",
        "commit": "abc",
        "counts": {"created": 0, "updated": 1, "deleted": 0},
    }
    api = ApiServer(copy.deepcopy(told))
    orders: list[OperationContext] = []

    class Actions:
        async def push(self, session: Any, request: Any, order: OperationContext, wanted: Any) -> OperationResult:
            orders.append(order)
            return OperationResult("pushed")

    operations = OperationQueue(Actions(), OperationObjects(api), lambda _: None, Path("nowhere"), Metrics())  # type: ignore[arg-type]
    await operations.seen({"metadata": METADATA, "spec": SPEC, "status": copy.deepcopy(told)})
    await operations.run_all(("data", "gi"), Turn(exists=False))
    assert api.status == told
    await operations.run_all(("data", "gi"), Turn(exists=True))
    assert [order.status["commit"] for order in orders] == ["abc"]
    assert (api.status["phase"], api.status["commit"]) == ("Succeeded", "abc")


async def test_one_that_waits_says_what_for() -> None:
    api = ApiServer({})
    operations = OperationQueue(SimpleNamespace(), OperationObjects(api), lambda _: None, Path("nowhere"), Metrics())  # type: ignore[arg-type]
    await operations.seen({"metadata": METADATA, "spec": SPEC})
    await operations.run_all(("data", "gi"), Turn(exists=False))
    assert api.status["phase"] == "Pending"
    assert api.status["conditions"][0]["reason"] == "IntegrationNotFound"


@pytest.mark.parametrize(
    ("spec", "status", "reason"),
    [
        ({"kind": "push", "push": {}}, {}, "Suspended"),
        ({"kind": "pull", "pull": {"dryRun": True}}, {}, "Suspended"),
        ({"kind": "push", "push": {}, "force": True}, {}, "Succeeded"),
        ({"kind": "pull", "pull": {}, "force": True}, {}, "Succeeded"),
        ({"kind": "push", "push": {}}, {"phase": "Running", "startedAt": "2026-01-01T00:00:01Z"}, "Succeeded"),
        ({"kind": "history", "history": {}}, {}, "Succeeded"),
        ({"kind": "test", "test": {}}, {}, "Succeeded"),
    ],
    ids=["push", "pull", "push by force", "pull by force", "begun before", "history", "test"],
)
async def test_a_suspended_integration_carries_nothing_unasked(
    spec: dict[str, Any], status: dict[str, Any], reason: str
) -> None:
    api = ApiServer(copy.deepcopy(status))
    did: list[str] = []

    class Actions:
        def __getattr__(self, kind: str) -> Any:
            async def act(*_: Any) -> OperationResult:
                did.append(kind)
                return OperationResult("done")

            return act

    class Suspended(Turn):
        since = "2025-01-01T00:00:00Z"

        async def prepared(self) -> Any:
            return SimpleNamespace(), SimpleNamespace(spec=SimpleNamespace(resources=()))

        async def connection(self, spec: Any) -> Any:
            return SimpleNamespace()

    operations = OperationQueue(Actions(), OperationObjects(api), lambda _: None, Path("nowhere"), Metrics())  # type: ignore[arg-type]
    whole = {"integrationRef": {"name": "gi"}, **spec}
    await operations.seen({"metadata": METADATA, "spec": whole, "status": copy.deepcopy(status)})
    await operations.run_all(("data", "gi"), Suspended(exists=True, suspended=True))
    told = api.status["conditions"][0]
    assert told["reason"] == reason, told
    assert did == ([] if reason == "Suspended" else [spec["kind"]])
    if reason == "Suspended":
        assert "kubectl -n data patch gitintegration gi " in told["message"]
        assert "spec.force: true" in told["message"]
