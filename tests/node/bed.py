"""What the tests on a node share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.bed.controlplane import ControlPlane
from tests.bed.node import Node, Pods
from tests.bed.world import World


@dataclass
class Bed:
    """A node with the operator on it, and one namespace that it keeps."""

    plane: ControlPlane
    node: Node
    pods: Pods
    world: World
    figures: dict[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1, 10_000))

    def container(self, pod: str) -> str:
        return str(self.pods.state(pod)["containerID"])
