"""Pull requests on a real forge: pushes, protected branches, merges of every kind, seen from the resources."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.forge import Forge, ForgeRepo
from tests.bed.operator import OperatorProcess
from tests.bed.user import SCRIPT
from tests.bed.world import World, eventually, manifest, pipeline
from tests.e2e.test_operations import ask, why

MakeWorld = Callable[..., World]
BRANCH = "cluster-changes"


@pytest.fixture(scope="module")
def forge(bed_directory: Path) -> Iterator[Forge]:
    made = Forge(bed_directory / "forge")
    yield made
    made.stop()


@pytest.fixture
def repo(forge: Forge) -> ForgeRepo:
    return forge.create({f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")})


def started(w: World, repo: ForgeRepo, token: str | None = None, **sync: Any) -> World:
    w.secret(token=token or repo.forge.token)
    w.integrate(repositoryURL=repo.url, provider="gitea", sync=sync)
    w.in_sync()
    return w


def test_a_push_of_one_pipeline_with_its_pull_request(world: MakeWorld, repo: ForgeRepo) -> None:
    w = started(world(), repo)
    w.by_hand(repositoryURL=repo.url, provider="gitea")
    w.patch("orders", {"owner": "cluster"})
    w.patch("users", {"owner": "cluster"})
    block = {
        "branch": "feature/orders",
        "message": "Orders belong to the cluster team",
        "pipelines": ["orders"],
        "createPullRequest": True,
    }
    done = ask(w, "push", **block)
    assert why(done)[0] == "Succeeded", done
    (pull,) = repo.pulls()
    assert done["pullRequest"] == {"number": pull["number"], "url": pull["html_url"], "state": "open"}
    assert pull["title"] == "Orders belong to the cluster team"
    assert "`spec.owner`" in pull["body"]
    assert (pull["head"]["ref"], pull["base"]["ref"]) == ("feature/orders", "main")
    w.patch("orders", {"owner": "cluster-2"})
    again = ask(w, "push", **block, pullRequest={"title": "Take two", "body": "As agreed."})
    assert again["pullRequest"]["number"] == pull["number"]
    (pull,) = repo.pulls()
    assert (pull["title"], pull["body"]) == ("Take two", "As agreed.")
    repo.merge(pull["number"], "squash")
    eventually(lambda: w.sync_now()["localAheadCount"] == 1)
    assert repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster-2")
    assert ask(w, "push", **block).get("commit") is None
    assert len(repo.pulls()) == 1  # nothing to offer: no second one


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_a_protected_branch_takes_changes_by_review(world: MakeWorld, repo: ForgeRepo, how: str) -> None:
    repo.protect("main")
    w = started(world(), repo, push={"branch": BRANCH, "createPullRequest": True, "quietPeriod": "0s"})
    w.patch("orders", {"owner": "cluster"})
    told = eventually(lambda: w.status().get("pullRequest"))
    assert told["state"] == "open"
    (pull,) = repo.pulls("open")
    assert told["number"] == pull["number"]
    assert pull["title"] == "Update orders"
    assert w.status()["localAheadCount"] == 1
    assert told["url"] in w.condition("InSync")["message"]
    w.patch("users", {"owner": "cluster"})
    eventually(lambda: repo.pulls("open")[0]["title"] == "Update orders, users")
    repo.merge(pull["number"], how)
    status = w.in_sync()
    assert (status["localAheadCount"], status["pullRequest"]["state"]) == (0, "merged")
    assert repo.read("pipelines/users.yaml") == manifest("users", owner="cluster")
    w.patch("orders", {"owner": "next"})
    eventually(lambda: len(repo.pulls("open")) == 1)
    assert repo.pulls("open")[0]["number"] != pull["number"]


def test_one_that_was_closed_stays_closed_until_there_is_a_new_change(world: MakeWorld, repo: ForgeRepo) -> None:
    w = started(world(), repo, push={"branch": BRANCH, "createPullRequest": True, "quietPeriod": "0s"})
    w.patch("orders", {"owner": "cluster"})
    number = eventually(lambda: w.status().get("pullRequest"))["number"]
    repo.forge.api("PATCH", f"{repo.path}/pulls/{number}", {"state": "closed"})
    eventually(lambda: w.sync_now()["pullRequest"]["state"] == "closed")
    assert w.sync_now()["localAheadCount"] == 1
    assert not repo.pulls("open")
    w.patch("orders", {"owner": "another"})
    eventually(lambda: repo.pulls("open"))
    assert w.sync_now()["pullRequest"]["state"] == "open"


def test_a_protected_branch_declines_a_push_in_its_own_words(world: MakeWorld, repo: ForgeRepo) -> None:
    w = started(world(), repo, push={"quietPeriod": "0s"})
    repo.protect("main")
    w.patch("orders", {"owner": "cluster"})
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == "PushRejected" and c)
    assert "Not allowed to push to protected branch main" in ready["message"]
    done = ask(w, "push")
    assert why(done)[:2] == ("Failed", "PushRejected")
    done = ask(w, "push", branch="main", createPullRequest=True)
    assert why(done)[:2] == ("Failed", "InvalidSpec")


def test_init_offers_what_is_live_as_a_pull_request(world: MakeWorld, repo: ForgeRepo, tmp_path: Path) -> None:
    """Nothing is pushed to the branch: what is live comes there once somebody merged it."""
    w = world()
    w.apply(pipeline("fresh"))
    (tmp_path / "token").write_text(repo.forge.token)
    command = [SCRIPT, "init", repo.url, "-n", w.namespace, "--provider", "gitea", "--pr", "--yes"]
    env = {**os.environ, "KUBECONFIG": str(w.plane.kubeconfig)}
    words = [*command, "--token-file", str(tmp_path / "token")]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 1, done.stdout + done.stderr
    assert repo.forge.token not in done.stdout + done.stderr
    pull = eventually(lambda: repo.pulls("open"))[0]
    assert (pull["head"]["ref"], pull["base"]["ref"]) == (BRANCH, "main")
    offered = repo.read("pipelines/fresh.yaml", BRANCH)
    assert offered
    assert repo.read("pipelines/fresh.yaml") is None
    assert w.names() == {"fresh", "orders", "users"}
    repo.merge(pull["number"], "squash")
    status = w.in_sync("default")
    assert (status["localAheadCount"], status["pullRequest"]["state"]) == (0, "merged")
    assert repo.read("pipelines/fresh.yaml") == offered
    assert len(repo.pulls()) == 1


def test_a_reader_is_told_to_be_one(world: MakeWorld, repo: ForgeRepo) -> None:
    """This forge lets a reader begin a push over git, to be reviewed; its API knows better."""
    repo.forge.api("PUT", f"{repo.path}/collaborators/reader", {"permission": "read"})
    w = started(world(), repo, token=repo.forge.reader_token, mode="Pull")
    assert w.status()["connection"]["permissions"] == ["read"]
    assert ask(w, "test")["test"]["permissions"] == ["read"]
    repo.forge.api("PUT", f"{repo.path}/collaborators/reader", {"permission": "write"})
    assert ask(w, "test")["test"]["permissions"] == ["read", "write"]


def test_what_the_forge_refuses_stops_nothing_else(
    world: MakeWorld, repo: ForgeRepo, operator: OperatorProcess
) -> None:
    """The push is made, the pull request is not: that is told, and mended by a better token."""
    repo.forge.api("PUT", f"{repo.path}/collaborators/reader", {"permission": "write"})
    w = world()
    w.secret(token=repo.forge.token)
    w.integrate(
        repositoryURL=repo.url, sync={"push": {"branch": BRANCH, "createPullRequest": True, "quietPeriod": "0s"}}
    )
    w.in_sync()
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: BRANCH in repo.branches())
    ready = eventually(lambda: (c := w.condition("Ready"))["status"] == "False" and c)
    assert "spec.provider" in ready["message"]
    assert not repo.pulls()
    done = ask(w, "push", branch="by-hand", createPullRequest=True)
    assert why(done)[0] == "Failed"
    assert "no pull request" in why(done)[2]
    assert done["commit"]
    assert "by-hand" in repo.branches()
    w.integrate(
        repositoryURL=repo.url,
        provider="gitea",
        sync={"push": {"branch": BRANCH, "createPullRequest": True, "quietPeriod": "0s"}},
    )
    eventually(lambda: repo.pulls("open"))
    eventually(lambda: w.condition("Ready")["status"] == "True")
    assert repo.forge.token not in operator.log()
