"""The receiver as a process: its watch of integrations, its port, its probes. Any number of them may run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from gitintegration.cluster.client import Cluster
from gitintegration.cluster.hook_ring import HookRing
from gitintegration.cluster.informer import Watcher
from gitintegration.cluster.integrations import KIND, Integrations
from gitintegration.forge.oidc import Issuers
from gitintegration.hooks.receiver import Receiver
from gitintegration.hooks.server import serve
from gitintegration.hooks.targets import Target, Targets, read_target
from gitintegration.hooks.waker import Waker
from gitintegration.metrics import HookMetrics
from gitintegration.probes import probes
from gitintegration.settings import HookSettings

_LOOK = 0.2
"""Seconds between looks whether all integrations are known."""


async def receive(settings: HookSettings) -> None:
    """Until SIGTERM."""
    async with AsyncExitStack() as stack:
        targets, ready = Targets(), asyncio.Event()
        metrics = HookMetrics(lambda: len(targets))
        await probes(settings.probe_port, ready, metrics.page, stack)
        cluster = await Cluster.connect(settings.kubeconfig, agent="hooks")
        cluster.observe = metrics.kube_request
        stack.push_async_callback(cluster.close)
        waker = Waker(Integrations(cluster).annotate_hook)
        stack.push_async_callback(waker.close)
        watchers = [Watcher(cluster, KIND, space, read_target) for space in settings.namespaces or (None,)]
        for watcher in watchers:
            watcher.listen(_follow(watcher, targets, waker))
            watcher.start()
            stack.push_async_callback(watcher.stop)
        starting = asyncio.get_running_loop().create_task(_known(watchers, ready))
        stack.callback(starting.cancel)
        receiver = Receiver(
            targets,
            HookRing(cluster, settings.ring_namespace),
            waker,
            metrics.delivered,
            tokens=Issuers(settings.oidc_issuers) if settings.oidc_issuers else Issuers(),
            ready=ready.is_set,
        )
        await serve(
            receiver,
            settings.host,
            settings.port,
            debug=settings.log_level == "debug",
            proxies=settings.trusted_proxies,
        )


def _follow(watcher: Watcher[Target | None], targets: Targets, waker: Waker) -> Callable[[str, str], None]:
    def changed(namespace: str, name: str) -> None:
        now = watcher.of(namespace).get(name)
        targets.put(namespace, name, now)
        if now is None:
            waker.forget((namespace, name))

    return changed


async def _known(watchers: list[Watcher[Target | None]], ready: asyncio.Event) -> None:
    """Ready once all integrations were listed, and from then on: while the API server is away what is known serves."""
    while not all([await watcher.synced(_LOOK) for watcher in watchers]):  # noqa: ASYNC110 - a list that failed is made again
        await asyncio.sleep(_LOOK)
    structlog.get_logger("hooks").info("receiving")
    ready.set()
