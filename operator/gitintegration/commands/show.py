"""`gitintegration show`: one commit, with what it changed in pipelines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from gitintegration.commands import DIFFERENT, FAILED, OK
from gitintegration.commands.access import Access, Name, carried_out, the_one
from gitintegration.commands.diff import Format, Shape, names_of
from gitintegration.commands.operation import SHORTLY, ended, make, plan_of
from gitintegration.commands.output import print_as


def show(
    revision: str,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    integration: Annotated[Name, Parameter(alias="-i")] = None,
    branch: str | None = None,
    output: Format = Shape.unified,
) -> int:
    """Show one commit: who made it, what it says, and what it changed in pipelines.

    The operator reads it, so that no login of git is needed. It ends with 0; 1 where the commit changed no pipeline; 2 where
    it failed, because there is no such commit say.

    Parameters
    ----------
    revision
        Commit, seven characters of it at least.
    integration
        Name of a GitIntegration. Default: the only one of the namespace.
    branch
        That the commit is on. Default: the default branch.
    """
    return carried_out(_show(access, integration, {"branch": branch, "revision": revision}, output))


async def _show(access: Access, name: str | None, block: Mapping[str, Any], output: Shape) -> int:
    from rich.console import Group

    from gitintegration.cluster.integrations import Integrations
    from gitintegration.commands import views
    from gitintegration.commands.views import commit_heading, utcnow

    async with access.cluster() as cluster:
        integration = await the_one(Integrations(cluster), access.place, name)
        done = await ended(cluster, await make(cluster, integration, "history", block, kept=SHORTLY))
        plan = await plan_of(cluster, done)
    if done["status"].get("phase") != "Succeeded":
        views.show(views.operation_view(done, utcnow()), sys.stdout)
        return FAILED
    (commit,) = done["status"]["history"]
    if output is Shape.unified and not sys.stdout.isatty():
        sys.stdout.write(views.plain_commit(commit, plan, utcnow()))
    else:
        shown = views.commit_patches(plan) if output is Shape.unified else [views.field_view(plan)]
        view = Group(commit_heading(commit, utcnow()), *shown)
        print_as({"commit": commit, **plan}, output, names_of(plan), lambda: view)
    return OK if plan["changes"] else DIFFERENT
