"""Whether a delivery is from somebody who knows the hook's token. Pure.

Each header that is a proof is looked at, and one that is wrong refuses the whole: nothing else that comes with it rescues it.
Raw bytes are compared, in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gitintegration.api.integration import Provider

Headers = Mapping[str, str]
"""Names in lower case."""
Body = bytes | bytearray
AGE = 300.0
"""Seconds by which a signed time may differ from ours."""
_SIGNATURES = 8
"""So many are looked at in one header."""


class Why(StrEnum):
    """Why a delivery is refused; the sender is never told which."""

    unknown = "unknown"
    unsigned = "unsigned"
    wrong = "wrong"
    stale = "stale"


@dataclass(frozen=True, slots=True)
class Verdict:
    """True where it is proven; else it says why not. `scheme` is the header that proved it, of several the first."""

    scheme: str = ""
    why: Why | None = None

    def __bool__(self) -> bool:
        return self.why is None


_Check = Callable[[str, Headers, Body, bytes, float], Why | None]


def verify(headers: Headers, body: Body, tokens: Sequence[str], provider: Provider, now: float) -> Verdict:
    """`tokens` are all that serve: two while they are rotated. `now` is in seconds since the epoch."""
    keys = [token.encode() for token in tokens if token]
    found = [(name, check) for name, check in _PROOFS.items() if name in headers and _counts(name, headers, provider)]
    if not found or not keys:
        return Verdict(why=Why.unsigned)
    for name, check in found:
        whys = [
            check(headers[name], headers, body, key, now) for key in keys
        ]  # each of them, so that none is told by time
        if None not in whys:
            return Verdict(why=Why.stale if Why.stale in whys else Why.wrong)
    return Verdict(found[0][0])


def _counts(name: str, headers: Headers, provider: Provider) -> bool:
    match name:
        case "authorization":  # elsewhere it is for what stands in front of the receiver
            basic = headers[name][:6].lower() == "basic "
            return provider is Provider.azuredevops or (provider is Provider.generic and basic)
        case "x-hub-signature":  # GitHub and Gitea send one by SHA-1 beside theirs, which proves nothing here
            return not headers[name].startswith("sha1=")
    return True


def _hex(prefix: str) -> _Check:
    def check(value: str, headers: Headers, body: Body, key: bytes, now: float) -> Why | None:
        given = value.removeprefix(prefix) if value.startswith(prefix) else ""
        return None if _same(given, hmac.new(key, body, "sha256").hexdigest()) else Why.wrong

    return check


def _token(value: str, headers: Headers, body: Body, key: bytes, now: float) -> Why | None:
    return None if hmac.compare_digest(value.encode("latin-1", "replace"), key) else Why.wrong


def _basic(value: str, headers: Headers, body: Body, key: bytes, now: float) -> Why | None:
    """The password is the token, whoever the user is."""
    scheme, _, encoded = value.partition(" ")
    try:
        _, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        password = b""
    return None if hmac.compare_digest(password, key) and scheme.lower() == "basic" else Why.wrong


def _standard(value: str, headers: Headers, body: Body, key: bytes, now: float) -> Why | None:
    """GitLab's signed form, as Standard Webhooks has it: it covers a time, so that nobody sends it again later."""
    moment = headers.get("webhook-timestamp", "")
    signed = f"{headers.get('webhook-id', '')}.{moment}.".encode() + body
    made = base64.b64encode(hmac.new(_standard_key(key), signed, "sha256").digest()).decode()
    same = [_same(one, f"v1,{made}") for one in value.split(" ")[:_SIGNATURES]]
    if not any(same) or not headers.get("webhook-id"):
        return Why.wrong
    late = not (moment.isascii() and moment.isdigit() and len(moment) < 16) or abs(int(moment) - now) > AGE
    return Why.stale if late else None


def _standard_key(key: bytes) -> bytes:
    if not key.startswith(b"whsec_"):
        return key
    try:
        return base64.b64decode(key.removeprefix(b"whsec_"), validate=True)
    except binascii.Error:
        return key


def _same(given: str, made: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), made.encode())


_PROOFS: dict[str, _Check] = {
    "x-forgejo-signature": _hex(""),
    "x-gitea-signature": _hex(""),
    "x-hub-signature-256": _hex("sha256="),
    "x-hub-signature": _hex("sha256="),
    "webhook-signature": _standard,
    "x-gitlab-token": _token,
    "x-signature": _hex("sha256="),
    "authorization": _basic,
}
"""By header: Forgejo, Gitea, GitHub, Bitbucket, GitLab in its two forms, the generic form, Azure DevOps."""
