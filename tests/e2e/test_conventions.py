"""What kubectl and GitOps tools see: columns, events, waits, explanations, lists that two managers share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.bed.kstatus import judged
from tests.bed.operator import OperatorProcess
from tests.bed.world import API, World, eventually, manifest

MakeWorld = Callable[..., World]
NAME = "analytics"


@pytest.fixture
def w(world: MakeWorld, operator: OperatorProcess) -> World:
    made = world({f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")})
    made.secret()
    return made


def row(w: World, kind: str, name: str) -> dict[str, str]:
    """What `kubectl get` shows of one, by column; it fits a terminal."""
    head, line = w.kubectl("get", kind, name).splitlines()
    assert max(len(head.rstrip()), len(line.rstrip())) <= 100
    wide_head, wide = w.kubectl("get", kind, name, "-o", "wide").splitlines()
    names = wide_head.split()
    starts = [wide_head.index(f" {n} ") + 1 if n != names[0] and n != names[-1] else wide_head.rindex(n) for n in names]
    ends = [*starts[1:], None]
    return {n: wide[a:b].strip() for n, a, b in zip(names, starts, ends, strict=True)}


def operate(w: World, name: str, kind: str, **block: Any) -> None:
    force = {"force": block.pop("force")} if "force" in block else {}
    spec = {"integrationRef": {"name": NAME}, "kind": kind, kind: block, **force}
    w.apply({"apiVersion": API, "kind": "GitOperation", "metadata": {"name": name}, "spec": spec})


def health(w: World, kind: str, name: str) -> str:
    return judged([w.get(name, kind) or {}])[0][0]


def test_columns_of_an_integration(w: World) -> None:
    w.integrate(NAME, sync={"interval": "10h"})
    w.in_sync(NAME)
    seen = row(w, "gi", NAME)
    assert seen["BRANCH"] == "main"
    assert (seen["IN-SYNC"], seen["READY"], seen["REASON"]) == ("True", "True", "Succeeded")
    last = w.status(NAME)["lastSyncAt"]
    w.secret(username="nobody", password="wrong")
    eventually(lambda: row(w, "gi", NAME)["REASON"] == "AuthenticationFailed")
    seen = row(w, "gi", NAME)
    assert (seen["IN-SYNC"], seen["BRANCH"]) == ("Unknown", "main")
    assert "inSync" not in w.status(NAME)
    assert w.status(NAME)["lastSyncAt"] == last
    assert health(w, "gi", NAME) == "Failed"  # a person must act
    w.kubectl("delete", "secret", "git")
    eventually(lambda: health(w, "gi", NAME) == "Failed")
    w.integrate("never", repositoryURL=f"{w.repo.url()}-missing")
    eventually(lambda: row(w, "gi", "never")["READY"] == "False")
    assert row(w, "gi", "never")["LAST-SYNC"] == ""


def test_columns_of_operations_and_what_kubectl_waits_for(w: World) -> None:
    w.integrate(NAME, sync={"mode": "Manual"})
    w.kubectl("wait", "--for=condition=Ready", f"gi/{NAME}", "--timeout=20s")
    operate(w, "gitop-a2b3c", "pull", dryRun=True)
    w.kubectl("wait", "--for=condition=Succeeded", "gitop/gitop-a2b3c", "--timeout=20s")
    seen = row(w, "gitop", "gitop-a2b3c")
    assert (seen["DRY-RUN"], seen["PHASE"], seen["REASON"]) == ("true", "Succeeded", "Succeeded")
    assert health(w, "gitop", "gitop-a2b3c") == "Current"
    operate(w, "gitop-d4e5f", "push", branch="feature/add-crm-sync", pipelines=["nobody"])
    w.kubectl("wait", "--for=condition=Failed", "gitop/gitop-d4e5f", "--timeout=20s")
    seen = row(w, "gitop", "gitop-d4e5f")
    assert (seen["DRY-RUN"], seen["PHASE"], seen["REASON"]) == ("false", "Failed", "UnknownPipeline")
    assert health(w, "gitop", "gitop-d4e5f") == "Failed"
    operate(w, "gitop-g6h7i", "history")
    w.kubectl("wait", "--for=condition=Succeeded", "gitop/gitop-g6h7i", "--timeout=20s")
    assert row(w, "gitop", "gitop-g6h7i")["DRY-RUN"] == ""


def test_a_new_one_is_in_progress_and_a_suspended_one_current(w: World, operator: OperatorProcess) -> None:
    operator.stop()
    try:
        w.integrate(NAME)
        operate(w, "waits", "history")
        assert w.status(NAME) == {"observedGeneration": -1}
        assert [health(w, "gi", NAME), health(w, "gitop", "waits")] == ["InProgress", "InProgress"]
    finally:
        operator.start()
    w.in_sync(NAME)
    assert health(w, "gi", NAME) == "Current"
    w.integrate(NAME, enabled=False)
    eventually(lambda: w.condition("Ready", NAME).get("reason") == "Suspended")
    assert health(w, "gi", NAME) == "Current"
    told = json.loads(w.kubectl("get", "events", "-o", "json"))["items"]
    assert {e["type"] for e in told if e["reason"] == "Suspended"} == {"Normal"}


def test_a_suspended_one_needs_force_to_push_and_pull(w: World) -> None:
    w.integrate(NAME)
    w.in_sync(NAME)
    w.integrate(NAME, enabled=False)
    eventually(lambda: w.condition("Ready", NAME).get("reason") == "Suspended")
    w.patch("orders", {"owner": "cluster"})
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="git")})
    head = w.repo.head()
    for name, kind in (("push-1", "push"), ("pull-1", "pull")):
        operate(w, name, kind)
        w.kubectl("wait", "--for=condition=Failed", f"gitop/{name}", "--timeout=20s")
        assert row(w, "gitop", name)["REASON"] == "Suspended"
    assert w.repo.head() == head
    assert w.spec("users")["owner"] == "ann"
    for name, kind in (("test-1", "test"), ("history-1", "history")):
        operate(w, name, kind)
        w.kubectl("wait", "--for=condition=Succeeded", f"gitop/{name}", "--timeout=20s")
    operate(w, "pull-2", "pull", force=True)
    w.kubectl("wait", "--for=condition=Succeeded", "gitop/pull-2", "--timeout=20s")
    assert w.spec("users")["owner"] == "git"
    operate(w, "push-2", "push", force=True)
    w.kubectl("wait", "--for=condition=Succeeded", "gitop/push-2", "--timeout=20s")
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster")
    assert w.condition("Ready", NAME)["reason"] == "Suspended"


def test_kubectl_explains_defaults(w: World) -> None:
    for path, default in (
        ("gitintegration.spec.sync.interval", "5m"),
        ("gitintegration.spec.sync.maxDeletes", "50%"),
        ("gitintegration.spec.pathPrefix", "pipelines/"),
        ("gitintegration.spec.resources", "Pipeline"),
        ("gitoperation.spec.pull.strategy", "merge"),
        ("gitoperation.spec.force", "false"),
    ):
        assert f"Default: {default}" in " ".join(w.kubectl("explain", path).split()), path


def _resources(w: World) -> list[tuple[str, str]]:
    return [(r["apiVersion"], r["kind"]) for r in w.spec("shared", "gi").get("resources", ())]


def _as(w: World, manager: str, *resources: dict[str, Any], **more: Any) -> None:
    spec = {"repositoryURL": w.repo.url(), "enabled": False, **({"resources": list(resources)} if resources else {})}
    body = {"apiVersion": API, "kind": "GitIntegration", "metadata": {"name": "shared"}, "spec": spec, **more}
    w.kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", stdin=json.dumps(body))


def test_two_managers_share_the_list_of_kinds(w: World) -> None:
    ours = {"apiVersion": API, "kind": "Pipeline"}
    tasks = {"apiVersion": "tekton.dev/v1", "kind": "Task"}
    _as(w, "one")
    _as(w, "one", tasks)
    assert _resources(w) == [("tekton.dev/v1", "Task")]  # a default that nobody owns did not stay
    _as(w, "two", ours)
    assert sorted(_resources(w)) == [(API, "Pipeline"), ("tekton.dev/v1", "Task")]
    _as(w, "two", {**ours, "ignoreFields": ["/spec/enabled"]})
    _as(w, "one", {**tasks, "apiVersion": "tekton.dev/v1beta1"})
    assert sorted(_resources(w)) == [(API, "Pipeline"), ("tekton.dev/v1beta1", "Task")]
    with pytest.raises(RuntimeError, match="can be listed once only"):
        _as(w, "two", ours, tasks)
    with pytest.raises(RuntimeError, match="onflict"):
        _as(w, "three", {**ours, "ignoreFields": ["/spec/owner"]})
    _as(w, "one")
    assert _resources(w) == [(API, "Pipeline")]
