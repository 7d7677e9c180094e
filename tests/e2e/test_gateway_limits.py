"""What anybody on the gateway's network may do to it: little, and not to the others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import GitServer
from tests.bed.operator import GatewayProcess, OperatorProcess
from tests.bed.world import eventually

ATTACKER, HONEST = "127.0.0.66", "127.0.0.1"
MEMORY = 256 << 20
"""Bytes: the limit of the gateway's Pod."""


@pytest.fixture
def gateway(control_plane: ControlPlane, bed_directory: Path) -> Iterator[GatewayProcess]:
    """One for each test, so that its memory is this attack's."""
    control_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "gateway"))
    process = GatewayProcess(control_plane, bed_directory / "limits", name=f"limits-{uuid.uuid4().hex[:6]}")
    yield process
    process.stop()


class Tenant:
    """A namespace with callers, each with a ServiceAccount and a token of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane, self.namespace = plane, f"limits-{uuid.uuid4().hex[:8]}"
        self.path = f"/api/namespaces/{self.namespace}/git-integration"
        plane.kubectl("create", "namespace", self.namespace)

    def caller(self, name: str = "caller") -> str:
        """A new token that works."""
        account = f"--serviceaccount={self.namespace}:{name}"
        if name not in self.plane.kubectl("-n", self.namespace, "get", "sa", "-o", "name"):
            self.plane.kubectl("-n", self.namespace, "create", "serviceaccount", name)
            role = "--clusterrole=gitintegration-api-user"
            self.plane.kubectl("-n", self.namespace, "create", "rolebinding", name, role, account)
        return self.token(name)

    def token(self, name: str = "caller") -> str:
        return self.plane.kubectl("-n", self.namespace, "create", "token", name).strip()


@pytest.fixture
def tenant(control_plane: ControlPlane) -> Tenant:
    return Tenant(control_plane)


def http(gateway: GatewayProcess, token: str = "", source: str = HONEST) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=2000, max_keepalive_connections=2000)
    transport = httpx.AsyncHTTPTransport(local_address=source, limits=limits)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=60, transport=transport)


async def served(gateway: GatewayProcess, tenant: Tenant, token: str, source: str = HONEST) -> float:
    """Seconds of one honest request on a new connection; AssertionError where it is not served."""
    began = time.monotonic()
    async with http(gateway, token, source) as client:
        answer = await client.get(tenant.path)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began


def bounded(gateway: GatewayProcess) -> None:
    """What it has held at most is below its Pod's limit."""
    text = Path(f"/proc/{gateway.pid}/status").read_text()
    held = int(re.findall(r"VmHWM:\s+(\d+)", text)[0]) << 10
    print(f"{held >> 20} MB at most")
    assert held < MEMORY, f"{held >> 20} MB"


def reviews(plane: ControlPlane) -> int:
    """TokenReviews that the API server has answered."""
    text = plane.kubectl("get", "--raw", "/metrics")
    found = re.findall(r'^apiserver_request_total\{.*resource="tokenreviews".*\} (\d+)', text, re.MULTILINE)
    return sum(map(int, found))


@contextlib.asynccontextmanager
async def connections(
    gateway: GatewayProcess, count: int, source: str = ATTACKER
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    made: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        for _ in range(count):
            one = await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=(source, 0))
            made.append(one)
        yield made
    finally:
        for _, writer in made:
            writer.close()


async def said(reader: asyncio.StreamReader, seconds: float = 40) -> bytes:
    """All that comes until the other side ends it."""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(seconds):
            return await reader.read()
    return b""


@pytest.mark.parametrize("source", [ATTACKER, HONEST])
async def test_slow_heads_take_no_place_of_others(gateway: GatewayProcess, tenant: Tenant, source: str) -> None:
    """More connections than there are places, each of which says something now and then."""
    token = tenant.caller()
    await served(gateway, tenant, token)
    head = f"GET {tenant.path} HTTP/1.1\r\nHost: x\r\nX-Long: ".encode() + b"y" * 24_000
    async with connections(gateway, 700, source) as made:
        for _, writer in made:
            writer.write(head)
        for _ in range(3):
            for _, writer in made:
                writer.write(b"y")
            times = [await served(gateway, tenant, token) for _ in range(5)]
            assert max(times) < 5, times
        for reader, _ in (made[0], made[-1]):  # one lost its place, one has its deadline
            answer = await said(reader)
            assert not answer or b" 408 " in answer or b" 503 " in answer, answer
            assert reader.at_eof() or reader.exception()
    bounded(gateway)


async def test_bodies_of_the_unknown_are_not_read(gateway: GatewayProcess, tenant: Tenant) -> None:
    """400 connections, each with a megabyte, without a token and with one that is nobody's."""
    token = tenant.caller()
    await served(gateway, tenant, token)
    for field in (b"", b"Authorization: Bearer nobody\r\n"):
        head = f"POST {tenant.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n".encode() + field + b"\r\n"
        async with connections(gateway, 400) as made:
            for _, writer in made:
                writer.write(head + b"x" * 900_000)
            assert await served(gateway, tenant, token) < 5
            answers = await asyncio.gather(*(said(reader) for reader, _ in made))
            told = [answer for answer in answers if answer]  # others are reset while they still send
            assert all(b" 401 " in answer or b" 503 " in answer for answer in told)
        async with connections(gateway, 1) as ((reader, writer),):
            writer.write(head)  # not one byte of the body, and the answer is there
            answer = await said(reader)
            assert b" 401 " in answer or b" 503 " in answer, answer
    bounded(gateway)


async def test_a_known_caller_fills_no_memory_either(gateway: GatewayProcess, tenant: Tenant) -> None:
    """Slow bodies of one user: he has so many places and so many bytes; another is served."""
    token, other = tenant.caller(), tenant.caller("other")
    head = (
        f"POST {tenant.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    async with connections(gateway, 300) as made:
        for _, writer in made:
            writer.write(head + b"f0000\r\n" + b" " * 0xF0000 + b"\r\n")
        assert await served(gateway, tenant, other) < 5
        answers = await asyncio.gather(*(said(reader) for reader, _ in made))
        codes = [re.findall(rb"HTTP/1.1 (\d+)", answer)[0] for answer in answers if answer]
        assert b"503" in codes  # past his share
        assert b"408" in codes  # within it, and too slow
        assert set(codes) == {b"503", b"408"}
    bounded(gateway)


async def test_answers_that_nobody_takes(gateway: GatewayProcess, tenant: Tenant) -> None:
    token = tenant.caller()
    await served(gateway, tenant, token)
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 500
    async with connections(gateway, 400) as made:
        for _, writer in made:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(asked)
        assert await served(gateway, tenant, token) < 10
    bounded(gateway)


async def test_guessing_tokens_does_not_reach_the_api_server(
    gateway: GatewayProcess, tenant: Tenant, control_plane: ControlPlane
) -> None:
    known = tenant.caller()
    await served(gateway, tenant, known, ATTACKER)
    before, began = reviews(control_plane), time.monotonic()
    codes: list[int] = []
    async with http(gateway, source=ATTACKER) as client:

        async def guess() -> None:
            for _ in range(50):
                headers = {"Authorization": f"Bearer {secrets.token_hex(20)}"}
                answer = await client.get(tenant.path, headers=headers)
                codes.append(answer.status_code)
                if answer.status_code == 503:
                    assert int(answer.headers["Retry-After"]) >= 1
                    assert answer.json()["error"]["code"] == "busy"

        await asyncio.gather(*(guess() for _ in range(40)))
        assert await served(gateway, tenant, known, ATTACKER) < 5  # whoever was known stays so
        assert await served(gateway, tenant, tenant.token()) < 5  # a newcomer, from elsewhere
    asked, seconds = reviews(control_plane) - before, time.monotonic() - began
    assert len(codes) == 2000
    assert codes.count(401) >= 10
    assert codes.count(401) + codes.count(503) == 2000
    assert asked <= 10 + 32 + 5 * seconds + 10, (asked, seconds)


async def test_a_token_is_asked_for_once_in_seconds(
    gateway: GatewayProcess, tenant: Tenant, control_plane: ControlPlane
) -> None:
    token, before = tenant.caller(), reviews(control_plane)
    async with http(gateway, token) as client:
        answers = await asyncio.gather(*(client.get(tenant.path) for _ in range(12)))
        assert {a.status_code for a in answers} == {200}
        for _ in range(30):
            assert (await client.get(tenant.path)).status_code == 200
    assert reviews(control_plane) - before < 10
    assert token not in gateway.log()


async def test_one_user_waits_behind_himself(
    gateway: GatewayProcess, tenant: Tenant, operator: OperatorProcess, git_server: GitServer
) -> None:
    """As many requests as he has places wait for a repository that says nothing."""
    token, other = tenant.caller(), tenant.caller("other")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        body = {"repository_url": f"http://127.0.0.1:{silent.getsockname()[1]}/r.git"}
        async with http(gateway, token) as client:
            waiting = [asyncio.create_task(client.post(tenant.path + "/test", json=body)) for _ in range(16)]

            async def all_wait() -> bool:
                names = tenant.plane.kubectl("-n", tenant.namespace, "get", "gitop", "-o", "name")
                return len(names.split()) == 16

            async with asyncio.timeout(20):
                while not await all_wait():
                    await asyncio.sleep(0.1)
            answer = await client.get(tenant.path)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "1"
            assert "16 requests under way" in answer.json()["error"]["message"]
            assert await served(gateway, tenant, other) < 5
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.to_thread(eventually, lambda: httpx.get(
            gateway.url + tenant.path, headers={"Authorization": f"Bearer {token}"}, trust_env=False
        ).status_code == 200)  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000, 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000, 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", 200),
        (b"POST /api/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", 401),
        (b"POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
        (b"POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 401),
        (b"GET /api/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"z" * 17_000 + b"\r\n\r\n", 401),
    ],
)
async def test_whatever_comes_is_answered_and_ended(gateway: GatewayProcess, raw: bytes, status: int) -> None:
    async with connections(gateway, 1) as made:
        reader, writer = made[0]
        writer.write(raw)
        answer = await said(reader)
        assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
        assert b"zzzz" not in answer
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert status == 200 or body["error"].keys() == {"code", "message", "fields"}
    assert gateway.is_alive
    assert "Traceback" not in gateway.log()
