"""What stands before every endpoint: who asks, a place for the request, its body within bounds, and deadlines for all of it.

A body is read once its sender is known. Nothing that anybody sends without a token costs more than its own headers.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from gitintegration.errors import ClusterError
from gitintegration.gateway.callers import Busy, Callers, User, client_of
from gitintegration.gateway.connections import PLACE, Connection

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CALLER = "gitintegration.caller"
"""Extension of a request's scope: the Asking that it is."""
_TOKEN = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]{1,16384}) *")
_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""Strings of a JSON text; possessive, so that it takes one pass over whatever it is given."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of requests. Sizes in bytes, times in seconds."""

    requests: int = 128
    """Requests of known callers at a time."""
    requests_of_one: int = 16
    """The same of one user."""
    body: int = 1 << 20
    bodies: int = 16 << 20
    """All bodies that are held at a time."""
    bodies_of_one: int = 4 << 20
    """The same of one user."""
    body_time: float = 20.0
    whole_time: float = 75.0
    """From a request's head to the last byte of its answer."""
    target: int = 8 << 10
    """Path and query."""
    parameters: int = 32
    values: int = 11_000
    """What a body's lists and objects hold, in all."""
    blocks: int = 16
    """Lists and objects of a body, and so its depth."""
    linger: float = 1.0
    """How long what was sent in vain is taken, so that the sender gets to read why."""


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fields = status, code, message, fields or []
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, with which token. `gone` is set once nobody waits for the answer any more."""

    user: User
    token: str
    gone: asyncio.Event


def busy(message: str, seconds: int = 1) -> Refusal:
    """503: come again."""
    return Refusal(503, "busy", message, headers={"Retry-After": str(seconds)})


class Gate:
    """An ASGI application around another. `answer` tells a Refusal or a ClusterError as the application does."""

    def __init__(
        self,
        app: App,
        callers: Callable[[], Callers],
        answer: Callable[[Exception], App],
        limits: Limits = Limits(),
    ) -> None:
        self._app, self._callers, self._answer, self._limits = app, callers, answer, limits
        self._requests: Counter[str] = Counter()
        self._bodies: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, started = Body(receive, scope["headers"]), False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        error: Exception
        try:
            async with asyncio.timeout(self._limits.whole_time):
                await self._admitted(scope, body, sending)
            return
        except (Refusal, ClusterError) as refused:
            error = refused
        except TimeoutError:
            error = Refusal(504, "timeout", f"no answer within {self._limits.whole_time:g} s")
        if not started:
            await self._refuse(error, scope, body, send)
        elif (connection := _connection(scope)) is not None:
            connection.transport.abort()

    async def _admitted(self, scope: Scope, body: Body, send: Send) -> None:
        self._check_target(scope)
        if not scope["path"].startswith("/api/"):
            await self._app(scope, _bodiless(), _last(send))
            return
        token = token_of(scope["headers"])
        user = await self._user(token, client_of((scope.get("client") or ("",))[0]))
        if user is None:
            raise Refusal(401, "unauthorized", "the API server does not know this token")
        async with self._place(str(user.get("username", "")), scope):
            await self._served(scope, body, send, Asking(user, token, asyncio.Event()))

    async def _user(self, token: str, client: str) -> User | None:
        try:
            return await self._callers().user(token, client)
        except Busy as error:
            raise busy(error.message, error.seconds) from None

    @contextlib.asynccontextmanager
    async def _place(self, name: str, scope: Scope) -> AsyncIterator[None]:
        """One of the places for requests, of which one user has some only."""
        if self._requests[name] >= self._limits.requests_of_one:
            raise busy(f"{name} has {self._limits.requests_of_one} requests under way; wait for one of them")
        if self._requests.total() >= self._limits.requests:
            raise busy("too many requests are under way; try again")
        connection = _connection(scope)
        self._requests[name] += 1
        if connection is not None:
            connection.safe = True
        try:
            yield
        finally:
            self._requests[name] -= 1
            if not self._requests[name]:
                del self._requests[name]
            if connection is not None:
                connection.safe = False

    async def _served(self, scope: Scope, body: Body, send: Send, asking: Asking) -> None:
        name = str(asking.user.get("username", ""))
        async with self._held(body, name, scope["headers"]) as held:
            if held:
                _check_type(scope["headers"])
            whole = iter([{"type": "http.request", "body": bytes(held), "more_body": False}])
            check_shape(held, self._limits)

            async def replay() -> Message:
                if (message := next(whole, None)) is not None:
                    return message
                await asking.gone.wait()
                return {"type": "http.disconnect"}

            watching = asyncio.get_running_loop().create_task(body.left(asking.gone))
            try:
                extensions = {**(scope.get("extensions") or {}), CALLER: asking}
                await self._app({**scope, "extensions": extensions}, replay, send)
            finally:
                watching.cancel()

    @contextlib.asynccontextmanager
    async def _held(self, body: Body, name: str, headers: Iterable[tuple[bytes, bytes]]) -> AsyncIterator[bytearray]:
        """All of the body, counted as this sender's for as long as it is held. Raises Refusal."""
        held = bytearray()
        try:
            _check_encoding(headers)
            await self._read(body, held, name)
            yield held
        finally:
            self._bodies[name] -= len(held)
            if not self._bodies[name]:
                del self._bodies[name]

    async def _read(self, body: Body, held: bytearray, name: str) -> None:
        """All of the body, into `held`. Raises Refusal where it is too much, or too slow."""
        limits = self._limits
        if body.told > limits.body:
            raise _too_large(limits)
        try:
            async with asyncio.timeout(limits.body_time):
                while (chunk := await body.chunk()) is not None:
                    held += chunk
                    self._bodies[name] += len(chunk)
                    if len(held) > limits.body:
                        raise _too_large(limits)
                    if self._bodies.total() > limits.bodies or self._bodies[name] > limits.bodies_of_one:
                        raise busy("too many bodies are held; try again")
        except TimeoutError:
            raise Refusal(408, "timeout", f"the body was not complete within {limits.body_time:g} s") from None

    def _check_target(self, scope: Scope) -> None:
        query: bytes = scope["query_string"]
        if len(scope.get("raw_path") or b"") + len(query) > self._limits.target:
            raise Refusal(414, "uri_too_long", f"path and query may have {self._limits.target} bytes")
        if query.count(b"&") >= self._limits.parameters:
            raise _wrong("query", f"may have {self._limits.parameters} parameters")

    async def _refuse(self, error: Exception, scope: Scope, body: Body, send: Send) -> None:
        """The answer, after which the connection ends; what is still coming is taken for a moment, and dropped."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._answer(error)(scope, _bodiless(), keep)
        await _last(send)(messages[0])
        for message in messages[1:]:
            await send({**message, "more_body": True})
        with contextlib.suppress(TimeoutError, Refusal):
            async with asyncio.timeout(self._limits.linger):
                while await body.chunk() is not None:
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Heads:
    """An ASGI application around another: HEAD is GET, whose body the server leaves away."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["method"] == "HEAD"
        await self._app({**scope, "method": "GET"} if asked else scope, receive, send)


class Body:
    """What follows a request's head. `told`: its size in bytes where the head says so."""

    def __init__(self, receive: Receive, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._receive = receive
        given = dict(headers)
        length = given.get(b"content-length", b"0")
        self.told = int(length) if length.isdigit() and len(length) < 20 else 0
        self._more = self.told > 0 or b"transfer-encoding" in given

    async def chunk(self) -> bytes | None:
        """The next of it; None at its end. Raises Refusal where the sender is gone."""
        if not self._more:
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "bad_request", "the connection ended within the body")
        self._more = message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def left(self, gone: asyncio.Event) -> None:
        """Tells when nobody waits for the answer any more."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        gone.set()


def token_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The bearer token. Raises Refusal where there is none, or more than one."""
    given = [value for name, value in headers if name == b"authorization"]
    match = _TOKEN.fullmatch(given[0]) if len(given) == 1 else None
    if match is None:
        raise Refusal(401, "unauthorized", "send a Kubernetes token: Authorization: Bearer ...")
    return match[1].decode("ascii")


def check_shape(body: bytes | bytearray, limits: Limits) -> None:
    """Before it is parsed: how many lists, objects and values a JSON text holds at most. Raises Refusal."""
    bare = _TEXTS.sub(b"", body)
    if bare.count(b"[") + bare.count(b"{") > limits.blocks:
        raise _wrong("body", f"may hold {limits.blocks} lists and objects")
    if bare.count(b",") >= limits.values:
        raise _wrong("body", f"may hold {limits.values} values")


def _check_encoding(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Nothing is unfolded here, so that no body is larger than it was sent. Raises Refusal."""
    given = [value.strip().lower() for name, value in headers if name == b"content-encoding"]
    if any(value not in (b"", b"identity") for value in given):
        words = "send the body as it is: a Content-Encoding is not taken"
        raise Refusal(415, "unsupported_media_type", words, headers={"Accept-Encoding": "identity"})


def _check_type(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """A body is JSON; one without a type is taken for it. Raises Refusal."""
    given = [value.partition(b";")[0].strip().lower() for name, value in headers if name == b"content-type"]
    if any(not re.fullmatch(rb"application/([a-z0-9.+-]+\+)?json", value) for value in given):
        words = "send JSON, with Content-Type: application/json"
        raise Refusal(415, "unsupported_media_type", words, headers={"Accept": "application/json"})


def _wrong(field: str, words: str) -> Refusal:
    return Refusal(422, "invalid", f"{field}: {words}", [{"field": field, "message": words}])


def _too_large(limits: Limits) -> Refusal:
    return Refusal(413, "too_large", f"a body may have {limits.body} bytes")


def _connection(scope: Scope) -> Connection | None:
    found: Connection | None = (scope.get("extensions") or {}).get(PLACE)
    return found


def _bodiless() -> Receive:
    """The body of whoever is not asked who he is: nothing, and after it silence, for whoever listens for more."""
    whole = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        if (message := next(whole, None)) is not None:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def _last(send: Send) -> Send:
    """The connection ends with this answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return sending
