"""When a spec has all syncing suspended: by its values and the clock alone."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.api.base_model import read_spec
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.api.suspension import is_suspended
from gitintegration.errors import Reason, SpecError

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
URL = {"repositoryURL": "https://git.example.com/acme/pipelines.git"}


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, 0.0),
        ({"enabled": True}, 0.0),
        ({"enabled": False}, math.inf),
        ({"suspend": None}, 0.0),
        ({"suspend": {"reason": "move"}}, math.inf),
        ({"suspend": {"reason": "move", "until": None}}, math.inf),
        ({"suspend": {"reason": "move", "until": "2026-11-27T12:00:01Z"}}, 1.0),
        ({"suspend": {"reason": "move", "until": "2026-11-27T14:30:00.500+02:00"}}, 1800.5),
        ({"suspend": {"reason": "move", "until": "2026-11-27T12:00:00Z"}}, 0.0),
        ({"suspend": {"reason": "move", "until": "2026-11-27T11:59:59Z"}}, 0.0),
        ({"suspend": {"reason": "move", "until": "2026-11-27T11:59:59-00:01"}}, 59.0),
        ({"enabled": False, "suspend": {"reason": "move", "until": "2026-11-27T11:00:00Z"}}, math.inf),
    ],
)
def test_how_long_it_is_suspended(spec: dict[str, Any], seconds: float) -> None:
    whole = {**URL, **spec}
    assert read_spec(GitIntegrationSpec, whole).suspended_for(NOW) == seconds
    assert is_suspended(whole, NOW) is (seconds > 0)


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_the_ends_of_time_are_times(until: str) -> None:
    spec = {**URL, "suspend": {"reason": "move", "until": until}}
    assert is_suspended(spec, NOW) is until.startswith("9")


@pytest.mark.parametrize(
    "suspend",
    [
        {},
        {"until": "2026-11-27T12:00:00Z"},
        {"reason": ""},
        {"reason": "x" * 513},
        {"reason": 5},
        {"reason": "move", "until": ""},
        {"reason": "move", "until": "tomorrow"},
        {"reason": "move", "until": "2026-11-27"},
        {"reason": "move", "until": "2026-11-27T12:00:00"},
        {"reason": "move", "until": "2026-11-27 12:00:00Z"},
        {"reason": "move", "until": "2026-13-27T12:00:00Z"},
        {"reason": "move", "until": "2026-12-31T23:59:60Z"},
        {"reason": "move", "until": "2026-11-27T12:00:00+99:00"},
        {"reason": "move", "until": "2026-11-27T12:00:00Z\n"},
        {"reason": "move", "until": 1},
        {"reason": "move", "unti": "2026-11-27T12:00:00Z"},
        "move",
        [],
    ],
)
def test_what_is_no_suspension_is_told_and_syncs_nothing(suspend: Any) -> None:
    with pytest.raises(SpecError) as told:
        read_spec(GitIntegrationSpec, {**URL, "suspend": suspend})
    assert told.value.reason is Reason.InvalidSpec
    assert "spec.suspend" in told.value.message
    assert is_suspended({"suspend": suspend}, NOW)


@given(st.text(max_size=64))
def test_any_text_is_a_time_or_told(text: str) -> None:
    assert is_suspended({"suspend": {"reason": "move", "until": text}}, NOW) in (True, False)


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-3, 3))
def test_it_ends_at_its_end(until: datetime, seconds: int) -> None:
    until = until.replace(microsecond=0)
    try:
        now = until + timedelta(seconds=seconds)
    except OverflowError:
        return
    spec = {"suspend": {"reason": "move", "until": until.isoformat().replace("+00:00", "Z")}}
    assert is_suspended(spec, now) is (seconds < 0)
