"""`make soak`: authors on both sides while processes are killed, servers fail and Secrets rotate; then nothing is missing.

Each author has fields of its own, so what must be there at the end is known: the last value of each. A field may be
named in a conflict instead: a process that is killed between its push and its note of it leaves the next edit of the
same field to a person.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import itertools
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import TOKEN, WRITER, GitServer, git
from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest

_WHO = {f"GIT_{role}_{what}": f"soak@{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_FIELDS, _PIPELINES = 3, 4
_SETTLED = 180.0


class Ledger:
    """What was written last: (namespace, pipeline, field) -> value; and how often what happened."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, str, str], str] = {}
        self.counts: Counter[str] = Counter()


class Author(threading.Thread):
    """Edits one integration's pipelines on one side; an edit that was not taken is made again."""

    def __init__(self, w: World, side: str, ledger: Ledger, end: threading.Event, seed: int) -> None:
        super().__init__(daemon=True)
        self.w, self.side, self.ledger, self.end, self.rng = w, side, ledger, end, random.Random(seed)
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            for number in itertools.count():
                if self.end.wait(self.rng.uniform(0.1, 1.5)):
                    return
                name = f"p{self.rng.randrange(_PIPELINES)}"
                field = f"{self.side}{self.rng.randrange(_FIELDS)}"
                while not self._edit(name, field, f"v{number}"):
                    time.sleep(0.1)
                self.ledger.last[self.w.namespace, name, field] = f"v{number}"
                self.ledger.counts[f"edits in {'git' if self.side == 'g' else 'the cluster'}"] += 1
        except BaseException as error:
            self.failed = error
            raise

    def _edit(self, name: str, field: str, value: str) -> bool:
        try:
            if self.side == "c":
                patch = json.dumps({"metadata": {"labels": {field: value}}})
                self.w.kubectl("patch", "pipeline", name, "--type=merge", "-p", patch)
            else:
                self._commit(name, field, value)
        except RuntimeError:
            self.ledger.counts["edits made again"] += 1
            return False
        return True

    def _commit(self, name: str, field: str, value: str) -> None:
        """On the very commit that was read, or not at all."""
        repo, path = self.w.repo, f"pipelines/{name}.yaml"
        head = repo.head()
        assert head
        document = yaml.safe_load(git("show", f"{head}:{path}", cwd=repo.path))
        document["metadata"].setdefault("labels", {})[field] = value
        text = yaml.safe_dump(document, sort_keys=False).encode()
        blob = git("hash-object", "-w", "--stdin", cwd=repo.path, stdin=text).strip()
        env = {**_WHO, "GIT_INDEX_FILE": str(repo.path / f"soak-{threading.get_ident()}")}
        git("read-tree", head, cwd=repo.path, env=env)
        git("update-index", "--cacheinfo", f"100644,{blob},{path}", cwd=repo.path, env=env)
        tree = git("write-tree", cwd=repo.path, env=env).strip()
        made = git("commit-tree", tree, "-p", head, "-m", f"{name} {field}", cwd=repo.path, env=env).strip()
        git("update-ref", "refs/heads/main", made, head, cwd=repo.path)


class Chaos:
    """In the main thread: what a thread has started ends with it."""

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
            (1, self.restart_api_server),
        ]
        while time.monotonic() < end:
            time.sleep(self.rng.uniform(1.0, 4.0))
            deed = self.rng.choices([d for _, d in deeds], [n for n, _ in deeds])[0]
            deed()
            self.ledger.counts[deed.__name__.replace("_", " ")] += 1

    def kill(self) -> None:
        one = self.rng.choice(self.bed.operators)
        one.kill()
        one.start()

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
        made = git("commit-tree", f"{head}^{{tree}}", *flags, "-m", "amended", cwd=repo.path, env=_WHO).strip()
        with contextlib.suppress(RuntimeError):
            git("update-ref", "refs/heads/main", made, head, cwd=repo.path)

    def restart_api_server(self) -> None:
        self.bed.plane.restart()


class Bed:
    def __init__(self, directory: Path) -> None:
        self.plane = ControlPlane(directory / "plane")
        self.plane.install()
        self.server = GitServer(directory / "git")
        self.operators = [OperatorProcess(self.plane, directory / "operator", name=f"replica-{n}") for n in range(2)]

    def calm(self) -> None:
        faults = self.server.faults
        faults.only, faults.delay, faults.status, faults.headers = "", 0.0, 0, {}
        faults.drop_before = faults.drop_after = 0

    def stop(self) -> None:
        for one in self.operators:
            one.kill()
        self.server.stop()
        self.plane.stop()


def soak(minutes: float, seed: int, integrations: int) -> list[str]:
    """What went wrong; prints what happened."""
    with tempfile.TemporaryDirectory(prefix="gitintegration-soak-", ignore_cleanup_errors=True) as name:
        bed = Bed(Path(name))
        try:
            return _soak(bed, minutes, seed, integrations)
        finally:
            bed.stop()


def _soak(bed: Bed, minutes: float, seed: int, integrations: int) -> list[str]:
    ledger, end, worlds = Ledger(), threading.Event(), []
    for number in range(integrations):
        files = {f"pipelines/p{n}.yaml": manifest(f"p{n}") for n in range(_PIPELINES)}
        w = World(bed.plane, bed.server, f"soak-{number}", files)
        w.secret()
        w.integrate(sync={"interval": "10s"})
        worlds.append(w)
    for w in worlds:
        w.in_sync()
    authors = [
        Author(w, side, ledger, end, seed + 2 * number + (side == "c"))
        for number, w in enumerate(worlds)
        for side in "cg"
    ]
    for author in authors:
        author.start()
    Chaos(bed, worlds, ledger, seed).play(minutes * 60)
    end.set()
    for author in authors:
        author.join(120)
    wrong = [f"an author failed: {one.failed!r}" for one in authors if one.failed or one.is_alive()]
    bed.calm()
    for w in worlds:
        wrong += _judged(w, ledger)
    wrong += _leaks(bed, worlds)
    ledger.counts["commits"] = sum(w.repo.count() for w in worlds)
    for what, count in sorted(ledger.counts.items()):
        print(f"{count:7} {what}")
    return wrong


def _judged(w: World, ledger: Ledger) -> list[str]:
    """Whether every edit is on both sides, or named in a conflict; and no commit was for nothing."""
    try:
        status = eventually(lambda: (s := w.sync_now()).get("inSync") or (s.get("conflictCount") and s), _SETTLED)
        status = w.sync_now()
    except AssertionError as error:
        return [f"{w.namespace} does not settle: {error}; {w.status().get('conditions')}"]
    named = {(c["name"], field) for c in status.get("conflicts", ()) for field in c["fields"]}
    wrong = []
    for (namespace, name, field), value in ledger.last.items():
        if namespace != w.namespace:
            continue
        found = w.get(name)
        live = ((found or {}).get("metadata", {}).get("labels") or {}).get(field)
        text = w.repo.read(f"pipelines/{name}.yaml") or "{}"
        there = ((yaml.safe_load(text).get("metadata") or {}).get("labels") or {}).get(field)
        if any(name == n and f.endswith(field) for n, f in named):
            ledger.counts["fields in conflict"] += 1
        elif not live == there == value:
            wrong.append(f"{namespace}/{name} {field}: written {value}, in the cluster {live}, in git {there}")
        else:
            ledger.counts["fields as written last"] += 1
    head = w.repo.head()
    time.sleep(12)  # longer than the interval: an echo would come by now
    if w.repo.head() != head:
        wrong.append(f"{w.namespace}: a commit though nothing changed")
    trees = w.repo.log("--format=%T", "--first-parent").split()
    if any(a == b for a, b in pairwise(trees)):
        wrong.append(f"{w.namespace}: an empty commit")
    return wrong


def _leaks(bed: Bed, worlds: list[World]) -> list[str]:
    """Where a credential can be read, in any form."""
    places = {one.log_path.name: one.log() for one in bed.operators}
    for w in worlds:
        places[w.namespace] = w.kubectl("get", "gi,gitop,ev,cm,gitintegrationbases", "-o", "yaml")
        places[f"{w.namespace} git"] = w.repo.log("-p")
    forms = {}
    for secret in (TOKEN, WRITER[1], f"{WRITER[0]}:{WRITER[1]}"):
        encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
        forms.update({secret: secret, encoded: secret, quote(secret, safe=""): secret})
    return [f"a credential is in {place}" for place, text in places.items() for form in forms if form in text]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--integrations", type=int, default=4)
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} min, {options.integrations} integrations", flush=True)
    wrong = soak(options.minutes, options.seed, options.integrations)
    for line in wrong:
        print(f"WRONG: {line}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
