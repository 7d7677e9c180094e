"""When an integration's objects are gone through as a whole, whatever the watch has told."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.cluster.informer import Informer
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.controller.integration import Integration, source_of
from gitintegration.core.status import Outcome
from gitintegration.errors import GitIntegrationError, Reason, RemoteUnavailable, SpecError, StaleRemote
from gitintegration.session.session import SyncSession


def entry(**fields: Any) -> Integration:
    return Integration({"metadata": {}}, SyncSession("uid", Path("nowhere")), {}, **fields)


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


def outcome(error: GitIntegrationError | None = None, **fields: Any) -> Outcome:
    return Outcome(1, "Bidirectional", error=error, **fields)


@pytest.mark.parametrize(
    ("ended", "least", "most"),
    [
        (outcome(), 57.0, 63.0),
        (outcome(suspended=True), 86_400.0, 86_400.0),
        (outcome(refusals=(SpecError(Reason.Overlap, "claimed"),)), 9.5, 10.5),
        (outcome(SpecError(Reason.InvalidSpec, "bad")), 300.0, 300.0),
        (outcome(RemoteUnavailable(Reason.NetworkUnreachable, "gone")), 1.6, 2.4),
        (outcome(RemoteUnavailable(Reason.RateLimited, "wait", retry_after=900)), 900.0, 900.0),
        (outcome(RemoteUnavailable(Reason.RateLimited, "wait a year", retry_after=31_536_000)), 3600.0, 3600.0),
    ],
)
def test_when_it_runs_again(ended: Outcome, least: float, most: float) -> None:
    made = entry()
    made.seen = {"metadata": {}, "spec": {"sync": {"interval": "1m"}}}
    assert least <= made.settle(ended) <= most
    assert made.failures == (ended.error is not None)


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (RemoteUnavailable(Reason.NetworkUnreachable, "gone"), 240.0, 360.0),
        (StaleRemote("it moved"), 8.0, 12.0),
    ],
)
def test_a_failure_after_the_other_waits_longer_to_a_bound(
    error: GitIntegrationError, least: float, most: float
) -> None:
    made = entry()
    waits = [made.settle(outcome(error)) for _ in range(12)]
    assert waits[1] > waits[0]
    assert least <= waits[-1] <= most


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ({"repositoryURL": "https://git.example.com/acme/pipelines.git"}, "a528425e3b17e323"),
        (
            {"repositoryURL": "git@git.example.com:acme/p.git", "defaultBranch": "main", "pathPrefix": "/"},
            "666647b345f26fd9",
        ),
    ],
)
def test_a_source_is_called_what_every_release_has_called_it(spec: dict[str, str], source: str) -> None:
    """An upgrade would forget what was agreed on, if it were another."""
    assert source_of(GitIntegrationSpec.model_validate(spec)) == source
