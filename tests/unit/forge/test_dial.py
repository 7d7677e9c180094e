"""What a forge's HTTP dials, addresses that were checked and no others; and what it takes in."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import zlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from gitintegration.errors import LimitExceeded, RemoteError, RemoteUnavailable
from gitintegration.forge.client import ForgeHttp
from gitintegration.git.remote import Bearer, Proxy

LOGIN = Bearer("token")


class Server:
    """Answers all that is asked of it alike."""

    def __init__(self) -> None:
        self.serving: set[asyncio.Task[None] | None] = set()
        self.asked: list[str] = []
        self.port = 0
        self.headers = b""
        self.body: Iterable[bytes] = [b"{}"]
        self.pause = 0.0
        self.sent = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.current_task())
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0])
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(head + self.headers + b"\r\n")
        with contextlib.suppress(ConnectionError):
            for chunk in self.body:
                writer.write(chunk)
                await writer.drain()
                self.sent += len(chunk)
                await asyncio.sleep(self.pause)
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made
        await asyncio.gather(*filter(None, made.serving))


def resolve(monkeypatch: pytest.MonkeyPatch, name: str, *answers: str) -> None:
    """Each look at the name gets the next answer; past them it is unknown."""
    real, left = socket.getaddrinfo, list(answers)

    def look(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in (name, name.encode()):
            return real(host, port, *args, **kwargs)
        if not left:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in left.pop(0).split()]

    monkeypatch.setattr(socket, "getaddrinfo", look)


async def test_a_name_is_looked_up_once_and_what_was_checked_is_dialled(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a name that leads elsewhere a moment later goes around the check."""
    resolve(monkeypatch, "forge.test", "127.0.0.1")
    http = ForgeHttp()
    assert await http.request("GET", f"http://forge.test:{server.port}/api", login=LOGIN) == {}
    assert server.asked == ["GET /api HTTP/1.1"]


@pytest.mark.parametrize("answers", ["0.0.0.0", "127.0.0.1 0.0.0.0"])
async def test_a_name_that_leads_to_a_refused_address_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, answers: str
) -> None:
    """0.0.0.0 is refused, and would be this machine."""
    resolve(monkeypatch, "forge.test", *[answers] * 5)
    http = ForgeHttp()
    with pytest.raises(RemoteError, match="refused"):
        await http.request("GET", f"http://forge.test:{server.port}/api", login=LOGIN)
    with pytest.raises(RemoteError, match="refused"):
        proxy = Proxy(f"http://forge.test:{server.port}")
        await http.request("GET", "http://api.example.com/", login=LOGIN, proxy=proxy)
    assert server.asked == []


async def test_a_proxy_is_asked_for_names_it_alone_may_know(server: Server) -> None:
    http = ForgeHttp()
    proxy = Proxy(f"http://127.0.0.1:{server.port}")
    assert await http.request("GET", "http://forge.internal/api", login=LOGIN, proxy=proxy) == {}
    assert server.asked == ["GET http://forge.internal/api HTTP/1.1"]


async def test_the_next_address_is_dialled_where_one_does_not_answer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, "forge.test", "127.0.0.2 127.0.0.1")
    http = ForgeHttp()
    assert await http.request("GET", f"http://forge.test:{server.port}/", login=LOGIN) == {}


async def test_a_name_that_is_unknown_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "forge.test")
    http = ForgeHttp()
    with pytest.raises(RemoteUnavailable, match=r"forge\.test can't be resolved"):
        await http.request("GET", "http://forge.test/", login=LOGIN)


async def test_an_answer_without_end_is_cut(server: Server) -> None:
    server.body = itertools.repeat(b" " * 65536)
    http = ForgeHttp()
    with pytest.raises(RemoteError, match="more than 4 MB"):
        await http.request("GET", f"http://127.0.0.1:{server.port}/", login=LOGIN)
    assert server.sent < 64 << 20


@pytest.mark.parametrize("piece", [b"1\r\n \r\n" * 10_000, b"2\r\n[]\r\n" * 5_000], ids=["spaces", "values"])
async def test_an_answer_in_small_pieces_ends_and_others_have_their_turn(server: Server, piece: bytes) -> None:
    server.headers, server.body = b"Transfer-Encoding: chunked\r\n", itertools.repeat(piece)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(others())
    http = ForgeHttp()
    with pytest.raises(LimitExceeded, match="sends more than"):
        await http.request("GET", f"http://127.0.0.1:{server.port}/", login=LOGIN)
    other.cancel()
    assert server.sent < 16 << 20
    assert turns > 1000


@pytest.mark.parametrize("value", [b"{}", b"[]", b"1", b'{"a":1}'])
async def test_an_answer_of_too_many_values_is_not_read(server: Server, value: bytes) -> None:
    http = ForgeHttp()
    server.body = [b"[" + b",".join([value] * 30_000) + b"]"]
    assert len(await http.request("GET", f"http://127.0.0.1:{server.port}/", login=LOGIN)) == 30_000
    server.body = [b"[" + b",".join([value] * 101_000) + b"]"]
    with pytest.raises(RemoteError, match="100000 values"):
        await http.request("GET", f"http://127.0.0.1:{server.port}/", login=LOGIN)


async def test_an_answer_by_drops_has_the_deadline_of_all(server: Server) -> None:
    server.body, server.pause = itertools.repeat(b" "), 0.05
    http = ForgeHttp()
    with pytest.raises(RemoteUnavailable, match=r"did not answer within 0\.5 s"):
        await http.request("GET", f"http://127.0.0.1:{server.port}/", login=LOGIN, timeout=0.5)


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip, gzip", "deflate", "br", "GZIP"])
async def test_a_packed_answer_is_refused_unread(server: Server, encoding: str) -> None:
    packed = zlib.compress(b" " * (64 << 20), 9, 31)
    server.headers, server.body = f"Content-Encoding: {encoding}\r\n".encode(), [zlib.compress(packed, 9, 31)]
    http = ForgeHttp()
    with pytest.raises(RemoteError, match="Content-Encoding"):
        await http.request("GET", f"http://127.0.0.1:{server.port}/", login=LOGIN)


@pytest.mark.parametrize("body", [b"[" * 90_000, b'{"a":' * 90_000, b"{", b"\xff", b""])
async def test_an_answer_that_is_no_json(server: Server, body: bytes) -> None:
    server.body = [body]
    http = ForgeHttp()
    with pytest.raises(RemoteError, match="no JSON"):
        await http.request("GET", f"http://127.0.0.1:{server.port}/", login=LOGIN)


async def test_no_connection_stays_open_when_it_is_answered() -> None:
    """A forge is asked seldom, and whose integration it was may be gone by then."""
    ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        ended.set_result(await reader.read())
        writer.close()

    http = ForgeHttp()
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        assert await http.request("GET", f"http://127.0.0.1:{port}/", login=LOGIN) == {}
        assert await asyncio.wait_for(ended, 20) == b""
