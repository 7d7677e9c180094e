"""Where each field of a pipeline comes from: the commit of its value, or who edited it in the cluster; and how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitintegration import messages
from gitintegration.commits import origins
from gitintegration.commits.origins import Asked, Origin, Traced
from gitintegration.core.diff import ORDER, ListKeys, Path, diff, format_path, get, is_within
from gitintegration.core.merge import Decision
from gitintegration.core.plan.detail import field_name
from gitintegration.core.redaction import Redaction
from gitintegration.core.state.item import OpenItem, Why
from gitintegration.core.values import Json, ObjectKey
from gitintegration.errors import OperationError, Reason
from gitintegration.git.workers import Workers
from gitintegration.messages import named
from gitintegration.operations.result import OperationContext, OperationResult, chosen
from gitintegration.reconcile.authors import LiveEdits, git_edit
from gitintegration.reconcile.branches import SECONDS
from gitintegration.reconcile.checkpoint import rests
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.reconcile.reconciler import Reconciler
from gitintegration.reconcile.report import entry_of
from gitintegration.session.session import SyncSession

_FIELDS = 1000
"""Of a pipeline that are told."""
_DEPTH = 2000
"""Commits that are looked at where those in the cache are too few."""
_WHOLE: Path = ()


class Blame:
    def __init__(self, reconciler: Reconciler, workers: Workers) -> None:
        self._reconciler, self._workers = reconciler, workers

    async def run(
        self, session: SyncSession, request: RunRequest, order: OperationContext, name: str, versions: int
    ) -> OperationResult:
        """A pipeline, by as many versions of its file. Raises OperationError where there is none of that name."""
        head, layout = await self._reconciler.observe(session, request)
        key = the_one(session, request, name)
        found = await self._reconciler.reader.read(session, request, layout, [key])
        item = found[0] if found else None
        rest = rests(item) if item else session.table.open.get(key)
        told: dict[str, Any] = {"kind": key.kind, "name": key.name, **_standing(session, request, head, key, rest)}
        order.pages.begin()
        if item is not None:
            told |= await self._told(session, request, order, item, versions)
        result = {"branch": head.branch, "commit": head.commit or "", "blame": told, **await order.pages.end()}
        words = "is the same on both sides" if told["inSync"] else f"is not the same on both sides: {told['reason']}"
        return OperationResult(f"{key} {words}", result)

    async def _told(
        self, session: SyncSession, request: RunRequest, order: OperationContext, item: Item, versions: int
    ) -> dict[str, Any]:
        fields = fields_of(item.git_view, item.live.view if item.live else None, item.decision, _keys(item))
        shown = fields[:_FIELDS]
        line, lines = None, list[int | None]([None] * len(shown))
        if item.git is not None:
            limits = self._reconciler.branches.scope(request).limits
            paths = [field.path for field in shown]
            line, lines = await self._workers.run(SECONDS, origins.lines, session.directory, item.git, paths, limits)
        traced = await self._traced(session, request, item, shown, versions)
        last, *its = traced.origins or [None] * (len(shown) + 1)
        live = await self._reconciler.authors.live_edits(session, request, item.key) if item.live else LiveEdits()
        rows = [
            _row(field, at, origin, live, item.kind.redaction)
            for field, at, origin in zip(shown, lines, its, strict=True)
        ]
        await order.pages.tell(rows)
        told: dict[str, Any] = {
            "id": item.id,
            "path": item.path,
            "line": line,
            "ours": live.last(),
            "theirs": told_commit(last),
            "fields": len(fields),
            "whole": traced.whole or all(traced.origins),
        }
        return {name: value for name, value in told.items() if value not in (None, "", {})}

    async def _traced(
        self, session: SyncSession, request: RunRequest, item: Item, fields: Sequence[Field], versions: int
    ) -> Traced:
        """Of the manifest as a whole, then of each field."""
        if not item.path or session.index.commit is None:
            return Traced((), whole=True)
        asked = Asked(item.key, item.path, (_WHOLE, *(field.path for field in fields)))
        authors = self._reconciler.authors
        (found,) = await authors.trace(session, request, session.index.commit, [asked], versions, _DEPTH)
        return found


@dataclass(frozen=True, slots=True)
class Field:
    """What both sides hold of a field, and whether one of them is ahead there."""

    path: Path
    git: Json
    live: Json
    differs: bool


def fields_of(git: Json | None, live: Json | None, decision: Decision, list_keys: ListKeys) -> list[Field]:
    """All fields that git holds, in their order, and those in which a side is ahead: what the server fills in is neither."""
    changed = [c.path for c in (*decision.local, *decision.remote) if c.path[-1:] != (ORDER,)]
    there = git if git is not None else live
    paths = [c.path for c in diff({}, there or {}, list_keys) if c.path[-1:] != (ORDER,)]
    others = [path for path in dict.fromkeys(changed) if not any(_meet(path, known) for known in paths)]
    alone = git is None or live is None
    return [
        Field(path, get(git or {}, path), get(live or {}, path), alone or any(_meet(path, c) for c in changed))
        for path in [*paths, *others]
    ]


def _meet(path: Path, other: Path) -> bool:
    return is_within(path, other) or is_within(other, path)


def the_one(session: SyncSession, request: RunRequest, name: str) -> ObjectKey:
    """The pipeline of this name: KIND/NAME, or an id or name alone. Raises OperationError where there is none, or several."""
    kind, _, pipeline = name.rpartition("/")
    keys = chosen(session, request, [pipeline])
    if kind:
        keys = [key for key in keys if kind.lower() in _names(request, key)]
    if len(keys) > 1:
        raise OperationError(Reason.InvalidSpec, f"{name} may be each of {named([str(k) for k in keys])}: name one")
    if not keys:
        plural = next(iter(request.kinds.values())).kind.plural
        prefix = request.spec.path_prefix or "the repository's root"
        words = messages.UNKNOWN_PIPELINES(name=request.name, names=name[:200], resource=plural, prefix=prefix)
        raise OperationError(Reason.UnknownPipeline, words)
    return keys[0]


def _names(request: RunRequest, key: ObjectKey) -> tuple[str, str]:
    """What its kind may be called, as for kubectl."""
    return key.kind.lower(), request.kinds[key.group, key.kind].kind.plural


def _keys(item: Item) -> ListKeys:
    return item.kind.schema.list_keys


def _standing(
    session: SyncSession, request: RunRequest, head: RemoteHeads, key: ObjectKey, rest: OpenItem | None
) -> dict[str, Any]:
    """Whether both sides are the same, and if not, why."""
    known = session.records.marks.get(key)
    path = rest.path if rest else known.path if known else ""
    told: dict[str, Any] = {"inSync": False, "path": path}
    if session.index.frozen(key, path or None):
        bad = next((problem for problem in session.index.problems() if problem.path == path), None)
        told |= {"reason": Why.Unreadable.value, "message": bad.message if bad else ""}
    elif rest is None or not rest.is_told:
        return {"inSync": True}
    else:
        entry, torn = entry_of(session, request, head, key, rest), rest.conflict
        words = rest.problem.message if rest.problem else ", ".join(torn.fields) if torn else rest.rival
        told |= {"side": entry.side, "reason": entry.reason, "message": words}
    return {name: value[:1000] if isinstance(value, str) else value for name, value in told.items() if value != ""}


def _row(
    field: Field, line: int | None, origin: Origin | None, live: LiveEdits, redaction: Redaction
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "field": field_name(format_path(field.path)),
        "line": line,
        "value": redaction.shown(field.path, field.git),
        "theirs": told_commit(origin),
    }
    if field.differs:
        told |= {"differs": True, "live": redaction.shown(field.path, field.live), "ours": live.of([field.path])}
    return {name: value for name, value in told.items() if value not in (None, {})}


def told_commit(origin: Origin | None) -> dict[str, str]:
    """A commit with its author and what it says."""
    told = dict(git_edit(origin))
    return told | ({"message": origin.subject} if origin and origin.subject else {})
