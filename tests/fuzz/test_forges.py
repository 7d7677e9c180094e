"""Forges that answer anything: a pull request, a token, or an error of ours."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.api.integration import Provider
from gitintegration.errors import GitIntegrationError
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.dialects import Draft
from gitintegration.forge.github_app import AppTokens, GitHubApp
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import ForgeTarget
from gitintegration.git.remote import Bearer, Tls
from tests.fuzz.budget import fuzzed

KEY = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
NAMES = st.sampled_from(
    [
        "number",
        "iid",
        "id",
        "pullRequestId",
        "html_url",
        "web_url",
        "state",
        "status",
        "merged_at",
        "head",
        "base",
        "ref",
        "value",
        "values",
        "links",
        "html",
        "href",
        "source_branch",
        "target_branch",
        "permissions",
        "push",
        "token",
        "expires_at",
        "message",
        "errors",
        "error",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=9),
    st.sampled_from(
        ["open", "active", "OPEN", "opened", "head", "base", "https://h/1", "javascript:x", "2030-01-01T00:00:00Z"]
    ),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=12,
)
BODIES = st.one_of(st.binary(max_size=30), JSON.map(lambda value: json.dumps(value).encode()))
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "X-RateLimit-Reset", "X-RateLimit-Remaining", "Location", "Content-Encoding"]),
    st.one_of(
        st.sampled_from(
            [
                "0",
                "1",
                "²",
                "9" * 400,
                "gzip",
                "https://x/signin",
                "https:0",
                "https://xn--0/",
                "Tue, 99 Foo 9999 00:00:00 GMT",
                "//[",
            ]
        ),
        st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=9),
    ),
)
ANSWERS = st.tuples(
    st.sampled_from([200, 201, 203, 204, 300, 301, 304, 400, 401, 403, 404, 409, 422, 429, 500, 503]),
    HEADERS,
    st.sampled_from(["application/json", "text/html", ""]),
    BODIES,
)


@fuzzed
@given(st.lists(ANSWERS, min_size=1, max_size=3), st.sampled_from([p for p in Provider if p is not Provider.generic]))
def test_any_answer(answers: list[Any], provider: Provider) -> None:
    asyncio.run(ask(answers, provider))


class Answering(httpx.AsyncBaseTransport):
    """Gives the answers that stand in turn."""

    def __init__(self) -> None:
        self.answers: Iterator[Any] = iter(())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        status, headers, kind, body = next(self.answers)
        encoded = [
            (name.encode(), value.encode("latin-1")) for name, value in headers.items() if name != "Content-Encoding"
        ]
        return httpx.Response(status, headers=[*encoded, (b"Content-Type", kind.encode())], content=body)


SERVER = Answering()
HTTP = ForgeHttp(SERVER)
"""One for all examples: a TLS context of its own for each takes longer than all else."""


async def ask(answers: list[Any], provider: Provider) -> None:
    SERVER.answers = itertools.cycle(answers)
    target = ForgeTarget(provider, "https://h/api", "o", "https://h/o/r", Bearer("t"))
    forges = Forges(HTTP)
    for work in (
        lambda: forges.ensure(target, "head", "base", Draft("t", "b", labels=("x",))),
        lambda: forges.find(target, "head", "base"),
        lambda: forges.get(target, 1),
        lambda: forges.may_push(target),
        lambda: AppTokens(HTTP).token(GitHubApp("1", "2", KEY), Tls(), None),
    ):
        try:
            found: Any = await work()
        except GitIntegrationError as error:
            assert len(error.message) < 1500
        else:
            json.dumps(found.to_status() if hasattr(found, "to_status") else found, allow_nan=False)
