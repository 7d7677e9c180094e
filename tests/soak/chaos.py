"""What goes wrong meanwhile."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bed import policies
from tests.bed.gitserver import TOKEN, WRITER, GitServer, git
from tests.bed.world import World
from tests.soak import gauges
from tests.soak.authors import WHO, Ledger
from tests.soak.replicas import OnNode, Processes, Replicas


class Bed:
    """A control plane with two replicas of the operator, and a git server."""

    def __init__(self, directory: Path, *, node: bool = False) -> None:
        self.replicas: Replicas = OnNode(directory) if node else Processes(directory)
        self.plane = self.replicas.plane
        gauges.install(self.plane)
        self.server = GitServer(directory / "git")

    def calm(self) -> None:
        faults = self.server.faults
        faults.only, faults.delay, faults.status, faults.headers = "", 0.0, 0, {}
        faults.drop_before = faults.drop_after = 0

    def stop(self) -> None:
        self.server.stop()
        self.replicas.stop()


_REFUSES = """#!/bin/sh
bad=$(git diff-tree -r --name-only "$2" "$3" -- pipelines/p0.yaml pipelines/cown0.yaml)
[ -z "$bad" ] || { echo "not this file: $bad" >&2; exit 1; }
"""


class Chaos:
    """Plays in the main thread: what a thread has started ends with it."""

    def __init__(self, bed: Bed, worlds: list[World], ledger: Ledger, seed: int) -> None:
        self.bed, self.worlds, self.ledger, self.rng = bed, worlds, ledger, random.Random(seed)

    def play(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        deeds: list[tuple[int, Callable[[], None]]] = [
            (6, self.kill),
            (3, self.dropped_answers),
            (3, self.dropped_requests),
            (2, self.errors),
            (2, self.limits),
            (2, self.slow),
            (2, self.rotate),
            (2, self.rewrite),
            (2, self.admission_refuses),
            (2, self.api_server_throttles),
            (2, self.replica_lags),
            (2, self.file_refused),
            (2, self.schema_changes),
            (1, self.definition_remade),
            (1, self.kind_unserved),
            (1, self.restart_api_server),
        ]
        each_once = self.rng.sample([deed for _, deed in deeds], len(deeds))
        while time.monotonic() < end:
            time.sleep(self.rng.uniform(1.0, 4.0))
            deed = each_once.pop() if each_once else self.rng.choices([d for _, d in deeds], [n for n, _ in deeds])[0]
            deed()
            self.revive()
            self.ledger.counts[deed.__name__.replace("_", " ")] += 1

    def revive(self) -> None:
        self.bed.replicas.revive(self.ledger)

    def kill(self) -> None:
        self.bed.replicas.kill(self.rng)

    def dropped_answers(self) -> None:
        self._faulty("git-receive-pack" if self.rng.random() < 0.7 else "", drop_after=1)

    def dropped_requests(self) -> None:
        self._faulty("", drop_before=2)

    def errors(self) -> None:
        self._faulty("", status=500)

    def limits(self) -> None:
        self._faulty("", status=429, headers={"Retry-After": "1"})

    def slow(self) -> None:
        self._faulty("", delay=1.0)

    def _faulty(self, only: str, **faults: Any) -> None:
        server = self.bed.server.faults
        server.only = only
        for name, value in faults.items():
            setattr(server, name, value)
        time.sleep(self.rng.uniform(0.5, 2.0))
        self.bed.calm()

    def rotate(self) -> None:
        w = self.rng.choice(self.worlds)
        data = self.rng.choice([{"token": TOKEN}, {"username": WRITER[0], "password": WRITER[1]}])
        with contextlib.suppress(RuntimeError):
            w.secret(**data)

    def rewrite(self) -> None:
        """A forced push: the same content under another commit."""
        repo = self.rng.choice(self.worlds).repo
        head = repo.head()
        assert head
        parents = git("rev-list", "-1", "--parents", head, cwd=repo.path).split()[1:]
        flags = [word for parent in parents for word in ("-p", parent)]
        who = git("log", "-1", "--format=%an", head, cwd=repo.path).strip()
        env = {**WHO, "GIT_AUTHOR_NAME": who}
        made = git("commit-tree", f"{head}^{{tree}}", *flags, "-m", "amended", cwd=repo.path, env=env).strip()
        with contextlib.suppress(RuntimeError):
            git("update-ref", "refs/heads/main", made, head, cwd=repo.path)

    def replica_lags(self) -> None:
        """What was pushed is not seen for a while."""
        with self.bed.server.lagging(self.rng.choice(self.worlds).repo):
            time.sleep(self.rng.uniform(2.0, 8.0))

    def file_refused(self) -> None:
        """A server that takes no push with one file in it; all others it takes."""
        hook = self.rng.choice(self.worlds).repo.path / "hooks" / "update"
        before = hook.read_text()
        hook.write_text(_REFUSES)
        time.sleep(self.rng.uniform(2.0, 6.0))
        hook.write_text(before)

    def schema_changes(self) -> None:
        with gauges.defined(self.bed.plane, loses=self.rng.random() < 0.5):
            self._edit_gauge()
            time.sleep(self.rng.uniform(1.0, 4.0))
            self._edit_gauge()

    def definition_remade(self) -> None:
        """All objects of a kind go with its definition, and git has them still."""
        gauges.remove(self.bed.plane)
        self._edit_gauge()
        time.sleep(self.rng.uniform(0.0, 3.0))
        gauges.install(self.bed.plane)

    def kind_unserved(self) -> None:
        with gauges.unserved(self.bed.plane, self.rng.choice([gauges.CRD, "pipelines.planasonix.com"])):
            time.sleep(self.rng.uniform(0.5, 3.0))

    def _edit_gauge(self) -> None:
        gauges.edit(self.rng.choice(self.worlds), self.ledger.levels, self.rng)
        self.ledger.counts["edits of gauges"] += 1

    def admission_refuses(self) -> None:
        with policies.meanwhile(self.bed.plane, policies.NO_WRITES):
            time.sleep(self.rng.uniform(2.0, 5.0))

    def api_server_throttles(self) -> None:
        """Its Lease may not be renewed meanwhile either."""
        with policies.meanwhile(self.bed.plane, policies.ONE_REQUEST):
            time.sleep(self.rng.uniform(1.0, 4.0))

    def restart_api_server(self) -> None:
        """Breaks all watches as well."""
        self.bed.plane.restart()
