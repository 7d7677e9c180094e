"""GitOperations on the real API server and real git: push, pull, test, history, dry runs and their digests."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.bed.gitserver import READER, git
from tests.bed.operator import OperatorProcess
from tests.bed.world import API, World, eventually, manifest, pipeline

MakeWorld = Callable[..., World]
_numbers = itertools.count(1)


def started(world: MakeWorld, mode: str = "Manual", **spec: Any) -> World:
    w = world({f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")})
    w.secret()
    w.integrate()
    w.in_sync()
    w.integrate(sync={"mode": mode}, **spec)
    w.sync_now()
    return w


def ask(w: World, kind: str, **block: Any) -> dict[str, Any]:
    """Creates an operation; its status once it has ended (`wait=False`: its name alone, at once)."""
    wait = block.pop("wait", True)
    name = f"op-{next(_numbers)}"
    top: dict[str, Any] = {k: block.pop(k) for k in ("ttlSecondsAfterFinished", "integrationRef") if k in block}
    spec: dict[str, Any] = {"integrationRef": {"name": "gi"}, "kind": kind, kind: block, **top}
    w.apply({"apiVersion": "planasonix.com/v1alpha1", "kind": "GitOperation", "metadata": {"name": name}, "spec": spec})
    if not wait:
        return {"name": name}
    status: dict[str, Any] = eventually(lambda: (s := status_of(w, name)).get("finishedAt") and s)
    return {**status, "name": name}


def status_of(w: World, name: str) -> dict[str, Any]:
    found = w.get(name, "gitoperation")
    assert found
    status: dict[str, Any] = found.get("status", {})
    return status


def why(status: dict[str, Any]) -> tuple[str, str, str]:
    condition = status["conditions"][0]
    return status["phase"], condition["reason"], condition["message"]


def test_push_of_chosen_pipelines_and_of_all(world: MakeWorld) -> None:
    w = started(world)
    w.patch("orders", {"owner": "cluster"})
    w.patch("users", {"owner": "cluster"})
    w.apply(pipeline("fresh"))
    done = ask(w, "push", pipelines=["orders"], message="Orders, by hand")
    assert why(done)[:2] == ("Succeeded", "Succeeded")
    assert done["counts"] | {"unchanged": 0} == {
        "created": 0, "updated": 1, "deleted": 0, "unchanged": 0, "merged": 0, "conflicted": 0, "invalid": 0,
    }  # fmt: skip
    assert done["changes"] == [
        {"kind": "Pipeline", "name": "orders", "id": "orders", "path": "pipelines/orders.yaml", "action": "update", "fields": ["spec.owner"],
         "linesAdded": 1, "linesRemoved": 1}
    ]  # fmt: skip
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster")
    assert w.repo.read("pipelines/users.yaml") == manifest("users")
    assert (done["commit"], done["branch"]) == (w.repo.head(), "main")
    assert w.repo.log("-1", "--format=%s").strip() == "Orders, by hand"
    assert w.sync_now()["localAheadCount"] == 2
    done = ask(w, "push")
    assert (done["counts"]["created"], done["counts"]["updated"]) == (1, 1)
    assert w.in_sync()["localAheadCount"] == 0
    done = ask(w, "push")
    assert why(done)[0] == "Succeeded"
    assert "commit" not in done
    assert sum(done["counts"][k] for k in ("created", "updated", "deleted")) == 0
    assert w.repo.count() == 3
    w.kubectl("wait", "--for=condition=Succeeded", f"gitop/{done['name']}", "--timeout=5s")
    head, row = w.kubectl("get", "gitop", done["name"]).splitlines()
    assert head.split()[:4] == ["NAME", "KIND", "BRANCH", "PHASE"]
    assert row.split()[1:4] == ["push", "main", "Succeeded"]


def test_push_to_a_feature_branch_stays_ahead(world: MakeWorld) -> None:
    w = started(world)
    w.patch("orders", {"owner": "cluster"})
    w.kubectl("delete", "pipeline", "users")
    done = ask(w, "push", branch="feature/x")
    assert (done["counts"]["updated"], done["counts"]["deleted"]) == (1, 1)
    assert w.repo.files("feature/x") == ["pipelines/orders.yaml"]
    assert w.repo.count() == 1
    assert w.sync_now()["localAheadCount"] == 2
    assert ask(w, "push", branch="feature/x").get("commit") is None  # it is there already
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", "9 9 * * *", owner="cluster")}, branch="feature/x")
    w.patch("orders", {"displayName": "Orders"})
    done = ask(w, "push", branch="feature/x", pipelines=["orders"])
    text = w.repo.read("pipelines/orders.yaml", "feature/x") or ""
    assert "9 9 * * *" in text
    assert "displayName: Orders" in text
    assert done["counts"]["merged"] == 1
    w.patch("orders", {"displayName": "Orders again"})
    assert ask(w, "push", branch="feature/x", pipelines=["orders"])["counts"]["updated"] == 1
    text = w.repo.read("pipelines/orders.yaml", "feature/x") or ""
    assert "displayName: Orders again" in text
    assert "9 9 * * *" in text
    w.repo.commit({"pipelines/orders.yaml": text.replace("owner: cluster", "owner: branch")}, branch="feature/x")
    w.patch("orders", {"owner": "again"})
    done = ask(w, "push", branch="feature/x", pipelines=["orders"])
    assert why(done)[:2] == ("Failed", "Conflicts")
    assert "spec.owner" in why(done)[2]
    assert w.repo.read("pipelines/orders.yaml", "feature/x") == text.replace("owner: cluster", "owner: branch")


def test_the_plan_is_the_promise(world: MakeWorld) -> None:
    w = started(world)
    w.patch("orders", {"owner": "cluster"})
    plan = ask(w, "push", dryRun=True)
    assert plan["planDigest"] in why(plan)[2]
    assert plan["changes"][0]["fields"] == ["spec.owner"]
    assert w.repo.count() == 1
    w.repo.commit({"README.md": "beside\n"})
    w.patch("users", {"owner": "cluster"})
    stale = ask(w, "push", planDigest=plan["planDigest"])
    assert why(stale)[:2] == ("Failed", "PlanStale")
    assert w.repo.count() == 2
    narrow = ask(w, "push", planDigest=plan["planDigest"], pipelines=["orders"])
    assert narrow["phase"] == "Succeeded"
    assert narrow["planDigest"] == plan["planDigest"]
    assert w.repo.read("pipelines/users.yaml") == manifest("users")
    head = w.repo.head()
    assert head
    w.repo.commit({"README.md": "more\n"})
    late = ask(w, "push", expectedRemoteCommit=head)
    assert why(late)[:2] == ("Failed", "StaleRemote")
    assert head[:12] in why(late)[2]
    assert ask(w, "push", expectedRemoteCommit=w.repo.head())["phase"] == "Succeeded"


@pytest.mark.parametrize(
    ("kind", "block", "reason", "words"),
    [
        ("push", {"pipelines": ["orders", "nobody"]}, "UnknownPipeline", "nobody"),
        ("push", {"branch": "protected/x"}, "PushRejected", "Not allowed to push to protected branch"),
        ("pull", {"pipelines": ["nobody"]}, "UnknownPipeline", "nobody"),
        ("pull", {"branch": "missing"}, "BranchNotFound", "missing"),
        ("pull", {"revision": "0123456", "pipelines": ["orders"]}, "InvalidSpec", "0123456"),
        ("history", {"branch": "missing"}, "BranchNotFound", "missing"),
        ("test", {"repositoryURL": "http://127.0.0.1:1/x.git"}, "NetworkUnreachable", "no connection"),
        ("test", {"credentials": {"secretRef": {"name": "none"}}, "repositoryURL": "URL"}, "SecretNotFound", "none"),
    ],
)
def test_each_failure_has_its_reason_and_changes_nothing(
    world: MakeWorld, kind: str, block: dict[str, Any], reason: str, words: str
) -> None:
    w = started(world)
    w.patch("orders", {"owner": "cluster"})
    done = ask(w, kind, **{k: w.repo.url() if v == "URL" else v for k, v in block.items()})
    assert why(done)[:2] == ("Failed", reason)
    assert words in why(done)[2]
    assert w.repo.count() == 1
    assert w.spec("orders")["owner"] == "cluster"
    if kind == "test":
        assert done["test"]["reachable"] is False


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"kind": "push"}, "goes with the block"),
        ({"kind": "push", "push": {}, "pull": {}}, "goes with the block"),
        ({"kind": "push", "push": {"dryRun": True, "planDigest": "x"}}, "dryRun"),
        ({"kind": "push", "push": {"branch": "a b"}}, "branch"),
        ({"kind": "pull", "pull": {"revision": "0123456"}}, "name them in pull.pipelines"),
        ({"kind": "sing", "push": {}}, "Unsupported value"),
        ({"kind": "history", "history": {"limit": 0}}, "limit"),
    ],
)
def test_admission_refuses_what_makes_no_sense(world: MakeWorld, spec: dict[str, Any], words: str) -> None:
    w = world()
    body = {"apiVersion": "planasonix.com/v1alpha1", "kind": "GitOperation", "metadata": {"name": "x"}}
    with pytest.raises(RuntimeError) as told:
        w.apply({**body, "spec": {"integrationRef": {"name": "gi"}, **spec}})
    assert words in str(told.value)


def test_a_spec_can_not_be_changed(world: MakeWorld) -> None:
    w = started(world)
    name = ask(w, "push", dryRun=True)["name"]
    with pytest.raises(RuntimeError, match="can't be changed"):
        w.kubectl("patch", "gitop", name, "--type=merge", "-p", '{"spec": {"push": {"dryRun": false}}}')


def test_pull_brings_the_default_branch_and_settles_conflicts(world: MakeWorld) -> None:
    w = started(world)
    w.patch("orders", {"owner": "cluster"})
    w.patch("users", {"owner": "cluster"})
    w.repo.commit(
        {
            "pipelines/orders.yaml": manifest("orders", owner="git"),
            "pipelines/users.yaml": manifest("users", owner="git"),
            "pipelines/new.yaml": manifest("new"),
        }
    )
    plan = ask(w, "pull", dryRun=True)
    assert (plan["counts"]["created"], plan["counts"]["conflicted"]) == (1, 2)
    assert {c["name"] for c in plan["conflicts"]} == {"orders", "users"}
    assert w.names() == {"orders", "users"}
    named = ask(w, "pull", pipelines=["orders"])
    assert why(named)[:2] == ("Failed", "Conflicts")
    done = ask(
        w,
        "pull",
        resolutions=[{"pipeline": "orders", "take": "theirs"}, {"pipeline": "users", "take": "ours"}],
    )
    assert done["phase"] == "Succeeded"
    assert w.names() == {"orders", "users", "new"}
    assert w.spec("orders")["owner"] == "git"
    assert w.spec("users")["owner"] == "cluster"
    status = eventually(lambda: (s := w.sync_now())["conflictCount"] == 0 and s)
    assert (status["localAheadCount"], status["remoteAheadCount"]) == (1, 0)
    assert ask(w, "push")["counts"]["updated"] == 1
    assert w.repo.read("pipelines/users.yaml") == manifest("users", owner="cluster")
    assert w.in_sync()


def test_conflicts_are_shown_with_values_and_settled_field_by_field(
    world: MakeWorld, operator: OperatorProcess
) -> None:
    w = started(world)
    w.in_sync()
    w.integrate(
        resources=[{"apiVersion": API, "kind": "Pipeline", "redact": ["/spec/token", "/spec/steps/*/sql"]}],
        sync={"mode": "Manual"},
    )
    w.patch("orders", {"owner": "cluster", "schedule": "@daily", "token": "s3cr3t-of-the-cluster"})
    text = manifest("orders", owner="git", schedule="@hourly") + "  token: s3cr3t-of-git\n"
    w.repo.commit({"pipelines/orders.yaml": text})
    status = w.sync_now()
    (torn,) = status["conflicts"]
    values = {v["field"]: v for v in torn["values"]}
    assert values["spec.owner"] == {"field": "spec.owner", "base": '"ann"', "ours": '"cluster"', "theirs": '"git"'}
    told = {"field": "spec.schedule", "base": '"0 5 * * *"', "ours": '"@daily"', "theirs": '"@hourly"'}
    assert values["spec.schedule"] == told
    assert "•••" in values["spec.token"]["ours"]
    assert values["spec.token"]["ours"] != values["spec.token"]["theirs"]
    half = ask(w, "pull", resolutions=[{"pipeline": "orders", "field": "spec.owner", "take": "base"}])
    assert why(half)[:2] == ("Failed", "Conflicts")
    assert "spec.schedule" in why(half)[2]
    wanted = [
        {"pipeline": "orders", "field": "spec.owner", "take": "base"},
        {"pipeline": "orders", "field": "spec.schedule", "value": "@weekly"},
        {"pipeline": "orders", "field": "spec.token", "take": "ours"},
    ]
    plan = ask(w, "pull", resolutions=wanted, dryRun=True)
    other = ask(w, "pull", resolutions=[*wanted[:2], {**wanted[2], "take": "theirs"}], planDigest=plan["planDigest"])
    assert why(other)[:2] == ("Failed", "PlanStale")
    done = ask(w, "pull", resolutions=wanted, planDigest=plan["planDigest"])
    assert done["phase"] == "Succeeded", done
    spec = w.spec("orders")
    assert (spec["owner"], spec["schedule"], spec["token"]) == ("ann", "@weekly", "s3cr3t-of-the-cluster")
    status = w.sync_now()
    assert (status["conflictCount"], status["localAheadCount"], status["remoteAheadCount"]) == (0, 1, 0)
    assert ask(w, "push")["counts"]["updated"] == 1
    text = text.replace("owner: git", "owner: ann").replace("@hourly", "@weekly")
    assert w.repo.read("pipelines/orders.yaml") == text.replace("s3cr3t-of-git", "s3cr3t-of-the-cluster")
    w.in_sync()
    assert "s3cr3t" not in w.kubectl("get", "gi,gitop,ev", "-o", "yaml")
    assert "s3cr3t" not in operator.log()


@pytest.mark.parametrize(
    ("resolution", "words"),
    [
        ({"pipeline": "orders", "take": "base"}, "only ours and theirs settle a whole pipeline"),
        ({"pipeline": "orders"}, "needs one of take and value"),
        ({"pipeline": "orders", "field": "spec.x", "take": "ours", "value": 1}, "needs one of take and value"),
        ({"pipeline": "orders", "field": "spec.x"}, "needs one of take and value"),
    ],
)
def test_a_resolution_that_says_nothing_or_two_things_is_refused(
    world: MakeWorld, resolution: dict[str, Any], words: str
) -> None:
    w = started(world)
    done = ask(w, "pull", resolutions=[resolution])
    assert why(done)[:2] == ("Failed", "InvalidSpec")
    assert words in why(done)[2]


def test_pull_from_a_feature_branch_makes_the_cluster_ahead(world: MakeWorld) -> None:
    w = started(world)
    w.repo.commit({"pipelines/orders.yaml": manifest("orders")}, branch="main")
    git("update-ref", "refs/heads/feature", "main", cwd=w.repo.path)
    w.repo.commit(
        {"pipelines/orders.yaml": manifest("orders", owner="feature"), "pipelines/x.yaml": manifest("x")},
        branch="feature",
    )
    done = ask(w, "pull", branch="feature")
    assert (done["counts"]["updated"], done["counts"]["created"]) == (1, 1)
    assert done["commit"] == w.repo.head("feature")
    assert w.spec("orders")["owner"] == "feature"
    assert w.names() == {"orders", "users", "x"}
    assert w.sync_now()["localAheadCount"] == 2
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders")


def test_a_mass_delete_by_pull_asks_for_its_plan(world: MakeWorld) -> None:
    w = started(world)
    names = [f"p{n}" for n in range(6)]
    w.repo.commit({f"pipelines/{n}.yaml": manifest(n) for n in names})
    assert ask(w, "pull")["counts"]["created"] == 6
    w.in_sync()
    w.repo.commit({f"pipelines/{n}.yaml": None for n in names})
    held = ask(w, "pull")
    assert why(held)[:2] == ("Failed", "DeletesHeld")
    assert len(w.names()) == 8
    plan = ask(w, "pull", dryRun=True)
    assert plan["counts"]["deleted"] == 6
    assert ask(w, "pull", planDigest=plan["planDigest"])["counts"]["deleted"] == 6
    assert w.names() == {"orders", "users"}


def test_a_revision_is_restored_and_the_next_push_carries_it_on(world: MakeWorld) -> None:
    w = started(world)
    first = w.repo.head()
    assert first
    w.repo.commit(
        {"pipelines/orders.yaml": manifest("orders", "8 8 * * *", owner="later"), "pipelines/users.yaml": None}
    )
    assert ask(w, "pull")["phase"] == "Succeeded"
    assert w.names() == {"orders"}
    done = ask(w, "pull", revision=first[:10], pipelines=["orders", "users"])
    assert (done["counts"]["updated"], done["counts"]["created"], done["commit"]) == (1, 1, first)
    assert why(done)[2] == f"restored from {first[:12]}: create users; update orders"
    assert "Restored" in w.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")
    assert w.spec("orders")["owner"] == "ann"
    assert w.spec("orders")["schedule"] == "0 5 * * *"
    assert w.names() == {"orders", "users"}
    assert ask(w, "pull", revision=first, pipelines=["orders"])["counts"]["unchanged"] == 1
    ask(w, "push")
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders")
    assert git("log", "-1", "--format=%s", cwd=w.repo.path).strip() == f"Restore orders, users from {first[:12]}"


def test_what_is_refused_is_told_and_the_rest_is_pulled(world: MakeWorld) -> None:
    w = started(world)
    w.repo.commit(
        {
            "pipelines/bad.yaml": manifest("bad").replace("owner: ann", "owner: {a: 1}"),
            "pipelines/good.yaml": manifest("good"),
        }
    )
    done = ask(w, "pull")
    assert why(done)[:2] == ("Failed", "InvalidManifests")
    assert "1 pulled, 1 refused" in why(done)[2]
    assert "spec.owner" in why(done)[2]
    assert w.names() == {"orders", "users", "good"}


def test_a_connection_is_tested_without_an_integration_too(world: MakeWorld) -> None:
    w = started(world)
    done = ask(w, "test")
    assert done["test"]["permissions"] == ["read", "write"]
    assert done["test"]["defaultBranch"] == "main"
    assert done["test"]["latencyMs"] >= 0
    w.secret("other", username=READER[0], password=READER[1])
    given = {"repositoryURL": w.repo.url(), "credentials": {"secretRef": {"name": "other"}}}
    done = ask(w, "test", integrationRef={"name": "none"}, **given)
    assert done["test"]["permissions"] == ["read"]
    w.secret("other", username=READER[0], password="wrong")
    assert why(ask(w, "test", **given))[1] == "AuthenticationFailed"


def test_history_tells_what_git_log_tells(world: MakeWorld) -> None:
    w = started(world)
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="b"), "docs/x.md": "x"}, "Edit orders\n\nbody")
    w.repo.commit({"README.md": "beside"}, "Beside")
    git("update-ref", "refs/heads/side", "main", cwd=w.repo.path)
    w.repo.commit({"pipelines/crm/a.yaml": manifest("a")}, "Add a", branch="side")
    w.repo.commit({"pipelines/users.yaml": None, "pipelines/moved.yaml": manifest("users")}, "Move users")
    tree = git("merge-tree", "--write-tree", "main", "side", cwd=w.repo.path).split()[0]
    who = {f"GIT_{r}_{k}": "m@x" for r in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
    merge = git("commit-tree", tree, "-p", "main", "-p", "side", "-m", "Merge side", cwd=w.repo.path, env=who).strip()
    w.repo.force(merge)
    w.repo.commit({"pipelines/crm/a.yaml": None}, "Drop a")
    for path in (None, "pipelines/crm/", "pipelines/orders.yaml", "pipelines/moved.yaml"):
        told = ask(w, "history", **({"path": path} if path else {}), limit=20)["history"]
        wanted = w.repo.log("--format=%H", "--", path or "pipelines").split()
        assert sorted(c["sha"] for c in told) == sorted(wanted), path
    told = {c["message"]: c for c in ask(w, "history")["history"]}
    assert told["Edit orders"]["pipelinesTouched"] == ["orders"]
    assert told["Move users"]["pipelinesTouched"] == ["users"]
    assert told["Drop a"]["pipelinesTouched"] == ["a"]
    assert told["first"]["pipelinesTouched"] == ["orders", "users"]
    assert told["Edit orders"]["author"] == "Ada Author <ada@example.com>"
    assert len(ask(w, "history", limit=2)["history"]) == 2
    assert [c["message"] for c in ask(w, "history", branch="side", path="pipelines/crm/")["history"]] == ["Add a"]


def test_history_far_back_is_indexed_once_and_grows_with_the_branch(world: MakeWorld) -> None:
    w = started(world)
    for number in range(8):
        w.repo.commit({"pipelines/users.yaml": manifest("users", owner=f"o{number}")}, f"Edit users {number}")
    assert [c["message"] for c in ask(w, "history", path="pipelines/orders.yaml", limit=2)["history"]] == ["first"]
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="b")}, "Edit orders")
    w.repo.commit({"pipelines/orders.yaml": manifest("orders")}, "Set orders back")
    git("update-ref", "refs/heads/side", "main~3", cwd=w.repo.path)
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="c")}, "Aside", branch="side")
    for branch, path, limit in [
        ("main", "pipelines/orders.yaml", 3),
        ("side", "pipelines/orders.yaml", 9),
        ("main", "pipelines/", 30),
        ("main", "docs/", 2),
    ]:
        told = ask(w, "history", branch=branch, path=path, limit=limit)["history"]
        assert [c["sha"] for c in told] == git(
            "log", f"-{limit}", "--format=%H", branch, "--", path, cwd=w.repo.path
        ).split()


def test_operations_run_in_the_order_of_their_creation_and_go_when_their_time_is_up(world: MakeWorld) -> None:
    w = started(world, mode="Bidirectional")
    names = [ask(w, "push", wait=False, dryRun=True, ttlSecondsAfterFinished=2)["name"] for _ in range(5)]
    eventually(lambda: not set(w.names("gitop")) & set(names), 30)


def test_an_operation_for_an_integration_that_comes_later(world: MakeWorld) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    name = ask(w, "pull", wait=False)["name"]
    waiting = eventually(lambda: (s := status_of(w, name)).get("conditions") and s)
    assert why(waiting)[:2] == ("Pending", "IntegrationNotFound")
    w.integrate(sync={"mode": "Manual"})
    eventually(lambda: status_of(w, name).get("phase") == "Succeeded")
    assert w.names() == {"orders"}


def test_killed_at_any_time_a_push_ends_once_with_one_commit(world: MakeWorld, operator: OperatorProcess) -> None:
    w = started(world)
    for number in range(4):
        w.patch("orders", {"owner": f"o{number}"})
        before = w.repo.count()
        asked = ask(w, "push", wait=False)["name"]
        if number % 2:
            eventually(lambda name=asked: status_of(w, name).get("phase") in ("Running", "Succeeded"))  # type: ignore[misc]
        operator.kill()
        operator.start()
        done = eventually(lambda name=asked: (s := status_of(w, name)).get("finishedAt") and s)  # type: ignore[misc]
        assert why(done)[0] == "Succeeded", done
        assert w.repo.count() == before + 1
        assert done["commit"] == w.repo.head()
        assert done["counts"]["updated"] == 1
    assert "activeOperation" not in eventually(lambda: w.sync_now())


def test_the_integration_names_what_runs(world: MakeWorld) -> None:
    w = started(world)
    w.repo.server.faults.only, w.repo.server.faults.delay = w.repo.name, 1.0
    try:
        name = ask(w, "test", wait=False)["name"]
        active = eventually(lambda: w.status().get("activeOperation"))
        assert (active["id"], active["kind"], active["status"]) == (name, "test", "running")
    finally:
        w.repo.server.faults.only, w.repo.server.faults.delay = "", 0.0
    eventually(lambda: "activeOperation" not in w.status())
    assert json.loads(w.kubectl("get", "gitop", name, "-o", "json"))["status"]["phase"] == "Succeeded"
