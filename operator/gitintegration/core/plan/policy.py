"""What a run may do, as a value: the mode of a sync, or what an operation asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gitintegration.api.integration import GitIntegrationSpec, Mode
from gitintegration.api.operation import PullOperation, PushOperation
from gitintegration.core.merge import Decision, Settlements, Strategy, Write
from gitintegration.core.values import ObjectKey


class Side(StrEnum):
    cluster = "cluster"
    git = "git"


@dataclass(frozen=True, slots=True)
class Policy:
    to_cluster: bool
    to_git: bool
    strategy: Strategy
    prune: bool
    """Whether an item that one side deleted goes from the other."""
    takes: Mapping[ObjectKey, Strategy] = field(default_factory=dict)
    """Who wins the conflicts of single items, whatever the strategy says."""
    settled: Mapping[ObjectKey, Settlements] = field(default_factory=dict)
    """What was decided of single fields of items."""
    reverts: bool = False
    """Whether edits of the cluster give way to what git holds."""

    @classmethod
    def of(cls, spec: GitIntegrationSpec) -> Policy:
        """Of a sync."""
        mode, sync = spec.sync.mode, spec.sync
        to_cluster, to_git = mode in (Mode.Pull, Mode.Bidirectional), mode in (Mode.Push, Mode.Bidirectional)
        reverts = mode is Mode.Pull and sync.drift == "revert"
        strategy = Strategy.theirs if reverts else Strategy(sync.strategy)
        return cls(to_cluster, to_git, strategy, sync.prune, reverts=reverts)

    @classmethod
    def of_push(cls, spec: GitIntegrationSpec, wanted: PushOperation) -> Policy:
        """What is named goes also where the spec prunes nothing."""
        usual = cls.of(spec)
        strategy = Strategy(spec.sync.strategy)
        return replace(
            usual,
            to_cluster=False,
            to_git=True,
            strategy=strategy,
            reverts=False,
            prune=usual.prune or wanted.pipelines is not None,
        )

    @classmethod
    def of_pull(
        cls,
        spec: GitIntegrationSpec,
        wanted: PullOperation,
        takes: Mapping[ObjectKey, Strategy],
        settled: Mapping[ObjectKey, Settlements],
    ) -> Policy:
        """`takes`, `settled`: the operation's resolutions, of whole items and of fields."""
        usual = cls.of(spec)
        return cls(True, False, Strategy(wanted.strategy), usual.prune or bool(wanted.pipelines), takes, settled)

    @property
    def resolved(self) -> set[ObjectKey]:
        """The items whose conflicts were decided on."""
        return {*self.takes, *self.settled}

    def observe_only(self) -> Policy:
        """The same, carrying nothing: what is ahead is told as it is."""
        return replace(self, to_cluster=False, to_git=False, reverts=False)

    def strategy_for(self, key: ObjectKey) -> Strategy:
        return self.takes.get(key) or self.strategy

    def admits(self, decision: Decision, side: Side) -> bool:
        """Whether what was decided for a side may be written there."""
        write = write_to(decision, side)
        if write is None or decision.conflict or (write.value is None and not self.prune):
            return False
        return self.to_cluster if side is Side.cluster else self.to_git


def write_to(decision: Decision, side: Side) -> Write | None:
    return decision.cluster if side is Side.cluster else decision.git
