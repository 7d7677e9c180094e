"""A forge in memory: pull requests of the world's repository, with the statuses and comments that it was told. Gitea's shapes."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from tests.laws.world import World

_STATUS = re.compile(r"/statuses/([0-9a-f]{40})")
_COMMENTS, _COMMENT = re.compile(r"/issues/(\d+)/comments"), re.compile(r"/issues/comments/(\d+)")
_PULL = re.compile(r"/pulls/(\d+)")


class Pulls:
    """Answers for the API of `w`, whose integration then checks them."""

    def __init__(self, w: World, mode: str = "Pull", **checks: Any) -> None:
        self.w = w
        self.open: dict[int, str] = {}
        """Branch of each."""
        self.merged: dict[int, str] = {}
        """Merge commit of each."""
        self.forks: set[int] = set()
        self.statuses: list[tuple[str, str, str]] = []
        """Commit, state and words of each that was told."""
        self.comments: dict[int, str] = {}
        self.writes = 0
        self.asked: list[str] = []
        """Method and path of each request."""
        self.trouble: httpx.Response | None = None
        w.forge = httpx.MockTransport(self)
        self.configure(mode, **checks)
        w.restart()

    def configure(self, mode: str, strategy: str = "merge", max_deletes: str = "100%", **checks: Any) -> None:
        self.w.configure(mode, strategy, max_deletes)
        self.w.spec["sync"]["interval"] = "10s"
        more = {"provider": "gitea", "credentials": {"secretRef": {"name": "login"}}, "pullRequests": checks}
        self.w.spec |= more

    def told(self, branch: str) -> tuple[str, str]:
        """State and words of the head of a branch, as they were told last."""
        commit = self.w.git.heads[branch]
        return next((state, words) for sha, state, words in reversed(self.statuses) if sha == commit)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/repos/r")
        assert request.headers["Authorization"] == "Bearer a-token"
        if self.trouble is not None:
            return self.trouble
        body: dict[str, Any] = json.loads(request.content) if request.content else {}
        self.writes += request.method != "GET"
        self.asked.append(f"{request.method} {path}")
        if found := _STATUS.fullmatch(path):
            words, _, base = body["description"].partition("; against ")
            assert base == "" or len(base) == 10
            self.statuses.append((found[1], body["state"], words))
            return httpx.Response(201, json={})
        if found := _COMMENTS.fullmatch(path):
            number = int(found[1])
            if request.method == "POST":
                assert number not in self.comments
                self.comments[number] = body["body"]
                return httpx.Response(201, json={"id": number})
            rows = [{"id": number, "body": self.comments[number]}] if number in self.comments else []
            return httpx.Response(200, json=rows)
        if found := _COMMENT.fullmatch(path):
            self.comments[int(found[1])] = body["body"]
            return httpx.Response(200, json={"id": int(found[1])})
        if found := _PULL.fullmatch(path):
            return httpx.Response(200, json=self._pull(int(found[1])))
        if (request.method, path) == ("GET", ""):
            return httpx.Response(200, json={"permissions": {"push": True}})
        assert (request.method, path) == ("GET", "/pulls"), path
        return httpx.Response(200, json=[self._pull(number) for number in self.open])

    def _pull(self, number: int) -> dict[str, Any]:
        if number in self.merged:
            ended = {"state": "closed", "merged": True, "merge_commit_sha": self.merged[number]}
            return {"number": number, **ended}
        head = {"ref": self.open[number], "sha": self.w.git.heads[self.open[number]]}
        names = ("someone/r" if number in self.forks else "r", "r")
        sides = [{"repo": {"full_name": name}} for name in names]
        url = f"https://git.example.com/r/pulls/{number}"
        return {
            "number": number,
            "html_url": url,
            "state": "open",
            "head": {**sides[0], **head},
            "base": {**sides[1], "ref": "main"},
        }

    def merge(self, number: int) -> None:
        """As a merge commit; where both changed a file, it takes the pull request's."""
        git = self.w.git
        branch = self.open.pop(number)
        head, base = git.heads[branch], git.heads["main"]
        common = next(sha for sha in _line(git, base) if sha in git.ancestors(head))
        old, ours, theirs = (git.files(sha) for sha in (common, base, head))
        changed = {path for path in old.keys() | theirs.keys() if old.get(path) != theirs.get(path)}
        files = {path: text for path, text in ours.items() if path not in changed}
        files |= {path: theirs[path] for path in changed & theirs.keys()}
        self.merged[number] = git.commit(files, base, head)


def _line(git: Any, sha: str) -> list[str]:
    """The commit and its first parents."""
    found = [sha]
    while parents := git.parents(found[-1]):
        found.append(parents[0])
    return found
