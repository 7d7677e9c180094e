"""`gitintegration history`: which commits touched pipelines."""

from __future__ import annotations

from gitintegration.commands.access import Access, Name, carried_out
from gitintegration.commands.operation import Format, operate
from gitintegration.commands.output import Output


def history(
    name: Name = None,
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
    return carried_out(operate(access, name, "history", block, force=False, output=output))
