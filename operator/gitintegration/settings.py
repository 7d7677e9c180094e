"""What the operator's administrator can set: flags, or GITINTEGRATION_* in the environment."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path

NAMESPACE = "gitintegration-system"
"""Where the manifests put the operator."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one operator process."""

    kubeconfig: str | None = None
    namespaces: tuple[str, ...] = ()
    """Empty: all."""
    cache_dir: Path = field(default_factory=lambda: Path("/tmp/gitintegration-cache"))  # noqa: S108 - disposable
    cache_size: int = 2 << 30
    """Bytes of all caches; twice the largest pack (512 MiB) and what is under way (768 MiB) come on top."""
    cache_size_each: int = 768 << 20
    """Bytes of one integration's cache."""
    concurrency: int = 64
    """Syncs at a time."""
    workers: int = 2
    """Processes for packs and YAML."""
    worker_memory: int = 384 << 20
    """Bytes of address space for each of them."""
    max_file_size: int = 1 << 20
    """Bytes; larger manifests are told as TooLarge."""
    connections_per_host: int = 8
    """To one git server at a time, so that a slow one takes no more."""
    log_format: str = "console"
    log_level: str = "info"
    leader_election: bool = True
    lease_namespace: str = NAMESPACE
    identity: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    """Of this process and no other that runs."""
    shard: str = ""
    """Only integrations with this label; empty: those without one."""
    allowed_hosts: tuple[str, ...] = ()
    """Patterns of hosts that tenants may send the operator to; empty: any."""
    require_tls: bool = False
    """No repository, forge, or proxy with a password over plain http."""
    denied_networks: tuple[str, ...] = ()
    """Networks in CIDR notation that nobody is sent to, besides those of a node's own services."""
    default_service_account: str = ""
    """Pipelines are read and written as it where an integration names none; empty: as the operator itself."""
    allowed_workloads: tuple[str, ...] = ()
    """Kinds that run code by themselves and may be synced all the same, as Deployment.apps."""
    require_allowed_hosts: bool = False
    """Refuse Secrets that do not say which hosts their credentials may go to."""
    hooks_url: str = ""
    """Where forges reach the receiver of webhooks; empty: each integration says it."""
    probe_port: int = 8080
    """0: no probes, no metrics."""
