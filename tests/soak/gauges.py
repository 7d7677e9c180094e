"""A second kind, whose definition goes, comes and changes. It is edited in git alone: no commit of the operator is about it."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from typing import Any

from tests.bed.cluster import Cluster
from tests.bed.kinds import crd, role
from tests.bed.world import World

_GROUP = "soak.example.com"
CRD = f"gauges.{_GROUP}"
RESOURCE = {"apiVersion": f"{_GROUP}/v1", "kind": "Gauge"}
NAMES = ("gauge0", "gauge1")
_TEXT = {"type": "string"}
_LEVEL, _NOTE, _MORE = {"level": _TEXT}, {"note": _TEXT}, {"more": {**_TEXT, "default": "yes"}}


def text(name: str, level: str) -> str:
    return f"""apiVersion: {_GROUP}/v1
kind: Gauge
metadata:
  name: {name}
spec:
  level: {level}
  note: kept  # by hand
"""


def path(name: str) -> str:
    return f"pipelines/{name}.yaml"


def _definition(fields: dict[str, Any]) -> dict[str, Any]:
    return crd(_GROUP, "Gauge", ["v1"], {"type": "object", "properties": fields}, status=False)


def install(plane: Cluster) -> None:
    plane.apply(role("gauges", _GROUP, "gauges"), _definition(_LEVEL | _NOTE))
    plane.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=60s")


def remove(plane: Cluster) -> None:
    plane.kubectl(
        "delete", "crd", CRD, "--timeout=300s"
    )  # its objects go first, and the server takes its time between tries


@contextlib.contextmanager
def defined(plane: Cluster, *, loses: bool) -> Iterator[None]:
    """Meanwhile the definition lacks a field that all files have, or has another one with a default."""
    plane.apply(_definition(_LEVEL if loses else _LEVEL | _NOTE | _MORE))
    try:
        yield
    finally:
        plane.apply(_definition(_LEVEL | _NOTE))


@contextlib.contextmanager
def unserved(plane: Cluster, definition: str) -> Iterator[None]:
    """Meanwhile the API server does not serve a kind; its objects are there."""

    def serve(served: str) -> None:
        patch = f'[{{"op": "replace", "path": "/spec/versions/0/served", "value": {served}}}]'
        plane.kubectl("patch", "crd", definition, "--type=json", "-p", patch)

    serve("false")
    try:
        yield
    finally:
        serve("true")


def edit(w: World, levels: dict[tuple[str, str], str], rng: random.Random) -> None:
    """A commit that gives one of them another level."""
    name = rng.choice(NAMES)
    level = f"v{time.monotonic_ns()}"
    for _ in range(100):
        with contextlib.suppress(RuntimeError):  # somebody else moved the branch at the same time
            w.repo.commit({path(name): text(name, level)})
            levels[w.namespace, name] = level
            return
    raise AssertionError(f"no commit is taken by {w.namespace}")


def wrong(w: World, levels: dict[tuple[str, str], str]) -> list[str]:
    """Where the two sides are not as git has them."""
    found = []
    for name in NAMES:
        level = levels.get((w.namespace, name), "v0")
        in_git, live = w.repo.read(path(name)), (w.get(name, f"gauge.{_GROUP}") or {}).get("spec")
        if in_git != text(name, level):
            found.append(f"{w.namespace}/{name}: written with {level}, in git {in_git!r}")
        if live != {"level": level, "note": "kept"}:
            found.append(f"{w.namespace}/{name}: written with {level}, in the cluster {live}")
    return found
