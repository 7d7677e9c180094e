"""Other kinds as pipelines: keyed lists, several served versions, with and without a status subresource."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.bed.kinds import OPEN, crd, role
from tests.bed.world import API, World, eventually, manifest

MakeWorld = Callable[..., World]

_KEYED = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
_PARAM = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
}
_TASK = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "taskRef": OPEN,
        "retries": {"type": "integer", "default": 0},
        "params": {"type": "array", "items": _PARAM, **_KEYED},
    },
}


class Kinds:
    """Two kinds in a group of the test's own."""

    def __init__(self, w: World) -> None:
        self.w = w
        self.group = f"g{uuid.uuid4().hex[:8]}.example.com"
        tasks = {"type": "array", "items": _TASK, **_KEYED}
        self.tekton_like = crd(
            self.group, "Flow", ["v1beta1", "v1"], {"type": "object", "properties": {"tasks": tasks}}, status=True
        )
        self.argo_like = crd(self.group, "Workflow", ["v1alpha1"], OPEN, status=False)
        self.resources = [
            {"apiVersion": f"{self.group}/v1", "kind": "Flow"},
            {"apiVersion": f"{self.group}/v1alpha1", "kind": "Workflow"},
        ]

    @property
    def fields(self) -> list[dict[str, Any]]:
        """Of Flow's spec, as each version defines them; to be changed."""
        versions = self.tekton_like["spec"]["versions"]
        return [v["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] for v in versions]

    def install(self) -> None:
        self.w.plane.apply(self.tekton_like, self.argo_like)
        self.w.kubectl("wait", "--for=condition=Established", f"crd/flows.{self.group}", "--timeout=30s")

    def allow(self) -> None:
        self.w.plane.apply(role(self.group, self.group, "flows", "workflows"))

    def flow(self, version: str = "v1beta1", retries: str = "") -> str:
        return (
            f"apiVersion: {self.group}/{version}\nkind: Flow\nmetadata:\n  name: build\nspec:\n  tasks:\n"
            f"    - name: fetch  # first\n      taskRef: {{name: git-clone}}\n{retries}"
            "      params:\n        - {name: url, value: a}\n        - {name: depth, value: '1'}\n"
            "    - name: test\n      taskRef: {name: pytest}\n"
        )

    def workflow(self) -> str:
        return (
            f"apiVersion: {self.group}/v1alpha1\nkind: Workflow\nmetadata: {{name: nightly}}\nspec:\n"
            "  entrypoint: main\n  templates:\n    - name: main\n      steps: [[{name: a, template: b}]]\n"
            "    - name: b\n      container: {image: busybox, args: [echo, hi]}\n"
        )

    def get(self, kind: str, name: str) -> Any:
        return self.w.get(name, f"{kind}.{self.group}")


@pytest.fixture
def kinds(world: MakeWorld) -> Kinds:
    made = Kinds(world())
    made.w.secret()
    return made


def test_keyed_lists_merge_in_the_version_that_the_file_names(kinds: Kinds) -> None:
    w = kinds.w
    kinds.install()
    kinds.allow()
    w.repo.commit({"pipelines/flow.yaml": kinds.flow(), "pipelines/nightly.yaml": kinds.workflow()})
    w.integrate(resources=kinds.resources)
    assert w.in_sync()["pipelineCount"] == 2
    assert kinds.get("flows", "build")["spec"]["tasks"][0]["retries"] == 0  # defaulted, and no change to git
    assert w.repo.count() == 1
    w.by_hand(resources=kinds.resources)
    plural = f"flows.{kinds.group}"
    patch = '[{"op": "replace", "path": "/spec/tasks/0/params/0/value", "value": "b"}]'
    w.kubectl("patch", plural, "build", "--type=json", "-p", patch)
    w.repo.commit({"pipelines/flow.yaml": kinds.flow(retries="      retries: 3\n")})
    w.integrate(resources=kinds.resources)
    w.in_sync()
    live = kinds.get("flows", "build")["spec"]["tasks"][0]
    assert (live["retries"], live["params"][0]["value"]) == (3, "b")
    assert w.repo.read("pipelines/flow.yaml") == kinds.flow(retries="      retries: 3\n").replace(
        "value: a", "value: b"
    )
    patch = '[{"op": "add", "path": "/spec/templates/1/container/args/1", "value": "there"}]'
    w.kubectl("patch", f"workflows.{kinds.group}", "nightly", "--type=json", "-p", patch)
    wanted = kinds.workflow().replace("[echo, hi]", "[echo, there, hi]")
    eventually(lambda: w.repo.read("pipelines/nightly.yaml") == wanted)


def test_new_ones_go_into_folders_by_kind_and_status_stays_at_home(kinds: Kinds) -> None:
    w = kinds.w
    kinds.install()
    kinds.allow()
    w.integrate(resources=kinds.resources)
    w.in_sync()
    w.apply(
        {
            "apiVersion": f"{kinds.group}/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": "hello", "finalizers": ["example.com/hold"]},
            "spec": {"entrypoint": "x"},
            "status": {"phase": "Running"},
        }
    )
    text = eventually(lambda: w.repo.read("pipelines/workflow/hello.yaml"))
    assert "status" not in text
    assert "finalizers" not in text
    w.kubectl("patch", f"workflows.{kinds.group}", "hello", "--type=merge", "-p", '{"status": {"phase": "Done"}}')
    w.sync_now()
    assert w.repo.count() == 1
    w.repo.commit({"pipelines/workflow/hello.yaml": text.replace("entrypoint: x", "entrypoint: other")})
    w.in_sync()
    live = kinds.get("workflows", "hello")
    assert (live["spec"]["entrypoint"], live["status"], live["metadata"]["finalizers"]) == (
        "other",
        {"phase": "Done"},
        ["example.com/hold"],
    )
    w.kubectl("patch", f"workflows.{kinds.group}", "hello", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')


def test_a_kind_that_comes_late_or_is_forbidden_is_told_and_the_others_are_synced(kinds: Kinds) -> None:
    w = kinds.w
    w.repo.commit({"pipelines/flow.yaml": kinds.flow(), "pipelines/orders.yaml": manifest("orders")})
    w.integrate(resources=[{"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline"}, kinds.resources[0]])
    ready = eventually(lambda: (c := w.condition("Ready")).get("reason") == "InvalidSpec" and c)
    assert "install its CRD" in ready["message"]
    eventually(lambda: w.names() == {"orders"})
    kinds.install()
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == "Forbidden" and c, 40)
    assert "flows" in ready["message"]
    kinds.allow()
    eventually(lambda: kinds.get("flows", "build"), 40)
    eventually(lambda: w.status().get("inSync"), 40)


def both(kinds: Kinds, **spec: Any) -> World:
    """Two kinds, one of each, in sync."""
    w = kinds.w
    kinds.install()
    kinds.allow()
    w.repo.commit({"pipelines/flow.yaml": kinds.flow(), "pipelines/nightly.yaml": kinds.workflow()})
    w.integrate(resources=kinds.resources, **spec)
    w.in_sync()
    return w


def unavailable(w: World) -> str:
    """Waits until it is told that a kind can't be read; the words."""
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == "KindUnavailable" and c, 30)
    assert ready["status"] == "False"
    return str(ready["message"])


@pytest.mark.parametrize("told", [True, False])
def test_a_crd_that_is_removed_and_comes_back_deletes_nothing_in_git(kinds: Kinds, told: bool) -> None:
    w = both(kinds)
    head = w.repo.head()
    w.kubectl("delete", f"crd/workflows.{kinds.group}", "--timeout=30s")
    if told:
        eventually(lambda: "install its CRD" in unavailable(w), 40)  # it is told to be going before it is gone
        patch = '[{"op": "replace", "path": "/spec/tasks/0/params/0/value", "value": "b"}]'
        w.kubectl("patch", f"flows.{kinds.group}", "build", "--type=json", "-p", patch)
        eventually(lambda: "value: b" in (w.repo.read("pipelines/flow.yaml") or ""))
    kinds.install()
    eventually(lambda: kinds.get("workflows", "nightly"), 40)
    eventually(lambda: w.sync_now().get("inSync"), 40)
    assert w.repo.read("pipelines/nightly.yaml") == kinds.workflow()
    assert told or w.repo.head() == head


def test_a_version_that_is_no_longer_served_deletes_nothing_in_git(kinds: Kinds) -> None:
    w = both(kinds, sync={"interval": "1h"})
    w.repo.commit({f"pipelines/{n}.yaml": kinds.flow().replace("name: build", f"name: {n}") for n in "abcde"})
    w.in_sync()
    count = w.repo.count()
    kinds.tekton_like["spec"]["versions"][0]["served"] = False
    kinds.install()
    patch = '[{"op": "add", "path": "/spec/tasks/0/retries", "value": 7}]'
    flows = f"flows.v1.{kinds.group}"
    w.kubectl("patch", flows, "a", "--type=json", "-p", patch)
    words = unavailable(w)
    assert f"{kinds.group}/v1beta1" in words
    assert "serve that version again" in words
    assert w.repo.count() == count
    assert w.sync_now()["localAheadCount"] == 1
    assert "invalid" not in w.status() or not w.status()["invalid"]
    kinds.tekton_like["spec"]["versions"][0]["served"] = True
    kinds.install()
    eventually(lambda: w.sync_now().get("inSync"), 40)
    assert "retries: 7" in (w.repo.read("pipelines/a.yaml") or "")
    assert set(w.repo.files()) >= {f"pipelines/{n}.yaml" for n in "abcde"}


def test_a_kind_whose_conversion_webhook_is_down_waits_alone(kinds: Kinds) -> None:
    w = both(kinds)
    kinds.tekton_like["spec"]["conversion"] = {
        "strategy": "Webhook",
        "webhook": {
            "conversionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://127.0.0.1:9/convert"},
        },
    }
    kinds.install()
    patch = '[{"op": "add", "path": "/spec/tasks/0/retries", "value": 7}]'
    w.kubectl("patch", f"flows.v1.{kinds.group}", "build", "--type=json", "-p", patch)
    words = unavailable(w)
    assert "conversion webhook" in words
    assert "Flow" in words
    patch = '[{"op": "replace", "path": "/spec/entrypoint", "value": "other"}]'
    w.kubectl("patch", f"workflows.{kinds.group}", "nightly", "--type=json", "-p", patch)
    eventually(lambda: "entrypoint: other" in (w.repo.read("pipelines/nightly.yaml") or ""))
    assert w.repo.read("pipelines/flow.yaml") == kinds.flow()
    kinds.tekton_like["spec"]["conversion"] = {"strategy": "None"}
    kinds.install()
    eventually(lambda: w.sync_now().get("inSync"), 40)
    assert "retries: 7" in (w.repo.read("pipelines/flow.yaml") or "")


@pytest.mark.parametrize("what", ["field leaves", "default comes"])
def test_a_schema_that_becomes_another_writes_nothing_to_git(kinds: Kinds, what: str) -> None:
    w = kinds.w
    for each in (fields := kinds.fields):
        each["grace"] = {"type": "string"}
    kinds.install()
    kinds.allow()
    text = kinds.flow() + "  grace: 5m  # as agreed\n"
    w.repo.commit({"pipelines/flow.yaml": text})
    w.integrate(resources=kinds.resources[:1])
    w.in_sync()
    for each in fields:
        if what == "field leaves":
            each.pop("grace", None)
        else:
            each["tier"] = {"type": "string", "default": "basic"}
    kinds.install()
    tier = "basic" if what == "default comes" else None
    eventually(lambda: kinds.get("flows", "build")["spec"].get("tier") == tier)
    eventually(lambda: ("grace" in kinds.get("flows", "build")["spec"]) == (what == "default comes"))
    patch = '[{"op": "replace", "path": "/spec/tasks/0/params/0/value", "value": "b"}]'
    w.kubectl("patch", f"flows.{kinds.group}", "build", "--type=json", "-p", patch)
    wanted = text.replace("value: a", "value: b")
    eventually(lambda: w.repo.read("pipelines/flow.yaml") == wanted)
    w.in_sync()
    assert w.repo.read("pipelines/flow.yaml") == wanted
    assert w.repo.count() == 2


def test_a_field_that_the_schema_knows_again_comes_from_git(kinds: Kinds) -> None:
    """While it was unknown the server dropped it, and nobody took it away."""
    w = kinds.w
    for each in (fields := kinds.fields):
        each["grace"] = {"type": "string"}
    kinds.install()
    kinds.allow()
    text = kinds.flow() + "  grace: 5m  # as agreed\n"
    w.repo.commit({"pipelines/flow.yaml": text})
    w.integrate(resources=kinds.resources[:1])
    w.in_sync()
    for each in fields:
        each.pop("grace", None)
    kinds.install()
    eventually(lambda: "grace" not in kinds.get("flows", "build")["spec"])
    text = text.replace("value: a", "value: b")
    w.repo.commit({"pipelines/flow.yaml": text})
    eventually(lambda: kinds.get("flows", "build")["spec"]["tasks"][0]["params"][0]["value"] == "b")
    w.in_sync()
    for each in fields:
        each["grace"] = {"type": "string"}
    kinds.install()
    eventually(lambda: kinds.get("flows", "build")["spec"].get("grace") == "5m", 60)
    w.in_sync()
    assert w.repo.read("pipelines/flow.yaml") == text
    assert w.repo.count() == 2


def test_an_aggregated_api_that_is_down_waits_alone(kinds: Kinds) -> None:
    """The route of a group leads to a server that is not there, then back."""
    w = both(kinds)
    w.repo.commit({"pipelines/orders.yaml": manifest("orders")})
    w.integrate(resources=[{"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline"}, *kinds.resources])
    w.in_sync()
    service = f"v1alpha1.{kinds.group}"
    gone = {"service": {"namespace": "default", "name": "nothing"}, "insecureSkipTLSVerify": True}
    label = {"kube-aggregator.kubernetes.io/automanaged": None}
    w.kubectl(
        "patch", "apiservice", service, "--type=merge", "-p", json.dumps({"metadata": {"labels": label}, "spec": gone})
    )
    eventually(lambda: "error" in w.kubectl("get", "--raw", f"/apis/{kinds.group}/v1alpha1", check=False).lower())
    edited = kinds.workflow().replace("entrypoint: main", "entrypoint: other")
    w.repo.commit({"pipelines/nightly.yaml": edited})
    assert "Workflow" in unavailable(w)
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster"))
    w.kubectl("delete", "apiservice", service)
    eventually(lambda: w.sync_now().get("inSync"), 60)
    assert w.repo.read("pipelines/nightly.yaml") == edited
    assert kinds.get("workflows", "nightly")["spec"]["entrypoint"] == "other"


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        ({"apiVersion": "v1", "kind": "Node"}, "cluster-scoped"),
        ({"apiVersion": "nothing.example.com/v1", "kind": "Nothing"}, "does not serve Nothing"),
    ],
)
def test_kinds_that_can_be_no_pipelines(world: MakeWorld, resource: dict[str, str], words: str) -> None:
    w = world()
    w.secret()
    w.integrate(resources=[resource])
    ready = eventually(lambda: (c := w.condition("Ready")).get("reason") == "InvalidSpec" and c)
    assert words in ready["message"]


def test_somebodys_output_is_no_pipeline(world: MakeWorld) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    w.integrate()
    w.in_sync()
    owner = w.get("orders")
    assert owner
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": "Pipeline",
        "name": "orders",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    w.apply(
        {
            "apiVersion": owner["apiVersion"],
            "kind": "Pipeline",
            "metadata": {"name": "made-by-orders", "ownerReferences": [reference]},
            "spec": {},
        }
    )
    w.sync_now()
    assert w.status()["pipelineCount"] == 1
    assert w.repo.count() == 1


def is_told(w: World, name: str, reason: str, words: str) -> bool:
    ready = w.condition("Ready", name)
    return ready["reason"] == reason and words in ready["message"]


def test_a_pipeline_belongs_to_one_of_two_integrations(world: MakeWorld) -> None:
    """By its object's label: it is handed over where that moves, and told on both where both claim it."""
    labelled = manifest("orders").replace("  name: orders\n", "  name: orders\n  labels: {team: a}\n")
    w = world({"pipelines/orders.yaml": labelled})
    w.secret()
    for name in ("a", "b"):
        kind = {"apiVersion": API, "kind": "Pipeline", "labelSelector": {"matchLabels": {"team": name}}}
        w.integrate(name, pathPrefix="pipelines/" if name == "a" else "other/", resources=[kind])
    w.in_sync("a")
    w.in_sync("b")
    made = w.get("orders")
    assert made
    w.kubectl("label", "pl", "orders", "team=b", "--overwrite")
    eventually(lambda: w.repo.files() == ["other/orders.yaml"])
    assert w.in_sync("a")["pipelineCount"] == 0
    assert w.in_sync("b")["pipelineCount"] == 1
    assert w.get("orders")["metadata"]["uid"] == made["metadata"]["uid"]  # type: ignore[index]
    kind = {"apiVersion": API, "kind": "Pipeline", "labelSelector": {"matchLabels": {"tier": "gold"}}}
    w.integrate("a", resources=[kind])
    w.in_sync("a")
    w.kubectl("label", "pl", "orders", "tier=gold")
    for name, other in ("a", "b"), ("b", "a"):
        words = f"GitIntegration '{other}' claims Pipeline/orders as well"
        eventually(partial(is_told, w, name, "Overlap", words))
    count = w.repo.count()
    w.patch("orders", {"owner": "cluster"})
    w.sync_now("a")
    w.sync_now("b")
    assert w.repo.count() == count
    w.kubectl("label", "pl", "orders", "team-")
    eventually(lambda: w.repo.files() == ["pipelines/orders.yaml"])
    assert "owner: cluster" in (w.repo.read("pipelines/orders.yaml") or "")
    w.in_sync("b")


def test_two_integrations_that_claim_one_kind(world: MakeWorld) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    w.integrate("first")
    eventually(lambda: w.status("first").get("inSync"))
    w.integrate("second", pathPrefix="other/")
    for name, other in ("first", "second"), ("second", "first"):
        words = f"Pipeline is claimed by GitIntegration '{other}' as well"
        eventually(partial(is_told, w, name, "Overlap", words))
    w.patch("orders", {"owner": "cluster"})
    w.repo.commit({"pipelines/new.yaml": manifest("new")})
    count = w.repo.count()
    w.sync_now("first")
    w.sync_now("second")
    assert w.repo.count() == count
    assert w.names() == {"orders"}
    w.kubectl("patch", "gi", "second", "--type=merge", "-p", '{"spec":{"enabled":false}}')
    w.in_sync("first")
    assert "owner: cluster" in (w.repo.read("pipelines/orders.yaml") or "")
    assert w.names() == {"orders", "new"}
    w.kubectl("patch", "gi", "second", "--type=merge", "-p", '{"spec":{"enabled":true}}')
    eventually(partial(is_told, w, "first", "Overlap", "'second'"))
    w.kubectl("delete", "gi", "first", "--timeout=15s")
    eventually(lambda: w.repo.read("other/orders.yaml"), 30)
