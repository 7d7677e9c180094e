"""Which commits touched a path, as `git log -- path` tells them. Runs in a worker."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gitintegration.git.objects import Entry, Objects

FILES = 1000
"""So many files of one commit are told; a first import may hold any number."""


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """`before` and `after`: what the commit changed, as it was in its first parent and as it left it."""

    sha: str
    message: str
    author: str
    time: int
    before: tuple[Entry, ...]
    after: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Log:
    commits: tuple[LoggedCommit, ...]
    whole: bool
    """False where the cache ended before the limit was reached: fetch deeper to see more."""


def log(directory: Path, tip: str, path: str, suffixes: tuple[str, ...], limit: int) -> Log:
    """The newest `limit` commits that `tip` reaches and that touched `path` (a folder with a slash, or a file; empty: all).

    As git simplifies it: a commit that left the path as one of its parents had it is not told, and only that parent is
    followed; so a merge is told only where the path differs from all its parents.
    """
    with Objects(directory) as objects:
        found: list[LoggedCommit] = []
        whole = True
        seen = {tip}
        queue = [(-objects.commit(tip).commit_time, 0, tip)]
        number = 0
        states: dict[str, str] = {}

        def state(sha: str) -> str:
            """What lies at the path: the name of its object, or nothing."""
            if sha not in states:
                states[sha] = _at(objects, sha, path)
            return states[sha]

        while queue and len(found) < limit:
            _, _, sha = heapq.heappop(queue)
            commit = objects.commit(sha)
            parents = [p.decode() for p in commit.parents]
            if not all(objects.has(parent) for parent in parents):
                whole = False
                break
            alike = next((p for p in parents if state(p) == state(sha)), None)
            follow = [alike] if alike else parents
            if alike is None and (parents or state(sha)):
                before, after = _changed(objects, parents[0] if parents else None, sha, path, suffixes)
                message = commit.message.decode(errors="replace").strip()
                author = commit.author.decode(errors="replace")
                found.append(LoggedCommit(sha, message, author, commit.commit_time, before, after))
            states.pop(sha, None)
            for parent in follow:
                if parent not in seen:
                    seen.add(parent)
                    number += 1
                    heapq.heappush(queue, (-objects.commit(parent).commit_time, number, parent))
        return Log(tuple(found), whole)


def _at(objects: Objects, commit: str, path: str) -> str:
    tree: str = objects.commit(commit).tree.decode()
    *folders, name = path.split("/")
    for folder in folders:
        found = objects.find(tree, folder)
        if found is None or found.mode != 0o040000:
            return ""
        tree = found.sha
    if not name:
        return tree
    found = objects.find(tree, name)
    return f"{found.mode}{found.sha}" if found else ""


def _changed(
    objects: Objects, parent: str | None, commit: str, path: str, suffixes: Sequence[str]
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    folder = path[: path.rfind("/") + 1]
    new, old = objects.subtree(commit, folder), objects.subtree(parent, folder) if parent else None
    sides = []
    for mine, theirs in ((old, new), (new, old)):
        entries: list[Entry] = []
        for at, mode, sha in objects.walk(mine, folder, theirs):
            if at.startswith(path) and at.endswith(tuple(suffixes)) and mode in (0o100644, 0o100755, 0o100664):
                entries.append(Entry(at, sha))
                if len(entries) >= FILES:
                    break
        sides.append(tuple(entries))
    return sides[0], sides[1]


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
