"""What is remembered of pull requests, and what a status that holds anything makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.checks.memory import SHOWN, CheckMemory, Known
from gitintegration.core.checks.findings import CheckState, Verdict
from gitintegration.forge.checks import OpenPull

A, B = "a" * 40, "b" * 40


def pull(number: int, commit: str = A) -> OpenPull:
    return OpenPull(number, f"https://git.example.com/pulls/{number}", f"feature/{number}", commit, fork=False)


def judged(number: int = 1) -> Known:
    known = Known(number, "https://git.example.com/pulls/1", A)
    known.judge(A, B, Verdict(CheckState.failure, "1 conflict"), "2026-01-01T00:00:00Z")
    known.told, known.commented, known.comment = known.mark, "c0ffee", "7"
    return known


def test_the_next_process_knows_what_was_told() -> None:
    before = judged()
    after = Known.of(before.to_status())
    assert after.to_status() == before.to_status()
    assert (after.told, after.commented, after.comment) == (before.told, "c0ffee", "7")
    assert after.mark == before.told, "it would be told again"


@pytest.mark.parametrize("told", ["", "a1"])
@pytest.mark.parametrize("commented", ["", "b2"])
@pytest.mark.parametrize("rest", ["", "c3"])
def test_each_of_the_digests_is_read_back_as_itself(told: str, commented: str, rest: str) -> None:
    known = judged()
    known.told, known.commented, known.rest = told, commented, rest
    after = Known.of(known.to_status())
    assert (after.told, after.commented, after.rest) == (told, commented, rest)


def test_when_it_was_found_first_stays() -> None:
    known = judged()
    known.judge(A, A, Verdict(CheckState.failure, "1 conflict"), "2027-01-01T00:00:00Z")
    assert (known.base, known.found_at) == (B, "2026-01-01T00:00:00Z")
    known.judge(A, A, Verdict(CheckState.success, "well"), "2027-01-01T00:00:00Z")
    assert (known.base, known.found_at) == (A, "2027-01-01T00:00:00Z")


def test_another_head_is_looked_at_anew_and_those_that_went_are_told() -> None:
    memory = CheckMemory()
    assert memory.take([pull(1), pull(2)]) == []
    for known in memory.known.values():
        known.ground, known.looked = ("something",), 100.0
    (gone,) = memory.take([pull(1, B)])
    assert gone.number == 2
    assert memory.known[1].ground is None
    assert memory.known[1].looked < 0
    assert memory.take([pull(1, B[:12])]) == [gone]  # it is asked again until somebody says what became of it
    assert memory.known[1].head == B[:12]


def test_the_newest_are_told() -> None:
    memory = CheckMemory()
    memory.take([pull(number) for number in range(1, 60)])
    rows = memory.to_status()
    assert [row["number"] for row in rows] == list(range(59, 59 - SHOWN, -1))


def test_of_others_the_next_process_knows_what_was_told() -> None:
    """No row, and so nothing that it could show; and nothing of those that are open no more."""
    memory = CheckMemory()
    pulls = [pull(number) for number in range(1, 200)]
    memory.take(pulls)
    for known in memory.known.values():
        known.judge(A, B, Verdict(CheckState.success, "well"), "2026-01-01T00:00:00Z")
        known.told, known.commented, known.comment = known.mark, "c" * 16, "7/8"
    lines = memory.beyond()
    assert [int(line.split()[0]) for line in lines] == list(range(199 - SHOWN, 99 - SHOWN, -1))
    later = CheckMemory.of({"pullRequests": memory.to_status(), "pullRequestsTold": lines})
    assert (later.to_status(), later.beyond()) == (memory.to_status(), lines)
    assert later.take([each for each in pulls if each.number != 150]) == []
    known = later.known[151]
    assert (known.url, known.told, known.commented, known.comment) == (
        "https://git.example.com/pulls/151",
        memory.known[151].mark,
        "c" * 16,
        "7/8",
    )
    assert 150 not in later.known


@pytest.mark.parametrize("lines", [["x"], ["1"], ["x a b"], [""], [1], ["1 a"], [None]])
def test_a_line_that_is_none_is_left_out(lines: list[Any]) -> None:
    assert CheckMemory.of({"pullRequestsTold": lines}).known == {}


_rows = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["number", "url", "head", "state", "digest", "comment", "merged"]), inner)
    ),
    max_leaves=20,
)


@given(_rows)
def test_a_status_that_holds_anything_is_no_harm(rows: Any) -> None:
    memory = CheckMemory.of({"pullRequests": rows if isinstance(rows, list) else [rows]})
    assert isinstance(memory.to_status(), list)


@pytest.mark.parametrize("row", [{}, {"number": "x"}, {"number": 1, "url": "", "head": A, "state": "great"}])
def test_a_row_that_is_none_is_left_out(row: Any) -> None:
    assert CheckMemory.of({"pullRequests": [row]}).known == {}
