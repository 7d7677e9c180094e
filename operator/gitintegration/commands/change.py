"""What the commands share that change a GitIntegration: the patch, its end that is waited for, and the print."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gitintegration.commands.output import Output, print_as
from gitintegration.errors import GitIntegrationError, Reason

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gitintegration.cluster.client import Cluster

_LOOKS = 0.5
"""Seconds between looks."""


Format = Annotated[Output, Parameter(alias="-o", help="text, json or yaml (the GitIntegration), or name.")]
Yes = Annotated[bool, Parameter(alias="-y", negative=(), help="Do it without asking.")]
Timeout = Annotated[float, Parameter(help="Seconds to wait for the operator.")]
Wait = Annotated[bool, Parameter(negative="--no-wait", help="Until the operator has done it.")]


async def patch(cluster: Cluster, seen: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch of this very object. Raises ClusterError; Stale where `body` names a resourceVersion that is over."""
    from gitintegration.cluster.client import MERGE_PATCH
    from gitintegration.cluster.integrations import KIND

    metadata = seen["metadata"]
    path = KIND.path(metadata["namespace"], metadata["name"])
    whole = {**body, "metadata": {"uid": metadata["uid"], **body.get("metadata", {})}}
    query = {"fieldValidation": "Strict"}
    done: dict[str, Any] = await cluster.request("PATCH", path, query=query, body=whole, content_type=MERGE_PATCH)
    return done


def check_awake(integration: Mapping[str, Any], wanted: str) -> None:
    """Raises GitIntegrationError where it is suspended, so that it would be waited for in vain. `wanted`: what is not to be had."""
    from gitintegration.api.suspension import is_suspended
    from gitintegration.commands.views import utcnow

    if is_suspended(integration["spec"], utcnow()):
        name, namespace = integration["metadata"]["name"], integration["metadata"]["namespace"]
        words = f"{name} is suspended, so {wanted}: kubectl gitintegration resume {name} -n {namespace}"
        raise GitIntegrationError(Reason.Suspended, words)


def asked_now() -> tuple[str, dict[str, str]]:
    """A token, and the annotations that ask for a sync with it."""
    from gitintegration.api.base_model import REQUESTED_AT

    token = datetime.now(UTC).isoformat()
    return token, {REQUESTED_AT: token}


async def until(
    cluster: Cluster, seen: Mapping[str, Any], what: str, seconds: float, done: Callable[[Mapping[str, Any]], bool]
) -> dict[str, Any]:
    """The integration once `done` says so of it. Raises GitIntegrationError where it is gone, or not in time.

    `what`: the words that go on with "was not ..." where it takes too long.
    """
    from rich.console import Console

    from gitintegration.cluster.integrations import Integrations

    metadata = seen["metadata"]
    integrations, console = Integrations(cluster), Console(stderr=True)
    with console.status("waits for the operator") if console.is_terminal else nullcontext():
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = await integrations.get(metadata["namespace"], metadata["name"])
                    if found is None:
                        raise GitIntegrationError(Reason.InvalidSpec, f"GitIntegration {metadata['name']} is no more")
                    if done(found):
                        return found
                    await asyncio.sleep(_LOOKS)
        except TimeoutError:
            words = f"{metadata['name']} was not {what} within {seconds:g} s: is the operator running? "
            words += f"kubectl gitintegration doctor -n {metadata['namespace']}"
            raise GitIntegrationError(Reason.Timeout, words) from None


def is_handled(token: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether the sync was done that was asked for by this token."""
    return lambda found: (found.get("status") or {}).get("lastHandledReconcileAt") == token


def ready_of(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its condition Ready; empty where the operator has not looked at it as it is now."""
    status = found.get("status") or {}
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return {}
    return next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})


def tell(integration: Mapping[str, Any], output: Output, view: Callable[[], RenderableType]) -> None:
    """Print an integration as it is asked for; `view` is what people see."""
    from gitintegration.api.base_model import API_VERSION
    from gitintegration.cluster.integrations import KIND

    whole = {"apiVersion": API_VERSION, "kind": KIND.kind, **integration}
    print_as(whole, output, [f"gitintegration.planasonix.com/{integration['metadata']['name']}"], view)


def agreed(question: str, *, yes: bool, option: str = "--yes") -> bool:
    """Whether a person says yes. Raises GitIntegrationError where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise GitIntegrationError(Reason.InvalidSpec, f"nobody can be asked here: add {option}")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
