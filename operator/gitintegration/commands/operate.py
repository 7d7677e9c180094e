"""`gitintegration push`, `pull` and what is like them: an operation is made, followed to its end, and told."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from enum import StrEnum
from typing import Annotated, Any, Literal

import yaml
from cyclopts import Parameter
from rich.console import Console, Group

from gitintegration.api.base_model import API_VERSION
from gitintegration.cluster.client import Cluster
from gitintegration.cluster.integrations import Integrations
from gitintegration.cluster.operations import KIND, PLANS
from gitintegration.commands import DIFFERENT, FAILED, OK
from gitintegration.commands.access import Access, carried_out, the_one
from gitintegration.commands.views import field_view, heading, operation_view, patches, plain_patches, show, utcnow

_LOOKS = 0.5
"""Seconds between looks at an operation that runs."""
_KEPT, SHORTLY = 86400, 300
"""Seconds for which one is kept once it has ended: what was done, and what was only looked at."""


class Output(StrEnum):
    text = "text"
    json = "json"
    yaml = "yaml"
    name = "name"


Pipelines = Annotated[tuple[str, ...], Parameter(name="--pipeline", negative=())]
DryRun = Annotated[bool, Parameter(negative=(), help="Only tell what would be done.")]
PlanDigest = Annotated[
    str | None, Parameter(help="Digest of a dry run: do that, or nothing where it is another by now.")
]
Force = Annotated[bool, Parameter(negative=(), help="Also where the integration is suspended.")]
Format = Annotated[Output, Parameter(alias="-o", help="text, json or yaml (the GitOperation), or name.")]


def push(
    name: str | None = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    pipeline: Pipelines = (),
    branch: str | None = None,
    message: Annotated[str | None, Parameter(alias="-m")] = None,
    pull_request: Annotated[bool, Parameter(name="--pr", negative=())] = False,
    dry_run: DryRun = False,
    plan: PlanDigest = None,
    force: Force = False,
    output: Format = Output.text,
) -> int:
    """Push pipelines of the cluster to a branch, as one commit.

    It ends with 0 where that was done, or there was nothing to do; 1 where a dry run finds something to do, or some is in
    conflict; 2 where it failed.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    pipeline
        Id or name; may be given more than once. Default: all that are ahead.
    branch
        Default: the default branch.
    message
        Of the commit. Default: made from the plan.
    pull_request
        Open, or update, a pull request from that branch to the default branch.
    """
    block = {
        "branch": branch,
        "message": message,
        "pipelines": list(pipeline) or None,
        "createPullRequest": pull_request or None,
        "dryRun": dry_run or None,
        "planDigest": plan,
    }
    return carried_out(_operate(access, name, "push", block, force=force, output=output))


def pull(
    name: str | None = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    pipeline: Pipelines = (),
    branch: str | None = None,
    strategy: Literal["merge", "ours", "theirs"] | None = None,
    revision: str | None = None,
    dry_run: DryRun = False,
    plan: PlanDigest = None,
    force: Force = False,
    output: Format = Output.text,
) -> int:
    """Bring pipelines of a branch into the cluster.

    It ends with 0 where that was done, or there was nothing to do; 1 where a dry run finds something to do, or some is in
    conflict; 2 where it failed.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    pipeline
        Id or name; may be given more than once. Default: all.
    branch
        Default: the default branch.
    strategy
        Who wins a conflict: nobody (merge), the cluster (ours), or git (theirs).
    revision
        Commit: restore the pipelines that are named as they stood there.
    """
    block = {
        "branch": branch,
        "strategy": strategy,
        "pipelines": list(pipeline) or None,
        "revision": revision,
        "dryRun": dry_run or None,
        "planDigest": plan,
    }
    return carried_out(_operate(access, name, "pull", block, force=force, output=output))


def restore(
    pipeline: str,
    /,
    *more: str,
    to: str,
    access: Access = Access(),  # noqa: B008 - of values
    integration: Annotated[str | None, Parameter(alias="-i")] = None,
    branch: str | None = None,
    dry_run: DryRun = False,
    plan: PlanDigest = None,
    output: Format = Output.text,
) -> int:
    """Bring pipelines back as they stood at a commit, also where they were deleted since.

    They come back in the cluster; the next push carries them to git. It ends as pull does.

    Parameters
    ----------
    pipeline
        Id or name.
    more
        Others.
    to
        Commit, seven characters of it at least.
    integration
        Name of a GitIntegration. Default: the only one of the namespace.
    branch
        That the commit is on. Default: the default branch.
    """
    block = {
        "branch": branch,
        "pipelines": [pipeline, *more],
        "revision": to,
        "dryRun": dry_run or None,
        "planDigest": plan,
    }
    return carried_out(_operate(access, integration, "pull", block, force=False, output=output))


def history(
    name: str | None = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    branch: str | None = None,
    path: str | None = None,
    limit: int = 30,
    output: Format = Output.text,
) -> int:
    """Show which commits touched pipelines, newest first.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    branch
        Default: the default branch.
    path
        Only commits that touched this file or folder. Default: the prefix.
    limit
        So many commits at most.
    """
    block = {"branch": branch, "path": path, "limit": limit}
    return carried_out(_operate(access, name, "history", block, force=False, output=output))


class Shape(StrEnum):
    unified = "unified"
    fields = "fields"
    json = "json"


def diff(
    name: str | None = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    pipeline: Pipelines = (),
    side: Literal["push", "pull", "both"] = "both",
    branch: str | None = None,
    output: Annotated[Shape, Parameter(alias="-o", help="unified (patches), fields, or json.")] = Shape.unified,
) -> int:
    """Show what a push would commit and what a pull would bring, with values. Nothing is written.

    It ends with 0 where nothing would travel; 1 where something would, or is in conflict; 2 where it failed.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    pipeline
        Id or name; may be given more than once. Default: all.
    side
        What would be pushed, what would be pulled, or both.
    branch
        Default: the default branch.
    """
    kinds = ("push", "pull") if side == "both" else (side,)
    return carried_out(_diff(access, name, kinds, {"branch": branch, "pipelines": list(pipeline) or None}, output))


async def _diff(access: Access, name: str | None, kinds: Sequence[str], block: Mapping[str, Any], output: Shape) -> int:
    found, code = list[dict[str, Any]](), OK
    async with access.cluster() as cluster:
        integration = await the_one(Integrations(cluster), access.place, name)
        for kind in kinds:
            made = await make(cluster, integration, kind, {**block, "dryRun": True}, force=True, kept=SHORTLY)
            done = await ended(cluster, made)
            code = max(code, code_of(done))
            found.append({"kind": kind, "operation": done, **await plan_of(cluster, done)})
    if output is Shape.json:
        print(json.dumps([{**each, "operation": each["operation"]["metadata"]["name"]} for each in found], indent=2))
    for each in found if output is not Shape.json else ():
        if output is Shape.unified and not sys.stdout.isatty():
            sys.stdout.write(plain_patches(each))
        else:
            shown = patches(each) if output is Shape.unified else [field_view(each)]
            show(Group(heading(each), *shown), sys.stdout)
    return code


async def plan_of(cluster: Cluster, operation: Mapping[str, Any]) -> dict[str, list[Any]]:
    """All changes and files of the plan of an operation."""
    told, rows = operation["status"].get("plan") or {}, dict[str, list[Any]](changes=[], files=[], fields=[])
    for number in range(1, told.get("pages", 0) + 1):
        path = PLANS.path(operation["metadata"]["namespace"], f"{told['name']}-{number}")
        page = (await cluster.request("GET", path))["spec"]
        for what, kept in rows.items():
            kept += page.get(what) or ()
    return {what: kept if what == "fields" else sorted(kept, key=_place) for what, kept in rows.items()}


def _place(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row.get("path")), str(row.get("name"))


async def _operate(
    access: Access, name: str | None, kind: str, block: Mapping[str, Any], *, force: bool, output: Output
) -> int:
    async with access.cluster() as cluster:
        integration = await the_one(Integrations(cluster), access.place, name)
        done = await ended(cluster, await make(cluster, integration, kind, block, force=force))
    match output:
        case Output.json:
            print(json.dumps(done, indent=2))
        case Output.yaml:
            print(yaml.safe_dump(done, sort_keys=False), end="")
        case Output.name:
            print(f"gitoperation.planasonix.com/{done['metadata']['name']}")
        case _:
            show(operation_view(done, utcnow()), sys.stdout)
    return code_of(done)


async def make(
    cluster: Cluster,
    integration: Mapping[str, Any],
    kind: str,
    block: Mapping[str, Any],
    *,
    force: bool = False,
    kept: int = _KEPT,
) -> dict[str, Any]:
    """Create a GitOperation, `kept` so many seconds once it has ended. Raises ClusterError where the API server says no to it."""
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
        "metadata": {"generateName": f"{kind}-", "namespace": metadata["namespace"]},
        "spec": spec,
    }
    query = {"fieldValidation": "Strict"}
    made: dict[str, Any] = await cluster.request("POST", KIND.path(metadata["namespace"]), query=query, body=body)
    return made


async def ended(cluster: Cluster, operation: dict[str, Any]) -> dict[str, Any]:
    """The operation once it has ended; meanwhile a terminal is told how it stands."""
    metadata = operation["metadata"]
    path = KIND.path(metadata["namespace"], metadata["name"])
    console = Console(stderr=True)
    with console.status("waits") if console.is_terminal else nullcontext() as progress:
        while not (operation.get("status") or {}).get("finishedAt"):
            if progress is not None:
                progress.update(_progress(operation.get("status") or {}))
            await asyncio.sleep(_LOOKS)
            operation = await cluster.request("GET", path)
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
