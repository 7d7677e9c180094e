"""What an operation would do, with values: pages beside it, patches that git takes, and nothing that is redacted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.bed.gitserver import git
from tests.bed.operator import OperatorProcess
from tests.bed.world import API, World, eventually, manifest, pipeline
from tests.e2e.test_operations import ask, started

MakeWorld = Callable[..., World]


def pages(w: World, status: dict[str, Any]) -> list[dict[str, Any]]:
    """All of a plan."""
    told = status["plan"]
    found = []
    for number in range(1, told["pages"] + 1):
        page = w.get(f"{told['name']}-{number}", "gitoperationplan")
        assert page, number
        assert (page["spec"]["operation"], page["spec"]["page"]) == (status["name"], number)
        found.append(page["spec"])
    return found


def rows(w: World, status: dict[str, Any], what: str) -> list[dict[str, Any]]:
    return [row for page in pages(w, status) for row in page.get(what, ())]


def made_by(patches: list[str], repo: Path, parent: str, folder: Path) -> str:
    """The tree that git makes of the parent commit and these patches."""
    index = {"GIT_INDEX_FILE": str(folder / "index")}
    git("read-tree", parent, cwd=repo, env=index)
    git("apply", "--cached", "--whitespace=nowarn", "-", cwd=repo, env=index, stdin="".join(patches).encode())
    return git("write-tree", cwd=repo, env=index).strip()


def test_the_patches_of_a_push_are_what_it_commits(world: MakeWorld, tmp_path: Path) -> None:
    w = started(world)
    commented = f"# kept\n{manifest('both')}---\n# the other\n{manifest('other')}"
    w.repo.commit({"pipelines/both.yaml": commented, "pipelines/crlf.yaml": manifest("crlf").replace("\n", "\r\n")})
    ask(w, "pull")
    for name in ("both", "other", "crlf"):
        w.patch(name, {"owner": f"cluster of {name}"})
    w.apply(pipeline("fresh"))
    w.kubectl("delete", "pipeline", "users")
    parent = w.repo.head()
    assert parent
    plan = ask(w, "push", dryRun=True)
    files = {row["path"]: row for row in rows(w, plan, "files")}
    assert set(files) == {f"pipelines/{name}.yaml" for name in ("both", "crlf", "fresh", "users")}
    both = files["pipelines/both.yaml"]
    assert (both["linesAdded"], both["linesRemoved"]) == (2, 2)
    assert "-  owner: ann\n+  owner: cluster of both\n" in both["patch"]
    changes = {row["name"]: row for row in rows(w, plan, "changes")}
    assert changes["other"]["fields"] == [{"field": "spec.owner", "old": '"ann"', "new": '"cluster of other"'}]
    assert {row["name"]: row["action"] for row in changes.values()} == {
        "both": "update", "other": "update", "crlf": "update", "fresh": "create", "users": "delete",
    }  # fmt: skip
    told = {c["name"]: (c["linesAdded"], c["linesRemoved"]) for c in plan["changes"]}
    assert told["crlf"] == (1, 1)
    assert told["users"] == (0, len(manifest("users").splitlines()))
    wanted = made_by([row["patch"] for row in files.values()], w.repo.path, parent, tmp_path)
    done = ask(w, "push", planDigest=plan["planDigest"])
    assert done["phase"] == "Succeeded"
    assert git("rev-parse", f"{done['commit']}^{{tree}}", cwd=w.repo.path).strip() == wanted
    assert {row["path"]: row["patch"] for row in rows(w, done, "files")} == {
        p: row["patch"] for p, row in files.items()
    }
    assert {c["name"]: (c["linesAdded"], c["linesRemoved"]) for c in done["changes"]} == told

    name = f"{plan['plan']['name']}-1"
    w.kubectl("delete", "gitoperation", plan["name"])
    eventually(lambda: w.get(name, "gitoperationplan") is None)


def test_a_push_to_another_branch_is_told_as_that_has_it(world: MakeWorld, tmp_path: Path) -> None:
    w = started(world)
    w.repo.commit({"pipelines/orders.yaml": f"# there\n{manifest('orders')}"}, branch="feature")
    at = w.repo.head("feature")
    assert at
    w.patch("orders", {"owner": "cluster"})
    plan = ask(w, "push", branch="feature", dryRun=True)
    (row,) = rows(w, plan, "files")
    wanted = made_by([row["patch"]], w.repo.path, at, tmp_path)
    done = ask(w, "push", branch="feature", planDigest=plan["planDigest"])
    assert git("rev-parse", f"{done['commit']}^{{tree}}", cwd=w.repo.path).strip() == wanted
    assert git("show", f"{wanted}:pipelines/orders.yaml", cwd=w.repo.path).startswith("# there\n")


def test_a_pull_shows_the_object_before_and_after(world: MakeWorld) -> None:
    w = started(world)
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git"), "pipelines/new.yaml": manifest("new")})
    plan = ask(w, "pull", dryRun=True)
    changes = {row["name"]: row for row in rows(w, plan, "changes")}
    assert rows(w, plan, "files") == []
    assert changes["orders"]["fields"] == [{"field": "spec.owner", "old": '"ann"', "new": '"git"'}]
    assert "-  owner: ann\n+  owner: git\n" in changes["orders"]["patch"]
    assert "--- /dev/null\n" in changes["new"]["patch"]
    assert {f["field"]: f["new"] for f in changes["new"]["fields"]}["spec.owner"] == '"ann"'
    assert w.spec("orders")["owner"] == "ann"


def test_a_plan_of_two_thousand_changes_is_whole(world: MakeWorld) -> None:
    w = started(world)
    w.repo.commit({f"pipelines/many/p{n}.yaml": manifest(f"p{n}", owner=f"of-{n}") for n in range(2000)})
    plan = ask(w, "pull", dryRun=True)
    assert plan["counts"]["created"] == 2000
    assert plan["plan"]["changes"] == 2000
    assert plan["plan"]["pages"] > 3
    assert "truncated" not in plan["plan"]
    changes = rows(w, plan, "changes")
    assert {c["name"] for c in changes} == {f"p{n}" for n in range(2000)}
    assert all(f"+  owner: of-{c['name'][1:]}\n" in c["patch"] for c in changes)


def test_what_is_redacted_is_in_no_plan(world: MakeWorld, operator: OperatorProcess) -> None:
    w = started(world)
    w.integrate(
        resources=[{"apiVersion": API, "kind": "Pipeline", "redact": ["/spec/token", "/spec/key"]}],
        sync={"mode": "Manual"},
    )
    secrets = ["s3cr3t-of-orders", "s3cr3t-of-users", "s3cr3t-in-git", "-----BEGIN", "c2VjcmV0LWtleQ"]
    key = "-----BEGIN KEY-----\nc2VjcmV0LWtleQ==\n-----END KEY-----\n"
    w.patch("orders", {"token": secrets[0], "key": key})
    w.patch("users", {"token": secrets[1]})
    plan = ask(w, "push", dryRun=True)
    assert {row["path"] for row in rows(w, plan, "files")} == {"pipelines/orders.yaml", "pipelines/users.yaml"}
    assert all("•••" in row["patch"] for row in rows(w, plan, "files"))
    assert ask(w, "push")["phase"] == "Succeeded"
    w.patch("orders", {"owner": "cluster"})  # what is not to be shown stands beside it
    beside = ask(w, "push", dryRun=True)
    (row,) = rows(w, beside, "files")
    assert "+  owner: cluster\n" in row["patch"]
    ask(w, "push")
    text = w.repo.read("pipelines/orders.yaml")
    assert text
    assert secrets[0] in text
    w.repo.commit({"pipelines/orders.yaml": text.replace(secrets[0], secrets[2])})
    pull = ask(w, "pull", dryRun=True)
    (change,) = rows(w, pull, "changes")
    (field,) = change["fields"]
    assert field["field"] == "spec.token"
    assert field["old"] != field["new"]
    assert "•••" in change["patch"]
    short = {**yaml.safe_load(text), "spec": {**yaml.safe_load(text)["spec"], "token": "ab"}}
    w.repo.commit({"pipelines/orders.yaml": yaml.safe_dump(short)})
    ask(w, "pull")
    w.patch("orders", {"owner": "again"})
    withheld = ask(w, "push", dryRun=True)
    (row,) = rows(w, withheld, "files")
    assert "patch" not in row
    assert "not to be shown" in row["withheld"]
    told = w.kubectl("get", "gitoperations,gitoperationplans,gitintegrations,events", "-o", "yaml")
    for secret in secrets:
        assert secret not in told
        assert secret not in operator.log()
