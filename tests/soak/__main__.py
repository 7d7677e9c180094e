"""`make soak`: authors on both sides while processes are killed, servers fail and Secrets rotate; then nothing is missing."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
from pathlib import Path

from tests.bed.world import API, World, manifest
from tests.soak import authors, gauges, verdict
from tests.soak.authors import Author, Ledger
from tests.soak.chaos import Bed, Chaos

_LINES = 400
"""Of each log, shown where something went wrong."""


def soak(minutes: float, seed: int, integrations: int, *, node: bool = False) -> list[str]:
    """What went wrong; prints what happened. To be called in the main thread. `node`: as Pods on a real node."""
    with tempfile.TemporaryDirectory(prefix="gitintegration-soak-", ignore_cleanup_errors=True) as name:
        bed = Bed(Path(name), node=node)
        try:
            return _soak(bed, minutes, seed, integrations)
        finally:
            bed.stop()


def _soak(bed: Bed, minutes: float, seed: int, integrations: int) -> list[str]:
    ledger, end, worlds = Ledger(), threading.Event(), []
    for number in range(integrations):
        files = {f"pipelines/p{n}.yaml": manifest(f"p{n}") for n in range(authors.SHARED)}
        files |= {gauges.path(name): gauges.text(name, "v0") for name in gauges.NAMES}
        w = World(bed.plane, bed.server, f"soak-{number}", files)
        w.secret()
        resources = [{"apiVersion": API, "kind": "Pipeline"}, gauges.RESOURCE]
        w.integrate(repositoryURL=bed.replicas.reach(w.repo.url()), sync={"interval": "10s"}, resources=resources)
        worlds.append(w)
    for w in worlds:
        w.in_sync()
    busy = [
        Author(w, side, ledger, end, seed + 2 * number + (side == "c"))
        for number, w in enumerate(worlds)
        for side in ("c", "g")
    ]
    for author in busy:
        author.start()
    chaos = Chaos(bed, worlds, ledger, seed)
    chaos.play(minutes * 60)
    end.set()
    for author in busy:
        author.join(120)
    wrong = [f"an author failed: {one.failed!r}" for one in busy if one.failed or one.is_alive()]
    bed.calm()
    for w in worlds:
        wrong += verdict.judged(w, ledger)
        chaos.revive()
    wrong += [*verdict.leaks(bed, worlds), *ledger.ended]
    for what, count in sorted(ledger.counts.items()):
        print(f"{count:7} {what}")
    if wrong:
        for place, text in bed.replicas.texts():
            if place.endswith(".log") or place.startswith("Pods"):
                print(f"--- {place}", *text.splitlines()[-_LINES:], sep="\n")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--integrations", type=int, default=8)
    parser.add_argument("--node", action="store_true", help="with the operator as Pods of its image on a real node")
    options = parser.parse_args()
    where = ", on a node" if options.node else ""
    print(f"seed {options.seed}, {options.minutes:g} min, {options.integrations} integrations{where}", flush=True)
    wrong = soak(options.minutes, options.seed, options.integrations, node=options.node)
    for line in wrong:
        print(f"WRONG: {line}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
