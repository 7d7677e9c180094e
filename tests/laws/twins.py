"""Two integrations of one namespace on one controller: `a` and `b`, told apart by a label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gitintegration.controller.integration import Integration, IntegrationKey
from gitintegration.core.queue import Priority
from gitintegration.core.status import Outcome
from gitintegration.git.disk import Disk
from gitintegration.git.keys import Keys
from gitintegration.git.remote import Remote
from gitintegration.reconcile.item import RunStats
from tests.laws.world import API, FOLDER, NAMESPACE, GitHost, World

PLACES = ("same", "prefix", "nested", "host", "alias")
"""Where the two write: the very same folder, another of the same repository, one below the other, another repository, the same folder by another address."""


def labelled(name: str, f0: str = "1", **labels: str) -> str:
    metadata = {"name": name, "labels": labels} if labels else {"name": name}
    return yaml.safe_dump({"apiVersion": API, "kind": "Pipeline", "metadata": metadata, "spec": {"f0": f0}})


class Hosts:
    """One client of several repositories."""

    def __init__(self, hosts: Mapping[str, GitHost]) -> None:
        self._hosts, self.disk, self.keys = hosts, Disk(), Keys()

    def __getattr__(self, call: str) -> Any:
        def asked(remote: Remote, *args: Any) -> Any:
            return getattr(self._hosts[remote.url.path], call)(remote, *args)

        return asked


class Twins(World):
    def __init__(self, directory: Path, place: str) -> None:
        self.place = place
        self.specs: dict[str, dict[str, Any]] = {}
        self.generation_of = {"a": 1, "b": 1}
        self.statuses: dict[str, dict[str, Any]] = {"a": {}, "b": {}}
        self.outcomes: dict[str, Outcome] = {}
        self.ran: dict[str, RunStats] = {}
        super().__init__(directory)
        self.far = GitHost(self.steps) if place == "host" else self.git
        self.git.check_told = self.far.check_told = lambda before, after: None
        self.client = Hosts({"/r.git": self.git, "/far.git": self.far})
        self.folder = {"a": FOLDER, "b": {"prefix": "other", "nested": f"{FOLDER}/b"}.get(place, FOLDER)}
        for name in ("a", "b"):
            self.set(name, {"matchLabels": {"team": name}})
        self.restart(wipe=True)

    def set(self, name: str, selector: dict[str, Any] | None, mode: str = "Bidirectional") -> None:
        """Integration `name` asks for these labels; None: for every pipeline."""
        asked = {"labelSelector": selector} if selector is not None else {}
        far = name == "b" and self.place in ("host", "alias")
        self.specs[name] = {
            "repositoryURL": f"https://git.example.com/{'far' if far else 'r'}.git",
            "pathPrefix": self.folder[name],
            "sync": {"mode": mode, "maxDeletes": "100%"},
            "resources": [{"apiVersion": API, "kind": "Pipeline", **asked}],
        }
        self.generation_of[name] += 1

    def body_of(self, name: str) -> dict[str, Any]:
        metadata = {
            "namespace": NAMESPACE,
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": "2020-01-01T00:00:00Z",
        }
        metadata |= {"generation": self.generation_of[name]}  # type: ignore[dict-item]
        return {"metadata": metadata, "spec": self.specs[name], "status": self.statuses[name]}

    def of(self, name: str) -> Integration:
        found = self.controller.integration((NAMESPACE, name))
        assert found is not None
        return found

    def ended(self, name: IntegrationKey, outcome: Outcome, stats: RunStats) -> None:
        self.outcomes[name[1]], self.ran[name[1]] = outcome, stats

    def told(self, name: IntegrationKey, status: dict[str, Any]) -> None:
        self.statuses[name[1]] = status

    async def run(self, *names: str) -> bool:
        """One run of each, in this order; whether any of them wrote, or has something to look at."""
        self.now += 10
        for name in ("a", "b"):
            await self.controller.seen(self.body_of(name))
        wrote = False
        for name in names:
            self.deliver()
            await self.controller.run((NAMESPACE, name), Priority.requested)
            outcome = self.outcomes[name]
            assert "internal error" not in (outcome.error.message if outcome.error else "")
            wrote = wrote or self.ran[name].wrote
        return wrote or any(map(self._waits, names))

    def _waits(self, name: str) -> bool:
        """Whether it has something to look at, of kinds that it works with."""
        entry = self.of(name)
        return any((key.group, key.kind) in entry.kinds for key in entry.session.table.suspects)

    async def settle(self, order: str = "ab") -> None:
        for _ in range(8):
            if not await self.run(*order):
                return
        raise AssertionError("it does not settle")

    def repository(self, name: str) -> GitHost:
        return self.far if name == "b" else self.git

    def files_of(self, name: str) -> dict[str, str]:
        """The manifests below the prefix of one, by pipeline."""
        files = self.repository(name).files()
        found = {}
        for path, text in files.items():
            if path.rpartition("/")[0] == self.folder[name]:
                found[yaml.safe_load(text)["metadata"]["name"]] = text
        return found

    def write(self, name: str, pipeline: str, text: str | None) -> None:
        """A commit to the repository of one that has its file of a pipeline hold this; None: it goes."""
        host, path = self.repository(name), f"{self.folder[name]}/{pipeline}.yaml"
        files = {**host.files(), path: text}
        host.commit({p: t for p, t in files.items() if t is not None})

    def live(self, pipeline: str) -> dict[str, Any] | None:
        return self.api.objects.get(("pipelines", pipeline))
