"""Deliveries in the shapes of each forge, with the headers that name them: enough of each to be read, no more."""

from __future__ import annotations

from typing import Any, NamedTuple

A, B, GONE = "a" * 40, "b" * 40, "0" * 40
MAIN = "refs/heads/main"


class Delivery(NamedTuple):
    headers: dict[str, str]
    payload: Any


def _pull(action: str, **more: Any) -> dict[str, Any]:
    head = {"ref": "feature", "sha": B, "repo": {"full_name": "acme/pipes"}}
    base = {"ref": "main", "sha": A, "repo": {"full_name": "acme/pipes"}}
    return {"action": action, "number": 7, "pull_request": {"number": 7, "head": head, "base": base, **more}}


def _gitlab_merge(action: str, **more: Any) -> dict[str, Any]:
    told = {
        "iid": 7, "action": action, "source_branch": "feature", "target_branch": "main",
        "source_project_id": 1, "target_project_id": 1, "last_commit": {"id": B}, **more,
    }  # fmt: skip
    return {"object_kind": "merge_request", "event_type": "merge_request", "object_attributes": told}


def _cloud_pull() -> dict[str, Any]:
    source = {"branch": {"name": "feature"}, "commit": {"hash": B}, "repository": {"full_name": "acme/pipes"}}
    destination = {"branch": {"name": "main"}, "commit": {"hash": A}, "repository": {"full_name": "acme/pipes"}}
    return {"pullrequest": {"id": 7, "state": "OPEN", "source": source, "destination": destination}}


def _center_pull() -> dict[str, Any]:
    source = {"id": "refs/heads/feature", "displayId": "feature", "latestCommit": B, "repository": {"id": 3}}
    return {"pullRequest": {"id": 7, "fromRef": source, "toRef": {"id": MAIN, "repository": {"id": 3}}}}


def _azure_pull(status: str) -> dict[str, Any]:
    told = {
        "pullRequestId": 7, "status": status, "sourceRefName": "refs/heads/feature", "targetRefName": MAIN,
        "lastMergeSourceCommit": {"commitId": B},
    }  # fmt: skip
    return {"eventType": "git.pullrequest.updated", "resource": told}


def _cloud(*changes: dict[str, Any]) -> dict[str, Any]:
    return {"push": {"changes": list(changes)}}


def _branch(name: str, sha: str, kind: str = "branch") -> dict[str, Any]:
    return {"type": kind, "name": name, "target": {"hash": sha}}


GITHUB, GITLAB, BITBUCKET = "x-github-event", "x-gitlab-event", "x-event-key"
GITEA = {"x-gitea-event": "push", "x-github-event": "push", "x-gogs-event": "push"}
FORGEJO = {"x-forgejo-event": "push", **GITEA}

PUSHES: dict[str, tuple[Delivery, list[tuple[str, str]]]] = {
    "github": (Delivery({GITHUB: "push"}, {"ref": MAIN, "before": A, "after": B, "deleted": False}), [(MAIN, B)]),
    "github deletes": (Delivery({GITHUB: "push"}, {"ref": MAIN, "before": A, "after": GONE, "deleted": True}), [(MAIN, "")]),
    "github tag": (Delivery({GITHUB: "push"}, {"ref": "refs/tags/v1", "after": B}), [("refs/tags/v1", B)]),
    "github delete": (Delivery({GITHUB: "delete"}, {"ref": "main", "ref_type": "branch"}), [(MAIN, "")]),
    "github create": (Delivery({GITHUB: "create"}, {"ref": "v1", "ref_type": "tag"}), [("refs/tags/v1", "")]),
    "gitea": (Delivery(GITEA, {"ref": MAIN, "before": A, "after": B}), [(MAIN, B)]),
    "gitea create": (Delivery({"x-gitea-event": "create"}, {"ref": "main", "ref_type": "branch", "sha": B}), [(MAIN, B)]),
    "forgejo": (Delivery(FORGEJO, {"ref": MAIN, "after": B}), [(MAIN, B)]),
    "gitlab": (Delivery({GITLAB: "Push Hook"}, {"object_kind": "push", "ref": MAIN, "after": B}), [(MAIN, B)]),
    "gitlab deletes": (Delivery({GITLAB: "Push Hook"}, {"object_kind": "push", "ref": MAIN, "after": GONE}), [(MAIN, "")]),
    "gitlab tag": (
        Delivery({GITLAB: "Tag Push Hook"}, {"object_kind": "tag_push", "ref": "refs/tags/v1", "after": B}),
        [("refs/tags/v1", B)],
    ),
    "gitlab system": (
        Delivery({GITLAB: "System Hook"}, {
            "event_name": "repository_update",
            "changes": [{"ref": "refs/heads/x", "after": A}, {"ref": MAIN, "after": B}],
        }),
        [("refs/heads/x", A), (MAIN, B)],
    ),
    "bitbucket": (
        Delivery({BITBUCKET: "repo:push"}, _cloud({"new": _branch("x", A), "old": None}, {"new": _branch("main", B), "old": _branch("main", A)})),
        [("refs/heads/x", A), (MAIN, B)],
    ),
    "bitbucket deletes": (Delivery({BITBUCKET: "repo:push"}, _cloud({"new": None, "old": _branch("main", A)})), [(MAIN, "")]),
    "bitbucket tag": (Delivery({BITBUCKET: "repo:push"}, _cloud({"new": _branch("v1", B, "tag")})), [("refs/tags/v1", B)]),
    "data center": (
        Delivery({BITBUCKET: "repo:refs_changed"}, {"changes": [{"ref": {"id": "refs/heads/x"}, "toHash": A}, {"ref": {"id": MAIN}, "toHash": B}]}),
        [("refs/heads/x", A), (MAIN, B)],
    ),
    "data center mirror": (
        Delivery({BITBUCKET: "mirror:repo_synchronized"}, {"changes": [{"ref": {"id": MAIN}, "toHash": B}], "refLimitExceeded": False}),
        [(MAIN, B)],
    ),
    "azure": (
        Delivery({}, {"eventType": "git.push", "resource": {"refUpdates": [
            {"name": "refs/heads/x", "newObjectId": A}, {"name": MAIN, "oldObjectId": A, "newObjectId": B},
        ]}}),
        [("refs/heads/x", A), (MAIN, B)],
    ),
    "azure deletes": (Delivery({}, {"eventType": "git.push", "resource": {"refUpdates": [{"name": MAIN, "newObjectId": GONE}]}}), [(MAIN, "")]),
    "generic": (Delivery({}, {"ref": MAIN, "after": B}), [(MAIN, B)]),
}  # fmt: skip
"""By name: a push, with the refs and commits that it tells of."""

PULLS: dict[str, tuple[Delivery, str]] = {
    "github opened": (Delivery({GITHUB: "pull_request"}, _pull("opened")), "opened"),
    "github synchronize": (Delivery({GITHUB: "pull_request"}, _pull("synchronize")), "synchronize"),
    "github reopened": (Delivery({GITHUB: "pull_request"}, _pull("reopened")), "reopened"),
    "github closed": (Delivery({GITHUB: "pull_request"}, _pull("closed", merged=True)), "closed"),
    "github edited": (Delivery({GITHUB: "pull_request"}, _pull("edited")), "edited"),
    "gitea synchronized": (Delivery({"x-gitea-event": "pull_request"}, _pull("synchronized")), "synchronize"),
    "gitlab open": (Delivery({GITLAB: "Merge Request Hook"}, _gitlab_merge("open")), "opened"),
    "gitlab pushed": (Delivery({GITLAB: "Merge Request Hook"}, _gitlab_merge("update", oldrev=A)), "synchronize"),
    "gitlab edited": (Delivery({GITLAB: "Merge Request Hook"}, _gitlab_merge("update")), "edited"),
    "gitlab reopen": (Delivery({GITLAB: "Merge Request Hook"}, _gitlab_merge("reopen")), "reopened"),
    "gitlab merge": (Delivery({GITLAB: "Merge Request Hook"}, _gitlab_merge("merge")), "closed"),
    "bitbucket created": (Delivery({BITBUCKET: "pullrequest:created"}, _cloud_pull()), "opened"),
    "bitbucket updated": (Delivery({BITBUCKET: "pullrequest:updated"}, _cloud_pull()), "synchronize"),
    "bitbucket fulfilled": (Delivery({BITBUCKET: "pullrequest:fulfilled"}, _cloud_pull()), "closed"),
    "data center opened": (Delivery({BITBUCKET: "pr:opened"}, _center_pull()), "opened"),
    "data center pushed": (Delivery({BITBUCKET: "pr:from_ref_updated"}, _center_pull()), "synchronize"),
    "data center declined": (Delivery({BITBUCKET: "pr:declined"}, _center_pull()), "closed"),
    "azure updated": (Delivery({}, _azure_pull("active")), "synchronize"),
    "azure completed": (Delivery({}, _azure_pull("completed")), "closed"),
}
"""By name: request 7 from feature at B to main, of one repository, and what happened to it."""

OTHERS: dict[str, Delivery] = {
    "github issue": Delivery({GITHUB: "issues"}, {"action": "opened", "issue": {"number": 1}}),
    "gitea release": Delivery({"x-gitea-event": "release"}, {"action": "published"}),
    "gitlab note": Delivery({GITLAB: "Note Hook"}, {"object_kind": "note"}),
    "bitbucket fork": Delivery({BITBUCKET: "repo:fork"}, {"fork": {}}),
    "azure build": Delivery({}, {"eventType": "build.complete", "resource": {}}),
}
PINGS: dict[str, Delivery] = {
    "github": Delivery({GITHUB: "ping"}, {"zen": "Keep it simple", "hook_id": 1}),
    "data center": Delivery({BITBUCKET: "diagnostics:ping"}, {"test": True}),
}
EVERY = {
    **{name: one for name, (one, _) in PUSHES.items()},
    **{f"{name} pull": one for name, (one, _) in PULLS.items()},
    **OTHERS,
    **{f"{name} ping": one for name, one in PINGS.items()},
}
