"""The status of one of our own objects: the one place that writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitintegration.cluster.client import MERGE_PATCH, Cluster, NotFoundError
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.errors import Stale


async def write_status(
    cluster: Cluster, kind: ResourceKind, seen: Mapping[str, Any], status: Mapping[str, Any]
) -> bool:
    """Set the status of the very object that was seen: the same name made anew keeps its own. False where it is no more."""
    metadata = seen["metadata"]
    path = kind.path(metadata["namespace"], metadata["name"], "status")
    body = {"metadata": {"uid": metadata["uid"]}, "status": _patch(seen.get("status") or {}, status)}
    try:
        await cluster.request("PATCH", path, body=body, content_type=MERGE_PATCH)
    except (NotFoundError, Stale):
        return False
    return True


def _patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch that makes the one of the other: what is not to stay is told as null, also within a field."""
    dropped = {field: None for field in before if field not in after}
    nested = {
        f: _patch(before[f], v) for f, v in after.items() if isinstance(v, dict) and isinstance(before.get(f), dict)
    }
    return {**dropped, **after, **nested}
