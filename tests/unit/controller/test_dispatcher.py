"""Who runs when all places are taken."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gitintegration.controller.dispatcher import Dispatcher
from gitintegration.core.queue import Priority

Key = tuple[str, int]


@pytest.mark.parametrize(("held", "finds"), [((2, 1, 1), True), ((1, 1, 1, 1), False)])
def test_a_share_without_a_place_gets_one_of_the_share_that_has_most(held: tuple[int, ...], finds: bool) -> None:
    """`held`: how many of four places each of some shares takes, and never leaves. The first share has most."""

    async def act() -> None:
        began: list[Key] = []
        ended: list[Key] = []
        ran = asyncio.Event()

        async def run(key: Key, priority: Priority) -> float | None:
            if key[0] == "neighbour":
                ran.set()
                return None
            began.append(key)
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(key)
            return None

        dispatcher = Dispatcher[Key](run, 4, share=lambda key: key[0], patience=0.0)
        loop = asyncio.get_running_loop().create_task(dispatcher.run_forever())
        for share, count in enumerate(held):
            for number in range(count):
                dispatcher.add((f"s{share}", number), Priority.changed)
                async with asyncio.timeout(30):
                    while (f"s{share}", number) not in began:
                        await asyncio.sleep(0.001)
        dispatcher.add(("neighbour", 0), Priority.edited)
        if finds:
            async with asyncio.timeout(30):
                await ran.wait()
            assert ended == [("s0", 0)], "the longest run of the share that has most"
            assert not dispatcher.runs(("s0", 0))
            assert len(dispatcher) == sum(held), "and it is tried again"
        else:
            for _ in range(20):
                dispatcher.add(("neighbour", 0), Priority.edited)
                await asyncio.sleep(0)
            assert not ended, "nobody has more than one"
            assert not ran.is_set()
        loop.cancel()
        await dispatcher.drain(0.0)
        with contextlib.suppress(asyncio.CancelledError):
            await loop

    asyncio.run(act())


@pytest.mark.parametrize(("others", "ends"), [(4, 0), (20, 1), (24, 1)])
def test_who_waits_for_a_server_holds_up_nobody_of_another_share(others: int, ends: int) -> None:
    """So many shares have a run each that waits for a server, of four places and sixteen beside them."""

    async def act() -> None:
        began, ended = list[Key](), list[Key]()
        ran = asyncio.Event()

        async def run(key: Key, priority: Priority) -> float | None:
            if key[0] == "neighbour":
                ran.set()
                return None
            began.append(key)
            try:
                with dispatcher.waits():
                    await asyncio.Event().wait()
            finally:
                ended.append(key)
            return None

        dispatcher = Dispatcher[Key](run, 4, share=lambda key: key[0], patience=0.0)
        loop = asyncio.get_running_loop().create_task(dispatcher.run_forever())
        for share in range(min(others, 20)):
            dispatcher.add((f"s{share}", 0), Priority.changed)
            async with asyncio.timeout(30):
                while (f"s{share}", 0) not in began:
                    await asyncio.sleep(0.001)
        assert not ended
        for share in range(20, others):
            dispatcher.add((f"s{share}", 0), Priority.changed)
        dispatcher.add(("neighbour", 0), Priority.edited)
        async with asyncio.timeout(30):
            await ran.wait()
        assert len(ended) >= ends
        if ends:
            assert ended[0] == ("s0", 0), "the longest of all"
        else:
            assert not ended, "they only step aside"
        loop.cancel()
        await dispatcher.drain(0.0)
        with contextlib.suppress(asyncio.CancelledError):
            await loop

    asyncio.run(act())


def test_who_waits_for_a_server_keeps_its_place_in_the_servers_lane() -> None:
    """Else a server that says nothing would be asked by everybody at once."""

    async def act() -> None:
        running = set[Key]()

        async def run(key: Key, priority: Priority) -> float | None:
            running.add(key)
            if key[0] != "elsewhere":
                with dispatcher.waits():
                    await asyncio.Event().wait()
            return None

        def lane(key: Key) -> str:
            return "elsewhere" if key[0] == "elsewhere" else "server"

        dispatcher = Dispatcher[Key](run, 2, lane, 2, share=lambda key: key[0], patience=0.0)
        loop = asyncio.get_running_loop().create_task(dispatcher.run_forever())
        for share in range(5):
            dispatcher.add((f"s{share}", 0), Priority.changed)
        async with asyncio.timeout(30):
            while len(running) < 2:
                await asyncio.sleep(0.001)
        dispatcher.add(("elsewhere", 0), Priority.periodic)
        async with asyncio.timeout(30):
            while ("elsewhere", 0) not in running:
                await asyncio.sleep(0.001)
        assert len(running) == 3
        loop.cancel()
        await dispatcher.drain(0.0)
        with contextlib.suppress(asyncio.CancelledError):
            await loop

    asyncio.run(act())
