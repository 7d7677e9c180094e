"""A kubeconfig as kubectl reads it: who asks, which cluster, and the namespace that is meant where none is named."""

from __future__ import annotations

import os
from pathlib import Path

from kubernetes.aio import config
from kubernetes.aio.config import ConfigException

from gitintegration.cluster.client import Cluster
from gitintegration.errors import ClusterUnavailable

_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT = "default"


async def connect(kubeconfig: str | None, context: str | None) -> Cluster:
    """The cluster. Raises ClusterUnavailable where the kubeconfig names none."""
    _check(kubeconfig)
    try:
        return await Cluster.connect(kubeconfig, context)
    except ConfigException as error:
        raise ClusterUnavailable(f"no cluster is known: {error}") from None


def _check(kubeconfig: str | None) -> None:
    """Several may be named, as in $KUBECONFIG. Raises ClusterUnavailable where none of them is there."""
    if kubeconfig is not None and not any(Path(path).expanduser().is_file() for path in kubeconfig.split(os.pathsep)):
        raise ClusterUnavailable(f"there is no kubeconfig {kubeconfig}")


def namespace_of(kubeconfig: str | None, context: str | None) -> str:
    """The namespace of a context, in a Pod its own. Raises ClusterUnavailable where there is no such context."""
    if kubeconfig is None and _POD.exists():
        return _POD.read_text().strip()
    _check(kubeconfig)
    try:
        known, current = config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
    except ConfigException as error:
        raise ClusterUnavailable(f"no cluster is known: {error}") from None
    chosen = next((one for one in known if one["name"] == context), None) if context else current
    if chosen is None:
        raise ClusterUnavailable(f"the kubeconfig has no context {context!r}")
    return str(chosen["context"].get("namespace") or _DEFAULT)
