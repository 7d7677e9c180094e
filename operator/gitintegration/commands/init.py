"""`gitintegration init`: from a namespace and an address to both sides the same, with the plan shown before anything is carried."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from gitintegration.commands.access import Access, carried_out
from gitintegration.commands.change import Format, Timeout, Yes
from gitintegration.commands.login import LoginFlags
from gitintegration.commands.output import Output

Mode = Literal["Bidirectional", "Pull", "Push"]


def init(
    url: str,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    name: str = "default",
    branch: str | None = None,
    prefix: str | None = None,
    provider: Literal["generic", "github", "gitlab", "gitea", "bitbucket", "azuredevops"] | None = None,
    mode: Mode = "Bidirectional",
    login: LoginFlags = LoginFlags(),  # noqa: B008 - of values
    pull_request: Annotated[bool, Parameter(name="--pr", negative=())] = False,
    pr_branch: str = "cluster-changes",
    yes: Yes = False,
    timeout: Timeout = 120.0,
    output: Format = Output.text,
) -> int:
    """Begin to sync a namespace: try the login, make Secret and GitIntegration, show the first sync's plan, and go on once told so.

    Until then the integration is in mode Manual, which carries nothing. Where it fails it says what is there by now; called
    again, it goes on there. It ends with 0 where both sides are the same then; 1 where they are not, or nothing was to be
    carried yet; 2 where it failed.

    Parameters
    ----------
    url
        Address of the repository, without a credential.
    name
        Of the GitIntegration.
    branch
        To sync with. Default: the repository's own.
    prefix
        Folder of the manifests. Default: pipelines/.
    provider
        What serves the repository. Default: generic, or as it is.
    mode
        What is carried from then on.
    pull_request
        Offer what is live as a pull request, instead of pushing it.
    pr_branch
        The branch that it is offered on.
    """
    from gitintegration.commands.setup import Wanted, set_up

    fields = {"defaultBranch": branch, "pathPrefix": prefix, "provider": provider}
    shown = {field: value for field, value in fields.items() if value is not None}
    review = pr_branch if pull_request else None
    wanted = Wanted(url, access, name, mode, shown, review, login)
    return carried_out(set_up(wanted, timeout, yes=yes, output=output))
