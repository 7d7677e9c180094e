"""One story told of a world: what the laws' cases begin and go on with, where no random history is played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from gitintegration.core.status import Outcome
from tests.laws.test_laws import world
from tests.laws.world import World


def run(act: Callable[[World], Coroutine[Any, Any, None]], files: Mapping[str, str]) -> None:
    """Acts in a world whose repository holds these files."""
    directory, w = world()
    with directory:
        w.git.commit(files)
        asyncio.run(act(w))


async def settled(w: World) -> Outcome:
    """Syncs until one writes nothing; what that came to."""
    for _ in range(3):
        w.deliver()
        outcome, stats = await w.sync()
        if not stats.wrote:
            return outcome
    raise AssertionError("it does not settle")
