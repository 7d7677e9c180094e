"""What the process tells Prometheus. Names end as its conventions ask: _seconds, _total.

What is counted by integration is read from the statuses when it is asked for, and costs nothing in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one integration stands. `succeeded`: seconds since the epoch, None where no sync of this process has."""

    namespace: str
    name: str
    status: Mapping[str, Any]
    succeeded: float | None


class Operator(Protocol):
    """What is asked when Prometheus asks."""

    def standings(self) -> Iterable[Standing]: ...
    def waiting(self) -> int: ...


class Metrics:
    """One for the process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._syncs = Histogram(
            "gitintegration_sync_duration_seconds",
            "Syncs, by how they ended: synced, unchanged, suspended or failed.",
            ["result"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._failures = Counter(
            "gitintegration_sync_failures_total", "Syncs that failed, by reason.", ["reason"], registry=self._registry
        )
        self._operations = Counter(
            "gitintegration_operations_total",
            "GitOperations that ended, by kind and phase.",
            ["kind", "phase"],
            registry=self._registry,
        )
        self._lossy = Counter(
            "gitintegration_lossy_edits_total",
            "Files from which an edit took a comment or a line beside its own.",
            registry=self._registry,
        )
        self._wait = Histogram(
            "gitintegration_queue_wait_seconds",
            "From when a sync was due until it began.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._git = Histogram(
            "gitintegration_git_request_duration_seconds",
            "Exchanges with git servers, by what was asked and how it ended.",
            ["request", "outcome"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._api = Counter(
            "gitintegration_kube_requests_total",
            "Requests to the API server, by method and status code (0: no answer).",
            ["method", "code"],
            registry=self._registry,
        )
        self._forge = Counter(
            "gitintegration_forge_requests_total",
            "Requests to the APIs of forges, by method and status code (0: no answer).",
            ["method", "code"],
            registry=self._registry,
        )
        self._leading = Gauge(
            "gitintegration_leader", "1 where this process holds the Lease and works.", registry=self._registry
        )

    def synced(self, result: str, reason: str, seconds: float) -> None:
        """A sync has ended; `reason` is empty where it did not fail."""
        self._syncs.labels(result).observe(seconds)
        if reason:
            self._failures.labels(reason).inc()

    def operation(self, kind: str, phase: str) -> None:
        self._operations.labels(kind, phase).inc()

    def lossy(self, files: int) -> None:
        """So many files lost a comment or a line that no edit owns."""
        self._lossy.inc(files)

    def waited(self, seconds: float) -> None:
        self._wait.observe(seconds)

    def git_request(self, request: str, outcome: str, seconds: float) -> None:
        self._git.labels(request, outcome).observe(seconds)

    def kube_request(self, method: str, code: int) -> None:
        self._api.labels(method, str(code)).inc()

    def forge_request(self, method: str, code: int) -> None:
        self._forge.labels(method, str(code)).inc()

    def watch_lease(self, leading: Callable[[], bool]) -> None:
        self._leading.set_function(lambda: float(leading()))

    def watch(self, operator: Operator) -> None:
        """Tell of its integrations and its queue as well."""
        self._registry.register(_Standings(operator))

    def page(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)


class HookMetrics:
    """Of a process that receives webhooks."""

    def __init__(self, targets: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._deliveries = Counter(
            "gitintegration_hook_deliveries_total",
            "Deliveries, by how they ended: woken, nothing (to look at), ping; unknown, unsigned, wrong, stale (refused); "
            "bounds, limited, starting, failed.",
            ["outcome"],
            registry=self._registry,
        )
        self._api = Counter(
            "gitintegration_kube_requests_total",
            "Requests to the API server, by method and status code (0: no answer).",
            ["method", "code"],
            registry=self._registry,
        )
        known = Gauge("gitintegration_hooks", "Integrations whose deliveries are taken.", registry=self._registry)
        known.set_function(lambda: float(targets()))

    def delivered(self, outcome: str) -> None:
        """A delivery has ended."""
        self._deliveries.labels(outcome).inc()

    def kube_request(self, method: str, code: int) -> None:
        self._api.labels(method, str(code)).inc()

    def page(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)


class _Standings:
    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def describe(self) -> Iterator[Metric]:
        """Nothing at registration: names are known without asking."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        def gauge(name: str, help: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"gitintegration_{name}", help, labels=["namespace", "name"])

        ready = gauge("ready", "1 where the condition Ready is True.")
        ready_why = GaugeMetricFamily(
            "gitintegration_ready_reason",
            "The reason of the condition Ready, where it is another than Succeeded.",
            labels=["namespace", "name", "reason"],
        )
        counts = {
            "localAheadCount": gauge("local_ahead", "Pipelines that the cluster holds otherwise than git."),
            "remoteAheadCount": gauge("remote_ahead", "Pipelines that git holds otherwise than the cluster."),
        }
        conflicts = gauge("conflicts", "Pipelines that both sides changed, and that a person must settle.")
        success = gauge("last_success_timestamp_seconds", "When a sync last ended well.")
        for one in self._operator.standings():
            at = (one.namespace, one.name)
            condition: Mapping[str, Any] = next(
                (c for c in one.status.get("conditions", ()) if c["type"] == "Ready"), {}
            )
            ready.add_metric(at, float(condition.get("status") == "True"))
            if condition and condition["reason"] != "Succeeded":
                ready_why.add_metric((*at, condition["reason"]), 1.0)
            for field, family in counts.items():
                family.add_metric(at, float(one.status.get(field) or 0))
            conflicts.add_metric(at, float(one.status.get("conflictCount") or 0))
            if one.succeeded is not None:
                success.add_metric(at, one.succeeded)
        depth = GaugeMetricFamily("gitintegration_queue_depth", "Integrations that are due and wait for their turn.")
        depth.add_metric((), float(self._operator.waiting()))
        yield from (ready, ready_why, *counts.values(), conflicts, success, depth)
