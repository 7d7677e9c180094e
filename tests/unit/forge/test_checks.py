"""Statuses and comments on five forges, at the transport: the calls as they are documented, and answers in their shapes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from gitintegration.api.integration import Provider
from gitintegration.core.checks.findings import CheckState, Verdict
from gitintegration.errors import GitIntegrationError, Reason
from gitintegration.forge.checks import CHECK_DIALECTS, Fate, OpenPull, PullRequestForge, Status
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import ForgeTarget, target_of
from gitintegration.git.remote import Basic, Remote
from gitintegration.git.url import parse_url
from tests.unit.forge.descriptions import DESCRIBED, hold

SHA, MADE, MARK = "1" * 40, "2" * 40, "[//]: # (a mark)"
CONTEXT = "gitintegration/data/analytics"
ADDRESSES = {
    Provider.github: "https://github.com/acme/pipes.git",
    Provider.gitlab: "https://gitlab.example.com/acme/team/pipes.git",
    Provider.gitea: "https://git.example.com/acme/pipes.git",
    Provider.bitbucket: "https://bitbucket.org/acme/pipes.git",
    Provider.azuredevops: "https://dev.azure.com/org/proj/_git/pipes",
}
ROOTS = {
    Provider.github: "/repos/acme/pipes",
    Provider.gitlab: "/api/v4/projects/acme%2Fteam%2Fpipes",
    Provider.gitea: "/api/v1/repos/acme/pipes",
    Provider.bitbucket: "/2.0/repositories/acme/pipes",
    Provider.azuredevops: "/org/proj/_apis/git/repositories/pipes",
}
Pull = dict[str, Any]


def _github(pull: Pull) -> dict[str, Any]:
    sides = {"head": "someone/pipes" if pull["fork"] else "acme/pipes", "base": "acme/pipes"}
    head, base = ({"repo": {"full_name": name}} for name in sides.values())
    merged = {"merged_at": "2026-11-28T00:00:00Z", "merge_commit_sha": MADE} if pull["state"] == "merged" else {}
    return {
        "number": pull["number"],
        "html_url": f"https://git.example.com/acme/pipes/pulls/{pull['number']}",
        "state": "open" if pull["state"] == "open" else "closed",
        "head": {**head, "ref": pull["head"], "sha": pull["commit"]},
        "base": {**base, "ref": "main"},
        **merged,
    }


def _gitlab(pull: Pull) -> dict[str, Any]:
    return {
        "iid": pull["number"],
        "web_url": f"https://git.example.com/acme/pipes/pulls/{pull['number']}",
        "state": "opened" if pull["state"] == "open" else pull["state"],
        "source_branch": pull["head"],
        "sha": pull["commit"],
        "source_project_id": 2 if pull["fork"] else 1,
        "target_project_id": 1,
        "merge_commit_sha": None,
        "squash_commit_sha": MADE,
    }


def _bitbucket(pull: Pull) -> dict[str, Any]:
    def side(name: str) -> dict[str, Any]:
        return {"repository": {"full_name": name}}

    head = {**side("someone/pipes" if pull["fork"] else "acme/pipes"), "branch": {"name": pull["head"]}}
    return {
        "id": pull["number"],
        "links": {"html": {"href": f"https://git.example.com/acme/pipes/pulls/{pull['number']}"}},
        "state": {"open": "OPEN", "merged": "MERGED", "closed": "DECLINED"}[pull["state"]],
        "source": {**head, "commit": {"hash": pull["commit"][:12]}},
        "destination": {**side("acme/pipes"), "branch": {"name": "main"}},
        "merge_commit": {"hash": MADE[:12]} if pull["state"] == "merged" else None,
    }


def _azure(pull: Pull) -> dict[str, Any]:
    return {
        "pullRequestId": pull["number"],
        "status": {"open": "active", "merged": "completed", "closed": "abandoned"}[pull["state"]],
        "sourceRefName": f"refs/heads/{pull['head']}",
        "lastMergeSourceCommit": {"commitId": pull["commit"]},
        "lastMergeCommit": {"commitId": MADE},
        **({"forkSource": {"repository": {}}} if pull["fork"] else {}),
    }


TELLS: dict[Provider, Callable[[Pull], dict[str, Any]]] = {
    Provider.github: _github,
    Provider.gitlab: _gitlab,
    Provider.gitea: _github,
    Provider.bitbucket: _bitbucket,
    Provider.azuredevops: _azure,
}
WRAPS = {Provider.bitbucket: "values", Provider.azuredevops: "value"}
STATUSES = {
    Provider.github: r"/statuses/([0-9a-f]+)",
    Provider.gitlab: r"/statuses/([0-9a-f]+)",
    Provider.gitea: r"/statuses/([0-9a-f]+)",
    Provider.bitbucket: r"/commit/([0-9a-f]+)/statuses/build",
    Provider.azuredevops: r"/(?:pullRequests|commits)/([0-9a-f]+)/statuses",
}
NOTES = {
    Provider.github: r"/issues/(?:(\d+)/comments|comments/(\d+))",
    Provider.gitlab: r"/merge_requests/(\d+)/notes(?:/(\d+))?",
    Provider.gitea: r"/issues/(?:(\d+)/comments|comments/(\d+))",
    Provider.bitbucket: r"/pullrequests/(\d+)/comments(?:/(\d+))?",
    Provider.azuredevops: r"/pullRequests/(\d+)/threads(?:/(\d+)/comments/1)?",
}


class Fake:
    """A forge with pull requests, statuses and comments, in its own shapes."""

    def __init__(self, provider: Provider, *pulls: Pull) -> None:
        self.provider, self.pulls = provider, {pull["number"]: pull for pull in pulls}
        self.statuses: list[tuple[str, dict[str, Any]]] = []
        self.notes: dict[str, str] = {}
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.refusal: httpx.Response | None = None
        self.odd = False
        """Whether it answers what no forge would."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self._answer(request)
        hold(self.provider, request, None if self.odd or self.refusal else answer)
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().partition("?")[0]
        assert path.startswith(ROOTS[self.provider]), path
        path = path.removeprefix(ROOTS[self.provider])
        body: dict[str, Any] = json.loads(request.content) if request.content else {}
        asked = dict(request.url.params)
        self.calls.append((f"{request.method} {path}", asked))
        if self.refusal is not None:
            return self.refusal
        if found := re.fullmatch(STATUSES[self.provider], path):
            assert request.method == "POST"
            self.statuses.append((found[1], body))
            return httpx.Response(201, json={"id": 1})
        if found := re.fullmatch(NOTES[self.provider], path):
            return self._note(request.method, found[2], body)
        number = path.rpartition("/")[2]
        if number.isdigit():
            if int(number) not in self.pulls:
                return httpx.Response(404, json={"message": "Not Found"})
            return httpx.Response(200, json=TELLS[self.provider](self.pulls[int(number)]))
        page = int(asked.get("page", 0)) or int(asked.get("$skip", 0)) // 50 + 1
        opened = [TELLS[self.provider](p) for p in self.pulls.values() if p["state"] == "open"]
        return httpx.Response(200, json=self._wrapped(opened[50 * (page - 1) : 50 * page]))

    def _wrapped(self, rows: list[Any]) -> Any:
        wrap = WRAPS.get(self.provider)
        return {wrap: rows} if wrap else rows

    def _note(self, method: str, known: str | None, body: dict[str, Any]) -> httpx.Response:
        if method == "GET":
            return httpx.Response(200, json=self._wrapped([self._told(one) for one in self.notes]))
        text = body.get("body") or body.get("content")
        if isinstance(text, dict):
            text = text["raw"]
        if "comments" in body:
            assert body["status"] == "closed"
            text = body["comments"][0]["content"]
        assert isinstance(text, str)
        if method == "POST":
            known = str(len(self.notes) + 7)
        elif known not in self.notes:
            return httpx.Response(404, json={"message": "Not Found"})
        assert known is not None
        self.notes[known] = text
        told = self._told(known)
        if method == "PATCH" and self.provider is Provider.azuredevops:
            (told,) = told["comments"]
        return httpx.Response(201 if method == "POST" else 200, json=told)

    def _told(self, known: str) -> dict[str, Any]:
        text = self.notes[known]
        match self.provider:
            case Provider.bitbucket:
                return {"id": int(known), "content": {"raw": text}}
            case Provider.azuredevops:
                return {"id": int(known), "comments": [{"id": 1, "content": text}]}
        return {"id": int(known), "body": text}


def pull(number: int = 1, state: str = "open", *, fork: bool = False) -> Pull:
    return {"number": number, "state": state, "head": f"feature/{number}", "commit": SHA, "fork": fork}


def target(provider: Provider) -> ForgeTarget:
    return target_of(provider, Remote(parse_url(ADDRESSES[provider]), Basic("x", "secret")), "secret")


def ask(fake: Fake, work: Callable[[PullRequestForge, ForgeTarget], Coroutine[Any, Any, Any]]) -> Any:
    forge = PullRequestForge(Forges(ForgeHttp(httpx.MockTransport(fake))))
    return asyncio.run(work(forge, target(fake.provider)))


def tell_status(fake: Fake, status: Status) -> None:
    ask(fake, lambda forge, at: forge.tell(at, 1, SHA, status))


@pytest.mark.parametrize("provider", ADDRESSES)
def test_open_ones_are_found_and_forks_told_apart(provider: Provider) -> None:
    fake = Fake(provider, pull(1), pull(2, fork=True), pull(3, "closed"))
    found: list[OpenPull] = ask(fake, lambda forge, at: forge.open(at, "main"))
    commit = SHA[:12] if provider is Provider.bitbucket else SHA
    assert [(one.number, one.head, one.commit, one.fork) for one in found] == [
        (1, "feature/1", commit, False),
        (2, "feature/2", commit, True),
    ]
    assert all(one.url.startswith("https://") for one in found)
    ((_, asked),) = fake.calls
    assert "main" in str(asked), "the list is not narrowed to the branch"


@pytest.mark.parametrize("provider", ADDRESSES)
def test_of_very_many_a_hundred_are_read(provider: Provider) -> None:
    fake = Fake(provider, *(pull(number) for number in range(1, 161)))
    assert len(ask(fake, lambda forge, at: forge.open(at, "main"))) == 100
    assert len(fake.calls) == 2


@pytest.mark.parametrize("provider", ADDRESSES)
@pytest.mark.parametrize("state", ["open", "merged", "closed"])
def test_what_became_of_one(provider: Provider, state: str) -> None:
    made = MADE[:12] if provider is Provider.bitbucket else MADE
    fate = ask(Fake(provider, pull(1, state)), lambda forge, at: forge.fate(at, 1))
    assert fate == Fate(state, made if state == "merged" else "")
    assert ask(Fake(provider), lambda forge, at: forge.fate(at, 1)) == Fate("closed")


TOLD: dict[Provider, dict[CheckState, str]] = {
    Provider.github: {state: state.value for state in CheckState},
    Provider.gitea: {state: state.value for state in CheckState},
    Provider.gitlab: dict(zip(CheckState, ("pending", "success", "failed", "failed"), strict=True)),
    Provider.bitbucket: dict(zip(CheckState, ("INPROGRESS", "SUCCESSFUL", "FAILED", "STOPPED"), strict=True)),
    Provider.azuredevops: dict(zip(CheckState, ("pending", "succeeded", "failed", "error"), strict=True)),
}


@pytest.mark.parametrize("provider", ADDRESSES)
@pytest.mark.parametrize("state", CheckState)
def test_a_status_in_the_words_of_each(provider: Provider, state: CheckState) -> None:
    fake, status = Fake(provider), Status(CONTEXT, Verdict.of(state, "words"), "https://git.example.com/p/1")
    ask(fake, lambda forge, at: forge.tell(at, 1, SHA, status))
    ask(fake, lambda forge, at: forge.tell(at, None, MADE, status))
    (on, body), (merged, _) = fake.statuses
    assert (on, merged) == ("1" if provider is Provider.azuredevops else SHA, MADE)
    assert body["state"] == TOLD[provider][state]
    assert body["description"] == "words"
    assert "https://git.example.com/p/1" in body.values()
    named = body.get("context") or body.get("name")
    assert named == ({"genre": "gitintegration", "name": "data/analytics"} if isinstance(named, dict) else CONTEXT)


def test_a_long_name_makes_a_key_that_bitbucket_takes() -> None:
    fake = Fake(Provider.bitbucket)
    for name in ("a" * 200, "b" * 200):
        status = Status(f"gitintegration/data/{name}", Verdict(CheckState.success, "words"), "https://x")
        tell_status(fake, status)
    keys = [body["key"] for _, body in fake.statuses]
    assert len({*keys}) == 2
    assert all(len(key) <= 40 for key in keys)


def test_gitlab_is_told_twice_without_harm() -> None:
    fake, status = Fake(Provider.gitlab), Status(CONTEXT, Verdict(CheckState.pending, "words"), "https://x")
    said = {"message": "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition)"}
    fake.refusal = httpx.Response(400, json=said)
    ask(fake, lambda forge, at: forge.tell(at, 1, SHA, status))
    fake.refusal = httpx.Response(400, json={"message": "state does not have a valid value"})
    with pytest.raises(GitIntegrationError, match="valid value"):
        ask(fake, lambda forge, at: forge.tell(at, 1, SHA, status))


@pytest.mark.parametrize("provider", ADDRESSES)
def test_there_is_one_comment_however_often_it_is_told(provider: Provider) -> None:
    fake = Fake(provider)
    fake.notes["3"] = "somebody says something"

    async def act(forge: PullRequestForge, at: ForgeTarget) -> None:
        known = await forge.comment(at, 1, f"first\n{MARK}", MARK)
        assert await forge.comment(at, 1, f"second\n{MARK}", MARK) == known  # found by its mark
        assert await forge.comment(at, 1, f"third\n{MARK}", MARK, known) == known
        fake.notes = {"3": fake.notes["3"]}  # somebody deletes it
        assert await forge.comment(at, 1, f"fourth\n{MARK}", MARK, known)

    ask(fake, act)
    assert sorted(fake.notes.values()) == [f"fourth\n{MARK}", "somebody says something"]


@pytest.mark.parametrize("provider", ADDRESSES)
def test_what_says_the_same_is_not_written_again(provider: Provider) -> None:
    fake = Fake(provider)
    ask(fake, lambda forge, at: forge.comment(at, 1, f"first\n{MARK}", MARK))
    fake.calls.clear()
    ask(fake, lambda forge, at: forge.comment(at, 1, f"first\n{MARK}", MARK))
    assert [call.partition(" ")[0] for call, _ in fake.calls] == ["GET"]


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (httpx.Response(403, json={"message": "Resource not accessible"}), Reason.PermissionDenied, "accessible"),
        (httpx.Response(200, json={"id": 1}), Reason.InvalidSpec, "spec.provider"),
        (httpx.Response(200, json=[{"number": -1}]), Reason.InvalidSpec, "spec.provider"),
        (httpx.Response(200, json=[None] * 3), Reason.InvalidSpec, "spec.provider"),
    ],
)
@pytest.mark.parametrize("provider", ADDRESSES)
def test_what_can_not_be_read_is_told_as_such(
    provider: Provider, answer: httpx.Response, reason: Reason, words: str
) -> None:
    fake = Fake(provider)
    fake.refusal = answer
    with pytest.raises(GitIntegrationError, match=words) as caught:
        ask(fake, lambda forge, at: forge.open(at, "main"))
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "odd", [{"commit": "HEAD"}, {"commit": "../x"}, {"head": "x" * 5000}, {"head": "a\n0000"}, {"number": 1 << 60}]
)
@pytest.mark.parametrize("provider", ADDRESSES)
def test_names_that_are_none_are_not_believed(provider: Provider, odd: dict[str, Any]) -> None:
    fake = Fake(provider, {**pull(1), **odd})
    fake.odd = True
    with pytest.raises(GitIntegrationError, match=r"spec\.provider"):
        ask(fake, lambda forge, at: forge.open(at, "main"))


def test_every_forge_is_held_against_its_description_or_is_run() -> None:
    """GitHub's own is in test_github_contract.py, and a real Gitea in tests/e2e/test_pull_request_checks.py."""
    assert {*DESCRIBED, Provider.github, Provider.gitea} == CHECK_DIALECTS.keys()


@pytest.mark.parametrize("provider", DESCRIBED)
def test_a_description_does_refuse(provider: Provider) -> None:
    """The check can fail: a status that is none, and a filter that there is none of."""
    call = CHECK_DIALECTS[provider].tell(1, SHA, Status(CONTEXT, Verdict(CheckState.success, ""), "https://x"))
    listed = CHECK_DIALECTS[provider].open("main", 1)
    root = target(provider).api
    wrong = httpx.Request("POST", root + call.path, params=call.params, json={**(call.json or {}), "state": "great"})
    with pytest.raises(Exception, match=r"(?i)body|valid|enum"):
        hold(provider, wrong, None)
    odd = httpx.Request("GET", root + listed.path, params={**(listed.params or {}), "mood": "good"})
    with pytest.raises(AssertionError, match="mood"):
        hold(provider, odd, None)


def test_every_forge_that_has_pull_requests_has_checks() -> None:
    assert CHECK_DIALECTS.keys() == ADDRESSES.keys()
