"""Where the default branch takes changes by review only: what is ahead is offered on another (`spec.sync.push.branch`).

What was proposed stays ahead until the default branch has it, however it got there: content decides. It is not committed
again. The branch follows the default branch by merge commits, never by force. Deleted, it stays away until there is
something new to propose. What reviewers wrote there is theirs: it is merged with, by field, and never reverted.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.layout import Layout
from gitintegration.core.plan.policy import Side
from gitintegration.core.state.record import Proposal
from gitintegration.forge.pull_requests import Forges
from gitintegration.git.client import GitClient
from gitintegration.git.workers import Workers
from gitintegration.reconcile.branches import Branches
from gitintegration.reconcile.checkpoint import abandon, checkpoint
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest, RunStats
from gitintegration.reconcile.publish import Replan
from gitintegration.review.branch import ReviewCommits
from gitintegration.review.proposals import adopt_merged, close, missing, stale
from gitintegration.review.pull_request import ReviewPullRequest
from gitintegration.session.session import SyncSession


class Review:
    """Keeps the review branch of an integration."""

    def __init__(
        self, git: GitClient, workers: Workers, store: BaseStore[Proposal], branches: Branches, forges: Forges
    ) -> None:
        self.commits, self.pull_request, self._store = (
            ReviewCommits(git, workers, branches),
            ReviewPullRequest(forges),
            store,
        )

    def adopt_merged(self, session: SyncSession, item: Item) -> None:
        """Where the default branch took what was proposed, both sides agreed on that, whatever either did since."""
        adopt_merged(session, item)

    async def begin(self, session: SyncSession, request: RunRequest, head: RemoteHeads) -> None:
        """Have what is offered in memory; all that is ahead, and all that was, is due where one of the two branches moved."""
        if session.proposals is None:
            session.proposals = await self._store.load(request.namespace, request.uid)
        if any(mark.resource_version not in ("", request.review) for mark in session.proposals.marks.values()):
            session.proposals.clear()  # they were made on another branch
        if (head.review, head.commit) != session.review_heads:
            session.table.suspect(list(session.table.open_local()))
            session.table.suspect(key for key, mark in session.proposals.marks.items() if mark.resource_version)

    def publisher(
        self, session: SyncSession, request: RunRequest, layout: Layout, head: RemoteHeads, replan: Replan
    ) -> ReviewPublisher:
        return ReviewPublisher(self, session, request, layout, head, replan)

    async def forget_all(self, session: SyncSession, namespace: str) -> None:
        """What was offered to another repository is not offered to this one."""
        session.proposals = None
        await self._store.forget(namespace, session.uid)

    async def save(self, session: SyncSession, request: RunRequest) -> None:
        """Keep what is proposed, once it is on the branch."""
        assert session.proposals is not None
        await self._store.save(request.namespace, request.name, request.uid, session.proposals)


class ReviewPublisher:
    """Offers what goes to git on the review branch, in one run."""

    def __init__(
        self,
        review: Review,
        session: SyncSession,
        request: RunRequest,
        layout: Layout,
        head: RemoteHeads,
        replan: Replan,
    ) -> None:
        self._review, self._session, self._request = review, session, request
        self._layout, self._head, self._replan = layout, head, replan
        self._items: list[Item] = []
        self._worked = False

    async def stage(self, items: Sequence[Item]) -> Sequence[Item]:
        """All of them: what is not ahead may have been withdrawn."""
        self._worked = True
        for item in items:
            if item.live is not None and not item.deletes and not item.is_made_whole:
                item.live = item.live.slim()
        self._items += items
        return ()

    async def publish(self, stats: RunStats) -> None:
        review, session, request, head = self._review, self._session, self._request, self._head
        if not self._worked:
            await review.pull_request.ensure(session, request, head, stats)
            return
        items = self._items
        wanted = [item for item in items if item.may_go(request.may, Side.git)]
        if more := missing(session, head, wanted):
            also = await self._replan(more)
            items += also
            wanted += [item for item in also if item.may_go(request.may, Side.git)]
        withdrawn = stale(session, request, head, items)
        await review.commits.write(session, request, self._layout, head, [*wanted, *withdrawn], stats)
        if await review.pull_request.ensure(session, request, head, stats):
            close(session, [*items, *withdrawn])
            await review.save(session, request)
        for item in items:
            checkpoint(session, item)

    def abandon(self) -> None:
        abandon(self._session, self._items)
