"""How commands reach the cluster: as kubectl does, with the kubeconfig's own user, context and namespace."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.completion import CompletionContext

from gitintegration.commands import FAILED
from gitintegration.errors import GitIntegrationError, Reason

if TYPE_CHECKING:
    from gitintegration.cluster.client import Cluster
    from gitintegration.cluster.integrations import Integrations

_MOMENT = 5.0
"""Seconds that the Tab key waits for a cluster."""


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
        from gitintegration.cluster.kubeconfig import connect

        found = await connect(self._path, self.context)
        try:
            yield found
        finally:
            await found.close()

    @property
    def place(self) -> str:
        """The namespace that is meant. Raises ClusterError where the kubeconfig does not tell."""
        from gitintegration.cluster.kubeconfig import namespace_of

        return self.namespace or namespace_of(self._path, self.context)

    @property
    def _path(self) -> str | None:
        return self.kubeconfig or os.environ.get("KUBECONFIG")


def _offered(context: CompletionContext) -> list[str]:
    """What the Tab key is told of the namespace that is meant by the words so far."""
    given = (context[name].value for name in ("kubeconfig", "context", "namespace"))
    return asyncio.run(_names(Access(*(value if isinstance(value, str) else None for value in given))))


async def _names(access: Access) -> list[str]:
    from gitintegration.cluster.integrations import Integrations

    async with asyncio.timeout(_MOMENT), access.cluster() as cluster:
        return [one["metadata"]["name"] for one in await Integrations(cluster).all(access.place)]


Name = Annotated[str | None, Parameter(completer=_offered)]
"""Of a GitIntegration."""


async def the_one(integrations: Integrations, namespace: str, name: str | None) -> dict[str, Any]:
    """The integration of this name, or the only one. Raises GitIntegrationError where there is none, or several."""
    if name is not None:
        one = await integrations.get(namespace, name)
        if one is None:
            raise GitIntegrationError(Reason.InvalidSpec, f"there is no GitIntegration {name} in namespace {namespace}")
        return one
    found = await integrations.all(namespace)
    if len(found) != 1:
        names = ", ".join(sorted(one["metadata"]["name"] for one in found))
        there = f"namespace {namespace} has several GitIntegrations: name one of {names}" if found else None
        words = there or f"there is no GitIntegration in namespace {namespace}; name another with -n"
        raise GitIntegrationError(Reason.InvalidSpec, words)
    return found[0]


def carried_out(work: Coroutine[Any, Any, int]) -> int:
    """The exit code of what was asked for; what went wrong is told on stderr."""
    return finished(lambda: asyncio.run(work))


def finished(work: Callable[[], int]) -> int:
    """The same for what asks somebody in between: Ctrl-C would not end a question in a running event loop."""
    try:
        return work()
    except GitIntegrationError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return FAILED
