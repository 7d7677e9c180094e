"""What is imported for whom: who asks for help, or presses the Tab key, waits for no library. Modules are counted, not seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitintegration.commands import app
from gitintegration.commands.__main__ import render_help
from gitintegration.console import HELP, MARK, help_page

COMMANDS = sorted(name for name in app if not name.startswith("-"))
OF_COMMANDS = {"cyclopts", "rich", "attr", "docstring_parser"}
HEAVY = {
    "aiohttp",
    "asyncssh",
    "dulwich",
    "fastapi",
    "httpx",
    "jsonschema",
    "kopf",
    "kubernetes",
    "orjson",
    "pysequoia",
    "pydantic",
    "yaml",
}
_RUN = """
import sys
sys.argv = ["gitintegration", *{words!r}]
from gitintegration.console import main
try:
    main()
except SystemExit:
    pass
"""
_MODULES = (
    "\nimport json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)"
)


def ran(program: str, **more: str) -> tuple[str, set[str]]:
    """What a program printed, and the packages that it had imported in the end."""
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")} | more
    command = [sys.executable, "-c", program + _MODULES]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    return done.stdout, set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_read_from_a_page_and_no_library_is_imported_for_it(command: str) -> None:
    words = [*command.split(), "--help"]
    text, packages = ran(_RUN.format(words=words))
    assert text == help_page(words)
    assert text.startswith(f"Usage: gitintegration {command}".rstrip())
    assert packages & (OF_COMMANDS | HEAVY) == set()


def test_the_pages_are_what_the_commands_say() -> None:
    assert HELP.read_text() == render_help()
    assert [line[len(MARK) :] for line in HELP.read_text().splitlines() if line.startswith(MARK)] == ["", *COMMANDS]


def test_a_narrow_terminal_and_one_of_few_signs_have_a_page_of_their_own() -> None:
    text, packages = ran(_RUN.format(words=["status", "--help"]), COLUMNS="60")
    assert max(map(len, text.splitlines())) <= 60
    assert packages >= OF_COMMANDS
    text, _ = ran(_RUN.format(words=["status", "--help"]), PYTHONIOENCODING="latin-1")
    assert "--watch" in text
    assert text.isascii()


@pytest.mark.parametrize("words", [["status", "-h", "x"], ["nothing", "--help"], ["--version"]])
def test_what_has_no_page_is_left_to_the_commands(words: list[str]) -> None:
    assert help_page(words) is None


def test_a_kubectl_plugin_calls_itself_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-gitintegration", "diff", "--help"])
    assert (help_page(["diff", "--help"]) or "").startswith("Usage: kubectl gitintegration diff")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_signature_imports_no_library(command: str) -> None:
    """Of what it needs to run, which comes when it runs: the Tab key asks for its flags."""
    text = f"from gitintegration.commands import app; app[{command!r}].assemble_argument_collection()"
    assert ran(text)[1] & HEAVY == set()


def test_a_lint_imports_what_it_needs_alone(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    text, packages = ran(_RUN.format(words=["lint", str(tmp_path)]))
    assert text == "0 manifests in 0 files: all is well\n"
    assert packages & HEAVY == {"dulwich", "orjson", "pydantic", "yaml"}


def test_the_module_is_the_command_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gitintegration", "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == help_page([])
