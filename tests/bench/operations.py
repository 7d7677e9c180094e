"""Operations on demand beside the git CLI: history on a long one, and pushes to a new branch."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.bed.gitserver import Repo, git
from tests.bed.world import API
from tests.bench import floors
from tests.bench.apiserver import PIPELINES, concurrently
from tests.bench.bed import Bed, fresh, lines, manifest, name_of, path_of
from tests.bench.results import Operations, Timing

_OPERATIONS = f"/apis/{API}/namespaces/{{}}/gitoperations"


async def measure(pipelines: int, commits: int, pushed: int, rounds: int) -> Operations:
    """A repository of so many pipelines in folders, and so many commits of one file each."""
    async with fresh() as bed:
        repo = bed.repository("long", pipelines, flat=False)
        await asyncio.to_thread(_edits, repo, pipelines, commits)
        await bed.api.namespace("ops")
        await bed.secret("ops")
        with bed.operator() as operator:
            await bed.integrate("ops", repo, mode="Bidirectional")
            async with asyncio.timeout(600):
                while not lines(operator, "synced"):
                    await asyncio.sleep(0.1)
            await bed.configure("ops", mode="Manual")
            first = await _history(bed, repo, [path_of(0, flat=False)], cloned=True)
            single = await _history(bed, repo, [path_of(number, flat=False) for number in range(1, rounds + 1)])
            whole = await _history(bed, repo, ["pipelines/"] * rounds)
            one = [await _push(bed, repo, [number], f"one-{number}") for number in range(rounds)]
            many = await _push(bed, repo, list(range(rounds, rounds + pushed)), "many")
    return Operations(
        pipelines,
        commits,
        whole,
        first,
        single,
        Timing(tuple(t for t, _ in one), tuple(f for _, f in one)),
        pushed,
        Timing((many[0],), (many[1],)),
    )


def _edits(repo: Repo, pipelines: int, commits: int) -> None:
    out = []
    for number in range(commits):
        at = number * 7 % pipelines
        text = manifest(at, f"owner-{number}").encode()
        who = f"Ada Author <ada@example.com> {1_700_000_000 + number} +0000"
        out.append(f"commit refs/heads/main\nauthor {who}\ncommitter {who}\ndata 4\nedit\n".encode())
        if number == 0:
            out.append(b"from refs/heads/main^0\n")
        out.append(f'M 100644 inline "{path_of(at, flat=False)}"\ndata {len(text)}\n'.encode() + text + b"\n")
    git("fast-import", "--quiet", "--force", cwd=repo.path, stdin=b"".join(out))


async def _history(bed: Bed, repo: Repo, paths: list[str], *, cloned: bool = False) -> Timing:
    """`cloned`: the floor has no repository either, and clones one without files first."""
    taken, floor = [], []
    for path in paths:
        started = time.perf_counter()
        directory = floors.clone_without_files(repo, bed.directory / "bare") if cloned else repo.path
        wanted = git("log", "-30", "--name-only", "--format=%H %an %ct %s", "main", "--", path, cwd=directory)
        floor.append(time.perf_counter() - started)
        started = time.perf_counter()
        done = await _done(bed, "history", {"path": path, "limit": 30})
        taken.append(time.perf_counter() - started)
        assert done["history"] and all(commit["sha"] in wanted for commit in done["history"])
    return Timing(tuple(taken), tuple(floor))


async def _push(bed: Bed, repo: Repo, numbers: list[int], branch: str) -> tuple[float, float]:
    clone = floors.Clone(repo, bed.directory / f"clone-{branch}")
    started = time.perf_counter()
    for number in numbers:
        (clone.directory / path_of(number, flat=False)).write_text(manifest(number, branch))
    git("add", "-A", cwd=clone.directory)
    clone.commit_to(f"floor-{branch}")
    floor = time.perf_counter() - started

    async def edit(number: int) -> None:
        await bed.api.merge(f"{PIPELINES.format('ops')}/{name_of(number)}", {"spec": {"owner": branch}})

    await concurrently(edit, numbers)
    started = time.perf_counter()
    done = await _done(bed, "push", {"branch": branch, "pipelines": [name_of(n) for n in numbers]})
    taken = time.perf_counter() - started
    assert done["counts"]["updated"] == len(numbers), done
    return taken, floor


async def _done(bed: Bed, kind: str, block: dict[str, Any]) -> dict[str, Any]:
    body = {
        "apiVersion": API,
        "kind": "GitOperation",
        "metadata": {"generateName": "bench-"},
        "spec": {"integrationRef": {"name": "gi"}, "kind": kind, kind: block},
    }
    made = await bed.api.create(_OPERATIONS.format("ops"), body)
    path = f"{_OPERATIONS.format('ops')}/{made['metadata']['name']}"
    async with asyncio.timeout(300):
        while True:
            status: dict[str, Any] = (await bed.api.request("GET", path)).get("status") or {}
            if status.get("finishedAt"):
                assert status["phase"] == "Succeeded", status
                return status
            await asyncio.sleep(0.005)
