"""Times and credentials as commands are given them."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitintegration.commands.confirm import wanted
from gitintegration.commands.login import Given, LoginFlags, given, secret_of
from gitintegration.commands.suspend import end_of
from gitintegration.errors import GitIntegrationError
from gitintegration.git.url import parse_url

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
HTTPS, SSH = parse_url("https://git.example.com/a/b.git"), parse_url("git@git.example.com:a/b.git")


@pytest.mark.parametrize(
    ("duration", "time", "end"),
    [
        (None, None, None),
        ("2h", None, "2026-11-27T14:00:00Z"),
        ("1h30m", None, "2026-11-27T13:30:00Z"),
        (None, "2026-12-24T18:00:00Z", "2026-12-24T18:00:00Z"),
        (None, "2026-12-24t18:00:00z", "2026-12-24T18:00:00Z"),
        (None, "2026-12-24T18:00:00+02:00", "2026-12-24T16:00:00Z"),
        (None, "2026-12-24 18:00+02:00", "2026-12-24T16:00:00Z"),
    ],
)
def test_ends(duration: str | None, time: str | None, end: str | None) -> None:
    assert end_of(duration, time, NOW) == end


@pytest.mark.parametrize(
    ("duration", "time"),
    [
        ("2 h", None),
        ("", None),
        ("0s", None),
        (None, ""),
        (None, "soon"),
        (None, "2026-11-27T12:00:00Z"),
        ("1h", "2027-01-01T00:00:00Z"),
    ],
)
def test_no_ends(duration: str | None, time: str | None) -> None:
    with pytest.raises(GitIntegrationError):
        end_of(duration, time, NOW)


def test_which_of_what_is_held() -> None:
    held = [{"digest": "a"}, {"digest": "b"}]
    assert wanted(held, ()) == held
    assert wanted(held, ("b",)) == held[1:]
    assert wanted(held, ("b", "c")) is None
    assert wanted([], ("c",)) is None
    assert wanted([], ()) == []


def test_credentials_of_files_and_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    (tmp_path / "empty").write_text(" \n")
    flags = LoginFlags(token_file=str(tmp_path / "token"))
    found = given(flags, HTTPS, stored=False)
    assert found
    assert found.data == {"token": "hunter2"}
    assert "hunter2" not in repr(found)
    named = given(LoginFlags(token_file=flags.token_file, username="ann"), HTTPS, stored=True)
    assert named == Given(data={"username": "ann", "password": "hunter2"})
    monkeypatch.setattr(sys, "stdin", io.StringIO("from stdin\n"))
    assert given(LoginFlags(token_file="-"), HTTPS, stored=False) == Given(data={"token": "from stdin"})
    assert given(LoginFlags(secret="git"), SSH, stored=False) == Given("git")
    assert given(LoginFlags(anonymous=True), HTTPS, stored=True) == Given()
    assert given(LoginFlags(), HTTPS, stored=True) is None
    assert given(LoginFlags(), SSH, stored=True) is None
    (tmp_path / "key").write_text("KEY")
    key = LoginFlags(identity_file=tmp_path / "key", known_hosts_file=tmp_path / "token")
    assert given(key, SSH, stored=False) == Given(data={"identity": "KEY", "known_hosts": "hunter2\n"})
    for bad, url in (
        (LoginFlags(), HTTPS),
        (LoginFlags(), SSH),
        (LoginFlags(identity_file=tmp_path / "key"), SSH),
        (LoginFlags(token_file=str(tmp_path / "none")), HTTPS),
        (LoginFlags(token_file=str(tmp_path / "empty")), HTTPS),
    ):
        with pytest.raises(GitIntegrationError) as told:
            given(bad, url, stored=False)
        assert "hunter2" not in told.value.message


def test_a_secret_is_for_one_host() -> None:
    made = secret_of("x", {"token": "t"}, "git.example.com", {"annotations": {"a": "b"}})
    assert made["metadata"]["annotations"] == {"planasonix.com/allowed-hosts": "git.example.com", "a": "b"}
    assert made["data"] == {"token": "dA=="}
