"""The keys of all hooks, in Secrets of the operator's own namespace: written by the operator, read by the receiver.

So the receiver, which anybody may send to, needs no right to a Secret of any tenant. The Secrets come with its manifests.
"""

from __future__ import annotations

import base64
import binascii

from gitintegration.cluster.client import MERGE_PATCH, Cluster
from gitintegration.cluster.integrations import SECRETS
from gitintegration.core.hooks import keys_text, read_keys, ring_of


class HookRing:
    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """`namespace` is where operator and receiver are."""
        self._cluster, self._namespace = cluster, namespace

    async def put(self, path: str, tokens: tuple[str, ...]) -> None:
        """Those that serve for this hook from now on; none: it is no more. Raises ClusterError: where there is no receiver,
        NotFoundError or Forbidden."""
        secret, key = ring_of(path)
        text = base64.b64encode(keys_text(tokens).encode()).decode() if tokens else None
        body = {"data": {key: text}}
        await self._cluster.request("PATCH", SECRETS.path(self._namespace, secret), body=body, content_type=MERGE_PATCH)

    async def get(self, path: str) -> tuple[str, ...]:
        """Those that serve for this hook. Raises ClusterError."""
        secret, key = ring_of(path)
        found = await self._cluster.get(SECRETS.path(self._namespace, secret))
        try:
            return read_keys(base64.b64decode(((found or {}).get("data") or {}).get(key, "")))
        except binascii.Error:
            return ()
