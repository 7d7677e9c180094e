"""The kinds that integrations sync: made ready, watched once for all of them, and each claimed by one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TypeAlias

from gitintegration import messages
from gitintegration.api.integration import GitIntegrationSpec, Resource
from gitintegration.api.names import split_api_version
from gitintegration.api.syncable import refusal
from gitintegration.cluster.informer import Informer, Informers
from gitintegration.cluster.kinds import Kinds, ResourceKind
from gitintegration.cluster.objects import of_kind
from gitintegration.controller.integration import Integration, IntegrationKey
from gitintegration.core.redaction import Redaction
from gitintegration.core.schema import Schema
from gitintegration.core.state.evidence import Definition, Standing, remembered, standing
from gitintegration.core.view import Pointer
from gitintegration.errors import (
    ClusterError,
    ClusterUnavailable,
    GitIntegrationError,
    KindUnavailable,
    Reason,
    SpecError,
)
from gitintegration.session.live_objects import Kind

KindId: TypeAlias = tuple[str, str]
"""Group and kind."""

_SYNCED_WITHIN = 30.0


def _id_of(resource: Resource) -> KindId:
    return split_api_version(resource.api_version)[0], resource.kind


def _of_kind(kind: ResourceKind, error: ClusterError | None) -> ClusterError:
    """Why a kind can't be listed, told as what is wrong with this kind."""
    if error is None:
        return ClusterError(Reason.Timeout, f"{kind.plural} can't be listed in time", retry=True)
    try:
        with of_kind(kind):
            raise error
    except ClusterError as told:
        return told


class Watches:
    """`changed` is told whose object moved: the integration, its kind, the object's name."""

    def __init__(
        self,
        kinds: Kinds,
        informers: Informers,
        changed: Callable[[IntegrationKey, KindId, str], None],
        default_account: str = "",
        allowed_workloads: Collection[str] = (),
    ) -> None:
        self._kinds, self._informers = kinds, informers
        self._changed, self._default_account, self._allowed = changed, default_account, allowed_workloads
        self._watchers: dict[KindId, dict[str, set[IntegrationKey]]] = {}
        self._listeners: dict[KindId, Callable[[str, str], None]] = {}

    async def prepare(
        self, name: IntegrationKey, entry: Integration, spec: GitIntegrationSpec
    ) -> list[GitIntegrationError]:
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
                if isinstance(error, KindUnavailable):
                    entry.away.add(_id_of(resource))
                    self._kinds.forget(resource.api_version)
        for kind_id in entry.kinds.keys() - wanted.keys():
            await self._unwatch(name, entry, kind_id)
        entry.rescan = entry.rescan or {id: k.user for id, k in entry.kinds.items()} != dict.fromkeys(wanted, user)
        entry.kinds = wanted
        return refusals

    async def release(self, name: IntegrationKey, entry: Integration) -> None:
        """Nothing of this integration is watched any more."""
        for kind_id in list(entry.kinds):
            await self._unwatch(name, entry, kind_id)

    async def _prepare_one(self, name: IntegrationKey, entry: Integration, resource: Resource, user: str) -> Kind:
        found = await self._resolve(resource)
        if found is None:
            self._check_known(entry, resource)
            words = messages.KIND_UNKNOWN(kind=resource.kind, version=resource.api_version)
            raise SpecError(Reason.InvalidSpec, words, retry=True)
        refused = refusal(found.group, found.kind, namespaced=found.namespaced, allowed=self._allowed)
        if refused is not None:
            raise SpecError(Reason.InvalidSpec, messages.SPEC_FIELD(field="spec.resources", words=refused))
        kind_id = (found.group, found.kind)
        if others := entry.overlaps.get(kind_id):
            words = messages.OVERLAP_KIND(kind=found.kind, others=messages.named([repr(name) for name in others]))
            raise SpecError(Reason.Overlap, words, retry=True)
        known = entry.kinds.get(kind_id)
        if known and known.user != user:
            await self._unwatch(name, entry, kind_id)
            known = None
        informer = known.informer if known else self._watch(name, found, user)
        if not await informer.synced(_SYNCED_WITHIN):
            if known is None:
                await self._unwatch_informer(name, found, user)
            raise _of_kind(found, informer.error)
        definition, outages = known.definition if known else None, informer.outages
        if known is None or known.outages != outages:
            definition = await self._identify(entry, found)
        pointers = tuple(Pointer.parse(text) for text in resource.ignore_fields or ())
        schema = await self._kinds.schema(found)
        await self._note_schema(entry, found, schema)
        redacted = (*map(Pointer.parse, resource.redact or ()), *map(Pointer, schema.passwords))
        redaction = Redaction(redacted, entry.session.uid)
        stamped = await self._kinds.is_stamped(found) if informer.tells_who else None
        if stamped is False:
            entry.session.doubt(*kind_id)
        return Kind(resource, found, informer, schema, pointers, user, definition, outages, redaction, stamped)

    async def _resolve(self, resource: Resource) -> ResourceKind | None:
        try:
            return await self._kinds.resolve(resource.api_version, resource.kind)
        except ClusterUnavailable as error:
            if not error.answered:
                raise
            words = f"{resource.kind} ({resource.api_version}) waits as it is: the server of {resource.api_version} does not answer: "
            raise KindUnavailable(words + error.message) from None

    @staticmethod
    def _check_known(entry: Integration, resource: Resource) -> None:
        """Raises KindUnavailable for a kind that is not served now, and was."""
        kind_id = _id_of(resource)
        if (
            kind_id in entry.kinds
            or kind_id in entry.away
            or any((k.group, k.kind) == kind_id for k in entry.session.records.marks)
        ):
            words = (
                f"the cluster no longer serves {resource.kind} in {resource.api_version}; nothing of it is written or "
                "deleted: install its CRD again, or serve that version, or mend spec.resources"
            )
            raise KindUnavailable(words)

    async def _identify(self, entry: Integration, kind: ResourceKind) -> Definition | None:
        """What defines a kind that begins to be watched. What was agreed on with an older definition is let go."""
        kind_id = (kind.group, kind.kind)
        was_away = kind_id in entry.away
        known = entry.definitions.get(kind_id)
        before = known or remembered(entry.status, kind_id)
        now = await self._kinds.definition(kind, fresh=was_away)
        agreed = entry.agreed_at if known is None else None
        if standing(before, now, listed=True, agreed_at=agreed) is Standing.remade:
            entry.session.remade.add(kind_id)
        elif was_away and (before is None or now is None):
            entry.session.returned.add(kind_id)
        elif agreed is not None and now is not None and now.changed is not None and now.changed >= agreed:
            entry.session.redefined.add(kind_id)
        entry.away.discard(kind_id)
        if now is not None:
            entry.definitions[kind_id] = now
        return now

    async def _note_schema(self, entry: Integration, kind: ResourceKind, schema: Schema) -> None:
        """Where the kind's schema is not the one that its objects were looked at with, they are looked at again.

        That it became another and is the same again is seen by how often its definition changed.
        """
        kind_id = (kind.group, kind.kind)
        known = entry.schemas.get(kind_id)
        try:
            definition = await self._kinds.definition(kind)
        except ClusterUnavailable:  # it is asked again at the next run
            return
        generation = definition.generation if definition else 0
        if known is not None and not (known[0] == generation and schema.is_as(known[1])):
            entry.session.redefined.add(kind_id)
        entry.schemas[kind_id] = generation, schema

    def _watch(self, name: IntegrationKey, kind: ResourceKind, user: str) -> Informer:
        kind_id = (kind.group, kind.kind)
        informer = self._informers.acquire(kind, name[0], user)
        informer.listen(self._listeners.setdefault(kind_id, partial(self._tell, kind_id)))
        self._watchers.setdefault(kind_id, {}).setdefault(name[0], set()).add(name)
        return informer

    def _tell(self, kind_id: KindId, namespace: str, name: str) -> None:
        for integration in self._watchers.get(kind_id, {}).get(namespace, ()):
            self._changed(integration, kind_id, name)

    async def _unwatch_informer(self, name: IntegrationKey, kind: ResourceKind, user: str) -> None:
        self._watchers.get((kind.group, kind.kind), {}).get(name[0], set()).discard(name)
        await self._informers.release(kind, name[0], user)

    async def _unwatch(self, name: IntegrationKey, entry: Integration, kind_id: KindId) -> None:
        kind = entry.kinds.pop(kind_id, None)
        if kind is not None:
            await self._unwatch_informer(name, kind.kind, kind.user)
