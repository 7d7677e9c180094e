"""Whom a delivery concerns, and whether anybody looks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from gitintegration.core.hooks import hook_path
from gitintegration.hooks.events import Other, Ping, PullRequest, Push, RefChange, Unclear, read_event
from gitintegration.hooks.targets import MANY, Target, Targets, read_target, spread, told_commit
from tests.unit.hooks.payloads import MAIN, PULLS, PUSHES, A, B


def body(name: str = "one", **spec: Any) -> dict[str, Any]:
    made = {
        "repositoryURL": "https://git.example.com/acme/pipes.git",
        "webhook": {"secretRef": {"name": "hook"}},
        **spec,
    }
    return {
        "metadata": {"namespace": "data", "name": name, "uid": f"uid-{name}"},
        "spec": made,
        "status": {"branch": "main"},
    }


def target(name: str = "one", **spec: Any) -> Target:
    found = read_target(body(name, **spec))
    assert found
    return found


def test_what_is_read_of_an_integration() -> None:
    found = target(defaultBranch="trunk", sync={"push": {"branch": "review"}})
    assert (found.branch, found.review, found.secret) == ("trunk", "review", "hook")
    assert found.path == hook_path("uid-one")
    assert found.repository == "git.example.com/acme/pipes"
    assert target().branch == "main"


@pytest.mark.parametrize(
    "spec",
    [
        {"enabled": False},
        {"webhook": None},
        {"webhook": {}},
        {"webhook": {"secretRef": {"name": "../x"}}},
        {"repositoryURL": "nonsense"},
        {"author": 7},
    ],
    ids=str,
)
def test_what_is_suspended_or_wrong_has_no_hook(spec: dict[str, Any]) -> None:
    assert read_target(body(**spec)) is None


def test_one_that_is_leaving_has_none() -> None:
    leaving = body()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert read_target(leaving) is None


def test_paths_come_and_go_with_the_integrations() -> None:
    known = Targets()
    first, again = target(), read_target({**body(), "metadata": {"namespace": "data", "name": "one", "uid": "new"}})
    known.put("data", "one", first)
    assert known.find(first.path) == first
    known.put("data", "one", again)
    assert known.find(first.path) is None
    assert again
    assert known.find(again.path) == again
    known.put("data", "one", None)
    known.put("data", "one", None)
    assert (len(known), list(known), known.kin(first)) == (0, [], [first])


def test_who_shares_secret_and_repository_is_told_of_as_well() -> None:
    known = Targets()
    one, two = target("one"), target("two", repositoryURL="ssh://git@git.example.com/acme/pipes")
    others = [
        target("three", webhook={"secretRef": {"name": "other"}}),
        target("four", repositoryURL="https://x.example/r"),
    ]
    for each in (two, one, *others):
        known.put(each.namespace, each.name, each)
    foreign = read_target({**body("one"), "metadata": {"namespace": "elsewhere", "name": "one", "uid": "f"}})
    known.put("elsewhere", "one", foreign)
    assert known.kin(one) == [one, two]
    assert known.kin(others[0]) == [others[0]]


def test_without_a_secret_nobody_shares_it() -> None:
    oidc = {"oidc": {"issuer": "https://ci.example.com", "audience": "a", "claims": {"repository": "acme/pipes"}}}
    known = Targets()
    for name in ("one", "two"):
        known.put("data", name, target(name, webhook=oidc))
    assert known.kin(target("one", webhook=oidc)) == [target("one", webhook=oidc)]


LOOKS: dict[str, tuple[Any, str | None]] = {
    "the branch": (Push((RefChange(MAIN, B),)), B),
    "the branch is gone": (Push((RefChange(MAIN),)), ""),
    "the branch is not the first": (Push((RefChange("refs/heads/x", A), RefChange(MAIN, B))), B),
    "another branch": (Push((RefChange("refs/heads/x", A),)), None),
    "a tag of that name": (Push((RefChange("refs/tags/main", A),)), None),
    "the review branch": (Push((RefChange("refs/heads/review", A),)), ""),
    "unclear": (Unclear(), ""),
    "ping": (Ping(), None),
    "other": (Other(), None),
    "our request is closed": (PullRequest("closed", 7, "review", "main"), ""),
    "our request is edited": (PullRequest("edited", 7, "review", "main"), None),
    "another request is closed": (PullRequest("closed", 7, "feature", "main"), None),
}


@pytest.mark.parametrize("name", LOOKS)
def test_what_is_looked_for(name: str) -> None:
    event, commit = LOOKS[name]
    assert told_commit(event, target(sync={"push": {"branch": "review"}})) == commit


def test_while_the_branch_is_not_known_any_branch_may_be_it() -> None:
    unknown = read_target({**body(), "status": {}})
    assert unknown
    assert told_commit(Push((RefChange("refs/heads/x", A),)), unknown) == ""
    assert told_commit(Push((RefChange("refs/tags/x", A),)), unknown) is None


CHECKED: Mapping[str, Any] = {"pullRequests": {"check": "status"}}


@pytest.mark.parametrize("action", ["opened", "synchronize", "reopened", "closed", "edited"])
def test_where_pull_requests_are_checked_each_to_the_branch_is_looked_for(action: str) -> None:
    asks, elsewhere = PullRequest(action, 7, "feature", "main", B), PullRequest(action, 7, "feature", "release")
    assert told_commit(asks, target(**CHECKED)) == ""  # the branch is not at the commit that it would bring
    assert told_commit(elsewhere, target(**CHECKED)) is None
    assert told_commit(asks, target("one", pullRequests={"check": "off"})) is None
    assert told_commit(PullRequest("labeled", 7, "feature", "main"), target(**CHECKED)) is None


@pytest.mark.parametrize("name", PUSHES)
def test_every_forges_push_to_the_branch_is_looked_for(name: str) -> None:
    delivery, refs = PUSHES[name]
    event = read_event(delivery.headers, orjson.dumps(delivery.payload))
    assert told_commit(event, target()) == dict(refs).get(MAIN)


@pytest.mark.parametrize("name", PULLS)
def test_a_pull_request_alone_costs_no_git_request(name: str) -> None:
    delivery, _ = PULLS[name]
    assert told_commit(read_event(delivery.headers, orjson.dumps(delivery.payload)), target()) is None


def test_many_are_spread_over_some_seconds() -> None:
    assert [spread(n) for n in (1, MANY, MANY + 1, 100, 5000)] == [0, 0, 2, 20, 60]
