"""The end of an integration: its finalizer, and its Secret where that is to go with it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from gitintegration.api.base_model import OWNED_BY
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.api.names import is_subdomain
from gitintegration.cluster.integrations import FINALIZER, Integrations
from gitintegration.controller.integration import Integration, IntegrationKey
from gitintegration.controller.secrets import read_secret
from gitintegration.errors import CredentialError, Forbidden, Reason, Stale


class Finalizer:
    def __init__(self, integrations: Integrations, entries: Mapping[IntegrationKey, Integration]) -> None:
        """`entries` are all integrations: a Secret that another names stays."""
        self._integrations, self._entries = integrations, entries

    async def keep(self, entry: Integration, spec: GitIntegrationSpec) -> None:
        """Only where something must be done at the end: otherwise a missing operator would hold up the delete."""
        registered = (entry.status.get("webhook") or {}).get("registered") or (
            spec.webhook and spec.webhook.register_hook
        )
        wanted = bool(registered or (spec.credentials and spec.credentials.reclaim_policy == "Delete"))
        if wanted != (FINALIZER in entry.metadata.get("finalizers", [])):
            with contextlib.suppress(Stale):
                await self._integrations.set_finalizer(entry.seen, wanted=wanted)

    async def end(self, name: IntegrationKey, entry: Integration) -> float | None:
        """The integration is being deleted: no remote is asked, so that a dead one holds up nothing."""
        if FINALIZER in entry.metadata.get("finalizers", []):
            if words := await self._reclaim(name, entry):
                await self._integrations.event(entry.seen, "Warning", "SecretKept", words)
            with contextlib.suppress(Stale):
                await self._integrations.set_finalizer(entry.seen, wanted=False)
                return None
            return 1.0
        return None

    async def _reclaim(self, name: IntegrationKey, entry: Integration) -> str | None:
        """Delete the integration's Secret where that is asked for; in words why it stays, where it does."""
        ref = _reclaimed(entry.seen)
        if ref is None or any(
            other != name and other[0] == name[0] and _secret_of(rival.seen) == ref
            for other, rival in self._entries.items()
        ):
            return None
        try:
            secret = read_secret(await self._integrations.secret(name[0], ref), ref)
            if not secret.belongs_to(name[1], entry.session.uid):
                return f"Secret {ref!r} stays: {_how_to_own(name[1])}"
            await self._integrations.delete_secret(name[0], secret.name, secret.uid, secret.version)
        except (CredentialError, Forbidden) as error:
            return None if error.reason is Reason.SecretNotFound else f"Secret {ref!r} stays: {error.message}"
        return None


def warnings_of(name: IntegrationKey, entry: Integration) -> tuple[str, ...]:
    """What works and should not stay so, of the login."""
    ref = _reclaimed(entry.seen)
    secret = entry.login.secrets.get(ref) if ref else None
    if secret is None or secret.belongs_to(name[1], entry.session.uid):
        return ()
    return (f"Secret {ref!r} will stay when this is deleted: {_how_to_own(name[1])}",)


def _secret_of(body: Mapping[str, Any]) -> str | None:
    """The Secret that an integration logs in with; None also where what it names can't be one."""
    credentials = (body.get("spec") or {}).get("credentials") or {}
    name = (credentials.get("secretRef") or {}).get("name")
    return name if isinstance(name, str) and is_subdomain(name) else None


def _reclaimed(body: Mapping[str, Any]) -> str | None:
    """The same, where it is to go with the integration."""
    credentials = (body.get("spec") or {}).get("credentials") or {}
    return _secret_of(body) if credentials.get("reclaimPolicy") == "Delete" else None


def _how_to_own(name: str) -> str:
    return f"reclaimPolicy Delete takes only a Secret with the annotation {OWNED_BY}: {name}"
