"""In what portions items are worked on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitintegration.core.plan.batches import batches
from gitintegration.core.values import ObjectKey


@given(st.lists(st.sampled_from(["", "x.yaml", "y.yaml", "z.yaml"]), max_size=30), st.integers(1, 7))
def test_each_comes_once_and_those_of_one_file_come_together(files: list[str], size: int) -> None:
    keys = [ObjectKey("g", "K", f"n{number:02}") for number in range(len(files))]
    paths = {key: path or None for key, path in zip(keys, files, strict=True)}
    made = list(batches(keys, paths.get, size))
    assert sorted(key for batch in made for key in batch) == keys
    assert all(made)
    where = {key: number for number, batch in enumerate(made) for key in batch}
    for path in {path for path in files if path}:
        assert len({where[key] for key in keys if paths[key] == path}) == 1
    largest = max([1, *(files.count(path) for path in set(files) if path)])
    assert all(len(batch) < size + largest for batch in made)
    assert all(len(batch) >= size for batch in made[:-1])
