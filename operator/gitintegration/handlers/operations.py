"""Hands every event of a GitOperation to the operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kopf

from gitintegration.api.base_model import GROUP, VERSION
from gitintegration.operations.queue import OperationQueue


def register(registry: kopf.OperatorRegistry, operations: OperationQueue) -> None:
    """The handler, bound to the operations of an operator."""

    @kopf.on.event(GROUP, VERSION, "gitoperations", registry=registry)
    async def event(event: Mapping[str, Any], body: kopf.Body, **_: Any) -> None:
        metadata = body["metadata"]
        if event["type"] == "DELETED":
            operations.gone((metadata["namespace"], metadata["name"]))
        else:
            await operations.seen(dict(body))
