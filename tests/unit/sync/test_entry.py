"""When an integration's objects are gone through as a whole, whatever the watch has told."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gitintegration.cluster.informer import Informer
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.sync.entry import Entry
from gitintegration.sync.workspace import Workspace


def entry(**fields: Any) -> Entry:
    return Entry({"metadata": {}}, Workspace("uid", Path("nowhere")), {}, **fields)


@pytest.mark.parametrize(
    ("rescan", "scanned", "listed", "must"),
    [
        (True, 0.0, -60.0, True),
        (False, 0.0, -60.0, False),
        (False, -60.0, 0.0, True),
        (False, -3600.0, -7200.0, True),
    ],
)
def test_a_whole_look(rescan: bool, scanned: float, listed: float, must: bool) -> None:
    """Moments are seconds from now."""
    now = time.monotonic()
    kind: Any = SimpleNamespace(informer=SimpleNamespace(listed=now + listed))
    assert entry(rescan=rescan, scanned=now + scanned, kinds={("g", "K"): kind}).must_rescan is must


async def test_a_list_is_remembered_by_its_moment() -> None:
    class Cluster:
        async def request(self, *_: Any, **__: Any) -> Any:
            return {"items": [], "metadata": {"resourceVersion": "1"}}

    informer = Informer(Cluster(), ResourceKind("g", "v1", "K", "ks", True), None)  # type: ignore[arg-type]
    before = time.monotonic()
    assert informer.listed < before
    await informer._list()
    assert informer.listed >= before
