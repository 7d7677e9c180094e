"""What merging a pull request would do, planned against what both sides agreed on and what is live. Writes to neither side.

The merge is made in a cache of its own, so that whatever a pull request holds, the cache of the sync is as it was. What a check
reads of the memory is a copy: nothing that it finds out is an agreement of anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from gitintegration.api.git_names import is_file_of_git, is_unwritable
from gitintegration.api.integration import Mode
from gitintegration.commits.files import CommitBase, CommitText, GitItem, ScannedFile
from gitintegration.core.checks.findings import Brought, Findings, Kept, Signatures, Unmerged
from gitintegration.core.diff import Path as FieldPath
from gitintegration.core.diff import format_path
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.layout import SUFFIXES, Layout
from gitintegration.core.merge import Conflict, ConflictReason
from gitintegration.core.plan.authors import Authors, Torn
from gitintegration.core.plan.batches import batches
from gitintegration.core.plan.detail import fields_of
from gitintegration.core.plan.policy import Policy, Side
from gitintegration.core.state.shards import key_bits
from gitintegration.core.state.table import ItemTable
from gitintegration.core.status import SHOWN, ConflictEntry
from gitintegration.core.values import ObjectKey, to_bytes
from gitintegration.core.view import restore
from gitintegration.errors import Reason, RemoteError, Stale
from gitintegration.forge.checks import OpenPull
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import BranchDiff, CacheCorruptError, TreeEntry, TreeFile
from gitintegration.git.workers import Workers
from gitintegration.operations.result import conflict_of
from gitintegration.reconcile.branches import SECONDS, merged
from gitintegration.reconcile.deletes import hold_deletes
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.reconcile.reconciler import Reconciler
from gitintegration.session.git_index import GitIndex
from gitintegration.session.session import SyncSession

_TRIED = 500
"""Writes that the API server is asked about, of one pull request."""
_FIELDS = 40
"""Of one change that are kept."""
_COMMIT = 40
"""Letters of a whole commit's name."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, and which pipelines it is about: where one of them moves, it may be another."""

    findings: Findings
    commit: str
    """The whole name of what would be merged."""
    keys: frozenset[ObjectKey] = frozenset()
    seen: Mapping[ObjectKey, str] = field(default_factory=dict)
    """Of those that were read, the version of each object."""


@dataclass(slots=True)
class _Tally:
    """What is found, batch by batch: no more is kept of an item than is told."""

    brought: list[tuple[Item, Brought]] = field(default_factory=list)
    """Deletes, each with its item, until all of them are weighed."""
    others: list[Brought] = field(default_factory=list)
    conflicts: list[ConflictEntry] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seen: dict[ObjectKey, str] = field(default_factory=dict)
    alike: int = 0
    unpruned: int = 0
    tried: int = 0


class CheckPlanner:
    def __init__(self, reconciler: Reconciler, git: GitClient, workers: Workers) -> None:
        self._reconciler, self._git, self._workers = reconciler, git, workers

    async def look(self, session: SyncSession, request: RunRequest) -> None:
        """Have what the branch holds in memory, where this process has not read it yet."""
        if session.index.commit is None:
            await self._reconciler.observe(session, request)

    def directory(self, session: SyncSession) -> Path:
        """Where the merges of an integration are made: a folder that a process that starts sweeps away."""
        return session.directory.with_name(f"op-checks-{session.directory.name}")

    async def forget(self, session: SyncSession) -> None:
        """No check is made of it any more."""
        directory = self.directory(session)
        await asyncio.to_thread(objects.wipe, directory)
        self._git.disk.forget(directory)

    async def check(self, session: SyncSession, request: RunRequest, pull: OpenPull) -> Checked:
        """What merging it into the branch, as it was last seen, would do. Raises GitIntegrationError where that can't be told."""
        try:
            return await self._check(session, request, pull)
        except CacheCorruptError:
            await self.forget(session)
            return await self._check(session, request, pull)

    async def _check(self, session: SyncSession, request: RunRequest, pull: OpenPull) -> Checked:
        base = session.index.commit
        if base is None:
            raise RemoteError(Reason.BranchNotFound, "the branch holds no commit yet", retry=True)
        branch = session.branch or request.spec.default_branch or ""
        there = self._workspace(session)
        await self._make_room(there)
        asked = replace(request, policy=replace(Policy.of(request.spec), to_cluster=True, to_git=False), rescan=False)
        layout = await self._reconciler.advance_to(there, asked, RemoteHeads(branch, base, 0, named=True))
        commit = await self._whole_name(asked, pull)
        for each in (base, commit):
            await self._reconciler.branches.have_tree(there, asked, each)
        parted = await self._reconciler.branches.merge_base(there, asked, commit, base)
        if parted is None:
            words = f"it has no commit in common with branch {branch}"
            return Checked(Findings(branch, base, unmerged=[Unmerged(pull.head, words)]), commit)
        seconds = max(SECONDS, request.remote.timeout)
        diff = await self._workers.run(seconds, objects.diff_from_base, there.directory, parted, commit, base)
        taken, odd = _taken(diff, layout.prefix)
        layout = await self._merge(there, asked, branch, base, commit, taken)
        unmerged = await self._merge_files(there, asked, layout, (parted, base, commit), diff.both)
        keys = _touched(session.index, there.index)
        tally = await self._plan(there, asked, layout, sorted(keys, key=key_bits))
        tally.problems += [*odd, *_new_problems(session.index, there.index)]
        known = len(session.records.marks)
        deletes = [item for item, _ in tally.brought]
        hold_deletes(there, asked, deletes, known, RemoteHeads(branch, base, 0))
        brought = [replace(told, held=item.held) for item, told in tally.brought] + tally.others
        findings = Findings(
            branch,
            base,
            brought,
            await self._with_authors(there, asked, tally.conflicts),
            tally.kept,
            list(dict.fromkeys(tally.problems)),
            unmerged,
            tally.alike,
            tally.unpruned,
            waits(request),
            await self._signatures(there, asked, commit),
        )
        return Checked(findings, commit, frozenset(keys), tally.seen)

    async def _signatures(self, there: SyncSession, request: RunRequest, commit: str) -> Signatures | None:
        found = await self._reconciler.verifier.judged(there, request, commit)
        if found is None or request.spec.verify is None:
            return None
        each = request.spec.verify.mode == "Commits"
        return Signatures("" if found.flaw else found.signer, found.flaw.value if found.flaw else "", each)

    # --- what would be merged ---------------------------------------------------------------------------------------

    def _workspace(self, session: SyncSession) -> SyncSession:
        """The branch as it was last seen, to be merged into; what was agreed on is copied."""
        records = session.records.copy()
        there = SyncSession(
            session.uid,
            self.directory(session),
            session.index.copy(),
            records,
            ItemTable(records.marks),
            loaded=True,
            logs=False,
        )
        there.scope, there.branch = session.scope, session.branch
        there.ignore_blob, there.ignore_text = session.ignore_blob, session.ignore_text
        there.edits = dict(session.edits)
        return there

    async def _make_room(self, there: SyncSession) -> None:
        if await asyncio.to_thread(objects.pack_count, there.directory) >= objects.MAX_PACKS:
            await self._workers.run(SECONDS, objects.wipe, there.directory)

    async def _whole_name(self, request: RunRequest, pull: OpenPull) -> str:
        """Of the commit that it would bring, of which some forges tell the first letters. Raises RemoteError."""
        if len(pull.commit) >= _COMMIT:
            return pull.commit
        ref = f"refs/heads/{pull.head}"
        found = (await self._git.ls_refs(request.remote, [ref])).refs.get(ref)
        if found is None or not found.startswith(pull.commit):
            words = f"branch {pull.head!r} is not at {pull.commit}, where the forge has it"
            raise RemoteError(Reason.RemoteBehind, words, retry=True)
        return found

    async def _merge(
        self,
        there: SyncSession,
        request: RunRequest,
        branch: str,
        base: str,
        commit: str,
        taken: Mapping[str, TreeEntry | None],
    ) -> Layout:
        """Have the workspace hold the branch with what the pull request alone changed."""
        branches = self._reconciler.branches
        nobody = "nobody <nobody@example.invalid>"
        text = CommitText(nobody, nobody, "what merging would make", time=1)
        made = await branches.commit(there, request, CommitBase((base, commit), base, taken), {}, text)
        try:
            assert made.commit is not None
            await self._workers.run(SECONDS, objects.adopt, there.directory, made.commit)
        finally:
            branches.discard(there, made)
        head = RemoteHeads(branch, made.commit.sha, 0, named=True, made=True)
        return await self._reconciler.advance_to(there, request, head)

    async def _merge_files(
        self,
        there: SyncSession,
        request: RunRequest,
        layout: Layout,
        commits: tuple[str, str, str],
        both: Mapping[str, str],
    ) -> list[Unmerged]:
        """Put into the workspace what becomes of files that both branches changed. `commits`: where they parted, and both.

        Git merges lines, and this fields: what it can't merge, git can't either.
        """
        found: list[Unmerged] = []
        paths = await self._reconciler.mirror.unignored(layout, [path for path in both if layout.could_hold(path)])
        if not paths:
            return found
        sides = [await self._scanned(there, request, commit, sorted(paths)) for commit in commits]
        for path in sorted(paths):
            old, ours, theirs = ({item.key: item for item in side.get(path, ())} for side in sides)
            items: list[GitItem] = []
            for key in sorted(old.keys() | ours.keys() | theirs.keys()):
                kind = request.kinds.get((key.group, key.kind))
                if kind is None:
                    continue
                views = [
                    kind.view(orjson.loads(side[key].value)) if key in side else None for side in (old, ours, theirs)
                ]
                value, blocker = merged(Item(key, kind, None, None, None), *views)
                if blocker is not None:
                    what = "deleted there" if blocker.gone else ", ".join(blocker.fields) or "the whole of it"
                    found.append(Unmerged(path, f"{key}: changed on both branches ({what})"))
                shape = ours.get(key) or theirs.get(key)
                if value is not None and shape is not None:
                    whole = restore(orjson.loads(shape.value), value, kind.pointers)
                    items.append(replace(shape, value=to_bytes(whole), api_version=str(value["apiVersion"]), blob=""))
            there.index.put(ScannedFile(path, "", tuple(items), ()))
        return found

    async def _scanned(
        self, there: SyncSession, request: RunRequest, commit: str, paths: Sequence[str]
    ) -> dict[str, tuple[GitItem, ...]]:
        blobs = await self._workers.run(SECONDS, objects.blobs_at, there.directory, commit, paths)
        entries = [TreeFile(path, blob) for path, blob in blobs.items()]
        mirror, scope = self._reconciler.mirror, self._reconciler.branches.scope(request)
        return {s.path: s.items async for s in mirror.read(there.directory, request.remote, entries, scope)}

    # --- what would become of it ------------------------------------------------------------------------------------

    async def _plan(self, there: SyncSession, request: RunRequest, layout: Layout, keys: Sequence[ObjectKey]) -> _Tally:
        """Raises GitIntegrationError where one of the kinds can't be read."""
        reader, tally = self._reconciler.reader, _Tally()
        keys = [key for key in keys if (key.group, key.kind) in request.kinds]
        ahead = await reader.prefetch(request, keys)
        for some in batches(keys, there.index.path_of, self._reconciler.batch):
            items = await reader.read(there, request, layout, some, ahead)
            if there.away:
                raise next(iter(there.away.values()))
            ready = [i for i in items if i.problem is None and request.may.admits(i.decision, Side.cluster)]
            trying = ready[: max(0, _TRIED - tally.tried)]
            tally.tried += len(trying)
            await self._reconciler.applier.attempt(request, trying)
            tally.seen.update({item.key: item.version for item in items})
            for item in items:
                await self._count(there, request, tally, item)
        return tally

    async def _count(self, there: SyncSession, request: RunRequest, tally: _Tally, item: Item) -> None:
        decision = item.decision
        if item.raced:
            raise Stale(f"{item.key} moved while it was compared")
        if item.problem is not None:
            tally.problems.append(item.problem)
            return
        if decision.conflict is not None:
            tally.conflicts.append(conflict_of(item))
            return
        if decision.local and decision.git is not None:
            paths = tuple(dict.fromkeys(change.path for change in decision.local))
            tally.kept.append(await self._kept(there, request, item, paths, len(tally.kept) < SHOWN))
        write = decision.cluster
        if write is None:
            tally.alike += not decision.local
            return
        if not request.may.admits(decision, Side.cluster):
            tally.unpruned += 1
            return
        before = item.live.view if item.live else None
        action = "create" if before is None else "delete" if write.value is None else "update"
        if action == "delete":
            item.live = item.live and item.live.slim()
            tally.brought.append((item, Brought(item.key, item.path, action)))
            return
        fields = (
            fields_of(before, write.value, item.kind.schema.list_keys, item.kind.redaction)
            if action == "update"
            else ()
        )
        shown, more = fields[:_FIELDS], max(0, len(fields) - _FIELDS)
        tally.others.append(Brought(item.key, item.path, action, shown, more))

    async def _kept(
        self, there: SyncSession, request: RunRequest, item: Item, paths: tuple[FieldPath, ...], asks: bool
    ) -> Kept:
        fields = tuple(dict.fromkeys(format_path(path) for path in paths))
        torn = Torn(item.key, item.path, Conflict(ConflictReason.BothModified, paths), "")
        author = await self._reconciler.authors.ours(there, request, torn) if asks else {}
        return Kept(item.key, fields, author)

    async def _with_authors(
        self, there: SyncSession, request: RunRequest, conflicts: Iterable[ConflictEntry]
    ) -> list[ConflictEntry]:
        """Who edited what in the cluster, of those that are shown."""
        found = sorted(conflicts, key=ConflictEntry.order)
        for number, entry in enumerate(found[:SHOWN]):
            if entry.torn is not None:
                ours = await self._reconciler.authors.ours(there, request, entry.torn)
                found[number] = replace(entry, authors=Authors(ours, {}))
        return found


def waits(request: RunRequest) -> str:
    """Why nothing of it goes live by itself, in words; empty where it does."""
    mode = request.spec.sync.mode
    return "" if mode in (Mode.Pull, Mode.Bidirectional) else f"mode {mode.value} pulls nothing by itself"


def _taken(diff: BranchDiff, prefix: str) -> tuple[dict[str, TreeEntry | None], list[Problem]]:
    """What of a branch's own changes is of pipelines, as a tree takes it; and what no tree of ours can hold."""
    near = {
        path: entry for path, entry in diff.alone.items() if path.startswith(prefix) or prefix.startswith(f"{path}/")
    }
    fine = {path: entry for path, entry in near.items() if not _is_odd(path, entry)}
    put = {path for path, entry in fine.items() if entry is not None}
    above = {"/".join(parts[:n]) for parts in (path.split("/") for path in put) for n in range(1, len(parts))}

    def gives_way(path: str) -> bool:
        """It is removed, and something else is put where it was."""
        parts = path.split("/")
        return path in above or any("/".join(parts[:n]) in put for n in range(1, len(parts)))

    taken = {path: entry for path, entry in fine.items() if entry is not None or not gives_way(path)}
    words = "its name can't be a file's on every system"
    odd = sorted(path for path in near.keys() - fine.keys() if path.endswith(SUFFIXES))
    return taken, [Problem(path.encode("utf-8", "replace").decode(), InvalidReason.InvalidPath, words) for path in odd]


def _is_odd(path: str, entry: TreeEntry | None) -> bool:
    *folders, name = path.split("/")
    is_file = entry is None or entry.mode in (objects.FILE, objects.EXECUTABLE, 0o100664)
    special = folders if is_file else [*folders, name]
    return any(map(is_unwritable, (*folders, name))) or (entry is not None and any(map(is_file_of_git, special)))


def _touched(before: GitIndex, after: GitIndex) -> set[ObjectKey]:
    """The items that one commit holds otherwise than another."""

    def differs(key: ObjectKey) -> bool:
        old, new = before.items.get(key), after.items.get(key)
        if old is new:
            return False
        return old is None or new is None or (old.value, old.api_version) != (new.value, new.api_version)

    return {key for key in before.items.keys() | after.items.keys() if differs(key)}


def _new_problems(before: GitIndex, after: GitIndex) -> list[Problem]:
    known: Collection[Problem] = set(before.problems())
    return [problem for problem in after.problems() if problem not in known]
