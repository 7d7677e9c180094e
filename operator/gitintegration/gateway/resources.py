"""What the gateway does with the API server: who asks, what may they, and the resources behind the endpoints."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitintegration.api.base_model import API_VERSION, GROUP
from gitintegration.cluster.client import Cluster, NotFoundError
from gitintegration.cluster.integrations import KIND as INTEGRATIONS
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.cluster.operations import KIND as OPERATIONS
from gitintegration.cluster.paths import Path, api_path

SECRETS = ResourceKind("", "v1", "Secret", "secrets", True)
_TOKEN_REVIEWS = api_path("apis", "authentication.k8s.io", "v1", "tokenreviews")
_ACCESS_REVIEWS = api_path("apis", "authorization.k8s.io", "v1", "subjectaccessreviews")
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_MANAGER = "gitintegration-gateway"
_MANAGED = {"app.kubernetes.io/managed-by": _MANAGER}
_POLL = 0.1


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource of the namespace."""

    verb: str
    kind: ResourceKind
    name: str = ""
    """Of one object; empty: of any."""


class Who:
    """TokenReview and SubjectAccessReview, asked with the gateway's own rights; it has no others."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def user(self, token: str) -> Mapping[str, Any] | None:
        """Whose token it is, or None where it is nobody's."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        found = await self._cluster.request("POST", _TOKEN_REVIEWS, body=body)
        status = found.get("status") or {}
        return status.get("user") if status.get("authenticated") else None

    async def missing(self, user: Mapping[str, Any], namespace: str, rights: Sequence[Right]) -> Right | None:
        """The first of these rights that the user has not."""
        for right in rights:
            spec = {
                "user": user.get("username", ""),
                "uid": user.get("uid", ""),
                "groups": user.get("groups") or [],
                "extra": user.get("extra") or {},
                "resourceAttributes": {
                    "namespace": namespace,
                    "verb": right.verb,
                    "group": right.kind.group,
                    "resource": right.kind.plural,
                    **({"name": right.name} if right.name else {}),
                },
            }
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
            found = await self._cluster.request("POST", _ACCESS_REVIEWS, body=body)
            if not (found.get("status") or {}).get("allowed"):
                return right
        return None


class Resources:
    """One namespace, seen and written as the caller: every request carries the caller's own token and nothing else.

    So whatever the gateway gets wrong, a caller can't do more through it than without it.
    """

    def __init__(self, cluster: Cluster, token: str, namespace: str, name: str) -> None:
        self._cluster, self._token, self._namespace, self._name = cluster, token, namespace, name

    async def _request(self, method: str, path: Path, body: Any = None, content_type: str = "application/json") -> Any:
        query = {"fieldManager": _MANAGER} if method in ("POST", "PATCH") else {}
        if content_type == _APPLY:
            query["force"] = "true"
        return await self._cluster.request(
            method, path, body=body, content_type=content_type, query=query or None, token=self._token
        )

    async def integration(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self._request("GET", INTEGRATIONS.path(self._namespace, self._name))
        except NotFoundError:
            return None
        return found

    async def save(self, spec: Mapping[str, Any], secret: Mapping[str, str] | None) -> dict[str, Any]:
        """Makes or changes the integration, and the Secret that belongs to it."""
        if await self.integration() is None:
            body = {
                "apiVersion": API_VERSION,
                "kind": "GitIntegration",
                "metadata": {"name": self._name, "labels": _MANAGED},
                "spec": spec,
            }
            made = await self._request("POST", INTEGRATIONS.path(self._namespace), body)
        else:
            path = INTEGRATIONS.path(self._namespace, self._name)
            made = await self._request("PATCH", path, {"spec": spec}, _MERGE)
        if secret is not None:
            await self._keep(self.secret_name, secret, _owner("GitIntegration", made))
        return dict(made)

    @property
    def secret_name(self) -> str:
        """The Secret that belongs to the integration."""
        return f"{self._name}-git-credentials"

    async def _keep(self, name: str, data: Mapping[str, str], owner: Mapping[str, Any] | None) -> None:
        metadata: dict[str, Any] = {"name": name, "labels": _MANAGED}
        if owner:
            metadata["ownerReferences"] = [owner]
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}
        await self._request("PATCH", SECRETS.path(self._namespace, name), body, _APPLY)

    async def remove(self) -> bool:
        """The integration and the Secret that belongs to it; pipelines stay. False where there is none."""
        try:
            await self._request("DELETE", INTEGRATIONS.path(self._namespace, self._name))
        except NotFoundError:
            return False
        with contextlib.suppress(NotFoundError):
            await self._request("DELETE", SECRETS.path(self._namespace, self.secret_name))
        return True

    async def operate(
        self, kind: str, block: Mapping[str, Any], ttl: int, secret: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Creates an operation, and then the Secret that is given: that belongs to the operation, which waits for it, and
        has its name, so that the admission policy knows it for this one's own. Its maker needs no right on any other."""
        spec: dict[str, Any] = {"integrationRef": {"name": self._name}, "kind": kind, kind: dict(block)}
        spec["ttlSecondsAfterFinished"] = ttl
        body: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": "GitOperation",
            "metadata": {"generateName": "gitop-", "labels": _MANAGED},
            "spec": spec,
        }
        if secret is None:
            return dict(await self._request("POST", OPERATIONS.path(self._namespace), body))
        suffix = secrets.token_hex(8)
        body["metadata"] = {"name": f"gitop-{suffix}", "labels": _MANAGED}
        spec["test"]["credentials"]["secretRef"] = {"name": f"gitop-test-{suffix}"}
        made = await self._request("POST", OPERATIONS.path(self._namespace), body)
        metadata = {
            "name": f"gitop-test-{suffix}",
            "labels": _MANAGED,
            "ownerReferences": [_owner("GitOperation", made)],
        }
        held = {"metadata": metadata, "stringData": dict(secret)}
        await asyncio.shield(self._request("POST", SECRETS.path(self._namespace), held))
        return dict(made)

    async def operation(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self._request("GET", OPERATIONS.path(self._namespace, name))
        except NotFoundError:
            return None
        return found

    async def ended(self, name: str, seconds: float) -> dict[str, Any] | None:
        """The operation once it has ended; None where it has not within `seconds`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            found = await self.operation(name)
            if found is None or (found.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                return found
            if loop.time() > end:
                return None
            await asyncio.sleep(_POLL)


def _owner(kind: str, made: Mapping[str, Any]) -> dict[str, Any]:
    metadata = made["metadata"]
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}
