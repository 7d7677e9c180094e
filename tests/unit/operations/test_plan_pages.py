"""Pages fill and are bounded, and what can't be stored stands in nobody's way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gitintegration.core.plan.detail import ChangeDetail, FieldValue, FilePatch
from gitintegration.core.plan.plan import PlannedChange
from gitintegration.core.values import ObjectKey
from gitintegration.errors import ClusterUnavailable, Forbidden
from gitintegration.operations import plan_pages
from gitintegration.operations.plan_pages import PlanPages


def detail(number: int, patch: str = "") -> ChangeDetail:
    key = ObjectKey("g", "K", f"n{number}")
    made = PlannedChange(key, key.name, f"{key.name}.yaml", "update", ("spec.x",), "c")
    return ChangeDetail(made, [FieldValue("spec.x", "1", "2")], FilePatch(f"{key.name}.yaml", patch, 1, 1))


class Store:
    def __init__(self, error: Exception | None = None) -> None:
        self.pages: dict[int, Mapping[str, Any]] = {}
        self._error = error

    async def write(self, number: int, page: Mapping[str, Any]) -> None:
        if self._error:
            raise self._error
        self.pages[number] = {name: list(rows) for name, rows in page.items()}

    def names(self) -> list[str]:
        return [c["name"] for page in self.pages.values() for c in page.get("changes", ())]


async def test_a_plan_is_written_as_it_fills_and_over_one_before() -> None:
    store = Store()
    pages = PlanPages(store.write, "op")
    for _ in range(2):
        pages.begin()
        await pages.add([detail(n, "x" * 1000) for n in range(500)])
        told = (await pages.end())["plan"]
        assert told == {"name": "op", "pages": len(store.pages), "changes": 500}
        assert told["pages"] == 3
    assert store.names() == [f"n{n}" for n in range(500)]


async def test_what_is_too_much_is_left_out_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_pages, "_WHOLE", 20_000)
    store = Store()
    pages = PlanPages(store.write, "op")
    await pages.add([detail(n) for n in range(10)], [FilePatch(f"n{n}.yaml", "y" * 5000, 1, 1) for n in range(10)])
    await pages.add([detail(n) for n in range(10, 300)])
    told = (await pages.end())["plan"]
    assert (told["truncated"], told["changes"]) == (True, 300)
    files = [f for page in store.pages.values() for f in page.get("files", ())]
    assert sum("patch" in f for f in files) < len(files) == 10
    assert all(f["linesAdded"] == 1 for f in files)
    assert 10 < len(store.names()) < 300


async def test_a_pull_that_has_no_room_for_its_lines_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_pages, "_WHOLE", 20_000)
    store = Store()
    pages = PlanPages(store.write, "op")
    await pages.add([detail(n, "z" * 5000) for n in range(8)])
    assert (await pages.end())["plan"]["truncated"]
    assert store.names() == [f"n{n}" for n in range(8)]


def test_fields_of_a_change_are_bounded() -> None:
    made = detail(1).change
    many = [FieldValue(f"spec.{'x' * 5000}{n}", "1" * 200, "2" * 200) for n in range(2000)]
    page = ChangeDetail(made, many, FilePatch("p", "")).to_page(with_patch=True)
    assert page["fieldsTruncated"]
    assert all(len(field["field"]) <= 1024 for field in page["fields"])
    assert 50 < len(page["fields"]) < 100


async def test_a_plan_without_changes_has_no_page() -> None:
    store = Store()
    pages = PlanPages(store.write, "op")
    assert await pages.end() == {}
    assert store.pages == {}


async def test_what_cannot_be_stored_stands_in_nobodys_way() -> None:
    pages = PlanPages(Store(Forbidden("may not create gitoperationplans")).write, "op")
    await pages.add([detail(1)])
    assert await pages.end() == {}
    pages = PlanPages(Store(ClusterUnavailable("no answer")).write, "op")
    await pages.add([detail(1)])
    with pytest.raises(ClusterUnavailable):
        await pages.end()
