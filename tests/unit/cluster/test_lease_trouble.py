"""A standby whose API server is away tries every two seconds, and says so once a minute."""

from __future__ import annotations

import asyncio
from typing import Any

from structlog.testing import capture_logs

from gitintegration.cluster.lease import Lease, Terms
from gitintegration.errors import ClusterUnavailable


class Away:
    """An API server that does not answer; each try takes two seconds of `now`, until `end`."""

    def __init__(self, end: float) -> None:
        self.now, self._end, self.tries = 0.0, end, 0

    async def get(self, *_: Any) -> None:
        self.now, self.tries = self.now + 2.0, self.tries + 1
        if self.now > self._end:
            raise asyncio.CancelledError
        raise ClusterUnavailable("the API server can't be reached: connection refused")


async def test_it_is_told_once_a_minute() -> None:
    server: Any = Away(end=179.0)
    lease = Lease(server, "default", "gitintegration", "a", Terms(period=0.0), clock=lambda: server.now)
    with capture_logs() as lines:
        await asyncio.wait([asyncio.create_task(lease.acquire(lambda: None))])
    assert server.tries == 90
    assert [line["event"] for line in lines] == ["the Lease can't be had"] * 3
