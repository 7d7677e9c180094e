"""One commit on demand: who made it, what it says, and what it changed in pipelines, with values and patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from gitintegration.commits import files
from gitintegration.commits.files import FileChange, GitItem, ScannedFile, Version
from gitintegration.core.bounds import told_history
from gitintegration.core.layout import SUFFIXES, Layout
from gitintegration.core.plan.detail import ChangeDetail, FilePatch, Secrets, Values, fields_of
from gitintegration.core.plan.plan import Plan, PlannedChange
from gitintegration.core.redaction import Secret
from gitintegration.core.values import Json, ObjectKey
from gitintegration.git import log as git_log
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import CommitInfo, TreeFile
from gitintegration.git.workers import Workers
from gitintegration.messages import counted
from gitintegration.operations.result import OperationContext, OperationResult, revision_of
from gitintegration.reconcile.branches import SECONDS, Branches
from gitintegration.reconcile.item import RunRequest
from gitintegration.reconcile.mirror import GitMirror
from gitintegration.session import history
from gitintegration.session.live_objects import Kind
from gitintegration.session.session import SyncSession

_PORTION = 50
"""Files whose patches are held at a time."""


class Show:
    def __init__(self, branches: Branches, mirror: GitMirror, git: GitClient, workers: Workers) -> None:
        self._branches, self._mirror, self._git, self._workers = branches, mirror, git, workers

    async def run(
        self,
        session: SyncSession,
        request: RunRequest,
        order: OperationContext,
        scratch: Path,
        branch: str,
        tip: str,
        revision: str,
    ) -> OperationResult:
        """A commit that `tip` of the branch reaches. `scratch` is a folder for this alone. Raises OperationError."""
        sha = await revision_of(self._git, self._workers, session, request, branch, tip, revision)
        await self._git.fetch(request.remote, scratch, sha, None, 2)
        info = await self._workers.run(SECONDS, objects.commit_info, scratch, sha)
        before, after = await self._versions(session, request, scratch, sha)
        old, new = _items(before), _items(after)
        changes = [change for key in sorted({*old, *new}) if (change := _Change.of(request, key, old, new))]
        paths = sorted({item.path for change in changes for item in (change.before, change.after) if item})
        order.pages.begin()
        for start in range(0, len(paths), _PORTION):
            for patch in await self._patches(request, scratch, paths[start : start + _PORTION], before, after):
                own = [change for change in changes if change.planned.path == patch.path]
                if patch.withheld and own:
                    await order.pages.add(await self._as_objects(own))
                else:
                    await order.pages.add([change.detail(patch) for change in own], [patch])
        told = Plan("history", branch, [change.planned for change in changes]).to_status()
        shown = {name: told[name] for name in ("changes", "changesTruncated") if name in told}
        cut = f", of {git_log.FILES} files at most" if max(len(before), len(after)) >= git_log.FILES else ""
        return OperationResult(
            f"commit {sha[:12]} of {branch} changed {counted(len(changes))}{cut}",
            {"branch": branch, "commit": sha, "history": told_history([_entry(info, changes)])}
            | shown
            | await order.pages.end(),
        )

    async def _versions(
        self, session: SyncSession, request: RunRequest, scratch: Path, sha: str
    ) -> tuple[list[ScannedFile], list[ScannedFile]]:
        """The files below the prefix that the commit changed, as they were in its first parent and as it left them."""
        spec = request.spec
        layout = Layout.of(
            spec.path_prefix, spec.new_file_path, spec.ignore or "", session.ignore_text, len(spec.resources)
        )
        found = await self._workers.run(SECONDS, git_log.log_shallow, scratch, sha, layout.prefix, SUFFIXES, 1)
        logged = next((commit for commit in found.commits if commit.sha == sha), None)
        if logged is None:
            return [], []
        kept = await self._mirror.unignored(layout, {entry.path for entry in (*logged.before, *logged.after)})
        scope = self._branches.scope(request)

        async def read(entries: Sequence[TreeFile]) -> list[ScannedFile]:
            wanted = [entry for entry in entries if entry.path in kept]
            return [scanned async for scanned in self._mirror.read(scratch, request.remote, wanted, scope)]

        return await read(logged.before), await read(logged.after)

    async def _patches(
        self,
        request: RunRequest,
        scratch: Path,
        paths: Sequence[str],
        before: Sequence[ScannedFile],
        after: Sequence[ScannedFile],
    ) -> list[FilePatch]:
        """What became of these files."""
        old, new = ({scanned.path: scanned for scanned in side} for side in (before, after))
        wanted = [
            FileChange(
                path, _version(old.get(path)), _version(new.get(path)), _secrets(request, old.get(path), new.get(path))
            )
            for path in paths
        ]
        limits, found = self._branches.scope(request).limits, list[FilePatch]()
        while len(found) < len(wanted):
            found += await self._workers.run(SECONDS, files.commit_patches, scratch, wanted[len(found) :], limits)
        return found

    async def _as_objects(self, changes: Sequence[_Change]) -> list[ChangeDetail]:
        """With the lines of each as YAML, in place of those of its file."""
        values, found = [change.values for change in changes], list[FilePatch]()
        while len(found) < len(values):
            found += await self._workers.run(SECONDS, files.object_patches, values[len(found) :])
        return [change.detail(patch) for change, patch in zip(changes, found, strict=True)]


@dataclass(frozen=True, slots=True)
class _Change:
    """What the commit made of one pipeline; None: it was not there, or is not any more."""

    planned: PlannedChange
    kind: Kind
    before: GitItem | None
    after: GitItem | None

    @classmethod
    def of(
        cls,
        request: RunRequest,
        key: ObjectKey,
        before: Mapping[ObjectKey, GitItem],
        after: Mapping[ObjectKey, GitItem],
    ) -> _Change | None:
        """None where it stayed as it was, or its kind can't be worked with now."""
        old, new, kind = before.get(key), after.get(key), request.kinds.get((key.group, key.kind))
        there = new or old
        if there is None or kind is None or (old and new and (old.path, old.value) == (new.path, new.value)):
            return None
        sides = _view(kind, old), _view(kind, new)
        pipeline_id = history.pipeline_id(there)
        planned = PlannedChange.of(key, pipeline_id, there.path, *sides, kind.schema.list_keys)
        return cls(planned, kind, old, new)

    @property
    def values(self) -> Values:
        key = self.planned.key
        return Values.of(f"{key.kind}/{key.name}", *self._sides, self.kind.redaction)

    def detail(self, lines: FilePatch) -> ChangeDetail:
        return ChangeDetail(
            self.planned, fields_of(*self._sides, self.kind.schema.list_keys, self.kind.redaction), lines
        )

    @property
    def _sides(self) -> tuple[Json | None, Json | None]:
        return _view(self.kind, self.before), _view(self.kind, self.after)


def _view(kind: Kind, item: GitItem | None) -> Json | None:
    return kind.view(orjson.loads(item.value)) if item else None


def _items(files: Sequence[ScannedFile]) -> dict[ObjectKey, GitItem]:
    return {item.key: item for scanned in files for item in scanned.items}


def _version(scanned: ScannedFile | None) -> Version | None:
    return Version(scanned.blob, len(scanned.items)) if scanned else None


def _secrets(request: RunRequest, before: ScannedFile | None, after: ScannedFile | None) -> Secrets:
    """What is not to be shown of a file; of a kind that can't be worked with now nobody knows."""
    kinds = request.kinds
    items = [scanned.items if scanned else () for scanned in (before, after)]
    if any((item.key.group, item.key.kind) not in kinds for side in items for item in side):
        return Secrets(unknown=True)

    def of(side: Sequence[GitItem]) -> list[Secret]:
        redactions = [(kinds[item.key.group, item.key.kind].redaction, item) for item in side]
        return [secret for each, item in redactions for secret in each.secrets(orjson.loads(item.value))]

    return Secrets(of(items[0]), of(items[1]))


def _entry(info: CommitInfo, changes: Sequence[_Change]) -> dict[str, Any]:
    """The commit as the status tells it, with all of its message."""
    touched = {"": [change.planned.id for change in changes]}
    told = history.entry(replace(info, paths=("",)), {}, touched)
    body = [line.rstrip() for line in info.message.partition("\n")[2].strip("\n").split("\n")]
    return told | ({"body": body} if any(body) else {})
