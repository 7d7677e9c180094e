"""Pull requests on five forges, at the transport: the calls as they are documented, and answers in their shapes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gitintegration.api.integration import Provider
from gitintegration.core.plan.plan import PlannedChange
from gitintegration.core.plan.pull_request import pull_request_text
from gitintegration.core.values import ObjectKey
from gitintegration.errors import CredentialError, GitIntegrationError, RemoteUnavailable, SpecError
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.dialects import Draft, PullRequest
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import ForgeTarget, target_of
from gitintegration.git.remote import Anonymous, Basic, Bearer, Remote
from gitintegration.git.url import parse_url

HEAD, BASE = "feature/x", "main"


class Fake:
    """A forge that keeps one repository's pull requests, in the shape that `tell` gives them."""

    def __init__(self, tell: Callable[[int, dict[str, Any]], dict[str, Any]], wrap: str = "") -> None:
        self.tell, self.wrap = tell, wrap
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self.made: dict[int, dict[str, Any]] = {}
        self.answers: list[httpx.Response] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body: dict[str, Any] = json.loads(request.content) if request.content else {}
        self.calls.append((request.method, request.url.path, dict(request.url.params), body))
        if self.answers:
            return self.answers.pop(0)
        last = request.url.path.rsplit("/", 1)[-1]
        if last == "labels":
            return httpx.Response(200, json=[])
        if request.method == "POST":
            number = len(self.made) + 1
            self.made[number] = body
            return httpx.Response(201, json=self.tell(number, body))
        if last.isdigit():
            self.made[int(last)].update(body or {})
            return httpx.Response(200, json=self.tell(int(last), self.made[int(last)]))
        found = [self.tell(number, made) for number, made in self.made.items()]
        return httpx.Response(200, json={self.wrap: found} if self.wrap else found)


def _github(number: int, made: dict[str, Any]) -> dict[str, Any]:
    url = f"https://github.com/o/r/pull/{number}"
    state, merged = made.get("_state", "open"), made.get("_merged")
    sides = {"head": {"ref": made.get("head")}, "base": {"ref": made.get("base")}}
    return {"number": number, "html_url": url, "state": state, "merged_at": merged, **sides}


def _gitlab(number: int, made: dict[str, Any]) -> dict[str, Any]:
    sides = {key: made.get(key) for key in ("source_branch", "target_branch")}
    return {
        "iid": number,
        "web_url": f"https://gitlab.com/o/r/-/merge_requests/{number}",
        "state": made.get("_state", "opened"),
        **sides,
    }


def _bitbucket(number: int, made: dict[str, Any]) -> dict[str, Any]:
    links = {"html": {"href": f"https://bitbucket.org/o/r/pull-requests/{number}"}}
    return {"id": number, "links": links, "state": made.get("_state", "OPEN")}


def _azure(number: int, made: dict[str, Any]) -> dict[str, Any]:
    return {"pullRequestId": number, "status": made.get("_state", "active")}


CASES: dict[str, tuple[str, Callable[[int, dict[str, Any]], dict[str, Any]], str, str, list[dict[str, Any]]]] = {
    "github": (
        "https://github.com/o/r.git", _github, "", "/repos/o/r/pulls",
        [{"_state": "closed"}, {"_state": "closed", "_merged": "2026-01-01T00:00:00Z"}],
    ),
    "gitlab": (
        "https://gitlab.com/o/deep/r", _gitlab, "", "/api/v4/projects/o/deep/r/merge_requests",
        [{"_state": "closed"}, {"_state": "merged"}],
    ),
    "gitea": (
        "https://codeberg.org/o/r", _github, "", "/api/v1/repos/o/r/pulls",
        [{"_state": "closed"}, {"_state": "closed", "_merged": "x"}],
    ),
    "bitbucket": (
        "git@bitbucket.org:o/r.git", _bitbucket, "values", "/2.0/repositories/o/r/pullrequests",
        [{"_state": "DECLINED"}, {"_state": "MERGED"}],
    ),
    "azuredevops": (
        "https://dev.azure.com/org/proj/_git/repo", _azure, "value", "/org/proj/_apis/git/repositories/repo/pullrequests",
        [{"_state": "abandoned"}, {"_state": "completed"}],
    ),
}  # fmt: skip


def target(url: str, provider: Provider = Provider.generic, token: str | None = "tok") -> ForgeTarget:
    return target_of(provider, Remote(parse_url(url), Basic("git", token or "pw")), token)


def ask(handler: Callable[[httpx.Request], httpx.Response], work: Callable[[Forges], Any]) -> Any:
    async def act() -> Any:
        http = ForgeHttp(httpx.MockTransport(handler))
        return await work(Forges(http))

    return asyncio.run(act())


@pytest.mark.parametrize("name", CASES)
def test_asked_twice_there_is_one_and_its_fate_is_followed(name: str) -> None:
    url, tell, wrap, path, fates = CASES[name]
    fake, at = Fake(tell, wrap), target(url)
    wanted = Draft("Title", "Body", labels=("etl",))

    first = ask(fake, lambda forges: forges.ensure(at, HEAD, BASE, wanted))
    assert (first.number, first.state) == (1, "open")
    again = ask(fake, lambda forges: forges.ensure(at, HEAD, BASE, Draft("Other", "Body")))
    assert again == first
    assert len(fake.made) == 1
    assert fake.made[1]["title"] == "Other"
    assert {call[1] for call in fake.calls if call[0] == "POST" and "labels" not in call[1]} == {path}
    for fate, state in zip(fates, ("closed", "merged"), strict=True):
        fake.made[1].update(fate)
        assert ask(fake, lambda forges: forges.get(at, 1)).state == state


@pytest.mark.parametrize(
    ("name", "created"),
    [
        ("github", {"title": "T", "body": "B", "head": HEAD, "base": BASE, "draft": True}),
        ("gitlab", {"title": "Draft: T", "description": "B", "source_branch": HEAD, "target_branch": BASE}),
        ("gitea", {"title": "WIP: T", "body": "B", "head": HEAD, "base": BASE}),
        (
            "bitbucket",
            {
                "title": "T",
                "description": "B",
                "source": {"branch": {"name": HEAD}},
                "destination": {"branch": {"name": BASE}},
                "draft": True,
            },
        ),
        (
            "azuredevops",
            {
                "title": "T",
                "description": "B",
                "sourceRefName": f"refs/heads/{HEAD}",
                "targetRefName": f"refs/heads/{BASE}",
                "isDraft": True,
                "labels": [{"name": "etl"}],
            },
        ),
    ],
)
def test_drafts_as_each_forge_has_them(name: str, created: dict[str, Any]) -> None:
    url, tell, wrap, _, _ = CASES[name]
    fake = Fake(tell, wrap)
    ask(fake, lambda forges: forges.ensure(target(url), HEAD, BASE, Draft("T", "B", True, ("etl",))))
    assert {k: v for k, v in fake.made[1].items() if k != "add_labels"} == created


def test_another_who_was_quicker_is_found() -> None:
    fake = Fake(_github)
    fake.answers = [
        httpx.Response(200, json=[]),
        httpx.Response(422, json={"message": "A pull request already exists"}),
    ]
    fake.made[7] = {"head": HEAD, "base": BASE}
    assert ask(fake, lambda f: f.ensure(target("https://github.com/o/r"), HEAD, BASE, Draft("T", ""))).number == 7


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (httpx.Response(401, json={"message": "Bad credentials"}), "AuthenticationFailed", "Bad credentials"),
        (httpx.Response(403, json={"message": "Resource not accessible"}), "PermissionDenied", "not accessible"),
        (httpx.Response(404, json={"message": "Not Found"}), "RepositoryNotFound", "api.github.com"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example/x"}), "InvalidURL", "elsewhere.example"),
        (httpx.Response(203, text="<html>"), "AuthenticationFailed", "token"),
        (httpx.Response(200, text="<html>"), "AuthenticationFailed", "token"),
        (httpx.Response(500, text="oops"), "NetworkUnreachable", "500"),
        (httpx.Response(200, json=[{"strange": 1}]), "InvalidSpec", "spec.provider"),
        (httpx.Response(403, json={}, headers={"Retry-After": "30"}), "RateLimited", "asks to wait"),
        (
            httpx.Response(
                403,
                json={"message": "API rate limit"},
                headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"},
            ),
            "RateLimited",
            "API rate limit",
        ),
        (httpx.Response(429, json={}), "RateLimited", "429"),
        (httpx.Response(302, headers={"Location": "https://other.example/o"}), "InvalidURL", "other.example"),
        (httpx.Response(300, headers={"Location": "https://xn--0/"}), "InvalidURL", "xn--0"),
        (httpx.Response(300, headers={"Location": "https://[::1"}), "InvalidURL", "elsewhere"),
        (httpx.Response(302, headers={"Location": "https:0"}), "NetworkUnreachable", "no answer from"),
        (httpx.Response(302, headers={"Location": "https://xn--0/"}), "NetworkUnreachable", "no answer from"),
        (httpx.Response(302, headers={"Location": "https://[::1"}), "NetworkUnreachable", "no answer from"),
    ],
)
def test_each_refusal_has_its_reason(answer: httpx.Response, reason: str, words: str) -> None:
    with pytest.raises(GitIntegrationError) as told:
        ask(lambda _: answer, lambda forges: forges.find(target("https://github.com/o/r"), HEAD, BASE))
    assert told.value.reason.value == reason
    assert words in told.value.message
    assert "tok" not in told.value.message.replace("token", "")
    assert (told.value.retry_after or 0) > 0 or reason != "RateLimited"


@pytest.mark.parametrize("host", ["xn--0", "xn--a-.com", f"xn--{'9' * 300}"])
def test_a_host_that_is_no_international_name_is_told_as_it_stands(host: str) -> None:
    at = target(f"https://{host}/o/r", Provider.github)
    with pytest.raises(RemoteUnavailable, match=host):
        ask(lambda _: httpx.Response(200, json=[]), lambda forges: forges.find(at, HEAD, BASE))


def test_a_network_that_fails() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    with pytest.raises(GitIntegrationError) as told:
        ask(broken, lambda forges: forges.get(target("https://github.com/o/r"), 1))
    assert told.value.reason.value == "NetworkUnreachable"


@pytest.mark.parametrize(
    ("url", "provider", "api"),
    [
        ("https://github.com/o/r.git", "generic", "https://api.github.com/repos/o/r"),
        ("git@github.com:o/r.git", "generic", "https://api.github.com/repos/o/r"),
        ("https://git.corp.example/o/r", "github", "https://git.corp.example/api/v3/repos/o/r"),
        ("https://gitlab.com/a/b/c", "generic", "https://gitlab.com/api/v4/projects/a%2Fb%2Fc"),
        ("http://127.0.0.1:3000/o/r.git", "gitea", "http://127.0.0.1:3000/api/v1/repos/o/r"),
        (
            "git@ssh.dev.azure.com:v3/org/proj/repo",
            "generic",
            "https://dev.azure.com/org/proj/_apis/git/repositories/repo",
        ),
    ],
)
def test_where_the_api_is(url: str, provider: str, api: str) -> None:
    assert target(url, Provider(provider)).api == api


def test_what_can_not_be_told_is_refused() -> None:
    with pytest.raises(SpecError, match=r"spec\.provider"):
        target("https://git.example.com/o/r")
    with pytest.raises(CredentialError, match="token"):
        target_of(Provider.github, Remote(parse_url("git@github.com:o/r"), Anonymous()), None)
    assert isinstance(target("https://github.com/o/r").login, Bearer)
    assert "tok" not in repr(target("https://github.com/o/r"))


def test_the_text_is_made_from_the_plan() -> None:
    def change(name: str, action: str, *fields: str) -> PlannedChange:
        return PlannedChange(ObjectKey("g", "Pipeline", name), name, f"p/{name}.yaml", action, fields, "x")

    title, body = pull_request_text(
        [change("orders", "update", "spec.owner"), change("new", "create")], integration="gi", namespace="data"
    )
    assert title == "Create new; Update orders"
    assert "- update **orders** (p/orders.yaml): `spec.owner`" in body
    assert "`data/gi`" in body
    title, body = pull_request_text([change(f"p{n}", "delete") for n in range(300)], integration="gi", namespace="data")
    assert title == "Delete p0, p1, p10 and 297 more"
    assert "and 100 more" in body
    assert PullRequest(1, "u", "open").to_status() == {"number": 1, "url": "u", "state": "open"}
