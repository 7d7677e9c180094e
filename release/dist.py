"""What a release consists of, made from a checkout: the same bytes for the same commit, whoever makes them and when.

The image is the exception where it is not the slim one by buildah (image/build.sh).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

from release import changelog, sbom, version
from tests.bed.cluster import kubectl_program
from tests.bed.helm import helm

NAME = "gitintegration"
SUMS = "SHA256SUMS"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def make(source: Path, target: Path, *, image: bool) -> list[str]:
    """Writes all of it into `target`, made anew; the names. `source` is a clean checkout of what is released.

    Raises RuntimeError and CalledProcessError.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    made, epoch = f"{NAME}-{version.read(source)}", commit_time(source)
    _chart(source, target, epoch)
    _manifests(source, target / f"{made}-manifests.tar.gz")
    (target / f"{made}.yaml").write_text(_run(kubectl_program(), "kustomize", str(source / "manifests")))
    (target / f"{made}.cdx.json").write_text(sbom.made(source, epoch))
    notes = changelog.section((source / "CHANGELOG.md").read_text(), version.read(source))
    (target / f"{made}-notes.md").write_text(notes + "\n")
    if image:
        architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
        _image(source, target / f"{made}-image-{architecture}.tar")
    names = sorted(path.name for path in target.iterdir())
    sums = (f"{hashlib.sha256((target / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (target / SUMS).write_text("".join(sums))
    return [*names, SUMS]


def has_engine() -> bool:
    """Whether an image can be made here, as image/build.sh has it: docker counts where its daemon answers."""
    if shutil.which("podman") or shutil.which("buildah"):
        return True
    return bool(shutil.which("docker")) and not subprocess.run(["docker", "info"], capture_output=True).returncode


def commit_time(source: Path) -> int:
    """Seconds since the epoch."""
    return int(_run("git", "log", "-1", "--format=%ct", cwd=source))


def _chart(source: Path, target: Path, epoch: int) -> None:
    """helm writes the time of each file into the archive."""
    copy = target / "chart" / NAME
    shutil.copytree(source / "charts" / NAME, copy)
    for path in copy.rglob("*"):
        os.utime(path, (epoch, epoch))
    helm("package", str(copy), "--destination", str(target), home=target / "chart" / "helm")
    shutil.rmtree(target / "chart")


def _manifests(source: Path, path: Path) -> None:
    """What `kubectl apply -k` takes, with what it refers to, below a folder of this name."""
    folder = path.name.removesuffix(".tar.gz")
    command = ["git", "archive", f"--prefix={folder}/", "HEAD", "manifests", "crds", "LICENSE"]
    tar = subprocess.run(command, cwd=source, check=True, capture_output=True).stdout
    path.write_bytes(gzip.compress(tar, 9, mtime=0))


def _image(source: Path, path: Path) -> None:
    name = _run("python3", "image/name.py", cwd=source).strip()
    environment = {**os.environ, "IMAGE": name, "OUT": str(path), "SLIM": "1"}
    subprocess.run(["image/build.sh"], cwd=source, env=environment, check=True)


def _run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout
