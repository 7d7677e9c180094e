"""Where a Secret's credentials go, and what is no credential."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gitintegration.api.integration import GitIntegrationSpec, Provider
from gitintegration.controller.remotes import (
    app_of,
    build_remote,
    openpgp_files,
    openpgp_key_of,
    proxy_of,
    signing_key_of,
    trust_of,
)
from gitintegration.errors import CredentialError, GitIntegrationError, SpecError
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.target import target_of
from gitintegration.git.client import GitClient
from gitintegration.git.egress import Egress
from gitintegration.git.openpgp import BadFile
from gitintegration.git.remote import Bearer, Proxy

APP = {"githubAppID": "1", "githubAppInstallationID": "2", "githubAppPrivateKey": "key"}


def spec(url: str, **more: Any) -> GitIntegrationSpec:
    return GitIntegrationSpec.model_validate(
        {"repositoryURL": url, "credentials": {"secretRef": {"name": "s"}}, **more}
    )


@pytest.mark.parametrize(
    ("url", "base", "goes_to"),
    [
        ("https://github.com/a/b", "", "https://api.github.com"),
        ("https://git.corp/a/b", "https://git.corp/api/v3", "https://git.corp/api/v3"),
        ("https://corp.ghe.com/a/b", "https://api.corp.ghe.com", "https://api.corp.ghe.com"),
    ],
)
def test_an_apps_assertion_goes_where_its_secret_says(url: str, base: str, goes_to: str) -> None:
    app = app_of(spec(url), {**APP, "githubAppBaseURL": base})
    assert app is not None
    assert app.base == goes_to


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://evil.example/a/b", ""),
        ("https://git.corp/a/b", ""),
        ("https://github.com.evil.example/a/b", ""),
        ("https://evil.example/a/b", "https://git.corp/api/v3"),
        ("https://github.com/a/b", "https://git.corp/api/v3"),
    ],
)
def test_an_apps_tokens_go_to_no_other_host(url: str, base: str) -> None:
    with pytest.raises(CredentialError, match="githubAppBaseURL"):
        app_of(spec(url), {**APP, "githubAppBaseURL": base})


@pytest.mark.parametrize(
    "base",
    ["ftp://h/", "https://u:p@h/", "https://h/?x", "https://", "h", "https://h:x/", "https://h\\@e/"],
)
def test_what_is_no_base(base: str) -> None:
    with pytest.raises(CredentialError):
        app_of(spec("https://h/a/b"), {**APP, "githubAppBaseURL": base + "x" if base == "https://" else base})


@pytest.mark.parametrize("provider", ["bitbucket", "azuredevops"])
@pytest.mark.parametrize(
    "url", ["https://evil.example/a/_git/b/c", "https://bitbucket.org.evil.example/a/b", "git@git.corp:a/b/c"]
)
def test_a_token_goes_to_a_forges_api_only_from_there(provider: str, url: str) -> None:
    secret = {"token": "t", "identity": "k", "known_hosts": "h"}
    remote = build_remote(spec(url, provider=provider), secret, None)
    with pytest.raises(SpecError, match=r"spec\.provider"):
        target_of(Provider(provider), remote, "t")


@pytest.mark.parametrize(
    "url",
    ["https://gitlab.corp/a/b", "https://github.com/a/b", "https://git.corp:8443/a/b", "https://bitbucket.org/a/b"],
)
@pytest.mark.parametrize("provider", list(Provider))
def test_an_api_is_at_the_repositorys_own_host(provider: Provider, url: str) -> None:
    remote = build_remote(spec(url), {"token": "t"}, None)
    try:
        target = target_of(provider, remote, "t")
    except GitIntegrationError:
        return
    host = target.api.split("/")[2].partition(":")[0]
    assert host.removeprefix("api.") == remote.url.host


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ({"username": "a:b", "password": "c"}, "colon"),
        ({"username": "a", "password": "b\nc: d"}, "line break"),
        ({"token": "a\r\nX: y"}, "line break"),
        ({"bearerToken": "a\0b"}, "line break"),
        ({"bearerToken": "é"}, "no token"),
        ({"token": "x" * 20_000}, "more than"),
    ],
)
def test_a_login_that_no_header_carries(secret: dict[str, str], told: str) -> None:
    with pytest.raises(CredentialError, match=told):
        build_remote(spec("https://h/a"), secret, None)


@pytest.mark.parametrize(
    "address", ["http://u:p@h:1", "h:1", "http://h:x", "http://", "http://a b", "http://h\\@e", "http://ｈ/"]
)
def test_what_is_no_proxy(address: str) -> None:
    with pytest.raises(CredentialError, match="address"):
        proxy_of({"address": address})
    with pytest.raises(CredentialError):
        proxy_of({"address": "http://h:1", "username": "a:b"})


def test_credentials_that_go_unencrypted_are_told() -> None:
    assert "unencrypted" in "".join(build_remote(spec("http://h/a"), {"token": "t"}, None).warnings)
    assert "proxy" in "".join(build_remote(spec("https://h/a"), {"token": "t"}, Proxy("http://p:1", "u", "p")).warnings)
    assert not list(build_remote(spec("https://h/a"), {"token": "t"}, Proxy("http://p:1")).warnings)
    anonymous = GitIntegrationSpec.model_validate({"repositoryURL": "http://h/a"})
    assert not list(build_remote(anonymous, {}, None).warnings)


async def test_plain_http_is_refused_where_tls_is_required() -> None:
    egress = Egress(require_tls=True)
    async with GitClient(None, egress=egress) as git:  # type: ignore[arg-type]
        with pytest.raises(SpecError, match="--require-tls"):
            await git.ls_refs(build_remote(spec("http://127.0.0.1:1/a"), {"token": "t"}, None), [])
    http = ForgeHttp(egress=egress)
    with pytest.raises(SpecError, match="--require-tls"):
        await http.request("GET", "http://127.0.0.1:1/", login=Bearer("t"))
    with pytest.raises(SpecError, match="--require-tls"):
        proxy = Proxy("http://127.0.0.1:1", "u", "p")
        await http.request("GET", "https://127.0.0.1:1/", login=Bearer("t"), proxy=proxy)
    egress.check_proxy(Proxy("http://127.0.0.1:1"))
    egress.check_scheme("https", "x")
    egress.check_scheme("ssh", "x")


PRIVATE, OWN = "-----BEGIN PGP PRIVATE KEY BLOCK-----", "ssh-ed25519 AAAA"


@pytest.mark.parametrize(
    ("secret", "openpgp"),
    [
        ({"identity": "ssh", "passphrase": "p"}, None),
        ({"git.asc": "pgp"}, (b"pgp", None)),
        ({"git.asc": "pgp", "passphrase": "p"}, (b"pgp", "p")),
        ({"git.asc": "pgp", "identity": "of the login", "password": "of the login"}, (b"pgp", None)),
    ],
)
def test_which_key_signs(secret: dict[str, str], openpgp: object) -> None:
    """A Secret that logs in by SSH as well has that key as `identity`."""
    assert openpgp_key_of(secret) == openpgp


@pytest.mark.parametrize("near", ["git-asc", "identity.pem"])
def test_a_signing_key_by_another_name(near: str) -> None:
    with pytest.raises(CredentialError, match=f"it has `{near}`: is that meant for"):
        signing_key_of({near: "x"})


def test_which_files_hold_keys_that_are_trusted() -> None:
    """As Flux has them, and not the key that the operator signs with, where one Secret has both."""
    data = {"ann.asc": "a", "bob.asc": "b", "ann.pub": "c", "asc": "d", "git.asc": f"x\n{PRIVATE}"}
    assert openpgp_files(data) == {"ann.asc": "a", "bob.asc": "b"}
    assert openpgp_files({"git.asc": "public", "ann.asc": PRIVATE}) == {"git.asc": "public", "ann.asc": PRIVATE}
    trust = trust_of({"ann.asc": "a"}, ["*@a"], OWN)
    assert (trust.signers, trust.authors, trust.own) == ("", ("*@a",), OWN)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"git.asc": PRIVATE}, r"is not there, and no key that ends in `\.asc`$"),
        ({"allowedSigners": ""}, "it has `allowedSigners`: is that meant for `allowed_signers`"),
        ({"allowed_signers": f"ann {OWN}\nann nonsense", "ann.asc": "a"}, "line 2"),
    ],
    ids=["private", "near", "nonsense"],
)
def test_what_trusts_nobody_is_told(data: dict[str, str], words: str) -> None:
    with pytest.raises(BadFile) as error:
        trust_of(data, [], "")
    assert error.value.args[0] == "allowed_signers"
    assert re.search(words, error.value.args[1])
