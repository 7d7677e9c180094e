"""`gitintegration trace` and `blame`: where a pipeline, or each of its fields, comes from."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated

from cyclopts import Parameter

from gitintegration.commands import DIFFERENT, FAILED, OK
from gitintegration.commands.access import Access, Name, carried_out, the_one
from gitintegration.commands.operation import SHORTLY, ended, make, plan_of


class Output(StrEnum):
    text = "text"
    json = "json"


Integration = Annotated[Name, Parameter(alias="-i")]
Limit = Annotated[int, Parameter(help="So many versions of its file are looked at, 500 at most.")]
_LIMIT = 100


def trace(
    pipeline: str,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    integration: Integration = None,
    limit: Limit = _LIMIT,
    output: Annotated[Output, Parameter(alias="-o")] = Output.text,
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
    output: Annotated[Output, Parameter(alias="-o")] = Output.text,
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
    if output is Output.json:
        print(json.dumps({**status["blame"], "fields": found}, indent=2))
    else:
        show((blame_view if fields else trace_view)(status, found, utcnow()), sys.stdout)
    return OK if status["blame"].get("inSync") else DIFFERENT
