"""How commands reach the cluster: as kubectl does, with the kubeconfig's own user, context and namespace."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from gitintegration.cluster.client import Cluster
from gitintegration.cluster.kubeconfig import connect, namespace_of
from gitintegration.commands import FAILED
from gitintegration.errors import GitIntegrationError


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Access:
    """Which cluster, and where in it.

    Parameters
    ----------
    kubeconfig
        Path of a kubeconfig. Default: $KUBECONFIG, else ~/.kube/config; in a Pod its ServiceAccount.
    context
        Context of the kubeconfig. Default: its current one.
    namespace
        Default: that of the context.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespace: Annotated[str | None, Parameter(alias="-n")] = None

    @asynccontextmanager
    async def cluster(self) -> AsyncIterator[Cluster]:
        """The API server. Raises ClusterError where there is none to be reached."""
        found = await connect(self._path, self.context)
        try:
            yield found
        finally:
            await found.close()

    @property
    def place(self) -> str:
        """The namespace that is meant. Raises ClusterError where the kubeconfig does not tell."""
        return self.namespace or namespace_of(self._path, self.context)

    @property
    def _path(self) -> str | None:
        return self.kubeconfig or os.environ.get("KUBECONFIG")


def carried_out(work: Coroutine[Any, Any, int]) -> int:
    """The exit code of what was asked for; what went wrong is told on stderr."""
    try:
        return asyncio.run(work)
    except GitIntegrationError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
