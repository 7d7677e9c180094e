"""What the operator's administrator can set: flags, or GITINTEGRATION_* in the environment. Each stands here, once, with its help."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

NAMESPACE = "gitintegration-system"
"""Where the manifests put the operator."""

Several = Annotated[tuple[str, ...], Parameter(negative=())]
Unsaid = Annotated[str, Parameter(show_default=False)]
"""What is empty until the environment is asked."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Settings:
    """Of one operator process.

    Parameters
    ----------
    kubeconfig
        Path of a kubeconfig. Default: the cluster it runs in, else $KUBECONFIG.
    namespaces
        Only this namespace; may be given more than once. Default: all.
    cache_dir
        Folder for what was fetched; may be lost at any time.
    cache_size
        Bytes of that folder for all integrations; the cache used longest ago goes first. What is on its way takes up to
        1.75 GiB beside it: the volume must hold both.
    cache_size_each
        Bytes of it for one integration; LimitExceeded past that.
    concurrency
        Syncs at a time.
    workers
        Processes for packs and YAML; of two or more, one is free for what is quick.
    worker_memory
        Bytes of address space for each of them.
    max_file_size
        Bytes; larger manifests are told as TooLarge.
    connections_per_host
        To one git server at a time; so many of the syncs at a time go to it as well.
    log_format
        console or json.
    log_level
        debug, info, warning or error.
    leader_election
        Write only while holding a Lease; of several replicas one works, the others stand by.
    lease_namespace
        Where the Lease is. Default: $POD_NAMESPACE, else gitintegration-system.
    identity
        Name of this process in the Lease, and of no other that runs. Default: $POD_NAME, else a random one.
    shard
        Only integrations labelled planasonix.com/shard with this value. Default: those without the label.
    allowed_hosts
        Host, or pattern as *.example.com, of repositories, forges and proxies; may be given more than once. Default: any.
    denied_networks
        Network as 10.0.0.0/8 that no repository, forge or proxy may be in; may be given more than once. Link-local and
        multicast addresses and the metadata services of clouds always are refused; loopback is not: deny 127.0.0.0/8 and
        ::1/128 where nothing on the operator's own host serves git.
    require_tls
        Refuse repositories, forges, and proxies that are told a password, over plain http.
    default_service_account
        ServiceAccount, of each integration's namespace, that pipelines are read and written as where the integration
        names none. Default: the operator itself.
    allowed_workloads
        Kind that runs code by itself and may be synced all the same, as Deployment.apps or Pod; may be given more than once.
        Default: none.
    require_allowed_hosts
        Refuse Secrets without the annotation planasonix.com/allowed-hosts, which names where their credentials may go.
    hooks_url
        Where forges reach the receiver of webhooks, as https://hooks.example.com. Default: each integration says it
        (spec.webhook.baseURL).
    probe_port
        Port of /healthz, /readyz and /metrics; 0: none.
    """

    kubeconfig: str | None = None
    namespaces: Annotated[Several, Parameter(name="--namespace")] = ()
    cache_dir: Annotated[Path, Parameter(show_default=False)] = Path("/tmp/gitintegration-cache")  # noqa: S108 - disposable
    cache_size: int = 2 << 30
    cache_size_each: int = 768 << 20
    concurrency: int = 64
    workers: int = 2
    worker_memory: int = 384 << 20
    max_file_size: int = 1 << 20
    connections_per_host: int = 8
    log_format: str = "console"
    log_level: str = "info"
    leader_election: bool = True
    lease_namespace: Unsaid = ""
    identity: Unsaid = ""
    shard: str = ""
    allowed_hosts: Several = ()
    denied_networks: Several = ()
    require_tls: bool = False
    default_service_account: str = ""
    allowed_workloads: Several = ()
    require_allowed_hosts: bool = False
    hooks_url: str = ""
    probe_port: int = 8080

    def within(self, environment: Mapping[str, str]) -> Settings:
        """The same, with what a Pod's environment says of itself in place of what nobody set."""
        return replace(
            self,
            kubeconfig=self.kubeconfig or environment.get("KUBECONFIG"),
            lease_namespace=self.lease_namespace or environment.get("POD_NAMESPACE") or NAMESPACE,
            identity=self.identity or environment.get("POD_NAME") or uuid.uuid4().hex[:12],
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Of one process of the REST API.

    Parameters
    ----------
    host
        Address to listen on.
    port
        Port to listen on.
    kubeconfig
        Path of a kubeconfig. Default: the cluster it runs in, else $KUBECONFIG.
    namespace
        Where /api/git-integration leads. Default: $POD_NAMESPACE, else default.
    name
        Name of the GitIntegration behind it.
    github_app
        Secret, beside the GitIntegration, with the GitHub App of callers who name an installation only.
    trusted_proxies
        Address, or network, of what ends TLS in front of it: its X-Forwarded-For tells clients apart, which share the
        places for unknown tokens; may be given more than once. Default: nobody's is believed.
    log_format
        console or json.
    log_level
        debug, info, warning or error.
    """

    host: str = "0.0.0.0"  # noqa: S104 - behind a Service
    port: int = 8080
    kubeconfig: str | None = None
    namespace: Unsaid = ""
    name: str = "default"
    github_app: str = "github-app"
    trusted_proxies: Several = ()
    log_format: str = "console"
    log_level: str = "info"

    def within(self, environment: Mapping[str, str]) -> GatewaySettings:
        """The same, with what a Pod's environment says of itself in place of what nobody set."""
        return replace(
            self,
            kubeconfig=self.kubeconfig or environment.get("KUBECONFIG"),
            namespace=self.namespace or environment.get("POD_NAMESPACE") or "default",
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class HookSettings:
    """Of one process of the receiver of webhooks.

    Parameters
    ----------
    host
        Address to listen on.
    port
        Port of the deliveries, below /hooks/; nothing else is there.
    kubeconfig
        Path of a kubeconfig. Default: the cluster it runs in, else $KUBECONFIG.
    namespaces
        Only integrations of this namespace; may be given more than once. Default: all.
    ring_namespace
        Where the Secrets gitintegration-hooks-0 to -f are. Default: $POD_NAMESPACE, else gitintegration-system.
    trusted_proxies
        Address, or network, of what ends TLS in front of it: its X-Forwarded-For tells clients apart, which share the
        places for bodies; may be given more than once. Default: nobody's is believed.
    oidc_issuers
        Issuer whose tokens spec.webhook.oidc may name, as https://gitlab.example.com; may be given more than once. Default:
        GitHub Actions and gitlab.com.
    log_format
        console or json.
    log_level
        debug, info, warning or error.
    probe_port
        Port of /healthz, /readyz and /metrics; 0: none.
    """

    host: str = "0.0.0.0"  # noqa: S104 - behind a Service
    port: int = 8080
    kubeconfig: str | None = None
    namespaces: Annotated[Several, Parameter(name="--namespace")] = ()
    ring_namespace: Unsaid = ""
    trusted_proxies: Several = ()
    oidc_issuers: Several = ()
    log_format: str = "console"
    log_level: str = "info"
    probe_port: int = 8081

    def within(self, environment: Mapping[str, str]) -> HookSettings:
        """The same, with what a Pod's environment says of itself in place of what nobody set."""
        return replace(
            self,
            kubeconfig=self.kubeconfig or environment.get("KUBECONFIG"),
            ring_namespace=self.ring_namespace or environment.get("POD_NAMESPACE") or NAMESPACE,
        )
