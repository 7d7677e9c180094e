"""`gitintegration confirm`: what waits for a person is shown, and exactly that is released."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gitintegration.commands import DIFFERENT, OK
from gitintegration.commands.access import Access, Name, carried_out, the_one
from gitintegration.commands.change import (
    Format,
    Timeout,
    Yes,
    agreed,
    asked_now,
    check_awake,
    is_handled,
    patch,
    tell,
    until,
)
from gitintegration.commands.output import Output
from gitintegration.errors import GitIntegrationError, Reason, Stale

if TYPE_CHECKING:
    from gitintegration.cluster.client import Cluster

_TRIES = 5
"""A status that is written meanwhile is read anew so often."""


def confirm(
    name: Name = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    digest: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    yes: Yes = False,
    timeout: Timeout = 300.0,
    output: Format = Output.text,
) -> int:
    """Show what waits for confirmation, mass deletes and copies to another prefix, and release exactly that.

    It ends with 0 where what was shown is released, or nothing is held; 1 where nothing was released, because that was not
    wanted or it became another meanwhile; 2 where it failed.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    digest
        Release only this, as status.held names it; may be given more than once. Default: all that is held.
    """
    return carried_out(_confirm(access, name, digest, timeout, yes=yes, output=output))


async def _confirm(
    access: Access, name: str | None, digests: Sequence[str], seconds: float, *, yes: bool, output: Output
) -> int:
    from gitintegration.cluster.integrations import Integrations
    from gitintegration.commands.views import confirmed_view, held_view, show

    aside = sys.stdout if output is Output.text else sys.stderr
    async with access.cluster() as cluster:
        integrations = Integrations(cluster)
        found = await the_one(integrations, access.place, name)
        shown = wanted(held_of(found), digests)
        if shown is None:
            show(held_view(found, held_of(found)), aside)
            return _unreleased(found, output, "it is another by now: nothing was released")
        if not shown:
            tell(found, output, lambda: f"{found['metadata']['name']} holds nothing back")
            return OK
        check_awake(found, "nothing can be released")
        show(held_view(found, shown), aside)
        if not agreed("Release this?", yes=yes):
            return _unreleased(found, output, "nothing was released")
        token = await _released(cluster, found, shown)
        if token is None:
            now = await the_one(integrations, access.place, found["metadata"]["name"])
            show(held_view(now, held_of(now)), aside)
            return _unreleased(now, output, "it became another meanwhile: nothing was released")
        done = await until(cluster, found, "synced", seconds, is_handled(token))
        untouched = digests_of(held_of(found)) - digests_of(shown)
        left = [one for one in held_of(done) if one["digest"] not in untouched]
    tell(done, output, lambda: confirmed_view(done, shown, left))
    return DIFFERENT if left else OK


async def _released(cluster: Cluster, found: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> str | None:
    """The token of the sync that was asked for; None where not exactly this is held any more. Raises GitIntegrationError."""
    from gitintegration.api.base_model import CONFIRM_DELETES
    from gitintegration.cluster.integrations import Integrations

    metadata = found["metadata"]
    for _ in range(_TRIES):
        now = await Integrations(cluster).get(metadata["namespace"], metadata["name"])
        if now is None or now["metadata"]["uid"] != metadata["uid"]:
            raise GitIntegrationError(Reason.InvalidSpec, f"GitIntegration {metadata['name']} is no more")
        if not digests_of(shown) <= digests_of(held_of(now)):
            return None
        token, asks = asked_now()
        confirms = {CONFIRM_DELETES: ",".join(sorted(digests_of(shown)))}
        version = now["metadata"]["resourceVersion"]
        try:
            await patch(cluster, now, {"metadata": {"resourceVersion": version, "annotations": {**asks, **confirms}}})
        except Stale:
            continue
        return token
    raise GitIntegrationError(
        Reason.Contested, f"{metadata['name']} moves all the time: nothing was released; try again"
    )


def held_of(integration: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What its status says that is held back."""
    return list((integration.get("status") or {}).get("held") or ())


def digests_of(held: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(one["digest"]) for one in held}


def wanted(held: Sequence[dict[str, Any]], digests: Sequence[str]) -> list[dict[str, Any]] | None:
    """Those that are named, or all; None where one that is named is not held."""
    if set(digests) - digests_of(held):
        return None
    return [one for one in held if not digests or one["digest"] in digests]


def _unreleased(found: Mapping[str, Any], output: Output, words: str) -> int:
    print(words, file=sys.stderr)
    if output is not Output.text:
        tell(found, output, lambda: "")
    return DIFFERENT
