"""Kinds of the tests' own: what defines one, and what lets the operator write it."""

from __future__ import annotations

from typing import Any

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
"""A schema that takes any fields."""


def crd(group: str, kind: str, versions: list[str], spec: dict[str, Any], *, status: bool) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "properties": {"spec": spec, "status": OPEN}}
    made = [
        {
            "name": version,
            "served": True,
            "storage": version == versions[-1],
            "schema": {"openAPIV3Schema": schema},
            **({"subresources": {"status": {}}} if status else {}),
        }
        for version in versions
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": made,
        },
    }


def role(name: str, group: str, *plurals: str) -> dict[str, Any]:
    verbs = ["get", "list", "watch", "create", "update", "delete"]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {"planasonix.com/aggregate-to-operator": "true"}},
        "rules": [{"apiGroups": [group], "resources": list(plurals), "verbs": verbs}],
    }
