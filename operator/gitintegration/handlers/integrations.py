"""Hands every event of a GitIntegration to the operator; all else is done from its queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kopf

from gitintegration.api.base_model import GROUP, VERSION
from gitintegration.controller.controller import Controller, shard_of


def registry(operator: Controller) -> kopf.OperatorRegistry:
    """The handlers, bound to an operator; what is in another shard is left to it."""
    made = kopf.OperatorRegistry()

    @kopf.on.event(GROUP, VERSION, "gitintegrations", registry=made)
    async def event(event: Mapping[str, Any], body: kopf.Body, **_: Any) -> None:
        metadata = body["metadata"]
        if event["type"] == "DELETED":
            await operator.gone((metadata["namespace"], metadata["name"]))
        elif shard_of(body) != operator.shard:
            await operator.seen_elsewhere(dict(body))
        else:
            await operator.seen(dict(body))

    return made


class _NoDiffs(kopf.DiffBaseStorage):
    """No handler asks what changed in an object; copying each to know it was a tenth of the work of a start."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is kept on the objects."""


def settings() -> kopf.OperatorSettings:
    """kopf leaves no trace of its own on the objects: no annotations, no events."""
    made = kopf.OperatorSettings()
    made.persistence.diffbase_storage = _NoDiffs()
    made.posting.enabled = False
    made.posting.level = 100
    made.scanning.disabled = True  # it would read all CRDs, which is more than the operator may
    made.watching.server_timeout = 300
    made.watching.connect_timeout = 5
    made.networking.request_timeout = 30
    made.networking.connect_timeout = 5
    made.networking.error_backoffs = [1, 2, 5, 10, 30, 60, 60, 60, 60]
    return made


def login(registry: kopf.OperatorRegistry, configuration: Any) -> None:
    """kopf talks to the same API server, with the same credentials, as the rest of the process."""

    @kopf.on.login(registry=registry)
    async def connect(**_: Any) -> kopf.ConnectionInfo:
        bearer = await configuration.get_api_key_with_prefix("BearerToken", "authorization")
        scheme, _space, token = (bearer or "").partition(" ")  # a kubeconfig gives "Bearer", a ServiceAccount "bearer"
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
        )
