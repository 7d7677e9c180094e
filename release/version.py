"""The version stands in pyproject.toml. What has to repeat it is written from there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
PAGES = ("*.md", "docs/*.md")
"""Where the image is named, to be pasted."""


def read(root: Path) -> str:
    found: str = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return found


def parsed(version: str) -> tuple[int, ...]:
    """Raises ValueError."""
    if not (found := _VERSION.fullmatch(version)):
        raise ValueError(f"{version!r} is no version as MAJOR.MINOR.PATCH")
    return tuple(map(int, found.groups()))


def bump(root: Path, version: str) -> None:
    """Writes it into a checkout: the package, the image's tag, the chart, the pages."""
    before = read(root)
    _replace(root / "pyproject.toml", f'\nversion = "{before}"\n', f'\nversion = "{version}"\n')
    _replace(root / "manifests" / "image" / "kustomization.yaml", f'newTag: "{before}"', f'newTag: "{version}"')
    for path in (path for pattern in PAGES for path in root.glob(pattern) if path.name != "CHANGELOG.md"):
        path.write_text(path.read_text().replace(f"gitintegration:{before}", f"gitintegration:{version}"))
    subprocess.run([sys.executable, "charts/values.py"], cwd=root, check=True, stdout=subprocess.DEVNULL)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if text.count(old) != 1:
        raise ValueError(f"{path.name} has no line, or several, with {old.strip()}")
    path.write_text(text.replace(old, new))
