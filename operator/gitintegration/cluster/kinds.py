"""Kinds by discovery, and their schemas by the published OpenAPI: both readable to every authenticated user."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from gitintegration.cluster.client import Cluster
from gitintegration.core.schema import Schema

_MISSING_FOR = 10.0
"""Seconds for which a kind that is not there is not asked for again."""
_KEPT_FOR = 300.0


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A kind in one of its served versions."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None) -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{where}/{self.plural}" + (f"/{name}" if name else "")


def split_api_version(api_version: str) -> tuple[str, str]:
    """`apps/v1` -> (`apps`, `v1`); `v1` -> (``, `v1`)."""
    group, _, version = api_version.rpartition("/")
    return group, version


class Kinds:
    """Answers from a cache; what is not there is asked for again after a while."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._kinds: dict[str, tuple[float, dict[str, ResourceKind]]] = {}
        self._schemas: dict[str, tuple[float, dict[tuple[str, str, str], Schema]]] = {}
        self._lock = asyncio.Lock()

    async def resolve(self, api_version: str, kind: str) -> ResourceKind | None:
        """The kind, or None where the server does not serve it in that version."""
        async with self._lock:
            at, known = self._kinds.get(api_version, (0.0, {}))
            age = time.monotonic() - at
            if not at or age > _KEPT_FOR or (kind not in known and age > _MISSING_FOR):
                known = await self._discover(api_version)
                self._kinds[api_version] = (time.monotonic(), known)
            return known.get(kind)

    def forget(self, api_version: str) -> None:
        """The next `resolve` asks the server."""
        self._kinds.pop(api_version, None)
        self._schemas.pop(api_version, None)

    async def _discover(self, api_version: str) -> dict[str, ResourceKind]:
        group, version = split_api_version(api_version)
        found = await self._cluster.get(f"/apis/{api_version}" if group else f"/api/{api_version}")
        return {
            entry["kind"]: ResourceKind(group, version, entry["kind"], entry["name"], entry["namespaced"])
            for entry in (found or {}).get("resources", [])
            if "/" not in entry["name"]
        }

    async def schema(self, kind: ResourceKind) -> Schema:
        """The kind's schema; an empty one where the server publishes none (yet)."""
        async with self._lock:
            at, known = self._schemas.get(kind.api_version, (0.0, {}))
            key = (kind.group, kind.version, kind.kind)
            age = time.monotonic() - at
            if not at or age > _KEPT_FOR or (key not in known and age > _MISSING_FOR):
                known = await self._read_schemas(kind)
                self._schemas[kind.api_version] = (time.monotonic(), known)
            return known.get(key) or Schema({}, {})

    async def _read_schemas(self, kind: ResourceKind) -> dict[tuple[str, str, str], Schema]:
        root = f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"
        document: dict[str, Any] = await self._cluster.get(f"/openapi/v3/{root}") or {}
        definitions = document.get("components", {}).get("schemas", {})
        return {
            (entry["group"], entry["version"], entry["kind"]): Schema(definition, definitions)
            for definition in definitions.values()
            for entry in definition.get("x-kubernetes-group-version-kind", [])
        }
