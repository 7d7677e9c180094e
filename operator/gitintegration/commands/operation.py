"""What the commands share that make a GitOperation: it is made, followed to its end, and told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gitintegration.commands import DIFFERENT, FAILED, OK
from gitintegration.commands.access import Access, the_one
from gitintegration.commands.output import Output, print_as

if TYPE_CHECKING:
    from gitintegration.cluster.client import Cluster

_LOOKS = 0.5
"""Seconds between looks at an operation that runs."""
KEPT = 86400
"""Seconds for which one is kept once it has ended."""
SHORTLY = 300
"""The same, of one that only looked."""


Pipelines = Annotated[tuple[str, ...], Parameter(name="--pipeline", negative=())]
DryRun = Annotated[bool, Parameter(negative=(), help="Only tell what would be done, with values.")]
PlanDigest = Annotated[
    str | None, Parameter(help="Digest of a dry run: do that, or nothing where it is another by now.")
]
Force = Annotated[bool, Parameter(negative=(), help="Also where the integration is suspended.")]
Format = Annotated[Output, Parameter(alias="-o", help="text, json or yaml (the GitOperation), or name.")]


async def operate(
    access: Access, name: str | None, kind: str, block: Mapping[str, Any], *, force: bool, output: Output
) -> int:
    """Have an operation carried out, and tell how it ended; of a dry run, with the patches. The exit code."""
    from rich.console import Group

    from gitintegration.cluster.integrations import Integrations
    from gitintegration.commands.views import operation_view, patches, utcnow

    async with access.cluster() as cluster:
        integration = await the_one(Integrations(cluster), access.place, name)
        done = await ended(cluster, await make(cluster, integration, kind, block, force=force))
        shows = output is Output.text and block.get("dryRun")
        shown = patches(await plan_of(cluster, done)) if shows else []
    names = [f"gitoperation.planasonix.com/{done['metadata']['name']}"]
    print_as(done, output, names, lambda: Group(operation_view(done, utcnow()), *shown))
    return code_of(done)


async def make(
    cluster: Cluster,
    integration: Mapping[str, Any],
    kind: str,
    block: Mapping[str, Any],
    *,
    force: bool = False,
    kept: int = KEPT,
    name: str | None = None,
) -> dict[str, Any]:
    """Create a GitOperation, `kept` so many seconds once it has ended. Raises ClusterError where the API server says no to it.

    `name`: None for any that is free.
    """
    from gitintegration.api.base_model import API_VERSION
    from gitintegration.cluster.operations import KIND

    metadata = integration["metadata"]
    spec = {
        "integrationRef": {"name": metadata["name"]},
        "kind": kind,
        kind: {field: value for field, value in block.items() if value is not None},
        "ttlSecondsAfterFinished": kept,
        **({"force": True} if force else {}),
    }
    body = {
        "apiVersion": API_VERSION,
        "kind": KIND.kind,
        "metadata": {**({"name": name} if name else {"generateName": f"{kind}-"}), "namespace": metadata["namespace"]},
        "spec": spec,
    }
    query = {"fieldValidation": "Strict"}
    made: dict[str, Any] = await cluster.request("POST", KIND.path(metadata["namespace"]), query=query, body=body)
    return made


async def ended(cluster: Cluster, operation: dict[str, Any], *, quiet: bool = False) -> dict[str, Any]:
    """The operation once it has ended; meanwhile a terminal is told how it stands, where not `quiet`, and who leaves, where it is to be found."""
    from rich.console import Console

    from gitintegration.cluster.operations import KIND

    metadata = operation["metadata"]
    path = KIND.path(metadata["namespace"], metadata["name"])
    console = Console(stderr=True)
    try:
        with console.status("waits") if console.is_terminal and not quiet else nullcontext() as progress:
            while not (operation.get("status") or {}).get("finishedAt"):
                if progress is not None:
                    progress.update(_progress(operation.get("status") or {}))
                await asyncio.sleep(_LOOKS)
                operation = await cluster.request("GET", path)
    except asyncio.CancelledError:
        words = f"it goes on in the cluster: kubectl -n {metadata['namespace']} get gitop {metadata['name']}"
        print(words, file=sys.stderr)
        raise
    return operation


def _progress(status: Mapping[str, Any]) -> str:
    told, total = status.get("progress") or {}, ""
    if told.get("total"):
        total = f", {told.get('done', 0)} of {told['total']}"
    return f"{status.get('phase', 'Pending')}{total}"


def code_of(operation: Mapping[str, Any]) -> int:
    """The exit code that an operation's end stands for."""
    status, spec = operation["status"], operation["spec"]
    if status.get("phase") != "Succeeded":
        return FAILED
    block = spec.get(spec["kind"]) or {}
    is_open = status.get("conflicts") or (block.get("dryRun") and status.get("changes"))
    return DIFFERENT if is_open else OK


async def plan_of(cluster: Cluster, operation: Mapping[str, Any], *rows: str) -> dict[str, list[Any]]:
    """All that the plan of an operation holds; `rows`: of which sorts, changes and files where none is named."""
    from gitintegration.cluster.operations import PLANS

    told = operation["status"].get("plan") or {}
    found: dict[str, list[Any]] = {sort: [] for sort in rows or ("changes", "files")}
    for number in range(1, told.get("pages", 0) + 1):
        path = PLANS.path(operation["metadata"]["namespace"], f"{told['name']}-{number}")
        page = (await cluster.request("GET", path))["spec"]
        for sort, kept in found.items():
            kept += page.get(sort) or ()
    return {sort: kept if sort == "fields" else sorted(kept, key=_place) for sort, kept in found.items()}


def _place(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row.get("path")), str(row.get("name"))
