"""Whether the head of a branch is believed: whose signature its commits have (`spec.verify`)."""

from __future__ import annotations

from pathlib import Path

from gitintegration import messages
from gitintegration.core.verdict import OWN, Verdict
from gitintegration.errors import Reason, Unverified
from gitintegration.git import verifying
from gitintegration.git.client import GitClient
from gitintegration.git.objects import CacheCorruptError
from gitintegration.git.workers import Workers
from gitintegration.reconcile.item import RunRequest
from gitintegration.session.session import SyncSession

_SECONDS = 60.0


class Verifier:
    def __init__(self, git: GitClient, workers: Workers) -> None:
        self._git, self._workers = git, workers

    async def head(self, session: SyncSession, request: RunRequest, commit: str | None) -> Verdict | None:
        """Of the branch's head, and with mode Commits of those since the last that was verified; None where nothing is to be verified.

        What is known is not asked for again, as long as the same keys are trusted.
        """
        verify, trust = request.spec.verify, request.trust
        if verify is None or trust is None:
            session.judged = session.verified = session.own = None
            return None
        if commit is None:
            session.judged = None
            return None
        if session.own is not None and session.own.commit == commit:
            session.judged = (commit, trust), session.own
            return session.own
        mark = commit, trust
        if session.judged is None or session.judged[0] != mark:
            since = session.verified if verify.mode == "Commits" and session.verified != commit else None
            session.judged = mark, await self._verdict(session.directory, request, commit, since)
        found = session.judged[1]
        if found.flaw is None:
            session.verified = commit
            session.own = found if found.signer == OWN else None
        return found

    async def last(self, session: SyncSession, request: RunRequest) -> str | None:
        """The last commit that was verified: what is remembered may be of a later one than a status that was not written any more tells."""
        known = session.records.revision.commit
        if session.index.commit is None and session.verified is not None and known not in ("", session.verified):
            since = session.verified if request.spec.verify and request.spec.verify.mode == "Commits" else None
            if (await self._verdict(session.directory, request, known, since)).flaw is None:
                session.verified = known
        return session.verified

    async def check(self, session: SyncSession, request: RunRequest, commit: str | None) -> None:
        """Raises Unverified for a commit, of whatever branch, that nothing is to be taken from or put onto."""
        if request.trust is not None and commit is not None:
            found = await self._verdict(session.directory, request, commit, None)
            if found.flaw is not None:
                raise unverified(found)

    async def _verdict(self, directory: Path, request: RunRequest, commit: str, since: str | None) -> Verdict:
        assert request.trust is not None
        asked = (directory, commit, since, request.trust)
        try:
            return await self._workers.run(_SECONDS, verifying.verify, *asked)
        except CacheCorruptError:
            if since is not None:
                await self._git.fetch_history(request.remote, directory, [commit])
            else:
                await self._git.fetch_trees(request.remote, directory, [commit])
        return await self._workers.run(_SECONDS, verifying.verify, *asked)


def unverified(found: Verdict) -> Unverified:
    """What is told of a commit that is not taken."""
    assert found.flaw is not None
    facts = {"commit": found.commit[:12], "author": found.author, "words": found.words, "by": found.by}
    return Unverified(Reason(found.flaw.value), messages.UNVERIFIED(**facts))
