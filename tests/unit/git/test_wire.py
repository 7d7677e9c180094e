"""Git's wire from servers that are well, and from any bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.errors import GitIntegrationError, SpecError
from gitintegration.git.url import parse_url
from gitintegration.git.wire import (
    Special,
    parse_report,
    pkt,
    read_advertisement,
    read_band,
    read_ls_refs,
    read_section,
    server_said,
)

A, B = "a" * 40, "b" * 40
FLUSH = Special.flush.value


def fed(data: bytes, work: Callable[[asyncio.StreamReader], Awaitable[Any]]) -> Any:
    async def act() -> Any:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await work(reader)

    return asyncio.run(act())


def test_an_advertisement_of_protocol_2() -> None:
    data = pkt("# service=git-upload-pack\n") + FLUSH + pkt("version 2\n") + pkt("fetch=shallow filter\n") + FLUSH
    found = fed(data, read_advertisement)
    assert (found.version, found.filters, found.refs) == (2, True, None)


def test_an_advertisement_of_protocol_0() -> None:
    first = f"{A} HEAD\0symref=HEAD:refs/heads/main filter agent=x\n"
    data = (
        pkt(first)
        + pkt(f"{A} refs/heads/main\n")
        + pkt(f"{B} refs/tags/v1\n")
        + pkt(f"{A} refs/tags/v1^{{}}\n")
        + FLUSH
    )
    found = fed(data, lambda reader: read_advertisement(reader, ["refs/tags/v1"]))
    assert (found.version, found.filters, found.refs.head) == (0, True, "refs/heads/main")
    assert found.refs.refs == {"HEAD": A, "refs/heads/main": A, "refs/tags/v1": B}


def test_refs_of_protocol_2() -> None:
    lines = [f"{A} HEAD symref-target:refs/heads/trunk\n", f"{A} refs/heads/trunk\n", f"{B} refs/heads/x\n"]
    found = fed(b"".join(map(pkt, lines)) + FLUSH, lambda reader: read_ls_refs(reader, ["refs/heads/x"]))
    assert (found.head, found.refs["refs/heads/x"]) == ("refs/heads/trunk", B)
    unborn = fed(pkt("unborn HEAD symref-target:refs/heads/main\n") + FLUSH, read_ls_refs)
    assert (unborn.head, unborn.refs) == ("refs/heads/main", {})


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        (["unpack ok\n", "ok refs/heads/main\n"], None),
        (["unpack ok\n", "ng refs/heads/main hook declined\n"], "hook declined"),
        (["unpack index-pack failed\n", "ng refs/heads/main n/a\n"], "n/a"),
        (["unpack ok\n", "ok refs/heads/other\n"], "unpack ok"),
        ([], "unpack no report"),
    ],
)
def test_the_report_of_a_push(lines: list[str], refusal: str | None) -> None:
    assert parse_report(b"".join(map(pkt, lines)) + FLUSH, "refs/heads/main") == refusal


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("ERROR: Repository not found.", "RepositoryNotFound"),
        ("fatal: '/x' does not appear to be a git repository", "RepositoryNotFound"),
        ("ERROR: Write access to repository not granted.", "PermissionDenied"),
        ("GitLab: You are not allowed to push code to this project.", "PermissionDenied"),
        ("Permission to a/b.git denied to c.", "PermissionDenied"),
        ("out of memory", "NetworkUnreachable"),
    ],
)
def test_what_servers_say(words: str, reason: str) -> None:
    assert server_said(words).reason.value == reason


async def _band(reader: asyncio.StreamReader) -> bytes:
    return b"".join([chunk async for chunk in read_band(reader, [])])


async def _section(reader: asyncio.StreamReader) -> list[bytes]:
    return [line async for line in read_section(reader, 64)]


_lines = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"version 2\n", b"version 1\n", b"# service=x\n", f"{A} HEAD\n".encode(), b"\1\2", b"", b"ERR no"]
    ),
)
_streams = st.one_of(
    st.binary(max_size=60),
    st.lists(st.one_of(_lines.map(pkt), st.sampled_from([s.value for s in Special])), max_size=6).map(b"".join),
)


@given(_streams)
def test_any_bytes_end_in_an_answer_or_an_error_of_ours(data: bytes) -> None:
    for work in (read_advertisement, read_ls_refs, _band, _section):
        try:
            fed(data, work)
        except (GitIntegrationError, asyncio.IncompleteReadError):
            continue
    try:
        parse_report(data, "refs/heads/main")
    except GitIntegrationError as error:
        assert error.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://github.com/a/b", "https://github.com/a/b"),
        ("http://host:8080/a.git", "http://host:8080/a.git"),
        ("https://[::1]:8443/a", "https://[::1]:8443/a"),
        ("ssh://git@host/a.git", "ssh://git@host/a.git"),
        ("ssh://git@host:2222/~u/a", "ssh://git@host:2222/~u/a"),
        ("git@github.com:a/b.git", "ssh://git@github.com/a/b.git"),
        ("host:a/b", "ssh://host/a/b"),
    ],
)
def test_addresses(text: str, told: str) -> None:
    assert str(parse_url(text)) == told


@pytest.mark.parametrize(
    "text",
    [
        "https://user:pw@host/a",
        "https://token@host/a",
        "ssh://git:pw@host/a",
        "file:///etc",
        "git://host/a",
        "ext::sh -c id",
        "https://host",
        "https://host/a?x=1",
        "https://host/a#x",
        "https:///a",
        "https://host:x/a",
        "-oProxyCommand=id:x",
        "git@-oProxyCommand=id:x",
        "host:-u",
        "https://ho st/a",
        "",
    ],
)
def test_addresses_that_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(SpecError) as told:
        parse_url(text)
    assert told.value.reason.value == "InvalidURL"
    assert "pw" not in told.value.message
