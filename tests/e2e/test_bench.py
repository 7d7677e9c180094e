"""That `make bench` measures what it says, in its smallest form; no figure is judged here."""

from __future__ import annotations

import asyncio
from argparse import Namespace

import pytest

from tests.bench.__main__ import measure
from tests.bench.table import render


@pytest.mark.long
def test_the_smallest_bench_fills_its_table() -> None:
    options = Namespace(
        sizes=[20],
        idle=[2],
        window=2.0,
        rounds=4,
        storm=20,
        commits=10,
        failover=1,
        flat_only=True,
        note=["small"],
        hooked=[20],
        hooked_rounds=3,
        signed=20,
    )
    results = asyncio.run(measure(options))
    (size,) = results.sizes
    assert size.pipelines == 20
    assert size.unchanged_writes == 0
    assert len(size.to_cluster.taken) == len(size.to_git.taken) == 4
    assert results.storm is not None
    assert len(results.storm.waits) == 20
    assert results.operations is not None
    assert results.operations.pushed == 10
    assert results.edits is not None
    (hooked,) = results.hooked
    assert (hooked.pipelines, len(hooked.timing.taken)) == (20, 3)
    assert results.signed is not None
    assert len(results.signed.to_git.taken) == len(results.signed.to_cluster.floor) == 4
    page = render(results)
    assert "## Signed and verified (20 pipelines)" in page
    assert "| 20 pipelines |" in page
    assert "| an edit in each of 50 documents" in page
    assert "| nothing changed" in page
    assert "small" in page
