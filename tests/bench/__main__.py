"""`make bench`: measures, prints the table, and keeps it in docs/bench.md."""

from __future__ import annotations

import argparse
import asyncio
import compileall
import os
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bed.cluster import ROOT
from tests.bench import edits, failover, hooks, operations, scenarios, signed
from tests.bench.results import Failover, Hooked, Idle, Machine, Operations, Results, Signed, Size, Storm
from tests.bench.table import render

PAGE = ROOT / "docs" / "bench.md"
BY_HAND = "<!-- What follows is written by hand; `make bench` keeps it. -->\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 1000, 10_000], help="numbers of pipelines")
    parser.add_argument("--idle", type=int, nargs="*", default=[1000, 5000], help="numbers of idle integrations")
    parser.add_argument("--window", type=float, default=90.0, help="seconds for which idle integrations are watched")
    parser.add_argument("--rounds", type=int, default=15, help="how often a single change is timed")
    parser.add_argument("--hooked", type=int, nargs="*", default=[100, 10_000], help="numbers of pipelines of a forge")
    parser.add_argument("--hooked-rounds", type=int, default=30, help="how often a push to it is timed")
    parser.add_argument("--signed", type=int, default=1000, help="pipelines that are signed and verified; 0: none")
    parser.add_argument("--storm", type=int, default=500, help="edits at once; 0: none")
    parser.add_argument("--commits", type=int, default=5000, help="length of the history that is read; 0: none")
    parser.add_argument("--failover", type=int, default=3, help="how often the leading replica is ended; 0: never")
    parser.add_argument("--flat-only", action="store_true", help="leave out the layout with folders")
    parser.add_argument("--note", action="append", default=[], help="said with the results")
    parser.add_argument("--quick", action="store_true", help="small and short, to see that it works; writes no page")
    parser.add_argument("--no-page", action="store_true", help=f"print only, leave {PAGE.relative_to(ROOT)} alone")
    options = parser.parse_args(arguments)
    if options.quick:
        options.sizes, options.idle, options.rounds, options.storm, options.window = [100], [5], 4, 50, 5.0
        options.flat_only, options.no_page, options.commits, options.failover = True, True, 50, 0
        options.hooked, options.hooked_rounds, options.signed = [], 0, 100
    compileall.compile_dir(str(ROOT / "operator"), quiet=1)  # as an installed package is: each worker would compile it
    page = render(asyncio.run(measure(options)))
    print(page)
    if not options.no_page:
        PAGE.write_text(f"{page}\n{BY_HAND}{_by_hand(PAGE)}")


def _by_hand(page: Path) -> str:
    text = page.read_text() if page.exists() else ""
    return text.partition(BY_HAND)[2]


async def measure(options: argparse.Namespace) -> Results:
    started, load = time.monotonic(), os.getloadavg()[0]
    sizes: list[Size] = []
    for pipelines in options.sizes:
        for flat in (True, False) if not options.flat_only else (True,):
            tell(f"{pipelines:,} pipelines, {'flat' if flat else 'in folders'}")
            sizes.append(await scenarios.size(pipelines, flat=flat, rounds=options.rounds))
    hooked: list[Hooked] = []
    for pipelines in options.hooked:
        tell(f"a push to a forge with {pipelines:,} pipelines goes live by its hook")
        hooked.append(await hooks.measure(pipelines, options.hooked_rounds))
    verified: Signed | None = None
    if options.signed:
        tell(f"one change of {options.signed:,} pipelines, signed and verified")
        verified = await signed.measure(options.signed, options.rounds)
    storm: Storm | None = None
    if options.storm:
        tell(f"a storm of {options.storm} edits")
        storm = await scenarios.storm(2 * options.storm, options.storm)
    found: Operations | None = None
    if options.commits:
        pipelines = max(options.sizes, default=100)
        tell(f"operations on {options.commits} commits")
        found = await operations.measure(pipelines, options.commits, min(1000, pipelines // 2), min(5, options.rounds))
    ends: Failover | None = None
    if options.failover:
        tell("failover")
        ends = await failover.measure(options.failover)
    idle: tuple[Idle, ...] = ()
    if options.idle:
        tell(f"{options.idle} idle integrations")
        idle = await scenarios.idle(tuple(sorted(options.idle)), options.window, min(20.0, options.window))
    tell("edits of one file")
    edited = edits.measure(1000 if max(options.sizes, default=0) >= 100 else 50)
    return Results(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        revision=revision(),
        machine=machine(load),
        minutes=(time.monotonic() - started) / 60,
        sizes=tuple(sizes),
        hooked=tuple(hooked),
        signed=verified,
        idle=idle,
        storm=storm,
        operations=found,
        failover=ends,
        edits=edited,
        notes=tuple(options.note),
    )


def tell(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what} ...", flush=True)


def revision() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def machine(load_before: float) -> Machine:
    info = Path("/proc/cpuinfo").read_text()
    name = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "CPU")
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(os.cpu_count() or 1, total, name, (load_before, os.getloadavg()[0]))


if __name__ == "__main__":
    main()
