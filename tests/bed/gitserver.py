"""Real git over HTTP and HTTPS: `git http-backend` behind a small threaded front, with users and faults.

One write a response and TCP_NODELAY: without them every request takes 40 ms more. Push and pull are git's own work; the
front knows only who may what.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bed.pki import Authority

WRITER, READER = ("writer", "writer-password"), ("reader", "reader-password")
TOKEN = "bed-bearer-token.with_signs-0"

_HOOK = """#!/bin/sh
case "$1" in
  refs/heads/protected*) echo "Not allowed to push to protected branch ${1#refs/heads/}" >&2; exit 1;;
esac
"""
_ENV = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
_WHO = {
    "GIT_AUTHOR_NAME": "Ada Author",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada Author",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


def git(*args: str, cwd: Path | None = None, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    """Runs the git CLI without the user's configuration."""
    done = subprocess.run(["git", *args], cwd=cwd, input=stdin, capture_output=True, env={**_ENV, **(env or {})})
    if done.returncode:
        raise RuntimeError(f"git {' '.join(args)}: {done.stderr.decode()}")
    return done.stdout.decode()


@dataclass
class Faults:
    """What goes wrong from now on; tests set and clear it."""

    delay: float = 0.0
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    drop_before: int = 0
    """So many requests are dropped before git has seen them."""
    drop_after: int = 0
    """So many answers are dropped after git has done its work."""
    only: str = ""
    """Faults hit only requests with this text in their path or query."""


class Repo:
    """A bare repository on the server, and a quick way to write commits into it as somebody else would."""

    def __init__(self, server: GitServer, name: str, branch: str) -> None:
        self.server, self.name, self.branch = server, name, branch
        self.path = server.root / f"{name}.git"

    def url(self, scheme: str = "http", user: tuple[str, str] | None = None) -> str:
        who = f"{user[0]}:{user[1]}@" if user else ""
        port = self.server.https_port if scheme == "https" else self.server.http_port
        return f"{scheme}://{who}127.0.0.1:{port}/{self.name}.git"

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        message: str = "edit",
        branch: str | None = None,
        clock_behind: int = 0,
        on: str | None = None,
        author: str = "Ada Author <ada@example.com>",
    ) -> str:
        """One commit with these files written (None: removed), on top of the branch; its sha.

        `clock_behind`: seconds that the author's clock is behind. `on`: the commit that the author has; RuntimeError where the
        branch has gone on since.
        """
        branch = branch or self.branch
        ref = f"refs/heads/{branch}"
        now = f"{author} {int(time.time()) - clock_behind} +0000"
        out = [f"commit {ref}\nauthor {now}\ncommitter {now}\ndata {len(message.encode())}\n{message}\n".encode()]
        if on or self.head(branch):
            out.append(f"from {on or f'{ref}^0'}\n".encode())
        for path, text in files.items():
            if text is None:
                out.append(f'D "{path}"\n'.encode())
            else:
                data = text.encode() if isinstance(text, str) else text
                out.append(f'M 100644 inline "{path}"\ndata {len(data)}\n'.encode() + data + b"\n")
        git("fast-import", "--quiet", "--date-format=raw", cwd=self.path, stdin=b"".join(out))
        head = self.head(branch)
        assert head
        return head

    def head(self, branch: str | None = None) -> str | None:
        try:
            return git("rev-parse", "--verify", "-q", f"refs/heads/{branch or self.branch}", cwd=self.path).strip()
        except RuntimeError:
            return None

    def read(self, path: str, branch: str | None = None) -> str | None:
        try:
            return git("show", f"refs/heads/{branch or self.branch}:{path}", cwd=self.path)
        except RuntimeError:
            return None

    def files(self, branch: str | None = None) -> list[str]:
        return git("ls-tree", "-r", "-z", "--name-only", branch or self.branch, cwd=self.path).split("\0")[:-1]

    def log(self, *args: str, branch: str | None = None) -> str:
        return git("log", *args, f"refs/heads/{branch or self.branch}", cwd=self.path)

    def count(self, branch: str | None = None) -> int:
        return int(git("rev-list", "--count", f"refs/heads/{branch or self.branch}", cwd=self.path))

    def force(self, sha: str, branch: str | None = None) -> None:
        git("update-ref", f"refs/heads/{branch or self.branch}", sha, cwd=self.path)


class GitServer:
    """Serves the repositories below `root` on loopback, http and https, until `stop`."""

    def __init__(self, root: Path, *, require_client_certificate: bool = False) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        self.authority = Authority(root / "pki", "git")
        self.client = self.authority.issue("client", client=True)
        self.anonymous: set[str] = set()
        self.old: set[str] = set()
        """Repositories that know nothing of protocol 2."""
        self._behind: dict[str, Path] = {}
        """Where repositories are read from that lag, by name."""
        self.lacks: set[str] = set()
        """Capabilities that the server does not tell of, and refuses to be asked for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = self.authority.issue("server")
        context.load_cert_chain(pair.certificate, pair.key)
        if require_client_certificate:
            context.load_verify_locations(self.authority.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        self._http = _Server(self, None)
        self._https = _Server(self, context)
        self.http_port, self.https_port = self._http.server_port, self._https.server_port

    def create(self, name: str, branch: str = "main", files: Mapping[str, str] | None = None) -> Repo:
        repo = Repo(self, name, branch)
        git("init", "--quiet", "--bare", f"--initial-branch={branch}", str(repo.path))
        for key, value in {
            "http.receivepack": "true",
            "uploadpack.allowFilter": "true",
            "uploadpack.allowAnySHA1InWant": "true",
            "receive.fsckObjects": "true",
            "gc.auto": "0",
        }.items():
            git("config", key, value, cwd=repo.path)
        hook = repo.path / "hooks" / "update"
        hook.write_text(_HOOK)
        hook.chmod(0o755)
        if files:
            repo.commit(files, "first")
        return repo

    @contextlib.contextmanager
    def lagging(self, repo: Repo) -> Iterator[None]:
        """Meanwhile it is read as it is now, whatever is pushed: a replica that lags."""
        with tempfile.TemporaryDirectory(dir=self.root, prefix="behind-") as place:
            copy = Path(place) / f"{repo.name}.git"
            git("clone", "--quiet", "--mirror", "--local", str(repo.path), str(copy))
            shutil.copy(repo.path / "config", copy / "config")
            self._behind[repo.name] = Path(place)
            try:
                yield
            finally:
                del self._behind[repo.name]

    def root_of(self, name: str, *, write: bool) -> Path:
        """Where a repository lies for this request."""
        return self.root if write else self._behind.get(name, self.root)

    def api(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        """What a forge's API below /api/ answers: status and JSON. There is none here."""
        return 404, {"message": "Not Found"}

    def is_token(self, token: str) -> bool:
        """Whether the API has made it, and it is still good."""
        return False

    def stop(self) -> None:
        for server in (self._http, self._https):
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: GitServer, context: ssl.SSLContext | None) -> None:
        self.owner, self.context = owner, context
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake is made in the connection's own thread, so that one slow client stops nobody."""
        if self.context:
            try:
                request = self.context.wrap_socket(request, server_side=True)
            except (OSError, ssl.SSLError):
                return
        with contextlib.suppress(OSError), request:
            _Handler(request, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's concern."""


def without(advertisement: bytes, lacks: set[str]) -> bytes:
    """The same without these capabilities, of protocol 0 or 2."""
    out, at = b"", 0
    while at < len(advertisement):
        size = int(advertisement[at : at + 4], 16)
        line = advertisement[at + 4 : at + size]
        at += max(size, 4)
        before, zero, words = line.partition(b"\0")
        kept = [word for word in (words if zero else line).split() if word.partition(b"=")[0].decode() not in lacks]
        if zero:
            line = before + zero + b" ".join(kept) + b"\n"
        elif line and not kept:
            continue
        elif line.startswith(b"ls-refs=") and "unborn" in lacks:
            line = b"ls-refs\n"
        out += b"%04x" % (len(line) + 4) + line if size >= 4 else b"%04x" % size
    return out


def asks_for(body: bytes, lacks: set[str]) -> bool:
    """Whether a request names one of these. Of protocol 2, deltas by offset are a part."""
    words = body[: body.find(b"PACK")].replace(b"\0", b" ").split()
    modern = any(word.endswith(b"command=ls-refs") or word.endswith(b"command=fetch") for word in words)
    return any(
        word[4:].decode(errors="replace") in lacks - {"ofs-delta"} if modern else word.decode(errors="replace") in lacks
        for word in words
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed; `GitServer.requests` keeps what was asked."""

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._serve(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)

    def _serve(self, body: bytes) -> None:
        owner, faults = self.server.owner, self.server.owner.faults
        owner.requests.append((self.command, self.path))
        hit = faults.only in self.path
        if hit and faults.delay:
            time.sleep(faults.delay)
        if hit and faults.drop_before:
            faults.drop_before -= 1
            return self._drop()
        if hit and faults.status:
            return self._answer(faults.status, {"Content-Type": "text/plain", **faults.headers}, b"told to fail\n")
        split = urlsplit(self.path)
        if split.path.startswith("/api/"):
            status, told = owner.api(self.command, split.path, self.headers.get("Authorization", ""), body)
            return self._answer(status, {"Content-Type": "application/json"}, json.dumps(told).encode())
        name = split.path.lstrip("/").split(".git/")[0]
        user, refusal = self._who(name, "git-receive-pack" in self.path)
        if refusal:
            challenge = {"WWW-Authenticate": 'Basic realm="bed"'} if refusal == 401 else {}
            return self._answer(refusal, {"Content-Type": "text/plain", **challenge}, b"no\n")
        if asks_for(body, owner.lacks):
            return self._answer(400, {"Content-Type": "text/plain"}, b"not known here\n")
        root = owner.root_of(name, write="git-receive-pack" in self.path)
        answer = self._backend(root, split.path, split.query, body, user, "" if name in owner.old else self._protocol())
        if hit and faults.drop_after:
            faults.drop_after -= 1
            return self._drop()
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        status = int(headers.pop("Status", "200").split()[0])
        if split.path.endswith("/info/refs") and owner.lacks:
            content = without(content, owner.lacks)
        return self._answer(status, headers, content)

    def _who(self, name: str, write: bool) -> tuple[str, int]:
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return ("anonymous", 0) if name in self.server.owner.anonymous and not write else ("", 401)
        if scheme.lower() == "bearer":
            return ("writer", 0) if value == TOKEN else ("", 401)
        user, _, password = base64.b64decode(value).decode().partition(":")
        if user == "x-access-token":
            return (user, 0 if self.server.owner.is_token(password) else 401)
        if (user, password) == READER:
            return (user, 403 if write else 0)
        return (user, 0) if (user, password) == WRITER or password == TOKEN else ("", 401)

    def _protocol(self) -> str:
        return self.headers.get("Git-Protocol", "")

    def _backend(self, root: Path, path: str, query: str, body: bytes, user: str, protocol: str) -> bytes:
        env = {
            **_ENV,
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": user,
            "REMOTE_ADDR": "127.0.0.1",
            "GIT_PROTOCOL": protocol,
        }
        return subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env).stdout

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
