"""A Secret says itself what it is for: its type, the hosts it may be sent to, and whom it goes with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bed.world import World, eventually, manifest
from tests.e2e.test_operations import ask, why

MakeWorld = Callable[..., World]
FILES = {"pipelines/orders.yaml": manifest("orders")}


def refused(w: World, *words: str) -> None:
    ready = eventually(lambda: (c := w.condition("Ready")).get("reason") == "SecretNotAllowed" and c)
    for word in words:
        assert word in ready["message"]
    connected = w.condition("Connected")
    assert (connected["status"], connected["message"]) == ("False", ready["message"])
    assert not w.names()


@pytest.mark.parametrize(
    ("kind", "data", "annotations"),
    [
        ("kubernetes.io/service-account-token", {}, {"kubernetes.io/service-account.name": "default"}),
        ("bootstrap.kubernetes.io/token", {"token-id": "abcdef", "token-secret": "0123456789abcdef"}, {}),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": "{}"}, {}),
        ("example.com/anything", {"a": "b"}, {}),
    ],
)
def test_a_secret_of_another_type_is_sent_nowhere(
    world: MakeWorld, kind: str, data: dict[str, str], annotations: dict[str, str]
) -> None:
    w = world(FILES)
    keys = {**data, "token": "not-for-git"}
    metadata = {"name": "git", "annotations": annotations}
    w.apply({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "stringData": keys})
    w.integrate()
    refused(w, kind, "Opaque")


@pytest.mark.parametrize(
    ("hosts", "serves"),
    [("127.0.0.1", True), ("github.com, 127.0.0.1", True), ("github.com", False), ("*.0.0.1", True), ("", False)],
)
def test_credentials_go_to_the_hosts_that_their_secret_names(world: MakeWorld, hosts: str, serves: bool) -> None:
    w = world(FILES)
    w.annotated_secret({"allowed-hosts": hosts})
    w.integrate()
    if serves:
        w.in_sync()
    else:
        refused(w, "127.0.0.1", "planasonix.com/allowed-hosts")
        w.annotated_secret({"allowed-hosts": "127.0.0.1"})
        w.in_sync()


def test_an_operation_sends_them_nowhere_else(world: MakeWorld) -> None:
    w = world(FILES)
    w.annotated_secret({"allowed-hosts": "127.0.0.1"})
    w.integrate()
    w.in_sync()
    elsewhere = w.repo.url().replace("127.0.0.1", "localhost")
    done = ask(w, "test", repositoryURL=elsewhere, credentials={"secretRef": {"name": "git"}})
    assert why(done)[:2] == ("Failed", "SecretNotAllowed")
    assert "localhost" in why(done)[2]


def test_a_secret_that_does_not_name_the_integration_stays_and_that_is_told(world: MakeWorld) -> None:
    w = world(FILES)
    w.secret()
    w.integrate(credentials={"secretRef": {"name": "git"}, "reclaimPolicy": "Delete"})
    w.in_sync()
    assert "planasonix.com/owned-by" in w.condition("Connected")["message"]
    w.kubectl("delete", "gi", "gi", "--timeout=15s")
    assert w.get("git", "secret")
    assert "SecretKept" in w.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")


def test_a_secret_that_the_integration_owns_goes_with_it(world: MakeWorld) -> None:
    w = world(FILES)
    w.annotated_secret({"owned-by": "gi"})
    w.integrate(credentials={"secretRef": {"name": "git"}, "reclaimPolicy": "Delete"})
    w.in_sync()
    assert "owned-by" not in w.condition("Connected")["message"]
    w.kubectl("delete", "gi", "gi", "--timeout=15s")
    assert w.get("git", "secret") is None


@pytest.mark.parametrize("name", ["../../victim/secrets/prod", "..", "a/b", "x?y", "UPPER", "a%2fb", "a\n"])
def test_a_path_is_no_name_of_a_secret(world: MakeWorld, name: str) -> None:
    w = world(FILES)
    with pytest.raises(RuntimeError, match=r"secretRef\.name"):
        w.integrate(credentials={"secretRef": {"name": name}})


@pytest.mark.parametrize(
    ("api_version", "kind", "words"),
    [
        ("v1", "Secret", "never|can't be synced"),
        ("v1", "ServiceAccount", "never|can't be synced"),
        ("rbac.authorization.k8s.io/v1", "Role", "can't be synced"),
        ("planasonix.com/v1alpha1", "GitIntegrationBase", "own"),
        ("planasonix.com/v1alpha1", "GitOperation", "own"),
        ("../api/v1", "Secret", "apiVersion"),
        ("v1?x=1", "ConfigMap", "apiVersion"),
    ],
)
def test_kinds_that_give_rights_are_not_admitted(world: MakeWorld, api_version: str, kind: str, words: str) -> None:
    w = world(FILES)
    with pytest.raises(RuntimeError, match=words):
        w.integrate(resources=[{"apiVersion": api_version, "kind": kind}])


@pytest.mark.parametrize(("api_version", "kind"), [("v1", "Pod"), ("apps/v1", "Deployment"), ("batch/v1", "CronJob")])
def test_what_runs_code_needs_the_administrators_word(world: MakeWorld, api_version: str, kind: str) -> None:
    w = world(FILES)
    w.secret()
    pipelines = {"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline"}
    w.integrate(resources=[pipelines, {"apiVersion": api_version, "kind": kind}])
    ready = eventually(lambda: (c := w.condition("Ready")).get("reason") == "InvalidSpec" and c)
    assert f"--allowed-workloads={kind}" in ready["message"]
    eventually(lambda: w.names() == {"orders"})  # the other kind is synced all the same


def test_an_api_version_that_is_none_is_told_and_asked_of_nobody(world: MakeWorld) -> None:
    bad = {
        "query": "planasonix.com/v1alpha1?x=1",
        "slash": "planasonix.com/v1alpha1%2Fgitoperations",
        "dots": "../api/v1",
    }
    files = {f"pipelines/{n}.yaml": manifest(n).replace("planasonix.com/v1alpha1", v) for n, v in bad.items()}
    w = world({**FILES, **files})
    w.secret()
    w.integrate()
    told = eventually(lambda: w.status().get("invalid"))
    assert {(entry["path"], entry["reason"]) for entry in told} == {
        (f"pipelines/{name}.yaml", "InvalidVersion") for name in bad
    }
    assert w.names() == {"orders"}
