"""A repository's hook on four forges, at the transport: found again, made, brought up to date, removed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gitintegration.api.integration import Provider
from gitintegration.errors import GitIntegrationError, Reason
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.hooks import HOOK_DIALECTS, Hooks, WantedHook, fields_of
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import ForgeTarget, target_of
from gitintegration.git.remote import Basic, Remote
from gitintegration.git.url import parse_url

URL, TOKEN = "https://hooks.example.com/hooks/abc", "a token"
ADDRESSES = {
    Provider.github: "https://github.com/acme/pipes.git",
    Provider.gitlab: "https://gitlab.example.com/acme/team/pipes.git",
    Provider.gitea: "https://git.example.com/acme/pipes.git",
    Provider.bitbucket: "https://bitbucket.org/acme/pipes.git",
}
PATHS = {
    Provider.github: "/repos/acme/pipes/hooks",
    Provider.gitlab: "/api/v4/projects/acme%2Fteam%2Fpipes/hooks",
    Provider.gitea: "/api/v1/repos/acme/pipes/hooks",
    Provider.bitbucket: "/2.0/repositories/acme/pipes/hooks",
}
SHAPES: dict[Provider, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
    Provider.github: lambda known, made: {
        "id": int(known),
        "config": {"url": made["config"]["url"], "secret": "********"},
    },
    Provider.gitlab: lambda known, made: {"id": int(known), "url": made["url"]},
    Provider.gitea: lambda known, made: {"id": int(known), "config": {"url": made["config"]["url"]}},
    Provider.bitbucket: lambda known, made: {"uuid": f"{{{known}}}", "url": made["url"]},
}
SECRETS: dict[Provider, Callable[[dict[str, Any]], str]] = {
    Provider.github: lambda made: str(made["config"]["secret"]),
    Provider.gitlab: lambda made: str(made["token"]),
    Provider.gitea: lambda made: str(made["config"]["secret"]),
    Provider.bitbucket: lambda made: str(made["secret"]),
}


def target(provider: Provider) -> ForgeTarget:
    return target_of(provider, Remote(parse_url(ADDRESSES[provider]), Basic("x", "secret")), "secret")


class Fake:
    """A forge that keeps hooks, and answers in its own shapes."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.made: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.refusal: httpx.Response | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().partition("?")[0]
        assert path.startswith(PATHS[self.provider]), path
        self.calls.append(request.method)
        if self.refusal is not None:
            return self.refusal
        tell, known = SHAPES[self.provider], path.removeprefix(PATHS[self.provider]).strip("/").strip("%7BD")
        body: dict[str, Any] = json.loads(request.content) if request.content else {}
        match request.method:
            case "GET":
                found = [tell(one, made) for one, made in self.made.items()]
                return httpx.Response(200, json={"values": found} if self.provider is Provider.bitbucket else found)
            case "POST":
                self.made[known := str(len(self.made) + 1)] = body
                return httpx.Response(201, json=tell(known, body))
            case "DELETE":
                gone = self.made.pop(known, None)
                return httpx.Response(204) if gone else httpx.Response(404, json={"message": "Not Found"})
        self.made[known] = body
        return httpx.Response(200, json=tell(known, body))


@pytest.mark.parametrize("provider", ADDRESSES)
def test_there_is_one_however_often_it_is_asked_for(provider: Provider) -> None:
    fake = Fake(provider)

    async def act() -> None:
        hooks = Hooks(Forges(ForgeHttp(httpx.MockTransport(fake))))
        known = await hooks.ensure(target(provider), WantedHook(URL, TOKEN))
        assert await hooks.ensure(target(provider), WantedHook(URL, "rotated")) == known  # found by its address
        moved = WantedHook("https://other.example.com/hooks/abc", "rotated")
        assert await hooks.ensure(target(provider), moved, known) == known
        assert len(fake.made) == 1
        (made,) = fake.made.values()
        assert SECRETS[provider](made) == "rotated"
        assert moved.url in json.dumps(made)
        await hooks.remove(target(provider), known)
        await hooks.remove(target(provider), known)  # it is gone already
        assert not fake.made

    asyncio.run(act())
    assert fake.calls[:4] == [
        "GET",
        "POST",
        "GET",
        "PUT" if provider in (Provider.gitlab, Provider.bitbucket) else "PATCH",
    ]


def test_others_hooks_are_left_alone() -> None:
    fake = Fake(Provider.gitea)
    fake.made["7"] = {"config": {"url": "https://ci.example.com"}}

    async def act() -> str:
        return await Hooks(Forges(ForgeHttp(httpx.MockTransport(fake)))).ensure(
            target(Provider.gitea), WantedHook(URL, TOKEN)
        )

    assert asyncio.run(act()) != "7"
    assert fake.made["7"] == {"config": {"url": "https://ci.example.com"}}


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (
            httpx.Response(403, json={"message": "Resource not accessible by integration"}),
            Reason.PermissionDenied,
            "webhooks",
        ),
        (httpx.Response(404, json={"message": "Not Found"}), Reason.RepositoryNotFound, "webhooks"),
        (httpx.Response(401, json={"message": "Bad credentials"}), Reason.AuthenticationFailed, "webhooks"),
        (httpx.Response(422, json={"message": "Validation Failed"}), Reason.PushRejected, "declines the webhook"),
        (httpx.Response(200, json={"id": "../x"}), Reason.InvalidSpec, "spec.provider"),
        (httpx.Response(200, json=[{"id": 7.5e300, "config": None}]), Reason.InvalidSpec, "spec.provider"),
    ],
)
def test_a_refusal_is_told_in_the_forges_words(answer: httpx.Response, reason: Reason, words: str) -> None:
    fake = Fake(Provider.github)
    fake.refusal = answer

    async def act() -> None:
        await Hooks(Forges(ForgeHttp(httpx.MockTransport(fake)))).ensure(
            target(Provider.github), WantedHook(URL, TOKEN)
        )

    with pytest.raises(GitIntegrationError) as told:
        asyncio.run(act())
    assert told.value.reason is reason
    assert words in told.value.message
    assert TOKEN not in told.value.message


@pytest.mark.parametrize("known", ["", "../../pulls/1", "1/2", "x" * 65, "1?x"])
def test_an_id_that_is_none_removes_nothing(known: str) -> None:
    fake = Fake(Provider.github)
    asyncio.run(Hooks(Forges(ForgeHttp(httpx.MockTransport(fake)))).remove(target(Provider.github), known))
    assert not fake.calls


@pytest.mark.parametrize("provider", Provider)
def test_each_forge_has_its_words_for_what_to_enter(provider: Provider) -> None:
    told = fields_of(provider, "hook-secret")
    assert "'hook-secret'" in told
    assert "$" not in told
    assert (provider in HOOK_DIALECTS) == (provider in ADDRESSES)
