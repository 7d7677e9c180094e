"""Who writes an integration or an operation holds the rights that it uses: tenants with real roles, on the real API server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.bed.cluster import ROOT
from tests.bed.tenants import ALL, OURS, WRITE, Tenant
from tests.bed.world import API, World, eventually, manifest

MakeWorld = Callable[..., World]
URL = "https://git.example.com/r"
NAMED: list[tuple[str, dict[str, Any], tuple[Any, ...], dict[str, Any]]] = [
    ("get Secret", {"credentials": {"secretRef": {"name": "prod"}}}, (["get"], "secrets"), {"group": ""}),
    ("get Secret", {"proxySecretRef": {"name": "prod"}}, (["get"], "secrets"), {"group": ""}),
    ("get Secret", {"commit": {"signingSecretRef": {"name": "prod"}}}, (["get"], "secrets"), {"group": ""}),
    ("get Secret", {"verify": {"secretRef": {"name": "prod"}}}, (["get"], "secrets"), {"group": ""}),
    ("get ConfigMap", {"verify": {"configMapRef": {"name": "prod"}}}, (["get"], "configmaps"), {"group": ""}),
    ("get ConfigMap", {"authors": {"mapRef": {"name": "prod"}}}, (["get"], "configmaps"), {"group": ""}),
    ("impersonate ServiceAccount", {"serviceAccountName": "prod"}, (["impersonate"], "serviceaccounts"), {"group": ""}),
]


def kind(name: str, group: str = "") -> dict[str, str]:
    return {"apiVersion": f"{group}/v1" if group else "v1", "kind": name}


@pytest.fixture
def tenant(world: MakeWorld) -> Tenant:
    """May create, change and delete what is ours in a namespace, and read no Secret."""
    made = Tenant(world({"pipelines/orders.yaml": manifest("orders")}))
    made.may(ALL, *OURS)
    return made


@pytest.mark.parametrize(("right", "spec", "rights", "more"), NAMED)
def test_what_it_names_is_its_authors_to_use(
    tenant: Tenant, right: str, spec: dict[str, Any], rights: tuple[Any, ...], more: dict[str, Any]
) -> None:
    told = tenant.create("GitIntegration", "gi", {"repositoryURL": URL, **spec})
    assert f'{tenant.user} may not {right} "prod" in namespace "{tenant.w.namespace}"' in told
    tenant.may(*rights, names=["other"], **more)
    assert f'may not {right} "prod"' in tenant.create("GitIntegration", "gi", {"repositoryURL": URL, **spec})
    tenant.may(*rights, names=["prod"], **more)
    assert "created" in tenant.create("GitIntegration", "gi", {"repositoryURL": URL, **spec})


def test_a_secret_that_goes_with_the_integration_is_its_authors_to_delete(tenant: Tenant) -> None:
    tenant.may(["get"], "secrets", group="")
    spec = {"repositoryURL": URL, "credentials": {"secretRef": {"name": "prod"}}}
    assert "created" in tenant.create("GitIntegration", "gi", spec)
    spec = {"repositoryURL": URL, "credentials": {"secretRef": {"name": "prod"}, "reclaimPolicy": "Delete"}}
    assert 'may not delete Secret "prod"' in tenant.create("GitIntegration", "gi", spec)
    tenant.may(["delete"], "secrets", group="", names=["prod"])
    assert "created" in tenant.create("GitIntegration", "gi", spec)


def test_the_kinds_it_lists_are_its_authors_to_write(world: MakeWorld) -> None:
    tenant = Tenant(world())
    tenant.may(ALL, "gitintegrations")
    spec: dict[str, Any] = {"repositoryURL": URL}
    for verb in ("create", "update", "delete"):
        told = tenant.create("GitIntegration", "gi", spec)
        assert f'may not {verb} resource "pipelines" in API group "planasonix.com"' in told
        tenant.may([verb], "pipelines")
    assert "created" in tenant.create("GitIntegration", "gi", spec)
    spec = {"repositoryURL": URL, "resources": [kind("ConfigMap")]}
    assert 'may not create resource "configmaps" in API group ""' in tenant.create("GitIntegration", "gi", spec)
    tenant.may(WRITE, "configmaps", group="")
    assert "created" in tenant.create("GitIntegration", "gi", spec)
    spec = {"repositoryURL": URL, "resources": [kind("ConfigMap"), kind("Lease", "coordination.k8s.io")]}
    told = tenant.create("GitIntegration", "gi", spec)
    assert 'may not create resource "Lease" in API group "coordination.k8s.io"' in told


def test_a_kind_whose_plural_is_not_known_is_asked_for_by_its_own_name(tenant: Tenant) -> None:
    """A plural that was guessed might be another kind's, on which the author has rights."""
    spec = {"repositoryURL": URL, "resources": [kind("Widget", "shop.example.com")]}
    tenant.may(WRITE, "widgets", group="shop.example.com")
    told = tenant.create("GitIntegration", "gi", spec)
    assert 'may not create resource "Widget" in API group "shop.example.com" (a kind whose plural is not known' in told
    for written, group in (("widgets", "shop.example.com"), ("Widget", "shop.example.com/x"), ("Widget", "../shop")):
        spelled = {"repositoryURL": URL, "resources": [kind(written, group)]}
        told = tenant.create("GitIntegration", "gi", spelled)
        assert "created" not in told, told
    tenant.may(WRITE, "Widget", group="shop.example.com")
    assert "created" in tenant.create("GitIntegration", "gi", spec)


def test_all_of_a_group_is_right_enough(tenant: Tenant) -> None:
    spec = {"repositoryURL": URL, "resources": [kind("Widget", "shop.example.com")]}
    tenant.may(["create", "update", "delete"], "*", group="shop.example.com")
    assert "created" in tenant.create("GitIntegration", "gi", spec)


def test_more_kinds_than_can_be_asked_for_need_every_right(tenant: Tenant) -> None:
    groups = [f"g{i}.example.com" for i in range(32)]
    for group in groups[:9]:
        tenant.may(WRITE, "Widget", group=group)

    def listing(number: int) -> dict[str, Any]:
        return {"repositoryURL": URL, "resources": [kind("Widget", group) for group in groups[:number]]}

    assert "created" in tenant.create("GitIntegration", "gi", listing(8))
    assert "may not do everything (verb, group and resource *)" in tenant.create("GitIntegration", "gi", listing(9))
    body = {"apiVersion": API, "kind": "GitIntegration", "metadata": {"name": "gi"}, "spec": listing(32)}
    said = tenant.w.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
    assert "created" in said  # by the administrator


PASSES: list[dict[str, Any]] = [
    {"metadata": {"labels": {"team": "crm"}}},
    {"metadata": {"annotations": {"planasonix.com/requestedAt": "now"}}},
    {"metadata": {"finalizers": ["example.com/held"]}},
    {"spec": {"sync": {"interval": "20s"}}},
    {"spec": {"sync": {"timeout": "30s", "push": {"quietPeriod": "2s", "messageTemplate": "{integration}"}}}},
    {"spec": {"author": {"name": "Ann"}, "historyLimit": 5, "authors": {"mode": "fixed"}}},
    {"spec": {"enabled": False}},
]
OF_THE_SECRET: list[dict[str, Any]] = [
    {"repositoryURL": "https://evil.example.com/r"},
    {"repositoryURL": "https://git.example.com/other"},
    {"provider": "gitlab"},
    {"defaultBranch": "other"},
    {"pathPrefix": "private/"},
    {"proxySecretRef": {"name": "git"}},
    {"proxySecretRef": {"name": "proxy"}},
    {"credentials": {"type": "basic"}},
    {"credentials": {"reclaimPolicy": "Delete"}},
    {"credentials": {"secretRef": {"name": "other"}}},
]
OF_THE_KINDS: list[dict[str, Any]] = [
    {"serviceAccountName": None},
    {"serviceAccountName": "other"},
    {"resources": [{"apiVersion": API, "kind": "Pipeline", "labelSelector": {"matchLabels": {"a": "b"}}}]},
    {"ignore": "*.draft.yaml"},
    {"newFilePath": "x/{name}.yaml"},
    {"sync": {"mode": "Pull"}},
    {"sync": {"prune": False}},
    {"sync": {"maxDeletes": 100}},
    {"sync": {"strategy": "theirs"}},
    {"sync": {"push": {"branch": "other"}}},
]


def administered(w: World, name: str, **more: Any) -> None:
    """An integration as an administrator has made it."""
    spec = {
        "repositoryURL": URL,
        "credentials": {"secretRef": {"name": "git"}},
        "serviceAccountName": "editor",
        "sync": {"mode": "Manual"},
        **more,
    }
    w.apply({"apiVersion": API, "kind": "GitIntegration", "metadata": {"name": name}, "spec": spec})


def test_changes_of_nothing_that_is_used_pass(world: MakeWorld) -> None:
    tenant = Tenant(world())
    administered(tenant.w, "gi")
    tenant.may(ALL, "gitintegrations")
    for change in PASSES:
        told = tenant.patch("gi", "gi", change)
        assert "patched" in told, (change, told)
    kept = json.loads(tenant.kubectl("get", "gi", "gi", "-o", "json"))
    again = {**kept, "metadata": {"name": "gi", "labels": {"applied": "again"}}, "status": None}
    told = tenant.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(again))
    assert "serverside-applied" in told  # as a GitOps tool does it, every few minutes
    assert "deleted" in tenant.kubectl("delete", "gi", "gi")


def test_a_credential_is_not_turned_to_something_else(tenant: Tenant) -> None:
    administered(tenant.w, "gi")
    for change in OF_THE_SECRET:
        told = tenant.patch("gi", "gi", {"spec": change})
        assert 'may not get Secret "' in told, (change, told)
    for change in ({"sync": {"mode": "Pull"}}, {"ignore": "*.draft.yaml"}):
        told = tenant.patch("gi", "gi", {"spec": change})
        assert 'may not impersonate ServiceAccount "editor"' in told, (change, told)
    tenant.may(["impersonate"], "serviceaccounts", group="")
    for change in ({"sync": {"mode": "Pull"}}, {"ignore": "*.draft.yaml"}):
        assert "patched" in tenant.patch("gi", "gi", {"spec": change})
    assert 'may not get Secret "' in tenant.patch("gi", "gi", {"spec": OF_THE_SECRET[0]})


def test_what_people_are_called_is_out_of_a_map_that_its_author_may_read(world: MakeWorld) -> None:
    """Also where another's integration names it already, and would send it elsewhere."""
    tenant = Tenant(world())
    administered(tenant.w, "gi", credentials=None, serviceAccountName=None, authors={"mapRef": {"name": "people"}})
    tenant.may(ALL, *OURS)
    asks: list[dict[str, Any]] = [{"authors": {"mapRef": {"name": "other"}}}, {"repositoryURL": f"{URL}/other"}]
    passes: list[dict[str, Any]] = [{"authors": {"domain": "example.com"}}, {"authors": {"mapRef": None}}]
    for change in asks:
        assert 'may not get ConfigMap "' in tenant.patch("gi", "gi", {"spec": change}), change
    for change in passes:
        assert "patched" in tenant.patch("gi", "gi", {"spec": change}), change


def test_pipelines_are_not_touched_through_an_integration_of_another(world: MakeWorld) -> None:
    tenant = Tenant(world())
    administered(tenant.w, "gi")
    administered(tenant.w, "off", enabled=False)
    tenant.may(ALL, "gitintegrations")
    tenant.may(["impersonate"], "serviceaccounts", group="")
    denied = 'may not create resource "pipelines"'
    for change in OF_THE_KINDS:
        told = tenant.patch("gi", "gi", {"spec": change})
        assert denied in told, (change, told)
    assert denied in tenant.patch("gi", "off", {"spec": {"enabled": True}})
    confirmed = {"metadata": {"annotations": {"planasonix.com/confirmDeletes": "abc"}}}
    assert denied in tenant.patch("gi", "gi", confirmed)
    tenant.w.kubectl("annotate", "gi", "gi", "planasonix.com/confirmDeletes=abc")
    assert "patched" in tenant.patch("gi", "gi", {"metadata": {"labels": {"a": "b"}}})
    assert "patched" in tenant.patch("gi", "gi", {"metadata": {"annotations": {"planasonix.com/confirmDeletes": None}}})


# --- operations ------------------------------------------------------------------------------------------------------


def operation(kind: str, **block: Any) -> dict[str, Any]:
    return {"integrationRef": {"name": "gi"}, "kind": kind, kind: block}


def test_an_operation_tests_with_secrets_of_its_authors(tenant: Tenant) -> None:
    def test_of(secret: str, **more: str) -> dict[str, Any]:
        return operation("test", repositoryURL=URL, credentials={"secretRef": {"name": secret}, **more})

    assert "created" in tenant.create("GitOperation", "op", operation("test", repositoryURL=URL))
    assert 'may not get Secret "prod"' in tenant.create("GitOperation", "op", test_of("prod"))
    tenant.may(["create"], "secrets", group="")
    own = "gitop-a1b2c3"
    assert "created" in tenant.create("GitOperation", own, test_of("gitop-test-a1b2c3"))
    for name, secret in ((own, "prod"), (own, "gitop-test-ffff"), ("prod", "prod"), ("op", "gitop-test-a1b2c3")):
        assert f'may not get Secret "{secret}"' in tenant.create("GitOperation", name, test_of(secret)), (name, secret)
    generated = {
        "apiVersion": API,
        "kind": "GitOperation",
        "metadata": {"generateName": "gitop-"},
        "spec": test_of("gitop-test-a1"),
    }
    told = tenant.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(generated))
    assert 'may not get Secret "gitop-test-a1"' in told
    tenant.may(["get"], "secrets", group="", names=["prod"])
    assert "created" in tenant.create("GitOperation", "op", test_of("prod"))
    assert 'may not delete Secret "prod"' in tenant.create(
        "GitOperation", "op", test_of("prod", reclaimPolicy="Delete")
    )


def test_a_pull_writes_what_its_author_may_write(world: MakeWorld) -> None:
    tenant = Tenant(world())
    tenant.may(ALL, "gitoperations")
    for harmless in ("history", "test"):
        assert "created" in tenant.create("GitOperation", "op", operation(harmless))
    tells = [operation("history", revision="abcdef1"), operation("history", blame="orders")]
    for look in (operation("pull", dryRun=True), operation("pull"), operation("push"), *tells):
        assert 'may not get resource "pipelines"' in tenant.create("GitOperation", "op", look)
    tenant.may(["get"], "pipelines")
    for look in (operation("pull", dryRun=True), operation("push"), operation("push", dryRun=True), *tells):
        assert "created" in tenant.create("GitOperation", "op", look)
    for verb in ("create", "update", "delete"):
        told = tenant.create("GitOperation", "op", operation("pull"))
        assert f'may not {verb} resource "pipelines"' in told
        tenant.may([verb], "pipelines")
    assert "created" in tenant.create("GitOperation", "op", operation("pull", strategy="theirs"))


def test_a_pull_writes_the_kinds_of_its_integration(tenant: Tenant) -> None:
    administered(tenant.w, "gi", resources=[kind("ConfigMap")])
    administered(tenant.w, "another")
    shown = 'may not get resource "configmaps" in API group ""'
    for look in (operation("pull"), operation("push", dryRun=True), operation("history", blame="orders")):
        eventually(lambda: shown in tenant.create("GitOperation", "op", look))  # noqa: B023
    tenant.may(["get"], "configmaps", group="")
    eventually(lambda: "created" in tenant.create("GitOperation", "op", operation("push", dryRun=True)))
    denied = 'may not create resource "configmaps" in API group "", which this pull would have done'
    assert denied.replace(",", f' in namespace "{tenant.w.namespace}",') in pull(tenant)
    other = {**operation("pull"), "integrationRef": {"name": "another"}}
    eventually(lambda: "created" in tenant.create("GitOperation", "op", other))  # the API server may not know it yet
    tenant.may(WRITE, "configmaps", group="")
    eventually(lambda: "created" in pull(tenant))


def pull(tenant: Tenant) -> str:
    return tenant.create("GitOperation", "op", operation("pull"))


# --- what is the operator's own ----------------------------------------------------------------------------------------


def test_a_namespaces_administrator_writes_neither_memory_nor_status(world: MakeWorld) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    w.integrate()
    w.in_sync()
    tenant = Tenant(w)
    tenant.may(["*"], "*", group="planasonix.com")
    base = w.kubectl("get", "gitintegrationbases", "-o", "name").split()[0].partition("/")[2]
    alone = "may not write what the operator remembers or tells"
    assert alone in tenant.patch("gitintegrationbases", base, {"spec": {"data": "forged"}})
    forged = {"integrationUID": "x", "shard": "", "data": "forged"}
    assert alone in tenant.create("GitIntegrationBase", "forged", forged)
    assert alone in tenant.create("GitOperationPlan", "forged", {"operation": "op", "page": 1})
    assert alone in tenant.patch("gi", "gi", {"status": {"inSync": True, "remoteCommit": "x"}}, "--subresource=status")
    w.apply({"apiVersion": API, "kind": "GitOperation", "metadata": {"name": "op"}, "spec": operation("history")})
    assert alone in tenant.patch("gitop", "op", {"status": {"phase": "Succeeded"}}, "--subresource=status")
    assert "deleted" in tenant.kubectl("delete", "gitintegrationbases", base, "--dry-run=server")
    assert "patched" in w.kubectl("patch", "gitintegrationbases", base, "--type=merge", "-p", "{}", "--dry-run=server")
    body = {"metadata": {"labels": {"a": "b"}}}
    assert "patched" in w.kubectl("patch", "gitintegrationbases", base, "--type=merge", "-p", json.dumps(body))


def test_a_secret_is_marked_by_who_may_delete_it(tenant: Tenant) -> None:
    tenant.w.secret("prod", token="t")
    tenant.may(["get", "patch"], "secrets", group="")
    mark = {"metadata": {"annotations": {"planasonix.com/owned-by": "gi"}}}
    assert 'may not delete Secret "prod"' in tenant.patch("secret", "prod", mark)
    assert "patched" in tenant.patch("secret", "prod", {"metadata": {"annotations": {"other": "gi"}}})
    tenant.may(["delete"], "secrets", group="", names=["prod"])
    assert "patched" in tenant.patch("secret", "prod", mark)


def test_the_clusters_own_roles_come_to_hold_ours(world: MakeWorld) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    viewer, editor = Tenant(w, "viewer"), Tenant(w, "editor")
    editor.bind("edit", "create", "gitintegrations")
    viewer.bind("view", "list", "gitintegrations")
    spec = {
        "repositoryURL": w.repo.url(),
        "credentials": {"secretRef": {"name": "git"}},
        "sync": {"interval": "10s", "push": {"quietPeriod": "0s"}},
    }
    eventually(lambda: "created" in editor.create("GitIntegration", "gi", spec, keep=True))
    eventually(lambda: w.names() == {"orders"})
    assert "orders" in viewer.kubectl("get", "pipelines")
    assert "cannot create" in viewer.create("GitIntegration", "other", spec)
    for one in (viewer, editor):
        assert "cannot get" in one.kubectl("get", "gitintegrationbases", "x")


def test_a_pull_that_was_there_before_its_integration_writes_no_kind_of_that(world: MakeWorld) -> None:
    """No policy could ask about them, for nobody knew them."""
    settings = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  a: b\n"
    w = world({"pipelines/settings.yaml": settings})
    w.secret()
    w.plane.kubectl("apply", "-f", str(ROOT / "manifests" / "impersonation.yaml"))
    Tenant(w, "editor").may(ALL, "configmaps", group="")
    w.apply({"apiVersion": API, "kind": "GitOperation", "metadata": {"name": "early"}, "spec": operation("pull")})
    eventually(lambda: (w.get("early", "gitop") or {})["status"]["phase"] == "Pending")
    made = (w.get("early", "gitop") or {})["metadata"]["creationTimestamp"]
    eventually(lambda: now(w) > made)
    w.integrate(resources=[kind("ConfigMap")], sync={"mode": "Manual"}, serviceAccountName="editor")
    ended = eventually(lambda: (s := (w.get("early", "gitop") or {})["status"])["phase"] == "Failed" and s)
    assert "lists ConfigMap: make it anew" in str(ended["conditions"])
    assert "settings" not in w.names("configmap")
    w.apply({"apiVersion": API, "kind": "GitOperation", "metadata": {"name": "late"}, "spec": operation("pull")})
    eventually(lambda: (w.get("late", "gitop") or {})["status"]["phase"] == "Succeeded")
    assert "settings" in w.names("configmap")


def now(w: World) -> str:
    """The API server's clock, as it writes it into metadata."""
    made = w.kubectl(
        "create", "serviceaccount", "clock", "--dry-run=server", "-o", "jsonpath={.metadata.creationTimestamp}"
    )
    assert made
    return made
