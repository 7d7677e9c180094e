"""Tasks in processes: brief, long, and without end. Real processes; what they take is counted in processor time alone."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gitintegration.errors import RemoteUnavailable
from gitintegration.git import slices
from gitintegration.git.turns import SHARE
from gitintegration.git.workers import Workers


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    made = Workers(2)
    made.turns.alone = lambda: False
    yield made
    await asyncio.to_thread(made.close)


def spin(seconds: float, told: Path) -> int:
    """So many seconds of the processor, and how many times it was begun."""
    with told.open("a") as stream:
        stream.write("x")
    end = time.process_time() + seconds
    while time.process_time() < end:
        try:
            sum(range(1000))
        except Exception as error:  # what belongs to a file must not swallow it
            raise AssertionError from error
    return len(told.read_text())


def spin_in_one_call() -> str:
    """It does not come back to the interpreter before it is done."""
    return hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2**31 - 1).hex()


def wait(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


def cut() -> float:
    """Until it is told to give back what is left."""
    began = time.process_time()
    while not slices.is_over():
        pass
    return time.process_time() - began


def fail_on_the_way_out(seconds: float, told: Path) -> int:
    """As what reads a pack does: its cleaning up fails where it is broken off."""
    try:
        return spin(seconds, told)
    except BaseException:
        raise BufferError from None


def swallow(seconds: float, told: Path) -> int:
    """It makes an answer of being broken off."""
    try:
        return spin(seconds, told)
    except BaseException:
        return 0


@pytest.mark.parametrize("task", [fail_on_the_way_out, swallow])
async def test_what_is_broken_off_is_begun_again_whatever_it_came_to(
    workers: Workers, tmp_path: Path, task: Callable[[float, Path], int]
) -> None:
    SHARE.set("slow")
    assert await workers.run(60, task, 3 * slices.BRIEF, tmp_path / "slow") == 2


async def test_a_brief_task_that_fails_says_so(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await workers.run(60, spin, 0.01, tmp_path / "nowhere" / "file")


async def test_what_is_not_brief_is_begun_again_among_the_long_ones(workers: Workers, tmp_path: Path) -> None:
    SHARE.set("slow")
    assert await workers.run(60, spin, 0.01, tmp_path / "quick") == 1
    assert await workers.run(60, spin, 3 * slices.BRIEF, tmp_path / "slow") == 2
    assert await workers.run(60, spin, 3 * slices.BRIEF, tmp_path / "again") == 1  # it is known as slow by now


async def test_one_share_alone_is_never_broken_off(workers: Workers, tmp_path: Path) -> None:
    workers.turns.alone = lambda: True
    assert await workers.run(60, spin, 3 * slices.BRIEF, tmp_path / "slow") == 1


async def test_what_can_be_cut_is_told_when(workers: Workers) -> None:
    assert await workers.run(60, cut) < slices.BRIEF
    assert not slices.is_over()


async def test_it_is_the_processor_that_counts(workers: Workers) -> None:
    """A task that waits for the machine is not a slow one."""
    assert await workers.limited(60, 0.2, wait, 1.0) == ("done",)
    assert await workers.limited(60, 0.2, spin_in_one_call) is None
    assert await workers.limited(60, 0.2, wait, 0.0) == ("done",)


async def test_the_clock_ends_what_does_not_come_to_an_end(workers: Workers) -> None:
    with pytest.raises(RemoteUnavailable, match=r"wait took longer than 0\.2 s"):
        await workers.limited(0.2, 60, wait, 3600)
