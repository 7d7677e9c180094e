"""`gitintegration diff`: what would travel either way, with values."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gitintegration.commands import OK, external_diff
from gitintegration.commands.access import Access, Name, carried_out, the_one
from gitintegration.commands.operation import SHORTLY, Pipelines, code_of, ended, make, plan_of
from gitintegration.commands.output import print_as

if TYPE_CHECKING:
    from gitintegration.cluster.client import Cluster


class Shape(StrEnum):
    """How values are shown, or printed."""

    unified = "unified"
    fields = "fields"
    json = "json"
    yaml = "yaml"
    name = "name"


Format = Annotated[
    Shape, Parameter(alias="-o", help="unified (patches), fields, json, yaml, or name (KIND/NAME of each pipeline).")
]


def diff(
    name: Name = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    pipeline: Pipelines = (),
    side: Literal["push", "pull", "both"] = "both",
    branch: str | None = None,
    output: Format = Shape.unified,
) -> int:
    """Show what a push would commit and what a pull would bring, with values. Nothing is written.

    It ends with 0 where nothing would travel; 1 where something would, or is in conflict; 2 where it failed. Where
    $KUBECTL_EXTERNAL_DIFF names a program, that shows the patches, as it does for kubectl diff: it is given two folders
    with both sides of them.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    pipeline
        Id or name; may be given more than once. Default: all.
    side
        What would be pushed, what would be pulled, or both.
    branch
        Default: the default branch.
    """
    kinds = ("push", "pull") if side == "both" else (side,)
    return carried_out(_diff(access, name, kinds, {"branch": branch, "pipelines": list(pipeline) or None}, output))


async def planned(
    cluster: Cluster, integration: Mapping[str, Any], kinds: Sequence[str], block: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What pushes and pulls would do: of each its kind, the operation that found it, and the changes and files of its plan."""
    found = []
    for kind in kinds:
        made = await make(cluster, integration, kind, {**block, "dryRun": True}, force=True, kept=SHORTLY)
        done = await ended(cluster, made)
        found.append({"kind": kind, "operation": done, **await plan_of(cluster, done)})
    return found


async def _diff(access: Access, name: str | None, kinds: Sequence[str], block: Mapping[str, Any], output: Shape) -> int:
    from rich.console import Group

    from gitintegration.cluster.integrations import Integrations
    from gitintegration.commands.views import field_view, heading, patches, plain_patches, show

    async with access.cluster() as cluster:
        integration = await the_one(Integrations(cluster), access.place, name)
        found = await planned(cluster, integration, kinds, block)
    code = max(code_of(each["operation"]) for each in found)
    words = external_diff.program() if output is Shape.unified else []
    if output not in (Shape.unified, Shape.fields):
        told = [{**each, "operation": each["operation"]["metadata"]["name"]} for each in found]
        names = dict.fromkeys(name for each in found for name in names_of(each))
        print_as(told, output, names, Group)
        return code
    for each in found:
        if words:
            code = max(code, _by_program(words, each))
        elif output is Shape.unified and not sys.stdout.isatty():
            sys.stdout.write(plain_patches(each))
        else:
            shown = patches(each) if output is Shape.unified else [field_view(each)]
            show(Group(heading(each), *shown), sys.stdout)
    return code


def names_of(plan: Mapping[str, Any]) -> list[str]:
    """The pipelines that it changes, as commands take them."""
    return [f"{change['kind']}/{change['name']}" for change in plan["changes"]]


def _by_program(words: Sequence[str], plan: Mapping[str, Any]) -> int:
    """What a plan has of patches, shown by a program of the user's; what it has none of, in words."""
    from gitintegration.commands.views import plain_patches

    rows = plan["files"] or plan["changes"]
    with_patch = [row for row in rows if row.get("patch") and not row.get("withheld")]
    bare = {**plan, "files": [row for row in rows if row not in with_patch], "changes": []}
    sys.stdout.write(plain_patches(bare))
    return external_diff.run(words, with_patch) if with_patch else OK
