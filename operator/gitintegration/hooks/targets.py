"""The integrations that deliveries may concern: which one a path is of, who else is told of with it, and whether to look. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitintegration.api.base_model import read_spec
from gitintegration.api.integration import GitIntegrationSpec, Oidc, Provider
from gitintegration.core.hooks import hook_path
from gitintegration.errors import SpecError
from gitintegration.forge.target import provider_of
from gitintegration.git.url import parse_url
from gitintegration.hooks.events import Event, PullRequest, Push, Unclear

MANY = 10
"""More integrations than these are not woken at once by one delivery."""
_EACH = 0.2
"""Seconds for each of many."""
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Target:
    """One integration with a hook."""

    namespace: str
    name: str
    uid: str
    path: str
    provider: Provider
    secret: str
    repository: str
    """Host and path of it: what tells one from another."""
    branch: str | None
    """The branch that is synced with; None where that is not known yet."""
    review: str | None = None
    """Where changes are offered for review."""
    oidc: Oidc | None = None
    checks: bool = False
    """Whether pull requests to the branch are checked."""

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def family(self) -> tuple[str, str, str]:
        """Who knows the token of one of these knows it of all, and what is pushed to one is pushed to all."""
        return self.namespace, self.secret, self.repository


def read_target(body: Mapping[str, Any]) -> Target | None:
    """Of a GitIntegration; None of one that has no hook now, or can't be worked with."""
    spec, metadata = body.get("spec") or {}, body["metadata"]
    if "webhook" not in spec or metadata.get("deletionTimestamp"):
        return None
    try:
        parsed = read_spec(GitIntegrationSpec, spec)
        url = parse_url(parsed.repository_url)
    except SpecError:
        return None
    hook = parsed.webhook
    if hook is None or not parsed.enabled:
        return None
    told = (body.get("status") or {}).get("branch")
    return Target(
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        hook_path(metadata["uid"]),
        provider_of(parsed.provider, url) or Provider.generic,
        hook.secret_ref.name if hook.secret_ref else "",
        f"{url.host}/{url.path.strip('/').removesuffix('.git')}",
        parsed.default_branch or (told if isinstance(told, str) else None),
        parsed.sync.push.branch,
        hook.oidc,
        parsed.pull_requests is not None and parsed.pull_requests.check != "off",
    )


@dataclass(slots=True)
class Targets:
    """All of them, as they come and go."""

    _paths: dict[str, Target] = field(default_factory=dict)
    _known: dict[tuple[str, str], Target] = field(default_factory=dict)
    _families: dict[tuple[str, str, str], dict[str, Target]] = field(default_factory=dict)

    def put(self, namespace: str, name: str, now: Target | None) -> None:
        """As it is now; None where it has no hook, or is no more."""
        before = self._known.pop((namespace, name), None)
        if before is not None:
            self._paths.pop(before.path, None)
            family = self._families[before.family]
            del family[name]
            if not family:
                del self._families[before.family]
        if now is not None:
            self._known[namespace, name] = self._paths[now.path] = now
            self._families.setdefault(now.family, {})[name] = now

    def find(self, path: str) -> Target | None:
        return self._paths.get(path)

    def kin(self, target: Target) -> list[Target]:
        """It, and those of its namespace with the same Secret and repository, in the order of their names."""
        if not target.secret:
            return [target]
        return [one for _, one in sorted(self._families.get(target.family, {target.name: target}).items())]

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Target]:
        return iter(self._known.values())


def told_commit(event: Event, target: Target) -> str | None:
    """Where to look for: the commit that the delivery names, empty where it names none; None where it is not to be looked."""
    match event:
        case Unclear():
            return ""
        case Push(changes):
            heads = {
                change.ref.removeprefix("refs/heads/"): change.commit for change in changes if _is_head(change.ref)
            }
            if target.branch is None:
                return "" if heads else None
            if target.branch in heads:
                return heads[target.branch]
            return "" if target.review in heads else None
        case PullRequest(base=base) if event.starts_check and target.checks and target.branch in (None, base):
            return ""
        case PullRequest(action, head=head) if action == "closed" and head == target.review:
            return ""  # what became of our own is told
    return None


def _is_head(ref: str) -> bool:
    return ref.startswith("refs/heads/")


def spread(count: int) -> int:
    """Seconds over which so many integrations are woken by one delivery."""
    return min(_LONGEST, round(count * _EACH) or 1) if count > MANY else 0
