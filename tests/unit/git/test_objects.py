"""What the object cache says of a history, beside what git says of it."""

from __future__ import annotations

import random
import subprocess
import zlib
from pathlib import Path

import pytest

from gitintegration.errors import LimitExceeded
from gitintegration.git import objects
from tests.bed.gitserver import git
from tests.bed.hostile import Repository, delta_bomb, endless_number, entry, many_deltas


def history(repo: Path, seed: int, commits: int) -> list[str]:
    """A random history whose clocks go wrong: each commit has one or two parents and a time of its own."""
    rng = random.Random(seed)
    git("init", "--quiet", "--bare", str(repo), cwd=repo.parent)
    stream = ["blob\nmark :1\ndata 2\nx\n", "\n"]
    for number in range(2, commits + 2):
        late = range(max(2, number - 5), number)
        parents = list(dict.fromkeys(rng.choice(late) for _ in range(rng.choice((1, 1, 2))))) if late else []
        words = [f"{word} :{parent}\n" for word, parent in zip(("from", "merge"), parents, strict=False)]
        when = f"committer m <m@x> {1_700_000_000 + rng.randrange(4)} +0000"
        stream += [f"commit refs/heads/b{number}\nmark :{number}\n{when}\ndata 2\nc\n", *words, "M 100644 :1 x\n\n"]
    git("config", "fastimport.unpackLimit", "0", cwd=repo)  # in a pack, as all that a cache holds
    git("fast-import", "--quiet", "--export-marks=marks", "--force", cwd=repo, stdin="".join(stream).encode())
    marks = dict(line.split() for line in (repo / "marks").read_text().splitlines())
    return [marks[f":{number}"] for number in range(2, commits + 2)]


@pytest.mark.parametrize("seed", range(12))
def test_the_merge_base_is_one_that_git_names_whatever_the_clocks_say(tmp_path: Path, seed: int) -> None:
    repo = tmp_path / "repo.git"
    made = history(repo, seed, 14)
    rng = random.Random(seed)
    for _ in range(12):
        ours, theirs = rng.choice(made), rng.choice(made)
        wanted = git("merge-base", "--all", ours, theirs, cwd=repo).split()
        assert objects.merge_base(repo, ours, theirs) in wanted


@pytest.mark.parametrize(
    "deltas", [delta_bomb(), delta_bomb(padding=12)], ids=["plain", "sizes written longer than needed"]
)
def test_what_a_delta_unfolds_to_is_bounded(tmp_path: Path, deltas: list[bytes]) -> None:
    repository = Repository(deltas)
    received = tmp_path / "incoming"
    received.write_bytes(repository.pack)
    with pytest.raises(LimitExceeded, match="larger than"):
        objects.ingest(tmp_path, received, [repository.head], 1 << 30)


def test_what_all_deltas_unfold_to_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_MAX_SUM", 256 << 20)
    repository = Repository(many_deltas())
    for _ in range(2):  # and the next pack begins anew
        received = tmp_path / "incoming"
        received.write_bytes(repository.pack)
        with pytest.raises(LimitExceeded, match="unfolds to more than"):
            objects.ingest(tmp_path, received, [repository.head], 1 << 30)
    received.write_bytes(Repository([]).pack)
    objects.ingest(tmp_path, received, [Repository([]).head], 1 << 30)


@pytest.mark.parametrize(
    "entries",
    [[entry(3, 4 << 30, zlib.compress(b"x"))], endless_number()],
    ids=["an object of 4 GB", "a size without end"],
)
def test_an_object_that_claims_too_much_is_not_begun(tmp_path: Path, entries: list[bytes]) -> None:
    repository = Repository(entries)
    received = tmp_path / "incoming"
    received.write_bytes(repository.pack)
    with pytest.raises(LimitExceeded):
        objects.ingest(tmp_path, received, [repository.head], 1 << 30)


def test_a_file_that_is_far_too_large_is_taken_in_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known as git knows it, nothing of it is held, and what comes with it is there as ever."""
    monkeypatch.setattr(objects, "MAX_WHOLE", 1 << 16)
    repo = tmp_path / "repo.git"
    git("init", "--quiet", "--bare", "--initial-branch=main", str(repo))
    contents = [b"small", bytes(1 << 16), b"x" * ((1 << 16) + 1), random.Random(1).randbytes(300_000)]
    shas = [git("hash-object", "-w", "--stdin", cwd=repo, stdin=content).strip() for content in contents]
    received, cache = tmp_path / "incoming", tmp_path / "cache"
    with received.open("wb") as stream:
        names = "\n".join(shas).encode()
        subprocess.run(["git", "pack-objects", "--stdout"], cwd=repo, input=names, stdout=stream, check=True)
    objects.ingest(cache, received, shas, 1 << 30)
    assert objects.missing(cache, shas) == []
    with objects.Objects(cache) as store:
        assert [store.raw(sha) for sha in shas[:2]] == contents[:2]
        for sha in shas[2:]:
            with pytest.raises(LimitExceeded, match="larger than"):
                store.raw(sha)


def test_a_change_of_a_file_that_is_far_too_large_is_as_if_it_had_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MAX_WHOLE", 1 << 16)
    monkeypatch.setattr(objects, "_MAX_UNFOLDED", 1 << 15)
    repo = tmp_path / "repo.git"
    git("init", "--quiet", "--bare", "--initial-branch=main", str(repo))
    for size in (40_000, 100_000):  # one that is held, and one that is not
        text = random.Random(size).randbytes(size)
        versions = [text, text + b"more", b"less" + text[1:], b"small"]
        shas = [git("hash-object", "-w", "--stdin", cwd=repo, stdin=content).strip() for content in versions]
        received, cache = tmp_path / "incoming", tmp_path / f"cache-{size}"
        with received.open("wb") as stream:
            names = "\n".join(shas).encode()
            subprocess.run(["git", "pack-objects", "--stdout"], cwd=repo, input=names, stdout=stream, check=True)
        objects.ingest(cache, received, [shas[-1]], 1 << 30)
        assert len(objects.missing(cache, shas)) == 2
        with objects.Objects(cache) as store:
            assert store.raw(shas[-1]) == b"small"
