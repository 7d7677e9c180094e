"""What a repository's server says of a login: whether it may read, may write, and how fast it answers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from gitintegration.errors import GitIntegrationError
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import ForgeTarget
from gitintegration.git.client import GitClient, Probe
from gitintegration.git.remote import Remote


@dataclass(frozen=True, slots=True)
class Connection:
    """A remote, and the forge that serves it where one is known and the login serves there too."""

    remote: Remote
    forge: ForgeTarget | None


async def examine(git: GitClient, forges: Forges, connection: Connection) -> Probe:
    """By git's own protocol, changing nothing there; of git's word and the forge's on writing, the lesser counts."""
    found = await git.probe(connection.remote)
    if found.can_write and connection.forge is not None:
        with contextlib.suppress(GitIntegrationError):  # git has answered: that the API does not is no failure
            if await forges.may_push(connection.forge) is False:
                return replace(found, can_write=False)
    return found
