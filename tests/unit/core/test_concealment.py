"""No form of a credential stays in words that a server said."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.core.concealment import conceal
from gitintegration.errors import Reason, RemoteError
from gitintegration.git.remote import Auth, Basic, Proxy, Remote, SshKey
from gitintegration.git.url import parse_url


@given(
    st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=6, max_size=40), st.text(), st.text()
)
def test_no_form_stays(secret: str, before: str, after: str) -> None:
    for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()):
        assert form not in conceal(f"{before} {form} {after}", [secret]) or form in "***"


def test_words_beside_it_stay() -> None:
    assert conceal("user ann with pass-word!9 at 10:00", ["pass-word!9", "a", ""]) == "user ann with *** at 10:00"


def test_an_error_that_leaves_a_remote_tells_none() -> None:
    key = b"-----BEGIN OPENSSH PRIVATE KEY-----\nabcdefghijkl\nmnopqrstuvwx\n-----END OPENSSH PRIVATE KEY-----\n"
    proxy = Proxy("http://proxy:3128", "me", "proxy-pass")
    basic = base64.b64encode(b"ann:hunter-22").decode()
    cases: list[tuple[Auth, str]] = [
        (Basic("ann", "hunter-22"), f"you sent hunter-22, as {basic}, by me:proxy-pass"),
        (SshKey(key, b"known", "phrase-1"), "mnopqrstuvwx and phrase-1"),
    ]
    for auth, said in cases:
        remote = Remote(parse_url("https://git.example/r"), auth, proxy=proxy)
        with pytest.raises(RemoteError) as caught, remote.concealed():
            raise RemoteError(Reason.PushRejected, f"it says: {said}")
        told = f"{caught.value.message} {caught.value}"
        assert not [x for x in ("hunter", basic, "proxy-pass", "mnop", "phrase") if x in told], told
        assert told.startswith("it says: ")
