"""Packs and objects of any bytes: taken in and read, or refused with an error of ours."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.errors import GitIntegrationError
from gitintegration.git import log, objects
from tests.bed.hostile import Repository, entry, pack, sha
from tests.fuzz.budget import fuzzed

COMMIT, TREE, BLOB = 1, 2, 3
CHANGES = st.lists(st.tuples(st.integers(0, 2000), st.one_of(st.integers(0, 255), st.binary(max_size=6))), max_size=6)
ENTRIES = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.one_of(st.integers(0, 300), st.integers(0, 1 << 70)),
        st.binary(max_size=40),
        st.booleans(),
    ),
    max_size=4,
)


def mutated(data: bytes, changes: list[tuple[int, int | bytes]]) -> bytes:
    made = bytearray(data)
    for place, change in changes:
        at = place % max(1, len(made))
        if isinstance(change, int):
            made[at : at + 1] = bytes([change])
        else:
            made[at:at] = change
    return bytes(made)


def attempt(work: Callable[[], Any]) -> None:
    try:
        work()
    except GitIntegrationError as error:
        assert len(error.message) < 1000


def taken_in(folder: Path, data: bytes, expected: list[str]) -> None:
    received = folder / "incoming"
    received.write_bytes(data)
    objects.ingest(folder, received, expected, 1 << 20)


@fuzzed
@given(CHANGES)
def test_any_pack(changes: list[tuple[int, int | bytes]]) -> None:
    repository = Repository([])
    with tempfile.TemporaryDirectory() as name:
        attempt(lambda: taken_in(Path(name), mutated(repository.pack, changes), [repository.head]))


@fuzzed
@given(ENTRIES)
def test_any_entries_of_a_pack_whose_sum_is_right(entries: list[tuple[int, int, bytes, bool]]) -> None:
    made = [
        entry(
            kind, len(body) if honest else size, zlib.compress(body), body[:20].ljust(20, b"\0") if kind == 7 else b""
        )
        for kind, size, body, honest in entries
    ]
    repository = Repository(made)
    with tempfile.TemporaryDirectory() as name:
        attempt(lambda: taken_in(Path(name), repository.pack, [repository.head]))


MODES = st.sampled_from(
    [b"100644", b"40000", b"120000", b"160000", b"0", b"", b"9", b"100644 x", b"-1", b"7777777777777"]
)
NAMES = st.one_of(st.sampled_from([b"a.yaml", b"..", b".git", b"pipelines", b"\xff.yaml", b""]), st.binary(max_size=8))
TREES = st.lists(st.tuples(MODES, NAMES, st.integers(0, 2)), max_size=4)
COMMITS = st.one_of(
    st.binary(max_size=80),
    st.tuples(st.binary(max_size=20), st.binary(max_size=20)).map(
        lambda two: b"author " + two[0] + b"\ncommitter a <b> 1 +0000\n\n" + two[1]
    ),
)


@fuzzed
@given(TREES, COMMITS, st.one_of(st.none(), st.binary(max_size=30)), st.booleans())
def test_any_objects(lines: list[tuple[bytes, bytes, int]], text: bytes, raw_tree: bytes | None, looped: bool) -> None:
    """What has the right name may hold anything."""
    blob = b"kind: x\n"
    inner = b"100644 b.yaml\0" + sha(BLOB, blob)
    shas = [sha(BLOB, blob), sha(TREE, inner), sha(BLOB, blob)[::-1]]
    tree = raw_tree if raw_tree is not None else b"".join(b"%b %b\0%b" % (m, n, shas[s]) for m, n, s in lines)
    parent = b"parent " + (b"1" * 40) + b"\n" if looped else b""
    commit = b"tree " + sha(TREE, tree).hex().encode() + b"\n" + parent + text
    whole = pack(
        [entry(k, len(c), zlib.compress(c)) for k, c in ((COMMIT, commit), (TREE, tree), (TREE, inner), (BLOB, blob))]
    )
    head = sha(COMMIT, commit).hex()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            taken_in(folder, whole, [head])
        except GitIntegrationError:
            return
        suffixes = (".yaml",)
        attempt(lambda: objects.listing(folder, head, "", suffixes, ".ignore"))
        attempt(lambda: objects.listing(folder, head, "pipelines/", suffixes, ".ignore"))
        attempt(lambda: objects.changes(folder, head, head, "", suffixes, ".ignore"))
        attempt(lambda: objects.commits(folder, head, None, "", 10))
        attempt(lambda: objects.is_ancestor(folder, "1" * 40, head))
        attempt(lambda: objects.merge_base(folder, head, head))
        attempt(lambda: objects.diff_from_base(folder, head, head, head))
        attempt(lambda: objects.blobs_at(folder, head, ["a.yaml", "pipelines/b.yaml"]))
        attempt(lambda: objects.lacks_tree(folder, head))
        attempt(lambda: log.log_shallow(folder, head, "", suffixes, 10))


@pytest.mark.parametrize("kind", [COMMIT, TREE, BLOB])
def test_the_head_is_an_object_of_another_kind(tmp_path: Path, kind: int) -> None:
    content = b"tree x\n"
    attempt(lambda: taken_in(tmp_path, pack([entry(kind, len(content), zlib.compress(content))]), []))
    head = sha(kind, content).hex()
    attempt(lambda: objects.listing(tmp_path, head, "", (".yaml",), "x"))
