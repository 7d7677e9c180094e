"""What a check of pull requests asks of a forge: which are open, a commit's status, and the one comment. The calls are pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from urllib.parse import quote

from gitintegration.api.integration import Provider
from gitintegration.core.checks.findings import CheckState, Verdict
from gitintegration.errors import Reason, RemoteError
from gitintegration.forge.client import Declined
from gitintegration.forge.dialects import Call
from gitintegration.forge.pull_requests import Forges, strange
from gitintegration.forge.target import ForgeTarget

PAGE, PAGES = 50, 2
"""Pull requests of one answer, and how many answers are asked for; comments likewise."""
_COMMENTS = 100
_URL, _REF, _BODY = 2048, 1024, 200_000
_SHA = re.compile(r"[0-9a-f]{7,64}")
_ID = re.compile(r"[0-9]{1,20}(?:/[0-9]{1,20})?")
_ODD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
_KEY = 40
"""Characters of a status' key at Bitbucket."""
_ABOUT, _STATUSES, _NOTES = "pull requests", "commit statuses", "comments"


@dataclass(frozen=True, slots=True)
class OpenPull:
    """An open pull request. `commit`: what it would bring, of which some forges tell the first letters only."""

    number: int
    url: str
    head: str
    commit: str
    fork: bool


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one. `state`: open, merged or closed; `commit`: that it was merged as, empty where it was not."""

    state: str
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What a commit is told. `context` names who tells it, `url` where it is about."""

    context: str
    verdict: Verdict
    url: str


@dataclass(frozen=True, slots=True)
class Comment:
    """One that was found. `id` as the forge is asked for it."""

    id: str
    text: str


class CheckDialect(Protocol):
    """The calls of one forge. `most`: bytes of a comment that it takes."""

    most: ClassVar[int]

    def open(self, base: str, page: int) -> Call: ...
    def opened(self, target: ForgeTarget, answer: Any) -> list[OpenPull]: ...
    def get(self, number: int) -> Call: ...
    def fate(self, answer: Any) -> Fate: ...
    def tell(self, number: int | None, commit: str, status: Status) -> Call: ...
    def comments(self, number: int, page: int) -> Call: ...
    def commented(self, answer: Any) -> list[Comment]: ...
    def comment(self, number: int, text: str) -> Call: ...
    def edit(self, number: int, known: str, text: str) -> Call: ...
    def made(self, answer: Any) -> str: ...


class _GitHub:
    most: ClassVar[int] = 65_000

    def open(self, base: str, page: int) -> Call:
        wanted = {"state": "open", "base": base, "sort": "updated", "direction": "desc"}
        return Call("GET", "/pulls", {**wanted, "per_page": str(PAGE), "page": str(page)})

    def opened(self, target: ForgeTarget, answer: Any) -> list[OpenPull]:
        return [self._pull(one) for one in answer]

    def get(self, number: int) -> Call:
        return Call("GET", f"/pulls/{number}")

    def fate(self, answer: Any) -> Fate:
        if answer.get("merged_at") or answer.get("merged"):
            return Fate("merged", answer.get("merge_commit_sha") or "")
        return Fate("open" if answer["state"] == "open" else "closed")

    def tell(self, number: int | None, commit: str, status: Status) -> Call:
        told = {"state": status.verdict.state.value, "description": status.verdict.description}
        return Call("POST", f"/statuses/{commit}", json={**told, "context": status.context, "target_url": status.url})

    def comments(self, number: int, page: int) -> Call:
        return Call("GET", f"/issues/{number}/comments", {"per_page": str(_COMMENTS), "page": str(page)})

    def commented(self, answer: Any) -> list[Comment]:
        return [Comment(self.made(one), one.get("body") or "") for one in answer]

    def comment(self, number: int, text: str) -> Call:
        return Call("POST", f"/issues/{number}/comments", json={"body": text})

    def edit(self, number: int, known: str, text: str) -> Call:
        return Call("PATCH", f"/issues/comments/{known}", json={"body": text})

    def made(self, answer: Any) -> str:
        return str(int(answer["id"]))

    @staticmethod
    def _pull(one: Any) -> OpenPull:
        head, base = one["head"], one["base"]
        sources = [(side.get("repo") or {}).get("full_name") for side in (head, base)]
        return OpenPull(int(one["number"]), one["html_url"], head["ref"], head["sha"], sources[0] != sources[1])


class _Gitea(_GitHub):
    """GitHub's shapes. Its list is filtered by another name, and comments come all at once."""

    def open(self, base: str, page: int) -> Call:
        wanted = {"state": "open", "base_branch": base, "sort": "recentupdate"}
        return Call("GET", "/pulls", {**wanted, "limit": str(PAGE), "page": str(page)})

    def comments(self, number: int, page: int) -> Call:
        return Call("GET", f"/issues/{number}/comments")


class _GitLab:
    most: ClassVar[int] = 500_000
    _STATES: ClassVar[Mapping[CheckState, str]] = {
        CheckState.pending: "pending",
        CheckState.success: "success",
        CheckState.failure: "failed",
        CheckState.error: "failed",
    }

    def open(self, base: str, page: int) -> Call:
        wanted = {"state": "opened", "target_branch": base, "order_by": "updated_at", "sort": "desc"}
        return Call("GET", "/merge_requests", {**wanted, "per_page": str(PAGE), "page": str(page)})

    def opened(self, target: ForgeTarget, answer: Any) -> list[OpenPull]:
        return [
            OpenPull(
                int(one["iid"]),
                one["web_url"],
                one["source_branch"],
                one.get("sha") or "",
                one["source_project_id"] != one["target_project_id"],
            )
            for one in answer
        ]

    def get(self, number: int) -> Call:
        return Call("GET", f"/merge_requests/{number}")

    def fate(self, answer: Any) -> Fate:
        state = {"opened": "open", "locked": "open", "merged": "merged"}.get(answer["state"], "closed")
        made = answer.get("merge_commit_sha") or answer.get("squash_commit_sha") or answer.get("sha") or ""
        return Fate(state, made if state == "merged" else "")

    def tell(self, number: int | None, commit: str, status: Status) -> Call:
        told = {"state": self._STATES[status.verdict.state], "description": status.verdict.description}
        return Call("POST", f"/statuses/{commit}", json={**told, "name": status.context, "target_url": status.url})

    def comments(self, number: int, page: int) -> Call:
        wanted = {"sort": "asc", "order_by": "created_at", "per_page": str(_COMMENTS), "page": str(page)}
        return Call("GET", f"/merge_requests/{number}/notes", wanted)

    def commented(self, answer: Any) -> list[Comment]:
        return [Comment(self.made(one), one.get("body") or "") for one in answer]

    def comment(self, number: int, text: str) -> Call:
        return Call("POST", f"/merge_requests/{number}/notes", json={"body": text})

    def edit(self, number: int, known: str, text: str) -> Call:
        return Call("PUT", f"/merge_requests/{number}/notes/{known}", json={"body": text})

    def made(self, answer: Any) -> str:
        return str(int(answer["id"]))


class _Bitbucket:
    most: ClassVar[int] = 32_000
    _STATES: ClassVar[Mapping[CheckState, str]] = {
        CheckState.pending: "INPROGRESS",
        CheckState.success: "SUCCESSFUL",
        CheckState.failure: "FAILED",
        CheckState.error: "STOPPED",
    }

    def open(self, base: str, page: int) -> Call:
        quoted = base.replace("\\", "\\\\").replace('"', '\\"')
        query = f'state="OPEN" AND destination.branch.name="{quoted}"'
        return Call(
            "GET", "/pullrequests", {"q": query, "sort": "-updated_on", "pagelen": str(PAGE), "page": str(page)}
        )

    def opened(self, target: ForgeTarget, answer: Any) -> list[OpenPull]:
        return [self._pull(one) for one in answer["values"]]

    def get(self, number: int) -> Call:
        return Call("GET", f"/pullrequests/{number}")

    def fate(self, answer: Any) -> Fate:
        state = {"OPEN": "open", "MERGED": "merged"}.get(answer["state"], "closed")
        return Fate(state, (answer.get("merge_commit") or {}).get("hash") or "" if state == "merged" else "")

    def tell(self, number: int | None, commit: str, status: Status) -> Call:
        told = {"state": self._STATES[status.verdict.state], "description": status.verdict.description}
        named = {"key": _key(status.context), "name": status.context, "url": status.url}
        return Call("POST", f"/commit/{commit}/statuses/build", json={**told, **named})

    def comments(self, number: int, page: int) -> Call:
        wanted = {"pagelen": str(_COMMENTS), "page": str(page), "sort": "created_on"}
        return Call("GET", f"/pullrequests/{number}/comments", wanted)

    def commented(self, answer: Any) -> list[Comment]:
        there = [one for one in answer["values"] if not one.get("deleted")]
        return [Comment(self.made(one), (one.get("content") or {}).get("raw") or "") for one in there]

    def comment(self, number: int, text: str) -> Call:
        return Call("POST", f"/pullrequests/{number}/comments", json={"content": {"raw": text}})

    def edit(self, number: int, known: str, text: str) -> Call:
        return Call("PUT", f"/pullrequests/{number}/comments/{known}", json={"content": {"raw": text}})

    def made(self, answer: Any) -> str:
        return str(int(answer["id"]))

    @staticmethod
    def _pull(one: Any) -> OpenPull:
        head, base = one["source"], one["destination"]
        sources = [(side.get("repository") or {}).get("full_name") for side in (head, base)]
        commit = (head.get("commit") or {}).get("hash") or ""
        url = one["links"]["html"]["href"]
        return OpenPull(int(one["id"]), url, head["branch"]["name"], commit, sources[0] != sources[1])


class _AzureDevOps:
    """A status stands at the pull request, where its branch policies look for it; of what was merged, at the commit."""

    most: ClassVar[int] = 100_000
    _VERSION: ClassVar[Mapping[str, str]] = {"api-version": "7.1"}
    _STATES: ClassVar[Mapping[CheckState, str]] = {
        CheckState.pending: "pending",
        CheckState.success: "succeeded",
        CheckState.failure: "failed",
        CheckState.error: "error",
    }

    def open(self, base: str, page: int) -> Call:
        wanted = {"searchCriteria.status": "active", "searchCriteria.targetRefName": f"refs/heads/{base}"}
        return Call(
            "GET", "/pullrequests", {**wanted, "$top": str(PAGE), "$skip": str(PAGE * (page - 1)), **self._VERSION}
        )

    def opened(self, target: ForgeTarget, answer: Any) -> list[OpenPull]:
        return [self._pull(target, one) for one in answer["value"]]

    def get(self, number: int) -> Call:
        return Call("GET", f"/pullrequests/{number}", self._VERSION)

    def fate(self, answer: Any) -> Fate:
        state = {"active": "open", "completed": "merged"}.get(answer["status"], "closed")
        return Fate(state, (answer.get("lastMergeCommit") or {}).get("commitId") or "" if state == "merged" else "")

    def tell(self, number: int | None, commit: str, status: Status) -> Call:
        genre, _, name = status.context.partition("/")
        told = {"state": self._STATES[status.verdict.state], "description": status.verdict.description}
        body = {**told, "context": {"genre": genre, "name": name}, "targetUrl": status.url}
        path = f"/commits/{commit}/statuses" if number is None else f"/pullRequests/{number}/statuses"
        return Call("POST", path, self._VERSION, body)

    def comments(self, number: int, page: int) -> Call:
        return Call("GET", f"/pullRequests/{number}/threads", self._VERSION)

    def commented(self, answer: Any) -> list[Comment]:
        threads = [one for one in answer["value"] if not one.get("isDeleted") and one.get("comments")]
        return [Comment(self.made(one), one["comments"][0].get("content") or "") for one in threads]

    def comment(self, number: int, text: str) -> Call:
        said = {"parentCommentId": 0, "content": text, "commentType": "text"}
        body = {"comments": [said], "status": "closed"}  # an open one may keep it from being merged
        return Call("POST", f"/pullRequests/{number}/threads", self._VERSION, body)

    def edit(self, number: int, known: str, text: str) -> Call:
        thread, _, comment = known.partition("/")
        path = f"/pullRequests/{number}/threads/{thread}/comments/{comment}"
        return Call("PATCH", path, self._VERSION, {"content": text})

    def made(self, answer: Any) -> str:
        return f"{int(answer['id'])}/{int(answer['comments'][0]['id'])}"

    @staticmethod
    def _pull(target: ForgeTarget, one: Any) -> OpenPull:
        number, head = int(one["pullRequestId"]), one["sourceRefName"].removeprefix("refs/heads/")
        commit = (one.get("lastMergeSourceCommit") or {}).get("commitId") or ""
        return OpenPull(number, f"{target.web}/pullrequest/{number}", head, commit, bool(one.get("forkSource")))


def _key(context: str) -> str:
    if len(context) <= _KEY:
        return context
    return hashlib.sha256(context.encode()).hexdigest()[:_KEY]


CHECK_DIALECTS: Mapping[Provider, CheckDialect] = {
    Provider.github: _GitHub(),
    Provider.gitlab: _GitLab(),
    Provider.gitea: _Gitea(),
    Provider.bitbucket: _Bitbucket(),
    Provider.azuredevops: _AzureDevOps(),
}


class PullRequestForge:
    """Asks a forge for what checks need. Raises RemoteError."""

    def __init__(self, forges: Forges) -> None:
        self._forges = forges

    async def open(self, target: ForgeTarget, base: str) -> list[OpenPull]:
        """The open ones to a branch, those that changed last first; of very many, the first hundred."""
        dialect, found = CHECK_DIALECTS[target.provider], dict[int, OpenPull]()
        for page in range(1, PAGES + 1):
            answer = await self._forges.call(target, dialect.open(base, page), _ABOUT)
            try:
                some = [_sound(one) for one in dialect.opened(target, answer)]
            except _ODD:
                raise strange(target) from None
            found.update({one.number: one for one in some if one.number not in found})
            if len(some) < PAGE:
                break
        return list(found.values())

    async def fate(self, target: ForgeTarget, number: int) -> Fate:
        """What became of one; one that is not there any more is closed."""
        dialect = CHECK_DIALECTS[target.provider]
        try:
            answer = await self._forges.call(target, dialect.get(number), _ABOUT)
        except RemoteError as error:
            if error.reason is Reason.RepositoryNotFound:
                return Fate("closed")
            raise
        try:
            found = dialect.fate(answer)
            if found.commit and not _SHA.fullmatch(found.commit):
                raise ValueError("no commit")
        except _ODD:
            raise strange(target) from None
        return found

    async def tell(self, target: ForgeTarget, number: int | None, commit: str, status: Status) -> None:
        """Give a commit its status. `number`: of the pull request that it is the head of; None: it is merged."""
        try:
            await self._forges.call(
                target, CHECK_DIALECTS[target.provider].tell(number, quote(commit), status), _STATUSES
            )
        except Declined as error:
            if "cannot transition status" not in error.message.lower():  # GitLab: it stands so already
                raise

    async def comment(self, target: ForgeTarget, number: int, text: str, mark: str, known: str = "") -> str:
        """Have one comment say this: the one with the id `known`, or with the line `mark`, else a new one. Gives its id."""
        dialect = CHECK_DIALECTS[target.provider]
        if known and _ID.fullmatch(known):
            try:
                await self._forges.call(target, dialect.edit(number, known, text), _NOTES)
            except RemoteError as error:
                if error.reason is not Reason.RepositoryNotFound:
                    raise
            else:
                return known
        found = await self._find(target, number, mark)
        if found is not None:
            if found.text.strip() != text.strip():
                await self._forges.call(target, dialect.edit(number, found.id, text), _NOTES)
            return found.id
        answer = await self._forges.call(target, dialect.comment(number, text), _NOTES)
        try:
            return _known(dialect.made(answer))
        except _ODD:
            raise strange(target) from None

    async def _find(self, target: ForgeTarget, number: int, mark: str) -> Comment | None:
        """The oldest with the mark: whoever copies it comes later."""
        dialect = CHECK_DIALECTS[target.provider]
        for page in range(1, PAGES + 1):
            answer = await self._forges.call(target, dialect.comments(number, page), _NOTES)
            try:
                some = dialect.commented(answer)
                found = next((one for one in some if mark in one.text[:_BODY]), None)
                if found is not None:
                    _known(found.id)
                    return found
            except _ODD:
                raise strange(target) from None
            if len(some) != _COMMENTS:
                break
        return None


def _sound(found: OpenPull) -> OpenPull:
    """The same. Raises ValueError, TypeError where it is none."""
    if not 0 < found.number < 1 << 53 or not found.url.startswith(("https://", "http://")):
        raise ValueError("no pull request")
    if (
        len(found.url) > _URL
        or not found.url.isprintable()
        or not 0 < len(found.head) <= _REF
        or not found.head.isprintable()
    ):
        raise ValueError("no page")
    if not _SHA.fullmatch(found.commit):
        raise ValueError("no commit")
    return found


def _known(known: str) -> str:
    if not _ID.fullmatch(known):
        raise ValueError("no id")
    return known
