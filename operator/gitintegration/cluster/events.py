"""Events of our objects, for those who look with kubectl."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gitintegration.api.base_model import API_VERSION
from gitintegration.cluster.client import Cluster
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.core.text import plain
from gitintegration.errors import ClusterError

_EVENTS = ResourceKind("", "v1", "Event", "events", True)
_LIMIT = 1000
"""Characters of a message; the API server takes 1024."""


async def write_event(
    cluster: Cluster, seen: Mapping[str, Any], *, of: str, kind: str, reason: str, message: str
) -> None:
    """Best effort, about the object of kind `of`: an event that can't be written is no reason to fail a sync."""
    metadata = seen["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    involved = {
        "apiVersion": API_VERSION,
        "kind": of,
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata.get("resourceVersion", ""),
    }
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{time.time_ns():x}", "namespace": metadata["namespace"]},
        "involvedObject": involved,
        "type": kind,
        "reason": reason,
        "message": plain(message[:_LIMIT]),
        "source": {"component": "gitintegration"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        await cluster.request("POST", _EVENTS.path(metadata["namespace"]), body=body)
    except ClusterError:
        return
