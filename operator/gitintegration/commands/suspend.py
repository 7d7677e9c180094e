"""`gitintegration suspend` and `resume`: nothing is synced for a while, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from gitintegration.commands import DIFFERENT, OK
from gitintegration.commands.access import Access, Name, carried_out, the_one
from gitintegration.commands.change import Format, Timeout, Wait, patch, ready_of, tell, until
from gitintegration.commands.output import Output
from gitintegration.errors import GitIntegrationError, Reason


def suspend(
    name: Name = None,
    /,
    *,
    reason: str,
    access: Access = Access(),  # noqa: B008 - of values
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    until: str | None = None,
    timeout: Timeout = 60.0,
    wait: Wait = True,
    output: Format = Output.text,
) -> int:
    """Have nothing synced for a while: neither side is written until it is resumed, or the time is over.

    It ends with 0 where nothing is written any more, 2 where it failed.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    reason
        For whoever finds it suspended.
    for_
        So long, as 2h or 1h30m; it goes on by itself then. Default: until it is resumed.
    until
        The same, as a time: 2026-12-24T18:00:00Z, or without a zone in that of this machine.
    """
    return carried_out(_suspend(access, name, reason, (for_, until), timeout, wait=wait, output=output))


async def _suspend(
    access: Access,
    name: str | None,
    reason: str,
    asked: tuple[str | None, str | None],
    seconds: float,
    *,
    wait: bool,
    output: Output,
) -> int:
    from gitintegration.cluster.integrations import Integrations
    from gitintegration.commands.views import suspension_view, utcnow

    end = end_of(*asked, utcnow())
    async with access.cluster() as cluster:
        found = await the_one(Integrations(cluster), access.place, name)
        found = await patch(cluster, found, {"spec": {"suspend": {"reason": reason, "until": end}}})
        if wait:
            found = await until_(cluster, found, seconds)
    tell(found, output, lambda: suspension_view(found))
    return OK


async def until_(cluster: Any, found: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The integration once its operator has seen that it is suspended, or the time is over."""
    from gitintegration.api.suspension import is_suspended
    from gitintegration.commands.views import utcnow

    return await until(
        cluster,
        found,
        "seen by its operator as suspended (it is in its spec)",
        seconds,
        lambda seen: ready_of(seen).get("reason") == "Suspended" or not is_suspended(seen["spec"], utcnow()),
    )


def end_of(duration: str | None, time: str | None, now: datetime) -> str | None:
    """When a suspension ends, in UTC; None: no end is named. Raises GitIntegrationError where that is no time to come."""
    from gitintegration.api.durations import parse_duration
    from gitintegration.core.status import timestamp

    if duration is not None and time is not None:
        raise GitIntegrationError(Reason.InvalidSpec, "--for and --until both name the end: leave one of them out")
    try:
        if duration is not None:
            end = now + timedelta(seconds=parse_duration(duration))
        elif time is not None:
            end = datetime.fromisoformat(time.strip().upper().replace("Z", "+00:00")).astimezone(UTC)
        else:
            return None
    except (ValueError, OverflowError):
        option, example = ("--for", "2h") if duration is not None else ("--until", "2026-12-24T18:00:00Z")
        raise GitIntegrationError(Reason.InvalidSpec, f"{option}: give it as {example}") from None
    if end <= now:
        raise GitIntegrationError(Reason.InvalidSpec, f"{timestamp(end)} is over: name a time to come")
    return timestamp(end)


def resume(
    name: Name = None,
    /,
    *,
    access: Access = Access(),  # noqa: B008 - of values
    timeout: Timeout = 300.0,
    wait: Wait = True,
    output: Format = Output.text,
) -> int:
    """Go on with syncing: what was edited on both sides meanwhile is carried, or named where it can't be.

    It ends with 0 where both sides are the same then, 1 where they are not, 2 where it can't tell.

    Parameters
    ----------
    name
        Of a GitIntegration. Default: the only one of the namespace.
    """
    return carried_out(_resume(access, name, timeout, wait=wait, output=output))


async def _resume(access: Access, name: str | None, seconds: float, *, wait: bool, output: Output) -> int:
    from gitintegration.cluster.integrations import Integrations
    from gitintegration.commands.views import detail, is_in_sync, suspension_view, utcnow

    async with access.cluster() as cluster:
        found = await the_one(Integrations(cluster), access.place, name)
        found = await patch(cluster, found, {"spec": {"enabled": True, "suspend": None}})
        if not wait:
            tell(found, output, lambda: suspension_view(found))
            return OK
        found = await until(
            cluster, found, "synced", seconds, lambda seen: ready_of(seen).get("reason") not in (None, "Suspended")
        )
    tell(found, output, lambda: detail(found, utcnow()))
    return OK if is_in_sync(found, utcnow()) else DIFFERENT
