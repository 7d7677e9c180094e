"""What a sync asks of a remote: its refs, commits, blobs, a push, a probe. Every call has a deadline."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from gitintegration import messages
from gitintegration.errors import (
    GitIntegrationError,
    LimitExceeded,
    Reason,
    RemoteError,
    RemoteUnavailable,
    StaleRemote,
)
from gitintegration.git import objects
from gitintegration.git.budget import Budget, Exchange
from gitintegration.git.disk import Disk, size_of
from gitintegration.git.egress import ANYWHERE, Egress
from gitintegration.git.http import HttpTransport
from gitintegration.git.keys import Keys
from gitintegration.git.objects import NewCommit
from gitintegration.git.remote import Remote
from gitintegration.git.wire import (
    Advertisement,
    Refs,
    Wanted,
    fetch_request,
    ls_refs_request,
    parse_report,
    push_request,
    read_ls_refs,
    read_pack,
    read_report,
    shown,
)
from gitintegration.git.workers import Workers

if TYPE_CHECKING:
    from gitintegration.git.ssh import SshTransport

UPLOAD, RECEIVE = "git-upload-pack", "git-receive-pack"
_STALE_WORDS = ("failed to update ref", "cannot lock ref", "fetch first", "non-fast-forward", "stale info")
_SURE = (Reason.AuthenticationFailed, Reason.PermissionDenied, Reason.RepositoryNotFound, Reason.RateLimited)
"""What a server says whatever it is asked."""
_BATCH = 2000
"""So many blobs are asked for in one request."""
_USUAL = 128 << 10
"""Bytes that a file takes at most where many are asked for, so that one that is too large is found before much of it came."""
_WASTED = 4
"""So many times the largest answer may come in vain, of files that are too large."""
_ALL = 0x7FFFFFFF
"""The depth that git takes for no limit."""


@dataclass(frozen=True, slots=True)
class Probe:
    can_read: bool
    can_write: bool
    default_branch: str | None
    latency_ms: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes. `blob` is the largest file that is fetched by itself, `pack` the largest answer of a server."""

    blob: int = 1 << 20
    pack: int = 1 << 29


class _TooMuchError(LimitExceeded):
    """Of what was asked for something is larger than it may be."""


class GitClient:
    """One for the process. `workers` ingest what arrives; `fence` raises where this process may not write.

    `observe` is told of every exchange: what was asked, "ok" or the reason of its failure, and seconds.
    """

    def __init__(
        self,
        workers: Workers,
        limits: Limits = Limits(),
        connections_per_host: int = 8,
        fence: Callable[[], object] = lambda: None,
        observe: Callable[[str, str, float], None] = lambda request, outcome, seconds: None,
        egress: Egress = ANYWHERE,
        budget: Budget | None = None,
        disk: Disk | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._workers, self._fence, self._observe, self._egress = workers, fence, observe, egress
        self._limits, self._budget = limits, budget or Budget(limits.pack)
        self.disk = disk or Disk()
        self.keys = keys or Keys()
        self.waits: Callable[[], AbstractContextManager[None]] = nullcontext
        """Entered for as long as a conversation takes."""
        self._http = HttpTransport(connections_per_host, egress, self.keys)
        self._ssh_transport: SshTransport | None = None

    async def __aenter__(self) -> GitClient:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)
        if self._ssh_transport:
            await self._ssh_transport.close()

    @property
    def _ssh(self) -> SshTransport:
        """Imported where an address asks for it: asyncssh takes 8 MB and 0.1 s."""
        if self._ssh_transport is None:
            from gitintegration.git.ssh import SshTransport

            self._ssh_transport = SshTransport(self._egress, self.keys)
        return self._ssh_transport

    def forget(self, remote: Remote) -> None:
        """Nothing is asked of the remote any more: keep nothing of it, its connections neither."""
        self._http.leave(remote)
        if self._ssh_transport:
            self._ssh_transport.drop(remote)

    @asynccontextmanager
    async def _exchange(self, remote: Remote, request: str, room: Exchange | None = None) -> AsyncIterator[Exchange]:
        """One conversation: it has a deadline and a budget, its errors repeat no credential, and it is counted.

        `room`: the budget that it is a part of, where there is one already.
        """
        began, outcome = time.monotonic(), "ok"
        try:
            self._egress.check_scheme(remote.url.scheme, "spec.repositoryURL")
            self._egress.check_host(remote.url.host)
            self._egress.check_proxy(remote.proxy)
            with remote.concealed(), self.waits():
                if room is not None:
                    async with asyncio.timeout(remote.timeout):
                        yield room
                else:
                    async with self._budget.exchange() as exchange, asyncio.timeout(remote.timeout):
                        yield exchange
        except TimeoutError:
            outcome = Reason.Timeout.value
            words = messages.TIMED_OUT(host=remote.url.host, seconds=f"{remote.timeout:g}")
            raise RemoteUnavailable(Reason.Timeout, words) from None
        except GitIntegrationError as error:
            outcome = error.reason.value
            remote.name(error)
            raise
        finally:
            self._observe(request, outcome, time.monotonic() - began)

    async def ls_refs(self, remote: Remote, prefixes: Sequence[str]) -> Refs:
        """Of the refs that begin with one of `prefixes` those that are called just so, HEAD, and the branch it points to.

        One round trip where the repository or its server is known.
        """
        async with self._exchange(remote, "ls-refs") as exchange:
            if remote.url.is_ssh:
                return await self._ssh_refs(remote, prefixes, exchange)
            if self._http.may_skip(remote):
                try:
                    return await self._http_refs(remote, prefixes, exchange)
                except RemoteError as error:
                    if error.reason in _SURE:
                        raise
                    self._http.doubt(remote)
            known = await self._http.advertisement(remote, UPLOAD, exchange, fresh=False)
            if known.version != 2:
                known = await self._http.advertisement(remote, UPLOAD, exchange, prefixes, fresh=True)
                assert known.refs is not None
                return known.refs
            try:
                return await self._http_refs(remote, prefixes, exchange)
            except RemoteError:
                self._http.forget(remote)
                raise

    async def _http_refs(self, remote: Remote, prefixes: Sequence[str], exchange: Exchange) -> Refs:
        request = ls_refs_request(["HEAD", *prefixes], unborn=self._http.tells_unborn(remote))
        async with self._http.post(remote, UPLOAD, request, exchange) as reader:
            return await read_ls_refs(reader, prefixes)

    async def _ssh_refs(self, remote: Remote, prefixes: Sequence[str], exchange: Exchange) -> Refs:
        async with self._ssh.open(remote, UPLOAD, exchange, prefixes) as channel:
            if channel.advertisement.version == 2:
                unborn = channel.advertisement.tells_unborn
                channel.write(ls_refs_request(["HEAD", *prefixes], unborn=unborn))
                return await read_ls_refs(channel.reader, prefixes)
            channel.end()
            assert channel.advertisement.refs is not None
            return channel.advertisement.refs

    async def fetch(self, remote: Remote, directory: Path, tip: str, have: str | None, depth: int = 1) -> None:
        """Bring commit `tip` with its trees into the cache: all since `have`, or where that is None `depth` commits.

        With `have` the changed blobs come along up to the size limit; without it none do (`fetch_blobs`).
        """
        wanted = Wanted([tip], have, f"blob:limit={self._limits.blob}" if have else "blob:none", depth)
        await self._receive(remote, directory, wanted, [tip])

    async def fetch_commits(self, remote: Remote, directory: Path, tip: str, have: str) -> None:
        """Bring the commits since `have` into the cache, without what they hold."""
        await self._receive(remote, directory, Wanted([tip], have, "tree:0"), [tip])

    async def fetch_history(self, remote: Remote, directory: Path, tips: Sequence[str]) -> None:
        """Bring all commits that `tips` reach into the cache, without what they hold."""
        await self._receive(remote, directory, Wanted(tips, None, "tree:0", _ALL), tips)

    async def fetch_log(self, remote: Remote, directory: Path, tip: str, have: str | None) -> None:
        """Bring all commits with their trees that `tip` reaches and `have` does not."""
        await self._receive(remote, directory, Wanted([tip], have, "blob:none", _ALL, shallow=False), [tip])

    async def fetch_trees(self, remote: Remote, directory: Path, commits: Sequence[str]) -> None:
        """Bring these commits with their trees, and none before them."""
        await self._receive(remote, directory, Wanted(commits, None, "blob:none"), commits)

    async def fetch_blobs(self, remote: Remote, directory: Path, shas: Sequence[str]) -> frozenset[str]:
        """Bring these blobs. Gives those that are larger than a file may be, of which nothing is kept.

        No server tells how large a blob is, nor does one that is asked for by its name leave it out: so an answer that is
        too long is asked for again in halves, each of which may be no longer than its part. Raises RemoteError where a blob
        did not arrive, LimitExceeded where too much came in vain.
        """
        too_large: set[str] = set()
        wasted = 0
        batches = [shas[start : start + _BATCH] for start in range(0, len(shas), _BATCH)]
        while batches:
            batch = batches.pop()
            most = min(self._limits.pack, self._limits.blob + _USUAL * len(batch))
            try:
                await self._receive(remote, directory, Wanted(batch), batch, most)
            except _TooMuchError:
                wasted += most
                if wasted > _WASTED * self._limits.pack:
                    raise
                half = len(batch) // 2
                if half:
                    batches += [batch[:half], batch[half:]]
                else:
                    too_large.update(batch)
        return frozenset(too_large)

    async def _receive(
        self, remote: Remote, directory: Path, wanted: Wanted, expected: Sequence[str], most: int | None = None
    ) -> None:
        """`most`: bytes that this answer may have, and raises _TooMuchError past it."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"incoming-{os.getpid()}-{time.monotonic_ns()}"
        limit = most or self._limits.pack
        try:
            async with self._budget.exchange() as room:  # what came lies in the cache until it is taken in
                async with self._exchange(remote, "fetch", room) as exchange:
                    await self._download(remote, wanted, path, exchange, limit)
                try:
                    await self._workers.run(remote.timeout, objects.ingest, directory, path, list(expected), limit)
                except LimitExceeded as error:
                    raise _TooMuchError(error.message) from None
                except RemoteError as error:
                    remote.name(error)
                    raise
        except _TooMuchError as error:
            if most is None:
                raise LimitExceeded(error.message) from None
            raise
        finally:
            path.unlink(missing_ok=True)
        await self._make_room(directory)

    async def _make_room(self, directory: Path) -> None:
        """Count what the cache takes now. One that takes too much is made empty: nothing else would make it smaller."""
        try:
            self.disk.measured(directory, await asyncio.to_thread(size_of, directory))
        except LimitExceeded:
            await asyncio.to_thread(objects.wipe, directory)
            self.disk.forget(directory)
            raise

    async def _download(self, remote: Remote, wanted: Wanted, path: Path, exchange: Exchange, limit: int) -> None:
        if remote.url.is_ssh:
            async with self._ssh.open(remote, UPLOAD, exchange) as channel:
                channel.write(fetch_request(wanted, channel.advertisement))
                await self._save(read_pack(channel.reader, channel.advertisement), path, limit)
        else:
            known = await self._http.advertisement(remote, UPLOAD, exchange, fresh=False)
            async with self._http.post(remote, UPLOAD, fetch_request(wanted, known), exchange) as reader:
                await self._save(read_pack(reader, known), path, limit)

    @staticmethod
    async def _save(chunks: AsyncIterator[bytes], path: Path, limit: int) -> None:
        total = 0
        with path.open("wb") as stream:
            async for chunk in chunks:
                total += len(chunk)
                if total > limit:
                    raise _TooMuchError(f"the server sends more than {limit} bytes for one fetch")
                stream.write(chunk)

    async def push(self, remote: Remote, ref: str, old: str | None, commit: NewCommit) -> None:
        """Move `ref` from `old` (None: it must not exist) to `commit`, or raise.

        Raises StaleRemote where the ref moved, RemoteError with the server's words where it declines. A connection lost
        on the way is no answer: the ref is read again, and what it says counts.
        """
        with remote.concealed():
            try:
                async with self._exchange(remote, "push") as exchange:
                    refusal, said = await self._send(remote, ref, old, commit, exchange)
            except (RemoteUnavailable, asyncio.IncompleteReadError) as error:
                if (await self.ls_refs(remote, [ref])).refs.get(ref) == commit.sha:
                    return
                if isinstance(error, RemoteUnavailable):
                    raise
                raise RemoteUnavailable(Reason.NetworkUnreachable, "the connection broke during the push") from None
            if refusal is None:
                return
            if any(words in refusal for words in _STALE_WORDS):
                raise StaleRemote(f"{ref} moved while the push was under way")
            words = shown(" ".join(said)).removeprefix("error: ")
            raise _declined(remote, ref, f"{refusal}; it says: {words}" if words else refusal)

    async def _send(
        self, remote: Remote, ref: str, old: str | None, commit: NewCommit, exchange: Exchange
    ) -> tuple[str | None, list[str]]:
        said: list[str] = []
        self._fence()
        if remote.url.is_ssh:
            async with self._ssh.open(remote, RECEIVE, exchange, [ref]) as channel:
                told = channel.advertisement
                _check_lease(told, ref, old)
                channel.write(push_request(ref, old, commit.sha, told) + commit.pack.read_bytes())
                report = await read_report(channel.reader, said, told)
        else:
            told = await self._http.advertisement(remote, RECEIVE, exchange, fresh=False)
            request = push_request(ref, old, commit.sha, told)
            async with self._http.post(remote, RECEIVE, request, exchange, commit.pack) as reader:
                report = await read_report(reader, said, told)
        if not told.reports:
            return await self._seen(remote, ref, old, commit), said
        return parse_report(report, ref), said

    async def _seen(self, remote: Remote, ref: str, old: str | None, commit: NewCommit) -> str | None:
        """What became of a push where the server doesn't say: None where the ref is at the commit, else the refusal."""
        there = (await self.ls_refs(remote, [ref])).refs.get(ref)
        if there == commit.sha:
            return None
        if there != old:
            raise StaleRemote(f"{ref} moved while the push was under way")
        return "it does not say why (it knows no report-status)"

    async def probe(self, remote: Remote) -> Probe:
        """May these credentials read, may they write? Over git's own protocol, changing nothing."""
        started = time.monotonic()
        head = (await self.ls_refs(remote, [])).head
        latency = int((time.monotonic() - started) * 1000)
        return Probe(True, await self._may_write(remote), head, latency)

    async def _may_write(self, remote: Remote) -> bool:
        try:
            async with self._exchange(remote, "probe") as exchange:
                if remote.url.is_ssh:
                    async with self._ssh.open(remote, RECEIVE, exchange) as channel:
                        channel.end()
                else:
                    await self._http.advertisement(remote, RECEIVE, exchange, fresh=False)
        except RemoteUnavailable:
            raise
        except GitIntegrationError:
            return False
        return True


def _declined(remote: Remote, ref: str, said: str) -> RemoteError:
    words = messages.PUSH_DECLINED(host=remote.url.host, branch=ref.removeprefix("refs/heads/"), words=said)
    error = RemoteError(Reason.PushRejected, words, retry=True)
    error.said = said
    return error


def _check_lease(advertised: Advertisement, ref: str, old: str | None) -> None:
    if advertised.refs is not None and advertised.refs.refs.get(ref) != old:
        raise StaleRemote(f"{ref} moved before the push")
