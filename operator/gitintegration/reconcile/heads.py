"""The branches of the repository as they are now: one round trip."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from gitintegration import messages
from gitintegration.errors import Reason, RemoteError, SpecError
from gitintegration.git.client import GitClient
from gitintegration.git.remote import Remote
from gitintegration.git.wire import Refs
from gitintegration.messages import named

_HEADS = "refs/heads/"


@dataclass(frozen=True, slots=True)
class RemoteHeads:
    """The branch as it is now; `commit` is None where the repository is empty."""

    branch: str
    commit: str | None
    latency_ms: int
    review_branch: str | None = None
    review: str | None = None
    """Commit of the review branch, where one is asked for and there."""
    named: bool = False
    """Somebody asked for just this commit: that the branch was seen elsewhere says nothing against it."""
    made: bool = False
    """The commit is in the cache and nowhere else: it is what the branch would be."""

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def review_ref(self) -> str:
        return f"refs/heads/{self.review_branch}"


async def ls_remote(git: GitClient, remote: Remote, branch: str | None, review: str | None = None) -> RemoteHeads:
    """One round trip. Raises RemoteError, with BranchNotFound where the repository has others but not this branch."""
    started = time.monotonic()
    asked = [f"{_HEADS}{branch or ''}", *([f"{_HEADS}{review}"] if review else [])]
    refs = await git.ls_refs(remote, asked)
    latency = int((time.monotonic() - started) * 1000)
    name = branch or (refs.head or f"{_HEADS}main").removeprefix(_HEADS)
    if review is not None:
        check_names(review, [name])
    commit = refs.refs.get(f"{_HEADS}{name}")
    if commit is None:
        there = refs if branch is None else await git.ls_refs(remote, [_HEADS])
        _check_empty(remote, name, there, wanted=branch)
    return RemoteHeads(name, commit, latency, review, refs.refs.get(f"refs/heads/{review}") if review else None)


def check_names(branch: str, others: Iterable[str]) -> None:
    """Raises SpecError where git can't hold `branch` beside one of `others`: it takes the one for a folder of the other."""
    for other in others:
        if branch.startswith(f"{other}/") or other.startswith(f"{branch}/"):
            words = f"{branch!r} can't be made beside branch {other!r}: name one that is no folder of the other"
            raise SpecError(Reason.InvalidSpec, messages.SPEC_FIELD(field="spec.sync.push.branch", words=words))


def _check_empty(remote: Remote, name: str, refs: Refs, wanted: str | None) -> None:
    """Raises RemoteError where a branch is missing in a repository that has others: only an empty one is begun by us."""
    others = sorted(ref.removeprefix(_HEADS) for ref in (*refs.refs, *refs.others) if ref.startswith(_HEADS))
    if not others:
        return
    known = named(others, 10)[:1000]
    if wanted:
        words = messages.BRANCH_MISSING(branch=wanted, url=remote.url, known=known)
    else:
        gone = f"branch {name!r}" if refs.head else "a branch"
        words = messages.HEAD_MISSING(branch=gone, url=remote.url, known=known)
    raise RemoteError(Reason.BranchNotFound, words, retry=True)
