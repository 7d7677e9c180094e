"""`gitintegration status`: how integrations stand, on one screen."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gitintegration.commands import DIFFERENT, OK
from gitintegration.commands.access import Access, Name, carried_out, the_one
from gitintegration.commands.output import print_as
from gitintegration.errors import GitIntegrationError, Reason

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gitintegration.cluster.integrations import Integrations

_LOOKS = 2.0
"""Seconds between looks with --watch."""


class Output(StrEnum):
    text = "text"
    wide = "wide"
    json = "json"
    yaml = "yaml"
    name = "name"


def status(
    name: Name = None,
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
        Until Ctrl-C: on a terminal in one place, else those that changed, a line each.
    output
        text: one in detail, several a line each; wide: each in detail; json, yaml: the GitIntegrations themselves; name.
    """
    return carried_out(_status(name, access, everywhere=all_namespaces, watch=watch, output=output))


async def _status(name: str | None, access: Access, *, everywhere: bool, watch: bool, output: Output) -> int:
    from gitintegration.cluster.integrations import Integrations
    from gitintegration.commands.views import is_in_sync, utcnow

    async with access.cluster() as cluster:
        place, integrations = None if everywhere else access.place, Integrations(cluster)
        found = await _found(integrations, place, name)
        if watch:
            with suppress(asyncio.CancelledError), _watched(output) as tell:  # Ctrl-C, the only end that it has
                while True:
                    tell(found)
                    await asyncio.sleep(_LOOKS)
                    found = await _found(integrations, place, name)
        else:
            _print(found, output)
    return OK if all(is_in_sync(one, utcnow()) for one in found) else DIFFERENT


@contextmanager
def _watched(output: Output) -> Iterator[Callable[[Sequence[dict[str, Any]]], None]]:
    """What shows how they stand, each time that it is told: on a terminal in the same place, else what became different."""
    from rich.console import Group
    from rich.live import Live
    from rich.segment import SegmentLines
    from rich.text import Text

    from gitintegration.commands.views import console_of

    console = console_of(sys.stdout)
    if output in (Output.text, Output.wide) and console.is_terminal:
        last: RenderableType = ""

        def tell(found: Sequence[dict[str, Any]]) -> None:
            nonlocal last
            last = _view(found, wide=output is Output.wide)
            lines = SegmentLines(console.render_lines(last, pad=False)[: console.height - 1], new_lines=True)
            live.update(Group(lines, Text("Ctrl-C ends it", style="dim")), refresh=True)  # `^C` is echoed behind it

        with Live(console=console, auto_refresh=False) as live:
            try:
                yield tell
            finally:
                live.update(last)
    else:
        yield partial(_print_changed, output, {})


def _print_changed(output: Output, before: dict[str, dict[str, Any]], found: Sequence[dict[str, Any]]) -> None:
    """Those that are not as they were `before`, which is brought up to date: a line each, as JSON too."""
    from gitintegration.commands.views import overview, show, utcnow

    changed = [one for one in found if before.get(one["metadata"]["uid"]) != one]
    if changed and output in (Output.text, Output.wide):
        show(overview(changed, utcnow(), header=not before), sys.stdout)
    elif changed and output is Output.json:
        for item in _as_list(changed)["items"]:
            print(json.dumps(item))
    elif changed:
        _print(changed, output)
    sys.stdout.flush()
    before |= {one["metadata"]["uid"]: one for one in changed}


async def _found(integrations: Integrations, namespace: str | None, name: str | None) -> list[dict[str, Any]]:
    """By namespace and name. Raises GitIntegrationError where there is none of that name."""
    if name is not None and namespace is not None:
        return [await the_one(integrations, namespace, name)]
    found = [one for one in await integrations.all(namespace) if name in (None, one["metadata"]["name"])]
    if name is not None and not found:
        raise GitIntegrationError(Reason.InvalidSpec, f"there is no GitIntegration {name} in any namespace")
    return sorted(found, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))


def _print(found: Sequence[dict[str, Any]], output: Output) -> None:
    names = (f"gitintegration.planasonix.com/{one['metadata']['name']}" for one in found)
    print_as(_as_list(found), output, names, lambda: _view(found, wide=output is Output.wide))


def _view(found: Sequence[dict[str, Any]], *, wide: bool) -> RenderableType:
    from rich.console import Group

    from gitintegration.commands.views import detail, overview, utcnow

    if not found:
        return "no GitIntegration here"
    if wide or len(found) == 1:
        return Group(*(detail(one, utcnow()) for one in found))
    return overview(found, utcnow())


def _as_list(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """As kubectl prints several, also where there is one: who reads it needs not ask how many there are."""
    from gitintegration.api.base_model import API_VERSION

    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [{"apiVersion": API_VERSION, "kind": "GitIntegration", **one} for one in found],
    }
