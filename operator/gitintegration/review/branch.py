"""The commits of the review branch. It follows the default branch by merge commits, never by force."""

from __future__ import annotations

from collections.abc import Sequence

from gitintegration.commits.files import CommitBase, CommitText, Edit, Edits
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.layout import Layout
from gitintegration.core.people import Edit as ItemEdit
from gitintegration.core.people import with_reasons
from gitintegration.core.values import ObjectKey
from gitintegration.errors import Reason, RemoteError, StaleRemote
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import CacheCorruptError
from gitintegration.git.workers import Workers
from gitintegration.reconcile.branches import SECONDS, Branches, Target, merged
from gitintegration.reconcile.declined import names
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest, RunStats
from gitintegration.review.proposals import is_as_default, is_new, note, proposal_of
from gitintegration.session import history
from gitintegration.session.session import ReviewBranch, SyncSession


class ReviewCommits:
    def __init__(self, git: GitClient, workers: Workers, branches: Branches) -> None:
        self._git, self._workers, self._branches = git, workers, branches

    async def write(
        self,
        session: SyncSession,
        request: RunRequest,
        layout: Layout,
        head: RemoteHeads,
        items: Sequence[Item],
        stats: RunStats,
    ) -> None:
        """Have the branch hold these items as the cluster does. Raises StaleRemote where it moved."""
        assert session.proposals is not None
        branch = head.review_branch or ""
        fresh = {item.key for item in items if is_new(session, item)}
        if not items or (head.review is None and not fresh):
            follows = (
                session.review_branch.follows
                if session.review_branch and session.review_branch.branch == branch
                else True
            )
            session.review_heads, session.review_branch = (
                (head.review, head.commit),
                ReviewBranch(branch, head.review, follows),
            )
            return
        session.pull_request_is_current = session.pull_request_is_current and not fresh
        base, follows = await self._base(session, request, head, fresh=bool(fresh))
        if head.review not in base.parents:  # the branch begins anew: nothing on it is open
            session.proposals.clear()
            fresh = {item.key for item in items}
        commit, blobs = head.review, dict[str, str]()
        known = {key: mark.path for key, mark in session.proposals.marks.items()}
        places = await self._branches.places(session, request, layout, base, items, known)
        items = [item for item in items if item.key in places]
        fresh &= places.keys()
        edits = self._edits(session, request, base, places, items, fresh)
        if edits or base.is_merge:
            whole = [i for i in items if i.problem is None]
            text = self._text(session, request, head, base, edits, whole)
            made = await self._branches.commit(session, request, base, edits, text)
            if made.commit is not None:
                try:
                    await self._branches.push(session, request, head.review_ref, head.review, made)
                except RemoteError as error:
                    if _set_aside(session, items, places, error):
                        raise StaleRemote("the server declines a file: the others are offered without it") from None
                    raise
                commit = made.commit.sha
                stats.commits.append(commit)
                stats.pushed.append(text.message.partition("\n")[0])
                stats.lossy += made.edited.lossy
            failed = dict(made.edited.failed)
            for item in items:
                if item.key in failed:
                    item.problem = Problem(item.path, InvalidReason.Refused, failed[item.key])
            blobs = {path: blob or "" for path, blob in made.edited.blobs.items()}
            if base.onto == head.commit:
                blobs = {**self._of_default(session, base), **blobs}
        done = fresh | {edit.key for _, changes in edits.values() for edit in changes}
        note(session, request, [i for i in items if i.key in done and i.problem is None], places, blobs)
        session.review_heads, session.review_branch = (commit, head.commit), ReviewBranch(branch, commit, follows)

    # --- the base ---------------------------------------------------------------------------------------------------

    async def _base(
        self, session: SyncSession, request: RunRequest, head: RemoteHeads, *, fresh: bool
    ) -> tuple[CommitBase, bool]:
        """What the next commit of the branch is made on, and whether the branch holds all of the default branch then."""
        ours, theirs = head.review, head.commit
        if ours is None or theirs is None:
            return CommitBase.on(ours or theirs), True
        try:
            return await self._merge(session, request, ours, theirs, fresh=fresh)
        except CacheCorruptError:
            for commit in (ours, theirs):
                await self._git.fetch(request.remote, session.directory, commit, None, history.LOOK_BACK)
            return await self._merge(session, request, ours, theirs, fresh=fresh)

    async def _merge(
        self, session: SyncSession, request: RunRequest, ours: str, theirs: str, *, fresh: bool
    ) -> tuple[CommitBase, bool]:
        await self._branches.have_tree(session, request, ours)
        fork = await self._branches.merge_base(session, request, ours, theirs)
        if fork == theirs:
            return CommitBase.on(ours), True
        if fork == ours:
            return CommitBase.on(theirs if fresh else ours), True
        if fork is None:
            return CommitBase.on(ours), False
        diff = await self._workers.run(SECONDS, objects.diff_from_base, session.directory, fork, ours, theirs)
        assert session.proposals is not None
        own = {(mark.path, mark.blob) for mark in session.proposals.marks.values()}
        if any((path, blob) not in own for path, blob in diff.both.items()):
            return CommitBase.on(ours), False
        # What is wholly ours is made anew on the default branch: it may have taken it, and moved or changed it since.
        taken = {path: kept for path, kept in diff.alone.items() if (path, kept.sha if kept else "") not in own}
        return CommitBase((ours, theirs), theirs, taken), True

    # --- the commit ---------------------------------------------------------------------------------------------------

    def _edits(
        self,
        session: SyncSession,
        request: RunRequest,
        base: CommitBase,
        places: dict[ObjectKey, Target],
        items: Sequence[Item],
        fresh: set[ObjectKey],
    ) -> Edits:
        edits: Edits = {}
        for item in items:
            place = places[item.key]
            on_default = is_as_default(item, place)
            if item.key not in fresh and not (base.is_merge and on_default):
                continue
            edit = self._edit(session, request, item, place, on_default=on_default)
            if edit is not None:
                edits.setdefault(place.path, (place.blob or None, []))[1].append(edit)
        return edits

    def _edit(
        self, session: SyncSession, request: RunRequest, item: Item, place: Target, *, on_default: bool
    ) -> Edit | None:
        """The edit that makes the branch hold the item; None where it does, or where a reviewer wrote otherwise."""
        proposal = proposal_of(session, item.key)
        known = proposal.offered if proposal and proposal.is_open and not on_default else item.git_view
        value, obstacle = merged(item, known, place.view(item), item.git_goal)
        if obstacle:
            words = f"{item.key} on branch {request.review} holds {obstacle}: make it equal there or in the cluster"
            item.problem = Problem(place.path, InvalidReason.Refused, words)
            return None
        return self._branches.edit(item, place, value)

    def _text(
        self,
        session: SyncSession,
        request: RunRequest,
        head: RemoteHeads,
        base: CommitBase,
        edits: Edits,
        items: Sequence[Item],
    ) -> CommitText:
        edited = {edit.key for _, changes in edits.values() for edit in changes}
        mine = [item for item in items if item.key in edited]
        message, by = f"Merge {head.branch} into {request.review}\n", list[ItemEdit]()
        if mine and not base.is_merge:
            by = [item.edit(session) for item in mine]
            message = with_reasons(request.message_of(mine, session.restored), by)
        return request.text_of(message, by, self._branches.now())

    @staticmethod
    def _of_default(session: SyncSession, base: CommitBase) -> dict[str, str]:
        """The files with offers that a commit on the default branch's tree has just as that has them."""
        assert session.proposals is not None
        paths = {mark.path for mark in session.proposals.marks.values()} - base.taken.keys()
        return {path: session.index.files[path].blob if path in session.index.files else "" for path in paths}


def _set_aside(
    session: SyncSession, items: Sequence[Item], places: dict[ObjectKey, Target], error: RemoteError
) -> bool:
    """Whether a push was declined for files that the server named, which are left out of the next one."""
    named = [
        item
        for item in items
        if error.reason is Reason.PushRejected and names(error.said or error.message, places[item.key].path)
    ]
    for item in named:
        item.problem = session.declined.add(item.key, item.git_goal, places[item.key].path, error.message)
    return bool(named)
