"""The Tab key, in a real bash and by a real kubectl."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitintegration.commands import app
from tests.bed.cluster import ROOT, kubectl_program
from tests.bed.terminal import Terminal

SCRIPT = Path(sys.executable).with_name("gitintegration")
COMMANDS = {name for name in app if not name.startswith("-")}


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment in which the programs are found that an installed package has, and kubectl."""
    for name, place in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].items():
        module, _, function = place.partition(":")
        program = tmp_path / name
        program.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n")
        program.chmod(0o755)
    (tmp_path / "kubectl").symlink_to(kubectl_program())
    return {**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}


@pytest.fixture
def bash(programs: dict[str, str]) -> Iterator[Terminal]:
    shell = Terminal(["bash", "--norc", "--noprofile", "-i"], {**programs, "PS1": "> ", "INPUTRC": "/dev/null"})
    try:
        shell.type("PS1='> '; source <(gitintegration completion bash); clear() { :; }; echo ready\n")
        shell.until(lambda lines: lines[-2:] == ["ready", ">"])
        yield shell
    finally:
        shell.close()


@pytest.mark.parametrize(
    ("typed", "made"),
    [
        ("gitintegration stat", "> gitintegration status"),
        ("gitintegration hist", "> gitintegration history"),
        ("gitintegration diff --si", "> gitintegration diff --side"),
        ("gitintegration run --leader-el", "> gitintegration run --leader-election"),
        ("gitintegration lint -o sa", "> gitintegration lint -o sarif"),
        ("gitintegration diff --side pus", "> gitintegration diff --side push"),
        ("gitintegration completion fi", "> gitintegration completion fish"),
    ],
)
def test_bash_completes_commands_flags_and_values(bash: Terminal, typed: str, made: str) -> None:
    bash.type(f"{typed}\t")
    bash.until(lambda lines: lines[-1].startswith(made))


def test_bash_shows_what_there_is(bash: Terminal) -> None:
    bash.type("gitintegration \t\t")
    bash.until(lambda lines: {word for line in lines for word in line.split()} >= COMMANDS)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_theirs(shell: str) -> None:
    done = subprocess.run([SCRIPT, "completion", shell], capture_output=True, text=True, timeout=60, check=True)
    assert all(f"{name}" in done.stdout for name in COMMANDS)
    assert "--all-namespaces" in done.stdout or "all-namespaces" in done.stdout


@pytest.mark.parametrize(
    ("typed", "wanted", "directive"),
    [
        (["sta"], {"status"}, 4),
        ([""], COMMANDS, 4),
        (["diff", "--si"], {"--side"}, 4),
        (["diff", "--side", ""], {"push", "pull", "both"}, 4),
        (["lint", "-o", "s"], {"sarif"}, 4),
        (["lint", "--crds", ""], set(), 0),
        (["nothing", ""], set(), 4),
    ],
)
def test_kubectl_completes_the_plugin(
    programs: dict[str, str], typed: list[str], wanted: set[str], directive: int
) -> None:
    command = ["kubectl", "__complete", "gitintegration", *typed]
    done = subprocess.run(command, env=programs, capture_output=True, text=True, timeout=60, check=True)
    *lines, last = done.stdout.splitlines()
    assert last == f":{directive}"
    found = {line.partition("\t")[0] for line in lines}
    assert found >= wanted if typed == [""] else found == wanted


def test_a_candidate_says_what_it_is(programs: dict[str, str]) -> None:
    done = subprocess.run(
        ["kubectl_complete-gitintegration", "sta"], env=programs, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("status\tShow how integrations stand")
