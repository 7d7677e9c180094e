"""Which kinds can be pipelines at all. What counts is what the API server says a kind is, not how a spec spells it."""

from __future__ import annotations

from collections.abc import Collection

from gitintegration.api.base_model import GROUP

NEVER_GROUPS = frozenset(
    {
        "rbac.authorization.k8s.io",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
    }
)
"""Whoever writes these gives rights, or speaks for others."""
NEVER = frozenset({("", "Secret"), ("", "ServiceAccount"), ("", "Binding"), ("", "Event"), ("events.k8s.io", "Event")})
OWN = "Pipeline"
"""Of the operator's own group: through another kind of it, git could forge what the operator remembers or does."""
_WORKLOADS = frozenset(
    {
        ("", "Pod"),
        ("", "PodTemplate"),
        ("", "ReplicationController"),
        ("apps", "ControllerRevision"),
        ("apps", "DaemonSet"),
        ("apps", "Deployment"),
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("batch", "CronJob"),
        ("batch", "Job"),
        ("extensions", "DaemonSet"),
        ("extensions", "Deployment"),
        ("extensions", "ReplicaSet"),
    }
)
"""What makes the cluster run any code, as any ServiceAccount of the namespace and with any of its Secrets."""


def refusal(group: str, kind: str, *, namespaced: bool, allowed: Collection[str] = ()) -> str | None:
    """Why a kind can't be synced, in words; None where it can. `allowed`: workloads that the administrator named."""
    name = f"{kind}.{group}" if group else kind
    if group in NEVER_GROUPS or (group, kind) in NEVER:
        return f"{name} is never synced: it holds credentials or gives rights"
    if group == GROUP and kind != OWN:
        return f"{name} is the operator's own and never synced"
    if not namespaced:
        return f"{name} is cluster-scoped and can't be synced"
    if (group, kind) in _WORKLOADS and name not in allowed:
        return f"{name} runs code by itself: it is synced only where the operator runs with --allowed-workloads={name}"
    return None
