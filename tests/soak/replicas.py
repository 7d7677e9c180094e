"""The two replicas of the operator that are killed: as processes beside the control plane, or as Pods of the image on a real node."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.bed.controlplane import ControlPlane
from tests.bed.node import Node, Pods, operator_image, why_not
from tests.bed.operator import OperatorProcess
from tests.bed.world import eventually
from tests.soak.authors import Ledger

_LOST = "the Lease was lost"
_TAIL = 2000
"""Characters of a log."""


class Replicas(Protocol):
    plane: ControlPlane

    def reach(self, url: str) -> str:
        """The address by which they reach a server of this machine's loopback."""

    def kill(self, rng: random.Random) -> None:
        """kill -9 of one of them, and another in its place."""

    def revive(self, ledger: Ledger) -> None:
        """As a kubelet would. One ends by itself where it lost its Lease; where for anything else, the ledger is told."""

    def texts(self) -> Iterator[tuple[str, str]]:
        """All that they said, tell and keep, by where it is."""

    def stop(self) -> None: ...


class Processes:
    def __init__(self, directory: Path) -> None:
        self.plane = ControlPlane(directory / "plane")
        self.plane.install()
        self._all = [OperatorProcess(self.plane, directory / "operator", name=f"replica-{n}") for n in range(2)]

    def reach(self, url: str) -> str:
        return url

    def kill(self, rng: random.Random) -> None:
        one = rng.choice(self._all)
        one.kill()
        one.start()

    def revive(self, ledger: Ledger) -> None:
        for one in self._all:
            if not one.is_alive:
                said = one.log().rstrip()[-_TAIL:]
                if _LOST not in said[-500:]:
                    ledger.ended.append(f"{one.identity} ended by itself: {said}")
                ledger.counts["Leases lost"] += 1
                one.start()

    def texts(self) -> Iterator[tuple[str, str]]:
        for one in self._all:
            yield one.log_path.name, one.log()
            yield f"metrics of {one.identity}", one.metrics()
            yield from _files(one.cache)

    def stop(self) -> None:
        for one in self._all:
            one.kill()
        self.plane.stop()


class OnNode:
    def __init__(self, directory: Path) -> None:
        if reason := why_not():
            raise SystemExit(f"there is no node here: {reason}")
        image = operator_image()
        self.plane = ControlPlane(directory / "plane", pods=True)
        self._node = Node(self.plane, directory / "node", image)
        self.plane.install()
        self._pods = Pods(self._node)
        self._pods.settled()
        self._said: list[str] = []
        """By Pods that are gone."""
        self._known: set[tuple[str, str]] = set()
        """Ends that were looked at: of which Pod, and when."""

    def reach(self, url: str) -> str:
        return self._node.reach(url)

    def kill(self, rng: random.Random) -> None:
        """Its Pod goes with it: a container that is killed again and again waits for minutes, as users know it."""
        if not (names := sorted(self._pods.all())):
            return
        name = rng.choice(names)
        self._said.append(self._pods.kubectl("logs", name, check=False))
        with contextlib.suppress(KeyError, StopIteration, OSError, RuntimeError):  # it has not begun, or has just ended
            for pid in self._node.processes(str(self._pods.state(name)["containerID"])):
                os.kill(pid, signal.SIGKILL)
        self._pods.kubectl("delete", "pod", name, "--grace-period=0", "--force", check=False)

    def revive(self, ledger: Ledger) -> None:
        """The kubelet does it."""
        for name, pod in self._pods.all().items():
            for state in pod["status"].get("containerStatuses", ()):
                ended = state["lastState"].get("terminated")
                if not ended or ended["exitCode"] == 128 + signal.SIGKILL or (name, ended["finishedAt"]) in self._known:
                    continue
                self._known.add((name, ended["finishedAt"]))
                said = self._pods.kubectl("logs", "--previous", name, check=False).rstrip()[-_TAIL:]
                if _LOST not in said[-500:]:
                    ledger.ended.append(f"{name} ended by itself: {said}")
                ledger.counts["Leases lost"] += 1

    def texts(self) -> Iterator[tuple[str, str]]:
        eventually(lambda: len(self._pods.all()) == 2 or None)
        yield "Pods that are gone", "\n".join(self._said)
        yield "Pods", self._pods.log()
        for name in self._pods.all():
            path = f"/api/v1/namespaces/{Pods.namespace}/pods/{name}:8080/proxy/metrics"
            yield f"metrics of {name}", self.plane.kubectl("get", "--raw", path)
        yield from _files(Path(f"/proc/{self._node.pid}/root{self._node.directory}/state/kubelet/pods"), "empty-dir")

    def stop(self) -> None:
        self._node.stop()
        self.plane.stop()


def _files(folder: Path, part: str = "") -> Iterator[tuple[str, str]]:
    """The files below a folder, where `part` is in their path."""
    for path in folder.rglob("*"):
        if path.is_file() and part in str(path):
            yield str(path), path.read_bytes().decode("latin-1")
