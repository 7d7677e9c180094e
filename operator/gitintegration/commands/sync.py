"""`gitintegration sync`: an integration is synced now, and its end is waited for."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gitintegration.commands import DIFFERENT, OK
from gitintegration.commands.access import Access, Name, carried_out, the_one
from gitintegration.errors import GitIntegrationError, Reason

if TYPE_CHECKING:
    from gitintegration.cluster.client import Cluster

_LOOKS = 0.5
"""Seconds between looks."""


def sync(
    name: Name = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    timeout: float = 300.0,
    wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
) -> int:
    """Have an integration synced now, and tell how it stands then.

    It ends with 0 where both sides are the same, 1 where they are not, 2 where it can't tell.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    timeout
        Seconds to wait for.
    wait
        Until it was synced.
    """
    return carried_out(_sync(access, name, timeout, wait=wait))


async def _sync(access: Access, name: str | None, seconds: float, *, wait: bool) -> int:
    from rich.console import Console

    from gitintegration.api.base_model import REQUESTED_AT
    from gitintegration.cluster.integrations import KIND, Integrations
    from gitintegration.commands.views import detail, is_in_sync, show, utcnow

    async with access.cluster() as cluster:
        integration = await the_one(Integrations(cluster), access.place, name)
        asked = datetime.now(UTC).isoformat()
        metadata = integration["metadata"]
        path = KIND.path(metadata["namespace"], metadata["name"])
        body = {"metadata": {"annotations": {REQUESTED_AT: asked}}}
        await cluster.request("PATCH", path, body=body, content_type="application/merge-patch+json")
        if not wait:
            return OK
        console = Console(stderr=True)
        with console.status("syncs") if console.is_terminal else nullcontext():
            try:
                async with asyncio.timeout(seconds):
                    done = await _handled(cluster, metadata, asked)
            except TimeoutError:
                words = f"{metadata['name']} was not synced within {seconds:g} s: is the operator running?"
                raise GitIntegrationError(Reason.Timeout, words) from None
    show(detail(done, utcnow()), sys.stdout)
    return OK if is_in_sync(done) else DIFFERENT


async def _handled(cluster: Cluster, metadata: dict[str, Any], asked: str) -> dict[str, Any]:
    """The integration once it was synced for what was asked. Raises GitIntegrationError where it is gone."""
    from gitintegration.cluster.integrations import Integrations

    integrations = Integrations(cluster)
    while True:
        await asyncio.sleep(_LOOKS)
        found = await integrations.get(metadata["namespace"], metadata["name"])
        if found is None:
            raise GitIntegrationError(Reason.InvalidSpec, f"GitIntegration {metadata['name']} is no more")
        if (found.get("status") or {}).get("lastHandledReconcileAt") == asked:
            return found
