"""Text from outside as it may be shown: a terminal that prints a status must not obey what a server or a file put into it."""

from __future__ import annotations

from typing import Any

_LATIN = "cp1252"
"""What text is that is not UTF-8 and does not say what it is, more often than anything else."""


def plain(text: str) -> str:
    """The text without control characters, escapes, and what turns the direction of writing; line ends are spaces."""
    if text.isprintable():
        return text
    return "".join(ch if ch.isprintable() else " " if ch.isspace() else "\ufffd" for ch in text)


def plain_values(value: Any) -> Any:
    """The same for every text of a JSON value, its keys aside."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {name: plain_values(inner) for name, inner in value.items()}
    return [plain_values(inner) for inner in value] if isinstance(value, list) else value


def decoded(raw: bytes, encoding: bytes | None = None) -> str:
    """Text of a commit: UTF-8, else what the commit says it is, else what it is likely to be."""
    for name in ("utf-8", (encoding or b"").decode("ascii", "replace"), _LATIN):
        try:
            return raw.decode(name)
        except (LookupError, ValueError):
            continue
    return raw.decode("latin-1")
