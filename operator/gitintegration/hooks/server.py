"""The receiver on its port: bounds before anything is looked up, then one delivery."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

import orjson
import uvicorn

from gitintegration.core.hooks import PREFIX
from gitintegration.gateway.callers import client_of
from gitintegration.gateway.gate import Body, Gate, Limits, Message, Receive, Refusal, Scope, Send
from gitintegration.gateway.server import configured
from gitintegration.hooks.receiver import Answer, Receiver

LIMITS = Limits(
    body=3 << 20,
    bodies=32 << 20,
    bodies_of_one=24 << 20,
    body_time=30.0,
    whole_time=45.0,
    target=1 << 10,
    parameters=1,
)
_HEADERS = 64
_PATH = len(PREFIX) + 64


class HookGate(Gate):
    """An ASGI application. What comes in vain is refused as the REST API refuses it."""

    def __init__(self, receiver: Receiver, limits: Limits = LIMITS) -> None:
        super().__init__(_nothing, _nobody, _refusal, limits)
        self._receiver = receiver

    async def _admitted(self, scope: Scope, body: Body, send: Send) -> None:
        try:
            answer = await self._answered(scope, body)
        except Refusal as refused:
            if refused.status in (408, 413, 415, 405, 414, 400):
                self._receiver.count("bounds")
            raise
        await _tell(send, answer)

    async def _answered(self, scope: Scope, body: Body) -> Answer:
        self._check_target(scope)
        if scope["method"] != "POST":
            raise Refusal(405, "method_not_allowed", "deliveries come by POST", headers={"Allow": "POST"})
        client = client_of((scope.get("client") or ("",))[0])
        async with self._held(body, client, scope["headers"]) as held:
            return await self._receiver.deliver(scope["path"][: _PATH + 1], _headers(scope), held)


def _headers(scope: Scope) -> dict[str, str]:
    """By name in lower case. Raises Refusal where one is there twice that may come once: whose word would count?"""
    found: dict[str, str] = {}
    for name, value in scope["headers"][:_HEADERS]:
        key = name.decode("latin-1")
        if key in found and key.startswith(_ONCE) and key not in _MANY:
            raise Refusal(400, "bad_request", "a header is there twice")
        found[key] = value.decode("latin-1")
    if len(scope["headers"]) > _HEADERS:
        raise Refusal(400, "bad_request", f"a delivery may have {_HEADERS} headers")
    return found


_ONCE = ("x-", "webhook-", "authorization", "content-type")
_MANY = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip")


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise Refusal(404, "not_found", "nothing is here")


def _nobody() -> Any:
    raise Refusal(404, "not_found", "nobody is known here")


def _refusal(error: Exception) -> Any:
    """What a refusal says, as an application."""
    refused = error if isinstance(error, Refusal) else Refusal(503, "busy", "try again")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        said = {"error": {"code": refused.code, "message": refused.message, "fields": []}}
        await _tell(send, Answer(refused.status, said), refused.headers)

    return app


async def _tell(send: Send, answer: Answer, headers: dict[str, str] | None = None) -> None:
    body = orjson.dumps(answer.body)
    told = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    told += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": told}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def serve(receiver: Receiver, host: str, port: int, *, debug: bool, proxies: Sequence[str]) -> None:
    """Until SIGTERM. Raises SpecError for a proxy that is none."""
    config = configured(HookGate(receiver), host, port, debug=debug, proxies=proxies)
    config.lifespan = "off"
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn takes them, and sends them again once it has ended
        signal.signal(number, lambda *_: None)
    await uvicorn.Server(config).serve()
