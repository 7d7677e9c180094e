"""What the operations of an integration are lent to run with, in its turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.controller.integration import Integration, IntegrationKey
from gitintegration.errors import OperationError, Reason
from gitintegration.reconcile.item import RunRequest
from gitintegration.session.connection import Connection
from gitintegration.session.session import SyncSession

if TYPE_CHECKING:
    from gitintegration.controller.controller import Controller


class NoIntegration:
    """The turn of an integration that is not there."""

    exists, since, suspended = False, "", False

    def __init__(self, controller: Controller, name: IntegrationKey) -> None:
        self._controller, self._name = controller, name

    async def is_ours(self) -> bool:
        return await self._controller.has(self._name)

    async def prepared(self) -> tuple[SyncSession, RunRequest]:
        raise OperationError(Reason.IntegrationNotFound, f"there is no GitIntegration {self._name[1]!r}")

    async def connection(self, spec: GitIntegrationSpec | None) -> Connection:
        return await self._controller.connection(self._name, None, spec)

    async def announce(self, active: Mapping[str, Any]) -> None:
        """Nobody is there to tell it of."""


class IntegrationScope:
    """An integration's turn, lent to its operations."""

    exists = True

    def __init__(self, controller: Controller, name: IntegrationKey, entry: Integration) -> None:
        self._controller, self._name, self._entry = controller, name, entry

    @property
    def since(self) -> str:
        return str(self._entry.metadata.get("creationTimestamp", ""))

    @property
    def suspended(self) -> bool:
        return self._controller.suspended(self._entry)

    async def is_ours(self) -> bool:
        return True

    async def prepared(self) -> tuple[SyncSession, RunRequest]:
        return await self._controller.prepared(self._name, self._entry)

    async def connection(self, spec: GitIntegrationSpec | None) -> Connection:
        return await self._controller.connection(self._name, self._entry, spec)

    async def announce(self, active: Mapping[str, Any]) -> None:
        await self._controller.announce(self._entry, active)
