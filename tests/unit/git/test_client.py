"""Which blobs are too large, found out of servers that do not tell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitintegration.errors import LimitExceeded
from gitintegration.git.client import GitClient, Limits, _TooMuchError
from gitintegration.git.remote import Remote
from gitintegration.git.url import parse_url
from gitintegration.git.wire import Wanted
from gitintegration.git.workers import Workers

LIMITS = Limits(blob=1 << 20, pack=1 << 29)
REMOTE = Remote(parse_url("https://git.example.com/a/b"))


class Client(GitClient):
    """One whose server holds blobs of these sizes."""

    def __init__(self, sizes: dict[str, int]) -> None:
        workers: Any = Workers.__new__(Workers)
        super().__init__(workers, LIMITS)
        self._sizes, self.got, self.sent = sizes, set[str](), 0

    async def _receive(
        self, remote: Remote, directory: Path, wanted: Wanted, expected: Sequence[str], most: int | None = None
    ) -> None:
        size = sum(self._sizes[sha] for sha in wanted.shas)
        limit = most or LIMITS.pack
        self.sent += min(size, limit)
        if size > limit:
            raise _TooMuchError("more than it may be")
        self.got |= set(wanted.shas)


def fetched(sizes: Sequence[int]) -> tuple[Client, frozenset[str], dict[str, int]]:
    blobs = {f"{number:040}": size for number, size in enumerate(sizes)}
    client = Client(blobs)
    return client, asyncio.run(client.fetch_blobs(REMOTE, Path("/nowhere"), list(blobs))), blobs


SMALL, LARGE = st.integers(0, 1 << 20), st.integers(2 << 20, 1 << 34)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(SMALL, max_size=60), st.lists(LARGE, max_size=6), st.randoms(use_true_random=False))
def test_what_is_too_large_is_told_and_all_else_comes(small: list[int], large: list[int], random: Any) -> None:
    sizes = [*small, *large]
    random.shuffle(sizes)
    client, told, blobs = fetched(sizes)
    assert told == {sha for sha, size in blobs.items() if size >= 2 << 20}
    assert client.got == blobs.keys() - told


def test_little_comes_in_vain_for_one_of_thousands() -> None:
    sizes = [2000] * 5000
    sizes[1234] = 10 << 30
    client, told, _ = fetched(sizes)
    assert len(told) == 1
    assert client.sent < LIMITS.pack + 100_000_000


def test_there_is_an_end_to_what_comes_in_vain() -> None:
    with pytest.raises(LimitExceeded):
        fetched([10 << 30] * 20_000)
