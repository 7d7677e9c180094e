"""The composition root: flags and environment to settings, settings to parts, parts to a running process."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, TypeVar

import kopf
import structlog
from aiohttp import web
from cyclopts import Parameter

from gitintegration import logs, stderr
from gitintegration.api.crd import render_crds
from gitintegration.cluster.client import Cluster
from gitintegration.cluster.hook_ring import HookRing
from gitintegration.cluster.informer import Informers
from gitintegration.cluster.integrations import SECRETS, Integrations
from gitintegration.cluster.kinds import Kinds
from gitintegration.cluster.lease import Lease, Terms, lease_name
from gitintegration.cluster.operations import OperationObjects
from gitintegration.cluster.rights import may_watch_everywhere
from gitintegration.console import main
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
from gitintegration.metrics import CONTENT_TYPE, Metrics
from gitintegration.settings import NAMESPACE, Settings

T = TypeVar("T")

_IN_WORKERS = ("gitintegration.commits.files", "gitintegration.git.log")
"""Modules whose functions run in worker processes."""

_KEY_MEMORY = 256 << 20
"""Bytes of address space for a process that reads keys."""
_OF_KEYS = ("asyncssh", "gitintegration.git.keys")
"""Modules that are there before a key is read, for to import them takes as long as a key may."""

_DRAIN = 6.0
"""Seconds that running syncs have to end after SIGTERM."""

_STARTING = 1.0
"""Seconds between looks at an API server that is not ready."""


def crds() -> None:
    """Print the CustomResourceDefinitions."""
    print("---\n".join(render_crds().values()), end="")


def serve_gateway(
    *,
    host: str = "0.0.0.0",  # noqa: S104 - behind a Service
    port: int = 8080,
    kubeconfig: str | None = None,
    namespace: str | None = None,
    name: str = "default",
    github_app: str = "github-app",
    trusted_proxies: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    log_format: str = "console",
    log_level: str = "info",
) -> None:
    """Serve the REST API over the resources, as its callers.

    Parameters
    ----------
    host
        Address to listen on.
    port
        Port to listen on.
    kubeconfig
        Path of a kubeconfig. Default: the cluster it runs in, else $KUBECONFIG.
    namespace
        Where /api/git-integration leads. Default: $POD_NAMESPACE, else default.
    name
        Name of the GitIntegration behind it.
    github_app
        Secret, beside the GitIntegration, with the GitHub App of callers who name an installation only.
    trusted_proxies
        Address, or network, of what ends TLS in front of it: its X-Forwarded-For tells clients apart, which share the
        places for unknown tokens; may be given more than once. Default: nobody's is believed.
    log_format
        console or json.
    log_level
        debug, info, warning or error.
    """
    from gitintegration.gateway.app import Setting, build  # here, for the operator does without and saves the memory
    from gitintegration.gateway.server import serve_http

    logs.configure(log_format, log_level)
    setting = Setting(namespace or os.environ.get("POD_NAMESPACE") or "default", name, github_app)
    made = build(lambda: Cluster.connect(kubeconfig or os.environ.get("KUBECONFIG")), setting)
    serve_http(made, host, port, debug=log_level == "debug", proxies=trusted_proxies)


def serve_hooks(
    *,
    host: str = "0.0.0.0",  # noqa: S104 - behind a Service
    port: int = 8080,
    kubeconfig: str | None = None,
    namespace: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    ring_namespace: str | None = None,
    trusted_proxies: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    oidc_issuers: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    log_format: str = "console",
    log_level: str = "info",
    probe_port: int = 8081,
) -> None:
    """Receive the webhooks of forges, and have the operator look at once.

    Parameters
    ----------
    host
        Address to listen on.
    port
        Port of the deliveries, below /hooks/; nothing else is there.
    kubeconfig
        Path of a kubeconfig. Default: the cluster it runs in, else $KUBECONFIG.
    namespace
        Only integrations of this namespace; may be given more than once. Default: all.
    ring_namespace
        Where the Secrets gitintegration-hooks-0 to -f are. Default: $POD_NAMESPACE, else gitintegration-system.
    trusted_proxies
        Address, or network, of what ends TLS in front of it: its X-Forwarded-For tells clients apart, which share the
        places for bodies; may be given more than once. Default: nobody's is believed.
    oidc_issuers
        Issuer whose tokens spec.webhook.oidc may name, as https://gitlab.example.com; may be given more than once. Default:
        GitHub Actions and gitlab.com.
    log_format
        console or json.
    log_level
        debug, info, warning or error.
    probe_port
        Port of /healthz, /readyz and /metrics; 0: none.
    """
    from gitintegration.hooks.process import (
        Setting,
        receive,
    )  # here, for the operator does without and saves the memory

    logs.configure(log_format, log_level)
    setting = Setting(
        host=host,
        port=port,
        kubeconfig=kubeconfig or os.environ.get("KUBECONFIG"),
        namespaces=tuple(namespace),
        ring=ring_namespace or os.environ.get("POD_NAMESPACE") or NAMESPACE,
        proxies=tuple(trusted_proxies),
        issuers=tuple(oidc_issuers),
        debug=log_level == "debug",
    )
    with logs.ending():
        asyncio.run(receive(setting, lambda page, ready, stack: _probes(probe_port, ready, page, stack)))


def run(
    *,
    kubeconfig: str | None = None,
    namespace: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    cache_dir: Path | None = None,
    cache_size: int = 2 << 30,
    cache_size_each: int = 768 << 20,
    concurrency: int = 64,
    workers: int = 2,
    worker_memory: int = 384 << 20,
    max_file_size: int = 1 << 20,
    connections_per_host: int = 8,
    log_format: str = "console",
    log_level: str = "info",
    leader_election: bool = True,
    lease_namespace: str | None = None,
    identity: str | None = None,
    shard: str = "",
    allowed_hosts: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    denied_networks: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    require_tls: bool = False,
    default_service_account: str = "",
    allowed_workloads: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    require_allowed_hosts: bool = False,
    hooks_url: str = "",
    probe_port: int = 8080,
) -> None:
    """Run the operator, against a kubeconfig or in the cluster.

    Parameters
    ----------
    kubeconfig
        Path of a kubeconfig. Default: the cluster it runs in, else $KUBECONFIG.
    namespace
        Only this namespace; may be given more than once. Default: all.
    cache_dir
        Folder for what was fetched; may be lost at any time.
    cache_size
        Bytes of that folder for all integrations; the cache used longest ago goes first. What is on its way takes up to
        1.75 GiB beside it: the volume must hold both.
    cache_size_each
        Bytes of it for one integration; LimitExceeded past that.
    concurrency
        Syncs at a time.
    workers
        Processes for packs and YAML; of two or more, one is free for what is quick.
    worker_memory
        Bytes of address space for each of them.
    max_file_size
        Bytes; larger manifests are told as TooLarge.
    connections_per_host
        To one git server at a time; so many of the syncs at a time go to it as well.
    log_format
        console or json.
    log_level
        debug, info, warning or error.
    leader_election
        Write only while holding a Lease; of several replicas one works, the others stand by.
    lease_namespace
        Where the Lease is. Default: $POD_NAMESPACE, else gitintegration-system.
    identity
        Name of this process in the Lease, and of no other that runs. Default: $POD_NAME, else a random one.
    shard
        Only integrations labelled planasonix.com/shard with this value. Default: those without the label.
    allowed_hosts
        Host, or pattern as *.example.com, of repositories, forges and proxies; may be given more than once. Default: any.
    denied_networks
        Network as 10.0.0.0/8 that no repository, forge or proxy may be in; may be given more than once. Link-local and
        multicast addresses and the metadata services of clouds always are refused; loopback is not: deny 127.0.0.0/8 and
        ::1/128 where nothing on the operator's own host serves git.
    require_tls
        Refuse repositories, forges, and proxies that are told a password, over plain http.
    default_service_account
        ServiceAccount, of each integration's namespace, that pipelines are read and written as where the integration
        names none. Default: the operator itself.
    allowed_workloads
        Kind that runs code by itself and may be synced all the same, as Deployment.apps or Pod; may be given more than once.
        Default: none.
    require_allowed_hosts
        Refuse Secrets without the annotation planasonix.com/allowed-hosts, which names where their credentials may go.
    hooks_url
        Where forges reach the receiver of webhooks, as https://hooks.example.com. Default: each integration says it
        (spec.webhook.baseURL).
    probe_port
        Port of /healthz, /readyz and /metrics; 0: none.
    """
    settings = Settings(
        kubeconfig=kubeconfig or os.environ.get("KUBECONFIG"),
        namespaces=tuple(namespace),
        cache_dir=cache_dir or Settings().cache_dir,
        cache_size=cache_size,
        cache_size_each=cache_size_each,
        concurrency=concurrency,
        workers=workers,
        worker_memory=worker_memory,
        max_file_size=max_file_size,
        connections_per_host=connections_per_host,
        log_format=log_format,
        log_level=log_level,
        leader_election=leader_election,
        lease_namespace=lease_namespace or os.environ.get("POD_NAMESPACE") or NAMESPACE,
        identity=identity or os.environ.get("POD_NAME") or uuid.uuid4().hex[:12],
        shard=shard,
        allowed_hosts=tuple(allowed_hosts),
        denied_networks=tuple(denied_networks),
        require_tls=require_tls,
        default_service_account=default_service_account,
        allowed_workloads=tuple(allowed_workloads),
        require_allowed_hosts=require_allowed_hosts,
        hooks_url=hooks_url,
        probe_port=probe_port,
    )
    logs.configure(settings.log_format, settings.log_level)
    with logs.ending():
        asyncio.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, or until the Lease is lost."""
    os.environ.setdefault(
        "LOGNAME", "gitintegration"
    )  # kopf and asyncssh ask for a name, and a container's user has none
    async with AsyncExitStack() as stack:
        life, metrics = _Life(), Metrics()
        life.listen()
        await _probes(settings.probe_port, life.ready, metrics.page, stack)
        cluster = await Cluster.connect(settings.kubeconfig, agent=settings.identity)
        cluster.observe = metrics.kube_request
        stack.push_async_callback(cluster.close)
        lease = await _lease(settings, stack) if settings.leader_election else None
        if lease is not None:
            cluster.fence = lease.remaining
            metrics.watch_lease(lambda: lease.leading)
            if not await life.outlasts(lease.acquire(life.ready.set)):
                return
        begin = stderr.as_json_lines if settings.log_format == "json" else stderr.as_it_is
        workers = Workers(settings.workers, max_memory=settings.worker_memory, modules=_IN_WORKERS, begin=begin)
        stack.push_async_callback(asyncio.to_thread, workers.close)
        workers.start()
        readers, patient = (
            Workers(1, max_memory=_KEY_MEMORY, max_tasks=100, modules=_OF_KEYS, begin=begin) for _ in range(2)
        )
        for pool in (readers, patient):  # of their own, so that slow keys hold up no sync, and no other keys
            stack.push_async_callback(asyncio.to_thread, pool.close)
        egress, keys = _egress(settings), Keys(readers.limited, patient.limited)
        limits = Limits(blob=settings.max_file_size)
        git = await stack.enter_async_context(
            GitClient(
                workers,
                limits,
                settings.connections_per_host,
                cluster.fence,
                metrics.git_request,
                egress,
                disk=Disk(settings.cache_size_each, settings.cache_size),
                keys=keys,
            )
        )
        informers = Informers(cluster, by_namespace=bool(settings.namespaces))
        stack.push_async_callback(informers.close)
        narrow = bool(settings.namespaces) or not await _all_secrets(cluster)
        secrets = Informers(cluster, by_namespace=narrow)
        stack.push_async_callback(secrets.close)
        kinds, integrations = Kinds(cluster), Integrations(cluster)
        http = ForgeHttp(fence=cluster.fence, observe=metrics.forge_request, egress=egress, keys=keys)
        forges = Forges(http)
        parts = assemble(cluster, git, workers, forges, kinds, limits=ReadLimits(size=settings.max_file_size))
        operator = Controller(
            parts=parts,
            git=git,
            workers=workers,
            integrations=integrations,
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
            per_host=settings.connections_per_host,
            shard=settings.shard,
            default_service_account=settings.default_service_account,
            allowed_workloads=settings.allowed_workloads,
            require_allowed_hosts=settings.require_allowed_hosts,
            metrics=metrics,
        )
        metrics.watch(operator)
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
        await operator.sweep(await _alive(settings, integrations))
        await _run(settings, cluster, operator, lease, life)


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


async def _probes(port: int, ready: asyncio.Event, metrics: Callable[[], bytes], stack: AsyncExitStack) -> None:
    if not port:
        return

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if ready.is_set() else web.Response(status=503, text="starting\n")

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=await asyncio.to_thread(metrics), headers={"Content-Type": CONTENT_TYPE})

    served = web.Application()
    served.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", page)])
    runner = web.AppRunner(served, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, port=port).start()


if __name__ == "__main__":
    main()
