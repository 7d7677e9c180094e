"""The short form of `make soak`, in every run of the tests."""

from __future__ import annotations

from tests.soak.__main__ import soak


def test_nothing_is_lost_while_everything_fails() -> None:
    assert soak(minutes=3.0, seed=7, integrations=2) == []
