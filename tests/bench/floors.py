"""The floors: the least that any tool on this bed would do for the same end, with git's CLI and a bare API client.

Those of the figures that other tools were measured against: the same steps, so that the ratios can stand side by side.
Credentials are sent at once, as the operator does; else git asks twice.
"""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import orjson

from tests.bed.gitserver import WRITER, Repo, git
from tests.bench.apiserver import PIPELINES, ApiServer, concurrently

_BASIC = base64.b64encode(":".join(WRITER).encode()).decode()
_HEADER = ("-c", f"http.extraHeader=Authorization: Basic {_BASIC}")
_AUTHOR = ("-c", "user.name=Ada Author", "-c", "user.email=ada@example.com", "-c", "commit.gpgSign=false")


def ls_remote(repo: Repo) -> float:
    """Seconds of a bare `git ls-remote`."""
    started = time.perf_counter()
    git(*_HEADER, "ls-remote", repo.url(), "HEAD", "refs/heads/main")
    return time.perf_counter() - started


def clone_without_files(repo: Repo, directory: Path) -> Path:
    """Commits and trees, as `history` fetches them."""
    git(*_HEADER, "clone", "--quiet", "--bare", "--filter=blob:none", repo.url(), str(directory))
    return directory


class Place(Protocol):
    """Where a repository is cloned from."""

    def url(self) -> str: ...


R = TypeVar("R", bound=Place)


class Clone(Generic[R]):
    """A work tree of a repository, for the floors that begin with one."""

    def __init__(self, repo: R, directory: Path, header: tuple[str, ...] = _HEADER) -> None:
        """`header`: git's settings that log in."""
        self.repo, self.directory, self._header = repo, directory, header
        git(*header, "clone", "--quiet", repo.url(), str(directory))

    def fetch_and_diff(self) -> list[str]:
        """ls-remote, fetch, diff; the paths that changed."""
        git(*self._header, "ls-remote", self.repo.url(), "HEAD", "refs/heads/main")
        git(*self._header, "fetch", "--quiet", "origin", "main", cwd=self.directory)
        return git("diff", "--name-only", "HEAD", "FETCH_HEAD", cwd=self.directory).split()

    def advance(self) -> None:
        git("reset", "--quiet", "--hard", "FETCH_HEAD", cwd=self.directory)

    def commit_and_push(self, path: str, text: str) -> float:
        """Seconds of writing one file, commit and push."""
        started = time.perf_counter()
        (self.directory / path).write_text(text)
        git("add", path, cwd=self.directory)
        git(*_AUTHOR, "commit", "--quiet", "-m", "edit", cwd=self.directory)
        git(*self._header, "push", "--quiet", "origin", "HEAD:main", cwd=self.directory)
        return time.perf_counter() - started

    def commit_to(self, branch: str) -> None:
        """Commit what is added, and push it as a new branch."""
        git(*_AUTHOR, "commit", "--quiet", "-m", "edit", cwd=self.directory)
        git(*self._header, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}", cwd=self.directory)

    async def pull_one(self, api: ApiServer, namespace: str, name: str) -> float:
        """Seconds of ls-remote, fetch, diff and one PATCH with what changed."""
        started = time.perf_counter()
        [path] = self.fetch_and_diff()
        text = git("show", f"FETCH_HEAD:{path}", cwd=self.directory)
        await api.apply(f"{PIPELINES.format(namespace)}/{name}", text.encode())
        taken = time.perf_counter() - started
        self.advance()
        return taken


async def first_pull(api: ApiServer, repo: Repo, namespace: str, directory: Path) -> float:
    """Seconds of a clone, and server-side apply of every file over the client's connections."""
    started = time.perf_counter()
    clone = Clone(repo, directory)
    root = PIPELINES.format(namespace)

    async def one(path: Path) -> None:
        await api.apply(f"{root}/{path.stem}", path.read_bytes())

    await concurrently(one, sorted(clone.directory.glob("pipelines/**/*.yaml")))
    return time.perf_counter() - started


async def first_push(api: ApiServer, repo: Repo, namespace: str, directory: Path) -> float:
    """Seconds of listing every object, a file of its JSON for each, one commit and a push."""
    started = time.perf_counter()
    clone = Clone(repo, directory)
    folder = clone.directory / "pipelines"
    folder.mkdir(exist_ok=True)
    token = ""
    while True:
        page = await api.request("GET", f"{PIPELINES.format(namespace)}?limit=500&continue={token}")
        for item in page["items"]:
            (folder / f"{item['metadata']['name']}.json").write_bytes(orjson.dumps(item))
        token = page["metadata"].get("continue", "")
        if not token:
            break
    git("add", "-A", cwd=clone.directory)
    git(*_AUTHOR, "commit", "--quiet", "-m", "first", cwd=clone.directory)
    git(*_HEADER, "push", "--quiet", "origin", "HEAD:main", cwd=clone.directory)
    return time.perf_counter() - started
