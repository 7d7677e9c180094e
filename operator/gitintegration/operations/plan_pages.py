"""The plan of an operation with values, in pages beside it: its status has no room for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson
import structlog

from gitintegration.commits import files
from gitintegration.core.plan.detail import ChangeDetail, FilePatch, Values, fields_of
from gitintegration.core.plan.plan import PlannedChange
from gitintegration.core.plan.policy import Side, write_to
from gitintegration.core.values import Json
from gitintegration.errors import ClusterError, ClusterUnavailable
from gitintegration.git.workers import Workers
from gitintegration.reconcile.item import Item

Write: TypeAlias = Callable[[int, Mapping[str, Any]], Awaitable[None]]
"""Stores a page, by its number from 1 on."""

_PAGE = 200_000
"""Bytes of a page, about. An object of the API server takes a little over a megabyte."""
_WHOLE = 8 << 20
"""Bytes of all pages: past that changes are told without their lines, and past twice that not at all."""
_SECONDS = 60.0


_log = structlog.get_logger("operations")


async def nowhere(number: int, page: Mapping[str, Any]) -> None:
    """Where nobody asked for pages."""


class PlanPages:
    """Written as they fill, so that memory does not follow the size of a plan."""

    def __init__(self, write: Write = nowhere, name: str = "") -> None:
        """`name`: of the pages, before their numbers."""
        self._write, self._name = write, name
        self.begin()

    def begin(self) -> None:
        """A plan from its start; pages of one before it are written over."""
        self._number, self._size, self._all, self._count = 0, 0, 0, 0
        self._changes: list[dict[str, Any]] = []
        self._files: list[dict[str, Any]] = []
        self._fields: list[dict[str, Any]] = []
        self._truncated = False
        self._refused = ""

    @property
    def wanted(self) -> bool:
        return self._write is not nowhere

    async def add(self, changes: Sequence[ChangeDetail], patches: Sequence[FilePatch] = ()) -> None:
        """`patches`: of the files that these changes are of; where there are none, of the objects."""
        for detail in changes:
            self._count += 1
            has_room = self._all < _WHOLE
            self._truncated |= not (patches or has_room)
            await self._take(self._changes, detail.to_page(with_patch=not patches and has_room))
        for patch in patches:
            told = patch.to_page()
            if self._all >= _WHOLE:
                told.pop("patch", None)
                self._truncated = True
            await self._take(self._files, told)

    async def tell(self, fields: Sequence[dict[str, Any]]) -> None:
        """Fields with where they come from."""
        for field in fields:
            await self._take(self._fields, field)

    async def _take(self, rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
        size = len(orjson.dumps(row))
        if self._all + size > 2 * _WHOLE:
            self._truncated = True
            return
        if self._size and self._size + size > _PAGE:
            await self._flush()
        self._size += size
        self._all += size
        rows.append(row)

    async def _flush(self) -> None:
        self._number += 1
        named = (("changes", self._changes), ("files", self._files), ("fields", self._fields))
        page = {name: rows for name, rows in named if rows}
        if not self._refused:
            try:
                await self._write(self._number, page)
            except ClusterUnavailable:
                raise
            except ClusterError as error:  # its kind is not installed, say: no reason not to do what was asked for
                self._refused = error.message
        for rows in (self._changes, self._files, self._fields):
            rows.clear()
        self._size = 0

    async def end(self) -> dict[str, Any]:
        """Store what is left. Gives what the status tells of the plan; nothing where it has no changes."""
        if self._size:
            await self._flush()
        if self._refused:
            _log.warning("the plan can't be stored", plan=self._name, error=self._refused)
        if not self._number or not self.wanted or self._refused:
            return {}
        told: dict[str, Any] = {"name": self._name, "pages": self._number, "changes": self._count}
        return {"plan": told | ({"truncated": True} if self._truncated else {})}


async def object_details(
    workers: Workers, items: Sequence[Item], changes: Sequence[PlannedChange]
) -> list[ChangeDetail]:
    """Of changes of the cluster, one for each item: their fields, and their lines as YAML."""
    values, found = [values_of(item, Side.cluster) for item in items], list[FilePatch]()
    rows = [
        Values.of(f"{item.key.kind}/{item.key.name}", *each, item.kind.redaction)
        for item, each in zip(items, values, strict=True)
    ]
    while len(found) < len(rows):
        found += await workers.run(_SECONDS, files.object_patches, rows[len(found) :])
    return [
        _detail(item, change, before, after, lines)
        for item, change, (before, after), lines in zip(items, changes, values, found, strict=True)
    ]


def file_details(
    items: Sequence[Item],
    changes: Sequence[PlannedChange],
    values: Sequence[tuple[Json | None, Json | None]],
    patches: Sequence[FilePatch],
) -> list[ChangeDetail]:
    """Of changes of files, one for each item, with what each was and will be; the lines are those of its file."""
    by_path = {patch.path: patch for patch in patches}
    return [
        _detail(item, change, before, after, by_path.get(change.path, FilePatch(change.path, "")))
        for item, change, (before, after) in zip(items, changes, values, strict=True)
    ]


def values_of(item: Item, side: Side) -> tuple[Json | None, Json | None]:
    """What the side holds of an item that is written there, and is to hold."""
    write = write_to(item.decision, side)
    assert write is not None
    return item.git_view if side is Side.git else (item.live.view if item.live else None), write.value


def _detail(
    item: Item, change: PlannedChange, before: Json | None, after: Json | None, lines: FilePatch
) -> ChangeDetail:
    fields = fields_of(before, after, item.kind.schema.list_keys, item.kind.redaction)
    return ChangeDetail(change, fields, lines)
