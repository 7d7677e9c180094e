"""The chart's values: their names, types, defaults and words stand here, and nowhere else. `make generate` writes from it
values.yaml, values.schema.json and the table of the README, and copies the manifests that the chart takes as they are. The chart's
version is that of the package, in pyproject.toml.

    values.py [--check]
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

_ROOT = Path(__file__).parents[1]
_CHART = Path("charts") / "gitintegration"
_TAKEN = {
    **{f"crds/{path.name}": path.relative_to(_ROOT) for path in sorted((_ROOT / "crds").glob("planasonix*"))},
    "rbac.yaml": Path("manifests/base/rbac.yaml"),
    "users.yaml": Path("manifests/base/users.yaml"),
    "policy.yaml": Path("manifests/base/policy.yaml"),
    "gateway-rbac.yaml": Path("manifests/gateway/rbac.yaml"),
    "hooks-rbac.yaml": Path("manifests/hooks/rbac.yaml"),
    "hooks-ring.yaml": Path("manifests/hooks/ring.yaml"),
    "tenant.yaml": Path("manifests/locked-down/tenant.yaml"),
    "authors.yaml": Path("manifests/authors/policy.yaml"),
    "authors-rbac.yaml": Path("manifests/authors/rbac.yaml"),
    "impersonation.yaml": Path("manifests/impersonation.yaml"),
    "tekton.yaml": Path("manifests/tekton.yaml"),
    "argo-workflows.yaml": Path("manifests/argo-workflows.yaml"),
    "rules.yaml": Path("manifests/monitoring/rules.yaml"),
    "dashboard.json": Path("manifests/monitoring/dashboard.json"),
}
"""What the chart takes as it is but for the namespace."""

Text = Annotated[str, Field(pattern=r"^\S+$")]
Free = dict[str, Any]


class Group(BaseModel):
    """Strict inside: a name that is mistyped is refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Crds(Group):
    enabled: bool = True
    """Install and upgrade the CustomResourceDefinitions."""
    keep: bool = True
    """Leave them, and so every GitIntegration and Pipeline, when the release is uninstalled."""


def _image() -> dict[str, str]:
    """The image's name as kustomize has it: newName, and newTag and digest where it gives them."""
    found: dict[str, str] = yaml.safe_load((_ROOT / "manifests/image/kustomization.yaml").read_text())["images"][0]
    return found


def _version() -> str:
    found: str = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


class Image(Group):
    repository: str = _image()["newName"]
    """Name, with its registry."""
    tag: str = "" if _image().get("newTag") == _version() else _image().get("newTag", "")
    """Tag. Empty: the chart's appVersion, or none where there is a digest."""
    digest: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")] = _image().get("digest", "")
    """Digest: exactly this image is run."""
    pullPolicy: Annotated[str, Field(pattern=r"^(Always|IfNotPresent|Never)?$")] = ""
    """Always, IfNotPresent or Never. Empty: the cluster's default."""
    pullSecrets: list[Text] = []
    """Secrets of the namespace with credentials for the registry."""


class Pod(Group):
    replicas: Annotated[int, Field(ge=1)] = 2
    """Of the operator one works, by its Lease, and the others stand by; of the gateway and of the receiver all serve."""
    args: list[Text] = []
    """More flags, as `gitintegration run --help`, `serve --help` and `hooks --help` tell."""
    resources: Free = {}
    """Requests and limits, in place of the defaults."""
    nodeSelector: dict[str, str] = {}
    """Labels of nodes to run on."""
    tolerations: list[Free] = []
    """Taints to run in spite of."""
    affinity: Free = {}
    """Affinity of the Pods."""
    priorityClassName: str = ""
    """PriorityClass of the Pods."""
    podAnnotations: dict[str, str] = {}
    """Annotations of the Pods."""
    podLabels: dict[str, str] = {}
    """Labels of the Pods, besides those that select them."""


class Operator(Pod):
    cacheVolume: Annotated[str, Field(pattern=r"^[0-9]+(Mi|Gi)$")] = "4Gi"
    """Size of the volume for what was fetched: --cache-size (2 GiB) and 1.75 GiB that may be on their way."""


class Shard(Group):
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$")]
    """Its key: integrations labelled planasonix.com/shard with it are its own."""
    replicas: Annotated[int, Field(ge=1)] = 2
    """Of this shard."""


class Ingress(Group):
    enabled: bool = False
    """An Ingress to the gateway; it must end TLS."""
    className: str = ""
    """IngressClass."""
    annotations: dict[str, str] = {}
    """Annotations of it."""
    host: str = ""
    """Name that the API is reached by."""
    tlsSecret: str = ""
    """Secret with the certificate."""


class HttpRoute(Group):
    enabled: bool = False
    """An HTTPRoute (Gateway API) to the gateway."""
    parentRefs: list[Free] = []
    """Gateways that it belongs to."""
    hostnames: list[Text] = []
    """Names that the API is reached by."""


class Gateway(Pod):
    enabled: bool = False
    """Install the REST API."""
    ingress: Ingress = Ingress()
    httpRoute: HttpRoute = HttpRoute()


class HooksIngress(Group):
    enabled: bool = False
    """An Ingress to the receiver, for /hooks/ alone; it must end TLS."""
    className: str = ""
    """IngressClass."""
    annotations: dict[str, str] = {}
    """Annotations of it."""
    host: str = ""
    """Name that forges reach it by."""
    tlsSecret: str = ""
    """Secret with the certificate."""


class HooksRoute(Group):
    enabled: bool = False
    """An HTTPRoute (Gateway API) to the receiver, for /hooks/ alone."""
    parentRefs: list[Free] = []
    """Gateways that it belongs to."""
    hostnames: list[Text] = []
    """Names that forges reach it by."""


class Hooks(Pod):
    enabled: bool = False
    """Install the receiver of webhooks."""
    url: Annotated[str, Field(pattern=r"^(https?://[^?#@ ]+)?$")] = ""
    """Where forges reach it, https://hooks.example.com say: hooks are registered with it (--hooks-url)."""
    ingress: HooksIngress = HooksIngress()
    httpRoute: HooksRoute = HooksRoute()


class Kinds(Group):
    tekton: bool = False
    """The operator may write Tekton's pipelines and tasks."""
    argoWorkflows: bool = False
    """The operator may write Argo Workflows' templates."""


class Monitoring(Group):
    podMonitor: bool = False
    """PodMonitors of operator and receiver, for the Prometheus operator."""
    rules: bool = False
    """Alert rules, for the Prometheus operator."""
    dashboard: bool = False
    """A ConfigMap with a dashboard, for Grafana's sidecar."""
    labels: dict[str, str] = {}
    """Labels of PodMonitors and rules, as your Prometheus selects them."""


class Budget(Group):
    enabled: bool = True
    """A drain takes one replica at a time."""


class NetworkPolicy(Group):
    enabled: bool = True
    """In: metrics, the REST API and webhooks, for namespaces that are labelled for it. Out: names, the ports below, no metadata service."""
    ports: list[Annotated[int, Field(ge=1, le=65535)]] = [22, 80, 443, 6443]
    """Ports of git servers, forges, proxies and the API server."""


class Values(BaseModel):
    """Open at the root: `global` and what a parent chart shares are nobody's mistake."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)
    crds: Crds = Crds()
    image: Image = Image()
    operator: Operator = Operator()
    shards: list[Shard] = []
    """Operators besides, each for the integrations of its shard; with the settings of the first."""
    lockedDown: bool = False
    """For tenants that don't trust each other: what manifests/locked-down is (SECURITY.md)."""
    authors: bool = False
    """Edits of pipelines bear the name of who made them, for commits with an author; Kubernetes 1.36."""
    impersonation: bool = False
    """The operator may act as the ServiceAccounts that integrations name."""
    gateway: Gateway = Gateway()
    hooks: Hooks = Hooks()
    kinds: Kinds = Kinds()
    monitoring: Monitoring = Monitoring()
    podDisruptionBudget: Budget = Budget()
    networkPolicy: NetworkPolicy = NetworkPolicy()


def _fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any, str]]:
    """Path, default and words of each value, groups unfolded."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from _fields(type(field.default), f"{path}{name}.")
        else:
            yield f"{path}{name}", field.default, field.description or ""


def _yaml(model: type[BaseModel], indent: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield f"{indent}{name}:"
            yield from _yaml(type(field.default), f"{indent}  ")
        else:
            yield f"{indent}# {field.description}"
            yield f"{indent}{name}: {json.dumps(field.default)}"


def _readme() -> str:
    head = (_ROOT / _CHART / "README.md").read_text().partition("## Values")[0]
    rows = [f"| `{path}` | `{json.dumps(default)}` | {words} |" for path, default, words in _fields(Values)]
    rows += [f"| `shards[].{path}` | | {words} |" for path, _, words in _fields(Shard)]
    return head + "\n".join(["## Values", "", "| value | default | |", "| --- | --- | --- |", *rows, ""])


def _chart() -> str:
    text = (_ROOT / _CHART / "Chart.yaml").read_text()
    return re.sub(r"^(version|appVersion): .*$", rf"\1: {_version()}", text, flags=re.MULTILINE)


def made() -> dict[Path, str]:
    """Path -> text of all that is generated."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Values.model_json_schema()}
    note = "Generated from charts/values.py by `make generate`; do not edit."
    found = {
        _CHART / "Chart.yaml": _chart(),
        _CHART / "values.schema.json": json.dumps(schema, indent=2) + "\n",
        _CHART / "values.yaml": "\n".join([f"# {note}", *_yaml(Values), ""]),
        _CHART / "README.md": _readme(),
    }
    return found | {_CHART / "files" / name: (_ROOT / source).read_text() for name, source in _TAKEN.items()}


def main() -> int:
    """Writes the files; with --check, only tells which differ and fails."""
    check, texts = "--check" in sys.argv[1:], made()
    assert yaml.safe_load(texts[_CHART / "values.yaml"]) == Values().model_dump()
    there = {path.relative_to(_ROOT) for path in (_ROOT / _CHART / "files").rglob("*") if path.is_file()}
    stale = [path for path, text in texts.items() if not (_ROOT / path).exists() or (_ROOT / path).read_text() != text]
    stale += sorted(there - texts.keys())
    for path in stale:
        print(f"{path} is not what charts/values.py says; run make generate" if check else f"wrote {path}")
    if not check:
        shutil.rmtree(_ROOT / _CHART / "files", ignore_errors=True)
        for path, text in texts.items():
            (_ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (_ROOT / path).write_text(text)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
