"""Operations, killed before and after each of their requests: each ends once, with one commit at most."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from gitintegration.api.operation import PullOperation, PushOperation
from gitintegration.cluster.base_store import BaseStore
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.pull_requests import Forges
from gitintegration.sync.actions import Actions, Done, Order
from tests.laws.history import ANCHOR, Edit, History
from tests.laws.test_laws import world
from tests.laws.world import Crash, Inline, World, parse


class Operation:
    """One operation with its status, which outlives the process that runs it."""

    def __init__(self, w: World, wanted: PushOperation | PullOperation) -> None:
        self.w, self.wanted = w, wanted
        self.status: dict[str, Any] = {}

    async def run(self) -> Done:
        """As a process runs it: from the status that it finds."""
        w = self.w
        store = BaseStore(w.api, "pushed")  # type: ignore[arg-type]
        actions = Actions(w.engine, w.git, Inline(), Forges(ForgeHttp()), store)  # type: ignore[arg-type]
        order = Order(1_700_000_500, dict(self.status), self._record)
        self.status["phase"] = "Running"
        w.deliver()
        request = await w.request()
        if isinstance(self.wanted, PushOperation):
            return await actions.push(w.ws, request, order, self.wanted)
        return await actions.pull(w.ws, request, order, self.wanted)

    async def _record(self, fields: Mapping[str, Any]) -> None:
        await self.w.steps.request(lambda: self.status.update(fields))

    async def to_its_end(self) -> Done:
        """However often the process is killed."""
        while True:
            try:
                done = await self.run()
            except Crash:
                self.w.restart(wipe=True)
            else:
                self.status.update(done.fields)
                return done


def prepared() -> tuple[Any, World]:
    """In sync, then two edits in the cluster and one in git, in mode Manual."""
    directory, w = world()
    history = History(w)
    history.play(Edit("cluster", "a", "set", "f1"))
    w.deliver()
    asyncio.run(w.sync())
    w.configure("Manual")
    history.play(Edit("cluster", "a", "set", "f1"))
    history.play(Edit("cluster", "b", "set", "f0"))
    history.play(Edit("git", ANCHOR, "set", "f1"))
    w.git.pushed.clear()
    return directory, w


@pytest.mark.parametrize("branch", [None, "feature"])
def test_a_push_killed_at_any_request_makes_one_commit(branch: str | None) -> None:
    async def act(w: World, at: int | None, after: bool) -> tuple[Any, ...]:
        operation = Operation(w, PushOperation(branch=branch))
        begun = w.steps.count
        if at is not None:
            (w.steps.after if after else w.steps.before)[begun + at] = w.steps.crash
        await operation.to_its_end()
        counts.append(w.steps.count - begun)
        head = w.git.heads[branch or "main"]
        assert operation.status["commit"] == head
        told = operation.status["counts"]
        return parse(w.git.files(head)), len(w.git.pushed), (told["created"], told["updated"])

    counts: list[int] = []
    directory, w = prepared()
    with directory:
        wanted = asyncio.run(act(w, None, False))
        assert wanted[1:] == (1, (1, 1))
    for at in range(max(counts)):
        for after in (False, True):
            directory, w = prepared()
            with directory:
                found = asyncio.run(act(w, at, after))
                assert found == wanted, f"killed {'after' if after else 'before'} request {at}"


def test_a_pull_killed_at_any_request_ends_with_the_counts_it_began_with() -> None:
    async def act(w: World, at: int | None, after: bool) -> tuple[Any, ...]:
        operation = Operation(w, PullOperation())
        begun = w.steps.count
        if at is not None:
            (w.steps.after if after else w.steps.before)[begun + at] = w.steps.crash
        await operation.to_its_end()
        counts.append(w.steps.count - begun)
        return w.api.specs(), operation.status["counts"]["updated"], len(w.git.pushed)

    counts: list[int] = []
    directory, w = prepared()
    with directory:
        wanted = asyncio.run(act(w, None, False))
        assert wanted[1:] == (1, 0)
    for at in range(max(counts)):
        for after in (False, True):
            directory, w = prepared()
            with directory:
                found = asyncio.run(act(w, at, after))
                assert found == wanted, f"killed {'after' if after else 'before'} request {at}"
