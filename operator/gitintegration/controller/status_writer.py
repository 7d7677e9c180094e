"""Tells what a run came to: the status of an integration (nobody else writes it), its events, the log and the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog

from gitintegration.cluster.integrations import Integrations
from gitintegration.controller.integration import Integration, IntegrationKey
from gitintegration.core.status import CheckReport, Outcome, build_status, let_go_words, with_checks, without_lists
from gitintegration.errors import Reason, Refused
from gitintegration.metrics import Metrics
from gitintegration.reconcile.item import LOSSY, RunStats, damaged_words, lossy_words, reverted_words


class StatusWriter:
    def __init__(self, integrations: Integrations, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self._integrations, self._metrics, self._now = integrations, metrics, now
        self._log = structlog.get_logger("operator")

    async def finish(
        self, name: IntegrationKey, entry: Integration, outcome: Outcome, stats: RunStats, seconds: float
    ) -> None:
        """Write the status of an integration, and tell events, log and metrics what a run came to."""
        before = entry.status
        branch = (entry.seen.get("spec") or {}).get("defaultBranch")
        status = build_status(before, outcome, self._now(), branch=branch)
        if status != before:
            status = await self._write(entry, before, status)
            await self._tell(entry, before, status, stats)
        self._count(entry, outcome, stats, seconds)
        log = self._log.bind(namespace=name[0], integration=name[1], commit=outcome.remote_commit)
        if outcome.error is not None:
            log.warning("not synced", reason=outcome.error.reason.value, error=outcome.error.message)
        elif stats.wrote:
            log.info(
                "synced",
                created=stats.created,
                updated=stats.updated,
                deleted=stats.deleted,
                commits=stats.commits,
                local_ahead=outcome.local_ahead,
                remote_ahead=outcome.remote_ahead,
                conflicts=len(outcome.conflicts),
                seconds=round(seconds, 3),
            )
        else:
            log.debug("unchanged", seconds=round(seconds, 4))
        if status != before:
            for refusal in outcome.refusals:
                log.warning("a kind is not synced", reason=refusal.reason.value, error=refusal.message)
        if stats.damaged:
            log.warning("what was remembered is damaged", objects=stats.damaged)
            await self._integrations.event(entry.seen, "Warning", "MemoryDamaged", damaged_words(stats.damaged))
        if stats.let_go:
            words = let_go_words([key.name for key in stats.let_go])
            log.info("let go", items=[str(key) for key in stats.let_go[:LOSSY]])
            await self._integrations.event(entry.seen, "Normal", "LetGo", words)
        if stats.reverted:
            await self._integrations.event(entry.seen, "Warning", "DriftReverted", reverted_words(stats.reverted))
        if stats.lossy:
            self._metrics.lossy(len(stats.lossy))
            log.warning("edits took comments or lines beside their own", paths=stats.lossy[:LOSSY])
            await self._integrations.event(entry.seen, "Warning", "LossyEdit", lossy_words(stats.lossy))

    async def _write(self, entry: Integration, before: Mapping[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        """The status as it was written: without its lists where the API server does not take it with them."""
        try:
            await self._integrations.write_status({**entry.seen, "status": before}, status)
        except Refused as error:
            status = without_lists(status, error.message)
            await self._integrations.write_status({**entry.seen, "status": before}, status)
        entry.status = status
        return status

    def _count(self, entry: Integration, outcome: Outcome, stats: RunStats, seconds: float) -> None:
        if outcome.error is not None:
            self._metrics.synced("failed", outcome.error.reason.value, seconds)
            return
        result = "suspended" if outcome.suspended else "synced" if stats.wrote else "unchanged"
        self._metrics.synced(result, "", seconds)
        entry.succeeded = entry.succeeded if outcome.suspended else time.time()

    async def _tell(
        self, entry: Integration, before: Mapping[str, Any], status: Mapping[str, Any], stats: RunStats
    ) -> None:
        """Events for what changed state, not for every sync."""
        if stats.wrote:
            await self._integrations.event(entry.seen, "Normal", "Synced", stats.words)
        old = {c["type"]: c for c in before.get("conditions", [])}
        for condition in status["conditions"]:
            previous = old.get(condition["type"], {})
            if (previous.get("status"), previous.get("reason")) == (condition["status"], condition["reason"]):
                continue
            if condition["type"] == "Connected" and condition["reason"] == Reason.PermissionDenied.value:
                if condition["status"] == "True":  # it reads, and can't write
                    await self._integrations.event(entry.seen, "Warning", condition["reason"], condition["message"])
            elif condition["type"] == "Ready":
                good = condition["status"] == "True" and condition["reason"] != Reason.EmptyPrefix.value
                kind = "Normal" if good else "Warning"
                await self._integrations.event(entry.seen, kind, condition["reason"], condition["message"])
            elif condition["type"] == "InSync" and condition["reason"] == Reason.HistoryRewritten.value:
                await self._integrations.event(entry.seen, "Warning", condition["reason"], condition["message"])

    async def tell_checks(self, entry: Integration, report: CheckReport) -> None:
        """How the checks of pull requests stand."""
        status = with_checks(entry.status, report, int(entry.metadata["generation"]), self._now())
        if status != entry.status:
            await self._write(entry, entry.status, status)

    async def announce(self, entry: Integration, active: Mapping[str, Any]) -> None:
        """Which operation runs; the next written status takes it away again."""
        status = {**entry.status, "activeOperation": dict(active)}
        await self._integrations.write_status({**entry.seen, "status": entry.status}, status)
        entry.status = status
