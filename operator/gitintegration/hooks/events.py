"""What a delivery tells of, in one form for all forges. Pure, and never raises: a payload may hold anything.

It is a hint only. What can't be read as anything is Unclear, and looked at; nothing of it is ever applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import orjson

from gitintegration.hooks.verify import Body, Headers

_HEADS = "refs/heads/"
_REFS = 10_000
"""So many refs of one push are looked at; of more, none is left out, for it is Unclear then."""
_TEXT = 1024
"""Characters of a ref or an id."""


@dataclass(frozen=True, slots=True)
class RefChange:
    """`ref` is a full name; `commit` is where it is now, empty where it is gone or not told."""

    ref: str
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Push:
    """Refs that moved, all of them."""

    changes: tuple[RefChange, ...]


@dataclass(frozen=True, slots=True)
class PullRequest:
    """`action`: opened, synchronize, reopened, closed, edited, or another word of the forge's. Branches without refs/heads/."""

    action: str
    number: int
    head: str
    base: str
    commit: str = ""
    fork: bool | None = None
    """Whether its head is in another repository; None where that is not told."""

    @property
    def starts_check(self) -> bool:
        """Whether what it would bring may be another than before, or it came or went."""
        return self.action in ("opened", "synchronize", "reopened", "closed", "edited")


@dataclass(frozen=True, slots=True)
class Ping:
    """The forge tries the hook."""


@dataclass(frozen=True, slots=True)
class Other:
    """An event that is about no ref: an issue, a star."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """A push, or who knows what, that names no ref as it should."""


Event: TypeAlias = Push | PullRequest | Ping | Other | Unclear
_ODD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


def read_event(headers: Headers, body: Body) -> Event:
    """What it tells of."""
    payload = _payload(headers, body)
    for header, reader in _READERS.items():
        if header in headers:
            return _read(reader, headers[header], payload)
    if isinstance(payload, dict) and isinstance(payload.get("eventType"), str):
        return _read(_azure, payload["eventType"], payload)
    return _read(_generic, "", payload)


def delivery_of(headers: Headers) -> str:
    """The forge's own name for it; empty where it has none."""
    return next((headers[name][:_TEXT] for name in _DELIVERIES if headers.get(name)), "")


def _read(reader: Callable[[str, Any], Event], name: str, payload: Any) -> Event:
    try:
        return reader(name, payload)
    except _ODD:
        return Unclear()


def _payload(headers: Headers, body: Body) -> Any:
    """JSON, or the form with one field that GitHub's hooks send unless told otherwise."""
    try:
        if headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
            return orjson.loads(parse_qs(body.decode(), max_num_fields=8)["payload"][0])
        return orjson.loads(body)
    except _ODD:
        return None


# --- the forges -----------------------------------------------------------------------------------------------------


def _github(name: str, payload: Any) -> Event:
    """GitHub, Gitea and Forgejo."""
    match name:
        case "ping":
            return Ping()
        case "push":
            return _pushed([(payload["ref"], payload.get("after"))])
        case "create" | "delete":
            kind = {"branch": "heads", "tag": "tags"}[payload["ref_type"]]
            ref = _text(payload["ref"])
            full = ref if ref.startswith("refs/") else f"refs/{kind}/{ref}"
            return _pushed([(full, payload.get("sha") if name == "create" else None)])
        case "pull_request" | "pull_request_sync":
            pull = payload["pull_request"]
            head, base = pull["head"], pull["base"]
            sources = [(side.get("repo") or {}).get("full_name") for side in (head, base)]
            fork = sources[0] != sources[1] if all(sources) else None
            action = {"synchronized": "synchronize"}.get(payload["action"], payload["action"])
            number = payload.get("number") or pull["number"]
            return _pull(action, number, head["ref"], base["ref"], head.get("sha"), fork)
    return Other()


def _gitlab(name: str, payload: Any) -> Event:
    kind = payload.get("object_kind") or payload.get("event_name")
    if kind in ("push", "tag_push"):
        return _pushed([(payload["ref"], payload.get("after"))])
    if kind == "repository_update":
        return _pushed([(change["ref"], change.get("after")) for change in payload["changes"]])
    if kind != "merge_request":
        return Unclear() if name in ("Push Hook", "Tag Push Hook") else Other()
    told = payload["object_attributes"]
    said = told.get("action")
    moved = "synchronize" if told.get("oldrev") else "edited"
    renamed = {"open": "opened", "reopen": "reopened", "close": "closed", "merge": "closed", "update": moved}
    commit = (told.get("last_commit") or {}).get("id")
    fork = told["source_project_id"] != told["target_project_id"] if "source_project_id" in told else None
    return _pull(renamed.get(said, said), told["iid"], told["source_branch"], told["target_branch"], commit, fork)


def _bitbucket(name: str, payload: Any) -> Event:
    """Cloud (repo:push, pullrequest:created) and Data Center (repo:refs_changed, pr:opened)."""
    if name == "diagnostics:ping":
        return Ping()
    if name == "repo:push":
        return _pushed(_cloud_changes(payload["push"]["changes"]))
    if name in ("repo:refs_changed", "mirror:repo_synchronized"):
        return _pushed([(change["ref"]["id"], change.get("toHash")) for change in payload["changes"]])
    family, _, action = name.partition(":")
    if family == "pullrequest":
        pull = payload["pullrequest"]
        head, base = pull["source"], pull["destination"]
        sources = [(side.get("repository") or {}).get("full_name") for side in (head, base)]
        commit = (head.get("commit") or {}).get("hash")
        branches = head["branch"]["name"], base["branch"]["name"]
    elif family == "pr":
        pull = payload["pullRequest"]
        head, base = pull["fromRef"], pull["toRef"]
        sources = [(side.get("repository") or {}).get("id") for side in (head, base)]
        commit = head.get("latestCommit")
        branches = _text(head["id"]).removeprefix(_HEADS), _text(base["id"]).removeprefix(_HEADS)
    else:
        return Other()
    fork = sources[0] != sources[1] if all(sources) else None
    return _pull(_BITBUCKET.get(name, action), pull["id"], *branches, commit, fork)


_BITBUCKET = {
    "pullrequest:created": "opened",
    "pullrequest:updated": "synchronize",
    "pullrequest:fulfilled": "closed",
    "pullrequest:rejected": "closed",
    "pr:opened": "opened",
    "pr:from_ref_updated": "synchronize",
    "pr:modified": "edited",
    "pr:merged": "closed",
    "pr:declined": "closed",
    "pr:deleted": "closed",
}


def _cloud_changes(changes: Any) -> Iterator[tuple[Any, Any]]:
    for change in changes:
        new = change.get("new")
        side = new or change["old"]
        kind = "tags" if side.get("type") == "tag" else "heads"
        yield f"refs/{kind}/{_text(side['name'])}", ((new or {}).get("target") or {}).get("hash")


def _azure(name: str, payload: Any) -> Event:
    """Its details may be left out by setting: then no ref is told."""
    told = payload.get("resource")
    if name == "git.push":
        return _pushed([(change["name"], change.get("newObjectId")) for change in told["refUpdates"]])
    if not name.startswith("git.pullrequest."):
        return Other()
    ended = told.get("status") in ("completed", "abandoned")
    action = "closed" if ended else {"created": "opened", "updated": "synchronize"}.get(name.rpartition(".")[2], name)
    head, base = (_text(told[side]).removeprefix(_HEADS) for side in ("sourceRefName", "targetRefName"))
    commit = (told.get("lastMergeSourceCommit") or {}).get("commitId")
    return _pull(action, told["pullRequestId"], head, base, commit, bool(told.get("forkSource")))


def _generic(name: str, payload: Any) -> Event:
    """A ref may be named, as GitHub does; nothing needs to be."""
    return _pushed([(payload["ref"], payload.get("after"))])


def _pushed(changes: Any) -> Event:
    found = [RefChange(_text(ref), _commit(commit)) for ref, commit in changes]
    if not found or len(found) > _REFS or not all(change.ref.startswith("refs/") for change in found):
        return Unclear()
    return Push(tuple(found))


def _pull(action: Any, number: Any, head: Any, base: Any, commit: Any, fork: bool | None) -> Event:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 1 << 53:
        return Unclear()
    return PullRequest(_text(action), number, _text(head), _text(base), _commit(commit), fork)


def _text(value: Any) -> str:
    """Raises TypeError, ValueError."""
    if not isinstance(value, str):
        raise TypeError("no text")
    if not 0 < len(value) <= _TEXT:
        raise ValueError("no name")
    return value


def _commit(value: Any) -> str:
    """Empty for none, and for the one of zeros that means it is gone."""
    known = isinstance(value, str) and len(value) in (40, 64) and set(value) <= set("0123456789abcdef")
    return value if known and set(value) != {"0"} else ""


_READERS: Mapping[str, Callable[[str, Any], Event]] = {
    "x-forgejo-event": _github,
    "x-gitea-event": _github,
    "x-github-event": _github,
    "x-gitlab-event": _gitlab,
    "x-event-key": _bitbucket,
}
"""By the header that names the event: Gitea and Forgejo send GitHub's besides their own."""
_DELIVERIES = (
    "x-forgejo-delivery",
    "x-gitea-delivery",
    "x-github-delivery",
    "webhook-id",
    "x-gitlab-event-uuid",
    "x-request-uuid",
    "x-request-id",
)
