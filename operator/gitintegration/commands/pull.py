"""`gitintegration pull`: what is in git goes live."""

from __future__ import annotations

from typing import Literal

from gitintegration.commands.access import Access, Name, carried_out
from gitintegration.commands.operation import DryRun, Force, Format, Pipelines, PlanDigest, operate
from gitintegration.commands.output import Output


def pull(
    name: Name = None,
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
    return carried_out(operate(access, name, "pull", block, force=force, output=output))
