"""What proves a delivery: each forge's way, each way to be wrong, and that nothing rescues what is."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.api.integration import Provider
from gitintegration.hooks.verify import AGE, Verdict, Why, verify

TOKEN, OTHER, BODY, NOW = "a token of some length", "another token", b'{"ref": "refs/heads/main"}', 1_800_000_000.0


def mac(body: bytes = BODY, token: str = TOKEN) -> str:
    return hmac.new(token.encode(), body, hashlib.sha256).hexdigest()


def basic(token: str = TOKEN, user: str = "anybody") -> str:
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


def standard(body: bytes = BODY, key: bytes = TOKEN.encode(), at: float = NOW, name: str = "msg_1") -> dict[str, str]:
    moment = str(int(at))
    signed = hmac.new(key, f"{name}.{moment}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(signed).decode()}"
    return {"webhook-id": name, "webhook-timestamp": moment, "webhook-signature": signature}


PROOFS: dict[str, tuple[Callable[[str], dict[str, str]], Provider]] = {
    "github": (lambda t: {"x-hub-signature-256": f"sha256={mac(token=t)}", "x-hub-signature": "sha1=00"}, Provider.github),
    "gitea": (lambda t: {"x-gitea-signature": mac(token=t), "x-hub-signature-256": f"sha256={mac(token=t)}"}, Provider.gitea),
    "forgejo": (lambda t: {"x-forgejo-signature": mac(token=t), "x-gitea-signature": mac(token=t)}, Provider.gitea),
    "gitlab token": (lambda t: {"x-gitlab-token": t}, Provider.gitlab),
    "gitlab signed": (lambda t: standard(key=t.encode()), Provider.gitlab),
    "gitlab both": (lambda t: {"x-gitlab-token": t, **standard(key=t.encode())}, Provider.gitlab),
    "bitbucket": (lambda t: {"x-hub-signature": f"sha256={mac(token=t)}"}, Provider.bitbucket),
    "azure": (lambda t: {"authorization": basic(t)}, Provider.azuredevops),
    "data center, basic": (lambda t: {"authorization": basic(t)}, Provider.generic),
    "generic": (lambda t: {"x-signature": f"sha256={mac(token=t)}"}, Provider.generic),
}  # fmt: skip


def proven(
    headers: dict[str, str], provider: Provider, tokens: Sequence[str] = (TOKEN,), body: bytes = BODY
) -> Verdict:
    return verify(headers, body, tokens, provider, NOW)


@pytest.mark.parametrize("name", PROOFS)
def test_each_forge_proves_itself_in_its_own_way(name: str) -> None:
    made, provider = PROOFS[name]
    assert proven(made(TOKEN), provider)
    assert proven(made(TOKEN), provider).scheme in made(TOKEN)
    assert proven(made(OTHER), provider).why is Why.wrong
    assert proven(made(TOKEN), provider, [OTHER, TOKEN])  # while it is rotated
    assert proven(made(TOKEN), provider, [OTHER]).why is Why.wrong
    assert proven(made(TOKEN), provider, []).why is Why.unsigned
    assert proven(made(TOKEN), provider, [""]).why is Why.unsigned
    assert proven(made(""), provider, ["", TOKEN]).why is Why.wrong


@pytest.mark.parametrize(
    "name", [name for name in PROOFS if name not in ("gitlab token", "azure", "data center, basic")]
)
def test_a_signature_is_of_the_bytes_as_they_came(name: str) -> None:
    made, provider = PROOFS[name]
    for body in (b"", BODY + b"\n", BODY.replace(b" ", b""), BODY.replace(b"main", b"mainx")):
        assert proven(made(TOKEN), provider, body=body).why is Why.wrong


@pytest.mark.parametrize("name", PROOFS)
def test_one_that_is_there_and_wrong_is_not_rescued_by_another(name: str) -> None:
    good = {key: value for made, _ in PROOFS.values() for key, value in made(TOKEN).items()}
    assert proven(good, Provider.generic)
    made, _ = PROOFS[name]
    for header, value in made(OTHER).items():
        if header not in ("webhook-id", "webhook-timestamp") and not value.startswith("sha1="):
            assert proven({**good, header: value}, Provider.generic).why is Why.wrong, header


WRONG = {
    "empty": {"x-hub-signature-256": ""},
    "no prefix": {"x-hub-signature-256": mac()},
    "another prefix": {"x-hub-signature-256": f"sha512={mac()}"},
    "capitals": {"x-hub-signature-256": f"sha256={mac().upper()}"},
    "half": {"x-hub-signature-256": f"sha256={mac()[:32]}"},
    "more": {"x-hub-signature-256": f"sha256={mac()}0"},
    "another sort": {"x-hub-signature": f"md5={mac()}"},
    "a prefix at gitea": {"x-gitea-signature": f"sha256={mac()}"},
    "an empty token": {"x-gitlab-token": ""},
    "a longer token": {"x-gitlab-token": TOKEN + " "},
    "no ascii": {"x-gitlab-token": "\xff", "x-signature": "\xff"},
    "no base64": {"authorization": "Basic \xff"},
    "no password": {"authorization": "Basic " + base64.b64encode(TOKEN.encode()).decode()},
    "the token is the user": {"authorization": basic("", TOKEN)},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_only_looks_like_one_is_wrong(name: str) -> None:
    assert proven(WRONG[name], Provider.generic).why is Why.wrong


@pytest.mark.parametrize("headers", [{}, {"x-hub-signature": f"sha1={'0' * 40}"}, {"authorization": basic()}], ids=str)
def test_what_proves_nothing_is_unsigned(headers: dict[str, str]) -> None:
    assert proven(headers, Provider.github).why is Why.unsigned


@pytest.mark.parametrize(("off", "why"), [(0, None), (AGE - 1, None), (AGE + 1, Why.stale), (-AGE - 1, Why.stale)])
def test_a_signed_time_must_be_near(off: float, why: Why | None) -> None:
    assert proven(standard(at=NOW + off), Provider.gitlab).why is why


@pytest.mark.parametrize("moment", ["", "x", "-1", "1e9", "9" * 400, "٣"])
def test_a_time_that_is_none_is_refused(moment: str) -> None:
    signed = hmac.new(TOKEN.encode(), f"m.{moment}.".encode() + BODY, hashlib.sha256).digest()
    headers = {"webhook-id": "m", "webhook-timestamp": moment}
    headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
    assert not proven(headers, Provider.gitlab)


def test_of_several_signatures_one_must_fit_and_the_id_is_covered() -> None:
    good = standard()
    assert proven({**good, "webhook-signature": f"v1,AAAA {good['webhook-signature']} v2,x"}, Provider.gitlab)
    assert not proven({**good, "webhook-id": "another"}, Provider.gitlab)
    assert not proven({**good, "webhook-signature": good["webhook-signature"].removeprefix("v1,")}, Provider.gitlab)
    assert not proven(
        {**good, "webhook-signature": " ".join(["v1,x"] * 1000 + [good["webhook-signature"]])}, Provider.gitlab
    )


def test_a_signing_token_may_be_written_as_standard_webhooks_has_it() -> None:
    key = bytes(range(32))
    token = "whsec_" + base64.b64encode(key).decode()
    assert proven(standard(key=key), Provider.gitlab, [token])
    assert proven(standard(key=b"whsec_!"), Provider.gitlab, ["whsec_!"])


HEADERS = ["x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256", "x-hub-signature", "webhook-signature",
           "x-gitlab-token", "x-signature", "authorization", "webhook-id", "webhook-timestamp"]  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(HEADERS), st.text(st.characters(max_codepoint=255), max_size=80)),
    st.binary(max_size=50),
    st.sampled_from(Provider),
)
def test_nothing_that_is_made_up_proves_anything(headers: dict[str, str], body: bytes, provider: Provider) -> None:
    assert not verify(headers, body, [TOKEN, OTHER], provider, NOW)
