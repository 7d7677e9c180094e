"""How long nobody writes when the leading one of two replicas ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.bed.operator import OperatorProcess
from tests.bench.apiserver import PIPELINES, moved_from, ref_of
from tests.bench.bed import fresh, lines, name_of
from tests.bench.results import Failover
from tests.bench.scenarios import until


async def measure(rounds: int) -> Failover:
    """From the signal until an edit made right after it is in git; the other replica stands by meanwhile."""
    async with fresh() as bed:
        repo = bed.repository("failover", 10)
        path = f"{PIPELINES.format('ha')}/{name_of(0)}"
        await bed.api.namespace("ha")
        await bed.secret("ha")
        leading = await asyncio.to_thread(OperatorProcess, bed.plane, bed.directory / "ha", name="one")
        standing = await asyncio.to_thread(OperatorProcess, bed.plane, bed.directory / "ha", name="two")
        try:
            await bed.integrate("ha", repo)
            await until(lambda: bool(lines(leading, "synced")))

            async def turn(end: Callable[[OperatorProcess], object], number: int) -> float:
                nonlocal leading, standing
                head = ref_of(repo.path)
                began = time.monotonic()
                ending = asyncio.create_task(asyncio.to_thread(end, leading))
                await bed.api.merge(path, {"spec": {"owner": f"failover-{number}"}})
                taken = await moved_from(repo.path, head, 120.0) - began
                await ending
                await asyncio.to_thread(leading.start)
                leading, standing = standing, leading
                return taken

            killed = [await turn(OperatorProcess.kill, n) for n in range(rounds)]
            stopped = [await turn(OperatorProcess.stop, rounds + n) for n in range(rounds)]
        finally:
            leading.kill()
            standing.kill()
    return Failover(tuple(killed), tuple(stopped))
