"""Commits what goes to git onto the default branch. An edit is made as soon as it is decided, and no value outlives its edit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from gitintegration.commits.files import CommitBase, Committed, CommitText, Edits, Texts
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.layout import Layout
from gitintegration.core.people import Credit, with_reasons
from gitintegration.core.plan.policy import Side
from gitintegration.core.state.item import Phase
from gitintegration.core.values import ObjectKey
from gitintegration.git.objects import CommitInfo
from gitintegration.reconcile.branches import Branches, edit_of
from gitintegration.reconcile.checkpoint import Staged, abandon, base_once_pushed, checkpoint, install
from gitintegration.reconcile.commit_builder import CommitBuilder
from gitintegration.reconcile.declined import push_without_declined
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest, RunStats
from gitintegration.reconcile.wal import WriteAheadLog
from gitintegration.session import history
from gitintegration.session.session import SyncSession

Replan: TypeAlias = Callable[[Sequence[ObjectKey]], Awaitable[list[Item]]]
"""Reads these items again, and decides anew."""


_OPEN = 500


class Publisher(Protocol):
    """Where what goes to git is written."""

    async def stage(self, items: Sequence[Item]) -> Sequence[Item]:
        """Take what goes to git. Gives those that nothing more is done with."""

    async def publish(self, stats: RunStats) -> None:
        """Write all that was staged, and checkpoint it. Raises StaleRemote where the branch moved; nothing is to undo then."""

    def abandon(self) -> None:
        """The run goes wrong: nothing more is written."""


class Review(Protocol):
    """What the reconciler asks of the review branch."""

    def adopt_merged(self, session: SyncSession, item: Item) -> None:
        """Where the default branch took what was proposed, both sides agreed on that, whatever either did since."""

    async def begin(self, session: SyncSession, request: RunRequest, head: RemoteHeads) -> None:
        """Have what is proposed in memory, and what has to be looked at for it due."""

    def publisher(
        self, session: SyncSession, request: RunRequest, layout: Layout, head: RemoteHeads, replan: Replan
    ) -> Publisher:
        """Where what goes to git is proposed."""

    async def forget_all(self, session: SyncSession, namespace: str) -> None:
        """What was proposed to another repository is not proposed to this one."""


@dataclass(frozen=True, slots=True)
class PreparedCommit:
    """Commits that are made and not pushed yet, the first one first."""

    infos: tuple[CommitInfo, ...]
    made: Committed

    @property
    def sha(self) -> str:
        """Of the last."""
        return self.infos[-1].sha


class Branch:
    """The default branch of an integration, for one commit on it."""

    def __init__(
        self,
        branches: Branches,
        wal: WriteAheadLog,
        session: SyncSession,
        request: RunRequest,
        layout: Layout,
        head: RemoteHeads,
    ) -> None:
        self._branches, self._wal, self._layout, self._head = branches, wal, layout, head
        self._session, self._request = session, request
        self._builder: CommitBuilder | None = None
        self.staged: list[Staged] = []
        self.problems: list[Problem] = []
        """Of those whose file can't be edited."""
        self._given: dict[ObjectKey, str] = {}
        """Places of items that have no file yet."""

    async def place(self, items: Sequence[Item]) -> list[Item]:
        """Give each item that has no file yet a place of its own; those that have one now. What was given before stays."""
        homeless = [item for item in items if item.git is None]
        for item in homeless:
            item.new_path = item.new_path or self._given.get(item.key, "")
        new = [item for item in homeless if not item.new_path]
        await self._branches.choose(self._session, self._layout, self._head.commit, new, self._given.values())
        self._given |= {item.key: item.new_path for item in new if item.new_path}
        return [item for item in items if item.problem is None]

    async def stage(self, items: Sequence[Item]) -> None:
        """Log these items, which have a place, and edit their files. Items of one file are staged together."""
        if not items:
            return
        if self._builder is None:
            self._builder = self._branches.begin(self._session, self._request, CommitBase.on(self._head.commit))
        await self._builder.edit(edits_of(items))
        for item in items:
            then = base_once_pushed(item)
            in_log = not item.logged and self._wal.put_push(self._session, item, then)
            self.staged.append(Staged.of(self._session, item, None if in_log else then))
        self._session.records.evict()

    async def prepare(self, message: str | None = None, moment: int | None = None) -> PreparedCommit | None:
        """The commit of all that was staged; None where it would change no file, and all is in git already."""
        assert self._builder is not None
        texts = self._texts(message, moment or self._branches.now())
        made = await self._builder.commit(texts)
        self._fail(made)
        if made.commit is None:
            self._install()
            return None
        infos = [CommitInfo(sha, text.message.strip(), text.author, text.time, paths) for sha, text, paths in made.made]
        return PreparedCommit(tuple(infos), made)

    def _texts(self, message: str | None, moment: int) -> Texts:
        """One commit where it has a message of its own, else one for each who edited, in the order of their edits."""
        if message is not None:
            edits = [staged.edit for staged in self.staged]
            return [(self._request.text_of(message, edits, moment), frozenset())]
        parts = parted(self.staged, list(self._session.edits), apart=self._request.spec.authorship.mode == "person")
        return [(self._text(part, moment), frozenset(staged.target for staged in part)) for part in parts]

    def _text(self, part: Sequence[Staged], moment: int) -> CommitText:
        edits = [staged.edit for staged in part]
        message = with_reasons(self._request.message_of(part, self._session.restored), edits)
        return self._request.text_of(message, edits, moment)

    def _fail(self, made: Committed) -> None:
        """Those whose file can't be edited are left out."""
        failed = dict(made.edited.failed)
        for staged in self.staged:
            if words := failed.get(staged.key):
                self.problems.append(Problem(staged.target, InvalidReason.Refused, words))
                self._block(staged, self.problems[-1])
        self.staged = [staged for staged in self.staged if staged.key not in failed]

    def _block(self, staged: Staged, problem: Problem) -> None:
        assert staged.before is not None
        rests = replace(staged.before, phase=Phase.BLOCKED, problem=problem)
        self._session.table.checkpoint(staged.key, staged.version, staged.number, rests)

    async def push(self, prepared: PreparedCommit, stats: RunStats) -> None:
        """Move the branch to the commit, and have the session hold it. Raises StaleRemote."""
        session, edited = self._session, prepared.made.edited
        await self._wal.flush(session, self._request)
        await self._branches.push(session, self._request, self._head.ref, self._head.commit, prepared.made)
        stats.commits += [info.sha for info in prepared.infos]
        stats.pushed += [info.message.partition("\n")[0] for info in prepared.infos]
        stats.lossy += edited.lossy
        for path in edited.removed:
            session.index.remove(path)
        for scanned in edited.files:
            session.index.put(scanned)
        session.index.commit = prepared.sha
        if session.verified is not None:
            session.verified = prepared.sha
        session.records.follow(prepared.sha)
        self._install()
        session.table.suspect(session.records.in_doubt)
        for info in prepared.infos:
            self._note(info)

    def _install(self) -> None:
        """Take all that was staged for agreed. So many rows are open at a time; it bounds memory."""
        for number, staged in enumerate(self.staged, start=1):
            install(self._session, staged)
            self._session.restored.pop(staged.key, None)
            if number % _OPEN == 0:
                self._session.records.evict()
        self._session.records.evict()

    def _note(self, info: CommitInfo) -> None:
        """Have the history begin with it."""
        session, touched = self._session, dict[str, list[str]]()
        for staged in self.staged:
            if staged.target not in info.paths:
                continue
            git = session.index.items.get(staged.key)
            touched.setdefault(staged.target, []).append(history.pipeline_id(git) if git else staged.id)
        shown = history.shown(info, touched, {})
        session.history = [shown, *(session.history or [])][: self._request.spec.history_limit]

    def decline(self, staged: Staged, words: str) -> None:
        """The server takes the push without this one only."""
        known = self._session.records.get(staged.key)
        goal = known.intent.git.goal if known and known.intent else None
        if known and known.pushes:
            self._session.records.put(replace(known, pushes=known.pushes.without_last()))
        self._block(staged, self._session.declined.add(staged.key, goal, staged.target, words))

    def discard(self) -> None:
        """Nothing of it is pushed."""
        if self._builder is not None:
            self._builder.discard()


class DirectPublisher:
    """Pushes to the default branch: as one commit, or where the server declines one file's content, without that file."""

    def __init__(
        self,
        branches: Branches,
        wal: WriteAheadLog,
        session: SyncSession,
        request: RunRequest,
        layout: Layout,
        head: RemoteHeads,
        replan: Replan,
    ) -> None:
        self._parts = branches, wal, session, request, layout
        self._session, self._request, self._head, self._replan = session, request, head, replan
        self._branch = Branch(*self._parts, head)
        self._left: dict[ObjectKey, Staged] | None = None
        """What was staged and is not pushed yet."""

    async def stage(self, items: Sequence[Item]) -> Sequence[Item]:
        return await self._stage(self._branch, items)

    async def _stage(self, branch: Branch, items: Sequence[Item]) -> list[Item]:
        """Have the branch take what goes to git. Gives the others."""
        placed = await branch.place([item for item in items if item.may_go(self._request.may, Side.git)])
        await branch.stage(placed)
        taken = {item.key for item in placed}
        return [item for item in items if item.key not in taken]

    async def publish(self, stats: RunStats) -> None:
        staged = self._branch.staged
        left = self._left = {each.key: each for each in staged}

        async def attempt(part: Sequence[Staged]) -> None:
            branch = self._branch if part is staged else await self._again([each.key for each in part])
            try:
                if branch.staged and (prepared := await branch.prepare()):
                    await branch.push(prepared, stats)
            except BaseException:
                branch.discard()
                raise
            for each in part:
                left.pop(each.key, None)

        known = self._session.declined.paths
        for each, words in await push_without_declined(staged, attempt, known) if staged else ():
            self._branch.decline(each, words)
            left.pop(each.key, None)

    async def _again(self, keys: Sequence[ObjectKey]) -> Branch:
        """A commit of these items alone, read and decided anew."""
        commit = self._head.commit if self._session.index.commit is None else self._session.index.commit
        branch = Branch(*self._parts, replace(self._head, commit=commit))
        for item in await self._stage(branch, await self._replan(keys)):
            checkpoint(self._session, item)
        return branch

    def abandon(self) -> None:
        self._branch.discard()
        abandon(self._session, self._left.values() if self._left is not None else self._branch.staged)


_APART = 20
"""So many commits one push has at most; who edited more than that share the last."""


def parted(staged: Sequence[Staged], order: Sequence[ObjectKey], *, apart: bool) -> list[list[Staged]]:
    """What is staged, by who edited it and why: one part for each, in the `order` of edits, and files that several edited by themselves."""
    if not apart:
        return [list(staged)]
    files: dict[str, list[Staged]] = {}
    for each in staged:
        files.setdefault(each.target, []).append(each)
    parts: dict[object, list[Staged]] = {}
    for mates in files.values():
        alike = Credit.of(each.edit for each in mates).people, tuple({each.edit.reason: None for each in mates})
        parts.setdefault(alike, []).extend(mates)
    place = {key: number for number, key in enumerate(order)}
    found = sorted(parts.values(), key=lambda part: max(place.get(each.key, -1) for each in part))
    return (
        [*found[: _APART - 1], [each for part in found[_APART - 1 :] for each in part]]
        if len(found) > _APART
        else found
    )


def edits_of(items: Sequence[Item]) -> Edits:
    """The edits of their files that make the default branch hold what was decided. Each has a place."""
    by_file: dict[str, list[Item]] = {}
    for item in items:
        by_file.setdefault(item.target, []).append(item)
    found: Edits = {}
    for path, mates in by_file.items():
        edits = [edit_of(item, item.git, item.decision.git.value) for item in mates if item.decision.git]
        found[path] = mates[0].git.blob if mates[0].git else None, edits
    return found
