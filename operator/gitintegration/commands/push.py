"""`gitintegration push`: what is in the cluster becomes a commit."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gitintegration.commands.access import Access, Name, carried_out
from gitintegration.commands.operation import DryRun, Force, Format, Pipelines, PlanDigest, operate
from gitintegration.commands.output import Output


def push(
    name: Name = None,
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
    return carried_out(operate(access, name, "push", block, force=force, output=output))
