"""What an operation is about to do, as a value: told by a dry run, named by its digest, carried out as it stands."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gitintegration.core.bounds import bounded
from gitintegration.core.diff import ListKeys, diff, format_path
from gitintegration.core.status import SHOWN, ConflictEntry, told_conflicts
from gitintegration.core.text import plain
from gitintegration.core.values import Json, ObjectKey, digest_of

CHANGES_SHOWN = 200


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What becomes of one pipeline on the side that is written. `content` names its value afterwards, `replaced` that before; empty: none."""

    key: ObjectKey
    id: str
    path: str
    action: str
    fields: tuple[str, ...]
    content: str
    merged: bool = False
    replaced: str = ""
    """It takes changes of both sides."""
    lines: tuple[int, int] | None = field(default=None, compare=False)
    """Those that its file gets and loses, or its object as YAML, where that was looked at."""

    @classmethod
    def of(
        cls,
        key: ObjectKey,
        pipeline_id: str,
        path: str,
        before: Json | None,
        after: Json | None,
        list_keys: ListKeys,
        *,
        merged: bool = False,
    ) -> PlannedChange:
        """From the value that the side holds now to the one that it will hold; None is none."""
        action = "create" if before is None else "delete" if after is None else "update"
        fields: tuple[str, ...] = ()
        if action == "update":
            fields = tuple(dict.fromkeys(format_path(change.path) for change in diff(before, after, list_keys)))
        return cls(key, pipeline_id, path, action, fields, _digest(after), merged, _digest(before))

    def to_status(self) -> dict[str, Any]:
        told = {"kind": self.key.kind, "name": self.key.name, "id": self.id, "path": self.path, "action": self.action}
        lines = {"linesAdded": self.lines[0], "linesRemoved": self.lines[1]} if self.lines else {}
        return {**told, "fields": list(self.fields), **lines}


def _digest(value: Json | None) -> str:
    return "" if value is None else digest_of(value)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that an operation does, and what it leaves alone."""

    kind: str
    branch: str
    changes: Sequence[PlannedChange] = ()
    conflicts: Sequence[ConflictEntry] = ()
    unchanged: int = 0
    invalid: int = 0
    resolved: str = ""
    """Names how conflicts are settled, and between what: what git's side gets or gives up by it is in no row."""

    @property
    def digest(self) -> str:
        """Names exactly these changes; where the branch stands is not in it, so that what others do beside does not matter."""
        rows = sorted([*c.key, c.path, c.action, c.content, c.replaced] for c in self.changes)
        parts = [self.kind, self.branch, rows, *([self.resolved] if self.resolved else [])]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16]

    @property
    def counts(self) -> dict[str, int]:
        actions = [change.action for change in self.changes]
        return {
            "created": actions.count("create"),
            "updated": actions.count("update"),
            "deleted": actions.count("delete"),
            "unchanged": self.unchanged,
            "merged": sum(change.merged for change in self.changes),
            "conflicted": len(self.conflicts),
            "invalid": self.invalid,
        }

    def to_status(self) -> dict[str, Any]:
        ordered = sorted(self.changes, key=lambda c: (c.key.kind, c.key.name))
        told: dict[str, Any] = {
            "counts": self.counts,
            "changes": [change.to_status() for change in ordered[:CHANGES_SHOWN]],
            "conflicts": told_conflicts(self.conflicts),
            "planDigest": self.digest,
        }
        if len(ordered) > CHANGES_SHOWN:
            told["changesTruncated"] = True
        if len(self.conflicts) > SHOWN:
            told["conflictsTruncated"] = True
        return bounded(told)

    def words(self) -> str:
        """One line for people."""
        parts = [f"{count} {name}" for name, count in self.counts.items() if count and name != "unchanged"]
        return ", ".join(parts) or "nothing to do"


_TELLS = {
    "True": {"Succeeded": "True", "Ready": "True"},
    "False": {"Succeeded": "False", "Ready": "False", "Failed": "True", "Stalled": "True"},
    "Unknown": {"Succeeded": "Unknown", "Ready": "Unknown", "Reconciling": "True"},
}
"""What the conditions of an operation say, by whether it succeeded; those that kstatus takes for trouble only while they are true."""


def conditions(
    previous: Mapping[str, Any], succeeded: str, reason: str, message: str, generation: int, now: str
) -> list[dict[str, Any]]:
    """Those of an operation, Succeeded first. `succeeded`: True, False, or Unknown until it has ended."""
    since = {(c["type"], c["status"]): c["lastTransitionTime"] for c in previous.get("conditions", ())}
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": plain(message[:2000]),
            "observedGeneration": generation,
            "lastTransitionTime": since.get((kind, status), now),
        }
        for kind, status in _TELLS[succeeded].items()
    ]
