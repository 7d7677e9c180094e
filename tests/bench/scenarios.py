"""The scenarios: each on a fresh control plane, each figure beside its floor, taken in turns on the same parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.bed.gitserver import Repo, git
from tests.bed.operator import OperatorProcess
from tests.bench import floors
from tests.bench.apiserver import PIPELINES, Landings, concurrently, moved_from, ref_of
from tests.bench.bed import Bed, body, fresh, lines, manifest, name_of, path_of
from tests.bench.floors import Clone
from tests.bench.processes import Meter, cpu, memory
from tests.bench.results import Idle, Load, Size, Storm, Timing

_LONG = 900.0
_UNCHANGED = "unchanged"


async def until(what: Callable[[], bool], seconds: float = _LONG) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.05)


async def size(pipelines: int, *, flat: bool, rounds: int) -> Size:
    """Pull, look, change each way; and in the flat layout the first push."""
    async with fresh() as bed:
        template = bed.repository("template", pipelines, flat=flat)
        floor_repo, repo = bed.copy(template, "floor"), bed.copy(template, "pull")
        await bed.api.namespace("floor")
        pull_floor = await floors.first_pull(bed.api, floor_repo, "floor", bed.directory / "clone")
        await bed.api.request("DELETE", PIPELINES.format("floor"))
        clone = Clone(floor_repo, bed.directory / "clone-of-changes")
        await bed.api.namespace("pull")
        await bed.secret("pull")
        with bed.operator("--log-level=debug") as operator:
            names = [name_of(n) for n in range(pipelines)]
            async with Landings(bed.api, PIPELINES.format("pull")) as landings:
                with Meter(operator.pid) as meter:
                    started = time.monotonic()
                    await bed.integrate("pull", repo)
                    taken = await landings.all(names, _LONG) - started
                    await until(lambda: bool(lines(operator, "synced")))
                pull, pull_load = Timing((taken,), (pull_floor,)), Load(meter.peak, meter.cpu)
                with Meter(operator.pid) as meter:
                    to_cluster = await _to_cluster(bed, repo, clone, landings, pipelines, rounds, flat=flat)
                    to_git = await _to_git(bed, repo, clone, pipelines, rounds, flat=flat)
                load = Load(meter.peak, meter.cpu)
            unchanged, writes = await _unchanged(bed, operator, floor_repo, rounds)
        found = Size(
            pipelines, flat, pull, pull_load, unchanged, writes, len(unchanged.taken), to_cluster, to_git, load
        )
    if not flat:
        return found
    push, push_load = await first_push(pipelines)
    return Size(**{**vars(found), "first_push": push, "first_push_load": push_load})


async def _to_cluster(
    bed: Bed, repo: Repo, clone: Clone[Repo], landings: Landings, pipelines: int, rounds: int, *, flat: bool
) -> Timing:
    taken, floor = [], []
    for number in range(rounds):
        at = number * 7 % pipelines
        files = {path_of(at, flat=flat): manifest(at, f"owner-{number}")}
        clone.repo.commit(files)
        floor.append(await clone.pull_one(bed.api, "floor", name_of(at)))
        repo.commit(files)
        landings.forget()
        started = time.monotonic()
        await bed.request_sync("pull", f"c{number}")
        taken.append(await landings.all([name_of(at)], 120.0) - started)
        await _told(bed, f"c{number}")
    return Timing(tuple(taken), tuple(floor))


async def _to_git(bed: Bed, repo: Repo, clone: Clone[Repo], pipelines: int, rounds: int, *, flat: bool) -> Timing:
    taken, floor = [], []
    for number in range(rounds):
        at = (number * 7 + 3) % pipelines
        floor.append(clone.commit_and_push(path_of(at, flat=flat), manifest(at, f"owner-{number}")))
        before = ref_of(repo.path)
        started = time.monotonic()
        await bed.api.merge(f"{PIPELINES.format('pull')}/{name_of(at)}", {"spec": {"owner": f"owner-{number}"}})
        taken.append(await moved_from(repo.path, before, 120.0) - started)
        await bed.request_sync("pull", f"g{number}")
        await _told(bed, f"g{number}")
    return Timing(tuple(taken), tuple(floor))


async def _told(bed: Bed, token: str, namespace: str = "pull") -> None:
    async with asyncio.timeout(120):
        while (await bed.status(namespace)).get("lastHandledReconcileAt") != token:
            await asyncio.sleep(0.02)


async def _unchanged(bed: Bed, operator: OperatorProcess, floor_repo: Repo, rounds: int) -> tuple[Timing, int]:
    """Periodic syncs that find nothing, at the shortest interval there is."""
    floor = [floors.ls_remote(floor_repo) for _ in range(rounds)]
    await bed.configure("pull", interval="10s")
    await asyncio.sleep(3.0)  # the changed spec is told in the status
    before, known = await bed.api.requests(), len(lines(operator, _UNCHANGED))
    wanted = max(2, rounds // 4)
    await until(lambda: len(lines(operator, _UNCHANGED)) >= known + wanted, 60.0)
    writes = (await bed.api.requests() - before).writes
    taken = [line["seconds"] for line in lines(operator, _UNCHANGED)[known:]]
    return Timing(tuple(taken), tuple(floor)), writes


async def first_push(pipelines: int) -> tuple[Timing, Load]:
    """A namespace full of pipelines, and a repository without any."""
    async with fresh() as bed:
        await bed.api.namespace("push")
        await bed.secret("push")

        async def create(number: int) -> None:
            await bed.api.create(PIPELINES.format("push"), body(number))

        await concurrently(create, range(pipelines))
        template = bed.repository("template", 0)
        floor_repo, repo = bed.copy(template, "floor"), bed.copy(template, "push")
        floor = await floors.first_push(bed.api, floor_repo, "push", bed.directory / "clone")
        with bed.operator() as operator, Meter(operator.pid) as meter:
            before, started = ref_of(repo.path), time.monotonic()
            await bed.integrate("push", repo, mode="Push")
            taken = await moved_from(repo.path, before, _LONG) - started
            await until(lambda: bool(lines(operator, "synced")))
        assert len(repo.files()) == pipelines + 1
        return Timing((taken,), (floor,)), Load(meter.peak, meter.cpu)


async def storm(pipelines: int, edits: int) -> Storm:
    """Edits of so many pipelines of one integration, as fast as the API server takes them."""
    async with fresh() as bed:
        repo = bed.copy(bed.repository("template", pipelines), "pull")
        await bed.api.namespace("pull")
        await bed.secret("pull")
        with bed.operator() as operator:
            await bed.integrate("pull", repo, push={"quietPeriod": "1s"})
            await until(lambda: bool(lines(operator, "synced")))
            edited: dict[str, float] = {}

            async def edit(number: int) -> None:
                path = f"{PIPELINES.format('pull')}/{name_of(number)}"
                await bed.api.merge(path, {"spec": {"owner": "storm"}})
                edited[path_of(number, flat=True)] = time.monotonic()

            landed: dict[str, float] = {}
            commits = 0
            editing = asyncio.create_task(concurrently(edit, range(edits)))
            before = ref_of(repo.path)
            async with asyncio.timeout(120):
                while len(landed) < edits:
                    moment = await moved_from(repo.path, before, 60.0)
                    after = ref_of(repo.path)
                    shas = git("rev-list", f"{before}..{after}", cwd=repo.path).split()
                    for path in git("diff", "--name-only", before, after, cwd=repo.path).split():
                        landed[path] = moment
                    commits, before = commits + len(shas), after
            await editing
            waits = tuple(max(0.0, landed[path] - moment) for path, moment in edited.items())
            return Storm(edits, max(edited.values()) - min(edited.values()), commits, waits)


async def idle(counts: tuple[int, ...], window: float, settle: float) -> tuple[Idle, ...]:
    """So many integrations, each in its own namespace with its own repository of one pipeline, at an interval of 5 min."""
    found = []
    async with fresh() as bed:
        template = bed.repository("template", 1)
        await bed.api.namespace("watch")
        there = 0
        with bed.operator() as operator:
            for count in counts:

                async def make(number: int) -> None:
                    namespace = f"idle-{number:05}"
                    repo = await asyncio.to_thread(bed.copy, template, namespace)
                    await bed.api.namespace(namespace)
                    await bed.secret(namespace)
                    await bed.integrate(namespace, repo, interval="5m")

                started = time.monotonic()
                await concurrently(make, range(there, count))
                await until(lambda: len(lines(operator, "synced")) >= count)  # noqa: B023 - awaited in this turn
                first = time.monotonic() - started
                there = count
                await asyncio.sleep(settle)
                found.append(await _idle(bed, operator, count, first, window))
    return tuple(found)


async def _idle(bed: Bed, operator: OperatorProcess, count: int, first: float, window: float) -> Idle:
    asked, spent, git_before = await bed.api.requests(), cpu(operator.pid), len(bed.server.requests)
    started = time.monotonic()
    with Meter(operator.pid) as meter:
        await asyncio.sleep(window)
    seconds = time.monotonic() - started
    share = (cpu(operator.pid) - spent) / seconds
    requests = await bed.api.requests() - asked
    minute = 60.0 / seconds
    git_requests = (len(bed.server.requests) - git_before) * minute
    operator.stop()
    chosen = sorted({round(n * (count - 1) / 19) for n in range(20)})
    heads = {}
    for number in chosen:
        namespace = f"idle-{number:05}"
        path = bed.server.root / f"{namespace}.git"
        heads[path] = ref_of(path)
        spec = {"spec": {"owner": f"while-away-{count}"}}
        await bed.api.merge(f"{PIPELINES.format(namespace)}/{name_of(0)}", spec)
    started = time.monotonic()
    await asyncio.to_thread(operator.start)
    with Meter(operator.pid) as restarted:
        moments = await asyncio.gather(*(moved_from(path, head, _LONG) for path, head in heads.items()))
    return Idle(
        count,
        first,
        meter.peak,
        share,
        requests.every * minute,
        requests.writes * minute,
        git_requests,
        max(moments) - started,
        max(restarted.peak, memory(operator.pid)),
    )
