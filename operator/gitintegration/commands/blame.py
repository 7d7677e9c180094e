"""`gitintegration trace` and `blame`: where a pipeline, or each of its fields, comes from."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from gitintegration.commands import DIFFERENT, FAILED, OK
from gitintegration.commands.access import Access, Name, carried_out, the_one
from gitintegration.commands.operation import SHORTLY, ended, make, plan_of
from gitintegration.commands.output import Output, print_as

Integration = Annotated[Name, Parameter(alias="-i")]
Format = Annotated[Output, Parameter(alias="-o", help="text, json, yaml, or name (KIND/NAME).")]
Limit = Annotated[int, Parameter(help="So many versions of its file are looked at, 500 at most.")]
_LIMIT = 100


def trace(
    pipeline: str,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    integration: Integration = None,
    limit: Limit = _LIMIT,
    output: Format = Output.text,
) -> int:
    """Show where a pipeline lies in git, who edited it last on either side, and how it stands.

    It ends with 0 where both sides are the same; 1 where they are not; 2 where it can't be told, because there is none say.

    Parameters
    ----------
    pipeline
        KIND/NAME, or an id or name.
    integration
        Name of a GitIntegration. Default: the only one of the namespace.
    """
    return carried_out(_told(access, integration, pipeline, limit, output, fields=False))


def blame(
    pipeline: str,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    integration: Integration = None,
    limit: Limit = _LIMIT,
    output: Format = Output.text,
) -> int:
    """Show where each field of a pipeline comes from: its commit, or who edited it in the cluster.

    It ends with 0 where both sides are the same; 1 where they are not; 2 where it can't be told, because there is none say.

    Parameters
    ----------
    pipeline
        KIND/NAME, or an id or name.
    integration
        Name of a GitIntegration. Default: the only one of the namespace.
    """
    return carried_out(_told(access, integration, pipeline, limit, output, fields=True))


async def _told(access: Access, name: str | None, pipeline: str, limit: int, output: Output, *, fields: bool) -> int:
    from gitintegration.cluster.integrations import Integrations
    from gitintegration.commands.views import blame_view, operation_view, show, trace_view, utcnow

    async with access.cluster() as cluster:
        integration = await the_one(Integrations(cluster), access.place, name)
        block = {"blame": pipeline, "limit": limit}
        done = await ended(cluster, await make(cluster, integration, "history", block, kept=SHORTLY))
        found = (await plan_of(cluster, done, "fields"))["fields"]
    status = done["status"]
    if status.get("phase") != "Succeeded":
        show(operation_view(done, utcnow()), sys.stdout)
        return FAILED
    told, view = status["blame"], blame_view if fields else trace_view
    names = [f"{told.get('kind')}/{told.get('name')}"]
    print_as({**told, "fields": found}, output, names, lambda: view(status, found, utcnow()))
    return OK if told.get("inSync") else DIFFERENT
