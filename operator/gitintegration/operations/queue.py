"""GitOperations: which wait, whose turn it is, how each ended. They run in their integration's turn, the oldest first."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import structlog

from gitintegration import messages
from gitintegration.api.base_model import API_VERSION, read_spec
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.api.operation import GitOperationSpec, OperationKind, Phase
from gitintegration.api.syncable import OWN
from gitintegration.cluster.informer import edited_by
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.cluster.operations import KIND, OperationObjects, plan_name
from gitintegration.core.plan.plan import conditions
from gitintegration.core.status import parse_timestamp, timestamp
from gitintegration.core.text import plain_values
from gitintegration.errors import (
    ClusterError,
    ClusterUnavailable,
    CredentialError,
    GitIntegrationError,
    OperationError,
    Reason,
)
from gitintegration.messages import Place
from gitintegration.metrics import Metrics
from gitintegration.operations.actions import Actions
from gitintegration.operations.plan_pages import PlanPages
from gitintegration.operations.probe import VERSION
from gitintegration.operations.result import OperationContext, OperationResult, PartialFailure
from gitintegration.reconcile.item import RunRequest, lossy_words
from gitintegration.reconcile.report import explain
from gitintegration.session.connection import Connection
from gitintegration.session.session import SyncSession

IntegrationKey = tuple[str, str]
_ENDED = (Phase.Succeeded.value, Phase.Failed.value)
_CARRYING = (OperationKind.push, OperationKind.pull)
_OF_PLAN = ("commit", "changes", "changesTruncated", "counts", "plan", "progress", "lossy")
"""What is told before it is done, and is not so where it failed with nothing done."""
_SECRET_WITHIN, _LOOK_EVERY = 5.0, 0.1
"""Seconds after an operation in which the Secret of its own must be there, and between looks for it."""


class Turn(Protocol):
    """What the operator gives the operations of an integration to run with."""

    exists: bool
    """Whether there is such an integration; where not, only tests of a given address run."""

    @property
    def since(self) -> str:
        """When the integration was made, as its metadata says; empty where there is none."""

    @property
    def suspended(self) -> bool:
        """Whether the integration carries nothing now. Raises SpecError."""

    async def is_ours(self) -> bool:
        """Whether no other operator answers for it: one of another shard."""

    async def prepared(self) -> tuple[SyncSession, RunRequest]:
        """The integration's workspace, and what it is to be synced with. Raises where its spec or Secret is no good."""

    async def connection(self, spec: GitIntegrationSpec | None) -> Connection:
        """That of the integration, or of this spec in its place."""

    async def announce(self, active: Mapping[str, Any]) -> None:
        """Tell in the integration's status which operation runs."""


@dataclass(slots=True)
class _Entry:
    seen: dict[str, Any]
    status: dict[str, Any]
    timer: asyncio.TimerHandle | None = None

    @property
    def order(self) -> tuple[str, str]:
        return self.seen["metadata"].get("creationTimestamp", ""), self.seen["metadata"]["name"]

    @property
    def ended(self) -> bool:
        return self.status.get("phase") in _ENDED

    @property
    def integration(self) -> IntegrationKey:
        ref = (self.seen.get("spec") or {}).get("integrationRef") or {}
        return self.seen["metadata"]["namespace"], str(ref.get("name", ""))


class OperationQueue:
    def __init__(
        self,
        actions: Actions,
        objects: OperationObjects,
        wake: Callable[[IntegrationKey], None],
        cache: Path,
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        is_stamped: Callable[[ResourceKind], Awaitable[bool]] | None = None,
    ) -> None:
        """`wake` asks for a turn of an integration. `is_stamped`: whether the API server says who made operations."""
        self._is_stamped = is_stamped
        self._actions, self._objects, self._wake, self._cache, self._now = actions, objects, wake, cache, now
        self._metrics = metrics
        self._entries: dict[IntegrationKey, _Entry] = {}
        self._waiting: dict[IntegrationKey, set[IntegrationKey]] = {}
        """OperationQueue that have not ended, by their integration."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("operations")

    async def seen(self, body: Mapping[str, Any]) -> None:
        """An operation is there, or changed."""
        metadata = body["metadata"]
        name = (metadata["namespace"], metadata["name"])
        entry = self._entries.get(name)
        if entry is not None and entry.seen["metadata"]["uid"] != metadata["uid"]:
            self.gone(name)
            entry = None
        if entry is None:
            entry = _Entry(dict(body), dict(body.get("status") or {}))
            self._entries[name] = entry
            if not entry.ended:
                self._waiting.setdefault(entry.integration, set()).add(name)
                self._wake(entry.integration)
        entry.seen = dict(body)
        self._arm(entry)

    def gone(self, name: IntegrationKey) -> None:
        """An operation is no more. One that runs comes to its end, and tells nobody."""
        entry = self._entries.pop(name, None)
        if entry is None:
            return
        self._forget(entry, name)
        if entry.timer:
            entry.timer.cancel()

    def waiting(self, integration: IntegrationKey) -> bool:
        return bool(self._waiting.get(integration))

    async def run_all(self, integration: IntegrationKey, turn: Turn) -> None:
        """Run all that wait for this integration, the oldest first."""
        if not await turn.is_ours():
            return
        while names := self._waiting.get(integration):
            name = min(names, key=lambda n: self._entries[n].order)
            entry = self._entries[name]
            if not turn.exists and not _stands_alone(entry.seen):
                await self._wait(integration)
                return
            await self._run(name, entry, turn)
            self._forget(entry, name)

    def _forget(self, entry: _Entry, name: IntegrationKey) -> None:
        waiting = self._waiting.get(entry.integration, set())
        waiting.discard(name)
        if not waiting:
            self._waiting.pop(entry.integration, None)

    async def _wait(self, integration: IntegrationKey) -> None:
        """Tell all that wait that there is no such integration; they run once it is there."""
        for name in sorted(self._waiting.get(integration, ())):
            entry = self._entries[name]
            if entry.status.get("phase") == Phase.Running.value:
                continue  # begun by another process; its integration is only seen later than it
            words = _place(entry).joined(messages.OPERATION_WAITS(name=integration[1], space=integration[0]))
            await self._tell(entry, Phase.Pending, "Unknown", Reason.IntegrationNotFound.value, words)

    async def _run(self, name: IntegrationKey, entry: _Entry, turn: Turn) -> None:
        resumed = entry.status.get("phase") == Phase.Running.value
        fields: Mapping[str, Any] = entry.status if resumed else {"startedAt": timestamp(self._now())}
        found: dict[str, Any] = {}
        try:
            await self._tell(entry, Phase.Running, "Unknown", Reason.Progressing.value, "it runs", fields)
            kind = str(entry.seen["spec"]["kind"])
            active = {"id": name[1], "kind": kind, "status": "running", "startedAt": entry.status["startedAt"]}
            await turn.announce(active)
            done = await self._act(name, entry, turn, found, resumed=resumed)
        except (asyncio.CancelledError, ClusterUnavailable):
            raise  # it goes on in the next process, or when the API server is back
        except PartialFailure as error:
            await self._end(entry, Phase.Failed, error.reason.value, _place(entry).told(error), error.fields)
        except Exception as error:  # a defect in one operation must not end the others
            if not isinstance(error, GitIntegrationError):
                self._log.exception("operation failed", namespace=name[0], operation=name[1])
            told = explain(error)
            words = told.message if own_secret(entry.seen) else _place(entry).told(told)
            fields = {**_unreached(entry), **({} if resumed else found)}
            await self._end(entry, Phase.Failed, told.reason.value, words, fields, () if resumed else _OF_PLAN)
        else:
            await self._end(entry, Phase.Succeeded, Reason.Succeeded.value, done.message, done.fields)
            if done.event:
                await self._objects.event(entry.seen, "Normal", done.event, done.message)

    async def _act(
        self, name: IntegrationKey, entry: _Entry, turn: Turn, found: dict[str, Any], *, resumed: bool
    ) -> OperationResult:
        """`found` takes what is to be told should it fail with nothing done."""
        spec = read_spec(GitOperationSpec, entry.seen.get("spec"), messages.OPERATION_FIELD)
        if spec.kind is OperationKind.test:
            assert spec.test is not None
            return await self._test(spec, turn, entry)
        if spec.kind in _CARRYING and not (spec.force or resumed) and turn.suspended:
            raise OperationError(Reason.Suspended, messages.OPERATION_SUSPENDED(name=entry.integration[1]))
        if spec.kind in _CARRYING:
            found["counts"] = {"created": 0, "updated": 0, "deleted": 0}
        if branch := _branch_of(spec):
            found["branch"] = branch
        session, request = await turn.prepared()
        if spec.pull and not spec.pull.dry_run and entry.order[0] < turn.since:
            _check_unseen(request.spec)

        async def record(fields: Mapping[str, Any]) -> None:
            total = sum(fields["counts"][action] for action in ("created", "updated", "deleted"))
            progress = {"progress": {"done": 0, "total": total}}
            if not await self._tell(entry, Phase.Running, "Unknown", "Progressing", "it runs", {**fields, **progress}):
                raise OperationError(Reason.Suspended, "the operation was deleted before it wrote anything")

        created = int(parse_timestamp(entry.order[0]).timestamp())
        pages = PlanPages(partial(self._objects.write_plan, entry.seen), plan_name(entry.seen))
        by = await self._asked_by(entry)
        order = OperationContext(created, dict(entry.status) if resumed else {}, record, found, pages, by)
        match spec.kind:
            case OperationKind.push:
                assert spec.push is not None
                return await self._actions.push(session, request, order, spec.push)
            case OperationKind.pull:
                assert spec.pull is not None
                return await self._actions.pull(session, request, order, spec.pull)
            case OperationKind.history:
                assert spec.history is not None
                scratch = self._cache / f"op-{entry.seen['metadata']['uid']}"
                return await self._actions.history(session, request, order, scratch, spec.history)
        raise AssertionError(spec.kind)

    async def _asked_by(self, entry: _Entry) -> str:
        """Who made the operation, where nobody could write another name there."""
        name = edited_by(entry.seen["metadata"])
        return name if name and self._is_stamped is not None and await self._is_stamped(KIND) else ""

    async def _test(self, spec: GitOperationSpec, turn: Turn, entry: _Entry) -> OperationResult:
        assert spec.test is not None
        other = None
        if spec.test.repository_url:
            wanted: dict[str, Any] = {"repositoryURL": spec.test.repository_url}
            if spec.test.credentials:
                wanted["credentials"] = spec.test.credentials.model_dump(by_alias=True, exclude_none=True)
            other = GitIntegrationSpec.model_validate(wanted)
        waits = max(0.0, _SECRET_WITHIN - _age(entry, self._now())) if own_secret(entry.seen) else 0.0
        return await self._actions.test(await self._connection(turn, other, waits))

    @staticmethod
    async def _connection(turn: Turn, spec: GitIntegrationSpec | None, seconds: float) -> Connection:
        """What is tested. The Secret that is an operation's own is made right after it: it is looked for so long."""
        end = time.monotonic() + seconds
        while True:
            try:
                return await turn.connection(spec)
            except CredentialError as error:
                if error.reason is not Reason.SecretNotFound or time.monotonic() > end:
                    raise
                await asyncio.sleep(_LOOK_EVERY)

    # --- telling: the one place that writes the status of an operation ---------------------------------------------------

    async def _tell(
        self,
        entry: _Entry,
        phase: Phase,
        verdict: str,
        reason: str,
        message: str,
        fields: Mapping[str, Any] | None = None,
        without: Collection[str] = (),
    ) -> bool:
        generation = int(entry.seen["metadata"].get("generation", 1))
        status = {
            **{name: value for name, value in entry.status.items() if name not in without},
            **plain_values(dict(fields or {})),
            "phase": phase.value,
            "observedGeneration": generation,
        }
        now = timestamp(self._now())
        status["conditions"] = conditions(entry.status, verdict, reason, message, generation, now)
        if status == entry.status:
            return True
        there = await self._objects.write_status({**entry.seen, "status": entry.status}, status)
        entry.status = status
        return there

    async def _end(
        self,
        entry: _Entry,
        phase: Phase,
        reason: str,
        message: str,
        fields: Mapping[str, Any],
        without: Collection[str] = (),
    ) -> None:
        """`without`: what was told of it and is not so."""
        more: dict[str, Any] = {**fields, "finishedAt": timestamp(self._now())}
        counts = more.get("counts") or entry.status.get("counts")
        if counts and phase is Phase.Succeeded:
            total = sum(counts[action] for action in ("created", "updated", "deleted"))
            more["progress"] = {"done": total, "total": total}
        verdict = "True" if phase is Phase.Succeeded else "False"
        if secret := own_secret(entry.seen):
            with contextlib.suppress(ClusterError):  # it goes with the operation, then
                await self._objects.delete_own_secret(entry.seen, secret)
        metadata = entry.seen["metadata"]
        log = self._log.bind(namespace=metadata["namespace"], operation=metadata["name"], reason=reason)
        (log.info if phase is Phase.Succeeded else log.warning)("operation ended", message=message)
        self._metrics.operation(str((entry.seen.get("spec") or {}).get("kind")), phase.value)
        if lossy := more.get("lossy"):
            self._metrics.lossy(len(lossy))
            log.warning("edits took comments or lines beside their own", paths=lossy)
            await self._objects.event(entry.seen, "Warning", "LossyEdit", lossy_words(lossy))
        for attempt in range(5):
            try:
                await self._tell(entry, phase, verdict, reason, message, more, without)
                break
            except ClusterError:
                if attempt == 4:
                    raise
                await asyncio.sleep(0.2 * 2**attempt)
        self._arm(entry)

    def _arm(self, entry: _Entry) -> None:
        """Have an operation that has ended deleted in time."""
        ttl = (entry.seen.get("spec") or {}).get("ttlSecondsAfterFinished")
        if ttl is None or not entry.ended or entry.timer is not None:
            return
        finished = parse_timestamp(entry.status.get("finishedAt") or timestamp(self._now()))
        delay = max(0.0, ttl - (self._now() - finished).total_seconds())
        entry.timer = asyncio.get_running_loop().call_later(min(delay, 2_000_000.0), self._expire, entry)

    def _expire(self, entry: _Entry) -> None:
        async def delete() -> None:
            try:
                await self._objects.delete(entry.seen)
            except ClusterError:
                entry.timer = asyncio.get_running_loop().call_later(30.0, self._expire, entry)

        task = asyncio.get_running_loop().create_task(delete())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def own_secret(seen: Mapping[str, Any]) -> str | None:
    """The Secret that the REST API makes for this operation, where it names that: its author needs no right on another."""
    credentials = ((seen.get("spec") or {}).get("test") or {}).get("credentials") or {}
    wanted = (credentials.get("secretRef") or {}).get("name")
    name = str(seen["metadata"]["name"])
    own = f"gitop-test-{name.removeprefix('gitop-')}"
    return own if name.startswith("gitop-") and wanted == own else None


def _place(entry: _Entry) -> Place:
    return Place(*entry.integration)


def _branch_of(spec: GitOperationSpec) -> str | None:
    """The branch that it names."""
    block = spec.push or spec.pull or spec.history
    return block.branch if block else None


def _age(entry: _Entry, now: datetime) -> float:
    """Seconds since the operation was made."""
    return (now - parse_timestamp(entry.order[0])).total_seconds()


def _check_unseen(spec: GitIntegrationSpec) -> None:
    """A pull that was made before its integration: nobody could ask whether its author may write the kinds of that.

    For Pipelines he was asked. Raises OperationError.
    """
    others = [r.kind for r in spec.resources if (r.api_version, r.kind) != (API_VERSION, OWN)]
    if others:
        words = f"it was made before its integration, which lists {', '.join(others)}: make it anew"
        raise OperationError(Reason.Forbidden, words)


def _stands_alone(seen: Mapping[str, Any]) -> bool:
    """Whether it needs no integration: a test of a given address."""
    spec = seen.get("spec") or {}
    return spec.get("kind") == "test" and bool((spec.get("test") or {}).get("repositoryURL"))


def _unreached(entry: _Entry) -> dict[str, Any]:
    """What a failed test tells of the repository."""
    return (
        {"test": {"reachable": False, "operatorVersion": VERSION}} if entry.seen["spec"].get("kind") == "test" else {}
    )
