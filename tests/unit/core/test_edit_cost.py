"""What edits of one file cost follows the file's size, whatever is edited in it: counted in calls, so that no clock matters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from gitintegration.core.values import Json
from gitintegration.core.yaml_edit import Location, edit_file
from gitintegration.core.yaml_read import ReadLimits, read_documents

LIMITS = ReadLimits(size=8 << 20, nodes=4_000_000)
Case = Callable[[int], tuple[str, dict[Location, Json]]]


def _document(number: int) -> str:
    return f"# the {number}th\napiVersion: v1\nkind: K\nmetadata:\n  name: n{number}\nspec:\n  a: {number}  # its own\n  b: [x, y]\n"


def _of(text: str, change: Callable[[int, Json], Json]) -> dict[Location, Json]:
    values = read_documents(text.encode(), LIMITS)
    return {Location(number): change(number, value) for number, value in enumerate(values)}


def every_document(size: int) -> tuple[str, dict[Location, Json]]:
    text = "---\n".join(_document(number) for number in range(size))
    return text, _of(text, lambda number, value: {**value, "spec": {**value["spec"], "a": f"new {number}"}})


def one_of_many(size: int) -> tuple[str, dict[Location, Json]]:
    text, changes = every_document(size)
    return text, {Location(size // 2): changes[Location(size // 2)]}


def removals(size: int) -> tuple[str, dict[Location, Json]]:
    text = "---\n".join(_document(number) for number in range(size))
    return text, {Location(number): None for number in range(0, size, 2)}


def equal_items(size: int) -> tuple[str, dict[Location, Json]]:
    text = "kind: K\nitems:\n" + "- {a: 1}\n" * size
    return text, _of(text, lambda _, value: {**value, "items": [*value["items"][: size // 2], {"a": 2}]})


def added_keys(size: int) -> tuple[str, dict[Location, Json]]:
    text = "kind: K\nspec:\n  a: 1\n"
    return text, _of(text, lambda _, value: {**value, "spec": {"a": 1, **{f"k{n}": n for n in range(size)}}})


def renamed_items(size: int) -> tuple[str, dict[Location, Json]]:
    text = "kind: K\nsteps:\n" + "".join(f"- name: s{n}\n  run: x\n" for n in range(size))
    return text, _of(
        text, lambda _, value: {**value, "steps": [{**s, "name": f"{s['name']}x"} for s in value["steps"]]}
    )


def some_of_many(size: int) -> tuple[str, dict[Location, Json]]:
    text, changes = every_document(size)
    return text, {Location(number): changes[Location(number)] for number in range(0, size, 10)}


def _counted(run: Callable[[], Any], name: str = "") -> tuple[Any, int]:
    """What it gives, and how often functions of that name are called meanwhile; all, without one."""
    count = 0

    def trace(frame: Any, event: str, _: Any) -> None:
        nonlocal count
        count += not name or (event == "call" and frame.f_code.co_name == name)

    sys.setprofile(trace)
    try:
        return run(), count
    finally:
        sys.setprofile(None)


def _calls(case: Case, size: int) -> int:
    text, changes = case(size)
    made, count = _counted(lambda: edit_file(text.encode(), "x.yaml", changes, LIMITS))
    wanted = [changes.get(Location(n), v) for n, v in enumerate(read_documents(text.encode(), LIMITS))]
    assert made.source is not None
    assert read_documents(made.source, LIMITS) == [value for value in wanted if value is not None]
    return count


@pytest.mark.parametrize(
    "case",
    [every_document, one_of_many, some_of_many, removals, equal_items, added_keys, renamed_items],
    ids=lambda case: case.__name__,
)
def test_four_times_the_file_takes_about_four_times_the_work(case: Case) -> None:
    small, large = _calls(case, 60), _calls(case, 240)
    assert large <= 5.5 * small + 2000, (small, large)


@pytest.mark.parametrize(("case", "parses"), [(one_of_many, 1.05), (some_of_many, 1.15), (every_document, 2.1)])
def test_an_edit_parses_what_it_edits_and_reads_the_result_once(case: Case, parses: float) -> None:
    """Counted in the events of parsers, which are what a parse costs."""
    text, changes = case(400)
    _, once = _counted(lambda: read_documents(text.encode(), LIMITS), "take")
    _, events = _counted(lambda: edit_file(text.encode(), "x.yaml", changes, LIMITS), "take")
    assert 20 * 400 < once < events <= parses * once
