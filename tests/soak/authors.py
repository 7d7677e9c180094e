"""Who edits, on either side, and what they wrote last."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import yaml

from tests.bed.gitserver import git
from tests.bed.world import World, manifest, pipeline

SHARED, FIELDS, OWN = 4, 3, 2
_PATIENCE = 60.0
WHO = {f"GIT_{role}_{what}": f"soak@{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Ledger:
    """What was written last, and how often what happened."""

    def __init__(self) -> None:
        self.fields: dict[tuple[str, str, str], str] = {}
        """(namespace, pipeline, field) -> value."""
        self.there: dict[tuple[str, str], bool] = {}
        """(namespace, pipeline) -> whether its only author left it there or deleted it."""
        self.levels: dict[tuple[str, str], str] = {}
        """(namespace, gauge) -> value."""
        self.ended: list[str] = []
        """What replicas said that ended for no good reason."""
        self.counts: Counter[str] = Counter()


class Author(threading.Thread):
    """Edits one integration's pipelines on one side ("c"luster or "g"it); an edit that was not taken is made again.

    Each author has fields of its own of the pipelines that all share, and pipelines of its own, so that it is known what
    must be there at the end.
    """

    def __init__(self, w: World, side: Literal["c", "g"], ledger: Ledger, end: threading.Event, seed: int) -> None:
        super().__init__(daemon=True)
        self.w, self.side, self.ledger, self.end, self.rng = w, side, ledger, end, random.Random(seed)
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            for number in itertools.count():
                if self.end.wait(self.rng.uniform(0.1, 1.5)):
                    return
                if self.rng.random() < 0.2:
                    self._come_or_go(f"{self.side}own{self.rng.randrange(OWN)}")
                else:
                    name = f"p{self.rng.randrange(SHARED)}"
                    field, value = f"{self.side}{self.rng.randrange(FIELDS)}", f"v{number}"
                    self._until_taken(name, {field: value})
                    self.ledger.fields[self.w.namespace, name, field] = value
        except BaseException as error:
            self.failed = error
            raise

    def _come_or_go(self, name: str) -> None:
        there = not self.ledger.there.get((self.w.namespace, name), False)
        self._until_taken(name, there)
        self.ledger.there[self.w.namespace, name] = there

    def _until_taken(self, name: str, edit: Mapping[str, str] | bool) -> None:
        """`edit`: fields to set, or whether it shall be there."""
        act = self._in_cluster if self.side == "c" else self._in_git
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                act(name, edit)
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                self.ledger.counts["edits made again"] += 1
                time.sleep(0.1)
            else:
                break
        what = "edits" if not isinstance(edit, bool) else "creates" if edit else "deletes"
        self.ledger.counts[f"{what} in {'git' if self.side == 'g' else 'the cluster'}"] += 1

    def _in_cluster(self, name: str, edit: Mapping[str, str] | bool) -> None:
        if edit is True:
            self.w.apply(pipeline(name))
        elif edit is False:
            self._remove(name)
        else:
            patch = json.dumps({"metadata": {"labels": edit}})
            self.w.kubectl("patch", "pipeline", name, "--type=merge", "-p", patch)

    def _remove(self, name: str) -> None:
        """Not `--ignore-not-found`: where the kind is not served, nothing is found either, and kubectl reports success."""
        try:
            self.w.kubectl("delete", "pipeline", name)
        except RuntimeError as error:  # it may be gone already, by an attempt that was not answered
            if f'"{name}" not found' not in str(error):
                raise

    def _in_git(self, name: str, edit: Mapping[str, str] | bool) -> None:
        """A commit on the very one that was read, or none."""
        repo, path = self.w.repo, f"pipelines/{name}.yaml"
        head = repo.head()
        assert head
        env = {**WHO, "GIT_INDEX_FILE": str(repo.path / f"soak-{threading.get_ident()}")}
        git("read-tree", head, cwd=repo.path, env=env)
        entry = f"0 {'0' * 40}\t{path}\n"
        if edit is not False:
            text = manifest(name)
            if not isinstance(edit, bool):
                document = yaml.safe_load(git("show", f"{head}:{path}", cwd=repo.path))
                document["metadata"].setdefault("labels", {}).update(edit)
                text = yaml.safe_dump(document, sort_keys=False)
            blob = git("hash-object", "-w", "--stdin", cwd=repo.path, stdin=text.encode()).strip()
            entry = f"100644 {blob}\t{path}\n"
        git("update-index", "--index-info", cwd=repo.path, env=env, stdin=entry.encode())
        tree = git("write-tree", cwd=repo.path, env=env).strip()
        if tree == git("rev-parse", f"{head}^{{tree}}", cwd=repo.path).strip():
            return
        made = git("commit-tree", tree, "-p", head, "-m", f"{name} {edit}", cwd=repo.path, env=env).strip()
        git("update-ref", "refs/heads/main", made, head, cwd=repo.path)
