"""A fresh control plane, git server and operator for one scenario, and the content that is measured on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import WRITER, GitServer, Repo
from tests.bed.operator import OperatorProcess
from tests.bed.world import API
from tests.bench.apiserver import INTEGRATIONS, ApiServer

FOLDERS_OF = 100
REQUESTED = "planasonix.com/requestedAt"


def name_of(number: int) -> str:
    return f"pipeline-{number:05}"


def path_of(number: int, *, flat: bool) -> str:
    folder = "" if flat else f"team-{number // FOLDERS_OF:03}/"
    return f"pipelines/{folder}{name_of(number)}.yaml"


def manifest(number: int, owner: str = "sales-data") -> str:
    """24 lines, 0.9 KB."""
    name = name_of(number)
    return f"""\
# {name}: every morning before the sales meeting.
# Ask #sales-data before moving the schedule: two dashboards wait for it.
apiVersion: {API}
kind: Pipeline
metadata:
  name: {name}
  labels: {{team: sales, tier: "{number % 3}"}}
spec:
  displayName: Orders of shop {number}
  description: Brings the orders of shop {number} into the warehouse, once a day, and only those that moved.
  owner: {owner}
  schedule: "{number % 60} 5 * * *"  # UTC; the shop closes its books at 04:30
  enabled: true
  source:
    type: postgres
    connection: shop-{number % 50}-replica
    table: shop_{number}.orders
    mode: incremental  # by updated_at
  steps:
    - name: deduplicate
      keys: [order_id, updated_at]
    - name: to-euro
      rates: ecb  # yesterday's fixing; the day's own comes too late for the meeting at nine
  destination: {{type: bigquery, dataset: analytics, table: orders_{number}, partition: created_at}}
"""


def body(number: int) -> dict[str, Any]:
    """The same as an object."""
    return {
        "apiVersion": API,
        "kind": "Pipeline",
        "metadata": {"name": name_of(number), "labels": {"team": "sales", "tier": str(number % 3)}},
        "spec": {
            "displayName": f"Orders of shop {number}",
            "description": f"Brings the orders of shop {number} into the warehouse, once a day, and only those that moved.",
            "owner": "sales-data",
            "schedule": f"{number % 60} 5 * * *",
            "enabled": True,
            "source": {
                "type": "postgres",
                "connection": f"shop-{number % 50}-replica",
                "table": f"shop_{number}.orders",
                "mode": "incremental",
            },
            "steps": [
                {"name": "deduplicate", "keys": ["order_id", "updated_at"]},
                {"name": "to-euro", "rates": "ecb"},
            ],
            "destination": {
                "type": "bigquery",
                "dataset": "analytics",
                "table": f"orders_{number}",
                "partition": "created_at",
            },
        },
    }


@dataclass(frozen=True)
class Bed:
    plane: ControlPlane
    server: GitServer
    api: ApiServer
    directory: Path

    @contextlib.contextmanager
    def operator(self, *arguments: str) -> Iterator[OperatorProcess]:
        process = OperatorProcess(self.plane, self.directory / "operator", *arguments)
        try:
            yield process
        finally:
            process.stop()

    def repository(self, name: str, count: int, *, flat: bool = True) -> Repo:
        """With so many pipelines, in one commit. Without any it holds a README."""
        files = {path_of(n, flat=flat): manifest(n) for n in range(count)}
        return self.server.create(name, files=files or {"README.md": "# Pipelines\n"})

    def copy(self, template: Repo, name: str) -> Repo:
        """Another repository with the same content, at next to no cost."""
        repo = Repo(self.server, name, template.branch)
        shutil.copytree(template.path, repo.path, copy_function=os.link)
        ref = repo.path / "refs" / "heads" / repo.branch
        text = ref.read_text()
        ref.unlink()  # the link, so that a push moves its own
        ref.write_text(text)
        return repo

    async def secret(self, namespace: str) -> None:
        data = {k: base64.b64encode(v.encode()).decode() for k, v in zip(("username", "password"), WRITER, strict=True)}
        secret = {"metadata": {"name": "git"}, "data": data}
        await self.api.create(f"/api/v1/namespaces/{namespace}/secrets", secret)

    async def integrate(self, namespace: str, repo: Repo, **sync: Any) -> None:
        spec = {
            "repositoryURL": repo.url(),
            "credentials": {"secretRef": {"name": "git"}},
            "sync": {"interval": "1h", "push": {"quietPeriod": "0s"}, **sync},
        }
        made = {"apiVersion": API, "kind": "GitIntegration", "metadata": {"name": "gi"}, "spec": spec}
        await self.api.create(INTEGRATIONS.format(namespace), made)

    async def configure(self, namespace: str, **sync: Any) -> None:
        await self.api.merge(f"{INTEGRATIONS.format(namespace)}/gi", {"spec": {"sync": sync}})

    async def request_sync(self, namespace: str, token: str) -> None:
        """What a webhook would do."""
        annotations = {"metadata": {"annotations": {REQUESTED: token}}}
        await self.api.merge(f"{INTEGRATIONS.format(namespace)}/gi", annotations)

    async def status(self, namespace: str) -> dict[str, Any]:
        found = await self.api.request("GET", f"{INTEGRATIONS.format(namespace)}/gi")
        status: dict[str, Any] = found.get("status", {})
        return status


@contextlib.asynccontextmanager
async def fresh() -> AsyncIterator[Bed]:
    with (
        tempfile.TemporaryDirectory(prefix="gitintegration-bench-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        directory = Path(name)
        plane = ControlPlane(directory / "plane")
        stack.callback(plane.stop)
        plane.install()
        server = GitServer(directory / "git")
        stack.callback(server.stop)
        async with ApiServer(plane) as api:
            await _warmed(api)
            yield Bed(plane, server, api, directory)


async def _warmed(api: ApiServer) -> None:
    """For a moment after a CRD is there its lists are refused or slow, which no cluster that is in use shows."""
    for plural in ("pipelines", "gitintegrations", "gitintegrationbases", "gitoperations"):
        async with asyncio.timeout(30):
            while True:
                try:
                    await api.request("GET", f"/apis/{API}/{plural}")
                    break
                except RuntimeError:
                    await asyncio.sleep(0.1)


def lines(operator: OperatorProcess, event: str) -> list[dict[str, Any]]:
    """What the operator logged under that name so far."""
    found = (line for line in operator.log().splitlines() if f'"event": "{event}"' in line)
    return [json.loads(line) for line in found]
