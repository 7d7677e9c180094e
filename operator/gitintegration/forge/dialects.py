"""How each forge is asked: the calls for one repository, and its answers as pull requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from gitintegration.api.integration import Provider
from gitintegration.forge.target import ForgeTarget


@dataclass(frozen=True, slots=True)
class Draft:
    """How a pull request should read."""

    title: str
    body: str
    draft: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PullRequest:
    """As the forge tells it. `state`: open, merged or closed."""

    number: int
    url: str
    state: str

    def to_status(self) -> dict[str, Any]:
        return {"number": self.number, "url": self.url, "state": self.state}


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `path` is below the repository's address."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None


class Dialect(Protocol):
    """The calls of one forge."""

    def find(self, target: ForgeTarget, head: str, base: str) -> Call: ...
    def found(self, target: ForgeTarget, answer: Any, head: str, base: str) -> list[PullRequest]: ...
    def create(self, head: str, base: str, wanted: Draft) -> Call: ...
    def update(self, number: int, wanted: Draft) -> Call: ...
    def get(self, number: int) -> Call: ...
    def label(self, number: int, labels: Sequence[str]) -> Call | None: ...
    def read(self, target: ForgeTarget, answer: Any) -> PullRequest: ...


class GitHub:
    def find(self, target: ForgeTarget, head: str, base: str) -> Call:
        return Call("GET", "/pulls", {"state": "open", "head": f"{target.owner}:{head}", "base": base})

    def found(self, target: ForgeTarget, answer: Any, head: str, base: str) -> list[PullRequest]:
        return [self.read(target, one) for one in answer if (one["head"]["ref"], one["base"]["ref"]) == (head, base)]

    def create(self, head: str, base: str, wanted: Draft) -> Call:
        body = {"title": wanted.title, "body": wanted.body, "head": head, "base": base, "draft": wanted.draft}
        return Call("POST", "/pulls", json=body)

    def update(self, number: int, wanted: Draft) -> Call:
        return Call("PATCH", f"/pulls/{number}", json={"title": wanted.title, "body": wanted.body})

    def get(self, number: int) -> Call:
        return Call("GET", f"/pulls/{number}")

    def label(self, number: int, labels: Sequence[str]) -> Call | None:
        return Call("POST", f"/issues/{number}/labels", json={"labels": list(labels)})

    def read(self, target: ForgeTarget, answer: Any) -> PullRequest:
        merged = bool(answer.get("merged_at") or answer.get("merged"))
        state = "merged" if merged else "open" if answer["state"] == "open" else "closed"
        return PullRequest(int(answer["number"]), str(answer["html_url"]), state)


class GitLab:
    def find(self, target: ForgeTarget, head: str, base: str) -> Call:
        return Call("GET", "/merge_requests", {"state": "opened", "source_branch": head, "target_branch": base})

    def found(self, target: ForgeTarget, answer: Any, head: str, base: str) -> list[PullRequest]:
        return [
            self.read(target, one) for one in answer if (one["source_branch"], one["target_branch"]) == (head, base)
        ]

    def create(self, head: str, base: str, wanted: Draft) -> Call:
        return Call(
            "POST", "/merge_requests", json={"source_branch": head, "target_branch": base, **self._words(wanted)}
        )

    def update(self, number: int, wanted: Draft) -> Call:
        return Call("PUT", f"/merge_requests/{number}", json=self._words(wanted))

    def get(self, number: int) -> Call:
        return Call("GET", f"/merge_requests/{number}")

    def label(self, number: int, labels: Sequence[str]) -> Call | None:
        return Call("PUT", f"/merge_requests/{number}", json={"add_labels": ",".join(labels)})

    def read(self, target: ForgeTarget, answer: Any) -> PullRequest:
        state = {"opened": "open", "merged": "merged"}.get(answer["state"], "closed")
        return PullRequest(int(answer["iid"]), str(answer["web_url"]), state)

    @staticmethod
    def _words(wanted: Draft) -> dict[str, Any]:
        return {"title": f"Draft: {wanted.title}" if wanted.draft else wanted.title, "description": wanted.body}


class Gitea(GitHub):
    """GitHub's shapes, but for what differs: the filters of its list are ignored, and a draft is told by its title."""

    def find(self, target: ForgeTarget, head: str, base: str) -> Call:
        return Call("GET", "/pulls", {"state": "open", "limit": "50", "base_branch": base})

    def create(self, head: str, base: str, wanted: Draft) -> Call:
        body = {"title": self._title(wanted), "body": wanted.body, "head": head, "base": base}
        return Call("POST", "/pulls", json=body)

    def update(self, number: int, wanted: Draft) -> Call:
        return Call("PATCH", f"/pulls/{number}", json={"title": self._title(wanted), "body": wanted.body})

    @staticmethod
    def _title(wanted: Draft) -> str:
        return f"WIP: {wanted.title}" if wanted.draft else wanted.title


class Bitbucket:
    def find(self, target: ForgeTarget, head: str, base: str) -> Call:
        query = f'state="OPEN" AND source.branch.name="{_quoted(head)}" AND destination.branch.name="{_quoted(base)}"'
        return Call("GET", "/pullrequests", {"q": query})

    def found(self, target: ForgeTarget, answer: Any, head: str, base: str) -> list[PullRequest]:
        return [self.read(target, one) for one in answer["values"]]

    def create(self, head: str, base: str, wanted: Draft) -> Call:
        branches = {"source": {"branch": {"name": head}}, "destination": {"branch": {"name": base}}}
        return Call("POST", "/pullrequests", json={**self._words(wanted), **branches, "draft": wanted.draft})

    def update(self, number: int, wanted: Draft) -> Call:
        return Call("PUT", f"/pullrequests/{number}", json=self._words(wanted))

    def get(self, number: int) -> Call:
        return Call("GET", f"/pullrequests/{number}")

    def label(self, number: int, labels: Sequence[str]) -> Call | None:
        return None

    def read(self, target: ForgeTarget, answer: Any) -> PullRequest:
        state = {"OPEN": "open", "MERGED": "merged"}.get(answer["state"], "closed")
        return PullRequest(int(answer["id"]), str(answer["links"]["html"]["href"]), state)

    @staticmethod
    def _words(wanted: Draft) -> dict[str, Any]:
        return {"title": wanted.title, "description": wanted.body}


class AzureDevOps:
    _VERSION: ClassVar[Mapping[str, str]] = {"api-version": "7.1"}

    def find(self, target: ForgeTarget, head: str, base: str) -> Call:
        wanted = {
            "searchCriteria.status": "active",
            "searchCriteria.sourceRefName": f"refs/heads/{head}",
            "searchCriteria.targetRefName": f"refs/heads/{base}",
        }
        return Call("GET", "/pullrequests", {**wanted, **self._VERSION})

    def found(self, target: ForgeTarget, answer: Any, head: str, base: str) -> list[PullRequest]:
        return [self.read(target, one) for one in answer["value"]]

    def create(self, head: str, base: str, wanted: Draft) -> Call:
        refs = {"sourceRefName": f"refs/heads/{head}", "targetRefName": f"refs/heads/{base}"}
        more = {"isDraft": wanted.draft, "labels": [{"name": label} for label in wanted.labels]}
        return Call("POST", "/pullrequests", self._VERSION, {**refs, **self._words(wanted), **more})

    def update(self, number: int, wanted: Draft) -> Call:
        return Call("PATCH", f"/pullrequests/{number}", self._VERSION, self._words(wanted))

    def get(self, number: int) -> Call:
        return Call("GET", f"/pullrequests/{number}", self._VERSION)

    def label(self, number: int, labels: Sequence[str]) -> Call | None:
        return None

    def read(self, target: ForgeTarget, answer: Any) -> PullRequest:
        number = int(answer["pullRequestId"])
        state = {"active": "open", "completed": "merged"}.get(answer["status"], "closed")
        return PullRequest(number, f"{target.web}/pullrequest/{number}", state)

    @staticmethod
    def _words(wanted: Draft) -> dict[str, Any]:
        return {"title": wanted.title, "description": wanted.body[:4000]}  # its own limit


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


DIALECTS: dict[Provider, Dialect] = {
    Provider.github: GitHub(),
    Provider.gitlab: GitLab(),
    Provider.gitea: Gitea(),
    Provider.bitbucket: Bitbucket(),
    Provider.azuredevops: AzureDevOps(),
}
