"""No connection outlives the request that it was made for, at whatever instant that is cancelled."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Awaitable, Callable, Iterator

import asyncssh
import pytest

from gitintegration.forge.client import ForgeHttp
from gitintegration.git.client import GitClient
from gitintegration.git.remote import Bearer, Proxy, Remote, SshKey
from gitintegration.git.url import parse_url
from tests.bed.ports import Ports, hold

INSTANTS = 48
"""Turns of the event loop after which it is cancelled: more than there are until the server is waited for."""
Ask = Callable[[], Awaitable[object]]


async def connects(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy that says it has connected."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    await hold(reader, writer)


async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-held\r\n")
    await hold(reader, writer)


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    made = Ports()
    yield made
    made.stop()


async def cut_off(ports: Ports, ask: Ask, name: str) -> None:
    """Ask again and again, each time cancelled a turn later, until it waits for the server; then nothing is open."""
    before = ports.met[name]
    for turns in itertools.count():
        task = asyncio.ensure_future(ask())
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns % 2:  # what the other side does has happened by then
            await asyncio.sleep(0.002)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if turns > INSTANTS and ports.met[name] - before > INSTANTS // 4:
            break
    del task
    gc.collect()  # what nobody closed would be closed here, with a warning, which is an error
    for _ in range(500):
        if not ports.open[name]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{ports.open[name]} of {ports.met[name] - before} connections are open")


@pytest.mark.parametrize("way", ["http", "https", "proxy", "silent proxy", "https proxy"])
async def test_of_a_forge(ports: Ports, way: str) -> None:
    name = f"forge {way}"
    port = ports.listen(name, connects if way == "proxy" else hold)
    place = f"127.0.0.1:{port}"
    url, proxy = {
        "http": (f"http://{place}/", None),
        "https": (f"https://{place}/", None),
        "https proxy": ("https://forge.test/", Proxy(f"https://{place}")),
    }.get(way, ("https://forge.test/", Proxy(f"http://{place}")))
    http = ForgeHttp()
    await cut_off(ports, lambda: http.request("POST", url, login=Bearer("x"), proxy=proxy), name)


@pytest.mark.parametrize("way", ["http", "https", "proxy", "silent proxy", "ssh", "silent ssh"])
async def test_of_a_git_server(ports: Ports, way: str) -> None:
    name = f"git {way}"
    port = ports.listen(name, {"proxy": connects, "ssh": greets}.get(way, hold))
    place = f"127.0.0.1:{port}"
    if way.endswith("ssh"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        known = f"[127.0.0.1]:{port} {key.export_public_key().decode()}"
        login = SshKey(key.export_private_key(), known.encode())
        remote = Remote(parse_url(f"ssh://git@{place}/r.git"), login)
    elif way.endswith("proxy"):
        remote = Remote(parse_url("https://git.test/r.git"), proxy=Proxy(f"http://{place}"))
    else:
        remote = Remote(parse_url(f"{way}://{place}/r.git"))
    async with GitClient(None) as git:  # type: ignore[arg-type]
        await cut_off(ports, lambda: git.ls_refs(remote, ["refs/heads/main"]), name)
