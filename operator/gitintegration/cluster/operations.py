"""The GitOperation objects: their status, and their end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitintegration.api.base_model import GROUP, VERSION
from gitintegration.cluster.client import Cluster, NotFoundError
from gitintegration.cluster.events import write_event
from gitintegration.cluster.integrations import SECRETS
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.cluster.status import write_status
from gitintegration.errors import Stale

KIND = ResourceKind(GROUP, VERSION, "GitOperation", "gitoperations", True)


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

    async def event(self, seen: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        await write_event(self._cluster, seen, of=KIND.kind, kind=kind, reason=reason, message=message)

    async def delete(self, seen: Mapping[str, Any]) -> None:
        metadata = seen["metadata"]
        body = {"preconditions": {"uid": metadata["uid"]}}
        try:
            await self._cluster.request("DELETE", KIND.path(metadata["namespace"], metadata["name"]), body=body)
        except (NotFoundError, Stale):
            return
