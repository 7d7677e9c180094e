"""`gitintegration restore`: pipelines as they stood at a commit."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gitintegration.commands.access import Access, Name, carried_out
from gitintegration.commands.operation import DryRun, Format, PlanDigest, operate
from gitintegration.commands.output import Output


def restore(
    pipeline: str,
    /,
    *more: str,
    to: str,
    access: Access = Access(),  # noqa: B008 - of values
    integration: Annotated[Name, Parameter(alias="-i")] = None,
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
    return carried_out(operate(access, integration, "pull", block, force=False, output=output))
