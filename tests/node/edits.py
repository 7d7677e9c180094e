"""Two people edit the same pipelines all the time, one with kubectl and one in git; what became of each edit is seen.

An edit is a key of its own in one map, so none is ever to be changed or taken away again, by anybody.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from tests.bed.gitserver import git
from tests.bed.world import World, eventually, manifest

NAMES = ("orders", "customers", "invoices")
_MAP = "marks"
_PATIENCE = 180.0


def files() -> dict[str, str]:
    """What is in git at first."""
    return {_path(name): manifest(name) + f"  {_MAP}:\n    {name}: here\n" for name in NAMES}


def _path(name: str) -> str:
    return f"pipelines/{name}.yaml"


class Edits:
    """From the constructor on until `settle`. `made` and `arrived` are keys with the time of it; `undone` is what was
    seen to go away again."""

    def __init__(self, world: World, first: int) -> None:
        self._w, self._first = world, first
        self.made: dict[str, float] = {}
        self.arrived: dict[str, float] = {}
        self.undone: list[str] = []
        self._failed: list[BaseException] = []
        self._enough, self._over = threading.Event(), threading.Event()
        self._observers = [self._thread(self._see_git), self._thread(self._see_cluster)]
        self._authors = [self._thread(self._edit_cluster), self._thread(self._edit_git)]

    def settle(self) -> None:
        """No more edits; each that was made is on the other side, and none was undone."""
        self._enough.set()
        for one in self._authors:
            one.join(_PATIENCE)
        with contextlib.suppress(AssertionError):
            eventually(lambda: self._failed or not self.missing(), _PATIENCE)
        self.stop()
        assert not self._failed, self._failed
        assert not self.missing(), f"of {len(self.made)} edits these did not arrive: {self.missing()}"
        assert not self.undone, self.undone
        status = self._w.in_sync()
        assert not status.get("conflictCount")
        keys = {name: self._keys(json.dumps(self._w.spec(name).get(_MAP))) for name in NAMES}
        assert set().union(*keys.values()) >= self.made.keys()
        assert {name: self._keys(self._w.repo.read(_path(name)) or "") for name in NAMES} == keys

    def stop(self) -> None:
        """Ends all threads."""
        self._enough.set()
        self._over.set()
        for one in (*self._authors, *self._observers):
            one.join(_PATIENCE)

    def missing(self) -> list[str]:
        return sorted(self.made.keys() - self.arrived.keys())

    def flow(self, since: float, count: int = 2) -> None:
        """Waits until so many edits of each side, made later than `since`, have arrived on the other."""
        for side in "kg":
            eventually(lambda side=side: len(self.delays(side, since)) >= count, _PATIENCE)  # type: ignore[misc]

    def delays(self, side: str, since: float) -> list[float]:
        """Seconds that edits took, of those that were made on a side ("k"ubectl or "g"it) since then and have arrived."""
        keys = [key for key, made in list(self.made.items()) if key[0] == side and made >= since]
        return [self.arrived[key] - self.made[key] for key in keys if key in self.arrived]

    def _thread(self, what: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                what()
            except BaseException as error:
                self._failed.append(error)

        made = threading.Thread(target=run, daemon=True)
        made.start()
        return made

    def _numbered(self, pause: float) -> Iterator[tuple[int, str]]:
        for number in itertools.count(self._first):
            if self._enough.wait(pause):
                return
            yield number, NAMES[number % len(NAMES)]

    def _until_taken(self, key: str, act: Callable[[], object]) -> None:
        """What is not taken, while the API server is away or somebody else was faster, is done again."""
        end = time.monotonic() + _PATIENCE
        while True:
            began = time.monotonic()
            try:
                act()
            except RuntimeError:
                if began > end or self._over.wait(0.1):
                    raise
            else:
                self.made[key] = began
                return

    def _edit_cluster(self) -> None:
        for number, name in self._numbered(0.5):
            key = f"k{number}"
            self._until_taken(key, lambda name=name, key=key: self._w.patch(name, {_MAP: {key: "here"}}))  # type: ignore[misc]

    def _edit_git(self) -> None:
        repo = self._w.repo

        def act(name: str, key: str) -> None:
            head = repo.head()
            assert head
            text = git("show", f"{head}:{_path(name)}", cwd=repo.path)
            repo.commit({_path(name): text.replace(f"  {_MAP}:\n", f"  {_MAP}:\n    {key}: here\n")}, key, on=head)

        for number, name in self._numbered(1.0):
            key = f"g{number}"
            self._until_taken(key, lambda name=name, key=key: act(name, key))  # type: ignore[misc]

    def _keys(self, text: str) -> set[str]:
        return set(re.findall(r"\b([kg]\d+)\b", text))

    def _saw(self, where: str, author: str, before: set[str], now: set[str]) -> None:
        """On one side. `author`: whose edits come from the other."""
        self.undone += [f"{key} went from {where}" for key in sorted(before - now)]
        for key in now - before:
            if key[0] == author:
                self.arrived.setdefault(key, time.monotonic())

    def _see_git(self) -> None:
        repo = self._w.repo
        last: str | None = None
        keys: set[str] = set()
        while not self._over.wait(0.1):
            head = repo.head()
            if head != last:
                new = f"{last}..{head}" if last else f"{head}^!"
                for commit in git("rev-list", "--reverse", "--first-parent", new, cwd=repo.path).split():
                    now = self._at(commit)
                    self._saw("git", "k", keys, now)
                    keys = now
                last = head

    def _at(self, commit: str) -> set[str]:
        return self._keys(git("show", *(f"{commit}:{_path(name)}" for name in NAMES), cwd=self._w.repo.path))

    def _see_cluster(self) -> None:
        keys: dict[str, set[str]] = {}
        while not self._over.is_set():
            with contextlib.suppress(OSError, json.JSONDecodeError):
                for item in self._pipelines():
                    name = item["metadata"]["name"]
                    now = self._keys(json.dumps(item["spec"].get(_MAP)))
                    self._saw("the cluster", "g", keys.get(name, set()), now)
                    keys[name] = now
            self._over.wait(0.1)

    def _pipelines(self) -> Iterator[dict[str, Any]]:
        """Each as it is, and each time that it changes; ends where the API server is away, and now and then."""
        config = json.loads(self._w.plane.kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        url = f"{cluster['server']}/apis/planasonix.com/v1alpha1/namespaces/{self._w.namespace}/pipelines"
        headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=context, timeout=5) as answer:
            listed = json.load(answer)
        yield from listed["items"]
        version = listed["metadata"]["resourceVersion"]
        watch = urllib.request.Request(f"{url}?watch=1&timeoutSeconds=5&resourceVersion={version}", headers=headers)
        with urllib.request.urlopen(watch, context=context, timeout=10) as answer:
            for line in answer:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    yield event["object"]
