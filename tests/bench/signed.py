"""What signing and verifying cost: two integrations of the same content, one of which does both, change by change in turns."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

from tests.bed.gitserver import Repo
from tests.bed.signing import signed_commit, ssh_key
from tests.bench.apiserver import INTEGRATIONS, PIPELINES, Landings, moved_from, ref_of
from tests.bench.bed import Bed, fresh, manifest, name_of, path_of
from tests.bench.results import Signed, Timing

_PLAIN, _SIGNED = "plain", "signed"
_SPEC = {
    "commit": {"signingSecretRef": {"name": "signing"}},
    "verify": {"mode": "Head", "secretRef": {"name": "signers"}},
}


async def measure(pipelines: int, rounds: int) -> Signed:
    """Both pull the very same signed commits, so that what differs is what the operator does with them."""
    people, own = ssh_key(), ssh_key()
    async with fresh() as bed:
        template = bed.repository("template", pipelines)
        signed_commit(template, people[0], {})
        repos = {name: bed.copy(template, name) for name in (_PLAIN, _SIGNED)}
        for namespace, repo in repos.items():
            await bed.api.namespace(namespace)
            await bed.secret(namespace)
            for name, key, text in (
                ("signing", "identity", own[0]),
                ("signers", "allowed_signers", f"ann@example.com {people[1]}\n".encode()),
            ):
                secret = {"metadata": {"name": name}, "data": {key: base64.b64encode(text).decode()}}
                await bed.api.create(f"/api/v1/namespaces/{namespace}/secrets", secret)
            await bed.integrate(namespace, repo)
        await bed.api.merge(f"{INTEGRATIONS.format(_SIGNED)}/gi", {"spec": _SPEC})
        with bed.operator() as _:
            for namespace in repos:
                await _synced(bed, namespace, "start")
            assert (await bed.status(_SIGNED))["verified"]["signer"] == "ann@example.com"
            taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in repos}
            for number in range(rounds):
                for namespace in (_PLAIN, _SIGNED) if number % 2 else (_SIGNED, _PLAIN):
                    here, repo = taken[namespace], repos[namespace]
                    here[0].append(await _to_cluster(bed, namespace, repo, people[0], pipelines, number))
                    here[1].append(await _to_git(bed, namespace, repo, pipelines, number))
        both = zip(taken[_SIGNED], taken[_PLAIN], strict=True)
        return Signed(pipelines, *(Timing(tuple(signed), tuple(plain)) for signed, plain in both))


async def _to_cluster(bed: Bed, namespace: str, repo: Repo, key: bytes, pipelines: int, number: int) -> float:
    at = number * 7 % pipelines
    files = {path_of(at, flat=True): manifest(at, f"owner-{number}")}
    await asyncio.to_thread(signed_commit, repo, key, files)
    async with Landings(bed.api, PIPELINES.format(namespace)) as landings:
        landings.forget()
        started = time.monotonic()
        await bed.request_sync(namespace, f"c{number}")
        taken = await landings.all([name_of(at)], 120.0) - started
    await _synced(bed, namespace, f"d{number}")
    return taken


async def _to_git(bed: Bed, namespace: str, repo: Repo, pipelines: int, number: int) -> float:
    at = (number * 7 + 3) % pipelines
    before, started = ref_of(repo.path), time.monotonic()
    await bed.api.merge(f"{PIPELINES.format(namespace)}/{name_of(at)}", {"spec": {"owner": f"owner-{number}"}})
    taken = await moved_from(repo.path, before, 120.0) - started
    await _synced(bed, namespace, f"g{number}")
    return taken


async def _synced(bed: Bed, namespace: str, token: str) -> None:
    """A sync was asked for, and both sides are the same."""
    await bed.request_sync(namespace, token)
    async with asyncio.timeout(120):
        while True:
            status: dict[str, Any] = await bed.status(namespace)
            if status.get("lastHandledReconcileAt") == token and status.get("inSync"):
                return
            await asyncio.sleep(0.02)
