"""The four verbs of a GitOperation, each in its integration's own turn, on the reconciler of the sync."""

from __future__ import annotations

from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.state.record import Published
from gitintegration.forge.pull_requests import Forges
from gitintegration.git.client import GitClient
from gitintegration.git.workers import Workers
from gitintegration.operations.history import History
from gitintegration.operations.probe import Probe
from gitintegration.operations.pull import Pull
from gitintegration.operations.push import Push
from gitintegration.reconcile.reconciler import Reconciler


class Actions:
    def __init__(
        self, reconciler: Reconciler, git: GitClient, workers: Workers, forges: Forges, pushed: BaseStore[Published]
    ) -> None:
        self.push = Push(reconciler, git, workers, forges, pushed).run
        self.pull = Pull(reconciler, git, workers).run
        self.test = Probe(git, forges).run
        self.history = History(reconciler, git, workers).run
