"""Writing items to another branch than the default one, where other things may lie than on the default branch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from gitintegration.commits import files
from gitintegration.commits.files import CommitBase, Committed, CommitText, Edit, Edits, GitItem, Scope
from gitintegration.core.diff import same_value
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.layout import Layout
from gitintegration.core.merge import Base, Versions, decide
from gitintegration.core.plan.detail import FilePatch
from gitintegration.core.values import Json, ObjectKey, to_bytes
from gitintegration.core.view import restore
from gitintegration.core.yaml_read import ReadLimits
from gitintegration.errors import StaleRemote
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import TreeFile
from gitintegration.git.workers import Workers
from gitintegration.reconcile.commit_builder import CommitBuilder
from gitintegration.reconcile.heads import check_names
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.reconcile.mirror import GitMirror
from gitintegration.reconcile.preview import preview
from gitintegration.session import history
from gitintegration.session.session import SyncSession

SECONDS = 60.0
"""Deadline of one look into the cache."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an item lies on the ground of a commit."""

    path: str
    blob: str
    """Of its file; empty where there is none."""
    item: GitItem | None

    def view(self, item: Item) -> Json | None:
        """What is synced of what lies there."""
        return item.kind.view(orjson.loads(self.item.value)) if self.item else None


class Branches:
    def __init__(
        self,
        git: GitClient,
        workers: Workers,
        mirror: GitMirror,
        limits: ReadLimits,
        clock: Callable[[], float] = time.time,
        batch: int = 500,
    ) -> None:
        """`batch` files are edited in one call of a worker."""
        self._git, self._workers, self._mirror = git, workers, mirror
        self._limits, self._clock, self._batch = limits, clock, batch

    def scope(self, request: RunRequest) -> Scope:
        return Scope(request.listed, request.namespace, self._limits, request.anywhere)

    async def have_tree(self, session: SyncSession, request: RunRequest, commit: str) -> None:
        """Have the commit with its trees in the cache."""
        if await self._workers.run(SECONDS, objects.lacks_tree, session.directory, commit):
            await self._git.fetch(request.remote, session.directory, commit, None, history.LOOK_BACK)

    async def merge_base(self, session: SyncSession, request: RunRequest, ours: str, theirs: str) -> str | None:
        """The newest commit that both reach, ready to be compared with; None where they have none in common."""
        base = await self._workers.run(SECONDS, objects.merge_base, session.directory, ours, theirs)
        if base is None:
            await self._git.fetch_history(request.remote, session.directory, [ours, theirs])
            base = await self._workers.run(SECONDS, objects.merge_base, session.directory, ours, theirs)
        if base is not None:
            lacking = await self._workers.run(SECONDS, objects.lacks_tree, session.directory, base)
            if lacking:
                await self._git.fetch(request.remote, session.directory, base, None)
        return base

    async def differs(self, session: SyncSession, request: RunRequest, ours: str, theirs: str) -> bool:
        """Whether `ours` changed anything since they parted that `theirs` does not hold alike."""
        await self.have_tree(session, request, ours)
        base = await self.merge_base(session, request, ours, theirs)
        if base is None:
            return True
        diff = await self._workers.run(SECONDS, objects.diff_from_base, session.directory, base, ours, theirs)
        return bool(diff.alone or diff.both)

    async def places(
        self,
        session: SyncSession,
        request: RunRequest,
        layout: Layout,
        ground: CommitBase,
        items: Sequence[Item],
        known: Mapping[ObjectKey, str],
    ) -> dict[ObjectKey, Target]:
        """Where each item lies on the ground; for a new one, where it goes. `known`: paths of items that only it has.

        One that has nowhere to go has a problem, and is left out.
        """
        paths: dict[ObjectKey, str] = {}
        for item in items:
            path = item.git.path if item.git else known.get(item.key, "")
            paths[item.key] = path or layout.first_path(item.key.kind, item.key.name)
        wanted = set(paths.values())
        blobs: dict[str, str] = {}
        if ground.onto:
            blobs = await self._workers.run(SECONDS, objects.blobs_at, session.directory, ground.onto, sorted(wanted))
        blobs.update({path: kept.sha if kept else "" for path, kept in ground.taken.items() if path in wanted})
        unread = [
            TreeFile(path, blob)
            for path, blob in blobs.items()
            if blob and (path not in session.index.files or session.index.files[path].blob != blob)
        ]
        read = self._mirror.read(session.directory, request.remote, unread, self.scope(request))
        found = {(i.path, i.key): i async for each in read for i in each.items}
        same_as_default = session.index.files.keys() - {entry.path for entry in unread}
        for path in wanted & same_as_default & blobs.keys():
            found.update({(path, i.key): i for i in session.index.files[path].items})
        made = {key: Target(path, blobs.get(path, ""), found.get((path, key))) for key, path in paths.items()}
        new = [i for i in items if i.git is None and i.key not in known and made[i.key].item is None]
        taken = [*session.index.files, *session.index.refused, *known.values(), *ground.taken]
        await self.choose(session, layout, ground.onto, new, taken)
        made.update({item.key: Target(item.new_path, "", None) for item in new})
        return {key: place for key, place in made.items() if place.path}

    async def choose(
        self, session: SyncSession, layout: Layout, onto: str | None, items: Sequence[Item], taken: Iterable[str]
    ) -> None:
        """Give each item, that has no file yet, a place in the tree of `onto`; one that has none has a problem."""
        if not items:
            return
        wanted = [(item.key.kind, item.key.name) for item in items]
        found = await self._workers.run(SECONDS, files.choose, session.directory, onto, layout, sorted(taken), wanted)
        for item, (path, why) in zip(items, found, strict=True):
            item.new_path = path
            if why:
                item.problem = Problem(layout.prefix, InvalidReason.InvalidPath, f"{item.key} has no place: {why}")

    @staticmethod
    def edit(item: Item, place: Target, wanted: Json | None) -> Edit | None:
        """The edit that makes the place hold `wanted`; None where it does."""
        there = place.view(item)
        if same_value(wanted, there):
            return None
        return edit_of(item, place.item, wanted)

    async def preview(self, session: SyncSession, request: RunRequest, edits: Edits) -> list[FilePatch]:
        """What edits would make of their files, one for each."""
        return await preview(self._workers, session, request, self._limits, edits)

    def now(self) -> int:
        """Seconds since the epoch."""
        return int(self._clock())

    def begin(self, session: SyncSession, request: RunRequest, base: CommitBase) -> CommitBuilder:
        """A commit in the making."""
        scope, seconds = self.scope(request), max(2 * SECONDS, request.remote.timeout)
        return CommitBuilder(self._workers, self._git.disk, session.directory, base, scope, seconds, self._batch)

    async def commit(
        self,
        session: SyncSession,
        request: RunRequest,
        base: CommitBase,
        edits: Edits,
        text: CommitText,
    ) -> Committed:
        """The commit, not pushed yet."""
        builder = self.begin(session, request, base)
        await builder.edit(edits)
        return await builder.commit([(text, frozenset())])

    async def push(self, session: SyncSession, request: RunRequest, ref: str, old: str | None, made: Committed) -> None:
        """Move the branch from `old`. Raises StaleRemote where it is elsewhere by now."""
        assert made.commit is not None
        try:
            try:
                await self._git.push(request.remote, ref, old, made.commit)
            except StaleRemote:
                if old is None:
                    await self._check_name(request, ref)
                raise
            await self._workers.run(request.remote.timeout, objects.adopt, session.directory, made.commit)
        finally:
            self.discard(session, made)

    def discard(self, session: SyncSession, made: Committed) -> None:
        """Whatever became of a commit, its pack is not needed any more, and takes no disk."""
        made.discard()
        self._git.disk.sent(session.directory)

    async def _check_name(self, request: RunRequest, ref: str) -> None:
        """Raises SpecError where a branch that could not be made never can be."""
        parts = ref.split("/")
        above = ["/".join(parts[:length]) for length in range(3, len(parts))]
        refs = await self._git.ls_refs(request.remote, [*above, f"{ref}/"])
        found = [name for name in (*refs.refs, *refs.others) if name in above or name.startswith(f"{ref}/")]
        others = [name.removeprefix("refs/heads/") for name in found]
        check_names(ref.removeprefix("refs/heads/"), others)


def edit_of(item: Item, there: GitItem | None, wanted: Json | None) -> Edit:
    """The edit of what lies `there`, or of a new file where nothing does, that makes it hold `wanted`."""
    if there is None:
        return Edit(item.key, None, to_bytes(item.kind.schema.strip_defaults(item.made_with(wanted))))
    if wanted is None:
        return Edit(item.key, there.location, None)
    whole = restore(orjson.loads(there.value), wanted, item.kind.pointers)
    return Edit(item.key, there.location, to_bytes(whole))


@dataclass(frozen=True, slots=True)
class Blocker:
    """What a branch holds otherwise than it may be written over: these fields, or the whole where there are none."""

    fields: tuple[str, ...] = ()
    gone: bool = False

    def __str__(self) -> str:
        return "it no more" if self.gone else f"another {', '.join(self.fields) or 'value'}"


def merged(
    item: Item, known: Json | None, there: Json | None, wanted: Json | None
) -> tuple[Json | None, Blocker | None]:
    """What a branch should hold, where it was `known` to hold one value, holds another, and a third is wanted."""
    if same_value(there, known) or same_value(there, wanted):
        return wanted, None
    if known is None or there is None or wanted is None:
        return there, Blocker(gone=there is None)
    decision = decide(Versions(Base(known, known), there, wanted), list_keys=item.kind.schema.list_keys)
    if decision.conflict:
        return there, Blocker(tuple(decision.conflict.fields))
    return (decision.git.value if decision.git else there), None
