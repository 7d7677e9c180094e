"""Text from outside, as it is shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gitintegration.core.status import InvalidEntry, Outcome, build_status
from gitintegration.core.text import decoded, plain, plain_values
from gitintegration.errors import Reason, RemoteError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("push declined: Größe", "push declined: Größe"),
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("a\r\nb\tc", "a  b c"),
        ("bell\x07 del\x7f c1\x9b", "bell\ufffd del\ufffd c1\ufffd"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("日本", "日本"),
    ],
)
def test_what_a_terminal_would_obey_is_not_shown(text: str, shown: str) -> None:
    assert plain(text) == shown
    assert plain_values({"a": [text, 1, None, {"b": text}]}) == {"a": [shown, 1, None, {"b": shown}]}


def test_no_control_character_of_a_server_or_a_file_stands_in_a_status() -> None:
    evil = "\x1b]0;owned\x07"
    outcome = Outcome(
        1,
        "Bidirectional",
        error=RemoteError(Reason.PushRejected, f"it says: {evil}", retry=True),
        invalid=[InvalidEntry(f"p/{evil}.yaml", "NotYAML", evil)],
        history=[{"sha": "1", "message": evil, "author": evil, "pipelinesTouched": [evil]}],
    )
    status = build_status({}, outcome, datetime(2026, 1, 1, tzinfo=UTC))
    assert not {"\x1b", "\x07"} & set(_texts(status))
    assert build_status(status, outcome, datetime(2026, 1, 1, tzinfo=UTC)) == status


def test_a_public_key_in_a_status_has_its_lines() -> None:
    key = {"type": "openpgp", "fingerprint": "1", "publicKey": "-----BEGIN\n\nAAAA\n=AAAA\n-----END\n"}
    told = build_status({}, Outcome(1, "Bidirectional", signing_key=key), datetime(2026, 1, 1, tzinfo=UTC))
    assert told["signingKey"] == key


def _texts(value: object) -> str:
    if isinstance(value, dict):
        return "".join(map(_texts, value.values()))
    return "".join(map(_texts, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize(
    ("raw", "encoding", "text"),
    [
        ("Größe".encode(), None, "Größe"),
        ("Größe".encode("latin-1"), None, "Größe"),
        ("Größe".encode("latin-1"), b"ISO-8859-1", "Größe"),
        ("日本".encode("shift-jis"), b"SHIFT-JIS", "日本"),
        ("Größe".encode("latin-1"), b"no-such-thing", "Größe"),
        ("a\x81".encode("latin-1"), b"\xff", "a\x81"),
    ],
)
def test_the_texts_of_a_commit(raw: bytes, encoding: bytes | None, text: str) -> None:
    assert decoded(raw, encoding) == text
