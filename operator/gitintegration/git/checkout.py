"""A checkout on disk, listed as the commit that it would become. Nothing of it is written, and no link is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dulwich.errors import NotGitRepository
from dulwich.ignore import IgnoreFilterManager
from dulwich.repo import Repo

from gitintegration.api.git_names import is_unwritable
from gitintegration.errors import LimitExceeded
from gitintegration.git.objects import (
    EXECUTABLE,
    FILE,
    FOLDER,
    LINK,
    MAX_DEPTH,
    MAX_WHOLE,
    SUBMODULE,
    Listing,
    sorted_out,
)

_GIT = ".git"


def listing(checkout: Path, folder: str, suffixes: tuple[str, ...], extra: str) -> Listing:
    """The files below `folder` that end in a suffix, or are called `extra`, but for those that git is to ignore."""
    obstacle = _obstacle(checkout, folder)
    found = () if obstacle else _walk(checkout, folder, _Ignored(checkout))
    return replace(sorted_out(found, suffixes, extra), obstacle=obstacle)


def read(checkout: Path, path: str) -> bytes:
    """A file of the listing. Raises LimitExceeded where it is so large that none is read out of a pack."""
    with (checkout / path).open("rb") as stream:
        content = stream.read(MAX_WHOLE + 1)
    if len(content) > MAX_WHOLE:
        raise LimitExceeded(f"{path} is larger than {MAX_WHOLE} bytes")
    return content


def _obstacle(checkout: Path, folder: str) -> str:
    """The first part of the way to `folder` that is there and is no folder; empty where there is none."""
    at = ""
    for part in folder.split("/")[:-1]:
        at += part
        mode = _mode(checkout / at)
        if not stat.S_ISDIR(mode):
            return at if mode else ""
        at += "/"
    return ""


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _walk(checkout: Path, folder: str, ignored: _Ignored) -> Iterator[tuple[str, int, str]]:
    """Every path below `folder`, with its mode in git."""
    stack = [folder]
    while stack:
        at = stack.pop()
        if at.count("/") > MAX_DEPTH:
            yield at, 0, ""
            continue
        try:
            entries = list(os.scandir(checkout / at))
        except OSError:
            continue
        for entry in entries:
            path = f"{at}{entry.name}"
            if entry.name == _GIT:
                continue
            if entry.is_dir(follow_symlinks=False):
                if is_unwritable(entry.name):
                    yield path, FOLDER, ""
                elif (checkout / path / _GIT).exists():
                    yield path, SUBMODULE, ""
                elif not ignored(f"{path}/"):
                    stack.append(f"{path}/")
            elif not ignored(path):
                yield path, _mode_of(entry), ""


def _mode_of(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return LINK
    mode = entry.stat(follow_symlinks=False).st_mode
    if not stat.S_ISREG(mode):
        return 0
    return EXECUTABLE if mode & stat.S_IXUSR else FILE


class _Ignored:
    """Whether git is to ignore a path; a folder's ends in a slash. What it tracks it does not ignore."""

    def __init__(self, checkout: Path) -> None:
        self._filter: IgnoreFilterManager | None = None
        self._tracked: set[str] = set()
        try:
            with Repo(str(checkout)) as repo:
                self._filter = IgnoreFilterManager.from_repo(repo)
                for name in repo.open_index():
                    path = os.fsdecode(name)
                    self._tracked.add(path)
                    self._tracked.update(path[: at + 1] for at, sign in enumerate(path) if sign == "/")
        except NotGitRepository:
            pass

    def __call__(self, path: str) -> bool:
        if self._filter is None or path in self._tracked:
            return False
        return bool(self._filter.is_ignored(path))
