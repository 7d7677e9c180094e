"""In what portions items are worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gitintegration.core.values import ObjectKey


def batches(
    keys: Sequence[ObjectKey], path_of: Callable[[ObjectKey], str | None], size: int
) -> Iterator[list[ObjectKey]]:
    """In their order, `size` or a few more at a time: those that share a file, which is edited once, are in one."""
    mates: dict[str, list[ObjectKey]] = {}
    for key in keys:
        if path := path_of(key):
            mates.setdefault(path, []).append(key)
    taken, batch = set[ObjectKey](), list[ObjectKey]()
    for key in keys:
        if key in taken:
            continue
        group = mates[path] if (path := path_of(key)) else [key]
        taken.update(group)
        batch += group
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
