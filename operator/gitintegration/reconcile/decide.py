"""Decides what should become of one item that was read on both sides. The server is asked where its own doing may look like an edit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import structlog

from gitintegration import messages
from gitintegration.core.diff import format_path, same
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.managers import is_owned
from gitintegration.core.merge import (
    UNSETTLED,
    Base,
    Decision,
    Versions,
    decide,
    may_be_the_servers,
    revert,
    unstored,
    with_servers_changes,
    with_storable,
    without,
)
from gitintegration.core.values import Json
from gitintegration.errors import Forbidden, GitIntegrationError, Refused, Stale
from gitintegration.reconcile.item import Item, RunRequest
from gitintegration.session.live_objects import LiveObject, LiveObjects
from gitintegration.session.session import SyncSession

_TRIES = 3
"""An object that moves while it is compared is read anew so often in one pass."""


class Decider:
    def __init__(self, objects: LiveObjects, now: Callable[[], float]) -> None:
        """`now` in seconds."""
        self._objects, self._now = objects, now
        self._log = structlog.get_logger("sync")

    async def decide(self, session: SyncSession, request: RunRequest, item: Item) -> None:
        """Decide; whatever goes wrong with one item is a problem of that item."""
        try:
            await self._decide_unmoved(session, request, item)
        except GitIntegrationError:
            raise
        except Exception as defect:
            self._log.exception("an item can't be compared", namespace=request.namespace, item=str(item.key))
            words = f"{item.key} can't be compared: internal error {type(defect).__name__}; please report it"
            item.problem = Problem(item.path, InvalidReason.Refused, words)
            item.decision = Decision(local_ahead=item.live is not None, remote_ahead=item.git is not None)
        if item.decision.git is not None and item.problem is None:
            item.problem = session.declined.problem(item.key, item.git_goal)
        if item.live is not None and session.contest.saw(item.key, item.live.view, item.live.manager, self._now()):
            item.held = True

    async def _decide_unmoved(self, session: SyncSession, request: RunRequest, item: Item) -> None:
        """Decide on what the object is when the server has said all that was asked of it."""
        for _ in range(_TRIES):
            try:
                await self._decide(session, request, item)
            except Stale:
                item.live = await self._read(request, item)
                if item.live is None:
                    break
            else:
                return
        item.raced = True
        item.problem = Problem(item.path, InvalidReason.Refused, f"{item.key} moved while it was compared")
        item.decision = Decision(local_ahead=True, remote_ahead=item.git is not None)

    async def _decide(self, session: SyncSession, request: RunRequest, item: Item) -> None:
        base = item.record.base if item.record else None
        live = item.live.view if item.live else None
        if item.git is not None and await self._objects.version(item.kind, item.git.api_version) is None:
            served = item.kind.kind.api_version
            words = messages.VERSION_NOT_SERVED(key=item.key, asked=item.git.api_version, served=served)
            item.problem = Problem(item.git.path, InvalidReason.Refused, *words)
            item.decision = Decision(remote_ahead=True, local_ahead=is_edited(item))
            return
        strategy, list_keys = request.may.strategy_for(item.key), item.kind.schema.list_keys
        settled = request.may.settled.get(item.key, UNSETTLED)
        versions = Versions(base, item.git_view, live)
        item.decision = decide(versions, strategy, list_keys, settled)
        if base is not None and item.git is not None and item.live is not None:
            since = await self._base_of_now(session, request, item, base)
            since = await self._with_storable(request, item, replace(versions, base=since), since)
            if since != base:
                versions = replace(versions, base=since)
                item.decision = decide(versions, strategy, list_keys, settled)
        unsure = item.decision.overlapping or (base is None and item.git_view != live)
        if unsure and item.git is not None and item.live is not None:
            with contextlib.suppress(Refused, Forbidden):
                stored = await self._as_stored(request, item, item.manifest)
                item.decision = decide(replace(versions, git_as_live=stored), strategy, list_keys, settled)
        if request.may.reverts and item.decision.local_ahead and versions.base is not None:
            edited = dict.fromkeys(format_path(change.path) for change in item.decision.local)
            item.drift = tuple(edited) or ("deleted",)
            item.decision = revert(versions, versions.base, list_keys)

    async def _base_of_now(self, session: SyncSession, request: RunRequest, item: Item, base: Base) -> Base:
        """The base, with what nobody edited since: what ignored managers wrote, and what the server changed by itself.

        The server is asked where the live side's changes may hold that.
        """
        assert item.live is not None
        assert item.record is not None
        ignored = [c for c in item.decision.local if is_owned(c, item.live.ignored)]
        since = without(base, ignored)
        if may_be_the_servers([c for c in item.decision.local if c not in ignored]):
            with contextlib.suppress(Refused, Forbidden):
                stored = await self._as_stored(request, item, base.git)
                since = with_servers_changes(since, item.live.view, stored, item.kind.schema.list_keys)
        if since != base:
            item.record = replace(item.record, base=since)
            session.records.put(item.record)
        return since

    async def _with_storable(self, request: RunRequest, item: Item, versions: Versions, base: Base) -> Base:
        """The base without what the server did not store when it was agreed on, and would store by now."""
        schema = item.kind.schema
        missing = [c for c in unstored(versions, base, schema.list_keys) if schema.may_hold(c.path)]
        if not missing:
            return base
        with contextlib.suppress(Refused, Forbidden):
            return with_storable(base, missing, await self._as_stored(request, item, item.manifest))
        return base

    async def _as_stored(self, request: RunRequest, item: Item, manifest: Json) -> Json:
        """The manifest as the server would store it, by the schema that the live object was read by.

        Where it became another in between, what the one has and the other lacks would be taken for an edit: raises Stale.
        """
        assert item.live is not None
        stored = await self._objects.as_stored(item.kind, request.namespace, manifest, item.live)
        if not same(stored, item.live.view):
            now = await self._read(request, item)
            if now is None or not same(now.view, item.live.view):
                raise Stale(f"{item.key} moved while it was compared")
        return stored

    async def _read(self, request: RunRequest, item: Item) -> LiveObject | None:
        version = item.git.api_version if item.git else item.kind.kind.api_version
        found = await self._objects.read(item.kind, request.namespace, {item.key.name: version})
        return found.get(item.key.name)


def base_of(item: Item) -> Base:
    assert item.record is not None
    assert item.record.base is not None
    return item.record.base


def is_edited(item: Item) -> bool:
    """Whether the object differs from what was agreed on by more than the version that it is read in."""
    if item.live is None or item.record is None:
        return False
    return not same({**item.live.view, "apiVersion": ""}, {**base_of(item).live, "apiVersion": ""})
