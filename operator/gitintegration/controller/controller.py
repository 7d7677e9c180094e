"""All integrations of one process: what wakes them, what each run does first and last, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import structlog

from gitintegration.api.base_model import CONFIRM_DELETES, REQUESTED_AT, SHARD, read_spec
from gitintegration.api.durations import parse_duration
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.checks.keeper import Checks
from gitintegration.cluster.hook_ring import HookRing
from gitintegration.cluster.informer import Informers, Meta
from gitintegration.cluster.integrations import Integrations
from gitintegration.cluster.kinds import Kinds
from gitintegration.cluster.operations import OperationObjects
from gitintegration.controller.assembly import Assembly
from gitintegration.controller.credentials import CredentialResolver
from gitintegration.controller.dispatcher import Dispatcher
from gitintegration.controller.finalizer import Finalizer, warnings_of
from gitintegration.controller.integration import Integration, IntegrationKey, first_seen, kept, source_of
from gitintegration.controller.scope import IntegrationScope, NoIntegration
from gitintegration.controller.status_writer import StatusWriter
from gitintegration.controller.watches import KindId, Watches
from gitintegration.controller.webhooks import Webhooks
from gitintegration.core.layout import folder_of
from gitintegration.core.people import UNSEEN
from gitintegration.core.queue import Priority
from gitintegration.core.state.item import Phase as ItemPhase
from gitintegration.core.state.table import ABSENT
from gitintegration.core.status import Outcome
from gitintegration.core.values import ObjectKey
from gitintegration.errors import (
    ClusterError,
    GitIntegrationError,
    LimitExceeded,
    Reason,
    SpecError,
)
from gitintegration.forge.checks import PullRequestForge
from gitintegration.forge.github_app import AppTokens
from gitintegration.forge.hooks import Hooks
from gitintegration.forge.pull_requests import Forges
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.disk import size_of
from gitintegration.git.remote import Remote
from gitintegration.git.turns import SHARE
from gitintegration.git.url import parse_url
from gitintegration.git.workers import Workers
from gitintegration.messages import Place
from gitintegration.metrics import Metrics, Standing
from gitintegration.operations.queue import OperationQueue
from gitintegration.reconcile.item import RunRequest, RunStats
from gitintegration.reconcile.mirror import cache_directory
from gitintegration.reconcile.report import explain
from gitintegration.reconcile.rivals import Rival, shared, undivided
from gitintegration.session.connection import Connection, examine
from gitintegration.session.live_objects import Kind, observed_by
from gitintegration.session.session import SyncSession

_SOON = 2.0
"""Seconds until the API server is tried again."""
_CHECKS_AGAIN = 60.0
"""The same of checks of pull requests that something else went wrong with."""


class Controller:
    def __init__(
        self,
        *,
        parts: Assembly,
        git: GitClient,
        workers: Workers,
        integrations: Integrations,
        operations: OperationObjects,
        kinds: Kinds,
        informers: Informers,
        cache: Path,
        forges: Forges,
        apps: AppTokens,
        concurrency: int,
        per_host: int = 0,
        metrics: Metrics,
        shard: str = "",
        default_service_account: str = "",
        allowed_workloads: Collection[str] = (),
        require_allowed_hosts: bool = False,
        secrets: Informers | None = None,
        ring: HookRing | None = None,
        hooks_url: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        tells: Callable[[Integrations, Metrics, Callable[[], datetime]], StatusWriter] = StatusWriter,
    ) -> None:
        """`secrets` watches Secrets, where they are not watched as the pipelines are; `ring` hands the keys of webhooks to their
        receiver, which forges reach at `hooks_url`. `clock` tells seconds, by which checks of pull requests are due."""
        self._reconciler, self._git, self._workers = parts.reconciler, git, workers
        self._integrations = integrations
        self._cache, self._now, self._forges, self._apps = cache, now, forges, apps
        git.disk.evict = self._evict
        self.shard, self._metrics = shard, metrics
        self._entries: dict[IntegrationKey, Integration] = {}
        self._wiping: set[asyncio.Task[None]] = set()
        self._elsewhere: dict[str, dict[str, Integration]] = {}
        """Those of another shard, by namespace and name."""
        self._unknown = SyncSession("", Path())
        """What they remember, which is not known here."""
        self._namespaces: Counter[str] = Counter()
        workers.turns.alone = lambda: len(self._namespaces) < 2
        self._watches = Watches(kinds, informers, self._object_changed, default_service_account, allowed_workloads)
        self._logins = CredentialResolver(
            integrations,
            secrets or informers,
            apps,
            git.keys,
            lambda name: self.dispatcher.add(name, Priority.changed),
            require_allowed_hosts,
        )
        self._checks = Checks(parts.planner, PullRequestForge(forges), workers, now, clock)
        self._webhooks = Webhooks(ring, self._logins, Hooks(forges), now, hooks_url)
        self._status, self._finalizer = tells(integrations, metrics, now), Finalizer(integrations, self._entries)
        self._log = structlog.get_logger("operator")
        self.operations = OperationQueue(
            parts.actions,
            operations,
            lambda name: self.dispatcher.add(name, Priority.requested),
            cache,
            metrics,
            is_stamped=kinds.is_stamped,
        )
        self.dispatcher: Dispatcher[IntegrationKey] = Dispatcher(
            self.run, concurrency, self._host, per_host, metrics.waited, share=lambda name: name[0]
        )
        workers.turns.aside = self.dispatcher.aside

    def standings(self) -> Iterator[Standing]:
        """How each integration stands. May be asked from another thread."""
        for (namespace, name), entry in list(self._entries.items()):
            yield Standing(namespace, name, entry.status, entry.succeeded)

    def integration(self, name: IntegrationKey) -> Integration | None:
        """What is kept of an integration that is there."""
        return self._entries.get(name)

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
            self._left_elsewhere(name)
            self._entries[name] = first_seen(body, cache_directory(self._cache, metadata["uid"]))
            self._namespaces[name[0]] += 1
            self.dispatcher.add(name, Priority.changed)
            return
        before, mark = entry.trigger(), entry.hook_mark
        entry.seen = kept(body)
        after = entry.trigger()
        if entry.hook_mark != mark:
            self._hooked(name, entry)
        if before != after:
            asked = before[3:] != after[3:]
            self.dispatcher.add(name, Priority.requested if asked else Priority.changed)

    def _hooked(self, name: IntegrationKey, entry: Integration) -> None:
        """A forge tells of a push."""
        mark = entry.hook_mark
        head = None if entry.failures else entry.status.get("remoteCommit")
        chance = random.random()  # noqa: S311 - so that not all look at once
        wait = entry.looks.hooked(mark, head, time.monotonic(), chance) if mark else None
        if wait is not None:
            self.dispatcher.add(name, Priority.requested, wait)

    async def seen_elsewhere(self, body: Mapping[str, Any]) -> None:
        """An integration of another shard is there, or changed: what it claims is asked for here."""
        name = (body["metadata"]["namespace"], body["metadata"]["name"])
        if name in self._entries:
            await self.gone(name)
        there = self._elsewhere.setdefault(name[0], {})
        before = there.get(name[1])
        there[name[1]] = now = Integration(kept(body), self._unknown, {})
        if before is None or before.trigger() != now.trigger():
            self._wake(name[0])

    def _left_elsewhere(self, name: IntegrationKey) -> None:
        there = self._elsewhere.get(name[0], {})
        if there.pop(name[1], None) is None:
            return
        if not there:
            del self._elsewhere[name[0]]
        self._wake(name[0])

    def _wake(self, namespace: str) -> None:
        for name in self._entries if self._namespaces[namespace] else ():
            if name[0] == namespace:
                self.dispatcher.add(name, Priority.changed)

    async def gone(self, name: IntegrationKey) -> None:
        """An integration is no more: end its work and remove its cache. Pipelines stay as they are."""
        self._left_elsewhere(name)
        entry = self._entries.pop(name, None)
        if entry is None:
            return
        self._namespaces -= Counter([name[0]])
        self._tell_overlaps(name, entry, {})
        await self.dispatcher.remove(name)
        await self._release(name, entry)
        await self._webhooks.forget(entry)
        await self._checks.forget(entry.session)
        self._forget(entry, None)
        if entry.login.app is not None:
            self._apps.drop(entry.login.app)
        self._git.disk.forget(entry.session.directory)
        await asyncio.to_thread(objects.wipe, entry.session.directory)

    def _forget(self, entry: Integration, now: Remote | None) -> None:
        """What other parts keep of a remote goes where another takes its place."""
        if entry.remote is not None and entry.remote != now:
            self._git.forget(entry.remote)
            self._forges.forget(entry.remote)
        entry.remote = now

    def _evict(self, directory: Path) -> bool:
        """Take away the cache of an integration that does not run now; its next sync fetches anew."""
        for name, entry in self._entries.items():
            mine = (entry.session.directory, self._checks.directory(entry.session))
            if directory in mine and not self.dispatcher.runs(name):
                gone = directory.with_name(f"gone-{directory.name}-{time.monotonic_ns()}")
                with contextlib.suppress(FileNotFoundError):
                    directory.rename(gone)
                if directory == entry.session.directory:
                    entry.session.reset_git()
                self._wiping.add(
                    wiping := asyncio.get_running_loop().create_task(asyncio.to_thread(objects.wipe, gone))
                )
                wiping.add_done_callback(self._wiping.discard)
        return not directory.exists()

    def _object_changed(self, name: IntegrationKey, kind_id: KindId, pipeline: str) -> None:
        entry = self._entries.get(name)
        if entry is None or kind_id not in entry.kinds:
            return
        kind = entry.kinds[kind_id]
        key, meta = kind.key(pipeline), kind.informer.of(name[0]).get(pipeline)
        if entry.session.table.observe(key, meta.resource_version if meta else ABSENT):
            last = meta or kind.informer.gone.get((name[0], pipeline))
            if entry.session.loaded and last is not None and last.edited_by:
                self._note_editor(entry.session, kind, key, meta, last.edited_by)
            self.dispatcher.add(name, Priority.edited, self._quiet_period(entry))

    @staticmethod
    def _note_editor(session: SyncSession, kind: Kind, key: ObjectKey, meta: Meta | None, user: str) -> None:
        """Remember who edited an object, and whether somebody else may have done so unseen before."""
        before, open_item = kind.informer.before, session.table.open.get(key)
        if meta and before and meta.content is not None and (meta.content, user) == (before.content, before.edited_by):
            return  # its status was written, say
        if before is None:  # it is made anew: what it was is nobody's concern any more
            session.edits.pop(key, None)
        agreed = session.table.reconciled(key)
        is_next = (before.resource_version if before else ABSENT) == (ABSENT if agreed is None else agreed)
        follows = key in session.edits or (is_next and not (open_item and open_item.local))
        by = UNSEEN if kind.stamped is False else user
        session.edited(key, by, follows=follows and not kind.informer.listing)

    def _host(self, name: IntegrationKey) -> str:
        """The git server of an integration."""
        entry = self._entries.get(name)
        try:
            url = parse_url(str((entry.seen.get("spec") or {}).get("repositoryURL", ""))) if entry else None
        except SpecError:
            url = None
        return f"{url.host}:{url.port}" if url else ""

    @staticmethod
    def _quiet_period(entry: Integration) -> float:
        text = ((entry.seen.get("spec") or {}).get("sync") or {}).get("push", {}).get("quietPeriod", "1s")
        try:
            return parse_duration(text)
        except ValueError:
            return 1.0

    # --- one run ----------------------------------------------------------------------------------------------------

    async def run(self, name: IntegrationKey, priority: Priority) -> float | None:
        """One sync of one integration, to its written status; the seconds until the next."""
        SHARE.set(name[0])
        entry = self._entries.get(name)
        if entry is not None:
            self._tell_overlaps(name, entry, self._find_overlaps(name, entry))
        if entry is not None and entry.leaving:
            if words := await self._webhooks.end(name, entry):
                await self._integrations.event(entry.seen, "Warning", "HookKept", words)
            return await self._finalizer.end(name, entry)
        if self.operations.waiting(name):
            try:
                await self.operations.run_all(
                    name, IntegrationScope(self, name, entry) if entry else NoIntegration(self, name)
                )
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
            outcome, stats = await self._sync(name, entry)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a defect in one integration must not end the others
            if not isinstance(error, GitIntegrationError):
                self._log.exception("sync failed", namespace=name[0], integration=name[1])
            outcome, stats = self._failed(name, entry, explain(error)), RunStats()
        self._nudge(name, entry)
        outcome = replace(outcome, hook=await self._webhooks.keep(name, entry))
        try:
            await self._status.finish(name, entry, outcome, stats, time.monotonic() - started)
        except ClusterError as error:
            entry.unwritten += 1
            self._log.warning("status not written", namespace=name[0], integration=name[1], error=error.message)
            return entry.until_rewrite()
        entry.unwritten = 0
        again = entry.looks.looked(entry.status.get("remoteCommit"), time.monotonic())
        if again is not None:
            self.dispatcher.add(name, Priority.requested, again)
        end = outcome.suspend.seconds_left(self._now()) if outcome.suspend else math.inf
        checked = await self._check(name, entry, outcome)
        delay = max(0.0, min(entry.settle(outcome), end, checked, self._next_claim(name)))
        entry.next_periodic = time.monotonic() + delay
        return delay

    async def _check(self, name: IntegrationKey, entry: Integration, outcome: Outcome) -> float:
        """What merging each open pull request would do, told to the forge; the seconds until that is due again."""
        if outcome.suspended or entry.leaving:
            return math.inf
        try:
            spec = self._parse(entry)
            trouble = None if outcome.observed else outcome.error
            prepare = partial(self.prepared, name, entry)
            report, wait = await self._checks.keep(
                Place(*name), entry.session, entry.status, spec, entry.hook_mark, trouble, prepare
            )
            if report is not None:
                await self._status.tell_checks(entry, report)
        except GitIntegrationError as error:
            self._log.warning("pull requests", namespace=name[0], integration=name[1], error=error.message)
            return _CHECKS_AGAIN
        except Exception:  # a defect here must not end the syncs
            self._log.exception("pull requests", namespace=name[0], integration=name[1])
            return _CHECKS_AGAIN
        return wait

    @staticmethod
    def _nothing_moved(entry: Integration, namespace: str) -> bool:
        session = entry.session
        if not session.loaded or entry.failures or entry.must_rescan:
            return False
        return not session.table.due(observed_by(entry.kinds, namespace, session.table))

    async def _sync(self, name: IntegrationKey, entry: Integration) -> tuple[Outcome, RunStats]:
        spec = self._parse(entry)
        if spec.suspended_for(self._now()):
            await self._release(name, entry)
            generation, mode = int(entry.metadata["generation"]), spec.sync.mode.value
            why = spec.suspend if spec.enabled else None
            return Outcome(generation, mode, Place(*name), suspended=True, suspend=why), RunStats()
        request = await self._request(name, entry, spec)
        began = time.monotonic()
        done = await self._reconciler.sync(entry.session, request)
        if request.rescan and done[0].error is None:
            entry.rescan, entry.scanned = False, began
        return done

    async def _request(self, name: IntegrationKey, entry: Integration, spec: GitIntegrationSpec) -> RunRequest:
        """Everything that a run needs, made ready."""
        await self._finalizer.keep(entry, spec)
        connection = await self._logins.connect(name, entry.login, spec)
        self._forget(entry, connection.remote)
        await self._reconciler.load(entry.session, name[0])
        refusals = await self._watches.prepare(name, entry, spec)
        folder = folder_of(spec.path_prefix)
        source = source_of(spec)
        await self._check_source(name, entry, source)
        if entry.session.remote is None and entry.session.resume_point and not entry.failures:
            told = entry.status["connection"]
            entry.session.connection = {k: told[k] for k in ("reachable", "permissions", "defaultBranch") if k in told}
            entry.session.remote = connection.remote
        if entry.session.remote != connection.remote:
            await self._probe(entry, connection)
        return RunRequest(
            namespace=name[0],
            name=name[1],
            uid=entry.session.uid,
            generation=int(entry.metadata["generation"]),
            spec=spec,
            remote=connection.remote,
            kinds=dict(entry.kinds),
            refusals=tuple(refusals),
            warnings=warnings_of(name, entry),
            confirmed=entry.annotations.get(CONFIRM_DELETES),
            use_up=partial(self._use_up, entry),
            requested_at=entry.annotations.get(REQUESTED_AT),
            source=source,
            prefix_before=before if (before := entry.status.get("observedPrefix")) != folder else None,
            rescan=entry.must_rescan,
            rivals=await self._rivals(name, spec),
            api_token=entry.login.api_token,
            signer=entry.login.signer,
            trust=entry.login.trust,
            people=entry.login.people,
        )

    async def _use_up(self, entry: Integration) -> None:
        """What was confirmed is stored as about to be written, and is not confirmed for another time."""
        if CONFIRM_DELETES in entry.annotations:
            await self._integrations.unconfirm(entry.seen)
            left = {name: text for name, text in entry.annotations.items() if name != CONFIRM_DELETES}
            entry.seen = {**entry.seen, "metadata": {**entry.metadata, "annotations": left}}

    async def _rivals(self, name: IntegrationKey, spec: GitIntegrationSpec) -> list[Rival]:
        """The other integrations that share kinds of its namespace, told apart by labels, with what they remember."""
        found: list[Rival] = []
        for other, entry, theirs in self._neighbours(name):
            if kinds := shared(spec, theirs):
                if (name[0], other) in self._entries:
                    await self._load_rival(name[0], other, entry)
                found.append(Rival(other, kinds, entry.session, parse_url(theirs.repository_url)))
        return found

    async def _load_rival(self, namespace: str, other: str, entry: Integration) -> None:
        try:
            await self._reconciler.load(entry.session, namespace)
        except GitIntegrationError as error:
            if error.reason is Reason.NewerMemory:  # whose an item is can't be told without it
                about = f"of GitIntegration {other!r}, which shares kinds with this one: {error.message}"
                error.words = error.words._replace(what=about)
            raise

    def _find_overlaps(self, name: IntegrationKey, entry: Integration) -> dict[KindId, tuple[str, ...]]:
        """The kinds that others claim as a whole as well, and their names."""
        found = defaultdict[KindId, list[str]](list)
        for other, _, theirs in self._neighbours(name):
            if mine := self._claimant(entry):
                for kind_id in undivided(mine, theirs):
                    found[kind_id].append(other)
        return {kind_id: tuple(sorted(others)) for kind_id, others in found.items()}

    def _tell_overlaps(self, name: IntegrationKey, entry: Integration, now: dict[KindId, tuple[str, ...]]) -> None:
        """Have those look at it themselves with whom an overlap began or ended."""
        before, entry.overlaps = entry.overlaps, now
        for other in set(chain(*before.values())) ^ set(chain(*now.values())):
            if (name[0], other) in self._entries:
                self.dispatcher.add((name[0], other), Priority.changed)

    def _neighbours(self, name: IntegrationKey) -> list[tuple[str, Integration, GitIntegrationSpec]]:
        """The others of its namespace that claim something now, those of another shard too, by name."""
        return [(other, entry, spec) for other, entry in self._all_others(name) if (spec := self._claimant(entry))]

    def _all_others(self, name: IntegrationKey) -> Iterator[tuple[str, Integration]]:
        """The others of its namespace, those of another shard too."""
        return chain(self._others(name), self._elsewhere.get(name[0], {}).items())

    def _claimant(self, entry: Integration) -> GitIntegrationSpec | None:
        """The spec of one that claims what it selects: not of one that is suspended, is going or can't work."""
        spec = self._claim(entry)
        return spec if spec and not spec.suspended_for(self._now()) else None

    def _claim(self, entry: Integration) -> GitIntegrationSpec | None:
        """The same, also of one that is suspended."""
        if entry.claimant is None or entry.claimant[0] is not entry.seen:
            entry.claimant = (entry.seen, None)
            with contextlib.suppress(SpecError):
                spec = self._parse(entry)
                parse_url(spec.repository_url)
                if not entry.leaving:
                    entry.claimant = (entry.seen, spec)
        return entry.claimant[1]

    def _next_claim(self, name: IntegrationKey) -> float:
        """Seconds until the next of its neighbours claims something again, because its suspension ends."""
        now = self._now()
        specs = (self._claim(entry) for _, entry in self._all_others(name))
        return min((left for spec in specs if spec and (left := spec.suspended_for(now))), default=math.inf)

    def _others(self, name: IntegrationKey) -> Iterator[tuple[str, Integration]]:
        """The other integrations of its namespace, by their names."""
        for (namespace, other), entry in self._entries.items() if self._namespaces[name[0]] > 1 else ():
            if namespace == name[0] and other != name[1]:
                yield other, entry  # to be gone through without an await: others come and go meanwhile

    def _nudge(self, name: IntegrationKey, entry: Integration) -> None:
        """Have the other integrations look at what both claim, and at what they wait for this one to have."""
        for other, keys in list(self._waiting_for(name, entry)):
            rival = self._entries.get((name[0], other))
            if rival is not None:
                rival.session.table.suspect(keys)
                self.dispatcher.add((name[0], other), Priority.changed)

    def _waiting_for(self, name: IntegrationKey, entry: Integration) -> Iterator[tuple[str, set[ObjectKey]]]:
        nudges, entry.session.nudges = entry.session.nudges, {}
        yield from nudges.items()
        marks, mine = entry.session.records.marks, entry.session.table.open
        for other, rival in self._others(name):
            there = rival.session.table.open
            released = {key for key, i in there.items() if i.phase is ItemPhase.RELEASED and not i.rival}
            if keys := {key for key in released & marks.keys() if key not in mine}:
                yield other, keys

    @staticmethod
    def _parse(entry: Integration) -> GitIntegrationSpec:
        return read_spec(GitIntegrationSpec, entry.seen.get("spec"))

    def suspended(self, entry: Integration) -> bool:
        """Whether it carries nothing now. Raises SpecError."""
        return self._parse(entry).suspended_for(self._now()) > 0

    async def prepared(self, name: IntegrationKey, entry: Integration) -> tuple[SyncSession, RunRequest]:
        """What an operation needs of its integration."""
        request = await self._request(name, entry, self._parse(entry))
        return entry.session, replace(request, confirmed=None)  # it names its plan's digest

    async def connection(
        self, name: IntegrationKey, entry: Integration | None, spec: GitIntegrationSpec | None
    ) -> Connection:
        """What an integration names; or a spec, that belongs to none."""
        if spec is not None:
            return await self._logins.connect_once(name[0], spec)
        assert entry is not None
        return await self._logins.connect(name, entry.login, self._parse(entry))

    async def announce(self, entry: Integration, active: Mapping[str, Any]) -> None:
        """Which operation runs; the next written status takes it away again."""
        await self._status.announce(entry, active)

    async def has(self, name: IntegrationKey) -> bool:
        """Whether what is asked of this integration is this operator's to answer."""
        found = await self._integrations.get(*name)
        return (shard_of(found) if found else "") == self.shard

    async def _release(self, name: IntegrationKey, entry: Integration) -> None:
        await self._watches.release(name, entry)
        await self._logins.release(name, entry.login)

    async def _check_source(self, name: IntegrationKey, entry: Integration, source: str) -> None:
        """What was agreed with another repository, branch or prefix says nothing about this one."""
        before = entry.status.get("observedSource")
        if before is not None and before != source:
            entry.rescan = True
            await self._reconciler.leave_source(entry.session, *name)
            entry.status["observedSource"] = source

    async def _probe(self, entry: Integration, made: Connection) -> None:
        found = await examine(self._git, self._forges, made)
        permissions = ["read", "write"] if found.can_write else ["read"]
        head = (found.default_branch or "").removeprefix("refs/heads/") or None
        connection: dict[str, object] = {"reachable": True, "permissions": permissions}
        entry.session.connection = {**connection, "defaultBranch": head} if head else connection
        entry.session.remote = made.remote

    # --- the end of a run -------------------------------------------------------------------------------------------

    def _failed(self, name: IntegrationKey, entry: Integration, error: GitIntegrationError) -> Outcome:
        entry.session.remote = None
        if error.reason is Reason.LimitExceeded:
            entry.session.reset_git()  # its cache was made empty where it was too large
        self._logins.failed(entry.login, error)
        connection = {"reachable": False} if error.reason in _UNREACHABLE else None
        return Outcome(
            int(entry.metadata["generation"]),
            "",
            Place(*name),
            error=error,
            connection=connection,
            requested_at=entry.annotations.get(REQUESTED_AT),
            observed=False,
        )

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


def shard_of(body: Mapping[str, Any]) -> str:
    """The part of the work that an integration belongs to; empty for most."""
    return str((body["metadata"].get("labels") or {}).get(SHARD, ""))


_UNREACHABLE = {
    Reason.NetworkUnreachable,
    Reason.Timeout,
    Reason.AuthenticationFailed,
    Reason.RepositoryNotFound,
    Reason.HostKeyMismatch,
    Reason.InvalidURL,
    Reason.RateLimited,
}
