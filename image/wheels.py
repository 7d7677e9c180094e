"""Whether every package of the image is to be had built, for each architecture: asks the package index of this machine's pip."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
_GLIBC = (17, 28, 31, 34, 36)
"""Minor versions of it that wheels are made for, up to the one of the oldest base image that is served (Debian 12's)."""


def missing(machine: str) -> str:
    """What pip says of a package that has no wheel for `machine`, and nothing where all have."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps", "--ignore-installed"]
        command += ["--require-hashes", "--only-binary=:all:", f"--report={report}", f"--target={folder}/none"]
        command += [
            "--implementation=cp",
            "--python-version=3.11",
            *(f"--abi={abi}" for abi in ("cp311", "abi3", "none")),
        ]
        command += [f"--platform=manylinux_2_{minor}_{machine}" for minor in _GLIBC]
        command += [f"--platform=manylinux2014_{machine}", "-r", str(_ROOT / "requirements.lock")]
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            return done.stderr
        found = json.loads(report.read_text())["install"]
        names = [one["download_info"]["url"].rpartition("/")[2] for one in found]
        bad = [name for name in names if not name.endswith(("-any.whl", f"_{machine}.whl"))]
        print(f"{machine}: {len(names)} wheels")
        return "\n".join(bad)


if __name__ == "__main__":
    told = {name: missing(machine) for name, machine in _ARCHITECTURES.items()}
    for name, words in told.items():
        if words:
            print(f"{name}: {words}", file=sys.stderr)
    sys.exit(any(told.values()))
