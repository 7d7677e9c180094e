"""What goes into the image is what the lock files name, by hash: the build's own tools as well."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def locked(name: str) -> dict[str, list[str]]:
    """Package -> its hashes, of a lock file."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {line.split("==")[0]: re.findall(r"--hash=sha256:([0-9a-f]{64})", line) for line in lines}


def test_nothing_is_installed_without_a_hash() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install (.*?)(?:&&|$)", dockerfile, re.MULTILINE)
    assert len(installs) == 2
    for options in installs:
        files = re.findall(r"-r (\S+)", options)
        own = {"--no-deps", "--no-build-isolation"} <= set(options.split()) and options.split()[-1] == "."
        assert own or ("--require-hashes" in options and files), options
        for name in files:
            assert locked(name)
            assert all(locked(name).values()), name


def test_what_builds_it_is_locked() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    names = {re.split(r"[<>=!~ \[]", requirement)[0] for requirement in wanted}
    assert names <= locked("requirements-build.lock").keys()
