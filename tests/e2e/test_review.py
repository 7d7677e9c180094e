"""A repository whose default branch takes changes by review only: they are offered on another branch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.bed.gitserver import git
from tests.bed.world import World, eventually, manifest

MakeWorld = Callable[..., World]
BRANCH = "cluster-changes"


def started(world: MakeWorld) -> World:
    w = world({f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")})
    w.secret()
    w.integrate(sync={"push": {"branch": BRANCH, "quietPeriod": "0s"}})
    w.in_sync()
    return w


def merge(w: World, *, squash: bool) -> None:
    """As a forge does it."""
    tree = git("merge-tree", "--write-tree", "main", BRANCH, cwd=w.repo.path).split()[0]
    parents = ["-p", "main"] if squash else ["-p", "main", "-p", BRANCH]
    who = {
        "GIT_AUTHOR_NAME": "Rea",
        "GIT_AUTHOR_EMAIL": "r@x",
        "GIT_COMMITTER_NAME": "Rea",
        "GIT_COMMITTER_EMAIL": "r@x",
    }
    w.repo.force(git("commit-tree", tree, *parents, "-m", "reviewed", cwd=w.repo.path, env=who).strip())


@pytest.mark.parametrize("squash", [True, False])
def test_a_change_is_offered_reviewed_and_merged(world: MakeWorld, squash: bool) -> None:
    w = started(world)
    main = w.repo.head()
    w.patch("orders", {"schedule": "1 1 * * *"})
    eventually(lambda: w.repo.head(BRANCH))
    wanted = manifest("orders", schedule="1 1 * * *")
    assert w.repo.read("pipelines/orders.yaml", BRANCH) == wanted
    assert w.repo.head() == main
    status = eventually(lambda: (s := w.sync_now())["localAheadCount"] == 1 and s)
    assert status["review"] == {"branch": BRANCH, "commit": w.repo.head(BRANCH), "follows": True}
    assert f"branch {BRANCH}" in w.condition("InSync")["message"]

    theirs = {"pipelines/users.yaml": manifest("users", owner="git"), "README.md": "hello\n"}
    w.repo.commit(theirs, clock_behind=3600)
    w.sync_now()
    assert w.spec("users")["owner"] == "git"
    eventually(lambda: w.repo.read("README.md", BRANCH) == "hello\n")
    assert w.repo.log("-1", "--format=%P", branch=BRANCH).split()[1] == w.repo.head()
    commits = w.repo.count(BRANCH)
    w.sync_now()
    assert w.repo.count(BRANCH) == commits

    w.repo.commit({"pipelines/orders.yaml": manifest("orders", "1 1 * * *", owner="rea")}, branch=BRANCH)
    merge(w, squash=squash)
    status = w.in_sync()
    assert status["localAheadCount"] == 0
    assert w.spec("orders")["owner"] == "rea"
    w.patch("users", {"schedule": "2 2 * * *"})
    eventually(lambda: "2 2 * * *" in (w.repo.read("pipelines/users.yaml", BRANCH) or ""))
    assert git("merge-base", "--is-ancestor", "main", BRANCH, cwd=w.repo.path) == ""


def test_it_survives_a_restart_and_a_deleted_branch_stays_away(world: MakeWorld, operator: Any) -> None:
    w = started(world)
    w.patch("orders", {"schedule": "1 1 * * *"})
    w.kubectl("delete", "pipeline", "users")
    eventually(lambda: w.repo.files(BRANCH) == ["pipelines/orders.yaml"] if w.repo.head(BRANCH) else False)
    commits = w.repo.count(BRANCH)
    operator.kill()
    operator.start()
    assert w.sync_now()["localAheadCount"] == 2
    assert w.repo.count(BRANCH) == commits
    git("update-ref", "-d", f"refs/heads/{BRANCH}", cwd=w.repo.path)
    assert w.sync_now()["localAheadCount"] == 2
    assert w.repo.head(BRANCH) is None
    w.patch("orders", {"owner": "cluster"})
    wanted = manifest("orders", schedule="1 1 * * *", owner="cluster")
    eventually(lambda: w.repo.read("pipelines/orders.yaml", BRANCH) == wanted)
    assert w.repo.files(BRANCH) == ["pipelines/orders.yaml"]


def test_a_review_branch_that_can_never_be_made_is_the_specs_fault(world: MakeWorld) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    w.integrate(sync={"push": {"branch": "main/changes"}})
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == "InvalidSpec" and c)
    assert "main/changes" in ready["message"]
    assert w.condition("Stalled")["status"] == "True"
