"""What is asked of GitHub, and what is understood of its answers, held against GitHub's own description of its API."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from functools import cache
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from gitintegration.api.integration import Provider
from gitintegration.core.checks.findings import CheckState, Verdict
from gitintegration.forge.checks import PullRequestForge, Status
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.dialects import Draft
from gitintegration.forge.github_app import AppTokens, GitHubApp
from gitintegration.forge.hooks import Hooks, WantedHook
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import target_of
from gitintegration.git.remote import Basic, Remote, Tls
from gitintegration.git.url import parse_url
from tests.bed.openapi import github

TARGET = target_of(Provider.github, Remote(parse_url("https://github.com/octocat/Hello-World"), Basic("git", "t")), "t")


@cache
def description() -> OpenAPI:
    return OpenAPI.from_dict(github())


def example(name: str) -> Any:
    return copy.deepcopy(github()["components"]["examples"][name]["value"])


class GitHub:
    """Answers with the description's own examples; each request, and each answer, must be as it says."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.open: list[dict[str, Any]] = []
        self.hooks: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = MockRequest(
            "https://api.github.com",
            request.method.lower(),
            request.url.path,
            args=dict(request.url.params),
            headers={"Accept": "application/json"},
            data=request.content or None,
            content_type="application/json",
        )
        description().validate_request(asked)
        status, body = self._answer(request)
        text = json.dumps(body).encode() if body is not None else b""
        answer = MockResponse(text, status_code=status, content_type="application/json")
        description().validate_response(asked, answer)
        self.seen.append(f"{request.method} {re.sub(r'[0-9]+', 'N', request.url.path)}")
        return httpx.Response(status, content=text, headers={"Content-Type": "application/json"})

    def _answer(self, request: httpx.Request) -> tuple[int, Any]:
        path = request.url.path
        if path.endswith("/access_tokens"):
            return 201, example("installation-token")
        if path.endswith("/labels"):
            return 200, example("label-items")
        if "/statuses/" in path:
            return 201, {**example("status"), **json.loads(request.content)}
        if "/comments" in path:
            return self._comments(request)
        if "/hooks" in path:
            return self._hooks(request)
        if request.method == "GET" and path.endswith("/pulls"):
            return 200, self.open
        pull = example("pull-request")
        pull["requested_teams"] = []  # in the example these lack a field that the schema asks for
        if request.method == "POST":
            made = json.loads(request.content)
            simple = example("pull-request-simple-items")[0]
            simple["requested_teams"] = []
            simple["head"]["ref"], simple["base"]["ref"], simple["number"] = made["head"], made["base"], pull["number"]
            self.open = [simple]
            return 201, pull
        return 200, pull

    def _comments(self, request: httpx.Request) -> tuple[int, Any]:
        if request.method == "GET":
            return 200, self.comments
        made = {**example("issue-comment"), "body": json.loads(request.content)["body"]}
        self.comments = [made]
        return (201 if request.method == "POST" else 200), made

    def _hooks(self, request: httpx.Request) -> tuple[int, Any]:
        match request.method:
            case "GET":
                return 200, self.hooks
            case "DELETE":
                return 204, None
        made = example("hook")
        made["config"]["url"] = json.loads(request.content)["config"]["url"]
        self.hooks = [made]
        return 201 if request.method == "POST" else 200, made


def test_hooks_are_asked_for_as_described() -> None:
    server = GitHub()

    async def act() -> None:
        hooks, wanted = (
            Hooks(Forges(ForgeHttp(httpx.MockTransport(server)))),
            WantedHook("https://h.example.com/hooks/a", "t"),
        )
        known = await hooks.ensure(TARGET, wanted)
        assert await hooks.ensure(TARGET, wanted) == known == "12345678"
        await hooks.remove(TARGET, known)

    asyncio.run(act())
    listed, one = "/repos/octocat/Hello-World/hooks", "/repos/octocat/Hello-World/hooks/N"
    assert server.seen == [f"GET {listed}", f"POST {listed}", f"GET {listed}", f"PATCH {one}", f"DELETE {one}"]


def test_pull_requests_are_asked_for_as_described() -> None:
    server = GitHub()

    async def act() -> None:
        http = ForgeHttp(httpx.MockTransport(server))
        forges = Forges(http)
        draft = Draft("Amazing new feature", "Please pull these", draft=True, labels=("etl", "crm"))
        first = await forges.ensure(TARGET, "new-topic", "master", draft)
        again = await forges.ensure(TARGET, "new-topic", "master", draft)
        assert (first.number, first.url) == (again.number, again.url)
        assert first.number == 1347
        assert (await forges.get(TARGET, first.number)).number == first.number

    asyncio.run(act())
    assert server.seen == [
        "GET /repos/octocat/Hello-World/pulls",
        "POST /repos/octocat/Hello-World/pulls",
        "POST /repos/octocat/Hello-World/issues/N/labels",
        "GET /repos/octocat/Hello-World/pulls",
        "PATCH /repos/octocat/Hello-World/pulls/N",
        "POST /repos/octocat/Hello-World/issues/N/labels",
        "GET /repos/octocat/Hello-World/pulls/N",
    ]


def test_checks_are_asked_for_as_described() -> None:
    server = GitHub()
    simple = example("pull-request-simple-items")[0]
    simple["requested_teams"] = []
    server.open = [simple]

    async def act() -> None:
        http = ForgeHttp(httpx.MockTransport(server))
        forge = PullRequestForge(Forges(http))
        (found,) = await forge.open(TARGET, "master")
        assert (found.number, found.commit, found.fork) == (simple["number"], simple["head"]["sha"], False)
        status = Status("gitintegration/data/analytics", Verdict(CheckState.failure, "1 conflict"), found.url)
        await forge.tell(TARGET, found.number, found.commit, status)
        known = await forge.comment(TARGET, found.number, "first MARK", "MARK")
        assert await forge.comment(TARGET, found.number, "second MARK", "MARK") == known
        assert await forge.comment(TARGET, found.number, "third MARK", "MARK", known) == known
        assert (await forge.fate(TARGET, found.number)).state in ("open", "merged", "closed")

    asyncio.run(act())
    repo = "/repos/octocat/Hello-World"
    assert [call for call in server.seen if not call.startswith("GET")] == [
        next(call for call in server.seen if "/statuses/" in call),
        f"POST {repo}/issues/N/comments",
        f"PATCH {repo}/issues/comments/N",
        f"PATCH {repo}/issues/comments/N",
    ]
    assert server.comments[0]["body"] == "third MARK"


def test_an_apps_token_is_asked_for_as_described() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    server = GitHub()

    async def act() -> str:
        http = ForgeHttp(httpx.MockTransport(server))
        return await AppTokens(http).token(GitHubApp("1", "1", pem), Tls(), None)

    assert asyncio.run(act()) == example("installation-token")["token"]
    assert server.seen == ["POST /app/installations/N/access_tokens"]


def test_the_description_does_refuse() -> None:
    """The check can fail: a pull request without a base is refused by it."""
    body = json.dumps({"title": "T", "head": "x"}).encode()
    wrong = MockRequest(
        "https://api.github.com", "post", "/repos/o/r/pulls", data=body, content_type="application/json"
    )
    with pytest.raises(Exception, match=r"(?i)body|base|valid"):
        description().validate_request(wrong)
