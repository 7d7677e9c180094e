"""`gitintegration doctor`: what is installed, what may be done and what answers, each with the command that mends it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gitintegration.commands.access import Access, carried_out
from gitintegration.commands.output import Output


def doctor(
    *,
    access: Access = Access(),  # noqa: B008 - of values
    operator_namespace: str = "gitintegration-system",
    operator_account: str = "gitintegration",
    test: Annotated[bool, Parameter(negative="--no-test")] = True,
    timeout: float = 60.0,
    output: Annotated[Output, Parameter(alias="-o")] = Output.text,
) -> int:
    """Look at all that has to be right: versions, CRDs, rights, Lease, policies, the repositories, and how integrations stand.

    A line each: ok, warn or bad, with the command that mends it; unknown is what you may not see. It ends with 0 where nothing
    is amiss, 1 where something is to be looked at, 2 where something is bad.

    Parameters
    ----------
    operator_namespace
        Where the operator is installed.
    operator_account
        Its ServiceAccount there.
    test
        Have the operator reach each repository of the namespace.
    timeout
        Seconds that it has for that.
    output
        text, json or yaml; name: the checks with something amiss.
    """
    from gitintegration.commands.examination import Examination, tell

    examined = Examination(access, operator_namespace, operator_account, timeout if test else 0.0)
    return carried_out(tell(examined, output))
