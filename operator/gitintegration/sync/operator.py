"""All integrations of one process: what wakes them, what each run does first and last, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from gitintegration.api.base_model import CONFIRM_DELETES, OWNED_BY, REQUESTED_AT, SHARD, read_spec
from gitintegration.api.durations import parse_duration
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.api.names import is_subdomain
from gitintegration.cluster.base_store import BaseStore
from gitintegration.cluster.informer import Informers
from gitintegration.cluster.integrations import FINALIZER, Integrations
from gitintegration.cluster.kinds import Kinds
from gitintegration.cluster.operations import OperationObjects
from gitintegration.core.queue import Priority
from gitintegration.core.state.record import Published
from gitintegration.core.state.table import ABSENT
from gitintegration.core.status import Outcome, build_status, without_lists
from gitintegration.errors import (
    ClusterError,
    CredentialError,
    Forbidden,
    GitIntegrationError,
    LimitExceeded,
    OperationError,
    Reason,
    Refused,
    SpecError,
    Stale,
)
from gitintegration.forge.github_app import AppTokens
from gitintegration.forge.pull_requests import Forges
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.disk import size_of
from gitintegration.git.remote import Remote
from gitintegration.git.turns import SHARE
from gitintegration.git.url import parse_url
from gitintegration.git.workers import Workers
from gitintegration.metrics import Metrics, Standing
from gitintegration.sync.actions import Actions
from gitintegration.sync.cluster_side import observed_by
from gitintegration.sync.connection import Connection, examine
from gitintegration.sync.dispatcher import Dispatcher
from gitintegration.sync.engine import Engine, explain
from gitintegration.sync.entry import Entry, Name, first_seen, kept
from gitintegration.sync.item import LOSSY, Request, Tally, lossy_words
from gitintegration.sync.logins import Logins
from gitintegration.sync.observe import cache_directory
from gitintegration.sync.operations import Operations
from gitintegration.sync.secrets import read_secret
from gitintegration.sync.watches import KindId, Watches
from gitintegration.sync.workspace import Workspace

_SOON = 2.0
"""Seconds until the API server is tried again."""


class Operator:
    def __init__(
        self,
        *,
        engine: Engine,
        git: GitClient,
        workers: Workers,
        integrations: Integrations,
        operations: OperationObjects,
        kinds: Kinds,
        informers: Informers,
        cache: Path,
        forges: Forges,
        pushed: BaseStore[Published],
        apps: AppTokens,
        concurrency: int,
        per_host: int = 0,
        metrics: Metrics,
        shard: str = "",
        default_service_account: str = "",
        allowed_workloads: Collection[str] = (),
        require_allowed_hosts: bool = False,
        secrets: Informers | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`secrets` watches Secrets, where they are not watched as the pipelines are."""
        self._engine, self._git, self._workers = engine, git, workers
        self._integrations = integrations
        self._cache, self._now, self._forges, self._apps = cache, now, forges, apps
        git.disk.evict = self._evict
        self.shard, self._metrics = shard, metrics
        self._entries: dict[Name, Entry] = {}
        self._wiping: set[asyncio.Task[None]] = set()
        self._namespaces: Counter[str] = Counter()
        workers.turns.alone = lambda: len(self._namespaces) < 2
        self._watches = Watches(
            kinds, informers, self._entries, self._object_changed, default_service_account, allowed_workloads
        )
        self._logins = Logins(
            integrations,
            secrets or informers,
            apps,
            lambda name: self.dispatcher.add(name, Priority.changed),
            require_allowed_hosts,
        )
        self._log = structlog.get_logger("operator")
        self.operations = Operations(
            Actions(engine, git, workers, forges, pushed),
            operations,
            lambda name: self.dispatcher.add(name, Priority.requested),
            cache,
            metrics,
        )
        self.dispatcher: Dispatcher[Name] = Dispatcher(
            self.run, concurrency, self._host, per_host, metrics.waited, share=lambda name: name[0]
        )

    def standings(self) -> Iterator[Standing]:
        """How each integration stands. May be asked from another thread."""
        for (namespace, name), entry in list(self._entries.items()):
            yield Standing(namespace, name, entry.status, entry.succeeded)

    def waiting(self) -> int:
        """How many integrations are due and wait for their turn."""
        return self.dispatcher.waiting()

    # --- what wakes an integration ----------------------------------------------------------------------------------

    async def seen(self, body: Mapping[str, Any]) -> None:
        """An integration is there, or changed."""
        metadata = body["metadata"]
        name = (metadata["namespace"], metadata["name"])
        entry = self._entries.get(name)
        if entry is not None and entry.metadata["uid"] != metadata["uid"]:
            await self.gone(name)
            entry = None
        if entry is None:
            self._entries[name] = first_seen(body, cache_directory(self._cache, metadata["uid"]))
            self._namespaces[name[0]] += 1
            self.dispatcher.add(name, Priority.changed)
            return
        before = entry.trigger()
        entry.seen = kept(body)
        after = entry.trigger()
        if before != after:
            asked = before[3:] != after[3:]
            self.dispatcher.add(name, Priority.requested if asked else Priority.changed)

    async def gone(self, name: Name) -> None:
        """An integration is no more: end its work and remove its cache. Pipelines stay as they are."""
        entry = self._entries.pop(name, None)
        if entry is None:
            return
        self._namespaces -= Counter([name[0]])
        await self.dispatcher.remove(name)
        await self._release(name, entry)
        self._forget(entry, None)
        if entry.login.app is not None:
            self._apps.drop(entry.login.app)
        self._git.disk.forget(entry.ws.directory)
        await asyncio.to_thread(objects.wipe, entry.ws.directory)

    def _forget(self, entry: Entry, now: Remote | None) -> None:
        """What other parts keep of a remote goes where another takes its place."""
        if entry.remote is not None and entry.remote != now:
            self._git.forget(entry.remote)
            self._forges.forget(entry.remote)
        entry.remote = now

    def _evict(self, directory: Path) -> bool:
        """Take away the cache of an integration that does not run now; its next sync fetches anew."""
        for name, entry in self._entries.items():
            if entry.ws.directory == directory and not self.dispatcher.runs(name):
                gone = directory.with_name(f"gone-{directory.name}-{time.monotonic_ns()}")
                with contextlib.suppress(FileNotFoundError):
                    directory.rename(gone)
                entry.ws.reset_git()
                self._wiping.add(
                    wiping := asyncio.get_running_loop().create_task(asyncio.to_thread(objects.wipe, gone))
                )
                wiping.add_done_callback(self._wiping.discard)
        return not directory.exists()

    def _object_changed(self, name: Name, kind_id: KindId, pipeline: str) -> None:
        entry = self._entries.get(name)
        if entry is None or kind_id not in entry.kinds:
            return
        kind = entry.kinds[kind_id]
        key, meta = kind.key(pipeline), kind.informer.of(name[0]).get(pipeline)
        if entry.ws.table.observe(key, meta.resource_version if meta else ABSENT):
            self.dispatcher.add(name, Priority.edited, self._quiet_period(entry))

    def _host(self, name: Name) -> str:
        """The git server of an integration."""
        entry = self._entries.get(name)
        try:
            url = parse_url(str((entry.seen.get("spec") or {}).get("repositoryURL", ""))) if entry else None
        except SpecError:
            url = None
        return f"{url.host}:{url.port}" if url else ""

    @staticmethod
    def _quiet_period(entry: Entry) -> float:
        text = ((entry.seen.get("spec") or {}).get("sync") or {}).get("push", {}).get("quietPeriod", "1s")
        try:
            return parse_duration(text)
        except ValueError:
            return 1.0

    # --- one run ----------------------------------------------------------------------------------------------------

    async def run(self, name: Name, priority: Priority) -> float | None:
        """One sync of one integration, to its written status; the seconds until the next."""
        SHARE.set(name[0])
        entry = self._entries.get(name)
        if entry is not None and entry.leaving:
            return await self._end(name, entry)
        if self.operations.waiting(name):
            try:
                await self.operations.run_all(name, _Turn(self, name, entry) if entry else _Alone(self, name))
            except ClusterError as error:
                self._log.warning("operations wait", namespace=name[0], integration=name[1], error=error.message)
                return _SOON
            priority = Priority.requested
        if entry is None:
            return None
        if priority is Priority.edited and self._nothing_moved(entry, name[0]):
            return max(0.0, entry.next_periodic - time.monotonic())
        started = time.monotonic()
        try:
            outcome, tally = await self._sync(name, entry)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a defect in one integration must not end the others
            if not isinstance(error, GitIntegrationError):
                self._log.exception("sync failed", namespace=name[0], integration=name[1])
            outcome, tally = self._failed(entry, explain(error)), Tally()
        try:
            await self._finish(name, entry, outcome, tally, time.monotonic() - started)
        except ClusterError as error:
            entry.unwritten += 1
            self._log.warning("status not written", namespace=name[0], integration=name[1], error=error.message)
            return entry.until_rewrite()
        entry.unwritten = 0
        delay = entry.settle(outcome)
        entry.next_periodic = time.monotonic() + delay
        return delay

    @staticmethod
    def _nothing_moved(entry: Entry, namespace: str) -> bool:
        ws = entry.ws
        if not ws.loaded or entry.failures or entry.must_rescan:
            return False
        return not ws.table.due(observed_by(entry.kinds, namespace, ws.table))

    async def _sync(self, name: Name, entry: Entry) -> tuple[Outcome, Tally]:
        spec = self._parse(entry)
        if not spec.enabled:
            await self._release(name, entry)
            return Outcome(int(entry.metadata["generation"]), spec.sync.mode.value, suspended=True), Tally()
        request = await self._request(name, entry, spec)
        began = time.monotonic()
        done = await self._engine.sync(entry.ws, request)
        if request.rescan and done[0].error is None:
            entry.rescan, entry.scanned = False, began
        return done

    async def _request(self, name: Name, entry: Entry, spec: GitIntegrationSpec) -> Request:
        """Everything that a run needs, made ready."""
        await self._keep_finalizer(entry, spec)
        connection = await self._logins.connect(name, entry.login, spec)
        self._forget(entry, connection.remote)
        await self._engine.load(entry.ws, name[0])
        refusals = await self._watches.prepare(name, entry, spec)
        source = hashlib.sha256(
            repr((spec.repository_url, spec.default_branch, spec.path_prefix)).encode()
        ).hexdigest()[:16]
        await self._check_source(name, entry, source)
        if entry.ws.remote is None and entry.ws.rested and not entry.failures:
            told = entry.status["connection"]
            entry.ws.connection = {k: told[k] for k in ("reachable", "permissions", "defaultBranch") if k in told}
            entry.ws.remote = connection.remote
        if entry.ws.remote != connection.remote:
            await self._probe(entry, connection)
        return Request(
            namespace=name[0],
            name=name[1],
            uid=entry.ws.uid,
            generation=int(entry.metadata["generation"]),
            spec=spec,
            remote=connection.remote,
            kinds=dict(entry.kinds),
            refusals=tuple(refusals),
            warnings=self._warnings(name, entry),
            confirmed=entry.annotations.get(CONFIRM_DELETES),
            requested_at=entry.annotations.get(REQUESTED_AT),
            source=source,
            rescan=entry.must_rescan,
            api_token=entry.login.api_token,
        )

    @staticmethod
    def _parse(entry: Entry) -> GitIntegrationSpec:
        return read_spec(GitIntegrationSpec, entry.seen.get("spec"))

    @staticmethod
    def _warnings(name: Name, entry: Entry) -> tuple[str, ...]:
        """What works and should not stay so, of the login."""
        ref = _reclaimed(entry.seen)
        secret = entry.login.secrets.get(ref) if ref else None
        if secret is None or secret.belongs_to(name[1], entry.ws.uid):
            return ()
        return (f"Secret {ref!r} will stay when this is deleted: {_how_to_own(name[1])}",)

    def suspended(self, entry: Entry) -> bool:
        """Whether it carries nothing now. Raises SpecError."""
        return not self._parse(entry).enabled

    async def prepared(self, name: Name, entry: Entry) -> tuple[Workspace, Request]:
        """What an operation needs of its integration."""
        return entry.ws, await self._request(name, entry, self._parse(entry))

    async def connection(self, name: Name, entry: Entry | None, spec: GitIntegrationSpec | None) -> Connection:
        """What an integration names; or a spec, that belongs to none."""
        if spec is not None:
            return await self._logins.connect_once(name[0], spec)
        assert entry is not None
        return await self._logins.connect(name, entry.login, self._parse(entry))

    async def has(self, name: Name) -> bool:
        """Whether what is asked of this integration is this operator's to answer."""
        found = await self._integrations.get(*name)
        return (shard_of(found) if found else "") == self.shard

    async def announce(self, entry: Entry, active: Mapping[str, Any]) -> None:
        """Which operation runs; the next written status takes it away again."""
        status = {**entry.status, "activeOperation": dict(active)}
        await self._integrations.write_status({**entry.seen, "status": entry.status}, status)
        entry.status = status

    async def _keep_finalizer(self, entry: Entry, spec: GitIntegrationSpec) -> None:
        """Only where something must be done at the end: otherwise a missing operator would hold up the delete."""
        wanted = bool(spec.credentials and spec.credentials.reclaim_policy == "Delete")
        if wanted != (FINALIZER in entry.metadata.get("finalizers", [])):
            with contextlib.suppress(Stale):
                await self._integrations.set_finalizer(entry.seen, wanted=wanted)

    async def _release(self, name: Name, entry: Entry) -> None:
        await self._watches.release(name, entry)
        await self._logins.release(name, entry.login)

    async def _check_source(self, name: Name, entry: Entry, source: str) -> None:
        """What was agreed with another repository, branch or prefix says nothing about this one."""
        before = entry.status.get("observedSource")
        if before is not None and before != source:
            entry.rescan = True
            await self._engine.leave_source(entry.ws, *name)
            entry.status["observedSource"] = source

    async def _probe(self, entry: Entry, made: Connection) -> None:
        found = await examine(self._git, self._forges, made)
        permissions = ["read", "write"] if found.can_write else ["read"]
        head = (found.default_branch or "").removeprefix("refs/heads/") or None
        connection: dict[str, object] = {"reachable": True, "permissions": permissions}
        entry.ws.connection = {**connection, "defaultBranch": head} if head else connection
        entry.ws.remote = made.remote

    # --- the end of a run -------------------------------------------------------------------------------------------

    def _failed(self, entry: Entry, error: GitIntegrationError) -> Outcome:
        entry.ws.remote = None
        if error.reason is Reason.LimitExceeded:
            entry.ws.reset_git()  # its cache was made empty where it was too large
        self._logins.failed(entry.login, error)
        connection = {"reachable": False} if error.reason in _UNREACHABLE else None
        return Outcome(
            int(entry.metadata["generation"]),
            "",
            error=error,
            connection=connection,
            requested_at=entry.annotations.get(REQUESTED_AT),
            observed=False,
        )

    async def _finish(self, name: Name, entry: Entry, outcome: Outcome, tally: Tally, seconds: float) -> None:
        """The one place that writes status."""
        before = entry.status
        branch = (entry.seen.get("spec") or {}).get("defaultBranch")
        status = build_status(before, outcome, self._now(), branch=branch)
        if status != before:
            status = await self._write(entry, before, status)
            await self._tell(entry, before, status, tally)
        self._count(entry, outcome, tally, seconds)
        log = self._log.bind(namespace=name[0], integration=name[1], commit=outcome.remote_commit)
        if outcome.error is not None:
            log.warning("not synced", reason=outcome.error.reason.value, error=outcome.error.message)
        elif tally.wrote:
            log.info(
                "synced",
                created=tally.created,
                updated=tally.updated,
                deleted=tally.deleted,
                commits=tally.commits,
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
        if tally.lossy:
            self._metrics.lossy(len(tally.lossy))
            log.warning("edits took comments or lines beside their own", paths=tally.lossy[:LOSSY])
            await self._integrations.event(entry.seen, "Warning", "LossyEdit", lossy_words(tally.lossy))

    async def _write(self, entry: Entry, before: Mapping[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        """The status as it was written: without its lists where the API server does not take it with them."""
        try:
            await self._integrations.write_status({**entry.seen, "status": before}, status)
        except Refused as error:
            status = without_lists(status, error.message)
            await self._integrations.write_status({**entry.seen, "status": before}, status)
        entry.status = status
        return status

    def _count(self, entry: Entry, outcome: Outcome, tally: Tally, seconds: float) -> None:
        if outcome.error is not None:
            self._metrics.synced("failed", outcome.error.reason.value, seconds)
            return
        result = "suspended" if outcome.suspended else "synced" if tally.wrote else "unchanged"
        self._metrics.synced(result, "", seconds)
        entry.succeeded = entry.succeeded if outcome.suspended else time.time()

    async def _tell(self, entry: Entry, before: Mapping[str, Any], status: Mapping[str, Any], tally: Tally) -> None:
        """Events for what changed state, not for every sync."""
        if tally.wrote:
            pulled = tally.created + tally.updated + tally.deleted
            parts = [f"{pulled} pulled into the cluster"] if pulled else []
            parts += [f"pushed {sha[:12]}" for sha in tally.commits]
            await self._integrations.event(entry.seen, "Normal", "Synced", "; ".join(parts))
        old = {c["type"]: c for c in before.get("conditions", [])}
        for condition in status["conditions"]:
            previous = old.get(condition["type"], {})
            if (previous.get("status"), previous.get("reason")) == (condition["status"], condition["reason"]):
                continue
            if condition["type"] == "Ready":
                kind = "Normal" if condition["status"] == "True" else "Warning"
                await self._integrations.event(entry.seen, kind, condition["reason"], condition["message"])
            elif condition["type"] == "InSync" and condition["reason"] == Reason.HistoryRewritten.value:
                await self._integrations.event(entry.seen, "Warning", condition["reason"], condition["message"])

    async def _end(self, name: Name, entry: Entry) -> float | None:
        """The integration is being deleted: no remote is asked, so that a dead one holds up nothing."""
        if FINALIZER in entry.metadata.get("finalizers", []):
            if words := await self._reclaim(name, entry):
                await self._integrations.event(entry.seen, "Warning", "SecretKept", words)
            with contextlib.suppress(Stale):
                await self._integrations.set_finalizer(entry.seen, wanted=False)
                return None
            return 1.0
        return None

    async def _reclaim(self, name: Name, entry: Entry) -> str | None:
        """Delete the integration's Secret where that is asked for; in words why it stays, where it does."""
        ref = _reclaimed(entry.seen)
        if ref is None or any(
            other != name and other[0] == name[0] and _secret_of(rival.seen) == ref
            for other, rival in self._entries.items()
        ):
            return None
        try:
            secret = read_secret(await self._integrations.secret(name[0], ref), ref)
            if not secret.belongs_to(name[1], entry.ws.uid):
                return f"Secret {ref!r} stays: {_how_to_own(name[1])}"
            await self._integrations.delete_secret(name[0], secret.name, secret.uid, secret.version)
        except (CredentialError, Forbidden) as error:
            return None if error.reason is Reason.SecretNotFound else f"Secret {ref!r} stays: {error.message}"
        return None

    async def sweep(self, alive: set[str]) -> None:
        """At the start: caches of integrations that are no more, and what a killed process left in the others."""

        def clean() -> None:
            for pattern in ("op-*", "gone-*"):
                for directory in self._cache.glob(pattern):
                    objects.wipe(directory)
            for directory in self._cache.glob("gi-*"):
                if directory.name.removeprefix("gi-") in alive:
                    objects.sweep(directory)
                    with contextlib.suppress(LimitExceeded):  # it is told at the next fetch
                        self._git.disk.measured(directory, size_of(directory))
                else:
                    objects.wipe(directory)

        await asyncio.to_thread(clean)


def _secret_of(body: Mapping[str, Any]) -> str | None:
    """The Secret that an integration logs in with; None also where what it names can't be one."""
    credentials = (body.get("spec") or {}).get("credentials") or {}
    name = (credentials.get("secretRef") or {}).get("name")
    return name if isinstance(name, str) and is_subdomain(name) else None


def _reclaimed(body: Mapping[str, Any]) -> str | None:
    """The same, where it is to go with the integration."""
    credentials = (body.get("spec") or {}).get("credentials") or {}
    return _secret_of(body) if credentials.get("reclaimPolicy") == "Delete" else None


def _how_to_own(name: str) -> str:
    return f"reclaimPolicy Delete takes only a Secret with the annotation {OWNED_BY}: {name}"


def shard_of(body: Mapping[str, Any]) -> str:
    """The part of the work that an integration belongs to; empty for most."""
    return str((body["metadata"].get("labels") or {}).get(SHARD, ""))


class _Alone:
    """The turn of an integration that is not there."""

    exists, since, suspended = False, "", False

    def __init__(self, operator: Operator, name: Name) -> None:
        self._operator, self._name = operator, name

    async def is_ours(self) -> bool:
        return await self._operator.has(self._name)

    async def prepared(self) -> tuple[Workspace, Request]:
        raise OperationError(Reason.IntegrationNotFound, f"there is no GitIntegration {self._name[1]!r}")

    async def connection(self, spec: GitIntegrationSpec | None) -> Connection:
        return await self._operator.connection(self._name, None, spec)

    async def announce(self, active: Mapping[str, Any]) -> None:
        """Nobody is there to tell it of."""


class _Turn:
    """An integration's turn, lent to its operations."""

    exists = True

    def __init__(self, operator: Operator, name: Name, entry: Entry) -> None:
        self._operator, self._name, self._entry = operator, name, entry

    @property
    def since(self) -> str:
        return str(self._entry.metadata.get("creationTimestamp", ""))

    @property
    def suspended(self) -> bool:
        return self._operator.suspended(self._entry)

    async def is_ours(self) -> bool:
        return True

    async def prepared(self) -> tuple[Workspace, Request]:
        return await self._operator.prepared(self._name, self._entry)

    async def connection(self, spec: GitIntegrationSpec | None) -> Connection:
        return await self._operator.connection(self._name, self._entry, spec)

    async def announce(self, active: Mapping[str, Any]) -> None:
        await self._operator.announce(self._entry, active)


_UNREACHABLE = {
    Reason.NetworkUnreachable,
    Reason.Timeout,
    Reason.AuthenticationFailed,
    Reason.RepositoryNotFound,
    Reason.HostKeyMismatch,
    Reason.InvalidURL,
    Reason.RateLimited,
}
