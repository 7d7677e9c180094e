"""The main job, end to end: a real API server, real git over HTTP, the operator under its own ServiceAccount."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.bed.gitserver import git
from tests.bed.world import World, eventually, manifest, pipeline

MakeWorld = Callable[..., World]


def started(world: MakeWorld, files: dict[str, str] | None = None, **spec: Any) -> World:
    made = world({f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")} if files is None else files)
    made.secret()
    made.integrate(**spec)
    return made


def test_the_first_pull_and_a_quiet_second_sync(world: MakeWorld) -> None:
    w = started(world)
    status = w.in_sync()
    assert w.names() == {"orders", "users"}
    assert w.spec("orders")["steps"][0] == {"name": "extract", "sql": "select 1"}
    assert status["pipelineCount"] == 2
    assert status["lastSyncedCommit"] == status["remoteCommit"] == w.repo.head()
    assert status["connection"]["permissions"] == ["read", "write"]
    assert w.condition("Ready")["status"] == "True"
    w.kubectl("wait", "--for=condition=Ready", "gi/gi", "--timeout=10s")
    versions = {n: w.get(n)["metadata"]["resourceVersion"] for n in w.names()}  # type: ignore[index]
    w.sync_now()
    assert {n: w.get(n)["metadata"]["resourceVersion"] for n in w.names()} == versions  # type: ignore[index]
    assert w.repo.count() == 1


def test_an_edit_in_git_goes_live(world: MakeWorld) -> None:
    w = started(world)
    w.in_sync()
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="bob")})
    w.sync_now()
    assert w.spec("orders")["owner"] == "bob"


def test_a_live_edit_becomes_a_commit_of_its_line(world: MakeWorld) -> None:
    w = started(world)
    w.in_sync()
    w.patch("orders", {"schedule": "30 6 * * *"})
    wanted = manifest("orders", schedule="30 6 * * *")
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == wanted)
    assert w.repo.count() == 2
    w.in_sync()
    assert w.repo.count() == 2


def test_different_fields_merge_and_the_same_field_conflicts(world: MakeWorld) -> None:
    w = started(world, sync={"mode": "Manual"})
    w.sync_now()
    assert w.status()["remoteAheadCount"] == 2
    w.integrate(sync={"mode": "Bidirectional"})
    w.in_sync()
    w.by_hand()
    w.patch("orders", {"owner": "cluster"})
    w.patch("users", {"owner": "cluster"})
    w.repo.commit(
        {
            "pipelines/orders.yaml": manifest("orders", schedule="1 1 * * *"),
            "pipelines/users.yaml": manifest("users", owner="git"),
        }
    )
    status = eventually(lambda: (s := w.sync_now()).get("conflictCount") == 1 and s)
    assert (status["localAheadCount"], status["remoteAheadCount"]) == (2, 2)
    assert status["conflicts"][0]["fields"] == ["spec.owner"]
    assert w.spec("orders")["schedule"] == "0 5 * * *"
    w.integrate(sync={"mode": "Bidirectional"})
    eventually(lambda: w.spec("orders").get("schedule") == "1 1 * * *")
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == manifest("orders", "1 1 * * *", "cluster"))
    status = w.sync_now()
    assert (status["conflictCount"], status["conflicts"][0]["name"]) == (1, "users")
    assert w.condition("Ready")["reason"] == "Conflicts"
    assert w.spec("users")["owner"] == "cluster"
    w.integrate(sync={"mode": "Bidirectional", "strategy": "theirs"})
    w.in_sync()
    assert w.spec("users")["owner"] == "git"


def test_creates_and_deletes_travel_both_ways(world: MakeWorld) -> None:
    w = started(world)
    w.in_sync()
    w.apply(pipeline("fresh", enabled=True))
    eventually(lambda: w.repo.read("pipelines/fresh.yaml"))
    w.kubectl("delete", "pipeline", "orders")
    eventually(lambda: w.repo.read("pipelines/orders.yaml") is None)
    w.repo.commit({"pipelines/users.yaml": None})
    w.sync_now()
    assert w.names() == {"fresh"}
    assert w.in_sync()["pipelineCount"] == 1


def test_a_mass_delete_is_held_until_confirmed(world: MakeWorld) -> None:
    names = [f"p{n}" for n in range(6)]
    w = started(world, {f"pipelines/{n}.yaml": manifest(n) for n in names})
    w.in_sync()
    w.repo.commit({f"pipelines/{n}.yaml": None for n in names} | {"README.md": "empty now\n"})
    w.sync_now()
    assert w.names() == set(names)
    held = w.condition("InSync")
    assert held["reason"] == "DeletesHeld"
    digest = held["message"].split("confirmDeletes=")[1].split()[0]
    w.kubectl("annotate", "gi", "gi", f"planasonix.com/confirmDeletes={digest}")
    eventually(lambda: not w.names())


def test_bad_files_are_told_and_the_rest_is_synced(world: MakeWorld) -> None:
    w = started(
        world,
        {
            "pipelines/good.yaml": manifest("good"),
            "pipelines/broken.yaml": "a: [1\n",
            "pipelines/other-ns.yaml": manifest("other").replace(
                "  name: other", "  name: other\n  namespace: kube-system"
            ),
            "pipelines/name.yaml": manifest("Bad_Name"),
            "pipelines/a.yaml": manifest("twice"),
            "pipelines/b.yaml": manifest("twice"),
            "pipelines/refused.yaml": manifest("refused").replace("owner: ann", "owner: [1]"),
            "pipelines/values.yaml": "x: 1\n",
            "docs/broken.yaml": "a: [1\n",
        },
    )
    status = eventually(lambda: len((s := w.sync_now()).get("invalid", [])) == 5 and s)
    assert w.names() == {"good"}
    found = {(i["path"], i["reason"]) for i in status["invalid"]}
    assert found == {
        ("pipelines/broken.yaml", "NotYAML"),
        ("pipelines/other-ns.yaml", "WrongNamespace"),
        ("pipelines/name.yaml", "InvalidName"),
        ("pipelines/a.yaml", "Duplicate"),
        ("pipelines/refused.yaml", "Refused"),
    }
    assert w.condition("Ready")["reason"] == "InvalidManifests"


def test_a_broken_file_freezes_its_pipeline(world: MakeWorld) -> None:
    w = started(world)
    w.in_sync()
    w.repo.commit({"pipelines/orders.yaml": "a: [1\n"})
    w.sync_now()
    assert w.names() == {"orders", "users"}
    w.patch("orders", {"owner": "zoe"})
    eventually(lambda: w.sync_now()["localAheadCount"] == 1)
    w.repo.commit({"pipelines/orders.yaml": manifest("orders")})
    w.in_sync()
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="zoe")


def test_a_secret_that_arrives_late_is_noticed(world: MakeWorld) -> None:
    w = world({"pipelines/a.yaml": manifest("a")})
    w.integrate(sync={"interval": "1h"})
    eventually(lambda: w.condition("Ready").get("reason") == "SecretNotFound")
    w.secret(username="writer", password="wrong")
    eventually(lambda: w.condition("Ready").get("reason") == "AuthenticationFailed")
    w.secret()
    eventually(lambda: w.names() == {"a"})
    w.kubectl("wait", "--for=condition=Ready", "gi/gi", "--timeout=30s")


def test_a_force_push_is_told_and_survived(world: MakeWorld) -> None:
    w = started(world)
    first = w.repo.head()
    w.in_sync()
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="bob")})
    w.in_sync()
    assert first
    w.repo.force(first)
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="eve")})
    w.in_sync()
    assert w.spec("orders")["owner"] == "ann"
    assert w.spec("users")["owner"] == "eve"
    assert w.condition("InSync")["reason"] == "HistoryRewritten"
    assert w.names() == {"orders", "users"}


def test_old_refs_of_a_replica_take_nothing_back(world: MakeWorld) -> None:
    """As after a push of the operator's own: for a while the server tells the branch as it was before."""
    w = started(world)
    w.in_sync()
    old = w.repo.head()
    w.apply(pipeline("fresh"))
    w.in_sync()
    new, found = w.repo.head(), w.get("fresh")
    assert old
    assert new
    assert found
    w.repo.force(old)
    w.sync_now()
    assert w.condition("Ready")["reason"] == w.condition("Reconciling")["reason"] == "RemoteBehind"
    assert "replica" in w.condition("Ready")["message"]
    w.sync_now()
    assert w.repo.head() == old
    w.repo.force(new)
    w.in_sync()
    again = w.get("fresh")
    assert again
    assert again["metadata"]["uid"] == found["metadata"]["uid"]
    assert w.repo.head() == new
    assert w.condition("InSync")["reason"] == "Succeeded"


def test_a_branch_that_was_taken_back_is_believed_after_a_while(world: MakeWorld) -> None:
    w = started(world)
    w.in_sync()
    old = w.repo.head()
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="bob")})
    w.in_sync()
    assert old
    w.repo.force(old)
    w.sync_now()
    assert w.condition("Ready")["reason"] == "RemoteBehind"
    assert w.spec("orders")["owner"] == "bob"
    eventually(lambda: w.sync_now() and w.condition("InSync")["reason"] == "HistoryRewritten", 60)
    assert w.spec("orders")["owner"] == "ann"


def test_another_default_branch_at_the_forge_is_another_source(world: MakeWorld) -> None:
    w = started(world)
    w.repo.commit({"pipelines/more.yaml": manifest("more")})
    w.in_sync()
    git("update-ref", "refs/heads/next", "main~1", cwd=w.repo.path)
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="next")}, branch="next")
    main = w.repo.head("main")
    git("symbolic-ref", "HEAD", "refs/heads/next", cwd=w.repo.path)
    status = eventually(lambda: (s := w.sync_now()).get("observedBranch") == "next" and s)
    assert [c["name"] for c in status["conflicts"]] == ["orders"]
    assert w.spec("orders")["owner"] == "ann"
    assert "more" in w.names()
    eventually(
        lambda: w.repo.read("pipelines/more.yaml", "next") == w.repo.read("pipelines/more.yaml", "main") or w.sync_now()
    )
    assert w.repo.head("main") == main
    assert w.condition("InSync")["reason"] != "HistoryRewritten"


@pytest.mark.parametrize("named", [True, False])
def test_a_branch_that_is_missing_beside_others_is_never_made(world: MakeWorld, named: bool) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    git("branch", "-m", "main", "trunk", cwd=w.repo.path)
    git("symbolic-ref", "HEAD", "refs/heads/main", cwd=w.repo.path)
    w.secret()
    w.apply(pipeline("one"))
    spec: dict[str, Any] = {"defaultBranch": "main"} if named else {}
    w.integrate(**spec)
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == "BranchNotFound" and c)
    assert "trunk" in ready["message"]
    assert git("for-each-ref", "--format=%(refname)", cwd=w.repo.path).split() == ["refs/heads/trunk"]


def test_an_empty_repository_is_filled(world: MakeWorld) -> None:
    w = world()
    w.secret()
    w.apply(pipeline("one"), pipeline("two"))
    w.integrate()
    eventually(lambda: w.repo.head() and set(w.repo.files()) == {"pipelines/one.yaml", "pipelines/two.yaml"})
    assert w.in_sync()["pipelineCount"] == 2
    assert w.repo.count() == 1


def test_deleting_the_integration_leaves_the_pipelines(world: MakeWorld) -> None:
    w = started(world)
    w.in_sync()
    w.kubectl("delete", "gi", "gi", "--timeout=20s")
    assert w.names() == {"orders", "users"}
    eventually(lambda: not w.kubectl("get", "gitintegrationbases", "-o", "name").strip())
