"""The composition root: settings to parts, parts to a running process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import kopf
import structlog

from gitintegration import logs, stderr
from gitintegration.cluster.client import Cluster
from gitintegration.cluster.hook_ring import HookRing
from gitintegration.cluster.informer import Informers
from gitintegration.cluster.integrations import SECRETS, Integrations
from gitintegration.cluster.kinds import Kinds
from gitintegration.cluster.lease import Lease, Terms, lease_name
from gitintegration.cluster.operations import OperationObjects
from gitintegration.cluster.rights import may_watch_everywhere
from gitintegration.controller.assembly import assemble
from gitintegration.controller.controller import Controller
from gitintegration.core.yaml_read import ReadLimits
from gitintegration.errors import ClusterError
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.github_app import AppTokens
from gitintegration.forge.pull_requests import Forges
from gitintegration.git.client import GitClient, Limits
from gitintegration.git.disk import Disk
from gitintegration.git.egress import Egress
from gitintegration.git.keys import Keys
from gitintegration.git.workers import Workers
from gitintegration.handlers import integrations as handlers
from gitintegration.handlers import operations
from gitintegration.metrics import Metrics
from gitintegration.probes import probes
from gitintegration.settings import Settings

T = TypeVar("T")

_IN_WORKERS = ("gitintegration.commits.files", "gitintegration.git.log")
"""Modules whose functions run in worker processes."""

_KEY_MEMORY = 256 << 20
"""Bytes of address space for a process that reads keys."""
_OF_KEYS = ("asyncssh", "pysequoia", "gitintegration.git.keys")
"""Modules that are there before a key is read, for to import them takes as long as a key may."""

_DRAIN = 6.0
"""Seconds that running syncs have to end after SIGTERM."""

_STARTING = 1.0
"""Seconds between looks at an API server that is not ready."""


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, or until the Lease is lost."""
    os.environ.setdefault(
        "LOGNAME", "gitintegration"
    )  # kopf and asyncssh ask for a name, and a container's user has none
    async with AsyncExitStack() as stack:
        life, metrics = _Life(), Metrics()
        life.listen()
        await probes(settings.probe_port, life.ready, metrics.page, stack)
        cluster = await Cluster.connect(settings.kubeconfig, agent=settings.identity)
        cluster.observe = metrics.kube_request
        stack.push_async_callback(cluster.close)
        lease = await _lease(settings, stack) if settings.leader_election else None
        if lease is not None:
            cluster.fence = lease.remaining
            metrics.watch_lease(lambda: lease.leading)
            if not await life.outlasts(lease.acquire(life.ready.set)):
                return
        operator = await _operator(settings, cluster, metrics, stack)
        metrics.watch(operator)
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
        await operator.sweep(await _alive(settings, Integrations(cluster)))
        await _run(settings, cluster, operator, lease, life)


async def _operator(settings: Settings, cluster: Cluster, metrics: Metrics, stack: AsyncExitStack) -> Controller:
    """All parts, put together; the stack ends them."""
    workers, keys = _processes(settings, stack)
    egress = _egress(settings)
    disk = Disk(settings.cache_size_each, settings.cache_size)
    limits, per_host = Limits(blob=settings.max_file_size), settings.connections_per_host
    client = GitClient(workers, limits, per_host, cluster.fence, metrics.git_request, egress, disk=disk, keys=keys)
    git = await stack.enter_async_context(client)
    informers = Informers(cluster, by_namespace=bool(settings.namespaces))
    stack.push_async_callback(informers.close)
    narrow = bool(settings.namespaces) or not await _all_secrets(cluster)
    secrets = Informers(cluster, by_namespace=narrow)
    stack.push_async_callback(secrets.close)
    kinds = Kinds(cluster)
    http = ForgeHttp(fence=cluster.fence, observe=metrics.forge_request, egress=egress, keys=keys)
    forges = Forges(http)
    operator = Controller(
        parts=assemble(cluster, git, workers, forges, kinds, limits=ReadLimits(size=settings.max_file_size)),
        git=git,
        workers=workers,
        integrations=Integrations(cluster),
        operations=OperationObjects(cluster),
        forges=forges,
        apps=AppTokens(http),
        kinds=kinds,
        informers=informers,
        secrets=secrets,
        ring=HookRing(cluster, settings.lease_namespace),
        hooks_url=settings.hooks_url,
        cache=settings.cache_dir,
        concurrency=settings.concurrency,
        per_host=per_host,
        shard=settings.shard,
        default_service_account=settings.default_service_account,
        allowed_workloads=settings.allowed_workloads,
        require_allowed_hosts=settings.require_allowed_hosts,
        metrics=metrics,
    )
    git.waits = http.waits = keys.waits = operator.dispatcher.waits
    return operator


def _processes(settings: Settings, stack: AsyncExitStack) -> tuple[Workers, Keys]:
    """Those for packs and YAML, and those that read keys: of their own, so that slow keys hold up no sync, and no other keys."""
    begin = stderr.as_json_lines if settings.log_format == "json" else stderr.as_it_is
    workers = Workers(settings.workers, max_memory=settings.worker_memory, modules=_IN_WORKERS, begin=begin)
    readers, patient = (
        Workers(1, max_memory=_KEY_MEMORY, max_tasks=100, modules=_OF_KEYS, begin=begin) for _ in range(2)
    )
    for pool in (workers, readers, patient):
        stack.push_async_callback(asyncio.to_thread, pool.close)
    workers.start()
    return workers, Keys(readers.limited, patient.limited)


def _egress(settings: Settings) -> Egress:
    try:
        return Egress(settings.allowed_hosts, settings.denied_networks, require_tls=settings.require_tls)
    except ValueError as error:
        raise SystemExit(f"--denied-networks: {error}") from None


class _Life:
    """Of the process: `ready` once it works or stands by, `closing` once it was asked to end."""

    def __init__(self) -> None:
        self.ready, self.closing = asyncio.Event(), asyncio.Event()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.closing.set)

    async def outlasts(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether `work` comes to its end before the process is asked to."""
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(work), loop.create_task(self.closing.wait())}
        done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        for task in done:
            task.result()
        return not self.closing.is_set()


async def _lease(settings: Settings, stack: AsyncExitStack) -> Lease:
    """On a connection of its own, so that no other request keeps a renewal waiting."""
    terms = Terms()
    cluster = await Cluster.connect(settings.kubeconfig, limit=2, timeout=terms.deadline / 2, agent=settings.identity)
    stack.push_async_callback(cluster.close)
    name = lease_name(settings.shard, settings.namespaces)
    return Lease(cluster, settings.lease_namespace, name, settings.identity, terms)


async def _all_secrets(cluster: Cluster) -> bool:
    """Whether the Secrets of all namespaces may be watched as one; else each namespace's are watched by themselves."""
    return await _answered(lambda: may_watch_everywhere(cluster, SECRETS))


async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
    """What an API server says, once it is ready to."""
    waiting = logs.Trouble(structlog.get_logger("operator"), "waiting for the API server")
    while True:
        try:
            return await ask()
        except ClusterError as error:
            waiting.tell(error.message)
            await asyncio.sleep(_STARTING)


async def _alive(settings: Settings, integrations: Integrations) -> set[str]:
    """UIDs of the integrations there are; waits for an API server, or CRDs, that are not ready yet."""

    async def listed() -> set[str]:
        found = [item for ns in settings.namespaces or (None,) for item in await integrations.all(ns)]
        return {item["metadata"]["uid"] for item in found}

    return await _answered(listed)


async def _run(settings: Settings, cluster: Cluster, operator: Controller, lease: Lease | None, life: _Life) -> None:
    watched, stop = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    holding = loop.create_task(lease.hold() if lease else asyncio.Event().wait())
    dispatching = loop.create_task(operator.dispatcher.run_forever())
    registry = handlers.registry(operator)
    operations.register(registry, operator.operations)
    handlers.login(registry, cluster.configuration)
    watching = loop.create_task(
        kopf.operator(
            registry=registry,
            settings=handlers.settings(),
            namespaces=settings.namespaces,
            clusterwide=not settings.namespaces,
            ready_flag=watched,
            stop_flag=stop,
        )
    )
    waiting = loop.create_task(watched.wait())
    await asyncio.wait([waiting, watching, holding], return_when=asyncio.FIRST_COMPLETED)
    life.listen()  # in place of kopf's own handlers, which would cancel what runs
    life.ready.set()
    structlog.get_logger("operator").info("watching", namespaces=list(settings.namespaces) or "all")
    ended = loop.create_task(life.closing.wait())
    await asyncio.wait([ended, watching, dispatching, holding], return_when=asyncio.FIRST_COMPLETED)
    lost, unwatched = holding.done(), watching.done()
    await operator.dispatcher.drain(0.0 if lost else _DRAIN)
    if lease and not lost:
        holding.cancel()
        await lease.release()
    stop.set()
    dispatching.cancel()
    await asyncio.wait([watching], timeout=2.0)
    if lost:
        raise SystemExit("the Lease was lost")
    if unwatched and not life.closing.is_set():
        watching.result()
        raise SystemExit("the watch of GitIntegrations ended")
