"""Real git behind HTTP servers that know less than today's, send elsewhere, or show a page to sign in."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.errors import Reason, RemoteError, StaleRemote
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import NewCommit
from gitintegration.git.remote import Anonymous, Auth, Basic, Remote, Tls
from gitintegration.git.url import parse_url
from gitintegration.git.wire import pkt, read_ls_refs, shown
from gitintegration.reconcile.heads import ls_remote
from tests.bed.gitserver import READER, WRITER, GitServer, Repo, git
from tests.unit.git.test_wire import FLUSH, A, fed

FILES = {"pipelines/a.yaml": "kind: A\n"}
WRITES = Basic(*WRITER)


class Here:
    """Workers that are this process."""

    async def run(self, timeout: float, work: Any, *args: Any) -> Any:
        return work(*args)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    made = GitServer(tmp_path / "server")
    yield made
    made.stop()


@pytest.fixture
async def client() -> AsyncIterator[GitClient]:
    async with GitClient(Here()) as made:  # type: ignore[arg-type]
        yield made


def remote(url: str, auth: Auth = WRITES) -> Remote:
    return Remote(parse_url(url), auth, timeout=20)


def prepared(repo: Repo, path: Path) -> NewCommit:
    """A commit on top of the branch, and its pack; the branch stays where it was."""
    old = repo.head()
    sha = repo.commit({"pipelines/b.yaml": "kind: B\n"})
    path.write_bytes(pack_of(repo, sha))
    git("update-ref", *(("refs/heads/main", old) if old else ("-d", "refs/heads/main")), cwd=repo.path)
    return NewCommit(sha, path)


def pack_of(repo: Repo, sha: str) -> bytes:
    command = ["git", "-C", str(repo.path), "pack-objects", "--revs", "--stdout", "-q"]
    return subprocess.run(command, input=f"{sha}\n".encode(), capture_output=True, check=True).stdout


LESS = {
    "all": (),
    "no bands": ("side-band-64k", "side-band"),
    "no deltas by offset": ("ofs-delta",),
    "no report": ("report-status", "report-status-v2"),
    "neither": ("side-band-64k", "side-band", "ofs-delta", "report-status", "report-status-v2"),
}


@pytest.mark.parametrize("lacks", LESS.values(), ids=LESS)
async def test_a_push_to_a_server_that_knows_less(
    server: GitServer, client: GitClient, tmp_path: Path, lacks: tuple[str, ...]
) -> None:
    server.lacks = set(lacks)
    repo = server.create("r", files=FILES)
    old, new = repo.head(), prepared(repo, tmp_path / "pack")
    where = remote(repo.url())
    await client.push(where, "refs/heads/main", old, new)
    assert repo.head() == new.sha
    with pytest.raises(RemoteError) as refused:
        await client.push(where, "refs/heads/protected-x", None, new)
    assert refused.value.reason is Reason.PushRejected
    words = "it knows no report-status" if "report-status" in lacks else "hook declined"
    assert words in refused.value.message
    if "report-status" not in lacks and "side-band-64k" not in lacks:
        assert "Not allowed to push" in refused.value.message
    repo.commit({"c": "d"})
    with pytest.raises(StaleRemote):
        await client.push(where, "refs/heads/main", old, new)
    empty = server.create("empty")
    await client.push(remote(empty.url()), "refs/heads/main", None, new)
    assert empty.head() == new.sha


@pytest.mark.parametrize("lacks", LESS.values(), ids=LESS)
@pytest.mark.parametrize("old", [False, True], ids=["protocol 2", "protocol 0"])
async def test_a_fetch_from_a_server_that_knows_less(
    server: GitServer, client: GitClient, tmp_path: Path, lacks: tuple[str, ...], old: bool
) -> None:
    server.lacks = set(lacks)
    repo = server.create("r", files=FILES)
    if old:
        server.old.add("r")
    where, tip = remote(repo.url(), Basic(*READER)), repo.head()
    assert tip is not None
    await client.fetch(where, tmp_path / "cache", tip, None)
    assert not objects.missing(tmp_path / "cache", [tip])
    after = repo.commit({"pipelines/b.yaml": "kind: B\n" * 9})
    await client.fetch(where, tmp_path / "cache", after, tip)
    blob = git("rev-parse", f"{after}:pipelines/b.yaml", cwd=repo.path).strip()
    assert not objects.missing(tmp_path / "cache", [after, blob])


async def test_the_branch_that_an_empty_repository_is_to_have(server: GitServer, client: GitClient) -> None:
    empty = server.create("empty", branch="trunk")
    assert (await ls_remote(client, remote(empty.url()), None)).branch == "trunk"
    other = server.create("other", branch="release")  # its server is known by now: it is asked at once
    server.requests.clear()
    found = await ls_remote(client, remote(other.url()), None)
    assert (found.branch, found.commit) == ("release", None)
    assert [method for method, _ in server.requests] == ["POST"]


async def test_a_server_that_can_not_tell_it_is_not_asked(server: GitServer, client: GitClient) -> None:
    server.lacks = {"unborn"}
    empty = server.create("empty", branch="trunk")
    assert (await ls_remote(client, remote(empty.url()), None)).branch == "main"
    server.old.add("old")
    old = server.create("old", branch="trunk")
    assert (await ls_remote(client, remote(old.url()), None)).branch == "main"


@pytest.mark.parametrize("lacks", [set(), {"unborn"}], ids=["told", "not told"])
async def test_a_head_that_leads_nowhere_is_no_branch_to_make(
    server: GitServer, client: GitClient, lacks: set[str]
) -> None:
    server.lacks = lacks
    repo = server.create("r", files=FILES)
    git("symbolic-ref", "HEAD", "refs/heads/gone", cwd=repo.path)
    repo.commit(FILES, branch="release")
    with pytest.raises(RemoteError) as missing:
        await ls_remote(client, remote(repo.url()), None)
    assert missing.value.reason is Reason.BranchNotFound
    assert "main, release" in missing.value.message
    assert ("'gone'" in missing.value.message) == (not lacks)


MOVED = [
    ("/elsewhere.git/info/refs", "InvalidURL", "http://127.0.0.1:{port}/elsewhere.git:"),
    ("../../a/r.git/info/refs?service=git-upload-pack", "InvalidURL", "http://127.0.0.1:{port}/a/r.git:"),
    ("//git.example.com:8443/r.git/info/refs", "InvalidURL", "http://git.example.com:8443/r.git:"),
    ("https://u:secret@git.example.com/r.git/info/refs?token=secret", "InvalidURL", "https://git.example.com/r.git:"),
    ("https://[2001:db8::1]:8443/r.git/info/refs", "InvalidURL", "https://[2001:db8::1]:8443/r.git:"),
    ("https://git.example.com/login-service.git/info/refs", "InvalidURL", "/login-service.git:"),
    ("https://h:x/r", "InvalidURL", "an address that is none"),
    ("http://[", "InvalidURL", "an address that is none"),
    ("", "InvalidURL", "redirects to http"),
    ("/users/sign_in", "AuthenticationFailed", "/users/sign_in"),
    ("/user/login?redirect_to=%2Fr", "AuthenticationFailed", "/user/login"),
    ("https://x.vssps.visualstudio.com/_signin?realm=x", "AuthenticationFailed", "_signin"),
    ("https://login.example.com/?next=/r", "AuthenticationFailed", "login.example.com"),
    ("https://sso.example.com/adfs/ls", "AuthenticationFailed", "sso.example.com"),
]


@pytest.mark.parametrize(
    ("status", "location", "reason", "words"),
    [(status, *row) for status, row in zip(cycle((301, 302, 303, 307, 308)), MOVED, strict=False)],
)
async def test_where_a_server_sends_us(
    server: GitServer, client: GitClient, status: int, location: str, reason: str, words: str
) -> None:
    repo = server.create("r")
    server.faults.status, server.faults.headers = status, {"Location": location}
    for method in (lambda: client.ls_refs(remote(repo.url()), []), lambda: client.probe(remote(repo.url()))):
        with pytest.raises(RemoteError) as told:
            await method()
        assert told.value.reason.value == reason
        assert words.format(port=server.http_port) in told.value.message
        assert "secret" not in told.value.message
    assert len(server.requests) == 2
    with pytest.raises(RemoteError) as unknown:
        await client.ls_refs(remote(repo.url(), Anonymous()), [])
    assert (unknown.value.reason.value, "secretRef" in unknown.value.message) == (reason, reason != "InvalidURL")


async def test_nobody_is_told_to_leave_tls(server: GitServer, client: GitClient) -> None:
    repo = server.create("r")
    server.faults.status, server.faults.headers = 302, {"Location": repo.url() + "/info/refs"}
    trust = Tls(server.authority.certificate.read_text())
    with pytest.raises(RemoteError) as told:
        await client.ls_refs(Remote(parse_url(repo.url("https")), WRITES, tls=trust), [])
    assert told.value.reason is Reason.InvalidURL
    assert "without TLS" in told.value.message
    assert "set spec.repositoryURL" not in told.value.message


async def test_a_page_to_sign_in(server: GitServer, client: GitClient) -> None:
    """As Azure DevOps answers to a token that it does not know."""
    repo = server.create("r", files=FILES)
    where = remote(repo.url())
    await client.ls_refs(where, [])
    server.faults.status, server.faults.headers = 203, {"Content-Type": "text/html; charset=utf-8"}
    for _ in range(2):  # a request for refs first, then one for what the server can do
        with pytest.raises(RemoteError) as told:
            await client.ls_refs(where, [])
        assert told.value.reason is Reason.AuthenticationFailed
        assert "203" in told.value.message
        assert "token" in told.value.message


@given(st.text(max_size=60), st.binary(max_size=60))
def test_what_a_server_calls_its_refs_can_be_shown(name: str, more: bytes) -> None:
    evil = f"refs/heads/{name}".encode() + more
    lines = [f"{A} HEAD symref-target:".encode() + evil, A.encode() + b" " + evil, A.encode() + b" refs/heads/x"]
    found = fed(b"".join(map(pkt, lines)) + FLUSH, read_ls_refs)
    assert all(ref.isprintable() for ref in (*found.others, found.head or ""))
    assert "refs/heads/x" in found.others
    assert shown(found.head or "") == (found.head or "")
