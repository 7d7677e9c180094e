"""Every field of `spec` that says what is carried, which way, and when, shown on the real thing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.bed.gitserver import git
from tests.bed.world import World, eventually, manifest, pipeline

MakeWorld = Callable[..., World]
TOGETHER = {"push": {"quietPeriod": "3s"}}
"""So that kubectl's deletes, which it makes one by one, are one change."""


def started(world: MakeWorld, files: Mapping[str, str] | None = None, **spec: Any) -> World:
    w = world({f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")} if files is None else files)
    w.secret()
    w.integrate(**spec)
    w.in_sync()
    return w


def diverge(w: World) -> None:
    """One edit on each side, of different pipelines, while nothing is carried."""
    w.by_hand()
    w.patch("orders", {"owner": "cluster"})
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="git")})


@pytest.mark.parametrize(
    ("mode", "ahead", "pulled", "pushed"),
    [
        ("Manual", (1, 1), False, False),
        ("Pull", (1, 0), True, False),
        ("Push", (0, 1), False, True),
        ("Bidirectional", (0, 0), True, True),
    ],
)
def test_a_mode_carries_what_it_says_and_counts_the_rest(
    world: MakeWorld, mode: str, ahead: tuple[int, int], pulled: bool, pushed: bool
) -> None:
    w = started(world)
    diverge(w)
    w.integrate(sync={"mode": mode})
    status = eventually(lambda: (s := w.sync_now()) and (s["localAheadCount"], s["remoteAheadCount"]) == ahead and s)
    assert status["inSync"] == (ahead == (0, 0))
    assert (w.spec("users")["owner"] == "git") == pulled
    assert (w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster")) == pushed
    assert w.repo.count() == 2 + pushed
    ready = w.condition("Ready")
    assert ready["status"] == "True"
    if ahead != (0, 0):
        assert f"mode {mode}" in ready["message"]
        assert f"{ahead[0]} ahead in the cluster, {ahead[1]} ahead in git" in ready["message"]
    w.patch("orders", {"owner": "ann"})
    if mode == "Manual":  # taken back: the count is true again
        eventually(lambda: w.status()["localAheadCount"] == 0)


def test_drift_is_brought_back_where_git_always_wins(world: MakeWorld) -> None:
    w = started(world, sync={"mode": "Pull", "drift": "revert"})
    w.patch("orders", {"owner": "hand"})
    eventually(lambda: w.spec("orders")["owner"] == "ann")
    w.kubectl("delete", "pipeline", "users", "--wait=false")
    eventually(lambda: w.names() == {"orders", "users"})
    assert w.in_sync()["localAheadCount"] == 0
    events = w.kubectl("get", "events", "-o", "jsonpath={range .items[?(@.reason=='DriftReverted')]}{.message}{end}")
    assert "Pipeline/orders (spec.owner by kubectl" in events
    assert "Pipeline/users (deleted)" in events
    w.integrate(sync={"mode": "Bidirectional", "drift": "revert"})
    eventually(lambda: w.condition("Ready")["reason"] == "InvalidSpec")


@pytest.mark.parametrize("winner", ["ours", "theirs"])
def test_a_strategy_settles_conflicts_only(world: MakeWorld, winner: str) -> None:
    w = started(world)
    w.by_hand()
    w.patch("orders", {"owner": "cluster"})
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", "1 1 * * *", owner="git")})
    w.integrate(sync={"strategy": winner})
    w.in_sync()
    owner = "cluster" if winner == "ours" else "git"
    assert w.spec("orders")["owner"] == owner
    assert w.spec("orders")["schedule"] == "1 1 * * *"
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders", "1 1 * * *", owner)


def test_without_prune_a_delete_stays_where_it_was_made(world: MakeWorld) -> None:
    w = started(world, sync={"prune": False})
    w.kubectl("delete", "pipeline", "orders")
    w.repo.commit({"pipelines/users.yaml": None})
    status = eventually(lambda: (s := w.sync_now())["localAheadCount"] == 1 and s)
    assert status["remoteAheadCount"] == 1
    assert w.names() == {"users"}
    assert w.repo.files() == ["pipelines/orders.yaml"]


def test_deletes_above_the_limit_wait_in_both_directions(world: MakeWorld) -> None:
    names = [f"p{n}" for n in range(10)]
    w = started(world, {f"pipelines/{n}.yaml": manifest(n) for n in names}, sync={"maxDeletes": 4, **TOGETHER})
    w.kubectl("delete", "pipeline", *names[:5])
    held = eventually(lambda: (c := w.condition("InSync"))["reason"] == "DeletesHeld" and c)
    assert len(w.repo.files()) == 10
    assert "5 of 10" in held["message"]
    digest = held["message"].split("confirmDeletes=")[1].split()[0]
    w.kubectl("annotate", "gi", "gi", "planasonix.com/confirmDeletes=another", "--overwrite")
    w.sync_now()
    assert len(w.repo.files()) == 10
    w.kubectl("annotate", "gi", "gi", f"planasonix.com/confirmDeletes={digest}", "--overwrite")
    eventually(lambda: len(w.repo.files()) == 5)
    w.in_sync()
    w.repo.commit({f"pipelines/{n}.yaml": None for n in names[5:8]})  # three are always let through
    w.in_sync()
    assert w.names() == set(names[8:])


def test_a_namespace_that_turned_empty_deletes_nothing_in_git(world: MakeWorld) -> None:
    w = started(world, sync={"maxDeletes": "100%", **TOGETHER})
    w.kubectl("delete", "pipeline", "--all")
    eventually(lambda: w.condition("InSync")["reason"] == "DeletesHeld")
    assert len(w.repo.files()) == 2


def test_what_is_ignored_is_neither_read_nor_written(world: MakeWorld) -> None:
    files = {
        "pipelines/orders.yaml": manifest("orders"),
        "pipelines/new.draft.yaml": manifest("new"),
        "pipelines/attic/old.yaml": manifest("old"),
        "pipelines/.gitintegrationignore": "attic/\n",
        "elsewhere/other.yaml": manifest("other"),
    }
    w = started(world, files, ignore="*.draft.yaml")
    assert w.names() == {"orders"}
    w.repo.commit({"pipelines/.gitintegrationignore": "orders.yaml\n"})
    eventually(lambda: w.sync_now() and w.names() == {"orders", "old"})
    w.kubectl("delete", "pipeline", "orders")  # its file is out of reach now
    w.sync_now()
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders")


def test_new_files_go_where_the_spec_says(world: MakeWorld) -> None:
    w = started(world, newFilePath="{kind}/team/{name}.json", pathPrefix="etl")
    w.apply(pipeline("fresh", owner="ann"))
    text = eventually(lambda: w.repo.read("etl/pipeline/team/fresh.json"))
    assert json.loads(text)["spec"]["owner"] == "ann"
    w.integrate(pathPrefix=".")  # another prefix is another source: nothing is deleted by it
    w.in_sync()
    assert w.names() >= {"fresh", "orders", "users"}


def test_a_prefix_that_has_nothing_is_told_and_one_that_changed_asks(world: MakeWorld) -> None:
    w = started(world, {"etl/orders.yaml": manifest("orders")})
    ready = w.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("True", "EmptyPrefix")
    assert "set spec.pathPrefix to 'etl/'" in ready["message"]
    w.integrate(pathPrefix="etl/")
    eventually(lambda: w.names() == {"orders"} and w.status().get("inSync"))
    w.integrate(pathPrefix="new/")
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == "PrefixChanged" and c)
    assert set(w.repo.files()) == {"etl/orders.yaml"}
    (digest,) = re.findall(r"planasonix.com/confirmDeletes=(\w+)", ready["message"])
    w.kubectl("annotate", "gi", "gi", f"planasonix.com/confirmDeletes={digest}")
    eventually(lambda: set(w.repo.files()) == {"etl/orders.yaml", "new/orders.yaml"})
    w.in_sync()


def test_only_labelled_pipelines_and_no_ignored_fields_travel(world: MakeWorld) -> None:
    crm = manifest("orders").replace("  name: orders\n", "  name: orders\n  labels: {team: crm}\n")
    resource = {
        "apiVersion": "planasonix.com/v1alpha1",
        "kind": "Pipeline",
        "labelSelector": {"matchLabels": {"team": "crm"}},
        "ignoreFields": ["/spec/enabled"],
    }
    w = started(world, {"pipelines/orders.yaml": crm, "pipelines/users.yaml": manifest("users")}, resources=[resource])
    assert w.names() == {"orders"}
    w.apply(pipeline("private"))
    w.patch("orders", {"enabled": False})
    told = w.sync_now()["ahead"]
    assert [(entry["name"], entry["side"], entry["reason"]) for entry in told] == [
        ("private", "cluster", "NotSelected"), ("users", "git", "NotSelected")
    ]  # fmt: skip
    assert w.repo.count() == 1
    w.patch("orders", {"owner": "zoe"})
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == crm.replace("owner: ann", "owner: zoe"))
    w.repo.commit({"pipelines/orders.yaml": crm.replace("owner: ann", "owner: eve")})
    w.in_sync()
    assert w.spec("orders")["enabled"] is False
    assert w.spec("orders")["owner"] == "eve"


def test_what_is_selected_no_more_is_let_go_on_both_sides(world: MakeWorld) -> None:
    labelled = manifest("orders").replace("  name: orders\n", "  name: orders\n  labels: {team: crm}\n")
    w = started(world, {"pipelines/orders.yaml": labelled, "pipelines/users.yaml": manifest("users")})
    resource = {"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline"}
    w.integrate(resources=[{**resource, "labelSelector": {"matchLabels": {"team": "crm"}}}])
    eventually(lambda: "1 pipeline was let go" in w.condition("Ready")["message"])
    assert w.status()["pipelineCount"] == 1
    events = w.kubectl("get", "events", "-o", "jsonpath={range .items[?(@.reason=='LetGo')]}{.message}{end}")
    assert events.count("1 pipeline was let go, because spec.resources no longer selects them (users)") == 1
    w.patch("users", {"owner": "cluster"})
    w.repo.commit({"pipelines/users.yaml": None})
    w.in_sync()
    assert w.spec("users")["owner"] == "cluster"
    w.integrate(resources=[{"apiVersion": "v1", "kind": "ConfigMap"}])
    eventually(lambda: w.status()["pipelineCount"] == 0)
    assert w.names() == {"orders", "users"}
    assert w.repo.files() == ["pipelines/orders.yaml"]


def test_disabled_it_rests_and_keeps_its_last_counts(world: MakeWorld) -> None:
    w = started(world)
    w.integrate(enabled=False)
    eventually(lambda: w.condition("Ready")["reason"] == "Suspended")
    assert w.status()["pipelineCount"] == 2
    w.patch("orders", {"owner": "cluster"})
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="git")})
    started(world)  # by the time another is in sync, this one would have been
    assert w.repo.count() == 2
    assert w.spec("users")["owner"] == "ann"
    w.integrate()
    w.in_sync()
    assert w.repo.count() == 3
    assert w.spec("users")["owner"] == "git"


def test_edits_within_the_quiet_period_are_one_commit_by_the_author_with_the_message(world: MakeWorld) -> None:
    w = started(
        world,
        author={"name": "Flo", "email": "flo@example.com"},
        sync={"push": {"quietPeriod": "10s", "messageTemplate": "{namespace}/{integration}: {updated} of {pipelines}"}},
    )
    for owner in ("a", "b", "c"):
        w.patch("orders", {"owner": owner})
        w.patch("users", {"owner": owner})
    eventually(lambda: w.repo.read("pipelines/users.yaml") == manifest("users", owner="c"))
    assert w.repo.count() == 2
    told = w.repo.log("-1", "--format=%an <%ae> %s").strip()
    assert told == f"Flo <flo@example.com> {w.namespace}/gi: 2 of orders, users"
    assert w.in_sync()["history"][0]["pipelinesTouched"] == ["orders", "users"]


def test_a_sync_that_finds_nothing_writes_nothing(world: MakeWorld) -> None:
    w = started(world)
    before = w.get("gi", "gitintegration")
    asked = len(w.server.requests)
    eventually(lambda: len(w.server.requests) > asked, 15)  # the next poll of the refs
    w.sync_now()
    now = w.get("gi", "gitintegration")
    assert before
    assert now
    before["status"].pop("lastHandledReconcileAt")
    now["status"].pop("lastHandledReconcileAt")
    moving = ("lastSyncAt", "lastSuccessfulSyncAt")
    assert {k: v for k, v in before["status"].items() if k not in moving} == {
        k: v for k, v in now["status"].items() if k not in moving
    }
    events = w.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}").split()
    assert events.count("Synced") == 1
    assert set(events) <= {"Synced", "Succeeded", "Progressing"}


def test_kubectl_shows_the_story(world: MakeWorld) -> None:
    w = started(world, defaultBranch="main")
    head, row, *_ = w.kubectl("get", "gi", "-o", "wide").splitlines()
    columns = ["NAME", "REPOSITORY", "BRANCH", "IN-SYNC", "LOCAL-AHEAD", "REMOTE-AHEAD", "CONFLICTS", "READY", "REASON"]
    assert head.split()[: len(columns)] == columns
    assert row.split()[1:9] == [w.repo.url(), "main", "True", "0", "0", "0", "True", "Succeeded"]
    assert "gi" in w.kubectl("get", "planasonix")
    w.kubectl("wait", "--for=condition=Ready", "gi/gi", "--timeout=5s")
    assert "maxDeletes" in w.kubectl("explain", "gitintegration.spec.sync")


def test_the_next_commit_of_a_deleted_and_restored_pipeline_keeps_its_file(world: MakeWorld) -> None:
    """Deleted in the cluster, brought back by a revert in git: it comes back whole."""
    w = started(world)
    w.kubectl("delete", "pipeline", "orders")
    eventually(lambda: w.repo.files() == ["pipelines/users.yaml"])
    git("update-ref", "refs/heads/saved", "main~1", cwd=w.repo.path)
    w.repo.commit({"pipelines/orders.yaml": w.repo.read("pipelines/orders.yaml", "saved")}, "Revert")
    w.in_sync()
    assert w.names() == {"orders", "users"}
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders")


PIPELINES = {"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline"}


@pytest.mark.parametrize("on_create", [True, False])
def test_ignored_fields_are_carried_once_where_the_spec_wants_them(world: MakeWorld, on_create: bool) -> None:
    text = manifest("orders").replace("sql: select 1", "sql: select 1\n      image: v1")
    w = world({"pipelines/orders.yaml": text})
    w.secret()
    w.apply(pipeline("users", steps=[{"name": "a", "image": "v1"}, {"name": "b"}]))
    w.integrate(resources=[{**PIPELINES, "ignoreFields": ["/spec/steps/*/image"], "onCreate": on_create}])
    w.in_sync()
    assert ("image" in w.spec("orders")["steps"][0]) == on_create
    assert ("image: v1" in (w.repo.read("pipelines/users.yaml") or "")) == on_create
    steps = [{"name": "new"}, {"name": "extract", "sql": "select 1", "image": "v2"}]
    w.patch("orders", {"steps": steps})
    eventually(lambda: "name: new" in (w.repo.read("pipelines/orders.yaml") or "") or not w.sync_now())
    made = w.repo.read("pipelines/orders.yaml") or ""
    assert "image: v1" in made
    assert "v2" not in made
    assert w.in_sync()
    assert w.spec("orders")["steps"] == steps


def test_a_manifest_of_another_namespace_is_synced_here_where_the_spec_says_so(world: MakeWorld) -> None:
    text = manifest("orders").replace("name: orders\n", "name: orders\n  namespace: production  # as it is deployed\n")
    w = world({"pipelines/orders.yaml": text})
    w.secret()
    w.integrate(resources=[PIPELINES])
    eventually(lambda: [e["reason"] for e in w.sync_now()["invalid"]] == ["WrongNamespace"])
    w.integrate(resources=[{**PIPELINES, "namespace": "Ignore"}])
    w.in_sync()
    assert w.names() == {"orders"}
    w.patch("orders", {"owner": "cluster"})
    wanted = text.replace("owner: ann", "owner: cluster")
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == wanted)
    w.in_sync()
    assert w.repo.read("pipelines/orders.yaml") == wanted


def test_what_an_ignored_manager_writes_is_nobodys_edit(world: MakeWorld) -> None:
    w = started(world, resources=[{**PIPELINES, "ignoreManagers": ["scaler"]}])
    count = w.repo.count()
    patch = '{"spec": {"schedule": "1 1 * * *", "replicas": 3}}'
    w.kubectl("patch", "pipeline", "orders", "--type=merge", "--field-manager=scaler", "-p", patch)
    status = w.sync_now()
    assert (status["inSync"], status["localAheadCount"], w.repo.count()) == (True, 0, count)
    w.patch("orders", {"owner": "cluster"})
    wanted = manifest("orders", owner="cluster")
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == wanted)
    w.in_sync()
    assert w.spec("orders")["schedule"] == "1 1 * * *"
    w.repo.commit({"pipelines/orders.yaml": wanted.replace("0 5", "6 6")})
    w.in_sync()
    assert (w.spec("orders")["schedule"], w.spec("orders")["replicas"]) == ("6 6 * * *", 3)
