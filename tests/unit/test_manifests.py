"""What the manifests promise, as kustomize renders them."""

from __future__ import annotations

import functools
import ipaddress
import subprocess
from typing import Any

import pytest
import yaml

from gitintegration.core.hooks import RINGS
from gitintegration.settings import Settings
from tests.bed.cluster import ROOT, kubectl_program

Document = dict[str, Any]
METADATA = ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")
OVERLAYS = (".", "locked-down", "gateway", "hooks")


@functools.cache
def rendered(overlay: str) -> tuple[Document, ...]:
    command = [kubectl_program(), "kustomize", str(ROOT / "manifests" / overlay)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(yaml.safe_load_all(text))


def of(overlay: str, kind: str) -> dict[str, Document]:
    return {one["metadata"]["name"]: one for one in rendered(overlay) if one["kind"] == kind}


def test_the_operator_dials_no_metadata_service() -> None:
    rules = of(".", "NetworkPolicy")["gitintegration"]["spec"]["egress"]
    open_ports = {port["port"] for rule in rules if "to" not in rule for port in rule["ports"]}
    assert open_ports == {53}
    blocks = [peer["ipBlock"] for rule in rules for peer in rule.get("to", ())]

    def lets(address: str) -> bool:
        found = ipaddress.ip_address(address)
        return any(
            found in ipaddress.ip_network(block["cidr"])
            and not any(found in ipaddress.ip_network(net) for net in block["except"])
            for block in blocks
        )

    assert [address for address in METADATA if lets(address)] == []
    assert all(lets(address) for address in ("140.82.112.3", "10.0.0.1", "192.168.1.1", "2606:50c0::1"))
    for block in blocks:
        assert all(":" not in net or "." not in net for net in block["except"])
        assert all((":" in net) == (":" in block["cidr"]) for net in block["except"])


def test_only_who_is_labelled_reaches_the_operator() -> None:
    (rule,) = of(".", "NetworkPolicy")["gitintegration"]["spec"]["ingress"]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"planasonix.com/metrics-client": "true"}
    assert [port["port"] for port in rule["ports"]] == ["probes"]


def rights(overlay: str, account: str) -> set[tuple[str, str, str]]:
    """Group, resource and verb that a ServiceAccount is bound to in all namespaces."""
    roles = of(overlay, "ClusterRole")
    found = set()
    for binding in of(overlay, "ClusterRoleBinding").values():
        if account in [subject["name"] for subject in binding["subjects"]]:
            role = roles[binding["roleRef"]["name"]]
            selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors", [])
            labels = [tuple(s["matchLabels"].items()) for s in selectors]
            parts = [role, *(r for r in roles.values() if any(set(s) <= set(_labels(r)) for s in labels))]
            rules = [rule for part in parts for rule in part.get("rules") or ()]
            found |= {
                (g, r, v) for rule in rules for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]
            }
    return found


def _labels(role: Document) -> list[tuple[str, str]]:
    return list((role["metadata"].get("labels") or {}).items())


def test_the_operator_holds_no_right_that_it_does_not_use() -> None:
    held = rights(".", "gitintegration")
    assert {(r, v) for g, r, v in held if g == ""} == {
        ("secrets", "get"), ("secrets", "list"), ("secrets", "watch"), ("secrets", "delete"), ("events", "create"),
        ("namespaces", "get"), ("configmaps", "get"),
    }  # fmt: skip
    assert {(r, v) for g, r, v in held if g == "apiextensions.k8s.io"} == {("customresourcedefinitions", "get")}
    assert {g for g, _, _ in held} == {"", "apiextensions.k8s.io", "planasonix.com"}
    assert {v for _, r, v in held if r == "gitintegrations"} == {"get", "list", "watch", "patch"}
    assert {v for _, r, v in held if r.endswith("/status")} == {"patch"}
    assert not {("*", "*", "*")} & held


def test_locked_down_it_holds_none_to_pipelines_or_secrets() -> None:
    held = rights("locked-down", "gitintegration")
    assert ("planasonix.com", "gitintegrations", "watch") in held
    assert not {r for _, r, _ in held} & {"pipelines", "secrets", "configmaps", "serviceaccounts", "*"}
    (operator,) = of("locked-down", "Deployment")["gitintegration"]["spec"]["template"]["spec"]["containers"]
    assert {"--default-service-account=default", "--require-tls", "--require-allowed-hosts"} <= set(operator["args"])


def test_the_receiver_may_mark_integrations_and_read_the_keys_beside_it() -> None:
    assert rights("hooks", "gitintegration-hooks") == {
        ("planasonix.com", "gitintegrations", v) for v in ("list", "watch", "patch")
    }
    roles = {name: role["rules"] for name, role in of("hooks", "Role").items()}
    ring = sorted(of("hooks", "Secret"))
    assert ring == sorted(RINGS)
    bound = {b["metadata"]["name"]: b["subjects"][0]["name"] for b in of("hooks", "RoleBinding").values()}
    assert bound == {"gitintegration-hooks": "gitintegration-hooks", "gitintegration-hooks-ring": "gitintegration"}
    for name, verb in (("gitintegration-hooks", "get"), ("gitintegration-hooks-ring", "patch")):
        assert roles[name] == [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ring, "verbs": [verb]}]
    assert all(secret.keys() == {"apiVersion", "kind", "metadata"} for secret in of("hooks", "Secret").values())
    (policy,) = of("hooks", "NetworkPolicy").values()
    assert [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["ingress"]] == [["http"], ["probes"]]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_have_no_more_than_they_need(overlay: str) -> None:
    deployments = of(overlay, "Deployment")
    assert deployments
    for deployment in deployments.values():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def deployments() -> list[tuple[str, Document, Document]]:
    """Overlay, Deployment and the Pod that it makes, of all."""
    found = [(overlay, one) for overlay in OVERLAYS for one in of(overlay, "Deployment").values()]
    return [(overlay, one, one["spec"]["template"]) for overlay, one in found]


def test_no_service_of_the_namespace_sets_our_settings() -> None:
    assert [pod["spec"].get("enableServiceLinks") for _, _, pod in deployments()] == [False] * len(OVERLAYS)


def test_a_drain_leaves_a_replica() -> None:
    for overlay, deployment, pod in deployments():
        labels = pod["metadata"]["labels"]
        (budget,) = [
            one["spec"]
            for one in of(overlay, "PodDisruptionBudget").values()
            if one["spec"]["selector"]["matchLabels"].items() <= labels.items()
        ]
        assert deployment["spec"]["replicas"] > budget["maxUnavailable"] == 1
        (spread,) = pod["spec"]["topologySpreadConstraints"]
        assert spread["labelSelector"]["matchLabels"].items() <= labels.items()
        assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")


def test_a_slow_start_is_waited_for_and_a_hang_later_is_not() -> None:
    for _, _, pod in deployments():
        (container,) = pod["spec"]["containers"]
        start, live = container["startupProbe"], container["livenessProbe"]
        assert start["httpGet"] == live["httpGet"]
        assert start["failureThreshold"] * start["periodSeconds"] >= 120
        assert live.get("failureThreshold", 3) * live["periodSeconds"] <= 30


_BYTES = {"Gi": 1 << 30, "Mi": 1 << 20}


def quantity(text: str) -> int:
    return int(text[:-2]) * _BYTES[text[-2:]]


def test_what_a_pod_may_use_at_most_need_not_be_free_on_its_node() -> None:
    """A limit without a request is one: a rollout, of one Pod more, found no room on a small disk."""
    for _, _, pod in deployments():
        for container in pod["spec"]["containers"]:
            limits, requests = (container["resources"][what] for what in ("limits", "requests"))
            assert requests.keys() >= limits.keys()
            for what, limit in limits.items():
                assert quantity(requests[what]) <= quantity(limit) / 2


@pytest.mark.parametrize("overlay", [".", "locked-down"])
def test_the_cache_stays_below_the_size_at_which_a_pod_is_evicted(overlay: str) -> None:
    pod = of(overlay, "Deployment")["gitintegration"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert not [argument for argument in container["args"] if argument.startswith("--cache-size")]
    volumes = {one["name"]: quantity(one["emptyDir"]["sizeLimit"]) for one in pod["volumes"]}
    on_its_way = (1 << 30) + (768 << 20)  # as --cache-size says
    assert Settings().cache_size + on_its_way <= volumes["cache"]
    assert sum(volumes.values()) < quantity(container["resources"]["limits"]["ephemeral-storage"])


def test_a_callers_role_reads_one_secret_at_most() -> None:
    """A right to patch or delete a Secret reads it as well."""
    role = of("gateway", "ClusterRole")["gitintegration-api-user"]
    of_secrets = [rule for rule in role["rules"] if "secrets" in rule["resources"]]
    for rule in of_secrets:
        assert rule["verbs"] == ["create"] or rule.get("resourceNames") == ["default-git-credentials"]
    assert of_secrets


@pytest.mark.parametrize("overlay", [".", "locked-down"])
def test_each_policy_is_bound_and_denies(overlay: str) -> None:
    policies, bindings = of(overlay, "ValidatingAdmissionPolicy"), of(overlay, "ValidatingAdmissionPolicyBinding")
    assert policies.keys() == bindings.keys() == {b["spec"]["policyName"] for b in bindings.values()}
    assert "gitintegration-secrets" in policies
    for name, policy in policies.items():
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert bindings[name]["spec"]["validationActions"] == ["Deny"]
        checks = sum(v["expression"].count(".check(") for v in policy["spec"]["validations"])
        assert checks * 350_000 < 10_000_000, name  # what the API server lets a policy cost
        assert all(v["expression"].count(".check(") <= 2 for v in policy["spec"]["validations"])


def test_the_clusters_own_view_and_edit_come_to_hold_our_kinds() -> None:
    roles = {n: r for n, r in of(".", "ClusterRole").items() if n in ("gitintegration-view", "gitintegration-edit")}
    to = "rbac.authorization.k8s.io/aggregate-to-"
    assert {name: {label.removeprefix(to) for label in r["metadata"]["labels"]} for name, r in roles.items()} == {
        "gitintegration-view": {"view", "edit", "admin"},
        "gitintegration-edit": {"edit", "admin"},
    }
    ours = {"gitintegrations", "gitoperations", "pipelines"}
    held = {name: {r for rule in role["rules"] for r in rule["resources"]} for name, role in roles.items()}
    assert held == {"gitintegration-view": ours, "gitintegration-edit": ours | {"gitoperationplans"}}
