"""`show`, `trace` and `blame` as somebody who may what `gitintegration-api-user` may: no login of git, nothing that is redacted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import git
from tests.bed.printed import check
from tests.bed.user import User
from tests.bed.world import API, World, eventually, manifest, pipeline
from tests.e2e.test_authors import edited
from tests.e2e.test_plans import made_by

MakeWorld = Callable[..., World]
ALICE, BOB = "Alice Art <alice@example.com>", "Bob <bob@example.com>"


@pytest.fixture(scope="module")
def roles(control_plane: ControlPlane) -> None:
    control_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "gateway"))


@pytest.fixture
def user(world: MakeWorld, roles: None) -> User:
    w = world({"pipelines/orders.yaml": manifest("orders"), "pipelines/users.yaml": manifest("users")})
    w.secret()
    w.integrate()
    w.in_sync()
    return User(w)


def run(user: User, code: int, *arguments: str, **more: Any) -> str:
    done = user.run(*arguments, "-n", user.w.namespace, **more)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def told(user: User, code: int, *arguments: str) -> Any:
    return check(arguments[0], run(user, code, *arguments, "-o", "json"))


def blamed(user: User, code: int, pipeline: str, *more: str) -> dict[str, dict[str, Any]]:
    return {row["field"]: row for row in told(user, code, "blame", pipeline, *more)["fields"]}


def test_a_commit_is_shown_with_its_patches(user: User, tmp_path: Path) -> None:
    w = user.w
    parent = w.repo.head()
    assert parent
    files: dict[str, str | bytes | None] = {
        "pipelines/orders.yaml": manifest("orders", owner="git"),
        "pipelines/new.yaml": manifest("new"),
        "pipelines/users.yaml": None,
        "README.md": "beside it\n",
    }
    made = w.repo.commit(files, message="Orders, anew\n\nBecause of\nthat.", author=ALICE)
    later = w.repo.commit({"README.md": "later\n"}, message="No pipeline")
    text = run(user, 0, "show", made[:10])
    assert text.startswith(f"commit {made}\nAuthor: {ALICE}\nDate:   ")
    assert "\n    Orders, anew\n\n    Because of\n    that.\n" in text
    assert "-  owner: ann\n+  owner: git\n" in text
    assert "beside it" not in text
    plan = told(user, 0, "show", made)
    assert plan["commit"]["pipelinesTouched"] == ["new", "orders", "users"]
    assert {c["name"]: c["action"] for c in plan["changes"]} == {"new": "create", "orders": "update", "users": "delete"}
    wanted = made_by([row["patch"] for row in plan["files"]], w.repo.path, parent, tmp_path)
    there = git("ls-tree", "-r", wanted, "--", "pipelines", cwd=w.repo.path)
    assert there == git("ls-tree", "-r", made, "--", "pipelines", cwd=w.repo.path)
    assert re.search(r'spec\.owner +"ann" +"git"', run(user, 0, "show", made, "-o", "fields", COLUMNS="140"))
    assert yaml.safe_load(run(user, 0, "show", made, "-o", "yaml")) == plan
    assert run(user, 0, "show", made, "-o", "name") == "Pipeline/new\nPipeline/orders\nPipeline/users\n"
    assert "No pipeline" in run(user, 1, "show", later)
    assert "is no commit of branch" in run(user, 2, "show", "0123456789")


def test_a_file_that_holds_more_than_pipelines_is_not_shown(user: User) -> None:
    """Who may see pipelines may not see a Secret that lies beside one in a file."""
    w = user.w
    beside = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n"
    made = w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git") + beside})
    text = run(user, 0, "show", made)
    assert "hunter2" not in text
    assert "-  owner: ann\n+  owner: git\n" in text
    assert "hunter2" not in w.kubectl("get", "gitoperations,gitoperationplans", "-o", "yaml")


def test_a_pipeline_is_traced_to_its_file_and_to_who_edited_it(user: User) -> None:
    w = user.w
    made = w.repo.commit({"pipelines/orders.yaml": manifest("orders", schedule="@daily")}, "Daily", author=ALICE)
    w.in_sync()
    text = run(user, 0, "trace", "pipeline/orders", COLUMNS="140")
    assert "pipelines/orders.yaml:2, main at" in text
    assert "in sync" in text
    assert f"{made[:12]} by Alice Art, " in text
    assert ": Daily" in text
    w.by_hand()
    edited(w, "orders", {"owner": "cluster"}, "hand-of-bob")
    eventually(lambda: w.sync_now().get("localAheadCount") == 1)
    found = told(user, 1, "trace", "orders")
    assert (found["side"], found["reason"], found["ours"]["by"]) == ("cluster", "Mode", "hand-of-bob")
    assert found["theirs"]["commit"] == made
    assert yaml.safe_load(run(user, 1, "trace", "orders", "-o", "yaml"))["theirs"] == found["theirs"]
    assert run(user, 1, "blame", "orders", "-o", "name") == "Pipeline/orders\n"
    text = run(user, 1, "trace", "Pipeline/orders")
    assert "ahead in the cluster, Mode" in " ".join(text.split())
    assert '"cluster"' in text
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git")}, author=BOB)
    found = told(user, 1, "trace", "orders")
    assert (found["side"], found["reason"], found["message"]) == ("both", "Conflict", "spec.owner")
    w.repo.commit({"pipelines/orders.yaml": "a: [1\n"}, author=BOB)
    assert told(user, 1, "trace", "orders")["reason"] == "Unreadable"
    w.apply(pipeline("fresh"))
    fresh = told(user, 1, "trace", "fresh")
    assert (fresh["side"], "path" in fresh, "theirs" in fresh) == ("cluster", False, False)
    assert "no pipeline of GitIntegration 'gi' is called" in run(user, 2, "trace", "nobody")
    assert "no pipeline of GitIntegration 'gi' is called" in run(user, 2, "trace", "task/orders")


def test_each_field_is_blamed_on_its_commit_or_its_live_edit(user: User) -> None:
    w = user.w
    first = w.repo.head()
    daily = w.repo.commit({"pipelines/orders.yaml": manifest("orders", schedule="@daily")}, "Daily", author=ALICE)
    for number in range(3):
        w.repo.commit({"pipelines/users.yaml": manifest("users", owner=f"of-{number}")}, author=BOB)
    w.repo.commit({"pipelines/orders.yaml": f"# moved down\n{manifest('orders', schedule='@daily')}"}, author=BOB)
    owned = w.repo.commit({"pipelines/orders.yaml": manifest("orders", schedule="@daily", owner="git")}, author=BOB)
    w.in_sync()
    w.by_hand()
    edited(w, "orders", {"schedule": "@hourly", "retries": "3"}, "hand-of-bob")
    rows = blamed(user, 1, "orders")
    assert {name: row.get("theirs", {}).get("commit") for name, row in rows.items()} == {
        "apiVersion": first, "kind": first, "metadata.name": first, "spec.schedule": daily, "spec.owner": owned,
        "spec.steps[name=extract].name": first, "spec.steps[name=extract].sql": first,
        "spec.steps[name=load].name": first, "spec.steps[name=load].table": first, "spec.retries": None,
    }  # fmt: skip
    schedule = rows["spec.schedule"]
    assert (schedule["value"], schedule["live"], schedule["ours"]["by"]) == ('"@daily"', '"@hourly"', "hand-of-bob")
    assert (schedule["theirs"]["by"], schedule["theirs"]["message"], schedule["line"]) == ("Alice Art", "Daily", 7)
    assert (rows["spec.retries"]["live"], rows["spec.retries"]["ours"]["by"]) == ('"3"', "hand-of-bob")
    assert "differs" not in rows["spec.owner"]
    for width in ("80", "140"):
        text = run(user, 1, "blame", "Pipeline/orders", COLUMNS=width)
        assert all(len(line) <= int(width) for line in text.splitlines())
        assert "\x1b" not in text
    assert re.search(rf'spec\.owner +"git" +{owned[:12]} ', text)
    near = told(user, 1, "blame", "orders", "--limit", "1")
    assert near["whole"] is False
    assert {row["field"] for row in near["fields"] if "theirs" in row} == {"spec.owner"}
    assert "--limit looks further" in " ".join(run(user, 1, "blame", "orders", "--limit", "1").split())


def test_a_field_is_found_further_back_than_the_operator_keeps(world: MakeWorld, roles: None) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    first = w.repo.head()
    for number in range(40):
        w.repo.commit({"pipelines/users.yaml": manifest("users", owner=f"of-{number}")}, author=BOB)
    w.secret()
    w.integrate()
    w.in_sync()
    rows = blamed(User(w), 0, "orders")
    assert {row["theirs"]["commit"] for row in rows.values()} == {first}


def test_what_is_redacted_is_neither_shown_nor_blamed(user: User) -> None:
    w = user.w
    secret = "s3cr3t-of-orders"
    w.integrate(resources=[{"apiVersion": API, "kind": "Pipeline", "redact": ["/spec/token"]}])
    w.in_sync()
    text = {**yaml.safe_load(manifest("orders"))}
    text["spec"]["token"] = secret
    made = w.repo.commit({"pipelines/orders.yaml": yaml.safe_dump(text)}, author=ALICE)
    w.in_sync()
    assert secret not in run(user, 0, "show", made)
    assert secret not in run(user, 0, "show", made, "-o", "fields")
    row = blamed(user, 0, "orders")["spec.token"]
    assert row["value"].startswith("•••")
    assert (row["theirs"]["by"], row["theirs"]["commit"]) == ("Alice Art", made)
    assert secret not in w.kubectl("get", "gitoperations,gitoperationplans,gitintegrations", "-o", "yaml")
