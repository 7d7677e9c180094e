"""Kinds by discovery, and their schemas by the published OpenAPI: both readable to every authenticated user."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitintegration.api.base_model import AUTHORS_POLICY
from gitintegration.api.names import is_api_version, split_api_version
from gitintegration.cluster.client import METADATA, Cluster
from gitintegration.cluster.paths import Path, api_path, version_path
from gitintegration.core.schema import Schema
from gitintegration.core.state.evidence import Definition
from gitintegration.core.status import parse_timestamp
from gitintegration.errors import ClusterError, ClusterUnavailable, Forbidden

_MISSING_FOR = 10.0
"""Seconds for which a kind that is not there is not asked for again."""
_KEPT_FOR = 300.0
_NOTICED_WITHIN = 30.0
"""Seconds after which it is seen at the next run that a schema became another: a small request for each kind, and one for all."""
_STAMPED_FOR = 60.0
_DEFINITIONS = "apiextensions.k8s.io/v1"
_ADMISSION = ("admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1beta1")
"""Where mutating policies may be served, from Kubernetes 1.36 and from 1.34."""


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

    def path(self, namespace: str | None, name: str | None = None, *subresource: str) -> Path:
        """Of all its objects, those of a namespace, or one of them. Raises SpecError where a name can't be one."""
        where = ("namespaces", namespace) if namespace is not None else ()
        named = () if name is None else (name, *subresource)
        return version_path(self.api_version, *where, self.plural, *named)

    def owner(self, metadata: Mapping[str, Any]) -> dict[str, str]:
        """The reference to an object of this kind, for what goes with it."""
        return {"apiVersion": self.api_version, "kind": self.kind, "name": metadata["name"], "uid": metadata["uid"]}


class Kinds:
    """Answers from a cache; what is not there is asked for again after a while.

    Versions that anybody may name are looked up among those that the server serves: what is kept, and asked for, is
    bounded by what there is. One version that does not answer keeps no other waiting.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._served: tuple[float, frozenset[str]] = (0.0, frozenset())
        self._definitions: dict[tuple[str, str], tuple[float, Definition | None]] = {}
        self._kinds: dict[str, tuple[float, dict[str, ResourceKind]]] = {}
        self._schemas: dict[str, tuple[str, dict[tuple[str, str, str], Schema]]] = {}
        self._index: tuple[float, dict[str, str]] = (0.0, {})
        self._stamped: tuple[float, frozenset[tuple[str, str]]] = (0.0, frozenset())
        self._asking_stamped = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._asking_index = asyncio.Lock()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def resolve(self, api_version: str, kind: str) -> ResourceKind | None:
        """The kind, or None where the server does not serve it in that version."""
        if not is_api_version(api_version) or not await self._is_served(api_version):
            return None
        async with self._locks[api_version]:
            at, known = self._kinds.get(api_version, (0.0, {}))
            age = time.monotonic() - at
            if not at or age > _KEPT_FOR or (kind not in known and age > _MISSING_FOR):
                known = await self._discover(api_version)
                self._kinds[api_version] = (time.monotonic(), known)
            return known.get(kind)

    async def _is_served(self, api_version: str) -> bool:
        if api_version in self._kinds or not split_api_version(api_version)[0]:
            return api_version in self._kinds or api_version == "v1"
        async with self._asking:
            at, known = self._served
            if not at or (api_version not in known and time.monotonic() - at > _MISSING_FOR):
                found = await self._cluster.get(api_path("apis")) or {}
                versions = [v for group in found.get("groups") or () for v in group.get("versions") or ()]
                known = frozenset(str(v["groupVersion"]) for v in versions)
                self._served = (time.monotonic(), known)
            return api_version in known

    def forget(self, api_version: str) -> None:
        """The next `resolve` asks the server."""
        self._kinds.pop(api_version, None)
        self._schemas.pop(api_version, None)
        self._index = (0.0, {})
        if api_version not in self._served[1]:
            self._served = (0.0, frozenset())

    async def definition(self, kind: ResourceKind, *, fresh: bool = False) -> Definition | None:
        """What defines the kind; None where it has no definition of its own, or none that may be seen."""
        if "." not in kind.group:
            return None
        key = (kind.group, kind.plural)
        at, known = self._definitions.get(key, (0.0, None))
        if fresh or not at or time.monotonic() - at > (_NOTICED_WITHIN if known else _KEPT_FOR):
            known = await self._read_definition(kind)
            self._definitions[key] = (time.monotonic(), known)
        return known

    async def _read_definition(self, kind: ResourceKind) -> Definition | None:
        path = version_path(_DEFINITIONS, "customresourcedefinitions", f"{kind.plural}.{kind.group}")
        try:
            found = await self._cluster.get(path, accept=METADATA)
        except Forbidden:
            return None
        if found is None:
            return None
        metadata = found["metadata"]
        made = parse_timestamp(metadata["creationTimestamp"])
        writes = [
            parse_timestamp(m["time"])
            for m in metadata.get("managedFields") or ()
            if "time" in m and "subresource" not in m
        ]
        changed, generation = max(writes, default=made), metadata.get("generation", 0)
        return Definition(metadata["uid"], made, "deletionTimestamp" in metadata, changed, generation)

    async def is_stamped(self, kind: ResourceKind) -> bool:
        """Whether the API server stamps on objects of the kind who edits them, as far as that may be seen.

        Where it does not, whoever edits an object may write any name there.
        """
        async with self._asking_stamped:
            at, known = self._stamped
            if not at or time.monotonic() - at > _STAMPED_FOR:
                try:
                    known = await self._read_stamped()
                except Forbidden:
                    known = frozenset()
                except ClusterError:
                    return (kind.group, kind.plural) in known
                self._stamped = (time.monotonic(), known)
            return (kind.group, kind.plural) in known

    async def _read_stamped(self) -> frozenset[tuple[str, str]]:
        """Groups and resources of the policy of manifests/authors, where it is bound for all namespaces."""
        for api_version in _ADMISSION:
            bound = await self._cluster.get(
                version_path(api_version, "mutatingadmissionpolicybindings", AUTHORS_POLICY)
            )
            policy = await self._cluster.get(version_path(api_version, "mutatingadmissionpolicies", AUTHORS_POLICY))
            if bound and policy and _is_bound_everywhere(bound["spec"]):
                rules = (policy["spec"].get("matchConstraints") or {}).get("resourceRules") or ()
                return frozenset((g, r) for rule in rules for g in rule["apiGroups"] for r in rule["resources"])
        return frozenset()

    async def listed(self, kind: ResourceKind) -> bool:
        """Whether the server, asked now, serves the kind with all its verbs: one that is being removed takes nothing new."""
        known, verbs = await self._read_discovery(kind.api_version)
        self._kinds[kind.api_version] = (time.monotonic(), known)
        return "create" in verbs.get(kind.kind, ())

    async def leaving(self, namespace: str) -> bool:
        """Whether a namespace is being deleted, as far as that may be seen."""
        try:
            found = await self._cluster.get(api_path("api", "v1", "namespaces", namespace))
        except Forbidden:
            return False
        return found is None or "deletionTimestamp" in found["metadata"]

    async def _discover(self, api_version: str) -> dict[str, ResourceKind]:
        return (await self._read_discovery(api_version))[0]

    async def _read_discovery(self, api_version: str) -> tuple[dict[str, ResourceKind], dict[str, list[str]]]:
        """The kinds of a version, and what may be done with each."""
        group, version = split_api_version(api_version)
        found = await self._cluster.get(version_path(api_version))
        entries = [entry for entry in (found or {}).get("resources", []) if "/" not in entry["name"]]
        kinds = {
            entry["kind"]: ResourceKind(group, version, entry["kind"], entry["name"], entry["namespaced"])
            for entry in entries
        }
        return kinds, {entry["kind"]: entry.get("verbs", []) for entry in entries}

    async def schema(self, kind: ResourceKind) -> Schema:
        """The kind's schema; an empty one where the server publishes none (yet)."""
        key = (kind.group, kind.version, kind.kind)
        async with self._locks[kind.api_version]:
            revision, known = self._schemas.get(kind.api_version, ("", {}))
            published = await self._revision(kind, _NOTICED_WITHIN if key in known else _MISSING_FOR)
            if published != revision:
                known = await self._read_schemas(kind)
                self._schemas[kind.api_version] = (published, known)
            return known.get(key) or Schema({}, {})

    async def _revision(self, kind: ResourceKind, max_age: float) -> str:
        """Of the document with the kind's schema, as an index not older than this (seconds) names it; empty: there is none."""
        async with self._asking_index:
            at, index = self._index
            if not at or time.monotonic() - at > max_age:
                try:
                    found = await self._cluster.get(api_path("openapi", "v3")) or {}
                except ClusterUnavailable:
                    if not at:
                        raise
                else:  # else the last one serves until the next look
                    paths = found.get("paths") or {}
                    index = {name: str(entry.get("serverRelativeURL", "")) for name, entry in paths.items()}
                self._index = (time.monotonic(), index)
            return index.get(_document(kind), "")

    async def _read_schemas(self, kind: ResourceKind) -> dict[tuple[str, str, str], Schema]:
        document: dict[str, Any] = await self._cluster.get(schema_path(kind)) or {}
        definitions = document.get("components", {}).get("schemas", {})
        return {
            (entry["group"], entry["version"], entry["kind"]): Schema(definition, definitions)
            for definition in definitions.values()
            for entry in definition.get("x-kubernetes-group-version-kind", [])
        }


def _is_bound_everywhere(binding: Mapping[str, Any]) -> bool:
    """Whether it is of that policy, and leaves no namespace and no object out."""
    where = {name: value for name, value in (binding.get("matchResources") or {}).items() if name != "matchPolicy"}
    return binding.get("policyName") == AUTHORS_POLICY and not any(where.values()) and "paramRef" not in binding


def schema_path(kind: ResourceKind) -> Path:
    """Of the OpenAPI document that holds it."""
    return api_path("openapi", "v3", *_document(kind).split("/"))


def _document(kind: ResourceKind) -> str:
    """As the index of all OpenAPI documents names the one that holds it."""
    return f"apis/{kind.api_version}" if kind.group else f"api/{kind.api_version}"
