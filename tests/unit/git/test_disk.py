"""Which cache has to go."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitintegration.errors import LimitExceeded
from gitintegration.git.disk import Disk, size_of

A, B, C, D = (Path(f"/cache/{name}") for name in "abcd")


def disk(*busy: Path) -> tuple[Disk, list[Path]]:
    made, gone = Disk(each=50, total=100), list[Path]()

    def evict(directory: Path) -> bool:
        if directory in busy:
            return False
        gone.append(directory)
        return True

    made.evict = evict
    return made, gone


def test_what_was_used_longest_ago_goes_first() -> None:
    made, gone = disk()
    for directory in (A, B, C):
        made.measured(directory, 30)
    made.measured(A, 30)
    made.measured(D, 40)
    assert gone == [B]
    made.measured(D, 50)
    assert gone == [B, C]


def test_what_is_in_use_stays() -> None:
    made, gone = disk(A)
    for directory in (A, B, C, D):
        made.measured(directory, 30)
    assert gone == [B]


def test_one_that_takes_too_much_is_told() -> None:
    made, gone = disk()
    with pytest.raises(LimitExceeded, match="--cache-size-each"):
        made.measured(A, 51)
    assert not gone


def test_the_largest_ends_where_none_can_go() -> None:
    made, _ = disk(A, B, C, D)
    for directory in (A, B):
        made.measured(directory, 45)
    made.measured(C, 20)  # the others are larger
    with pytest.raises(LimitExceeded, match="--cache-size"):
        made.measured(A, 45)
    made.forget(A)
    made.measured(B, 45)


def test_what_waits_to_be_sent_counts_as_well() -> None:
    made, gone = disk()
    for directory in (A, B):
        made.measured(directory, 30)
    made.outgoing(B, 20)
    assert not gone
    with pytest.raises(LimitExceeded, match="takes 51 bytes"):
        made.outgoing(B, 21)
    made.outgoing(B, 20)
    made.measured(C, 30)
    assert gone == [A]
    made.sent(B)
    made.measured(D, 40)
    assert gone == [A]


def test_a_commit_of_one_that_was_never_fetched_counts() -> None:
    made, gone = disk()
    made.measured(A, 50)
    made.outgoing(B, 50)
    assert not gone
    made.measured(C, 1)
    assert gone == [A]
    made.forget(B)
    made.measured(C, 50)
    made.measured(D, 50)
    assert gone == [A]


def test_all_files_count(tmp_path: Path) -> None:
    (tmp_path / "objects" / "pack").mkdir(parents=True)
    (tmp_path / "objects" / "pack" / "x.pack").write_bytes(bytes(1000))
    (tmp_path / "history.sqlite").write_bytes(bytes(24))
    (tmp_path / "link").symlink_to("/dev/zero")
    assert 1024 <= size_of(tmp_path) - sum(d.lstat().st_size for d in tmp_path.rglob("*") if d.is_dir()) < 1100
