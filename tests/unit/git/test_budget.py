"""What servers may send, each and all together."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from gitintegration.errors import LimitExceeded, RemoteError
from gitintegration.git.budget import Budget, Metered
from gitintegration.git.http import Unfolded
from gitintegration.git.recent import Recent


async def test_one_exchange_ends_where_it_takes_too_much() -> None:
    budget = Budget(each=100, total=1000)
    with pytest.raises(LimitExceeded, match="more than 100 bytes"):
        async with budget.exchange() as exchange:
            exchange.take(60)
            exchange.take(60)
    async with budget.exchange() as exchange:  # and what it took is free again
        exchange.take(100)


async def test_the_one_that_took_most_makes_room_even_while_its_server_is_silent() -> None:
    budget = Budget(each=1000, total=1000)
    held = asyncio.Event()

    async def hold(size: int) -> None:
        async with budget.exchange() as exchange:
            exchange.take(size)
            held.set()
            await asyncio.Event().wait()

    greedy = asyncio.create_task(hold(700))
    await held.wait()
    modest = asyncio.create_task(hold(100))
    await asyncio.sleep(0)
    async with budget.exchange() as exchange:
        exchange.take(300)
        with pytest.raises(LimitExceeded, match="the most of all"):
            await greedy
        exchange.take(600)
    assert not modest.done()
    modest.cancel()


async def test_the_one_that_took_most_ends_itself() -> None:
    budget = Budget(each=1000, total=500)
    async with budget.exchange() as small:
        small.take(10)
        with pytest.raises(LimitExceeded, match="the most of all"):
            async with budget.exchange() as large:
                large.take(600)
        small.take(100)


async def test_reads_without_content_count_and_let_others_have_their_turn() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"0004" * 1000)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    async with Budget().exchange() as exchange:
        metered = Metered(reader, exchange)
        for _ in range(1000):
            await metered.readexactly(4)
        assert exchange.taken > 100_000
    assert turns >= 30
    beside.cancel()


class Content:
    """A body that comes in pieces."""

    def __init__(self, data: bytes, piece: int = 1000) -> None:
        self._pieces = [data[at : at + piece] for at in range(0, len(data), piece)]

    async def readany(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


async def test_gzip_is_unfolded_by_pieces() -> None:
    data = bytes(range(256)) * 4000
    reader = Unfolded(Content(zlib.compress(data, 9, 31)))  # type: ignore[arg-type]
    assert b"".join([await reader.readexactly(size) for size in (1, 255, 100_000, len(data) - 100_256)]) == data
    with pytest.raises(asyncio.IncompleteReadError):
        await reader.readexactly(1)


async def test_a_gzip_bomb_takes_no_more_memory_than_was_asked_for() -> None:
    made = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(made.compress(bytes(1 << 20)) for _ in range(256)) + made.flush()
    reader = Unfolded(Content(bomb, 1 << 20))  # type: ignore[arg-type]
    for _ in range(256):
        await reader.readexactly(1 << 16)
        assert len(reader._unread) <= 1 << 16


async def test_what_is_no_gzip_is_told() -> None:
    with pytest.raises(RemoteError, match="no gzip"):
        await Unfolded(Content(b"x" * 100)).readexactly(1)  # type: ignore[arg-type]


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    gone = list[str]()
    kept: Recent[int, str] = Recent(2, gone.append)
    kept.put(1, "a")
    kept.put(2, "b")
    assert kept.get(1) == "a"
    kept.put(3, "c")
    assert gone == ["b"]
    assert 2 not in kept
    kept.put(1, "d")
    kept.drop(1)
    kept.drop(1)
    assert gone == ["b", "a", "d"]
