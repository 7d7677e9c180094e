"""Integrations with the rights of a ServiceAccount: they read and write what it may, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest
from tests.e2e.test_operations import ask, why

MakeWorld = Callable[..., World]
SHARD = "planasonix.com/shard"
READ, WRITE = ("get", "list", "watch"), ("create", "update", "delete")
KINDS = [{"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline"}, {"apiVersion": "v1", "kind": "ConfigMap"}]
FILES = {
    "pipelines/orders.yaml": manifest("orders"),
    "pipelines/settings.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  a: b\n",
}


@pytest.fixture(autouse=True)
def may_impersonate(control_plane: ControlPlane) -> None:
    control_plane.kubectl("apply", "-f", str(ROOT / "manifests" / "impersonation.yaml"))


def allow(w: World, account: str, group: str, resource: str, *verbs: str) -> None:
    """Give the ServiceAccount these rights, and in this group no others."""
    name = f"{account}-{resource}"
    role = {"kind": "Role", "metadata": {"name": name}, "apiVersion": "rbac.authorization.k8s.io/v1"}
    rule = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": w.namespace}
    w.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}},
        {**role, "rules": [rule]},
        {**role, "kind": "RoleBinding", "roleRef": ref, "subjects": [subject]},
    )


def test_what_the_account_may_not_do_is_named_and_stops_nothing_else(
    world: MakeWorld, control_plane: ControlPlane
) -> None:
    w = world(FILES)
    user = f"system:serviceaccount:{w.namespace}:editor"
    w.secret()
    allow(w, "editor", "planasonix.com", "pipelines", *READ, *WRITE)
    w.integrate(serviceAccountName="editor", resources=KINDS)
    eventually(lambda: w.names() == {"orders"})
    ready = eventually(lambda: (c := w.condition("Ready")).get("reason") == "Forbidden" and c)
    assert "configmaps" in ready["message"]
    assert user in ready["message"]
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster"))
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git")})
    eventually(lambda: w.sync_now() and w.spec("orders")["owner"] == "git")
    assert "settings" not in w.names("configmap")
    allow(w, "editor", "", "configmaps", *READ, *WRITE)
    eventually(lambda: "settings" in w.names("configmap"), 60)
    w.in_sync()
    users = {write.user for write in control_plane.writes(w.namespace) if write.who and write.resource == "pipelines"}
    assert users == {user}


def test_an_account_that_may_only_read_loses_nothing(world: MakeWorld) -> None:
    w = world(FILES)
    w.secret()
    w.apply({"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline", "metadata": {"name": "own"}, "spec": {}})
    allow(w, "viewer", "planasonix.com", "pipelines", *READ)
    w.integrate(serviceAccountName="viewer")
    eventually(lambda: w.repo.read("pipelines/own.yaml"))
    ready = eventually(lambda: (c := w.condition("Ready")).get("status") == "False" and c)
    assert "viewer" in ready["message"] or "viewer" in str(w.status())
    assert w.names() == {"own"}
    assert w.repo.read("pipelines/orders.yaml") == FILES["pipelines/orders.yaml"]
    done = ask(w, "pull", pipelines=["orders"])
    assert why(done)[0] == "Failed"
    assert "viewer" in why(done)[2]
    allow(w, "viewer", "planasonix.com", "pipelines", *READ, *WRITE)
    eventually(lambda: w.sync_now() and w.names() == {"own", "orders"}, 60)
    w.in_sync()


def test_the_default_account_binds_those_that_name_none(
    world: MakeWorld, control_plane: ControlPlane, tmp_path: Path
) -> None:
    shard = f"s-{uuid.uuid4().hex[:6]}"
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    locked = OperatorProcess(control_plane, tmp_path, f"--shard={shard}", "--default-service-account=default")
    try:
        w.integrate(labels={SHARD: shard})
        ready = eventually(lambda: (c := w.condition("Ready")).get("reason") == "Forbidden" and c)
        assert f"system:serviceaccount:{w.namespace}:default" in ready["message"]
        assert not w.names()
        allow(w, "editor", "planasonix.com", "pipelines", *READ, *WRITE)
        w.integrate(labels={SHARD: shard}, serviceAccountName="editor")
        eventually(lambda: w.names() == {"orders"})
        w.in_sync()
    finally:
        locked.kill()
