"""The GitOperation objects: their status, and their end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitintegration.api.base_model import API_VERSION, GROUP, VERSION
from gitintegration.cluster.client import Cluster, NotFoundError
from gitintegration.cluster.events import write_event
from gitintegration.cluster.integrations import SECRETS
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.cluster.status import write_status
from gitintegration.errors import Stale

KIND = ResourceKind(GROUP, VERSION, "GitOperation", "gitoperations", True)
PLANS = ResourceKind(GROUP, VERSION, "GitOperationPlan", "gitoperationplans", True)


def plan_name(seen: Mapping[str, Any]) -> str:
    """Of the pages of an operation's plan, before their numbers; one of another operation of that name never has it."""
    return f"{seen['metadata']['name'][:200]}-{seen['metadata']['uid'][:8]}"


class OperationObjects:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def write_status(self, seen: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
        """Set the status of the very object that was seen; False where it is no more."""
        return await write_status(self._cluster, KIND, seen, status)

    async def delete_own_secret(self, seen: Mapping[str, Any], name: str) -> None:
        """Deletes this Secret where it belongs to the operation, by uid."""
        path = SECRETS.path(seen["metadata"]["namespace"], name)
        metadata = (await self._cluster.get(path) or {}).get("metadata") or {}
        if not any(o.get("uid") == seen["metadata"]["uid"] for o in metadata.get("ownerReferences") or ()):
            return
        try:
            await self._cluster.request("DELETE", path, body={"preconditions": {"uid": metadata["uid"]}})
        except (NotFoundError, Stale):
            return

    async def write_plan(self, seen: Mapping[str, Any], number: int, page: Mapping[str, Any]) -> None:
        """Store a page of the plan of an operation, which it goes with; one of that number is written over."""
        metadata = seen["metadata"]
        name = f"{plan_name(seen)}-{number}"
        spec = {"operation": metadata["name"], "page": number, **page}
        named = {"name": name, "ownerReferences": [KIND.owner(metadata)]}
        body = {"apiVersion": API_VERSION, "kind": PLANS.kind, "metadata": named}
        try:
            await self._cluster.request("POST", PLANS.path(metadata["namespace"]), body={**body, "spec": spec})
        except Stale:
            patch = [{"op": "add", "path": "/spec", "value": spec}]
            path = PLANS.path(metadata["namespace"], name)
            await self._cluster.request("PATCH", path, body=patch, content_type="application/json-patch+json")

    async def event(self, seen: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        await write_event(self._cluster, seen, of=KIND.kind, kind=kind, reason=reason, message=message)

    async def delete(self, seen: Mapping[str, Any]) -> None:
        metadata = seen["metadata"]
        body = {"preconditions": {"uid": metadata["uid"]}}
        try:
            await self._cluster.request("DELETE", KIND.path(metadata["namespace"], metadata["name"]), body=body)
        except (NotFoundError, Stale):
            return
