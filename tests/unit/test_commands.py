"""The commands that the pages show and the messages tell. What needs a cluster is tried on one, in tests/e2e/test_commands.py."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from gitintegration import commands as command_line
from gitintegration.gateway import app, models
from gitintegration.messages import ALL, Place
from tests.bed.cluster import ROOT

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/*.md", "charts/*/README.md", "charts/*/templates/NOTES.txt")
    for path in ROOT.glob(pattern)
    if path.name not in ("CHANGELOG.md", "messages.md", "command-line.md")  # what was, and what is generated
)
TOOLS = ("kubectl", "helm", "make", "gitintegration", "curl")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^ {2,}((?:kubectl|helm|make) .*)$", re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`")
_WORD = r"""(?:'[^']*'|"[^"]*"|[^\s;|&()'"`])+"""


def _pattern(*tools: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w/.-])({'|'.join(tools)})((?:[ ]+{_WORD})*)")


_COMMAND, _IN_PROSE = _pattern(*TOOLS, "echo"), _pattern("kubectl", "echo")


class Command(NamedTuple):
    at: str
    words: tuple[str, ...]
    reads: tuple[str, ...] = ()
    """The command whose output it reads."""

    def __str__(self) -> str:
        return f"{self.at}: {shlex.join(self.words)}"


def in_text(at: str, text: str, pattern: re.Pattern[str] = _COMMAND) -> Iterator[Command]:
    """Those in a snippet, or in the prose of a message: what follows one there must not look like its arguments."""
    before: tuple[str, ...] = ()
    for found in pattern.finditer(text):
        words = shlex.split(found[0])
        if words[:2] == ["kubectl", "gitintegration"]:  # the same program
            words = words[1:]
        if words[0] != "echo":
            yield Command(at, tuple(words), before if text[: found.start()].rstrip().endswith("|") else ())
        before = tuple(words)


def in_page(page: Path) -> Iterator[Command]:
    text, name = page.read_text(), str(page.relative_to(ROOT))
    for _, language, body in _FENCE.findall(text):
        for line in body.splitlines() if language != "yaml" else ():
            yield from in_text(name, re.sub(r"^\s*\$ |\s# .*", "", line))
    prose = _FENCE.sub("", text)
    for line in _INDENTED.findall(prose):
        yield from in_text(name, re.sub(r"{{.*?}}", "NAMESPACE", line))
    for code in _INLINE.findall(prose):
        if code.startswith(tuple(f"{tool} " for tool in TOOLS)) or re.match(r"[A-Z]+=\S+ make ", code):
            yield from in_text(name, " ".join(code.split()))


def in_messages() -> Iterator[Command]:
    for name, message in ALL.items():
        told = Place("data", "analytics").fill(message(**message.example).of_secret("git-credentials").remedy)
        yield from in_text(f"messages.{name}", told, _IN_PROSE)


@functools.cache
def commands(tool: str) -> tuple[Command, ...]:
    """Each once, with the place that it stands in first."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], Command] = {}
    for one in (*(one for page in PAGES for one in in_page(page)), *in_messages()):
        found.setdefault((one.words, one.reads), one)
    return tuple(one for one in found.values() if one.words[0] == tool)


def test_they_are_found_wherever_they_stand() -> None:
    assert len(commands("kubectl")) > 80
    assert all(commands(tool) for tool in TOOLS)
    text = """mend it (kubectl a -p '{"b": "c; d"}' && kubectl e "$(date +%s)"); or echo 'g' | kubectl h -f -; if not: kubectl i"""
    told = [(one.words, one.reads) for one in in_text("", text)]
    assert told == [
        (("kubectl", "a", "-p", '{"b": "c; d"}'), ()),
        (("kubectl", "e", "$(date +%s)"), ()),
        (("kubectl", "h", "-f", "-"), ("echo", "g")),
        (("kubectl", "i"), ()),
    ]


@pytest.mark.parametrize("command", commands("make"), ids=str)
def test_make_knows_the_target_and_what_it_is_given(command: Command) -> None:
    given = [word for word in command.words[1:] if "=" in word]
    done = subprocess.run(["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    asked_for = "".join(path.read_text() for path in (ROOT / "Makefile", ROOT / "image" / "build.sh"))
    assert all(re.search(rf"\b{word.partition('=')[0]}\b", asked_for) for word in given)


@functools.cache
def help_of(command: str) -> str:
    program = Path(sys.executable).with_name("gitintegration")
    return subprocess.run(
        [sys.executable, program, command, "--help"], capture_output=True, text=True, check=True
    ).stdout


def test_every_flag_that_is_shown_alone_is_one() -> None:
    """Of a command of ours, or one of those that the text around them says to give to kubectl or helm."""
    ours = "".join(help_of(name) for name in command_line.app if not name.startswith("-"))
    known = set(re.findall(r"--[a-z][a-z-]+", ours)) | {"--from-literal", "--set"}
    shown = {
        (str(page.relative_to(ROOT)), flag)
        for page in PAGES
        for code in _INLINE.findall(_FENCE.sub("", page.read_text()))
        for flag in re.findall(r"^(--[a-z][a-z-]+)", code)
    }
    assert len(shown) > 10
    assert {(page, flag) for page, flag in shown if flag not in known} == set()


@pytest.mark.parametrize("command", commands("gitintegration"), ids=str)
def test_the_program_knows_its_commands_and_flags(command: Command) -> None:
    told = [word for word in command.words[1:] if word not in ("--help", "--version")]
    program = Path(sys.executable).with_name("gitintegration")
    done = subprocess.run([sys.executable, program, *told, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


BODIES: dict[str, type[models.Body]] = {
    "": models.ConfigBody,
    "/push": models.PushBody,
    "/pull": models.PullBody,
    "/test": models.TestBody,
}
ADDRESS = "https://gateway.example.com/api/git-integration"


async def _nowhere() -> Any:
    raise AssertionError("nobody connects")


@pytest.mark.parametrize("command", commands("curl"), ids=str)
def test_a_request_is_one_that_the_gateway_takes(command: Command) -> None:
    method, body, address = "", "", ""
    words = iter(command.words[1:])
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-d":
                body = next(words)
            case "-H":
                assert re.match(r"\$H$|[A-Z][A-Za-z-]+: \S", next(words))
            case _:
                address = word.replace("$A", ADDRESS)
    url = urlsplit(address)
    paths = app.build(_nowhere, app.Setting("data")).openapi()["paths"]
    (endpoint,) = (found for path, found in paths.items() if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), url.path))
    operation = endpoint[(method or ("POST" if body else "GET")).lower()]
    asked = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"}
    assert parse_qs(url.query).keys() <= asked
    if body:
        BODIES[url.path.removeprefix(urlsplit(ADDRESS).path)].model_validate_json(body)
