"""The GitIntegration objects themselves: read, finalizer, status, events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitintegration.api.base_model import CONFIRM_DELETES, GROUP, HOOK_RECEIVED, VERSION
from gitintegration.api.names import is_subdomain
from gitintegration.cluster.client import MERGE_PATCH, METADATA, Cluster, NotFoundError
from gitintegration.cluster.events import write_event
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.cluster.status import write_status
from gitintegration.errors import Stale

KIND = ResourceKind(GROUP, VERSION, "GitIntegration", "gitintegrations", True)
FINALIZER = f"{GROUP}/cleanup"
SECRETS = ResourceKind("", "v1", "Secret", "secrets", True)
CONFIG_MAPS = ResourceKind("", "v1", "ConfigMap", "configmaps", True)


class Integrations:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """None where it is not there, and where nothing can be called so."""
        if not is_subdomain(name):
            return None
        found: dict[str, Any] | None = await self._cluster.get(KIND.path(namespace, name))
        return found

    async def all(self, namespace: str | None) -> list[dict[str, Any]]:
        found = await self._cluster.request("GET", KIND.path(namespace))
        return list(found["items"] or ())

    async def write_status(self, seen: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
        """Set the status of the very object that was seen; False where it is no more."""
        return await write_status(self._cluster, KIND, seen, status)

    async def set_finalizer(self, seen: Mapping[str, Any], *, wanted: bool) -> None:
        """Raises Stale where the object moved."""
        metadata = seen["metadata"]
        others = [f for f in metadata.get("finalizers", []) if f != FINALIZER]
        finalizers = [*others, FINALIZER] if wanted else others
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": finalizers}}
        path = KIND.path(metadata["namespace"], metadata["name"])
        try:
            await self._cluster.request("PATCH", path, body=body, content_type=MERGE_PATCH)
        except NotFoundError:
            return

    async def unconfirm(self, seen: Mapping[str, Any]) -> None:
        """Take the confirmation off this very object. Raises ClusterError."""
        metadata = seen["metadata"]
        body = {"metadata": {"uid": metadata["uid"], "annotations": {CONFIRM_DELETES: None}}}
        path = KIND.path(metadata["namespace"], metadata["name"])
        await self._cluster.request("PATCH", path, body=body, content_type=MERGE_PATCH, accept=METADATA)

    async def secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self._cluster.get(SECRETS.path(namespace, name))
        return found

    async def config_map(self, namespace: str, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self._cluster.get(CONFIG_MAPS.path(namespace, name))
        return found

    async def delete_secret(self, namespace: str, name: str, uid: str, version: str) -> None:
        """This very Secret, as it was read: one that came or changed since stays."""
        body = {"preconditions": {"uid": uid, "resourceVersion": version}}
        try:
            await self._cluster.request("DELETE", SECRETS.path(namespace, name), body=body)
        except (NotFoundError, Stale):
            return

    async def annotate_hook(self, namespace: str, name: str, uid: str, mark: str) -> None:
        """Leave the mark of a delivery on this very object; nothing where it is no more."""
        body = {"metadata": {"uid": uid, "annotations": {HOOK_RECEIVED: mark}}}
        path, query = KIND.path(namespace, name), {"fieldManager": "gitintegration-hooks"}
        try:
            await self._cluster.request(
                "PATCH", path, query=query, body=body, content_type=MERGE_PATCH, accept=METADATA
            )
        except (NotFoundError, Stale):
            return

    async def event(self, seen: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        await write_event(self._cluster, seen, of=KIND.kind, kind=kind, reason=reason, message=message)
