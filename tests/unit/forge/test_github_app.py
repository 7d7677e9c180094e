"""Tokens of a GitHub App: its assertion, the cache, renewal, and what goes wrong, at the transport."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.controller.remotes import app_of
from gitintegration.errors import CredentialError, GitIntegrationError
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.github_app import AppTokens, GitHubApp
from gitintegration.git.remote import Tls

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = _KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()
NOW = 1_800_000_000.0


class GitHub:
    def __init__(self) -> None:
        self.now = NOW
        self.asked: list[httpx.Request] = []
        self.status = 201

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.status != 201:
            return httpx.Response(self.status, json={"message": "no"})
        ends = datetime.fromtimestamp(self.now + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return httpx.Response(201, json={"token": f"ghs_{len(self.asked)}", "expires_at": ends})

    def run(self, work: Any) -> Any:
        async def act() -> Any:
            http = ForgeHttp(httpx.MockTransport(self))
            return await work(AppTokens(http, clock=lambda: self.now))

        return asyncio.run(act())


APP = GitHubApp("4711", "12345678", PEM)


def test_a_token_is_kept_and_renewed_early() -> None:
    github = GitHub()

    async def act(tokens: AppTokens) -> list[str]:
        found = [await tokens.token(APP, Tls(), None)]
        github.now += 3000
        found.append(await tokens.token(APP, Tls(), None))
        github.now += 400
        found.append(await tokens.token(APP, Tls(), None))
        tokens.drop(APP)
        found.append(await tokens.token(APP, Tls(), None))
        return found

    assert github.run(act) == ["ghs_1", "ghs_1", "ghs_2", "ghs_3"]
    request = github.asked[0]
    assert str(request.url) == "https://api.github.com/app/installations/12345678/access_tokens"
    claims = jwt.decode(
        request.headers["Authorization"].removeprefix("Bearer "),
        _KEY.public_key(),
        algorithms=["RS256"],
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims == {"iat": int(NOW) - 60, "exp": int(NOW) + 540, "iss": "4711"}


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (404, "InvalidSecret", "installed"),
        (401, "AuthenticationFailed", "must be a pair"),
        (502, "NetworkUnreachable", "502"),
    ],
)
def test_what_goes_wrong_says_what_to_mend(status: int, reason: str, words: str) -> None:
    github = GitHub()
    github.status = status
    with pytest.raises(GitIntegrationError) as told:
        github.run(lambda tokens: tokens.token(APP, Tls(), None))
    assert told.value.reason.value == reason
    assert words in told.value.message


def test_a_key_that_is_none() -> None:
    with pytest.raises(GitIntegrationError) as told:
        GitHub().run(lambda tokens: tokens.token(GitHubApp("1", "2", "nonsense"), Tls(), None))
    assert told.value.reason.value == "InvalidSecret"
    assert "nonsense" not in told.value.message + repr(APP)


def spec(url: str = "https://github.com/o/r", **credentials: Any) -> GitIntegrationSpec:
    return GitIntegrationSpec.model_validate(
        {"repositoryURL": url, "credentials": {"secretRef": {"name": "x"}, **credentials}}
    )


SECRET = {"githubAppID": "1", "githubAppPrivateKey": "k", "githubAppInstallationID": "2"}


def test_where_it_comes_from() -> None:
    assert app_of(spec(), SECRET) == GitHubApp("1", "2", "k\n")
    assert app_of(spec(type="token"), SECRET) is None
    assert app_of(spec(), {"token": "t"}) is None
    enterprise = {**SECRET, "githubAppBaseURL": "https://git.corp.example/api/v3"}
    named = app_of(spec("https://git.corp.example/o/r", type="githubApp", installationID="9"), enterprise)
    assert named
    assert (named.installation_id, named.base) == ("9", "https://git.corp.example/api/v3")
    with pytest.raises(CredentialError, match="githubAppBaseURL"):
        app_of(spec("https://git.corp.example/o/r", type="githubApp", installationID="9"), SECRET)
    with pytest.raises(CredentialError, match=r"git\.corp\.example"):
        app_of(spec(), enterprise)


@pytest.mark.parametrize(
    ("made", "secret", "words"),
    [
        (spec(type="githubApp"), {"token": "t"}, "githubAppID"),
        (spec(), {"githubAppID": "1", "githubAppPrivateKey": "k"}, "installationID"),
        (spec("git@github.com:o/r"), SECRET, "https"),
        (spec(), {**SECRET, "githubAppBaseURL": "ftp://x"}, "githubAppBaseURL"),
    ],
)
def test_what_is_missing_is_named(made: GitIntegrationSpec, secret: dict[str, str], words: str) -> None:
    with pytest.raises(GitIntegrationError, match=words):
        app_of(made, secret)
