"""A plan with values: of each change every field with what it was and what it will be, and the lines that come and go.

Bounded, and without what is redacted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from gitintegration.core.diff import ABSENT, ORDER, Change, ListKeys, diff, format_path
from gitintegration.core.plan.line_patch import line_patch
from gitintegration.core.plan.plan import PlannedChange
from gitintegration.core.redaction import Redaction, Secret
from gitintegration.core.values import Json, to_bytes
from gitintegration.core.yaml_render import render

LARGEST_PATCH = 64 << 10
"""Characters of a patch that is shown."""
_FIELDS, _FIELDS_SIZE = 500, 100_000
"""Of a change that are shown, and characters of all of them."""
_NAME = 1024
"""Characters of the name of a field."""


def field_name(name: str) -> str:
    """Of a field, as a page has room for it."""
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


@dataclass(frozen=True, slots=True)
class FieldValue:
    """One field; None: it is not there."""

    field: str
    old: str | None
    new: str | None

    def to_page(self) -> dict[str, str]:
        told = {"field": field_name(self.field), "old": self.old, "new": self.new}
        return {name: text for name, text in told.items() if text is not None}


@dataclass(frozen=True, slots=True)
class FilePatch:
    """What becomes of one file. `withheld`: why its lines are not shown."""

    path: str
    patch: str
    added: int = 0
    removed: int = 0
    withheld: str = ""

    @classmethod
    def between(cls, path: str, old: str | None, new: str | None) -> FilePatch:
        made = line_patch(path, old, new)
        if len(made.text) > LARGEST_PATCH:
            return cls(path, "", made.added, made.removed, f"longer than {LARGEST_PATCH >> 10} KiB")
        return cls(path, made.text, made.added, made.removed)

    def to_page(self) -> dict[str, Any]:
        told = {"path": self.path, "linesAdded": self.added, "linesRemoved": self.removed}
        return told | {n: text for n, text in (("patch", self.patch), ("withheld", self.withheld)) if text}


@dataclass(frozen=True, slots=True)
class ChangeDetail:
    """One change with its fields; `lines`: of the object, before and after."""

    change: PlannedChange
    fields: Sequence[FieldValue]
    lines: FilePatch

    @property
    def counted(self) -> PlannedChange:
        """The change with its lines."""
        return replace(self.change, lines=(self.lines.added, self.lines.removed))

    def to_page(self, *, with_patch: bool) -> dict[str, Any]:
        fields, size = list[dict[str, str]](), 0
        for value in self.fields[:_FIELDS]:
            fields.append(row := value.to_page())
            size += sum(map(len, row.values()))
            if size > _FIELDS_SIZE:
                break
        told: dict[str, Any] = self.change.to_status() | {"fields": fields}
        told |= {"linesAdded": self.lines.added, "linesRemoved": self.lines.removed}
        if len(self.fields) > len(fields):
            told["fieldsTruncated"] = True
        shown = {"patch": self.lines.patch, "withheld": self.lines.withheld} if with_patch else {}
        return told | {name: text for name, text in shown.items() if text}


@dataclass(frozen=True, slots=True)
class Values:
    """An object before and after a change, as it may be shown: JSON, for a worker."""

    path: str
    before: bytes | None
    after: bytes | None

    @classmethod
    def of(cls, path: str, before: Json | None, after: Json | None, redaction: Redaction) -> Values:
        shown = (None if value is None else to_bytes(redaction.hidden(value)) for value in (before, after))
        return cls(path, *shown)

    def patch(self) -> FilePatch:
        """What changes of it as YAML."""
        texts = (
            None if value is None else render(orjson.loads(value), ".yaml").decode()
            for value in (self.before, self.after)
        )
        return FilePatch.between(self.path, *texts)


def fields_of(before: Json | None, after: Json | None, list_keys: ListKeys, redaction: Redaction) -> list[FieldValue]:
    """What every field was and will be; None is no object, whose fields all come or go."""
    if before is None or after is None:
        changes = [Change(c.path, c.new, ABSENT) for c in diff({}, before)] if before is not None else diff({}, after)
    else:
        changes = diff(before, after, list_keys)
    return [
        FieldValue(format_path(c.path), *(redaction.shown(c.path, value) for value in (c.old, c.new)))
        for c in changes
        if c.path[-1:] != (ORDER,)
    ]


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is not to be shown of a file, before and after."""

    before: Sequence[Secret] = ()
    after: Sequence[Secret] = ()
    unknown: bool = False
    """Whether it may hold others."""

    def patch(self, path: str, before: bytes | None, after: bytes | None) -> FilePatch:
        """What becomes of a file, without them."""
        try:
            texts = [None if source is None else source.decode() for source in (before, after)]
        except UnicodeDecodeError:
            return FilePatch(path, "", withheld="not UTF-8")
        if self.unknown:
            return self._withheld(path, texts)
        shown = [_without(text, secrets) for text, secrets in zip(texts, (self.before, self.after), strict=True)]
        made = FilePatch.between(path, *shown)
        if shown.count(None) == texts.count(None):
            return made
        return self._withheld(path, texts)

    @staticmethod
    def _withheld(path: str, texts: Sequence[str | None]) -> FilePatch:
        counts = line_patch(path, *texts)
        words = "it may hold a value that is not to be shown, and that can't be told from others"
        return FilePatch(path, "", counts.added, counts.removed, words)


def _without(text: str | None, secrets: Sequence[Secret]) -> str | None:
    for secret in sorted(secrets, key=lambda each: len(each.text), reverse=True):
        text = text and secret.concealed_in(text)
    return text
