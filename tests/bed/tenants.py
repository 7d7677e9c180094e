"""People and tools with rights of their own: a ServiceAccount, what it may, and kubectl with its token."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.bed.world import API, World, eventually

_RBAC = "rbac.authorization.k8s.io/v1"
OURS = ("gitintegrations", "gitoperations", "pipelines")
WRITE = ("create", "update", "patch", "delete")
ALL = ("get", "list", "watch", *WRITE)


class Tenant:
    """An account of a world's namespace. What it is given is in effect when `may` returns."""

    def __init__(self, w: World, name: str = "tenant") -> None:
        self.w, self.name = w, name
        self.user = f"system:serviceaccount:{w.namespace}:{name}"
        w.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
        self.kubeconfig = w.plane.service_account_kubeconfig(w.namespace, name)
        self._given = 0

    @property
    def token(self) -> str:
        found: str = json.loads(self.kubeconfig.read_text())["users"][0]["user"]["token"]
        return found

    def may(
        self, verbs: Sequence[str], *resources: str, group: str = "planasonix.com", names: Sequence[str] = ()
    ) -> None:
        """Gives it these rights besides those that it has."""
        self._given += 1
        role = f"{self.name}-{self._given}"
        rule: dict[str, Any] = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
        if names:
            rule["resourceNames"] = list(names)
        named = {"apiVersion": _RBAC, "metadata": {"name": role}}
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
        self.w.apply(
            {**named, "kind": "Role", "rules": [rule]},
            {**named, "kind": "RoleBinding", "roleRef": ref, "subjects": [self._subject]},
        )
        self._await(verbs[-1], group, resources[-1], names[-1] if names else "")

    def bind(self, cluster_role: str, verb: str, resource: str) -> None:
        """Gives it a ClusterRole in its namespace, which has this right of ours among others."""
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role}
        named = {"apiVersion": _RBAC, "metadata": {"name": f"{self.name}-{cluster_role}"}}
        self.w.apply({**named, "kind": "RoleBinding", "roleRef": ref, "subjects": [self._subject]})
        self._await(verb, "planasonix.com", resource)

    @property
    def _subject(self) -> dict[str, str]:
        return {"kind": "ServiceAccount", "name": self.name, "namespace": self.w.namespace}

    def _await(self, verb: str, group: str, resource: str, name: str = "") -> None:
        wanted = {"verb": verb, "group": group, "resource": resource, "name": name, "namespace": self.w.namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        where = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        asked = ("create", "--raw", where, "-f", "-")
        eventually(lambda: json.loads(self.kubectl(*asked, stdin=json.dumps(body)))["status"]["allowed"])

    def kubectl(self, *args: str, **options: Any) -> str:
        """What kubectl says to it, of an error as well."""
        return self.w.kubectl(*args, check=False, kubeconfig=self.kubeconfig, **options)

    def create(self, kind: str, name: str, spec: Mapping[str, Any], *, keep: bool = False) -> str:
        """Makes one of our kinds, or only asks whether it might; what the API server says."""
        body = {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
        return self.kubectl("create", "-f", "-", *(() if keep else ("--dry-run=server",)), stdin=json.dumps(body))

    def patch(self, kind: str, name: str, body: Mapping[str, Any], *more: str) -> str:
        """What the API server would say to this merge patch."""
        return self.kubectl("patch", kind, name, "--dry-run=server", "--type=merge", "-p", json.dumps(body), *more)
