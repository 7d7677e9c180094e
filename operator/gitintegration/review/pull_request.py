"""The pull request of what is proposed for review."""

from __future__ import annotations

from gitintegration.core.plan.pull_request import pull_request_text
from gitintegration.errors import GitIntegrationError
from gitintegration.forge.dialects import Draft
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import target_of
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import RunRequest, RunStats
from gitintegration.review.proposals import open_changes
from gitintegration.session.session import SyncSession


class ReviewPullRequest:
    def __init__(self, forges: Forges) -> None:
        self._forges = forges

    async def ensure(self, session: SyncSession, request: RunRequest, head: RemoteHeads, stats: RunStats) -> bool:
        """The pull request of what is offered. False where it has to be tried again; that stops nothing else."""
        if (
            not request.spec.sync.push.create_pull_request
            or session.review_branch is None
            or session.review_branch.commit is None
        ):
            return True
        try:
            target = target_of(request.spec.provider, request.remote, request.api_token)
            if not session.pull_request_is_current:
                if changes := open_changes(session, request):
                    title, body = pull_request_text(changes, integration=request.name, namespace=request.namespace)
                    made = await self._forges.ensure(
                        target, session.review_branch.branch, head.branch, Draft(title, body)
                    )
                    session.pull_request = made.to_status()
                session.pull_request_is_current = True
            elif session.pull_request and session.pull_request["state"] == "open":
                session.pull_request = (await self._forges.get(target, int(session.pull_request["number"]))).to_status()
        except GitIntegrationError as error:
            stats.troubles.append(error)
        return session.pull_request_is_current
