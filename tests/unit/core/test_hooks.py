"""The mark of a delivery, the keys of hooks, and when it is looked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.core.hooks import (
    PREFIX,
    RINGS,
    SECOND_LOOK,
    HookMark,
    Looks,
    hook_path,
    keys_text,
    read_keys,
    ring_of,
    usable,
)

AT = datetime(2026, 11, 28, 1, 2, 3, 456789, UTC)
A, B, C = ("a" * 40, "b" * 40, "c" * 40)


@given(st.text(max_size=70), st.text(max_size=70), st.integers(0, 1000))
def test_a_mark_is_read_as_it_was_written(commit: str, delivery: str, spread: int) -> None:
    mark = HookMark.parse(str(HookMark(AT, commit, delivery, spread)))
    assert mark
    assert mark.at == AT
    assert HookMark.parse(str(mark)) == mark


def test_a_mark_holds_what_it_should() -> None:
    mark = HookMark(AT, A, "72d3162e-cc78-11e3", 12)
    assert str(mark) == f"2026-11-28T01:02:03.456789Z commit={A} delivery=72d3162e-cc78-11e3 spread=12"
    assert HookMark.parse(str(mark)) == mark


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-28", str(HookMark(AT)) + " x=1", "9" * 25, str(HookMark(AT))[:-1], "x=1"]
)
def test_what_is_no_mark_is_none(text: str) -> None:
    assert HookMark.parse(text) is None


def test_paths_are_long_and_their_keys_lie_in_many_secrets() -> None:
    paths = [hook_path(f"uid-{n}") for n in range(500)]
    assert len(set(paths)) == 500
    assert all(path.startswith(PREFIX) and len(path) == len(PREFIX) + 64 for path in paths)
    assert {ring_of(path)[0] for path in paths} == set(RINGS)
    assert hook_path("uid-1") == hook_path("uid-1")


def test_keys_are_read_as_they_were_stored() -> None:
    assert read_keys(keys_text(("a", "b")).encode()) == ("a", "b")
    for odd in (b"", b"{}", b"[]", b'{"tokens": 7}', b'{"tokens": [7, null, ""]}', b"\xff"):
        assert read_keys(odd) == ()
    assert [usable(t) for t in ("x", "", "a\nb", "x" * 5000)] == [True, False, False, False]


def mark(commit: str = "") -> HookMark:
    return HookMark(AT, commit)


def test_a_push_that_is_seen_at_once_takes_one_look() -> None:
    looks = Looks()
    assert looks.hooked(mark(B), A, 100.0) == 0
    assert looks.looked(B, 100.2) is None
    assert looks.hooked(mark(B), B, 100.3) is None  # delivered again
    assert looks.hooked(mark(C), B, 100.4) == 0  # the next push waits for nothing


def test_a_hook_before_its_ref_is_looked_for_once_more_and_no_more() -> None:
    looks = Looks()
    assert looks.hooked(mark(B), A, 100.0) == 0
    assert looks.looked(A, 100.5) == pytest.approx(SECOND_LOOK - 0.5)
    assert looks.looked(A, 100.0 + SECOND_LOOK) is None


def test_one_that_names_no_commit_is_seen_where_the_branch_moved() -> None:
    looks = Looks()
    assert looks.hooked(mark(), A, 100.0) == 0
    assert looks.looked(B, 100.1) is None
    assert looks.hooked(mark(), B, 101.0) == 0
    assert looks.looked(B, 101.1) == pytest.approx(SECOND_LOOK - 0.1)


def test_a_storm_is_two_looks() -> None:
    """A thousand in a second, of which none is ever seen."""
    looks, due, done = Looks(), [0.0], 0
    for n in range(1000):
        now = 100 + n / 1000
        wait = looks.hooked(mark(f"{n:040x}"), A, now)
        assert wait is not None
        due.append(now + wait)
        if n % 100 == 0:  # a look ends now and then
            again = looks.looked(A, now)
            assert again is not None
    done = len({round(moment, 6) for moment in due[1:]})
    assert done == 2
    assert looks.looked(A, 100 + SECOND_LOOK) is None


def test_many_are_spread_by_chance() -> None:
    assert Looks().hooked(HookMark(AT, B, spread=20), A, 0.0, 0.5) == 10
