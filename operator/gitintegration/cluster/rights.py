"""What the operator itself may do."""

from __future__ import annotations

from gitintegration.cluster.client import Cluster
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.cluster.paths import api_path
from gitintegration.errors import Forbidden

_PATH = api_path("apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews")


async def may_watch_everywhere(cluster: Cluster, kind: ResourceKind) -> bool:
    """Whether a kind may be watched in all namespaces at once. Raises ClusterError where the API server does not say."""
    wanted = {"verb": "watch", "group": kind.group, "resource": kind.plural}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": wanted},
    }
    try:
        found = await cluster.request("POST", _PATH, body=body)
    except Forbidden:
        return False  # who may not even ask is kept short
    return bool((found.get("status") or {}).get("allowed"))
