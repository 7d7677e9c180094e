"""A git server that means harm: packs that unfold to gigabytes, answers that never end, or come a byte a second."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.bed.world import manifest

GIGABYTE = 1 << 30
_COMMIT, _TREE, _BLOB, _REF_DELTA = 1, 2, 3, 7
_NAMES = {_COMMIT: "commit", _TREE: "tree", _BLOB: "blob"}


def pkt(text: bytes) -> bytes:
    return b"%04x" % (len(text) + 4) + text


def sha(kind: int, content: bytes) -> bytes:
    return hashlib.sha1(f"{_NAMES[kind]} {len(content)}\0".encode() + content).digest()


def entry(kind: int, size: int, packed: bytes, base: bytes = b"") -> bytes:
    """An object of a pack: its header says `size`, whatever `packed` unfolds to."""
    head = [(kind << 4) | (size & 15)]
    size >>= 4
    while size:
        head[-1] |= 128
        head.append(size & 127)
        size >>= 7
    return bytes(head) + base + packed


def pack(entries: list[bytes]) -> bytes:
    body = b"PACK" + struct.pack(">II", 2, len(entries)) + b"".join(entries)
    return body + hashlib.sha1(body).digest()


def zeros(size: int) -> bytes:
    """So many zeros, compressed; a thousandth of their size."""
    made, out, chunk = zlib.compressobj(9), [], bytes(1 << 20)
    for _ in range(size // len(chunk)):
        out.append(made.compress(chunk))  # noqa: PERF401
    return b"".join(out) + made.flush()


def packed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same as gzip."""
    made = zlib.compressobj(9, zlib.DEFLATED, 31)
    for chunk in chunks:
        if out := made.compress(chunk) + made.flush(zlib.Z_SYNC_FLUSH):
            yield out
    yield made.flush()


class Repository:
    """A commit with one pipeline, and what else the pack holds."""

    def __init__(self, more: list[bytes]) -> None:
        text = manifest("orders").encode()
        blob = sha(_BLOB, text)
        folder = b"100644 orders.yaml\0" + blob
        root = b"40000 pipelines\0" + sha(_TREE, folder)
        who = b"E <e@x> 1700000000 +0000"
        commit = b"tree %s\nauthor %s\ncommitter %s\n\nx\n" % (sha(_TREE, root).hex().encode(), who, who)
        self.head = sha(_COMMIT, commit).hex()
        own = [(_COMMIT, commit), (_TREE, root), (_TREE, folder), (_BLOB, text)]
        self.pack = pack([*(entry(kind, len(c), zlib.compress(c)) for kind, c in own), *more])


def pack_bomb() -> list[bytes]:
    return [entry(_BLOB, 4 * GIGABYTE, zeros(4 * GIGABYTE))]


def delta_bomb(padding: int = 0) -> list[bytes]:
    """Each delta copies its base sixteen times: a megabyte becomes 16, 256, 4096.

    `padding`: bytes that its sizes are longer than they need be.
    """
    content = bytes(1 << 20)
    made = [entry(_BLOB, len(content), zlib.compress(content))]
    base, size = sha(_BLOB, content), len(content)
    for _ in range(3):
        step = 0xFFFFFF
        copies = [(at, min(step, size - at)) for at in range(0, size, step)] * 16
        body = (
            _varint(size, padding) + _varint(16 * size, padding) + b"".join(_copy(at, length) for at, length in copies)
        )
        made.append(entry(_REF_DELTA, len(body), zlib.compress(body), base))
        size *= 16
        base = _sha_of_zeros(size)
    return made


def many_deltas() -> list[bytes]:
    """Each within its bound: a thousand that make 48 MB of one megabyte."""
    content = bytes(1 << 20)
    made = [entry(_BLOB, len(content), zlib.compress(content))]
    base = sha(_BLOB, content)
    for number in range(1000):
        copies = b"".join(_copy(0, len(content)) for _ in range(48))
        body = _varint(len(content)) + _varint(48 * len(content) + 4) + copies + bytes([4]) + struct.pack(">I", number)
        made.append(entry(_REF_DELTA, len(body), zlib.compress(body), base))
    return made


def endless_number() -> list[bytes]:
    """An object whose size has no end."""
    return [bytes([0xB0]) + b"\x80" * 10_000_000]


def _sha_of_zeros(size: int) -> bytes:
    made = hashlib.sha1(f"blob {size}\0".encode())
    for _ in range(size >> 20):
        made.update(bytes(1 << 20))
    return made.digest()


def _varint(number: int, padding: int = 0) -> bytes:
    out = bytearray()
    while number > 127:
        out.append((number & 127) | 128)
        number >>= 7
    if padding:
        return bytes([*out, number | 128, *[128] * (padding - 1), 0])
    return bytes([*out, number])


def _copy(at: int, length: int) -> bytes:
    return bytes([0xFF]) + struct.pack("<I", at) + struct.pack("<I", length)[:3]


HOLD = b""
"""In place of a piece of an answer: nothing more comes, and the connection stays."""


class HostileServer:
    """A name stands for a way to do harm; `repositories` holds those whose packs do it."""

    def __init__(self) -> None:
        self.answering, self.held = set[object](), set[object]()
        """The answers under way now, and those of them that are held open, for all was sent that will be."""
        self.repositories: dict[str, Repository] = {}
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}.git"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def chunks(self, name: str, path: str, body: bytes) -> Iterator[bytes]:
        if name == "drip":
            for _ in itertools.count():
                yield b"f"  # of a line's length, then of the line
                time.sleep(1)
        if path.endswith("info/refs"):
            yield pkt(b"# service=git-upload-pack\n") + b"0000"
            if name == "endless-capabilities":
                yield pkt(b"version 2\n")
                for number in itertools.count():
                    yield b"".join(pkt(b"c%d-%d=%b\n" % (number, n, b"x" * 900)) for n in range(60))
            if name == "long-error":
                yield pkt(b"ERR " + b"\x1b[31m<script> " * 4000)
            if name == "old":
                yield pkt(b"1" * 40 + b" HEAD\0" + b" ".join(b"cap%d=%b" % (n, b"y" * 60) for n in range(900)) + b"\n")
                for number in itertools.count():
                    yield b"".join(pkt(b"%040x refs/heads/b%d-%d\n" % (n, number, n)) for n in range(1, 1000))
            for line in (b"version 2\n", b"ls-refs=unborn\n", b"fetch=shallow filter\n", b"object-format=sha1\n"):
                yield pkt(line)
            yield b"0000"
        elif b"command=ls-refs" in body:
            head = self.repositories[name].head.encode() if name in self.repositories else b"1" * 40
            yield pkt(head + b" HEAD symref-target:refs/heads/main\n") + pkt(head + b" refs/heads/main\n")
            if name == "gzip-refs":
                yield from itertools.repeat(pkt(b"1" * 40 + b" refs/heads/" + b"a" * 60_000 + b"\n") * 100)
            if name == "short-lines":
                yield from itertools.repeat(pkt(b"unborn") * 10_000)
            if name.startswith("held-refs"):
                for number in range(200):
                    yield b"".join(pkt(b"%040x refs/heads/main-%d-%d\n" % (n, number, n)) for n in range(1, 1000))
                yield HOLD
            if name == "endless-refs":
                for number in itertools.count():
                    yield b"".join(pkt(b"%040x refs/heads/b%d-%d\n" % (n, number, n)) for n in range(1, 1000))
            yield b"0000"
        else:
            if name == "endless-sections":
                yield from itertools.repeat(pkt(b"wanted-refs\n") + pkt(b"z" * 60_000) + b"0001")
            yield pkt(b"packfile\n")
            if name == "endless-words":
                yield from itertools.repeat(pkt(b"\2" + b"w" * 60_000))
            if name == "small-bands":
                yield from itertools.repeat(pkt(b"\1\0") * 10_000)
            if name == "held-pack":
                yield pkt(b"\1PACK" + struct.pack(">II", 2, 1 << 30))
                for _ in range(1500):
                    yield pkt(b"\1" + b"\xb0\x00" * 30_000)
                yield HOLD
            if name == "endless-pack":
                yield pkt(b"\1PACK" + struct.pack(">II", 2, 1 << 30))
                yield from itertools.repeat(pkt(b"\1" + b"\xb0\x00" * 30_000))
            whole = self.repositories[name].pack if name in self.repositories else b""
            for at in range(0, len(whole), 60_000):
                yield pkt(b"\1" + whole[at : at + 60_000])
            yield b"0000"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's concern."""


def _handler(owner: HostileServer) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _hold(self) -> None:
            owner.held.add(self)
            try:
                while self.connection.recv(1 << 16):
                    continue
            finally:
                owner.held.discard(self)

        def _serve(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            name = path.lstrip("/").partition(".git")[0]
            if "receive-pack" in path + query:
                self.send_error(403)
                return
            if name == "redirect":
                self.send_response(302)
                self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            kind = "advertisement" if path.endswith("info/refs") else "result"
            self.send_response(200)
            self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
            self.send_header("Transfer-Encoding", "chunked")
            if gzipped := name.startswith("gzip"):
                self.send_header("Content-Encoding", "gzip, gzip" if name == "gzip-chain" else "gzip")
            self.end_headers()
            owner.answering.add(self)
            try:
                self._send(name, path, body, gzipped=gzipped)
            finally:
                owner.answering.discard(self)

        def _send(self, name: str, path: str, body: bytes, *, gzipped: bool) -> None:
            with contextlib.suppress(OSError):
                for chunk in packed(owner.chunks(name, path, body)) if gzipped else owner.chunks(name, path, body):
                    if chunk == HOLD:
                        self._hold()
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                self.wfile.write(b"0\r\n\r\n")
                return
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    return Handler
