"""`gitintegration run`, `serve`, `hooks` and `crds`: what runs in a cluster, and what it brings."""

from __future__ import annotations

import asyncio
import os

from gitintegration.settings import GatewaySettings, HookSettings, Settings


def run(*, settings: Settings = Settings()) -> None:  # noqa: B008 - of values
    """Run the operator, against a kubeconfig or in the cluster."""
    from gitintegration import logs
    from gitintegration.process import serve

    chosen = settings.within(os.environ)
    logs.configure(chosen.log_format, chosen.log_level)
    with logs.ending():
        asyncio.run(serve(chosen))


def serve_gateway(*, settings: GatewaySettings = GatewaySettings()) -> None:  # noqa: B008 - of values
    """Serve the REST API over the resources, as its callers."""
    from gitintegration import logs
    from gitintegration.cluster.client import Cluster
    from gitintegration.gateway.app import Setting, build  # here, for the operator does without and saves the memory
    from gitintegration.gateway.server import serve_http

    chosen = settings.within(os.environ)
    logs.configure(chosen.log_format, chosen.log_level)
    setting = Setting(chosen.namespace, chosen.name, chosen.github_app)
    made = build(lambda: Cluster.connect(chosen.kubeconfig), setting)
    serve_http(made, chosen.host, chosen.port, debug=chosen.log_level == "debug", proxies=chosen.trusted_proxies)


def serve_hooks(*, settings: HookSettings = HookSettings()) -> None:  # noqa: B008 - of values
    """Receive the webhooks of forges, and have the operator look at once."""
    from gitintegration import logs
    from gitintegration.hooks.process import receive

    chosen = settings.within(os.environ)
    logs.configure(chosen.log_format, chosen.log_level)
    with logs.ending():
        asyncio.run(receive(chosen))


def crds() -> None:
    """Print the CustomResourceDefinitions."""
    from gitintegration.api.crd import render_crds

    print("---\n".join(render_crds().values()), end="")
