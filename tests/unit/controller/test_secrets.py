"""What a Secret's keys hold, however their editor ended the lines."""

from __future__ import annotations

from base64 import b64encode

import pytest

from gitintegration.controller.secrets import read_secret


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("token", "token"),
        ("token\n", "token"),
        ("token\r\n", "token"),
        ("a\r\nb\r\n", "a\nb\n"),
        (" with blanks ", " with blanks "),
    ],
)
def test_the_end_of_a_line_is_no_part_of_a_credential(written: str, meant: str) -> None:
    metadata = {"uid": "1", "resourceVersion": "1", "name": "git"}
    found = {"type": "Opaque", "metadata": metadata, "data": {"password": b64encode(written.encode()).decode()}}
    assert read_secret(found, "git").data["password"] == meant
