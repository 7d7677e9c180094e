"""Which commits touched a path, as `git log -- path` tells them, from an index of what each commit changed.

Reading 5,000 commits and their trees takes seconds each time; the index keeps what came of it, and costs new commits
only. It is derived: any part of it may be thrown away. The objects it was made from are not kept. Runs in a worker.
"""

from __future__ import annotations

import contextlib
import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitintegration.core.text import decoded
from gitintegration.errors import LimitExceeded
from gitintegration.git.objects import CacheCorruptError, Objects, TreeFile

FILES = 1000
"""So many files of one commit are told; a first import may hold any number."""
SUBJECT = 1000
"""Characters of a commit's first line."""
MAX_ROWS = 1_000_000
"""So many changed files an index may hold: some 100 MB."""
_MEMORY = Path(":memory:")
_VERSION = 0
"""Of the tables; a database that nobody said it of has 0. Another release's is derived as well, and made anew."""
_SCHEMA = f"""
pragma user_version = {_VERSION};
create table commits (n integer primary key, sha text unique, parents text, time integer, author text, subject text);
create table changed (n integer, parent integer, path blob, before text, after text,
                      primary key (n, parent, path)) without rowid;
create table tips (at integer primary key, sha text);
"""


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """`before` and `after`: what the commit changed, as it was in its first parent and as it left it."""

    sha: str
    subject: str
    author: str
    time: int
    before: tuple[TreeFile, ...]
    after: tuple[TreeFile, ...]


@dataclass(frozen=True, slots=True)
class Log:
    commits: tuple[LoggedCommit, ...]
    whole: bool
    """False where what was fetched ended before the limit was reached: fetch deeper to see more."""


def known(index: Path, tip: str) -> str | None:
    """`tip` where the index holds it, else the tip that was taken into it last."""
    if not index.exists():
        return None
    with _opened(index) as db:
        if db.execute("select 1 from commits where sha = ?", (tip,)).fetchone():
            return tip
        found = db.execute("select sha from tips order by at desc limit 1").fetchone()
        return found[0] if found else None


def extend(index: Path, directory: Path, tip: str, folder: str) -> list[str]:
    """Take all commits that `tip` reaches into the index, with what they changed below `folder`.

    Returns the commits whose trees must be fetched into `directory` first; then nothing was done. Raises LimitExceeded.
    """
    with _opened(index) as db, Objects(directory) as objects:
        return _extend(db, objects, tip, folder)


def log(index: Path, tip: str, path: str, suffixes: tuple[str, ...], limit: int) -> Log:
    """The newest `limit` commits that `tip` reaches and that touched `path` (a folder, or a file; empty: all).

    As git simplifies it: a commit that left the path as one of its parents had it is not told, and only that parent is
    followed; so a merge is told only where the path differs from all its parents.
    """
    with _opened(index) as db:
        return _log(db, tip, path, suffixes, limit)


def log_shallow(directory: Path, tip: str, path: str, suffixes: tuple[str, ...], limit: int) -> Log:
    """The same from what a shallow fetch brought, by an index that nobody keeps."""
    with _opened(_MEMORY) as db, Objects(directory) as objects:
        _extend(db, objects, tip, path[: path.rfind("/") + 1])
        return _log(db, tip, path, suffixes, limit)


@contextlib.contextmanager
def _opened(index: Path) -> Iterator[sqlite3.Connection]:
    """One transaction. An index that can't be read, or is another release's, is begun anew."""
    for attempt in (1, 2):
        db = sqlite3.connect(index)
        try:
            if db.execute("pragma user_version").fetchone() != (_VERSION,):
                raise sqlite3.DatabaseError("another release's")
            if not db.execute("select 1 from sqlite_schema where name = 'tips'").fetchone():
                db.executescript(_SCHEMA)
            break
        except sqlite3.DatabaseError:
            db.close()
            if attempt == 2:
                raise
            index.unlink(missing_ok=True)
    with contextlib.closing(db), db:
        yield db


def _extend(db: sqlite3.Connection, objects: Objects, tip: str, folder: str) -> list[str]:
    have = dict(db.execute("select sha, n from commits"))
    fresh, edge, stack = {}, set(), [tip]
    while stack:
        sha = stack.pop()
        if sha in fresh:
            continue
        if sha in have:
            edge.add(sha)
        elif objects.has(sha):
            fresh[sha] = objects.commit(sha)
            stack += [parent.decode() for parent in fresh[sha].parents]
    lacking = {sha for sha in edge if sha != tip and not objects.has(sha)}
    rows = db.execute("select count(*) from changed").fetchone()[0]
    for sha, commit in {} if lacking else fresh.items():
        parents = [parent.decode() for parent in commit.parents]
        if not all(objects.has(parent) for parent in parents):  # where a shallow fetch ends
            continue
        try:
            changes = list(_changes(objects, sha, parents, folder))
        except CacheCorruptError:  # a server leaves out a tree that an older commit had as well: of a revert
            lacking |= {sha, *parents}
            continue
        author = decoded(commit.author, commit.encoding)
        subject = decoded(commit.message, commit.encoding).strip().partition("\n")[0][:SUBJECT]
        row = (sha, " ".join(parents), commit.commit_time, author, subject)
        n = db.execute(
            "insert into commits (sha, parents, time, author, subject) values (?, ?, ?, ?, ?)", row
        ).lastrowid
        db.executemany("insert into changed values (?, ?, ?, ?, ?)", ((n, *change) for change in changes))
        rows += len(changes)
        if rows > MAX_ROWS:
            words = f"its history changed more than {MAX_ROWS} files below {folder or '/'}; name a deeper folder in spec.pathPrefix"
            raise LimitExceeded(words)
    if lacking:
        db.rollback()
    else:
        db.execute("insert into tips (sha) values (?)", (tip,))
    return sorted(lacking)


def _changes(objects: Objects, sha: str, parents: Sequence[str], folder: str) -> Iterator[tuple[int, bytes, str, str]]:
    """What a commit changed against each of its parents; a first commit, against nothing."""
    after = objects.subtree(sha, folder)
    for number, parent in enumerate(parents or [None]):
        before = objects.subtree(parent, folder) if parent else None
        for change in objects.differences(before, after, folder.encode()):
            yield number, *change


def _log(db: sqlite3.Connection, tip: str, path: str, suffixes: Sequence[str], limit: int) -> Log:
    where, below = _below(path)

    def commit(sha: str) -> tuple[int, list[str], int] | None:
        row = db.execute("select n, parents, time from commits where sha = ?", (sha,)).fetchone()
        return (row[0], row[1].split(), row[2]) if row else None

    def changed(n: int, parent: int) -> bool:
        sql = f"select 1 from changed where n = ? and parent = ? and {where} limit 1"  # noqa: S608 - of constants
        return db.execute(sql, (n, parent, *below)).fetchone() is not None

    found: list[LoggedCommit] = []
    first = commit(tip)
    if first is None:
        return Log((), False)
    seen, queue, number = {tip}, [(-first[2], 0, tip, first)], 0
    while queue and len(found) < limit:
        _, _, sha, (n, parents, time) = heapq.heappop(queue)
        alike = next((p for i, p in enumerate(parents) if not changed(n, i)), None)
        if alike is None and (parents or changed(n, 0)):
            author, subject = db.execute("select author, subject from commits where n = ?", (n,)).fetchone()
            sql = f"select path, before, after from changed where n = ? and parent = 0 and {where}"  # noqa: S608
            before, after = _entries(db.execute(sql, (n, *below)), tuple(suffixes))
            found.append(LoggedCommit(sha, subject, author, time, before, after))
        for parent in [alike] if alike else parents:
            if parent in seen:
                continue
            seen.add(parent)
            if (next_one := commit(parent)) is None:
                if len(found) < limit:
                    return Log(tuple(found), False)
                break
            number += 1
            heapq.heappush(queue, (-next_one[2], number, parent, next_one))
    return Log(tuple(found), True)


def _below(path: str) -> tuple[str, tuple[bytes, ...]]:
    """What a changed file must satisfy to count for `path`, as SQL and its values."""
    name = path.rstrip("/").encode("utf-8", "surrogateescape")
    if not name:
        return "1", ()
    inside = "(path > ? and path < ?)"
    if path.endswith("/"):
        return inside, (name + b"/", name + b"0")
    return f"(path = ? or {inside})", (name, name + b"/", name + b"0")


def _entries(rows: Iterable[tuple[bytes, str, str]], suffixes: tuple[str, ...]) -> tuple[tuple[TreeFile, ...], ...]:
    before: list[TreeFile] = []
    after: list[TreeFile] = []
    for raw, old, new in rows:
        path = raw.decode("utf-8", "surrogateescape")
        if path.endswith(suffixes):
            before += [TreeFile(path, old)] if old and len(before) < FILES else []
            after += [TreeFile(path, new)] if new and len(after) < FILES else []
    return tuple(before), tuple(after)


def find_commit(directory: Path, tip: str, prefix: str) -> list[str]:
    """The commits that `tip` reaches, by what the cache knows, whose names begin with `prefix`."""
    with Objects(directory) as objects:
        seen, stack = {tip}, [tip]
        while stack:
            sha = stack.pop()
            new = (
                [p.decode() for p in objects.commit(sha).parents if objects.has(p.decode())] if objects.has(sha) else []
            )
            stack += [p for p in new if p not in seen]
            seen.update(new)
        return sorted(sha for sha in seen if sha.startswith(prefix))
