"""promtool, built from its module once and cached: it says whether alert rules are good, and when they fire."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from tests.bed.build import cache_root, go_program, locked, run_step, say

_MODULE = Path(__file__).parent / "promtool"


def promtool() -> Path:
    """The program, built now if need be."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_MODULE.iterdir())))
    target = cache_root() / f"promtool-{digest.hexdigest()[:16]}"
    with locked(cache_root() / "build.lock"):
        if not target.exists():
            _build(target)
    return target


def _build(target: Path) -> None:
    work = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(_MODULE, work / "module")
    env = {
        **os.environ,
        "GOCACHE": str(work / "gocache"),
        "GOFLAGS": "-mod=mod",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    package = "github.com/prometheus/prometheus/cmd/promtool"
    command = [go_program(), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(work / "made"), package]
    try:
        run_step("building promtool", command, work / "module", env)
        (work / "made").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say(f"promtool is {target}")


if __name__ == "__main__":
    promtool()
