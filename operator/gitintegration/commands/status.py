"""`gitintegration status`: how integrations stand, on one screen."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import yaml
from cyclopts import Parameter
from rich.console import Group, RenderableType

from gitintegration.api.base_model import API_VERSION
from gitintegration.cluster.integrations import Integrations
from gitintegration.commands import DIFFERENT, OK
from gitintegration.commands.access import Access, carried_out, the_one
from gitintegration.commands.views import detail, is_in_sync, overview, show, utcnow
from gitintegration.errors import GitIntegrationError, Reason

_LOOKS = 2.0
"""Seconds between looks with --watch."""


class Output(StrEnum):
    text = "text"
    wide = "wide"
    json = "json"
    yaml = "yaml"
    name = "name"


def status(
    name: str | None = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    all_namespaces: Annotated[bool, Parameter(alias="-A", negative=())] = False,
    watch: Annotated[bool, Parameter(alias="-w", negative=())] = False,
    output: Annotated[Output, Parameter(alias="-o")] = Output.text,
) -> int:
    """Show how integrations stand: what is ahead, in conflict, left alone, and what mends it.

    It ends with 0 where all are in sync, 1 where one is not, 2 where it can't tell.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: all of the namespace.
    all_namespaces
        Those of all namespaces.
    watch
        Again and again, until Ctrl-C.
    output
        text: one in detail, several a line each; wide: each in detail; json, yaml: the GitIntegrations themselves; name.
    """
    return carried_out(_status(name, access, everywhere=all_namespaces, watch=watch, output=output))


async def _status(name: str | None, access: Access, *, everywhere: bool, watch: bool, output: Output) -> int:
    async with access.cluster() as cluster:
        integrations = Integrations(cluster)
        while True:
            found = await _found(integrations, None if everywhere else access.place, name)
            _print(found, output)
            if not watch:
                return OK if all(is_in_sync(one, utcnow()) for one in found) else DIFFERENT
            await asyncio.sleep(_LOOKS)


async def _found(integrations: Integrations, namespace: str | None, name: str | None) -> list[dict[str, Any]]:
    """By namespace and name. Raises GitIntegrationError where there is none of that name."""
    if name is not None and namespace is not None:
        return [await the_one(integrations, namespace, name)]
    found = [one for one in await integrations.all(namespace) if name in (None, one["metadata"]["name"])]
    if name is not None and not found:
        raise GitIntegrationError(Reason.InvalidSpec, f"there is no GitIntegration {name} in any namespace")
    return sorted(found, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))


def _print(found: Sequence[dict[str, Any]], output: Output) -> None:
    match output:
        case Output.json:
            print(json.dumps(_as_list(found), indent=2))
        case Output.yaml:
            print(yaml.safe_dump(_as_list(found), sort_keys=False), end="")
        case Output.name:
            for one in found:
                print(f"gitintegration.planasonix.com/{one['metadata']['name']}")
        case _:
            show(_view(found, wide=output is Output.wide), sys.stdout)


def _view(found: Sequence[dict[str, Any]], *, wide: bool) -> RenderableType:
    if not found:
        return "no GitIntegration here"
    if wide or len(found) == 1:
        return Group(*(detail(one, utcnow()) for one in found))
    return overview(found, utcnow())


def _as_list(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """As kubectl prints several, also where there is one: who reads it needs not ask how many there are."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [{"apiVersion": API_VERSION, "kind": "GitIntegration", **one} for one in found],
    }
