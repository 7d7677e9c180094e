"""The cluster side of a sync: the kinds of an integration, which objects moved, their values, and writes to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from gitintegration.api.base_model import CHANGE_REASON, EDITED_BY
from gitintegration.api.integration import Resource
from gitintegration.api.names import split_api_version
from gitintegration.cluster.client import FIELD_MANAGER
from gitintegration.cluster.informer import Informer, edited_by
from gitintegration.cluster.kinds import Kinds, ResourceKind
from gitintegration.cluster.objects import Objects, of_kind
from gitintegration.core.managers import Owned, owned_by
from gitintegration.core.redaction import NOTHING_REDACTED, Redaction
from gitintegration.core.schema import Schema
from gitintegration.core.selection import selects
from gitintegration.core.state.evidence import Definition, Standing, standing
from gitintegration.core.state.table import ABSENT, ItemTable, Observed
from gitintegration.core.values import Json, ObjectKey, to_bytes
from gitintegration.core.view import Pointer, restore, view
from gitintegration.errors import Forbidden, KindUnavailable

_UNSEEN = "?"
"""Stands for the version of an object whose kind can't be watched now; no version is equal to it."""
_PARALLEL = 8
_GOOD_PART = 4
"""One of so many is a good part."""


@dataclass(frozen=True, slots=True)
class LiveObject:
    """An object as it is now. `whole` lacks only managedFields, which the server keeps by itself."""

    whole: dict[str, Any]
    view: Json
    manager: str = ""
    """Who else wrote it last, as field managers call themselves."""
    ignored: frozenset[Owned] = frozenset()
    """Fields that were written by managers whose writes are nobody's edits."""

    @property
    def resource_version(self) -> str:
        return str(self.whole["metadata"]["resourceVersion"])

    @property
    def edited_by(self) -> str:
        """Who edited it last, where that is stamped."""
        return edited_by(self.whole["metadata"])

    @property
    def reason(self) -> str:
        """Why it was edited, in its editor's words."""
        return str((self.whole["metadata"].get("annotations") or {}).get(CHANGE_REASON) or "")

    @property
    def uid(self) -> str:
        return str(self.whole["metadata"]["uid"])

    @property
    def controlled(self) -> bool:
        return any(owner.get("controller") for owner in self.whole["metadata"].get("ownerReferences", ()))

    def slim(self) -> LiveObject:
        """Without what only a write to the cluster needs."""
        return LiveObject({"metadata": self.whole["metadata"]}, self.view, self.manager, self.ignored)

    @property
    def leaving(self) -> bool:
        """It is being deleted, and only a finalizer keeps it."""
        return "deletionTimestamp" in self.whole["metadata"]


@dataclass(slots=True)
class Kind:
    """One kind of an integration, ready for use."""

    resource: Resource
    kind: ResourceKind
    informer: Informer
    schema: Schema
    pointers: tuple[Pointer, ...]
    user: str = ""
    """The ServiceAccount that it is read and written as; empty: the operator itself."""
    definition: Definition | None = None
    """What made the server serve it when it was first watched, as far as that may be seen."""
    outages: int = 0
    """Of its informer, when this was made ready."""
    redaction: Redaction = NOTHING_REDACTED
    stamped: bool | None = None
    """Whether the API server says on each object who edited it; None: nothing was seen that says so."""

    @property
    def id(self) -> tuple[str, str]:
        return self.kind.group, self.kind.kind

    def key(self, name: str) -> ObjectKey:
        return ObjectKey(self.kind.group, self.kind.kind, name)

    def selects(self, whole: Mapping[str, Any] | None) -> bool:
        return selects(self.resource.label_selector, whole)

    def view(self, whole: Json) -> Json:
        return view(whole, self.pointers)


Prefetched: TypeAlias = dict[tuple[str, str], dict[str, bytes]]
"""Of some kinds, the JSON of objects by name."""
NOTHING: Prefetched = {}


class LiveObjects:
    def __init__(self, objects: Objects, kinds: Kinds, list_above: int = 200) -> None:
        """More objects than `list_above` are read by listing, where they are a good part of all there are."""
        self._objects = objects
        self._kinds = kinds
        self._list_above = list_above

    async def standing(self, kind: Kind, namespace: str) -> Standing:
        """What it says that objects of this kind are not there, asked of the server now."""
        if await self._kinds.leaving(namespace):
            return Standing.away
        now = await self._kinds.definition(kind.kind, fresh=True)
        found = standing(kind.definition, now, listed=await self._kinds.listed(kind.kind))
        if found is Standing.remade:
            kind.definition = now
        return found

    def forget(self, kind: Kind, *api_versions: str) -> None:
        """What was known of these versions of it is asked for again."""
        for api_version in (kind.kind.api_version, *api_versions):
            self._kinds.forget(api_version)

    async def version(self, kind: Kind, api_version: str) -> ResourceKind | None:
        """The kind in the version that a file names, or None where that is not served."""
        if api_version == kind.kind.api_version:
            return kind.kind
        group, _ = split_api_version(api_version)
        if group != kind.kind.group:
            return None
        with of_kind(kind.kind):
            return await self._kinds.resolve(api_version, kind.kind.kind)

    async def prefetch(
        self, kinds: Mapping[tuple[str, str], Kind], namespace: str, keys: Collection[ObjectKey]
    ) -> Prefetched:
        """What a listing tells of these objects, of each kind of which so many are wanted that it is the cheaper way."""
        ahead: Prefetched = {}
        for kind_id, wanted in by_kind(keys, kinds).items():
            kind = kinds[kind_id]
            if len(wanted) <= max(self._list_above, len(kind.informer.of(namespace)) // _GOOD_PART):
                continue
            names = {key.name for key in wanted}
            found: dict[str, bytes] = {}
            with contextlib.suppress(KindUnavailable, Forbidden):  # who reads one of them is told the same
                async for whole in self._objects.acting_as(kind.user).list(kind.kind, namespace):
                    if whole["metadata"]["name"] in names:
                        if not kind.resource.ignore_managers:
                            whole["metadata"].pop("managedFields", None)
                        found[whole["metadata"]["name"]] = to_bytes(whole)
                ahead[kind_id] = found
        return ahead

    async def read(
        self, kind: Kind, namespace: str, wanted: Mapping[str, str], ahead: Prefetched = NOTHING
    ) -> dict[str, LiveObject]:
        """The objects by name; `wanted` maps each name to the version to read it in. Absent ones are left out.

        What was read ahead is taken from there, once. Where a version is not served, the object is read in the kind's own:
        that it can't be read as its file has it does not mean that it is not there. Raises KindUnavailable.
        """
        by_version: dict[str, list[str]] = {}
        for name, api_version in wanted.items():
            by_version.setdefault(api_version, []).append(name)
        found: dict[str, LiveObject] = {}
        for api_version, names in by_version.items():
            served = await self.version(kind, api_version) or kind.kind
            if kind.id in ahead and served == kind.kind:
                listed = ahead[kind.id]
                taken = {name: listed.pop(name) for name in names if name in listed}
                found.update({name: self._live(kind, orjson.loads(text)) for name, text in taken.items()})
            else:
                try:
                    await self._get(kind, served, namespace, names, found)
                except KindUnavailable:
                    self.forget(kind, api_version)
                    if served == kind.kind or await self.version(kind, api_version):
                        raise
                    await self._get(kind, kind.kind, namespace, names, found)
        return found

    async def _get(
        self, kind: Kind, served: ResourceKind, namespace: str, names: list[str], found: dict[str, LiveObject]
    ) -> None:
        gate, objects = asyncio.Semaphore(_PARALLEL), self._objects.acting_as(kind.user)

        async def one(name: str) -> None:
            async with gate:
                whole = await objects.get(served, namespace, name)
            if whole is not None:
                found[name] = self._live(kind, whole)

        await asyncio.gather(*(one(name) for name in names))

    @staticmethod
    def _live(kind: Kind, whole: dict[str, Any]) -> LiveObject:
        managed = whole["metadata"].pop("managedFields", None) or ()
        ignored = owned_by(managed, kind.resource.ignore_managers or ())
        return LiveObject(whole, kind.view(whole), _last_writer(managed), ignored)

    async def managers(self, kind: Kind, namespace: str, name: str) -> tuple[Sequence[Mapping[str, Any]], str]:
        """Who holds which fields of an object, as the server tells it, and who edited it last, where that is stamped."""
        whole = await self._objects.acting_as(kind.user).get(kind.kind, namespace, name)
        if whole is None:
            return (), ""
        return whole["metadata"].get("managedFields") or (), edited_by(whole["metadata"])

    async def as_stored(self, kind: Kind, namespace: str, manifest: Json, live: LiveObject) -> Json:
        """The manifest as the API server would store it in place of the live object: a dry run, which writes nothing.

        Raises ClusterError where it would be refused.
        """
        served = await self.version(kind, manifest["apiVersion"]) or kind.kind
        body = restore(live.whole, kind.view(manifest), kind.pointers)
        objects = self._objects.acting_as(kind.user)
        made = await objects.replace(served, namespace, live.whole["metadata"]["name"], body, dry_run=True)
        return kind.view(made)

    async def write(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        value: Json | None,
        live: LiveObject | None,
        *,
        by: str | None = None,
        dry_run: bool = False,
    ) -> LiveObject | None:
        """Make the object hold `value` (None: be gone). Raises ClusterError; Stale where it moved since `live`.

        `by`: whose edit that is, empty where nobody is known; None: nobody's, and who edited it last stays who that is.
        `dry_run`: the server only says whether it would take it.
        """
        objects = self._objects.acting_as(kind.user)
        if value is None:
            if live is not None:
                planned_on = {"uid": live.uid, "resource_version": live.resource_version}
                await objects.delete(kind.kind, namespace, name, **planned_on, dry_run=dry_run)
            return None
        served = await self.version(kind, value["apiVersion"]) or kind.kind
        if live is None:
            whole = {"metadata": {"name": name}}
            body = restore(whole, value)
            body["metadata"]["namespace"] = namespace
            return self._live(kind, await objects.create(served, namespace, _edited(body, by), dry_run=dry_run))
        body = _edited(restore(live.whole, value, kind.pointers), by)
        return self._live(kind, await objects.replace(served, namespace, name, body, dry_run=dry_run))

    async def take_off(self, kind: Kind, namespace: str, name: str, reason: str) -> None:
        """Take the reason of an edit off the object, where it is still this one. Raises ClusterError; Stale where it moved."""
        objects = self._objects.acting_as(kind.user)
        whole = await objects.get(kind.kind, namespace, name)
        if whole is None or (whole["metadata"].get("annotations") or {}).get(CHANGE_REASON) != reason:
            return
        del whole["metadata"]["annotations"][CHANGE_REASON]
        await objects.replace(kind.kind, namespace, name, whole)


def _edited(body: dict[str, Any], by: str | None) -> dict[str, Any]:
    """An object with the name of who has it edited."""
    if by is None:
        return body
    metadata = body["metadata"]
    kept = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in (EDITED_BY, CHANGE_REASON)}
    return {**body, "metadata": {**metadata, "annotations": {**kept, EDITED_BY: by} if by else kept}}


def _last_writer(managed: Sequence[Mapping[str, Any]]) -> str:
    """Of the managers other than this operator, the one that wrote something else than the status last."""
    others = [m for m in managed if m.get("manager") != FIELD_MANAGER and m.get("subresource") != "status"]
    return str(max(others, key=lambda m: str(m.get("time", "")), default={}).get("manager", ""))[:128]


def observe_all(table: ItemTable, kind: Kind, namespace: str) -> None:
    """Go through all objects of a kind, and all that were known, for what moved while nobody told of it."""
    there = kind.informer.of(namespace)
    for name, meta in there.items():
        key = kind.key(name)
        if not meta.controlled or table.is_agreed(key):
            table.observe(key, meta.resource_version)
    for key in table.known():
        if (key.group, key.kind) == kind.id and key.name not in there:
            table.observe(key, ABSENT)


def observed_by(kinds: Mapping[tuple[str, str], Kind], namespace: str, table: ItemTable) -> Observed:
    """What the watches of these kinds have seen."""

    def observed(key: ObjectKey) -> str | None:
        kind = kinds.get((key.group, key.kind))
        if kind is None:
            return _UNSEEN
        meta = kind.informer.of(namespace).get(key.name)
        if meta is None:
            return ABSENT
        return None if meta.controlled and not table.is_agreed(key) else meta.resource_version

    return observed


def by_kind(keys: Iterable[ObjectKey], kinds: Mapping[tuple[str, str], Kind]) -> dict[tuple[str, str], list[ObjectKey]]:
    """The keys whose kind can be worked with now, by kind."""
    result: dict[tuple[str, str], list[ObjectKey]] = {}
    for key in keys:
        if (key.group, key.kind) in kinds:
            result.setdefault((key.group, key.kind), []).append(key)
    return result
