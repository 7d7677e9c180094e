"""The port on which a process tells how it is: probes for a kubelet, metrics for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from aiohttp import web

from gitintegration.metrics import CONTENT_TYPE


async def probes(port: int, ready: asyncio.Event, metrics: Callable[[], bytes], stack: AsyncExitStack) -> None:
    """Serve /healthz, /readyz and /metrics until the stack ends; with port 0, nothing."""
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
