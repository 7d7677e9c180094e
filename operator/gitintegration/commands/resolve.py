"""`gitintegration resolve`: walks through the conflicts, field by field, and settles them by one operation."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gitintegration.commands import DIFFERENT, FAILED, OK
from gitintegration.commands.access import Access, Name, finished, the_one
from gitintegration.commands.change import agreed
from gitintegration.commands.operation import KEPT, SHORTLY, DryRun, Pipelines, code_of, ended, make, plan_of
from gitintegration.core.text import plain
from gitintegration.errors import GitIntegrationError, Reason

Take = Literal["ours", "theirs", "base"]
_KEYS = {"o": "ours", "t": "theirs", "b": "base"}
Ask = Callable[[str], str]


def resolve(
    name: Name = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    pipeline: Pipelines = (),
    field: Annotated[tuple[str, ...], Parameter(name="--field", negative=())] = (),
    take: Take | None = None,
    dry_run: DryRun = False,
) -> int:
    """Settle conflicts: the cluster's value (ours), git's (theirs), what both were before (base), or another.

    Without --take each field is shown and asked for, then the lines that come of it; nothing is written before you say yes to
    them, and nothing else than them. What is taken from git or before goes to the cluster at once; what is taken from the
    cluster goes to git with the next push. It ends with 0 where that was done; 1 where nothing was, or some is left in
    conflict; 2 where it failed.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    pipeline
        Id or name; may be given more than once. Default: all that are in conflict.
    field
        As the conflict names it; may be given more than once. With --take: the others stay in conflict. Default: all.
    take
        Take this everywhere, without asking.
    """
    return finished(lambda: _resolve(access, name, pipeline, field, take, dry_run=dry_run))


def _resolve(
    access: Access,
    name: str | None,
    pipelines: tuple[str, ...],
    fields: tuple[str, ...],
    take: Take | None,
    *,
    dry_run: bool,
) -> int:
    integration = asyncio.run(_integration(access, name))
    conflicts = _wanted(_conflicts(integration), pipelines)
    if not conflicts:
        print("nothing is in conflict")
        return OK
    if take is None and not sys.stdin.isatty():
        words = "nobody can be asked here: name --take ours, theirs or base"
        raise GitIntegrationError(Reason.InvalidSpec, words)
    resolutions = [one for conflict in conflicts for one in settled(conflict, fields, take, input)]
    if not resolutions:
        print("nothing is settled")
        return FAILED if take else DIFFERENT
    named = sorted({r["pipeline"] for r in resolutions})
    block = {"resolutions": resolutions, "pipelines": named, "dryRun": dry_run or None}
    if take is None and not dry_run:
        return _agreed_on(access, integration, block)
    return code_of(asyncio.run(_carried(access, integration, block)))


def _agreed_on(access: Access, integration: Mapping[str, Any], block: Mapping[str, Any]) -> int:
    """Show what comes of it, and do exactly that once a person agrees; shown anew where it became another meanwhile."""
    from gitintegration.commands.views import conflict_view, show, utcnow

    while True:
        plan = asyncio.run(_carried(access, integration, {**block, "dryRun": True}))
        if plan["status"].get("phase") != "Succeeded":
            return FAILED
        if not agreed("Settle it so?", yes=False):
            print("nothing is settled")
            return DIFFERENT
        told = {**block, "planDigest": plan["status"]["planDigest"]}
        done = asyncio.run(_carried(access, integration, told))
        if _reason(done) != Reason.PlanStale:
            return code_of(done)
        now = asyncio.run(_integration(access, integration["metadata"]["name"]))
        for conflict in _conflicts(now):
            if {conflict.get("id"), conflict.get("name")} & set(block["pipelines"]):
                show(conflict_view(conflict, utcnow()), sys.stdout)


async def _integration(access: Access, name: str | None) -> dict[str, Any]:
    from gitintegration.cluster.integrations import Integrations

    async with access.cluster() as cluster:
        return await the_one(Integrations(cluster), access.place, name)


async def _carried(access: Access, integration: Mapping[str, Any], block: Mapping[str, Any]) -> dict[str, Any]:
    """The pull with these resolutions once it has ended, and was shown; of a dry run, with its lines."""
    from rich.console import Group

    from gitintegration.commands.views import operation_view, patches, settled_view, show, utcnow

    plans = bool(block.get("dryRun"))
    async with access.cluster() as cluster:
        done = await ended(cluster, await make(cluster, integration, "pull", block, kept=SHORTLY if plans else KEPT))
        shown = [settled_view(block["resolutions"]), *patches(await plan_of(cluster, done))] if plans else []
    show(Group(operation_view(done, utcnow()), *shown), sys.stdout)
    return done


def _reason(operation: Mapping[str, Any]) -> str | None:
    return next((c["reason"] for c in operation["status"]["conditions"] if c["type"] == "Succeeded"), None)


def _conflicts(integration: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    return (integration.get("status") or {}).get("conflicts") or ()


def _wanted(conflicts: Sequence[dict[str, Any]], pipelines: tuple[str, ...]) -> list[dict[str, Any]]:
    """Raises GitIntegrationError where one that is named is in no conflict."""
    named = {name for conflict in conflicts for name in (conflict.get("id"), conflict.get("name"))}
    if unknown := [name for name in pipelines if name not in named]:
        raise GitIntegrationError(Reason.UnknownPipeline, f"not in conflict: {', '.join(unknown)}")
    return [c for c in conflicts if not pipelines or {c.get("id"), c.get("name")} & set(pipelines)]


def settled(
    conflict: Mapping[str, Any], fields: tuple[str, ...], take: Take | None, ask: Ask
) -> Iterator[dict[str, Any]]:
    """What is decided of one conflict: of the pipeline, where one side deleted it, else of each field."""
    from gitintegration.commands.views import conflict_view, show, utcnow

    pipeline = str(conflict.get("id") or conflict.get("name"))
    is_gone = str(conflict.get("reason")).startswith("Deleted")
    if take is None:
        show(conflict_view(conflict, utcnow()), sys.stdout)
    if is_gone or (take in ("ours", "theirs") and not fields):
        chosen = take or _asked(f"{pipeline}: [o]urs, [t]heirs, [s]kip? ", ask, {"o", "t"})
        if chosen == "base":
            words = f"{pipeline} was deleted on one side: only --take ours or theirs settles that"
            raise GitIntegrationError(Reason.InvalidSpec, words)
        if chosen is not None:
            yield {"pipeline": pipeline, "take": chosen}
        return
    found = []
    for name in [f for f in conflict.get("fields") or () if not fields or f in fields]:
        chosen = take or _asked(f"{name}: [o]urs, [t]heirs, [b]ase, [v]alue, [s]kip {pipeline}? ", ask, {*_KEYS, "v"})
        if chosen is None:
            return
        value = _value(ask) if chosen == "value" else None
        if chosen == "value" and value is None:
            return
        found.append({"pipeline": pipeline, "field": name, **({"take": chosen} if value is None else {"value": value})})
    yield from found


def _asked(question: str, ask: Ask, keys: set[str]) -> str | None:
    """What was chosen; None: nothing."""
    while True:
        try:
            answer = ask(plain(question)).strip().lower()[:1]
        except EOFError:
            return None
        if answer == "s":
            return None
        if answer in keys:
            return _KEYS.get(answer, "value")


def _value(ask: Ask) -> Any:
    """What was given; None: nothing."""
    import yaml

    while True:
        try:
            given = yaml.safe_load(ask("  value, as YAML: "))
            value = json.loads(json.dumps(given, default=str))  # a date is its text, as in a manifest
        except EOFError:
            return None
        except yaml.YAMLError as error:
            print(f"  that is no YAML: {error}")
            continue
        if value is not None:
            return value
