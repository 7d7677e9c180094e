"""Reading and writing whole objects. Every write carries what it was planned on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from gitintegration.cluster.client import FIELD_MANAGER, Cluster, NotFoundError
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.errors import ClusterUnavailable, KindUnavailable, Stale

CHUNK = 500

_WRITE = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Ignore"}
"""A field that the schema does not know is pruned, as kubectl without validation has it: it stays in git, and is no
reason to leave a pipeline unsynced."""


@contextmanager
def of_kind(kind: ResourceKind) -> Iterator[None]:
    """What is wrong with a kind as a whole leaves this block as KindUnavailable; a NotFoundError that names an object stays."""
    try:
        yield
    except NotFoundError as error:
        if error.named:
            raise
        words = f"the cluster no longer serves {kind.kind} in {kind.api_version}; nothing of it is written or deleted: "
        raise KindUnavailable(words + "install its CRD again, or serve that version, or mend spec.resources") from None
    except ClusterUnavailable as error:
        if not error.answered:
            raise
        words = (
            f"{kind.kind} ({kind.api_version}) can't be read or written now, and waits as it is; the API server says: "
        )
        raise KindUnavailable(f"{words}{error.message}") from None


class Objects:
    """The objects of all kinds."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def acting_as(self, user: str) -> Objects:
        """With the rights of a ServiceAccount; empty: the operator's own."""
        return Objects(self._cluster.acting_as(user)) if user else self

    async def get(self, kind: ResourceKind, namespace: str, name: str) -> dict[str, Any] | None:
        """None only where the server says that this object is not there. Raises KindUnavailable."""
        try:
            with of_kind(kind):
                found: dict[str, Any] = await self._cluster.request("GET", kind.path(namespace, name))
        except NotFoundError:
            return None
        return found

    async def list(self, kind: ResourceKind, namespace: str) -> AsyncIterator[dict[str, Any]]:
        """Every object of a namespace, as it is now (not from the server's cache)."""
        query = {"limit": str(CHUNK)}
        while True:
            with of_kind(kind):
                page = await self._cluster.request("GET", kind.path(namespace), query=query)
            for item in page["items"] or ():
                yield {"apiVersion": kind.api_version, "kind": kind.kind, **item}
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def create(self, kind: ResourceKind, namespace: str, body: Any, *, dry_run: bool = False) -> dict[str, Any]:
        """Raises Stale where it exists already."""
        query = {**_WRITE, **({"dryRun": "All"} if dry_run else {})}
        with of_kind(kind):
            made: dict[str, Any] = await self._cluster.request("POST", kind.path(namespace), query=query, body=body)
        return made

    async def replace(
        self, kind: ResourceKind, namespace: str, name: str, body: Any, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """`body` holds the resourceVersion it was made from. Raises Stale where the object moved or is gone."""
        query = {**_WRITE, **({"dryRun": "All"} if dry_run else {})}
        try:
            with of_kind(kind):
                made: dict[str, Any] = await self._cluster.request(
                    "PUT", kind.path(namespace, name), query=query, body=body
                )
        except NotFoundError as error:
            raise Stale(error.message) from None
        return made

    async def delete(
        self, kind: ResourceKind, namespace: str, name: str, *, uid: str, resource_version: str, dry_run: bool = False
    ) -> None:
        """Raises Stale where the object moved; one that is gone already is fine."""
        conditions = {"uid": uid, "resourceVersion": resource_version}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
        try:
            with of_kind(kind):
                query = {"dryRun": "All"} if dry_run else None
                await self._cluster.request("DELETE", kind.path(namespace, name), query=query, body=body)
        except NotFoundError:
            return
