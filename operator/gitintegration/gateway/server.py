"""The server in front of the application: uvicorn, with bounded connections."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import uvicorn

from gitintegration.gateway.connections import HEAD_SIZE, Connection, Places

_IDLE = 5
"""Seconds that a connection stays without a request."""
_GRACE = 10
"""Seconds that requests have to end after SIGTERM."""


def serve_http(app: Any, host: str, port: int, *, debug: bool, proxies: Sequence[str]) -> None:
    """Until SIGTERM. `proxies`: whose X-Forwarded-For is believed."""
    protocol: Any = partial(Connection, Places())
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=protocol,
        ws="none",
        h11_max_incomplete_event_size=HEAD_SIZE,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        log_level="debug" if debug else "error",
        access_log=False,
        server_header=False,
    )
