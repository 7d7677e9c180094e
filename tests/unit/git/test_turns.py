"""Whose turn it is where places are few."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.git.turns import Turns


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Work:
    """Takes a turn when it is made, and holds it until it is told to end."""

    def __init__(self, turns: Turns, share: str) -> None:
        self.share, self.runs = share, False
        self._end = asyncio.Event()
        self.task = asyncio.create_task(self._run(turns))

    async def _run(self, turns: Turns) -> None:
        async with turns.turn(self.share):
            self.runs = True
            await self._end.wait()
            self.runs = False

    def end(self) -> None:
        self._end.set()


@pytest.mark.parametrize(("alone", "most"), [(True, 2), (False, 1)])
async def test_one_share_has_all_places_only_where_there_is_no_other(alone: bool, most: int) -> None:
    turns = Turns(2, lambda: alone)
    works = [Work(turns, "a") for _ in range(5)]
    await settled()
    assert sum(work.runs for work in works) == most
    for work in works:
        work.end()
    await asyncio.gather(*(work.task for work in works))


async def test_who_comes_late_does_not_wait_behind_who_has_much_to_do() -> None:
    turns = Turns(2, lambda: False)
    greedy = [Work(turns, "a") for _ in range(12)]
    await settled()
    modest = Work(turns, "b")
    await settled()
    assert modest.runs
    for work in (*greedy, modest):
        work.task.cancel()
    await asyncio.gather(*(work.task for work in (*greedy, modest)), return_exceptions=True)
    after = Work(turns, "c")
    await settled()
    assert after.runs
    after.end()
    await after.task


@pytest.mark.parametrize("places", [1, 2])
async def test_who_had_a_turn_waits_behind_all_others(places: int) -> None:
    """Each share always has more to do: of some, none would ever come to its turn."""
    turns = Turns(places, lambda: False)
    works = [Work(turns, share) for share in "abcd" for _ in range(9)]
    begun: list[Work] = []
    for ended in range(8):
        await settled()
        begun += [work for work in works if work.runs and work not in begun]
        begun[ended].end()
        await begun[ended].task
    order = [work.share for work in begun[:8]]
    assert max(Counter(order).values()) == 2, order
    for work in works:
        work.task.cancel()


async def test_one_turn_of_another_is_all_that_who_comes_late_waits_for() -> None:
    turns = Turns(1)
    greedy = [Work(turns, "a") for _ in range(20)]
    await settled()
    modest = Work(turns, "b")
    await settled()
    greedy[0].end()
    await settled()
    assert modest.runs
    for work in (*greedy, modest):
        work.task.cancel()


@given(
    st.lists(st.tuples(st.sampled_from(["start", "end", "cancel"]), st.integers(0, 9)), max_size=50), st.integers(1, 3)
)
def test_no_place_is_lost_and_none_is_taken_twice(steps: list[tuple[str, int]], places: int) -> None:
    async def act() -> None:
        turns = Turns(places, lambda: False)
        works: list[Work] = []
        for what, number in steps:
            if what == "start":
                works.append(Work(turns, "abc"[number % 3]))
            elif works:
                work = works.pop(number % len(works))
                work.end() if what == "end" else work.task.cancel()
            await settled()
            works = [work for work in works if not work.task.done()]
            running = Counter(work.share for work in works if work.runs)
            assert running.total() <= places
            if running.total() < places:
                assert not {work.share for work in works} - set(running)
        for work in works:
            work.task.cancel()
        await settled()
        last = Work(turns, "z")
        await settled()
        assert last.runs
        last.end()
        await last.task

    asyncio.run(act())
