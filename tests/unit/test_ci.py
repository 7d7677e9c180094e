"""The examples of docs/ci.md: each parses, and the command in it is run on a checkout and tells what is wrong with it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bed.cluster import ROOT
from tests.bed.world import manifest

SCRIPT = Path(sys.executable).with_name("gitintegration")
_BLOCK = re.compile(r"^```yaml\n# ([^\s;]+).*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES: dict[str, Any] = {
    name: yaml.safe_load(text) for name, text in _BLOCK.findall((ROOT / "docs" / "ci.md").read_text())
}


def texts(node: Any) -> Iterator[str]:
    """All that it holds."""
    if isinstance(node, str):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from texts(inner)


def command(name: str) -> list[str]:
    """The words after `gitintegration` of the one command that an example has."""
    if name == ".pre-commit-config.yaml":
        ((offered,), (used,)) = (
            yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()),
            EXAMPLES[name]["repos"][0]["hooks"],
        )
        assert offered["id"] == used["id"]
        return [*shlex.split(offered["entry"])[1:], *used["args"]]
    (words,) = (shlex.split(text) for text in texts(EXAMPLES[name]) if "gitintegration" in text and " lint " in text)
    program = next(at for at, word in enumerate(words) if word.split("/")[-1].split(":")[0] == "gitintegration")
    assert words[:program] in ([], ["docker", "run", "--rm", "-v", "$PWD:/repo:ro"])
    return words[program + 1 :]


def test_there_is_one_for_each_of_them() -> None:
    assert list(EXAMPLES) == [
        ".github/workflows/pipelines.yml",
        ".gitlab-ci.yml",
        "bitbucket-pipelines.yml",
        "azure-pipelines.yml",
        ".woodpecker/pipelines.yaml",
        ".pre-commit-config.yaml",
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_command_of_an_example_finds_what_is_wrong(name: str, tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "crds").symlink_to(ROOT / "crds")
    file = tmp_path / "pipelines" / "a.yaml"
    words = [word.replace("/repo", str(tmp_path)) for word in command(name)]
    for text, code, told in (
        (manifest("a"), 0, "1 of them held against CRDs: all is well"),
        (manifest("a").replace("owner: ann", "owner: [ann]"), 1, "spec.owner: is a list"),
    ):
        file.write_text(text)
        done = subprocess.run([SCRIPT, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, told in done.stdout) == (code, True), done.stdout + done.stderr
