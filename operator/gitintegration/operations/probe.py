"""A test on demand: whether a repository answers, and what the credentials may."""

from __future__ import annotations

from importlib.metadata import version

from gitintegration.forge.pull_requests import Forges
from gitintegration.git.client import GitClient
from gitintegration.operations.result import OperationResult
from gitintegration.session.connection import Connection, examine

VERSION = version("gitintegration")
"""Of the operator that makes a test: who makes one may see it nowhere else."""


class Probe:
    def __init__(self, git: GitClient, forges: Forges) -> None:
        self._git, self._forges = git, forges

    async def run(self, connection: Connection) -> OperationResult:
        """Whether the repository answers, and what the credentials may. Changes nothing there."""
        found = await examine(self._git, self._forges, connection)
        may = ["read", "write"] if found.can_write else ["read"]
        branch = (found.default_branch or "").removeprefix("refs/heads/")
        told = {"reachable": True, "permissions": may, "latencyMs": found.latency_ms, "operatorVersion": VERSION}
        if branch:
            told["defaultBranch"] = branch
        return OperationResult(f"the repository answers; the credentials may {' and '.join(may)}", {"test": told})
