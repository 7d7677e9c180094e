"""One user's world on the bed: a namespace, a repository, a Secret and an integration, with the words to act and wait."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.bed.cluster import Cluster
from tests.bed.gitserver import WRITER, GitServer, Repo

API = "planasonix.com/v1alpha1"
WAIT = 60.0
_OURS = ("pipelines", "gitintegrations", "gitoperations", "gitoperationplans", "gitintegrationbases")
_SHORT = {"gi": "gitintegrations", "gitop": "gitoperations", "pl": "pipelines"}


def pipeline(name: str, **spec: Any) -> dict[str, Any]:
    fields = {"displayName": name.title(), "schedule": "0 5 * * *", **spec}
    return {"apiVersion": API, "kind": "Pipeline", "metadata": {"name": name}, "spec": fields}


def manifest(name: str, schedule: str = "0 5 * * *", owner: str = "ann") -> str:
    return (
        f"# {name}, as its team wrote it\n"
        f"apiVersion: {API}\nkind: Pipeline\nmetadata:\n  name: {name}\nspec:\n"
        f'  schedule: "{schedule}"  # cron\n  owner: {owner}\n'
        "  steps:\n    - name: extract\n      sql: select 1\n    - name: load\n      table: t\n"
    )


def eventually(what: Callable[[], Any], seconds: float = WAIT) -> Any:
    """The first true value of `what`; AssertionError, with the last one, where none comes in time."""
    end = time.monotonic() + seconds
    told: Exception | None
    while True:
        try:
            value = what()
        except (KeyError, IndexError, RuntimeError, AssertionError) as error:
            value, told = None, error
        else:
            told = None
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s; last: {told or value!r}")
        time.sleep(0.05)


class World:
    def __init__(self, plane: Cluster, server: GitServer, namespace: str, files: Mapping[str, str] | None = None):
        self.plane, self.server, self.namespace = plane, server, namespace
        self.repo: Repo = server.create(namespace, files=files)
        named = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        plane.put("/api/v1/namespaces", named)

    def secret(self, name: str = "git", **data: str) -> None:
        """The writer's, where no keys are given."""
        self.annotated_secret({}, name, **data)

    def annotated_secret(self, annotations: Mapping[str, str], name: str = "git", **data: str) -> None:
        """The same; `annotations` are those of our group, without its name."""
        data = data or {"username": WRITER[0], "password": WRITER[1]}
        named = {f"planasonix.com/{key}": value for key, value in annotations.items()}
        metadata = {"name": name, "annotations": named}
        whole = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        self.plane.put(f"/api/v1/namespaces/{self.namespace}/secrets", whole)

    def integrate(
        self, name: str = "gi", *, secret: str | None = "git", labels: Mapping[str, str] | None = None, **spec: Any
    ) -> None:
        """Applies the integration; fields given here win over a test's quick defaults."""
        sync = {"interval": "10s", "push": {"quietPeriod": "0s"}, **spec.pop("sync", {})}
        body = {"repositoryURL": self.repo.url(), "sync": sync, **spec}
        if secret:
            body.setdefault("credentials", {"secretRef": {"name": secret}})
        self.plane.apply(
            {
                "apiVersion": API,
                "kind": "GitIntegration",
                "metadata": {"name": name, "labels": dict(labels or {})},
                "spec": body,
            },
            namespace=self.namespace,
        )

    def by_hand(self, **spec: Any) -> None:
        """Switches to mode Manual, and returns once that is in force: nothing edited from here on is synced by itself."""
        self.integrate(sync={"mode": "Manual"}, **spec)
        self.sync_now()

    def kubectl(self, *args: str, **options: Any) -> str:
        return self.plane.kubectl("-n", self.namespace, *args, **options)

    def apply(self, *documents: dict[str, Any]) -> None:
        self.plane.apply(*documents, namespace=self.namespace)

    def patch(self, name: str, spec: Mapping[str, Any], kind: str = "pipeline") -> None:
        if path := self._path(kind):
            self.plane.merge(f"{path}/{name}", {"spec": dict(spec)}, "kubectl-patch")
        else:
            self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def get(self, name: str, kind: str = "pipeline") -> dict[str, Any] | None:
        if path := self._path(kind):
            return self.plane.read(f"{path}/{name}")  # type: ignore[no-any-return]
        try:
            found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        except RuntimeError as error:
            if "NotFound" in str(error):
                return None
            raise
        return found

    def _path(self, kind: str) -> str | None:
        """Of what is often looked at."""
        plural = _SHORT.get(kind, kind if kind.endswith("s") else f"{kind}s")
        group = f"apis/{API}" if plural in _OURS else "api/v1" if plural in ("secrets", "configmaps") else None
        return f"/{group}/namespaces/{self.namespace}/{plural}" if group else None

    def spec(self, name: str, kind: str = "pipeline") -> dict[str, Any]:
        found = self.get(name, kind)
        assert found, f"{kind} {name} is not there"
        spec: dict[str, Any] = found["spec"]
        return spec

    def names(self, kind: str = "pipeline") -> set[str]:
        if path := self._path(kind):
            if (found := self.plane.read(path)) is None:
                raise RuntimeError(f"{kind} is not served")
            return {item["metadata"]["name"] for item in found["items"]}
        return set(self.kubectl("get", kind, "-o", "jsonpath={.items[*].metadata.name}").split())

    def status(self, name: str = "gi") -> dict[str, Any]:
        found = self.get(name, "gitintegration")
        assert found
        status: dict[str, Any] = found.get("status", {})
        return status

    def condition(self, kind: str, name: str = "gi") -> dict[str, Any]:
        return next((c for c in self.status(name).get("conditions", []) if c["type"] == kind), {})

    def sync_now(self, name: str = "gi") -> dict[str, Any]:
        """Asks for a sync and waits until it is done; the status after it."""
        token = str(time.monotonic_ns())
        asked = {"metadata": {"annotations": {"planasonix.com/requestedAt": token}}}
        self.plane.merge(f"{self._path('gi')}/{name}", asked, "kubectl-annotate")
        eventually(lambda: self.status(name).get("lastHandledReconcileAt") == token)
        return self.status(name)

    def in_sync(self, name: str = "gi") -> dict[str, Any]:
        """Asks for syncs until both sides are the same; the status."""
        return eventually(lambda: (s := self.sync_now(name)).get("inSync") and s)  # type: ignore[no-any-return]
