"""Git's wire, as values: pkt-lines, the advertisement, requests of protocol 2 and 0, the report of a push.

By hand, on an event loop, because dulwich's clients were measured to have no deadline, to follow redirects with custom
headers, to walk all history before a fetch over ssh (x8 to x24 of git's time) and before a push (x11 to x23).
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

from gitintegration.errors import LimitExceeded, Reason, RemoteError

ZERO = "0" * 40
AGENT = "gitintegration/0.1"
MAX_REFS_BYTES = 16 * 1024 * 1024
"""A ref list has no end of its own."""


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
        total += len(line)
        if total > limit:
            raise LimitExceeded(f"the server's list of refs is longer than {limit} bytes")
        yield line.rstrip(b"\n")


@dataclass(frozen=True, slots=True)
class Refs:
    """Refs by full name; `head` is the branch that HEAD points to, if the server told one."""

    refs: dict[str, str]
    head: str | None = None


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What the server said first. `refs` is None with protocol 2, which is asked for them."""

    version: int
    capabilities: dict[str, str] = field(default_factory=dict)
    refs: Refs | None = None

    @property
    def filters(self) -> bool:
        return "filter" in self.capabilities.get("fetch", "").split() or "filter" in self.capabilities


async def read_advertisement(reader: Reader) -> Advertisement:
    """The server's first words, protocol 2 or 0, with or without the `# service` line of smart HTTP."""
    first = await read_pkt(reader)
    if isinstance(first, bytes) and first.startswith(b"# service="):
        await read_pkt(reader)
        first = await read_pkt(reader)
    if isinstance(first, bytes) and first.startswith(b"ERR "):
        raise server_said(first[4:].decode(errors="replace").strip())
    if isinstance(first, bytes) and first.rstrip() == b"version 2":
        pairs = [line.decode(errors="replace").partition("=") async for line in read_section(reader)]
        found = Advertisement(2, {name: value for name, _, value in pairs})
        return _checked(found)
    return _checked(await _read_v0(first, reader))


async def _read_v0(first: bytes | Special, reader: Reader) -> Advertisement:
    refs: dict[str, str] = {}
    capabilities: dict[str, str] = {}
    if isinstance(first, bytes):
        if first.rstrip() == b"version 1":
            first = await read_pkt(reader)
        if not isinstance(first, bytes):
            raise _garbled()
        line, _, words = first.partition(b"\0")
        symref = None
        for word in words.decode(errors="replace").split():
            name, _, value = word.partition("=")
            if name == "symref" and value.startswith("HEAD:"):
                symref = value[5:]
            capabilities[name] = value
        for entry in [line, *[entry async for entry in read_section(reader)]]:
            sha, _, name = entry.decode(errors="replace").strip().partition(" ")
            if name and not name.endswith("^{}") and name != "capabilities^{}" and sha != "shallow":
                refs[name] = _object(sha)
        head = symref or next((n for n, s in refs.items() if n != "HEAD" and s == refs.get("HEAD")), None)
        return Advertisement(0, capabilities, Refs(refs, head))
    return Advertisement(0, capabilities, Refs(refs))


def _checked(found: Advertisement) -> Advertisement:
    if found.capabilities.get("object-format", "sha1") != "sha1":
        raise RemoteError(Reason.InvalidURL, "the repository uses sha256 object names, which are not supported")
    shared = {sys.intern(name): sys.intern(value) for name, value in found.capabilities.items()}
    return replace(found, capabilities=shared)  # thousands of repositories of one server say the same


def ls_refs_request(prefixes: Sequence[str]) -> bytes:
    lines = ["symrefs\n", *(f"ref-prefix {prefix}\n" for prefix in prefixes)]
    return _command("ls-refs", lines)


def _command(name: str, lines: Iterable[str]) -> bytes:
    head = [pkt(f"command={name}\n"), pkt(f"agent={AGENT}\n"), pkt("object-format=sha1\n"), Special.delimiter.value]
    return b"".join([*head, *(pkt(line) for line in lines), Special.flush.value])


async def read_ls_refs(reader: Reader) -> Refs:
    refs: dict[str, str] = {}
    head = None
    async for line in read_section(reader):
        sha, _, rest = line.decode(errors="replace").partition(" ")
        name, *attributes = rest.split(" ")
        if name == "HEAD":
            head = next((a[14:] for a in attributes if a.startswith("symref-target:")), None)
        if sha != "unborn":
            refs[name] = _object(sha)
    return Refs(refs, head)


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
    while True:
        line = await read_pkt(reader)
        if isinstance(line, bytes) and line.startswith(b"ERR "):
            raise server_said(line[4:].decode(errors="replace"))
        if isinstance(line, bytes) and line.startswith((b"NAK", b"ACK")):
            break
    async for chunk in read_band(reader, []):
        yield chunk


async def _read_pack_v2(reader: Reader) -> AsyncIterator[bytes]:
    while True:
        header = await read_pkt(reader)
        if isinstance(header, Special):
            raise RemoteError(Reason.NetworkUnreachable, "the server sent no pack", retry=True)
        if header.startswith(b"ERR "):
            raise server_said(header[4:].decode(errors="replace").strip())
        if header.rstrip() == b"packfile":
            break
        async for _ in read_section(reader):
            pass
    async for chunk in read_band(reader, []):
        yield chunk


async def read_band(reader: Reader, said: list[str]) -> AsyncIterator[bytes]:
    """Band 1 of a side-band-64k stream; what the server says on band 2 is collected in `said`."""
    while not isinstance(line := await read_pkt(reader), Special):
        band, data = line[:1], line[1:]
        if band == b"\1":
            yield data
        elif band == b"\2":
            said.append(data.decode(errors="replace"))
        elif band == b"\3":
            raise server_said(data.decode(errors="replace").strip())


def push_request(ref: str, old: str | None, new: str) -> bytes:
    words = f"report-status side-band-64k agent={AGENT}"
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
    return refused or f"unpack {unpack}"


_NOT_ALLOWED = ("denied", "not authorized", "not allowed", "not granted", "may not", "read-only", "read only")


def server_said(words: str) -> RemoteError:
    """The error for what a server says in words, over any transport."""
    low = words.lower()
    if "not found" in low or "not appear to be a git repository" in low or "does not exist" in low:
        return RemoteError(Reason.RepositoryNotFound, f"the server says: {words}", retry=True)
    if any(sign in low for sign in _NOT_ALLOWED):
        return RemoteError(Reason.PermissionDenied, f"the server says: {words}", retry=True)
    return RemoteError(Reason.NetworkUnreachable, f"the server says: {words}", retry=True)
