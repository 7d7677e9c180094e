"""Keeps the memory of a sync in the cluster, in objects of the operator's own kind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Generic

from gitintegration import messages
from gitintegration.api.base_model import API_VERSION, GROUP, VERSION
from gitintegration.cluster.client import MERGE_PATCH, Cluster, NotFoundError
from gitintegration.cluster.integrations import KIND as INTEGRATIONS
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.core.state.record import Codec, R
from gitintegration.core.state.shards import NO_REVISION, NewerFormat, Revision, ShardedRecords
from gitintegration.errors import GitIntegrationError, Reason, Stale

_KIND = ResourceKind(GROUP, VERSION, "GitIntegrationBase", "gitintegrationbases", True)
_LABEL = f"{GROUP}/integration-uid"
_MEMORY = f"{GROUP}/memory"
_PARALLEL = 8


class BaseStore(Generic[R]):
    """One kind of memory, by its name: the base of a sync, say, or what was offered for review."""

    def __init__(self, cluster: Cluster, codec: Codec[R], memory: str) -> None:
        self._cluster, self._codec, self._memory = cluster, codec, memory

    def _name(self, uid: str, prefix: str) -> str:
        return f"{self._memory}-{uid}-{prefix or 'all'}"

    async def load(self, namespace: str, uid: str, *, retired: str = "") -> ShardedRecords[R]:
        """What is remembered; nothing remembered is an empty set. Its damaged shards are named in `lost`.

        Raises GitIntegrationError where a newer release wrote any of it: then all of it stays as it is.
        `retired`: a memory that older versions kept, which nobody reads any more, and which is removed.
        """
        found = await self._read(namespace, f"{_LABEL}={uid}" + ("" if retired else f",{_MEMORY}={self._memory}"))
        try:
            stored = found.get(self._memory, {})
            revision = max((Revision.parse(spec.get("revision", "")) for spec in stored.values()), default=NO_REVISION)
            shards = ShardedRecords(self._codec, {shard: spec["data"] for shard, spec in stored.items()}, revision)
        except NewerFormat as newer:
            words = messages.NEWER_MEMORY(uid=uid, found=newer.found, known=newer.known)
            raise GitIntegrationError(Reason.NewerMemory, words, retry=True) from None
        for prefix in found.get(retired, ()):
            await self._delete(namespace, f"{retired}-{uid}-{prefix or 'all'}")
        return shards

    async def _read(self, namespace: str, selector: str) -> dict[str, dict[str, dict[str, str]]]:
        """Memory -> shard -> what is stored of it."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        query = {"labelSelector": selector, "limit": "100"}
        while True:
            page = await self._cluster.request("GET", _KIND.path(namespace), query=query)
            for item in page["items"] or ():
                shards = found.setdefault(item["metadata"]["labels"][_MEMORY], {})
                shards[item["spec"]["shard"]] = item["spec"]
            token = page["metadata"].get("continue")
            if not token:
                return found
            query["continue"] = token

    async def forget(self, namespace: str, uid: str) -> None:
        """Remove all of it, whoever wrote it."""
        found = await self._read(namespace, f"{_LABEL}={uid},{_MEMORY}={self._memory}")
        for prefix in found.get(self._memory, ()):
            await self._delete(namespace, self._name(uid, prefix))

    async def save(self, namespace: str, name: str, uid: str, shards: ShardedRecords[R]) -> None:
        """Writes the changed shards, then removes the replaced ones: cut short, it reads as before or as after.

        Where that fails, the next save does it.
        """
        written, removed = shards.begin_flush()
        of = {"revision": str(shards.revision)} if shards.revision.number else {}
        try:
            await self._save(
                namespace, name, uid, {prefix: {"data": d, **of} for prefix, d in written.items()}, removed
            )
        except BaseException:
            shards.abort_flush(written, removed)
            raise

    async def _save(
        self, namespace: str, name: str, uid: str, written: Mapping[str, Mapping[str, str]], removed: Sequence[str]
    ) -> None:
        gate = asyncio.Semaphore(_PARALLEL)

        async def write(prefix: str, shard: Mapping[str, str]) -> None:
            async with gate:
                await self._write(namespace, name, uid, prefix, shard)

        await asyncio.gather(*(write(prefix, shard) for prefix, shard in written.items()))
        for prefix in removed:
            await self._delete(namespace, self._name(uid, prefix))

    async def _delete(self, namespace: str, name: str) -> None:
        with contextlib.suppress(NotFoundError):
            await self._cluster.request("DELETE", _KIND.path(namespace, name))

    async def _write(self, namespace: str, name: str, uid: str, prefix: str, shard: Mapping[str, str]) -> None:
        """The operator is the only writer, under its own lock: the newest data wins."""
        path = _KIND.path(namespace, self._name(uid, prefix))
        patch = {"spec": shard}
        try:
            await self._cluster.request("PATCH", path, body=patch, content_type=MERGE_PATCH)
        except NotFoundError:
            try:
                await self._cluster.request("POST", _KIND.path(namespace), body=self._body(name, uid, prefix, shard))
            except Stale:
                await self._cluster.request("PATCH", path, body=patch, content_type=MERGE_PATCH)

    def _body(self, name: str, uid: str, prefix: str, shard: Mapping[str, str]) -> dict[str, Any]:
        owner = INTEGRATIONS.owner({"name": name, "uid": uid})
        labels = {_LABEL: uid, _MEMORY: self._memory}
        return {
            "apiVersion": API_VERSION,
            "kind": _KIND.kind,
            "metadata": {"name": self._name(uid, prefix), "labels": labels, "ownerReferences": [owner]},
            "spec": {"integrationUID": uid, "shard": prefix, **shard},
        }
