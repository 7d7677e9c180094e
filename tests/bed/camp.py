"""What attackers serve, in a process of its own that yields to all others: an operator's attackers don't share its machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.managers import BaseManager
from typing import cast

from tests.bed.controlplane import die_with_parent
from tests.bed.hostile import HostileServer, Repository
from tests.bed.hostile_forge import forges
from tests.bed.hostile_ssh import SshServers
from tests.bed.ports import Ports


class Camp:
    """Hands out addresses, and counts who is connected to them."""

    def __init__(self) -> None:
        self._ports = Ports()
        self._git = list[HostileServer]()

    def silent(self, way: str, many: int) -> list[int]:
        """So many ports that take connections and say nothing, counted as `way`."""
        return [self._ports.listen(way) for _ in range(many)]

    def forges(self) -> dict[str, str]:
        """API addresses by their ways, of which the connections are counted as `forge-...`."""
        return forges(self._ports)

    def ssh(self) -> tuple[dict[str, str], dict[str, str]]:
        """Addresses by their ways, counted as `ssh-...`; and the Secret for all."""
        made = SshServers(self._ports)
        return made.urls, made.secret

    def git(self, name: str) -> str:
        """A git server of its own; the address of its repository, which is called after its way to do harm."""
        server = HostileServer()
        server.repositories["held-pack"] = Repository([])
        self._git.append(server)
        return server.url(name)

    def open(self) -> dict[str, int]:
        """Connections by way."""
        return dict(self._ports.open)

    def answering(self) -> tuple[int, int]:
        """Answers of git servers under way, and those of them that are held open."""
        return sum(len(one.answering) for one in self._git), sum(len(one.held) for one in self._git)

    def clear(self) -> None:
        """The git servers go."""
        while self._git:
            self._git.pop().stop()


class _Manager(BaseManager):
    """Makes a Camp elsewhere; what is called of it is called there."""


_Manager.register("Camp", Camp)


def _yield_to_others() -> None:
    die_with_parent()
    os.nice(5)


@contextmanager
def pitched() -> Iterator[Camp]:
    manager = _Manager(ctx=multiprocessing.get_context("spawn"))
    manager.start(_yield_to_others)
    try:
        yield cast(Camp, manager.Camp())  # type: ignore[attr-defined]
    finally:
        manager.shutdown()
