"""The chart renders what kustomize does, and takes what its values say, no more."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from release import version
from tests.bed.cluster import ROOT
from tests.bed.helm import helm
from tests.unit.test_manifests import Document, rendered

CHART = ROOT / "charts" / "gitintegration"
NAMESPACE = "gitintegration-system"
VERSION = version.read(ROOT)
_KEEP = "helm.sh/resource-policy"
Key = tuple[str, str, str]


@functools.cache
def templated(*values: str, namespace: str = NAMESPACE) -> dict[Key, Document]:
    """What the chart renders with these `--set-json` values. Raises RuntimeError."""
    given = itertools.chain.from_iterable(("--set-json", value) for value in values)
    text = helm("template", "gitintegration", str(CHART), f"--namespace={namespace}", *given)
    return keyed(one for one in yaml.safe_load_all(text) if one)


def keyed(documents: Any) -> dict[Key, Document]:
    found = list(documents)
    made = {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in found}
    assert len(made) == len(found)
    return made


def kustomized(*overlays: str) -> dict[Key, Document]:
    """What kustomize renders, but for the namespace, which helm makes itself."""
    return keyed(one for overlay in overlays for one in rendered(overlay) if one["kind"] != "Namespace")


def files(*names: str) -> dict[Key, Document]:
    """What stands in these files of manifests/."""
    return keyed(one for name in names for one in yaml.safe_load_all((ROOT / "manifests" / name).read_text()))


def without_keep(documents: dict[Key, Document]) -> dict[Key, Document]:
    """The documents, of which the CRDs and the aggregated role were to be kept and are not told so any more."""
    kept = [one for (kind, _, _), one in documents.items() if kind == "CustomResourceDefinition"]
    assert len(kept) == 5
    kept += [one for one in documents.values() if "aggregationRule" in one]
    assert all(one["metadata"]["annotations"][_KEEP] == "keep" for one in kept)
    made = json.loads(json.dumps(list(documents.values())))
    for one in made:
        annotations = one["metadata"].get("annotations", {})
        if annotations.pop(_KEEP, None) and not annotations:
            del one["metadata"]["annotations"]
    return keyed(made)


_MONITORING = ('monitoring={"podMonitor":true,"rules":true,"dashboard":true}',)


@pytest.mark.parametrize(
    ("values", "same"),
    [
        ((), lambda: kustomized(".")),
        (("lockedDown=true",), lambda: kustomized("locked-down")),
        (("gateway.enabled=true",), lambda: kustomized(".", "gateway")),
        (("hooks.enabled=true",), lambda: kustomized(".", "hooks")),
        (_MONITORING, lambda: kustomized(".", "monitoring")),
        (('kinds={"tekton":true,"argoWorkflows":true}',), lambda: kustomized(".") | files("tekton.yaml", "argo-workflows.yaml")),
        (("authors=true",), lambda: kustomized(".", "authors")),
        (("impersonation=true",), lambda: kustomized(".") | files("impersonation.yaml")),
        (("podDisruptionBudget.enabled=false", "networkPolicy.enabled=false", "gateway.enabled=true"), lambda: {
            key: one for key, one in kustomized(".", "gateway").items() if key[0] not in ("PodDisruptionBudget", "NetworkPolicy")
        }),
        (('global={"x":1}', "enabled=true"), lambda: kustomized(".")),
    ],
    ids=["defaults", "locked down", "gateway", "hooks", "monitoring", "kinds", "authors", "impersonation", "less", "shared values"],
)  # fmt: skip
def test_it_renders_what_kustomize_does(values: tuple[str, ...], same: Any) -> None:
    assert without_keep(templated(*values)) == same()


@pytest.mark.parametrize(
    "value",
    [
        'image={"repo":"x"}',
        'operator={"replica":3}',
        'gateway={"ingress":{"hosts":[]}}',
        'shards=[{"nam":"x"}]',
        'shards=[{"name":"X y"}]',
        'operator={"replicas":0}',
        'operator={"args":["--shard a"]}',
        'image={"digest":"sha256:1"}',
        'networkPolicy={"ports":["ssh"]}',
        "lockedDown=1",
        'gateway={"enabled":true,"ingress":{"enabled":true}}',
        'gateway={"enabled":true,"httpRoute":{"enabled":true}}',
    ],
)
def test_a_value_that_is_wrong_inside_is_refused(value: str) -> None:
    with pytest.raises(RuntimeError, match=value.partition("=")[0]):
        templated(value)


def pods(documents: dict[Key, Document]) -> dict[str, Document]:
    return {name: one["spec"]["template"] for (kind, _, name), one in documents.items() if kind == "Deployment"}


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ({}, f"gitintegration:{VERSION}"),
        ({"repository": "reg.example.com:5000/t/gi"}, f"reg.example.com:5000/t/gi:{VERSION}"),
        ({"tag": "x"}, "gitintegration:x"),
        ({"digest": f"sha256:{7:064d}"}, f"gitintegration@sha256:{7:064d}"),
        ({"tag": "x", "digest": f"sha256:{7:064d}"}, f"gitintegration:x@sha256:{7:064d}"),
    ],
)
def test_the_image_has_a_name(image: dict[str, str], name: str) -> None:
    made = pods(templated(f"image={json.dumps(image)}", "gateway.enabled=true"))
    assert {pod["spec"]["containers"][0]["image"] for pod in made.values()} == {name}


def test_each_shard_is_an_operator_whose_pods_are_its_own_and_all_are_guarded() -> None:
    made = templated(
        'shards=[{"name":"eu"},{"name":"us","replicas":3}]', 'operator={"args":["--require-tls"]}', *_MONITORING
    )
    found = pods(made)
    assert found.keys() == {"gitintegration", "gitintegration-shard-eu", "gitintegration-shard-us"}
    args = {name: pod["spec"]["containers"][0]["args"] for name, pod in found.items()}
    assert [a for a in args["gitintegration-shard-eu"] if "shard" in a] == ["--shard=eu"]
    assert [a for a in args["gitintegration"] if "shard" in a] == []
    assert all("--require-tls" in given for given in args.values())
    one_label = "app.kubernetes.io/name"
    for kind in ("Deployment", "PodDisruptionBudget"):
        selectors = {name: one["spec"]["selector"]["matchLabels"] for (k, _, name), one in made.items() if k == kind}
        assert selectors == {name: {one_label: name} for name in found}
    assert {name: pod["metadata"]["labels"][one_label] for name, pod in found.items()} == {name: name for name in found}
    for key in (("NetworkPolicy", "podSelector"), ("PodMonitor", "selector")):
        selector = made[key[0], NAMESPACE, "gitintegration"]["spec"][key[1]]
        assert selector["matchExpressions"] == [{"key": one_label, "operator": "In", "values": sorted(found)}]
    assert made["Deployment", NAMESPACE, "gitintegration-shard-us"]["spec"]["replicas"] == 3


def test_nothing_of_it_is_in_another_namespace_than_the_releases() -> None:
    made = templated(
        "gateway.enabled=true", "hooks.enabled=true", "lockedDown=true", *_MONITORING, namespace="elsewhere"
    )
    spaces = {namespace for _, namespace, _ in made}
    spaces |= {
        subject["namespace"] for one in made.values() for subject in one.get("subjects", ()) if "namespace" in subject
    }
    assert spaces == {"", "elsewhere"}
    assert made.keys() == {
        (kind, "elsewhere" if namespace else "", name)
        for kind, namespace, name in templated(
            "gateway.enabled=true", "hooks.enabled=true", "lockedDown=true", *_MONITORING
        )
    }


def test_crds_are_left_to_others_or_not_kept() -> None:
    kinds = {kind for kind, _, _ in templated("crds.enabled=false")}
    assert "CustomResourceDefinition" not in kinds
    assert "Deployment" in kinds
    crds = [one for (kind, _, _), one in templated("crds.keep=false").items() if kind == "CustomResourceDefinition"]
    assert [one["metadata"].get("annotations") for one in crds] == [None] * 5


def test_the_gateway_is_reached_by_name() -> None:
    ingress = {"enabled": True, "host": "api.example.com", "tlsSecret": "cert", "className": "nginx"}
    route = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["api.example.com"]}
    made = templated(f"gateway={json.dumps({'enabled': True, 'ingress': ingress, 'httpRoute': route})}")
    spec = made["Ingress", NAMESPACE, "gitintegration-gateway"]["spec"]
    assert spec["tls"] == [{"hosts": ["api.example.com"], "secretName": "cert"}]
    assert spec["ingressClassName"] == "nginx"
    assert made["HTTPRoute", NAMESPACE, "gitintegration-gateway"]["spec"]["hostnames"] == ["api.example.com"]


def test_the_receiver_is_reached_by_its_path_alone_and_the_operator_knows_where() -> None:
    ingress = {"enabled": True, "host": "hooks.example.com", "tlsSecret": "cert"}
    route = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["hooks.example.com"]}
    url = "https://hooks.example.com"
    made = templated(f"hooks={json.dumps({'enabled': True, 'url': url, 'ingress': ingress, 'httpRoute': route})}")
    (rule,) = made["Ingress", NAMESPACE, "gitintegration-hooks"]["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/hooks/"]
    (rule,) = made["HTTPRoute", NAMESPACE, "gitintegration-hooks"]["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/hooks/"}}]
    assert f"--hooks-url={url}" in pods(made)["gitintegration"]["spec"]["containers"][0]["args"]


def test_pods_are_placed_and_named_as_wished() -> None:
    wished = {
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "k"}],
        "priorityClassName": "high",
        "podLabels": {"l": "m"},
    }
    more = {"podAnnotations": {"n": "o"}, "resources": {"limits": {"memory": "2Gi"}}, "affinity": {"podAffinity": {}}}
    made = templated(f"operator={json.dumps(wished | more)}", 'image={"pullSecrets":["pull"],"pullPolicy":"Always"}')
    pod = pods(made)["gitintegration"]
    assert pod["metadata"] == {
        "labels": {"app.kubernetes.io/name": "gitintegration", "l": "m"},
        "annotations": {"n": "o"},
    }
    for key in ("nodeSelector", "tolerations", "priorityClassName"):
        assert pod["spec"][key] == wished[key]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    (container,) = pod["spec"]["containers"]
    assert (container["imagePullPolicy"], container["resources"]) == ("Always", more["resources"])


def test_every_value_is_told_in_the_readme_and_the_chart_is_good() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    readme = (CHART / "README.md").read_text()
    assert all(f"| `{name}" in readme for name in schema["properties"])
    assert all(
        line.count("|") == 4 and not line.endswith("| |") for line in readme.splitlines() if line.startswith("| `")
    )
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))
    assert Path(CHART / "templates" / "NOTES.txt").exists()
