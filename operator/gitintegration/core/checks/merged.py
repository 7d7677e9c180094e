"""What became of a pull request once it is merged: whether what it brought is live. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from gitintegration.core.checks.findings import CheckState, Verdict
from gitintegration.core.state.item import OpenItem, Phase
from gitintegration.core.values import ObjectKey
from gitintegration.messages import counted, named


def merged_verdict(
    open_items: Mapping[ObjectKey, OpenItem], keys: Collection[ObjectKey] | None, waits: str, now: datetime
) -> Verdict:
    """How its merge commit stands, by what is open of its pipelines; `keys` None: of all, where its own are not known any more.

    `waits`: why nothing is pulled by itself, in words.
    """
    mine = {key: item for key, item in open_items.items() if keys is None or key in keys}
    torn = sorted(key.name for key, item in mine.items() if item.conflict is not None)
    if torn:
        words = f"{counted(len(torn), 'conflict')} with the cluster: {named(torn, 3)}"
        return Verdict.of(CheckState.failure, words)
    refused = sorted(key.name for key, item in mine.items() if item.problem is not None)
    if refused:
        return Verdict.of(CheckState.failure, f"{counted(len(refused))} left alone: {named(refused, 3)}")
    held = sorted(key.name for key, item in mine.items() if item.phase is Phase.HELD)
    if held:
        return Verdict.of(CheckState.pending, f"held until a person confirms: {named(held, 3)}")
    waiting = sorted(key.name for key, item in mine.items() if item.remote)
    if waiting:
        why = f"; {waits}" if waits else ""
        return Verdict.of(CheckState.pending, f"not live yet: {named(waiting, 3)}{why}")
    return Verdict.of(CheckState.success, f"live since {now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
