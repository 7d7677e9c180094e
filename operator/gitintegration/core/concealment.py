"""Credentials taken out of words that somebody else said: a server may repeat what it was sent."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_SHORTEST = 6
"""Characters. What is shorter is no secret, and would take words apart that have nothing to do with it."""


def conceal(text: str, secrets: Iterable[str]) -> str:
    """`text` without `secrets`: as they are, line by line, URL-encoded, and in base64."""
    for form in sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def _forms(secret: str) -> Iterable[str]:
    lines = {line.strip() for line in secret.splitlines() if not line.startswith("-----")}
    for value in {secret, *lines}:
        if len(value) >= _SHORTEST:
            encoded = base64.b64encode(value.encode()).decode()
            yield from (value, quote(value, safe=""), quote_plus(value), encoded, encoded.rstrip("="))
