"""The kinds that integrations sync: made ready, watched once for all of them, and each claimed by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TypeAlias

from gitintegration.api.integration import GitIntegrationSpec, Resource
from gitintegration.api.syncable import refusal
from gitintegration.cluster.informer import Informer, Informers
from gitintegration.cluster.kinds import Kinds, ResourceKind
from gitintegration.core.view import Pointer
from gitintegration.errors import ClusterError, GitIntegrationError, Reason, SpecError
from gitintegration.sync.cluster_side import Kind
from gitintegration.sync.entry import Entry, Name

KindId: TypeAlias = tuple[str, str]
"""Group and kind."""

_SYNCED_WITHIN = 30.0


class Watches:
    """`entries` are all integrations; `changed` is told whose object moved: the integration, its kind, the object's name."""

    def __init__(
        self,
        kinds: Kinds,
        informers: Informers,
        entries: Mapping[Name, Entry],
        changed: Callable[[Name, KindId, str], None],
        default_account: str = "",
        allowed_workloads: Collection[str] = (),
    ) -> None:
        self._kinds, self._informers, self._entries = kinds, informers, entries
        self._changed, self._default_account, self._allowed = changed, default_account, allowed_workloads
        self._watchers: dict[KindId, dict[str, set[Name]]] = {}
        self._listeners: dict[KindId, Callable[[str, str], None]] = {}

    async def prepare(self, name: Name, entry: Entry, spec: GitIntegrationSpec) -> list[GitIntegrationError]:
        """Makes every kind ready that can be; tells of each that can't."""
        refusals: list[GitIntegrationError] = []
        wanted: dict[KindId, Kind] = {}
        account = spec.service_account_name or self._default_account
        user = f"system:serviceaccount:{name[0]}:{account}" if account else ""
        for resource in spec.resources:
            try:
                kind = await self._prepare_one(name, entry, resource, user)
                wanted[kind.id] = kind
            except GitIntegrationError as error:
                refusals.append(error)
        for kind_id in entry.kinds.keys() - wanted.keys():
            await self._unwatch(name, entry, kind_id)
        entry.rescan = entry.rescan or {id: k.user for id, k in entry.kinds.items()} != dict.fromkeys(wanted, user)
        entry.kinds = wanted
        return refusals

    async def release(self, name: Name, entry: Entry) -> None:
        """Nothing of this integration is watched any more."""
        for kind_id in list(entry.kinds):
            await self._unwatch(name, entry, kind_id)

    async def _prepare_one(self, name: Name, entry: Entry, resource: Resource, user: str) -> Kind:
        found = await self._kinds.resolve(resource.api_version, resource.kind)
        if found is None:
            words = f"the cluster does not serve {resource.kind} in {resource.api_version}: install its CRD, or mend spec.resources"
            raise SpecError(Reason.InvalidSpec, words, retry=True)
        refused = refusal(found.group, found.kind, namespaced=found.namespaced, allowed=self._allowed)
        if refused is not None:
            raise SpecError(Reason.InvalidSpec, f"spec.resources: {refused}")
        self._check_overlap(name, entry, found, resource)
        kind_id = (found.group, found.kind)
        known = entry.kinds.get(kind_id)
        if known and known.user != user:
            await self._unwatch(name, entry, kind_id)
            known = None
        informer = known.informer if known else self._watch(name, found, user)
        if not await informer.synced(_SYNCED_WITHIN):
            if known is None:
                await self._unwatch_informer(name, found, user)
            raise informer.error or ClusterError(Reason.Timeout, f"{found.plural} can't be listed in time", retry=True)
        pointers = tuple(Pointer.parse(text) for text in resource.ignore_fields or ())
        return Kind(resource, found, informer, await self._kinds.schema(found), pointers, user)

    def _check_overlap(self, name: Name, entry: Entry, kind: ResourceKind, resource: Resource) -> None:
        """The older integration keeps a kind that two claim without telling them apart by labels."""
        mine = (entry.metadata.get("creationTimestamp", ""), name)
        for other in self._watchers.get((kind.group, kind.kind), {}).get(name[0], ()):
            rival = self._entries.get(other)
            if rival is None or other == name or rival.leaving:
                continue
            theirs = rival.kinds.get((kind.group, kind.kind))
            apart = theirs and theirs.resource.label_selector and resource.label_selector
            if (
                theirs
                and (rival.metadata.get("creationTimestamp", ""), other) < mine
                and (not apart or theirs.resource.label_selector == resource.label_selector)
            ):
                words = f"{kind.kind} is claimed by GitIntegration {other[1]!r} as well: tell them apart by spec.resources[].labelSelector"
                raise SpecError(Reason.Overlap, words, retry=True)

    def _watch(self, name: Name, kind: ResourceKind, user: str) -> Informer:
        kind_id = (kind.group, kind.kind)
        informer = self._informers.acquire(kind, name[0], user)
        informer.listen(self._listeners.setdefault(kind_id, partial(self._tell, kind_id)))
        self._watchers.setdefault(kind_id, {}).setdefault(name[0], set()).add(name)
        return informer

    def _tell(self, kind_id: KindId, namespace: str, name: str) -> None:
        for integration in self._watchers.get(kind_id, {}).get(namespace, ()):
            self._changed(integration, kind_id, name)

    async def _unwatch_informer(self, name: Name, kind: ResourceKind, user: str) -> None:
        self._watchers.get((kind.group, kind.kind), {}).get(name[0], set()).discard(name)
        await self._informers.release(kind, name[0], user)

    async def _unwatch(self, name: Name, entry: Entry, kind_id: KindId) -> None:
        kind = entry.kinds.pop(kind_id, None)
        if kind is not None:
            await self._unwatch_informer(name, kind.kind, kind.user)
