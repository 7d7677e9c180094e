"""The parts of a sync and of operations, put together: the one place that knows them all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gitintegration.checks.planner import CheckPlanner
from gitintegration.cluster.base_store import BaseStore
from gitintegration.cluster.client import Cluster
from gitintegration.cluster.kinds import Kinds
from gitintegration.cluster.objects import Objects
from gitintegration.core.state.record import ItemCodec, ProposalCodec, PublishedCodec
from gitintegration.core.yaml_read import ReadLimits
from gitintegration.forge.pull_requests import Forges
from gitintegration.git.client import GitClient
from gitintegration.git.workers import Workers
from gitintegration.operations.actions import Actions
from gitintegration.reconcile.branches import Branches
from gitintegration.reconcile.mirror import GitMirror
from gitintegration.reconcile.reconciler import Reconciler
from gitintegration.review.publisher import Review
from gitintegration.session.live_objects import LiveObjects


@dataclass(frozen=True, slots=True)
class Assembly:
    reconciler: Reconciler
    actions: Actions
    planner: CheckPlanner


def assemble(
    cluster: Cluster,
    git: GitClient,
    workers: Workers,
    forges: Forges,
    kinds: Kinds,
    *,
    limits: ReadLimits = ReadLimits(),  # noqa: B008
    clock: Callable[[], float] = time.time,
    now: Callable[[], float] = time.monotonic,
    batch: int = 500,
    list_above: int = 200,
) -> Assembly:
    """`clock` tells seconds since the epoch, `now` those of a monotonic clock. `batch` items are worked on at a time; more
    objects than `list_above` are read by listing."""
    pushed = BaseStore(cluster, PublishedCodec(), "pushed")
    objects, mirror = LiveObjects(Objects(cluster), kinds, list_above), GitMirror(git, workers, now)
    branches = Branches(git, workers, mirror, limits, clock, max(1, batch // 2))
    reconciler = Reconciler(
        mirror=mirror,
        branches=branches,
        objects=objects,
        store=BaseStore(cluster, ItemCodec(), "base"),
        review=Review(git, workers, BaseStore(cluster, ProposalCodec(), "review"), branches, forges),
        git=git,
        workers=workers,
        memories=[pushed],
        now=now,
        batch=batch,
    )
    return Assembly(
        reconciler, Actions(reconciler, git, workers, forges, pushed), CheckPlanner(reconciler, git, workers)
    )
