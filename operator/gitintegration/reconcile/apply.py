"""Writes to the cluster, each with the version that it was planned on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.plan.authors import shown_name
from gitintegration.core.values import Json
from gitintegration.errors import Forbidden, GitIntegrationError, KindUnavailable, Refused, Stale
from gitintegration.messages import named
from gitintegration.reconcile.item import Item, RunRequest, RunStats, Verb
from gitintegration.reconcile.wal import WriteAheadLog
from gitintegration.session.live_objects import LiveObject, LiveObjects
from gitintegration.session.session import SyncSession

_PARALLEL = 8


class Applier:
    def __init__(self, objects: LiveObjects, wal: WriteAheadLog) -> None:
        self._objects, self._wal = objects, wal

    async def apply(self, session: SyncSession, request: RunRequest, items: Sequence[Item], stats: RunStats) -> None:
        """Write the cluster's side of these items. What one of them is refused for is its own problem.

        Raises GitIntegrationError for what concerns them all; what was under way is at its end by then.
        """
        await self._wal.append(session, request, items)
        queue = iter(items)
        failures: list[GitIntegrationError] = []

        async def work() -> None:
            for item in queue:
                if failures:
                    return
                try:
                    await self._write(session, request, item, stats)
                except GitIntegrationError as error:
                    failures.append(error)

        tasks = [asyncio.ensure_future(work()) for _ in range(min(_PARALLEL, len(items)))]
        try:
            await asyncio.gather(*tasks)
        except BaseException:  # a defect in one ends the others, before anybody goes on
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            raise
        if failures:
            raise failures[0]

    async def attempt(self, request: RunRequest, items: Sequence[Item]) -> None:
        """Ask the server whether it would take the cluster's side of these items: a dry run. What one would be refused for is
        its problem.

        Raises KindUnavailable, and what else concerns them all.
        """
        queue = iter(items)

        async def work() -> None:
            for item in queue:
                await self._attempt(request, item)

        ended = await asyncio.gather(*(work() for _ in range(min(_PARALLEL, len(items)))), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error

    async def _attempt(self, request: RunRequest, item: Item) -> None:
        try:
            await self._objects.write(item.kind, request.namespace, item.key.name, _made(item), item.live, dry_run=True)
        except Stale:  # it moved, and is looked at again for that
            return
        except (Refused, Forbidden) as error:
            item.problem = _refusal(item, item.live, error)

    async def _write(self, session: SyncSession, request: RunRequest, item: Item, stats: RunStats) -> None:
        assert item.decision.cluster is not None
        value, before = item.decision.cluster.value, item.live
        try:
            item.live = await self._objects.write(
                item.kind, request.namespace, item.key.name, _made(item), before, by=item.by
            )
        except Stale:
            item.raced = True
            item.problem = Problem(item.path, InvalidReason.Refused, "moved while it was written")
            return
        except (Refused, Forbidden) as error:
            item.problem = _refusal(item, before, error)
            return
        except KindUnavailable as error:
            session.away[item.kind.id] = error
            item.waits = True
            item.problem = Problem(item.path, InvalidReason.Refused, error.message, error.remedy)
            return
        item.pulled = True
        verb = Verb.delete if value is None else Verb.create if before is None else Verb.update
        stats.pulled.setdefault(verb, []).append(item.key.name)
        if item.drift:
            person = (before.edited_by if item.kind.stamped else "") or before.manager if before is not None else ""
            who = f" by {shown_name(person)}" if person else ""
            stats.reverted.append(f"{item.key} ({named(item.drift, 3)}{who})")
        if verb is Verb.update and before is not None:
            session.contest.wrote(item.key, before.view)


def _made(item: Item) -> Json | None:
    """What the object is to hold."""
    assert item.decision.cluster is not None
    value = item.decision.cluster.value
    return item.made_with(value) if item.live is None and value is not None else value


def _refusal(item: Item, before: LiveObject | None, error: GitIntegrationError) -> Problem:
    """The server's own words, without what is not to be shown."""
    assert item.decision.cluster is not None
    said = item.kind.redaction.concealed(error.message, item.decision.cluster.value, before.view if before else None)
    return Problem(item.path, InvalidReason.Refused, f"{item.key}: {said}", error.remedy)
