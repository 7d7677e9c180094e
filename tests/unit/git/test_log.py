"""`git log -- path` and ours tell the same commits, on random histories with merges, however the index came to be."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
from pathlib import Path

import pytest

from gitintegration.errors import LimitExceeded
from gitintegration.git import log, objects
from tests.bed.gitserver import git

SUFFIXES = (".yaml",)
FILES = ("p/a.yaml", "p/b.yaml", "p/x/c.yaml", "p/x/d.yaml", "p-q/e.yaml", "README.md", "p/x.yaml", "p/täst.yaml")
PATHS = ("", "p/", "p", "p/x/", "p/x", "p/a.yaml", "p/x/d.yaml", "p/none.yaml", "p/täst.yaml")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git("init", "--quiet", "--bare", "repo.git", cwd=tmp_path)
    return tmp_path / "repo.git"


def play(repo: Path, seed: int, commits: int) -> list[str]:
    """A random history of so many commits; each is a child of one or two earlier ones, mostly late ones."""
    rng = random.Random(seed)
    made: list[str] = []
    for number in range(commits):
        parents = list(dict.fromkeys(rng.choice(made[-6:]) for _ in range(rng.choice((1, 1, 2))))) if made else []
        tree: dict[str, str] = {}
        for parent in reversed(parents):
            lines = git("ls-tree", "-r", "-z", parent, cwd=repo).split("\0")
            tree |= {line.partition("\t")[2]: line.split()[2] for line in lines if line}
        for _ in range(rng.choice((0, 1, 1, 2))):
            name = rng.choice(FILES)
            if name in tree and rng.random() < 0.3:
                del tree[name]
            else:
                tree[name] = blob(repo, f"v: {rng.randrange(3)}\n")
        made.append(commit(repo, tree, parents, number))
    return made


def blob(repo: Path, text: str) -> str:
    return git("hash-object", "-w", "--stdin", cwd=repo, stdin=text.encode()).strip()


def commit(repo: Path, tree: dict[str, str], parents: list[str], number: int) -> str:
    index = repo / "index.test"
    index.unlink(missing_ok=True)
    lines = "".join(f"100644 {sha}\t{name}\0" for name, sha in tree.items())
    who = {f"GIT_{r}_{k}": "m@x" for r in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
    when = {f"GIT_{r}_DATE": f"{1_700_000_000 + number} +0000" for r in ("AUTHOR", "COMMITTER")}
    env = {"GIT_INDEX_FILE": str(index), **who, **when}
    git("update-index", "-z", "--index-info", cwd=repo, env=env, stdin=lines.encode())
    written = git("write-tree", cwd=repo, env=env).strip()
    flags = [word for parent in parents for word in ("-p", parent)]
    return git("commit-tree", written, *flags, "-m", f"edit {number}", cwd=repo, env=env).strip()


def fetch(repo: Path, cache: Path, wanted: list[str], have: str | None = None, *, shallow: bool = False) -> None:
    """What a server would send: commits and trees."""
    words = [*wanted, f"^{have}"] if have else wanted
    if shallow:
        lines = [sha for tip in wanted for sha in [tip, *git("rev-parse", f"{tip}^{{tree}}", cwd=repo).split()]]
        lines += [
            line.split()[2] for tip in wanted for line in git("ls-tree", "-r", "-t", tip, cwd=repo).splitlines()
            if " tree " in line
        ]  # fmt: skip
        flags = ["--stdout"]
    else:
        lines, flags = words, ["--stdout", "--revs", "--filter=blob:none"]
    done = subprocess.run(
        ["git", "pack-objects", "--quiet", *flags], cwd=repo, input="\n".join(lines).encode() + b"\n", capture_output=True, check=True
    )  # fmt: skip
    pack = cache / "incoming"
    cache.mkdir(exist_ok=True)
    pack.write_bytes(done.stdout)
    objects.ingest(cache, pack, wanted, 1 << 20)


def wanted(repo: Path, tip: str, path: str, limit: int) -> list[str]:
    return git("log", f"-{limit}", "--format=%H", tip, "--", path or ".", cwd=repo).split()


def extended(repo: Path, index: Path, cache: Path, tip: str) -> None:
    have = log.known(index, tip)
    fetch(repo, cache, [tip], have)
    while absent := log.extend(index, cache, tip, ""):
        fetch(repo, cache, absent, shallow=True)


@pytest.mark.parametrize("seed", range(12))
def test_it_tells_what_git_tells_however_the_index_grew(repo: Path, tmp_path: Path, seed: int) -> None:
    made = play(repo, seed, 40)
    index = tmp_path / "index.sqlite"
    for number in (17, 22, 31, 39):
        tip = made[number]
        if log.known(index, tip) != tip:
            extended(repo, index, tmp_path / f"cache-{number}", tip)
        assert log.known(index, tip) == tip
        for path in PATHS:
            for limit in (3, 100):
                told = log.log(index, tip, path, SUFFIXES, limit)
                assert [c.sha for c in told.commits] == wanted(repo, tip, path, limit), (number, path)
                assert told.whole


def test_what_a_commit_changed_is_told_as_it_was_and_as_it_became(repo: Path, tmp_path: Path) -> None:
    old, new, other = (blob(repo, f"v: {n}\n") for n in range(3))
    first = commit(repo, {"p/a.yaml": old, "p/b.yaml": old, "p/x": old, "p/n.md": old}, [], 0)
    second = commit(repo, {"p/a.yaml": new, "p/c.yaml": other, "p/x/d.yaml": new, "p/n.md": new}, [first], 1)
    index = tmp_path / "index.sqlite"
    extended(repo, index, tmp_path / "cache", second)
    told = log.log(index, second, "p/", SUFFIXES, 10).commits[0]
    assert (told.subject, told.author, told.time) == ("edit 1", "m@x <m@x>", 1_700_000_001)
    assert {(e.path, e.sha) for e in told.before} == {("p/a.yaml", old), ("p/b.yaml", old)}
    assert {(e.path, e.sha) for e in told.after} == {("p/a.yaml", new), ("p/c.yaml", other), ("p/x/d.yaml", new)}
    assert [c.subject for c in log.log(index, second, "p/x", SUFFIXES, 10).commits] == ["edit 1", "edit 0"]


def test_a_shallow_fetch_tells_that_there_is_more(repo: Path, tmp_path: Path) -> None:
    made = [commit(repo, {"p/a.yaml": blob(repo, "v: 0\n")}, [], 0)]
    for number in range(1, 6):
        made.append(commit(repo, {"p/a.yaml": blob(repo, f"v: {number}\n")}, [made[-1]], number))
    cache = tmp_path / "cache"
    fetch(repo, cache, made[3:], shallow=True)
    told = log.log_shallow(cache, made[-1], "p/", SUFFIXES, 2)
    assert ([c.sha for c in told.commits], told.whole) == ([made[5], made[4]], True)
    told = log.log_shallow(cache, made[-1], "p/", SUFFIXES, 3)
    assert ([c.sha for c in told.commits], told.whole) == ([made[5], made[4]], False)


def test_an_index_that_cannot_be_read_is_begun_anew(repo: Path, tmp_path: Path) -> None:
    made = play(repo, 1, 8)
    index = tmp_path / "index.sqlite"
    index.write_bytes(b"no database at all" * 1000)
    extended(repo, index, tmp_path / "cache", made[-1])
    assert [c.sha for c in log.log(index, made[-1], "p/", SUFFIXES, 99).commits] == wanted(repo, made[-1], "p/", 99)


def test_an_index_of_another_release_is_begun_anew(repo: Path, tmp_path: Path) -> None:
    made = play(repo, 1, 8)
    index = tmp_path / "index.sqlite"
    extended(repo, index, tmp_path / "cache", made[-1])
    with contextlib.closing(sqlite3.connect(index)) as db:
        db.executescript("drop table changed; alter table commits rename to commits_2; pragma user_version = 7")
    assert log.known(index, made[-1]) is None
    extended(repo, index, tmp_path / "cache", made[-1])
    assert [c.sha for c in log.log(index, made[-1], "p/", SUFFIXES, 99).commits] == wanted(repo, made[-1], "p/", 99)


def test_an_index_has_an_end(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = play(repo, 1, 8)
    monkeypatch.setattr(log, "MAX_ROWS", 1)
    with pytest.raises(LimitExceeded, match="more than 1 files"):
        extended(repo, tmp_path / "index.sqlite", tmp_path / "cache", made[-1])
    assert log.known(tmp_path / "index.sqlite", made[-1]) is None
