"""The gate, before an application that only answers; senders and API server are the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse

from gitintegration.errors import ClusterUnavailable
from gitintegration.gateway.callers import Callers, User
from gitintegration.gateway.gate import CALLER, Gate, Limits, Message, Receive, Refusal, Scope, Send, check_shape

LIMITS = Limits(requests=3, requests_of_one=2, body=100, bodies=150, bodies_of_one=120, body_time=0.05, linger=0.01)


class Sender:
    """A connection: what is sent on it, and what was answered. A body of None never ends."""

    def __init__(self, *chunks: bytes | None, token: str | None = "ann", path: str = "/api/x", **headers: str) -> None:
        self._chunks, self.taken = list(chunks), 0
        self.answer: list[Message] = []
        self.left = asyncio.Event()
        given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        if token is not None:
            given.append((b"authorization", f"Bearer {token}".encode()))
        if chunks and "content_length" not in headers:
            given.append((b"transfer-encoding", b"chunked"))
        self.scope: Scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": given, "client": ("192.0.2.1", 1),
        }  # fmt: skip

    async def receive(self) -> Message:
        if self._chunks and self._chunks[0] is not None:
            self.taken += 1
            body = self._chunks.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self._chunks)}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.answer.append(message)

    @property
    def status(self) -> int:
        return int(self.answer[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.answer[0]["headers"])

    @property
    def text(self) -> bytes:
        assert not self.answer[-1].get("more_body")
        return b"".join(message.get("body", b"") for message in self.answer[1:])


class Bed:
    def __init__(self, limits: Limits = LIMITS) -> None:
        self.gate = Gate(self.app, lambda: self.callers, self.tell, limits)
        self.callers = Callers(self.review)
        self.served: list[bytes] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.gone = 0

    async def review(self, token: str) -> User | None:
        if token == "away":
            raise ClusterUnavailable("away")
        return {"username": token} if token in ("ann", "bob", "cy") else None

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        self.served.append(message["body"])
        asking = (scope.get("extensions") or {}).get(CALLER)
        waits = [asyncio.ensure_future(self.hold.wait())]
        if asking:
            waits.append(asyncio.ensure_future(asking.gone.wait()))
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        self.gone += bool(asking and asking.gone.is_set())
        for wait in waits:
            wait.cancel()
        await PlainTextResponse("served")(scope, receive, send)

    def tell(self, error: Exception) -> Any:
        status = error.status if isinstance(error, Refusal) else 503
        return JSONResponse({"error": str(error)}, status, headers=getattr(error, "headers", None))

    async def serves(self, count: int) -> None:
        """Returns once so many requests were handed on."""
        async with asyncio.timeout(10):
            while len(self.served) < count:
                await asyncio.sleep(0)

    async def __call__(self, sender: Sender) -> Sender:
        await self.gate(sender.scope, sender.receive, sender.send)
        return sender


@pytest.fixture
async def bed() -> AsyncIterator[Bed]:
    made = Bed()
    yield made
    assert not made.gate._requests
    assert not made.gate._bodies


async def test_a_known_caller_is_served_with_his_body(bed: Bed) -> None:
    done = await bed(Sender(b"one ", b"two"))
    assert (done.status, done.text) == (200, b"served")
    assert bed.served == [b"one two"]
    assert b"connection" not in done.headers


@pytest.mark.parametrize("token", [None, "nobody", "", "a b", "x" * 16385, "away", "ann\n", "\x80"])
async def test_no_byte_of_an_unknown_body_is_read_before_the_answer(bed: Bed, token: str | None) -> None:
    sender = Sender(b"x" * 10, None, token=token)
    told: list[int] = []

    async def send(message: Message) -> None:
        told.append(sender.taken)
        await Sender.send(sender, message)

    await bed.gate(sender.scope, sender.receive, send)
    assert sender.status == (503 if token == "away" else 401)
    assert told[:2] == [0, 0]  # head and text of the answer
    assert sender.headers[b"connection"] == b"close"
    assert bed.served == []


async def test_two_tokens_are_none(bed: Bed) -> None:
    assert (await bed(Sender(authorization="Bearer bob"))).status == 401


@pytest.mark.parametrize("chunks", [(b"x" * 101,), (b"x" * 60, b"x" * 60, None)])
async def test_a_body_is_bounded(bed: Bed, chunks: tuple[bytes, ...]) -> None:
    assert (await bed(Sender(*chunks))).status == 413
    assert bed.served == []


async def test_a_size_that_is_told_is_believed(bed: Bed) -> None:
    sender = Sender(b"x", content_length="101")
    assert (await bed(sender)).status == 413


async def test_a_slow_body_has_a_deadline(bed: Bed) -> None:
    assert (await bed(Sender(b"x", None))).status == 408


async def test_a_body_that_breaks_off_is_not_served(bed: Bed) -> None:
    sender = Sender(b"x", None)
    sender.left.set()
    assert (await bed(sender)).status == 400
    assert bed.served == []


async def test_bodies_are_bounded_in_all_and_by_user() -> None:
    bed = Bed(Limits(requests_of_one=9, requests=9, body=100, bodies=150, bodies_of_one=120))
    bed.hold.clear()
    held = [asyncio.create_task(bed(Sender(b"x" * 80)))]
    await bed.serves(1)
    assert (await bed(Sender(b"x" * 41))).status == 503
    assert (await bed(Sender(b"x" * 71, token="bob"))).status == 503
    held.append(asyncio.create_task(bed(Sender(b"x" * 70, token="bob"))))
    await bed.serves(2)
    bed.hold.set()
    assert [done.status for done in await asyncio.gather(*held)] == [200, 200]
    assert not bed.gate._bodies


async def test_requests_are_bounded_in_all_and_by_user(bed: Bed) -> None:
    bed.hold.clear()
    held = [asyncio.create_task(bed(Sender())) for _ in range(2)]
    await bed.serves(2)
    third = await bed(Sender())
    assert (third.status, third.headers[b"retry-after"]) == (503, b"1")
    held.append(asyncio.create_task(bed(Sender(token="bob"))))
    await bed.serves(3)
    assert (await bed(Sender(token="cy"))).status == 503
    bed.hold.set()
    assert [done.status for done in await asyncio.gather(*held)] == [200] * 3


async def test_what_takes_too_long_is_told() -> None:
    bed = Bed(Limits(whole_time=0.05))
    bed.hold.clear()
    assert (await bed(Sender())).status == 504


async def test_whoever_serves_learns_that_nobody_waits(bed: Bed) -> None:
    bed.hold.clear()
    sender = Sender()
    asking = asyncio.create_task(bed(sender))
    await bed.serves(1)
    sender.left.set()
    await asking
    assert bed.gone == 1


async def test_a_path_for_everybody_gets_no_body(bed: Bed) -> None:
    sender = await bed(Sender(b"x", None, token=None, path="/healthz"))
    assert (sender.status, sender.taken, bed.served) == (200, 0, [b""])
    assert sender.headers[b"connection"] == b"close"


@pytest.mark.parametrize(
    ("query", "raw", "status"),
    [(b"x" * 9000, b"/", 414), (b"", b"/" + b"x" * 9000, 414), (b"&" * 40, b"/", 422)],
)
async def test_a_target_is_bounded(bed: Bed, query: bytes, raw: bytes, status: int) -> None:
    sender = Sender()
    sender.scope.update(query_string=query, raw_path=raw)
    assert (await bed(sender)).status == status


Nested = st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def _count(value: Any) -> tuple[int, int]:
    """Blocks and values of a JSON value."""
    if not isinstance(value, (list, dict)):
        return 0, 0
    inner = list(value.values()) if isinstance(value, dict) else value
    parts = [_count(one) for one in inner]
    return 1 + sum(b for b, _ in parts), max(0, len(inner) - 1) + sum(v for _, v in parts)


@settings(max_examples=50, deadline=None)
@given(Nested, st.booleans())
def test_shape_counts_what_is_no_text(value: Any, plain: bool) -> None:
    blocks, commas = _count(value)
    body = json.dumps(value, ensure_ascii=plain).encode()
    check_shape(body, Limits(blocks=max(blocks, 1), values=commas + 1))
    for limits in (Limits(blocks=blocks - 1), Limits(blocks=10**6, values=commas)):
        if blocks and (limits.blocks < blocks or commas >= limits.values):
            with pytest.raises(Refusal):
                check_shape(body, limits)


@pytest.mark.parametrize(
    "body",
    [b'"' * 1_000_000, b"\\" * 1_000_000, b'"\\' * 500_000, b'\\"' * 500_000, b'"' + b"\\" * 999_999, b'"a' * 500_000],
)
def test_shape_is_found_in_one_pass(body: bytes) -> None:
    check_shape(body, Limits())  # a pass that went back would take hours


async def test_a_page_that_is_streamed_to_the_unknown_ends(bed: Bed) -> None:
    """Its sender listens for a disconnect beside, which must not keep it from sending."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(pieces())(scope, receive, send)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield b"x"

    sender = Sender(token=None, path="/docs")
    async with asyncio.timeout(10):
        await Gate(page, lambda: bed.callers, bed.tell, LIMITS)(sender.scope, sender.receive, sender.send)
    assert sender.text == b"xxx"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"content_type": "application/json"}, 200),
        ({"content_type": "Application/JSON; charset=utf-8"}, 200),
        ({"content_type": "application/merge-patch+json"}, 200),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": ""}, 415),
        ({"content_type": "application/jsonx"}, 415),
        ({"content_encoding": "identity"}, 200),
        ({"content_encoding": "gzip"}, 415),
    ],
)
async def test_a_body_is_json_as_it_is(bed: Bed, headers: dict[str, str], status: int) -> None:
    sender = await bed(Sender(b"{}", **headers))
    assert sender.status == status
    assert len(bed.served) == (status == 200)
