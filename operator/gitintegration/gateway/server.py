"""The server in front of the application: uvicorn, with bounded connections."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import partial
from typing import Any

import uvicorn

from gitintegration.errors import Reason, SpecError
from gitintegration.gateway.connections import HEAD_SIZE, Connection, Places

_IDLE = 5
"""Seconds that a connection stays without a request."""
_GRACE = 10
"""Seconds that requests have to end after SIGTERM."""


def serve_http(app: Any, host: str, port: int, *, debug: bool, proxies: Sequence[str]) -> None:
    """Until SIGTERM. `proxies`: whose X-Forwarded-For is believed. Raises SpecError."""
    uvicorn.Server(configured(app, host, port, debug=debug, proxies=proxies)).run()


def configured(app: Any, host: str, port: int, *, debug: bool, proxies: Sequence[str]) -> uvicorn.Config:
    """Raises SpecError for a proxy that is no address and no network: it would be believed by nobody, or everybody be."""
    protocol: Any = partial(Connection, Places())
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        ws="none",
        h11_max_incomplete_event_size=HEAD_SIZE,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=[_network(proxy) for proxy in proxies],
        log_config=None,  # its lines are the process's own
        log_level="debug" if debug else "error",
        access_log=False,
        server_header=False,
    )


def _network(proxy: str) -> str:
    try:
        return str(ipaddress.ip_network(proxy))
    except ValueError as error:
        words = f"--trusted-proxies {proxy!r} is no address as 192.0.2.1 and no network as 192.0.2.0/24: {error}"
        raise SpecError(Reason.InvalidSpec, words) from None
