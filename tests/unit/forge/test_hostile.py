"""A forge that means harm, asked for pull requests: each call ends in words, and leaves no connection."""

from __future__ import annotations

import asyncio
import dataclasses
import resource
from collections.abc import Iterator

import pytest

from gitintegration.api.integration import Provider
from gitintegration.errors import RemoteError
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.dialects import DIALECTS, Draft
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import target_of
from gitintegration.git.remote import Basic, Remote
from gitintegration.git.url import parse_url
from tests.bed.hostile_forge import WAYS, forges
from tests.bed.ports import Ports

HELD = "did not answer within"
GROWTH = 64 << 20
"""Bytes. What a way sends in a second would unfold to gigabytes."""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Ports, dict[str, str]]]:
    ports = Ports()
    yield ports, forges(ports)
    ports.stop()


@pytest.mark.parametrize("provider", DIALECTS)
@pytest.mark.parametrize("way", WAYS)
async def test_every_call_ends(servers: tuple[Ports, dict[str, str]], way: str, provider: Provider) -> None:
    ports, apis = servers
    remote = Remote(parse_url("https://forge.test/org/project/_git/repo"), Basic("git", "token"))
    known = Provider.gitea if provider in (Provider.bitbucket, Provider.azuredevops) else provider
    timeout = 60.0 if WAYS[way][1] else 0.5  # only what is held open has to wait for it
    target = dataclasses.replace(target_of(known, remote, "token"), provider=provider, api=apis[way], timeout=timeout)
    asked, before = Forges(ForgeHttp()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    calls = [
        asked.ensure(target, "head", "base", Draft("t", "b", labels=("x",))),
        asked.find(target, "head", "base"),
        asked.get(target, 1),
    ]
    told = await asyncio.gather(*calls, return_exceptions=True)
    for error in told:
        assert isinstance(error, RemoteError), error
        assert (WAYS[way][1] or HELD) in error.message
        assert error.message.isprintable()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH >> 10
    for _ in range(500):
        if not ports.open[f"forge-{way}"]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{ports.open[f'forge-{way}']} connections are open")
