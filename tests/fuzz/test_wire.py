"""Servers that say anything: each answer is read, or ends in an error of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gitintegration.errors import GitIntegrationError
from gitintegration.git.budget import Budget, Metered
from gitintegration.git.http import Unfolded
from gitintegration.git.wire import (
    Advertisement,
    Reader,
    Special,
    parse_report,
    pkt,
    read_advertisement,
    read_ls_refs,
    read_pack,
    read_report,
    server_said,
)
from tests.fuzz.budget import fuzzed

A = "a" * 40
WORDS = [
    b"version 2\n",
    b"version 1\n",
    b"# service=git-upload-pack\n",
    b"ERR no",
    b"packfile\n",
    b"NAK\n",
    b"\1PACK",
    b"\2said",
    b"\3no",
    b"unpack ok\n",
    b"ng refs/heads/main no\n",
    f"{A} HEAD\0symref=HEAD:refs/heads/main filter object-format=sha1\n".encode(),
    f"{A} HEAD symref-target:refs/heads/main\n".encode(),
    f"{A} refs/heads/main\n".encode(),
    b"unborn HEAD symref-target:refs/heads/main\n",
    b"fetch=shallow filter\n",
    b"shallow " + A.encode(),
    b"object-format=sha256\n",
]
LINES = st.one_of(
    st.sampled_from(WORDS),
    st.binary(max_size=40),
    st.tuples(st.sampled_from(WORDS), st.binary(max_size=9)).map(b"".join),
)
STREAMS = st.lists(
    st.one_of(LINES.map(pkt), st.sampled_from([one.value for one in Special]), st.binary(max_size=5), st.just(b"0003")),
    max_size=12,
).map(b"".join)


async def _pack(version: int, reader: Reader) -> None:
    async for _ in read_pack(reader, Advertisement(version)):
        pass


WORK: list[Callable[[Reader], Awaitable[Any]]] = [
    read_advertisement,
    lambda reader: read_advertisement(reader, ["refs/heads/main"]),
    lambda reader: read_ls_refs(reader, ["refs/heads/main"]),
    lambda reader: _pack(0, reader),
    lambda reader: _pack(2, reader),
    *(
        (lambda reader, told=told: read_report(reader, [], Advertisement(0, dict.fromkeys(told, ""))))
        for told in (("report-status", "side-band-64k"), ("report-status",), ())
    ),
]


@fuzzed
@given(STREAMS)
def test_any_answer(data: bytes) -> None:
    async def act() -> None:
        for work in WORK:
            reader = asyncio.StreamReader()
            reader.feed_data(data)
            reader.feed_eof()
            try:
                async with Budget().exchange() as exchange:
                    await work(Metered(reader, exchange))
            except (GitIntegrationError, asyncio.IncompleteReadError) as error:
                assert len(str(error)) < 1000

    asyncio.run(act())
    try:
        said = parse_report(data, "refs/heads/main")
    except GitIntegrationError:
        return
    assert said is None or (said.isprintable() and len(said) <= 500)


@fuzzed
@given(st.binary(max_size=200), st.lists(st.integers(0, 40), max_size=8))
def test_any_gzip(data: bytes, sizes: list[int]) -> None:
    left = [data[:100], data[100:]]

    class Content:
        async def readany(self) -> bytes:
            return left.pop(0) if left else b""

    async def act() -> None:
        reader = Unfolded(Content())  # type: ignore[arg-type]
        for size in sizes:
            assert len(await reader.readexactly(size)) == size

    try:
        asyncio.run(act())
    except (GitIntegrationError, asyncio.IncompleteReadError):
        return


@fuzzed
@given(st.text(max_size=2000))
def test_whatever_a_server_says_can_be_shown(words: str) -> None:
    message = server_said(words).message
    assert message.isprintable()
    assert len(message) < 600
