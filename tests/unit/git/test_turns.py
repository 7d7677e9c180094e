"""Whose turn it is where places are few."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitintegration.git.slices import BRIEF
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
    turns = Turns(places, lambda: False, lambda: 0.0)
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


class Machine:
    """Time that goes on where nobody has anything left to do in it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleeping: list[tuple[float, int, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleeping, (self.now + seconds, id(awake), awake))
        await awake

    async def run_until(self, is_over: Callable[[], bool]) -> None:
        while not is_over():
            self.now, _, awake = heapq.heappop(self._sleeping)
            if not awake.done():
                awake.set_result(None)
            await settled()

    def task(self, turns: Turns, share: str, seconds: float) -> Awaitable[str]:
        """One that is broken off as a worker does it."""

        async def begin() -> str | None:
            await self.sleep(min(seconds, BRIEF))
            return "done" if seconds <= BRIEF else None

        async def go_on() -> str:
            await self.sleep(seconds)
            return "done"

        return turns.run(share, begin, go_on)


TASKS = st.lists(st.sampled_from([0.05, BRIEF, 1.0, 2.0, 20.0, 60.0]), min_size=1, max_size=6)
HOSTILE = st.lists(TASKS, min_size=1, max_size=5)


async def latencies(hostile: list[list[float]], pauses: list[float], places: int, abreast: int) -> list[float]:
    """How long each task of a modest share waits for its place, while hostile ones ask for theirs again and again."""
    machine = Machine()
    turns = Turns(places, lambda: False, lambda: machine.now)
    waits: list[float] = []

    async def attack(share: str, tasks: list[float]) -> None:
        while True:
            for seconds in tasks:
                await machine.task(turns, share, seconds)

    async def edit() -> None:
        for pause in pauses:
            await machine.sleep(pause)
            began = machine.now
            await machine.task(turns, "modest", 0.01)
            waits.append(machine.now - began - 0.01)

    editing = asyncio.ensure_future(edit())
    jobs = [attack(f"hostile-{n}", tasks) for n, tasks in enumerate(hostile) for _ in range(abreast)]
    running = [asyncio.ensure_future(job) for job in jobs]
    await settled()
    await machine.run_until(editing.done)
    for job in running:
        job.cancel()
    return waits


@settings(deadline=None, max_examples=25)
@given(HOSTILE, st.lists(st.floats(0.01, 5.0), min_size=5, max_size=10), st.integers(2, 4), st.integers(1, 6))
def test_a_modest_share_waits_for_one_brief_task_of_each_of_the_others_at_most(
    hostile: list[list[float]], pauses: list[float], places: int, abreast: int
) -> None:
    """Each with several tasks at once, that take up to a minute: not for one of those."""
    waits = asyncio.run(latencies(hostile, pauses, places, abreast))
    assert len(waits) == len(pauses)
    assert max(waits) <= BRIEF * (len(hostile) + 1) + 0.01


@pytest.mark.parametrize("many", [1, 5, 40])
@pytest.mark.parametrize("seconds", [2.0, 20.0, 60.0])
def test_for_those_that_are_known_to_be_slow_nobody_waits_however_many_they_are(many: int, seconds: float) -> None:
    pauses = [many * BRIEF + 1, *[0.5] * 20]  # until each of them had its first task
    waits = asyncio.run(latencies([[seconds]] * many, pauses, 2, 12))
    assert len(waits) == len(pauses)
    assert max(waits) <= BRIEF + 0.01


async def test_slow_shares_have_as_much_time_each_and_are_quick_again_in_time() -> None:
    machine = Machine()
    turns = Turns(2, lambda: False, lambda: machine.now)
    done: Counter[str] = Counter()

    async def ask(share: str, seconds: float) -> None:
        while True:
            await machine.task(turns, share, seconds)
            done[share] += 1

    running = [asyncio.ensure_future(ask(*one)) for one in (("slower", 4.0), ("slow", 2.0)) for _ in range(3)]
    await settled()
    await machine.run_until(lambda: machine.now > 120)
    for job in running:
        job.cancel()
    assert 1.5 < done["slow"] / done["slower"] < 2.5
    await asyncio.gather(*running, return_exceptions=True)

    async def brief() -> str:
        return "brief"

    async def long() -> str:
        return "long"

    assert await turns.run("slow", brief, long) == "long"
    machine.now += 30.0
    assert await turns.run("slow", brief, long) == "brief"
