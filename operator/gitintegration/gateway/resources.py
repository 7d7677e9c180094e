"""What the gateway does with the API server: who asks, what may they, and the resources behind the endpoints."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitintegration.api.base_model import ALLOWED_HOSTS, API_VERSION, OWNED_BY
from gitintegration.cluster.client import MERGE_PATCH, Cluster, NotFoundError
from gitintegration.cluster.integrations import KIND as INTEGRATIONS
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.cluster.operations import KIND as OPERATIONS
from gitintegration.cluster.operations import PLANS, plan_name
from gitintegration.cluster.paths import Path, api_path
from gitintegration.errors import ClusterUnavailable, Forbidden, Refused
from gitintegration.gateway.callers import User
from gitintegration.gateway.gate import Refusal
from gitintegration.git.url import parse_url

SECRETS = ResourceKind("", "v1", "Secret", "secrets", True)
_TOKEN_REVIEWS = api_path("apis", "authentication.k8s.io", "v1", "tokenreviews")
_ACCESS_REVIEWS = api_path("apis", "authorization.k8s.io", "v1", "subjectaccessreviews")
_APPLY = "application/apply-patch+yaml"
_MANAGER = "gitintegration-gateway"
_MANAGED = {"app.kubernetes.io/managed-by": _MANAGER}
_POLL, _SLOW_POLL, _QUICK_FOR = 0.1, 1.0, 3.0
"""Seconds between two looks at an operation: at first, after that, and for how long it is at first."""
_GOING = 10.0
"""Seconds for which an integration that is being removed is waited for."""


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource of the namespace."""

    verb: str
    kind: ResourceKind
    name: str = ""
    """Of one object; empty: of all of them."""

    def __str__(self) -> str:
        return f"{self.verb} {self.kind.plural}" + (f" {self.name!r}" if self.name else "")


class Who:
    """TokenReview and SubjectAccessReview, asked with the gateway's own rights; it has no others."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def user(self, token: str) -> User | None:
        """Whose token it is, or None where it is nobody's."""
        spec = {"token": token}
        status = await self._ask(_TOKEN_REVIEWS, "authentication.k8s.io/v1", "TokenReview", spec)
        return status.get("user") if status.get("authenticated") else None

    async def missing(self, user: User, namespace: str, rights: Sequence[Right]) -> Right | None:
        """The first of these rights that the user has not."""
        for right in rights:
            attributes = {
                "namespace": namespace,
                "verb": right.verb,
                "group": right.kind.group,
                "resource": right.kind.plural,
                "name": right.name,
            }
            spec = {
                "user": user.get("username", ""),
                "uid": user.get("uid", ""),
                "groups": user.get("groups") or [],
                "extra": user.get("extra") or {},
                "resourceAttributes": attributes,
            }
            status = await self._ask(_ACCESS_REVIEWS, "authorization.k8s.io/v1", "SubjectAccessReview", spec)
            if not status.get("allowed"):
                return right
        return None

    async def _ask(self, path: Path, api_version: str, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """The status of such a review. Raises ClusterUnavailable, also where the gateway may not ask: no caller's fault."""
        body = {"apiVersion": api_version, "kind": kind, "spec": spec}
        try:
            found = await self._cluster.request("POST", path, body=body)
        except (Forbidden, Refused) as error:
            words = f"the gateway may not create {kind.lower()}s; ClusterRole gitintegration-gateway has that: {error.message}"
            raise ClusterUnavailable(words) from None
        return found.get("status") or {}


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

    async def settled(self, gone: asyncio.Event) -> dict[str, Any] | None:
        """The integration, or None where there is none; one that is being removed is waited for. Raises Refusal."""
        found = await self.integration()
        if found is not None and is_dying(found):
            if not await self.vanished(found, gone):
                words = "the integration that was here is still being removed; try again. Does the operator run?"
                raise Refusal(409, "deleting", words, headers={"Retry-After": "5"})
            found = await self.integration()
        return found

    async def vanished(self, found: Mapping[str, Any], gone: asyncio.Event) -> bool:
        """Whether this very integration is no more, now or within some seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _GOING
        while True:
            now = await self.integration()
            if now is None or now["metadata"]["uid"] != found["metadata"]["uid"]:
                return True
            if loop.time() > end or gone.is_set():
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), _POLL)

    async def save(
        self, found: Mapping[str, Any] | None, spec: Mapping[str, Any], secret: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """Makes the integration, or changes the one that was found, and the Secret that belongs to it.

        Raises Stale where it is another by now, or is being removed: a change that is lost with it is none.
        """
        if found is None:
            metadata = {"name": self._name, "labels": _MANAGED}
            body = {"apiVersion": API_VERSION, "kind": "GitIntegration", "metadata": metadata, "spec": spec}
            made = await self._request("POST", INTEGRATIONS.path(self._namespace), body)
        else:
            path = INTEGRATIONS.path(self._namespace, self._name)
            seen = {field: found["metadata"][field] for field in ("uid", "resourceVersion")}
            body = {"metadata": seen, "spec": spec}
            made = await self._request("PATCH", path, body, MERGE_PATCH)
        if secret is not None:
            await self._keep(secret, made)
        return dict(made)

    @property
    def secret_name(self) -> str:
        """The Secret that belongs to the integration."""
        return f"{self._name}-git-credentials"

    async def _keep(self, data: Mapping[str, str], made: Mapping[str, Any]) -> None:
        annotations = {OWNED_BY: self._name, ALLOWED_HOSTS: host_of(made["spec"]["repositoryURL"])}
        body = _secret(self.secret_name, data, annotations, INTEGRATIONS.owner(made["metadata"]))
        await self._request("PATCH", SECRETS.path(self._namespace, self.secret_name), body, _APPLY)

    async def remove(self, found: Mapping[str, Any]) -> None:
        """The integration that was found and the Secret that belongs to it; pipelines stay.

        The Secret goes first, while nobody can have made the integration anew: what he stores would be gone with it.
        """
        with contextlib.suppress(NotFoundError):
            await self._request("DELETE", SECRETS.path(self._namespace, self.secret_name))
        only = {"preconditions": {"uid": found["metadata"]["uid"]}}
        with contextlib.suppress(NotFoundError):
            await self._request("DELETE", INTEGRATIONS.path(self._namespace, self._name), only)

    async def operate(
        self,
        kind: str,
        block: Mapping[str, Any],
        ttl: int,
        secret: Mapping[str, str] | None = None,
        *,
        force: bool = False,
    ) -> dict[str, Any]:
        """Creates an operation, and then the Secret that is given: that belongs to the operation, which waits for it, and
        has its name, so that the admission policy knows it for this one's own. Its maker needs no right on any other.

        So there is no moment at which nobody would clear it away: the operator does when the test has ended, whatever
        became of the caller or of this process.
        """
        spec: dict[str, Any] = {"integrationRef": {"name": self._name}, "kind": kind, kind: dict(block)}
        spec |= {"ttlSecondsAfterFinished": ttl, **({"force": True} if force else {})}
        metadata: dict[str, Any] = {"generateName": "gitop-", "labels": _MANAGED}
        body = {"apiVersion": API_VERSION, "kind": "GitOperation", "metadata": metadata, "spec": spec}
        if secret is None:
            return dict(await self._request("POST", OPERATIONS.path(self._namespace), body))
        suffix = secrets.token_hex(8)
        metadata = {"name": f"gitop-{suffix}", "labels": _MANAGED}
        spec[kind]["credentials"] = {**block["credentials"], "secretRef": {"name": f"gitop-test-{suffix}"}}
        made = await self._request("POST", OPERATIONS.path(self._namespace), {**body, "metadata": metadata})
        annotations = {ALLOWED_HOSTS: host_of(block["repositoryURL"])}
        held = _secret(f"gitop-test-{suffix}", secret, annotations, OPERATIONS.owner(made["metadata"]))
        await asyncio.shield(self._request("POST", SECRETS.path(self._namespace), held))
        return dict(made)

    async def operation(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self._request("GET", OPERATIONS.path(self._namespace, name))
        except NotFoundError:
            return None
        return found

    async def plan_page(self, operation: Mapping[str, Any], number: int) -> dict[str, Any] | None:
        """A page of the plan of an operation, from 1 on; None where there is none such."""
        plan = (operation.get("status") or {}).get("plan") or {}
        if not 1 <= number <= plan.get("pages", 0):
            return None
        try:
            found = await self._request("GET", PLANS.path(self._namespace, f"{plan_name(operation)}-{number}"))
        except NotFoundError:
            return None
        return dict(found["spec"])

    async def ended(self, name: str, seconds: float, gone: asyncio.Event) -> dict[str, Any] | None:
        """The operation once it has ended; None where it has not within `seconds`, or nobody waits for it any more."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            found = await self.operation(name)
            if found is None or (found.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                return found
            waited = loop.time() - began
            if waited > seconds or gone.is_set():
                return None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), _POLL if waited < _QUICK_FOR else _SLOW_POLL)


def is_dying(found: Mapping[str, Any]) -> bool:
    """Whether it is being removed."""
    return "deletionTimestamp" in found["metadata"]


def host_of(url: str) -> str:
    """The host in the address of a repository, in one spelling. Raises SpecError."""
    return parse_url(url).host.lower()


def _secret(
    name: str, data: Mapping[str, str], annotations: Mapping[str, str], owner: Mapping[str, Any]
) -> dict[str, Any]:
    metadata = {"name": name, "labels": _MANAGED, "annotations": annotations, "ownerReferences": [owner]}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": encoded}
