"""Git's wire, as values: pkt-lines, the advertisement, requests of protocol 2 and 0, the report of a push.

By hand, on an event loop, because dulwich's clients were measured to have no deadline, to follow redirects with custom
headers, to walk all history before a fetch over ssh (x8 to x24 of git's time) and before a push (x11 to x23).
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

from gitintegration import messages
from gitintegration.errors import LimitExceeded, Reason, RemoteError

ZERO = "0" * 40
AGENT = "gitintegration/0.1"
MAX_REFS_BYTES = 16 * 1024 * 1024
"""A ref list has no end of its own."""
_EACH_LINE = 64
"""Bytes that a line counts for beside its own."""
_CAPABILITIES_BYTES = 1 << 16
_BEFORE_PACK_BYTES = 1 << 20
"""Of all that comes before a pack: acknowledgements, and the commits whose parents are left out."""
_REPORT_BYTES = 1 << 16
_SAID_BYTES = 1 << 12
"""Of what a server says beside its answer, so much is kept, for people."""
_PIECE = 1 << 14
_SHOWN = 500
"""Characters of it in an error."""
_CAPABILITIES = frozenset(
    (
        *("agent", "fetch", "filter", "ls-refs", "no-progress", "object-format", "ofs-delta"),
        *("report-status", "shallow", "side-band-64k"),
    )
)
"""Those that are remembered of a server."""


class Special(Enum):
    """The pkt-lines without content."""

    flush = b"0000"
    delimiter = b"0001"
    end = b"0002"


def _garbled() -> RemoteError:
    return RemoteError(Reason.RepositoryNotFound, "the server's answer is not git's protocol", retry=True)


_OBJECT = re.compile(r"[0-9a-f]{40}")


def _object(name: str) -> str:
    """An object's name as the server wrote it. Raises RemoteError where it is none."""
    if not _OBJECT.fullmatch(name):
        raise _garbled()
    return name


class Reader(Protocol):
    async def readexactly(self, n: int) -> bytes: ...


def pkt(line: str | bytes) -> bytes:
    data = line.encode() if isinstance(line, str) else line
    return f"{len(data) + 4:04x}".encode() + data


async def read_pkt(reader: Reader) -> bytes | Special:
    """The next pkt-line. Raises IncompleteReadError at the end, RemoteError where it is none."""
    head = await reader.readexactly(4)
    try:
        size = int(head, 16)
    except ValueError:
        raise _garbled() from None
    if size < 4:
        return {0: Special.flush, 1: Special.delimiter, 2: Special.end}.get(size, Special.flush)
    return await reader.readexactly(size - 4)


async def read_section(reader: Reader, limit: int = MAX_REFS_BYTES) -> AsyncIterator[bytes]:
    """The lines up to the next flush or delimiter, without their newline."""
    total = 0
    while not isinstance(line := await read_pkt(reader), Special):
        total += len(line) + _EACH_LINE
        if total > limit:
            raise LimitExceeded(f"the server's list is longer than {limit} bytes")
        yield line.rstrip(b"\n")


@dataclass(frozen=True, slots=True)
class Refs:
    """Refs by full name; `head` is the branch that HEAD points to, if the server told one."""

    refs: dict[str, str]
    head: str | None = None
    others: tuple[str, ...] = ()
    """Some branches, by full name, that the server told of beside those."""


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What the server said first. `refs` is None with protocol 2, which is asked for them."""

    version: int
    capabilities: dict[str, str] = field(default_factory=dict)
    refs: Refs | None = None

    @property
    def filters(self) -> bool:
        return "filter" in self.capabilities.get("fetch", "").split() or "filter" in self.capabilities

    @property
    def tells_unborn(self) -> bool:
        """Whether it tells of a HEAD whose branch is not there, where it is asked to."""
        return "unborn" in self.capabilities.get("ls-refs", "").split()

    @property
    def bands(self) -> bool:
        """Whether it sends its answer beside its words; else the answer stands by itself."""
        return self.version == 2 or "side-band-64k" in self.capabilities

    @property
    def reports(self) -> bool:
        """Whether it says what became of a push."""
        return "report-status" in self.capabilities


_OTHERS, _LONGEST_NAME = 20, 256
"""So many branches that were not asked for are kept by name, of so many characters: to be told of."""


def _branch(name: str | None) -> str | None:
    """A full name that may be a branch's; None where no server of good will says so."""
    return (
        name if name and name.startswith("refs/heads/") and name.isprintable() and len(name) <= _LONGEST_NAME else None
    )


class _Sieve:
    """Of a ref list that a server may make as long as it likes, HEAD, the branch it points to, and the refs asked for."""

    def __init__(self, wanted: Collection[str], head: str | None = None, *, guess: bool = False) -> None:
        """`guess`: where nothing says what HEAD points to, it is the first branch at the same commit."""
        self._wanted, self.head, self._guess = wanted, _branch(head), guess
        self.refs: dict[str, str] = {}
        self._others: list[str] = []

    def offer(self, name: str, sha: str) -> None:
        if self._guess and self.head is None and name != "HEAD" and sha == self.refs.get("HEAD"):
            self.head = _branch(name)
        if name in ("HEAD", self.head) or name in self._wanted:
            self.refs[name] = sha
        elif name.startswith("refs/heads/") and len(self._others) < _OTHERS:
            self._others.append(shown(name[:_LONGEST_NAME]))

    def found(self) -> Refs:
        return Refs(self.refs, self.head, tuple(self._others))


async def read_advertisement(reader: Reader, wanted: Collection[str] = ()) -> Advertisement:
    """The server's first words, protocol 2 or 0, with or without the `# service` line of smart HTTP.

    Of its refs, HEAD and the `wanted` ones are kept.
    """
    first = await read_pkt(reader)
    if isinstance(first, bytes) and first.startswith(b"# service="):
        await read_pkt(reader)
        first = await read_pkt(reader)
    if isinstance(first, bytes) and first.startswith(b"ERR "):
        raise server_said(_clean(first[4:]))
    if isinstance(first, bytes) and first.rstrip() == b"version 2":
        lines = read_section(reader, _CAPABILITIES_BYTES)
        pairs = [line.decode(errors="replace").partition("=") async for line in lines]
        return _checked(Advertisement(2, _known((name, value) for name, _, value in pairs)))
    return _checked(await _read_v0(first, reader, wanted))


async def _read_v0(first: bytes | Special, reader: Reader, wanted: Collection[str]) -> Advertisement:
    if not isinstance(first, bytes):
        return Advertisement(0, {}, Refs({}))
    if first.rstrip() == b"version 1":
        first = await read_pkt(reader)
    if not isinstance(first, bytes):
        raise _garbled()
    line, _, words = first.partition(b"\0")
    pairs = [word.partition("=") for word in words.decode(errors="replace").split()]
    symrefs = (value[5:] for name, _, value in pairs if name == "symref" and value.startswith("HEAD:"))
    sieve = _Sieve(wanted, next(symrefs, None), guess=True)
    _offer(sieve, line)
    async for entry in read_section(reader):
        _offer(sieve, entry)
    return Advertisement(0, _known((name, value) for name, _, value in pairs), sieve.found())


def _offer(sieve: _Sieve, entry: bytes) -> None:
    sha, _, name = entry.decode(errors="replace").strip().partition(" ")
    if name and not name.endswith("^{}") and name != "capabilities^{}" and sha != "shallow":
        sieve.offer(name, _object(sha))


def _known(told: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: value[:_SHOWN] for name, value in told if name in _CAPABILITIES}


def _checked(found: Advertisement) -> Advertisement:
    if found.capabilities.get("object-format", "sha1") != "sha1":
        raise RemoteError(Reason.InvalidURL, "the repository uses sha256 object names, which are not supported")
    shared = {sys.intern(name): sys.intern(value) for name, value in found.capabilities.items()}
    return replace(found, capabilities=shared)  # thousands of repositories of one server say the same


def ls_refs_request(prefixes: Sequence[str], *, unborn: bool = False) -> bytes:
    """`unborn`: ask for a HEAD whose branch is not there, too. Servers that don't know the word refuse it."""
    lines = ["symrefs\n", *(["unborn\n"] if unborn else []), *(f"ref-prefix {prefix}\n" for prefix in prefixes)]
    return _command("ls-refs", lines)


def _command(name: str, lines: Iterable[str]) -> bytes:
    head = [pkt(f"command={name}\n"), pkt(f"agent={AGENT}\n"), pkt("object-format=sha1\n"), Special.delimiter.value]
    return b"".join([*head, *(pkt(line) for line in lines), Special.flush.value])


async def read_ls_refs(reader: Reader, wanted: Collection[str] = ()) -> Refs:
    """HEAD, the branch it points to, and of the others the `wanted` ones."""
    sieve = _Sieve(wanted)
    async for line in read_section(reader):
        sha, _, rest = line.decode(errors="replace").partition(" ")
        name, *attributes = rest.split(" ")
        if name == "HEAD":
            sieve.head = _branch(next((a[14:] for a in attributes if a.startswith("symref-target:")), None))
        if sha != "unborn":
            sieve.offer(name, _object(sha))
    return sieve.found()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a fetch asks for. Without `have` the tips come with `depth` commits, with it all since.

    `shallow`: the cache holds `have`, and not what came before it.
    """

    shas: Sequence[str]
    have: str | None = None
    filter: str | None = None
    depth: int = 1
    shallow: bool = True


def fetch_request(wanted: Wanted, advertised: Advertisement) -> bytes:
    """Never thin: a delta against a blob that a partial cache does not hold could not be resolved."""
    haves = [f"shallow {wanted.have}\n"] if wanted.have and wanted.shallow else []
    depth = [] if wanted.have else [f"deepen {wanted.depth}\n"]
    filters = [f"filter {wanted.filter}\n"] if wanted.filter and advertised.filters else []
    known = [f"have {wanted.have}\n"] if wanted.have else []
    if advertised.version == 2:
        wants = [f"want {sha}\n" for sha in wanted.shas]
        return _command("fetch", ["no-progress\n", "ofs-delta\n", *wants, *haves, *depth, *filters, *known, "done\n"])
    words: list[str] = [
        w for w in ("side-band-64k", "ofs-delta", "shallow", "no-progress") if w in advertised.capabilities
    ]
    words += ["filter"] if filters else []
    first, *rest = wanted.shas
    wants = [f"want {first} {' '.join(words)} agent={AGENT}\n", *(f"want {sha}\n" for sha in rest)]
    head = b"".join(pkt(line) for line in [*wants, *haves, *depth, *filters])
    return head + Special.flush.value + b"".join(pkt(line) for line in [*known, "done\n"])


async def read_pack(reader: Reader, advertised: Advertisement) -> AsyncIterator[bytes]:
    """The bytes of the pack that answers a fetch."""
    if advertised.version == 2:
        async for chunk in _read_pack_v2(reader):
            yield chunk
        return
    before = _Before()
    while True:
        line = before.count(await read_pkt(reader))
        if isinstance(line, bytes) and line.startswith((b"NAK", b"ACK")):
            break
    async for chunk in read_band(reader, []) if advertised.bands else _rest(reader):
        yield chunk


async def _rest(reader: Reader) -> AsyncIterator[bytes]:
    """What comes up to the end of the stream. That a pack is whole is seen by its sum."""
    while True:
        try:
            yield await reader.readexactly(_PIECE)
        except asyncio.IncompleteReadError as end:
            if end.partial:
                yield end.partial
            return


class _Before:
    """What comes before a pack has a bound of its own."""

    def __init__(self) -> None:
        self._total = 0

    def count(self, line: bytes | Special) -> bytes | Special:
        """The line. Raises RemoteError where it is an error's, LimitExceeded past the bound."""
        self._total += _EACH_LINE + (len(line) if isinstance(line, bytes) else 0)
        if self._total > _BEFORE_PACK_BYTES:
            raise LimitExceeded(f"the server sends more than {_BEFORE_PACK_BYTES} bytes before the pack")
        if isinstance(line, bytes) and line.startswith(b"ERR "):
            raise server_said(_clean(line[4:]))
        return line


async def _read_pack_v2(reader: Reader) -> AsyncIterator[bytes]:
    before = _Before()
    while True:
        header = before.count(await read_pkt(reader))
        if isinstance(header, Special):
            raise RemoteError(Reason.NetworkUnreachable, "the server sent no pack", retry=True)
        if header.rstrip() == b"packfile":
            break
        while not isinstance(before.count(await read_pkt(reader)), Special):
            pass
    async for chunk in read_band(reader, []):
        yield chunk


async def read_band(reader: Reader, said: list[str]) -> AsyncIterator[bytes]:
    """Band 1 of a side-band-64k stream; of what the server says on band 2, the beginning is collected in `said`."""
    room = _SAID_BYTES
    while not isinstance(line := await read_pkt(reader), Special):
        band, data = line[:1], line[1:]
        if band == b"\1":
            yield data
        elif band == b"\2" and room > 0:
            said.append(data[:room].decode(errors="replace"))
            room -= len(data)
        elif band == b"\3":
            raise server_said(_clean(data))


async def read_report(reader: Reader, said: list[str], advertised: Advertisement) -> bytes:
    """What the server reports of a push, if it does. Raises LimitExceeded where it does not end."""
    report = bytearray()
    banded = read_band(reader, said) if advertised.bands else _report_lines(reader)
    async for chunk in banded if advertised.reports else _rest(reader):
        report += chunk
        if len(report) > _REPORT_BYTES:
            raise LimitExceeded(f"the server's report of the push is longer than {_REPORT_BYTES} bytes")
    return bytes(report)


async def _report_lines(reader: Reader) -> AsyncIterator[bytes]:
    """The report as it is on band 1 otherwise."""
    while not isinstance(line := await read_pkt(reader), Special):
        if line.startswith(b"ERR "):
            raise server_said(_clean(line[4:]))
        yield pkt(line)


def push_request(ref: str, old: str | None, new: str, advertised: Advertisement) -> bytes:
    known = [word for word in ("report-status", "side-band-64k") if word in advertised.capabilities]
    words = " ".join([*known, f"agent={AGENT}"])
    return pkt(f"{old or ZERO} {new} {ref}\0{words}") + Special.flush.value


def parse_report(report: bytes, ref: str) -> str | None:
    """None where the push of `ref` was accepted, else the server's reason."""
    lines = []
    position = 0
    while position + 4 <= len(report):
        try:
            size = int(report[position : position + 4], 16)
        except ValueError:
            raise _garbled() from None
        lines.append(report[position + 4 : position + size].decode(errors="replace").rstrip("\n") if size >= 4 else "")
        position += max(size, 4)
    unpack = next((line[7:] for line in lines if line.startswith("unpack ")), "no report")
    if f"ok {ref}" in lines and unpack == "ok":
        return None
    refused = next((line[len(ref) + 4 :] for line in lines if line.startswith(f"ng {ref} ")), None)
    return shown(refused or f"unpack {unpack}")


def shown(words: str) -> str:
    """A server's words as people may be shown them: one line of printable characters, not too long."""
    return " ".join("".join(ch if ch.isprintable() else " " for ch in words[: 2 * _SHOWN]).split())[:_SHOWN]


def _clean(data: bytes) -> str:
    return shown(data[: 4 * _SHOWN].decode(errors="replace"))


_NOT_ALLOWED = ("denied", "not authorized", "not allowed", "not granted", "may not", "read-only", "read only")


def server_said(words: str) -> RemoteError:
    """The error for what a server says in words, over any transport."""
    words = shown(words)
    low = words.lower()
    if "not found" in low or "not appear to be a git repository" in low or "does not exist" in low:
        return RemoteError(Reason.RepositoryNotFound, messages.SERVER_SAYS_NOT_FOUND(words=words), retry=True)
    if any(sign in low for sign in _NOT_ALLOWED):
        return RemoteError(Reason.PermissionDenied, messages.SERVER_SAYS_DENIED(words=words), retry=True)
    return RemoteError(Reason.NetworkUnreachable, f"the server says: {words}", retry=True)
