"""Checks of pull requests on a real forge: from an edit in the cluster that stands in the way, to what is live."""

from __future__ import annotations

import base64
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.forge import OWNER, Forge, ForgeRepo
from tests.bed.gitserver import git
from tests.bed.operator import HooksProcess, OperatorProcess
from tests.bed.signing import ssh_key
from tests.bed.world import World, eventually, manifest

MakeWorld = Callable[..., World]
BRANCH, REVIEW = "feature/orders", "cluster-changes"
PATH = "pipelines/orders.yaml"


@pytest.fixture(scope="module")
def forge(bed_directory: Path) -> Iterator[Forge]:
    made = Forge(bed_directory / "forge-checks")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def hooks(control_plane: ControlPlane, bed_directory: Path) -> Iterator[HooksProcess]:
    control_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "hooks"))
    process = HooksProcess(control_plane, bed_directory / "hooks-checks")
    yield process
    process.stop()


@pytest.fixture
def repo(forge: Forge) -> ForgeRepo:
    return forge.create({f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")})


def started(w: World, repo: ForgeRepo, **spec: Any) -> World:
    w.secret(token=repo.forge.token)
    sync = {"mode": "Pull", "interval": "10s", **spec.pop("sync", {})}
    w.integrate(repositoryURL=repo.url, provider="gitea", sync=sync, pullRequests=spec.pop("pullRequests", {}), **spec)
    w.in_sync()
    return w


def edit(repo: ForgeRepo, branch: str, files: dict[str, str]) -> str:
    """A person's commit on a branch, which is made from main where it is not there; its name."""
    if branch not in repo.branches():
        made = {"new_branch_name": branch, "old_branch_name": "main"}
        repo.forge.api("POST", f"{repo.path}/branches", made)
    repo.commit(files, branch)
    return head(repo, branch)


def head(repo: ForgeRepo, branch: str) -> str:
    """Of a branch whose name may hold slashes."""
    found = repo.forge.api("GET", f"{repo.path}/branches")
    return next(str(one["commit"]["id"]) for one in found if one["name"] == branch)


def signed(repo: ForgeRepo, key: bytes, files: dict[str, str], branch: str = "main") -> str:
    """A commit that somebody made and signed in a clone, and pushed; its name."""
    with tempfile.TemporaryDirectory() as folder:
        clone, at = Path(folder, "clone"), Path(folder, "key")
        at.write_bytes(key)
        at.chmod(0o600)
        login = base64.b64encode(f"{OWNER}:{repo.forge.token}".encode()).decode()
        header = ("-c", f"http.extraHeader=Authorization: Basic {login}")
        git(*header, "clone", "--quiet", "--branch", branch, repo.url, str(clone))
        for path, text in files.items():
            (clone / path).write_text(text)
        git("add", "--all", cwd=clone)
        who = {
            f"GIT_{role}_{part}": "ann@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")
        }
        signing = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={at}")
        git(*signing, "commit", "--quiet", "-S", "-m", "signed", cwd=clone, env=who)
        git(*header, "push", "--quiet", "origin", f"HEAD:{branch}", cwd=clone)
        return git("rev-parse", "HEAD", cwd=clone).strip()


def opened(repo: ForgeRepo, branch: str) -> int:
    body = {"title": "Another schedule", "head": branch, "base": "main"}
    return int(repo.forge.api("POST", f"{repo.path}/pulls", body)["number"])


def status(w: World, repo: ForgeRepo, commit: str) -> tuple[str, str] | None:
    """What the commit was told last, by the check alone."""
    found = repo.forge.api("GET", f"{repo.path}/commits/{commit}/statuses")
    mine = [one for one in found if one["context"] == f"gitintegration/{w.namespace}/gi"]
    last = max(mine, key=lambda one: int(one["id"]), default=None)
    return (last["status"], last["description"].partition("; against ")[0]) if last else None


def comments(repo: ForgeRepo, number: int) -> list[str]:
    return [one["body"] for one in repo.forge.api("GET", f"{repo.path}/issues/{number}/comments")]


def test_the_whole_life_of_one(world: MakeWorld, repo: ForgeRepo) -> None:
    """Opened by a person, it fails for a live edit; that is taken into it, and it turns green; merged, it is told to be live."""
    w = started(world(), repo)
    w.patch("orders", {"schedule": "0 3 * * *"})
    eventually(lambda: w.status()["localAheadCount"] == 1)
    commit = edit(repo, BRANCH, {PATH: manifest("orders", schedule="0 9 * * *")})
    number = opened(repo, BRANCH)
    failed = eventually(lambda: status(w, repo, commit), 40)
    assert failed == ("failure", "1 conflict with the cluster: orders")
    (comment,) = eventually(lambda: comments(repo, number))
    for part in ("spec.schedule", "0 5 * * *", "0 3 * * *", "0 9 * * *", "kubectl"):
        assert part in comment, comment
    assert w.spec("orders")["schedule"] == "0 3 * * *"
    (row,) = w.status()["pullRequests"]
    assert (row["number"], row["head"], row["state"]) == (number, commit, "failure")

    commit = edit(repo, BRANCH, {PATH: manifest("orders", schedule="0 3 * * *", owner="bea")})
    assert eventually(lambda: status(w, repo, commit), 40) == ("success", "merging updates 1")
    (comment,) = eventually(lambda: [c for c in comments(repo, number) if "Conflicts" not in c])
    assert "spec.owner" in comment
    assert w.spec("orders")["owner"] == "ann"

    repo.merge(number, "merge")
    made = head(repo, "main")
    state, words = eventually(lambda: status(w, repo, made), 40)
    assert state == "success"
    assert words.startswith("live since ")
    assert w.spec("orders")["owner"] == "bea"
    assert len(comments(repo, number)) == 1
    eventually(lambda: "pullRequests" not in w.status())
    assert w.condition("PullRequestsChecked")["status"] == "True"


def test_it_turns_green_by_itself_when_the_edit_is_taken_back(world: MakeWorld, repo: ForgeRepo) -> None:
    w = started(world(), repo)
    w.patch("orders", {"schedule": "0 3 * * *"})
    commit = edit(repo, BRANCH, {PATH: manifest("orders", schedule="0 9 * * *")})
    opened(repo, BRANCH)
    assert eventually(lambda: status(w, repo, commit), 40)[0] == "failure"
    w.patch("orders", {"schedule": "0 5 * * *"})
    eventually(lambda: status(w, repo, commit) == ("success", "merging updates 1"), 40)


def test_the_api_servers_own_words(world: MakeWorld, repo: ForgeRepo) -> None:
    w = started(world(), repo)
    text = manifest("orders").replace("name: load", "name: extract")
    commit = edit(repo, BRANCH, {PATH: text, "pipelines/new.yaml": manifest("new")})
    number = opened(repo, BRANCH)
    assert eventually(lambda: status(w, repo, commit), 40) == ("failure", "1 manifest would be left alone")
    (comment,) = eventually(lambda: comments(repo, number))
    assert "Duplicate value" in comment, comment
    assert "create | `Pipeline/new`" in comment
    assert w.names() == {"orders", "users"}


def test_one_that_touches_no_pipeline_gets_a_status_and_no_comment(world: MakeWorld, repo: ForgeRepo) -> None:
    w = started(world(), repo)
    commit = edit(repo, BRANCH, {"README.md": "# ours"})
    number = opened(repo, BRANCH)
    assert eventually(lambda: status(w, repo, commit), 40) == ("success", "no pipeline is touched")
    assert comments(repo, number) == []


def test_our_own_for_review_is_checked_too(world: MakeWorld, repo: ForgeRepo) -> None:
    """So that a check that is required keeps nobody from merging it."""
    push = {"branch": REVIEW, "createPullRequest": True, "quietPeriod": "0s"}
    w = started(world(), repo, sync={"mode": "Bidirectional", "push": push})
    w.patch("orders", {"owner": "cluster"})
    told = eventually(lambda: w.status().get("pullRequest"))
    state = eventually(lambda: status(w, repo, head(repo, REVIEW)), 40)
    assert state == ("success", "the cluster holds it already")
    assert comments(repo, told["number"]) == []


def test_where_commits_are_verified_it_says_what_the_merge_needs(world: MakeWorld, repo: ForgeRepo) -> None:
    """A check can't know who will sign the merge; it says that somebody must, and whose signature the head has."""
    (ann, signs), (own, _) = ssh_key(), ssh_key()
    signed(repo, ann, {"README.md": "# ours"})
    w = world()
    w.secret("signing", identity=own.decode())
    w.secret("signers", allowed_signers=f"ann@example.com {signs}\n")
    verify = {"mode": "Head", "secretRef": {"name": "signers"}}
    started(w, repo, verify=verify, commit={"signingSecretRef": {"name": "signing"}})
    commit = edit(repo, BRANCH, {PATH: manifest("orders", schedule="0 9 * * *")})
    number = opened(repo, BRANCH)
    wanted = ("success", "merging updates 1; a trusted key must sign the merge")
    eventually(lambda: status(w, repo, commit) == wanted, 40)
    (comment,) = eventually(lambda: comments(repo, number))
    assert "Commits are verified here" in comment
    assert "The head of this pull request is not: `Unsigned`." in comment
    commit = signed(repo, ann, {PATH: manifest("orders", schedule="0 9 * * *", owner="bea")}, BRANCH)
    eventually(lambda: status(w, repo, commit) == wanted, 40)
    (comment,) = eventually(lambda: [c for c in comments(repo, number) if "is signed by `ann@example.com`." in c])
    repo.merge(number, "merge")  # which the forge signs with no key of ours
    eventually(lambda: (w.sync_now(), w.condition("Verified")["reason"] == "Unsigned")[1])
    assert w.spec("orders")["schedule"] == "0 5 * * *"


def test_by_a_hook_it_is_checked_at_once(world: MakeWorld, repo: ForgeRepo, hooks: HooksProcess) -> None:
    """Polling alone would take an hour."""
    w = world()
    w.secret("hook", token="a token")
    started(w, repo, sync={"interval": "1h"}, webhook={"secretRef": {"name": "hook"}})
    path = eventually(lambda: w.status()["webhookPath"])
    config = {"url": hooks.url + path, "content_type": "json", "secret": "a token"}
    body = {"type": "gitea", "active": True, "events": ["pull_request", "pull_request_sync"], "config": config}
    repo.forge.api("POST", f"{repo.path}/hooks", body)
    commit = edit(repo, BRANCH, {PATH: manifest("orders", owner="bea")})
    began = time.monotonic()
    opened(repo, BRANCH)
    assert eventually(lambda: status(w, repo, commit), 60) == ("success", "merging updates 1")
    print(f"checked {time.monotonic() - began:.2f} s after it was opened")
    commit = edit(repo, BRANCH, {PATH: manifest("orders", owner="eve")})
    assert eventually(lambda: status(w, repo, commit), 60) == ("success", "merging updates 1")


def test_a_token_that_may_not_is_told_and_the_sync_goes_on(
    world: MakeWorld, repo: ForgeRepo, operator: OperatorProcess
) -> None:
    repo.forge.api("PUT", f"{repo.path}/collaborators/reader", {"permission": "read"})
    w = world()
    w.secret(token=repo.forge.reader_token)
    sync = {"mode": "Pull", "interval": "10s"}
    w.integrate(repositoryURL=repo.url, provider="gitea", sync=sync, pullRequests={})
    w.in_sync()
    edit(repo, BRANCH, {PATH: manifest("orders", owner="bea")})
    opened(repo, BRANCH)
    told = eventually(lambda: (c := w.condition("PullRequestsChecked"))["status"] == "False" and c, 40)
    assert told["reason"] in ("PermissionDenied", "RepositoryNotFound")
    assert "commit status" in told["message"]
    assert w.condition("Ready")["status"] == "True"
    assert repo.forge.reader_token not in operator.log()
    assert OWNER in repo.path
