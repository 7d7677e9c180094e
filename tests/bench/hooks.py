"""From a push to a real forge until it is live, by the forge's own hook, which the operator registers there."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from pathlib import Path

from tests.bed.cluster import ROOT
from tests.bed.forge import OWNER, Forge
from tests.bed.gitserver import git
from tests.bed.operator import HooksProcess
from tests.bed.world import API
from tests.bench.apiserver import INTEGRATIONS, PIPELINES, Landings
from tests.bench.bed import Bed, fresh, manifest, name_of, path_of
from tests.bench.floors import Clone
from tests.bench.results import Hooked, Timing


class _Place:
    """A repository of the forge, as a clone needs it."""

    def __init__(self, forge: Forge, name: str) -> None:
        self._url = f"{forge.url}/{OWNER}/{name}.git"
        login = base64.b64encode(f"{OWNER}:{forge.token}".encode()).decode()
        self.header = ("-c", f"http.extraHeader=Authorization: Basic {login}")

    def url(self) -> str:
        return self._url


async def measure(pipelines: int, rounds: int) -> Hooked:
    """One change at a time; the hook's interval is an hour, so that nothing else looks."""
    async with fresh() as bed:
        forge = await asyncio.to_thread(Forge, bed.directory / "forge")
        try:
            return await _measured(bed, forge, pipelines, rounds)
        finally:
            forge.stop()


async def _measured(bed: Bed, forge: Forge, pipelines: int, rounds: int) -> Hooked:
    author, floor = await asyncio.to_thread(_clones, forge, bed.directory, pipelines)
    for namespace in ("hooked", "floor"):
        await bed.api.namespace(namespace)
    await asyncio.to_thread(bed.plane.kubectl, "apply", "--server-side", "-k", str(ROOT / "manifests" / "hooks"))
    receiver = await asyncio.to_thread(HooksProcess, bed.plane, bed.directory / "hooks")
    try:
        with bed.operator() as _:
            names = [name_of(n) for n in range(pipelines)]
            async with Landings(bed.api, PIPELINES.format("hooked")) as landings:
                await _integrate(bed, forge, author.repo.url(), receiver.url)
                await landings.all(names, 900.0)
                await _registered(bed)
                taken, least = [], []
                for number in range(rounds):
                    at = number * 7 % pipelines
                    path, text = path_of(at, flat=True), manifest(at, f"owner-{number}")
                    await bed.api.apply(f"{PIPELINES.format('floor')}/{name_of(at)}", manifest(at).encode())
                    landings.forget()
                    await asyncio.to_thread(author.commit_and_push, path, text)
                    pushed = time.monotonic()
                    taken.append(await landings.all([name_of(at)], 60.0) - pushed)
                    least.append(await floor.pull_one(bed.api, "floor", name_of(at)))
                return Hooked(pipelines, Timing(tuple(taken), tuple(least)))
    finally:
        receiver.stop()


def _clones(forge: Forge, directory: Path, pipelines: int) -> tuple[Clone[_Place], Clone[_Place]]:
    """A repository of the forge with so many pipelines: one clone to push from, one for the floor."""
    name = f"bench-{pipelines}"
    forge.api("POST", "/user/repos", {"name": name, "default_branch": "main", "private": True, "auto_init": True})
    place = _Place(forge, name)
    author = Clone(place, directory / "author", place.header)
    folder = author.directory / "pipelines"
    folder.mkdir()
    for n in range(pipelines):
        (folder / f"{name_of(n)}.yaml").write_text(manifest(n))
    git("add", "-A", cwd=author.directory)
    author.commit_to("main")
    return author, Clone(place, directory / "floor", place.header)


async def _integrate(bed: Bed, forge: Forge, url: str, receiver: str) -> None:
    for name, value in (("git", forge.token), ("hook", secrets.token_hex(16))):
        secret = {"metadata": {"name": name}, "stringData": {"token": value}}
        await bed.api.create("/api/v1/namespaces/hooked/secrets", secret)
    spec = {
        "repositoryURL": url,
        "provider": "gitea",
        "credentials": {"secretRef": {"name": "git"}},
        "webhook": {"secretRef": {"name": "hook"}, "register": True, "baseURL": receiver},
        "sync": {"interval": "1h", "push": {"quietPeriod": "0s"}},
    }
    made = {"apiVersion": API, "kind": "GitIntegration", "metadata": {"name": "gi"}, "spec": spec}
    await bed.api.create(INTEGRATIONS.format("hooked"), made)


async def _registered(bed: Bed) -> None:
    async with asyncio.timeout(120):
        while not ((await bed.status("hooked")).get("webhook") or {}).get("registered"):
            await asyncio.sleep(0.1)
