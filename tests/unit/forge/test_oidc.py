"""Tokens of CI systems: good ones, and each way in which one is somebody else's."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gitintegration.api.integration import Oidc
from gitintegration.forge.oidc import Issuers

ISSUER, AUDIENCE = "https://ci.example.com", "https://hooks.example.com"
CLAIMS = {"repository": "acme/pipes", "ref": "refs/heads/main"}
WANTED = Oidc(issuer=ISSUER, audience=AUDIENCE, claims=CLAIMS)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class CiSystem:
    """What an issuer serves: where its keys are, and they."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.about: Any = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        rsa_key = {**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "one", "use": "sig", "alg": "RS256"}
        curve = {**ECAlgorithm.to_jwk(CURVE.public_key(), as_dict=True), "kid": "two", "use": "sig", "alg": "ES256"}
        self.keys: Any = {"keys": [rsa_key, curve]}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        said = self.keys if request.url.path == "/keys" else self.about
        return httpx.Response(200, content=said if isinstance(said, bytes) else json.dumps(said))


def token(key: Any = KEY, kid: str = "one", algorithm: str = "RS256", **claims: Any) -> str:
    now = int(time.time())
    told = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 300, **CLAIMS, **claims}
    return jwt.encode({k: v for k, v in told.items() if v is not None}, key, algorithm, headers={"kid": kid})


def proves(
    *tokens: str, ci: CiSystem | None = None, wanted: Oidc = WANTED, allowed: tuple[str, ...] = (ISSUER,)
) -> list[bool]:
    issuers = Issuers(allowed, httpx.MockTransport(ci or CiSystem()))

    async def act() -> list[bool]:
        return [await issuers.proves(one, wanted) for one in tokens]

    return asyncio.run(act())


def test_a_token_of_the_job_is_good() -> None:
    ci = CiSystem()
    assert proves(token(), token(CURVE, "two", "ES256"), token(aud=[AUDIENCE, "x"]), ci=ci) == [True] * 3
    assert ci.asked == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/keys"]  # once


WRONG = {
    "another repository": lambda: token(repository="mallory/pipes"),
    "no repository": lambda: token(repository=None),
    "a list that holds it": lambda: token(repository=["acme/pipes"]),
    "another branch": lambda: token(ref="refs/heads/x"),
    "another audience": lambda: token(aud="https://elsewhere.example.com"),
    "no audience": lambda: token(aud=None),
    "another issuer": lambda: token(iss="https://evil.example.com"),
    "expired": lambda: token(exp=int(time.time()) - 120),
    "never ends": lambda: token(exp=None),
    "of tomorrow": lambda: token(nbf=int(time.time()) + 86_400),
    "another key": lambda: token(STRANGER),
    "a key that is not known": lambda: token(kid="three"),
    "none at all": lambda: jwt.encode({"iss": ISSUER, "aud": AUDIENCE, **CLAIMS}, "", "none", headers={"kid": "one"}),
    "a shared secret": lambda: token("x" * 32, algorithm="HS256"),
    "of another sort than its key": lambda: token(CURVE, "one", "ES256"),
    "no token": lambda: "x.y.z",
    "empty": lambda: "",
    "huge": lambda: token(x="y" * 20_000),
}


@pytest.mark.parametrize("name", WRONG)
def test_anybody_elses_is_not(name: str) -> None:
    made: str = WRONG[name]()  # type: ignore[no-untyped-call]
    assert proves(made) == [False]


def test_an_issuer_is_asked_only_where_the_administrator_allows_it() -> None:
    ci = CiSystem()
    assert proves(token(), ci=ci, allowed=("https://other.example.com",)) == [False]
    assert not ci.asked


def test_a_key_that_is_not_known_is_asked_for_seldom() -> None:
    ci = CiSystem()
    assert proves(token(), *(token(kid=f"k{n}") for n in range(50)), ci=ci) == [True] + [False] * 50
    assert len(ci.asked) == 2


ODD: dict[str, tuple[str, Any]] = {
    "another issuer": ("about", {"issuer": "https://evil.example.com", "jwks_uri": f"{ISSUER}/keys"}),
    "keys elsewhere": ("about", {"issuer": ISSUER, "jwks_uri": "https://evil.example.com/keys"}),
    "keys without TLS": ("about", {"issuer": ISSUER, "jwks_uri": "http://ci.example.com/keys"}),
    "keys at a neighbour's": ("about", {"issuer": ISSUER, "jwks_uri": "https://evilci.example.com/keys"}),
    "keys at no address": ("about", {"issuer": ISSUER, "jwks_uri": "https://[::1"}),
    "keys at no name": ("about", {"issuer": ISSUER, "jwks_uri": "https://xn--0/keys"}),
    "a list": ("about", []),
    "deep": ("keys", b"[" * 5000 + b"]" * 5000),
    "no keys": ("keys", {}),
    "keys that are none": ("keys", {"keys": [7, None, {}]}),
    "a shared key": ("keys", {"keys": [{"kty": "oct", "kid": "one", "k": "eHh4"}]}),
    "too much": ("keys", {"keys": ["x" * 1000] * 1000}),
}


@pytest.mark.parametrize("name", ODD)
def test_an_issuer_that_answers_oddly_proves_nothing(name: str) -> None:
    ci = CiSystem()
    setattr(ci, *ODD[name])
    assert proves(token(), ci=ci) == [False]


def test_a_redirect_to_nowhere_proves_nothing() -> None:
    for place in ("https:0", "https://xn--0/", "https://[::1"):
        answers = httpx.MockTransport(lambda _: httpx.Response(302, headers={"Location": place}))  # noqa: B023
        assert asyncio.run(Issuers((ISSUER,), answers).proves(token(), WANTED)) is False


def test_a_key_of_a_sort_that_is_not_known_here_leaves_the_others_good() -> None:
    ci = CiSystem()
    ci.keys["keys"].insert(0, {"kty": "EC", "crv": "P-999", "kid": "odd", "x": "AA", "y": "AA"})
    assert proves(token(), token(kid="odd"), ci=ci) == [True, False]


def test_conditions_are_asked_for() -> None:
    with pytest.raises(ValueError, match="claims"):
        Oidc(issuer=ISSUER, audience=AUDIENCE, claims={})
