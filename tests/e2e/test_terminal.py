"""The command line on a real terminal: what is seen of progress, of questions, and of what is watched."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.bed.terminal import Screen, Terminal
from tests.bed.world import World, eventually, manifest

MakeWorld = Callable[..., World]
SCRIPT = str(Path(sys.executable).with_name("gitintegration"))


@pytest.fixture
def w(world: MakeWorld) -> World:
    made = world({"pipelines/orders.yaml": manifest("orders")})
    made.secret()
    made.integrate()
    made.in_sync()
    return made


@contextmanager
def terminal(w: World, *words: str, rows: int = 50, columns: int = 120) -> Iterator[Terminal]:
    environment = {"KUBECONFIG": str(w.plane.kubeconfig)}
    made = Terminal([SCRIPT, *words, "-n", w.namespace], environment, columns=columns, rows=rows)
    try:
        yield made
    finally:
        made.close()


def test_the_screen_is_what_is_seen() -> None:
    screen = Screen(10, 3)
    screen.put("one\r\ntwo\r\n\x1b[1mthr")
    screen.put("ee\x1b[0m\x1b[")
    screen.put("2K\r3\x1b[1A\x1b[2K\r2\r\n\r\n0123456789abc")
    assert screen.lines == ["one", "2", "3", "0123456789", "abc"]


def torn(w: World) -> None:
    """A pipeline in conflict in two fields, and one in one."""
    w.repo.commit({"pipelines/users.yaml": manifest("users")})
    w.in_sync()
    w.by_hand()
    w.patch("orders", {"owner": "cluster", "schedule": "@daily"})
    w.patch("users", {"owner": "cluster"})
    files = {"orders": manifest("orders", owner="git", schedule="@hourly"), "users": manifest("users", owner="git")}
    w.repo.commit({f"pipelines/{name}.yaml": text for name, text in files.items()})
    eventually(lambda: w.sync_now().get("conflictCount") == 2)


def asks(question: str, beyond: int, lines: list[str]) -> bool:
    """Whether it is what the last line asks, and that is not the one of before."""
    return len(lines) > beyond and question in lines[-1]


def answered(shown: Terminal, *answers: tuple[str, str]) -> None:
    """Types each once its question is asked, the last apart."""
    seen = 0
    for number, (question, answer) in enumerate(answers):
        seen = len(shown.until(partial(asks, question, seen)))
        if number < len(answers) - 1:
            shown.type(f"{answer}\n")


WALK = (
    ("spec.owner:", "x"),
    ("spec.owner:", "v"),
    ("value, as YAML:", "[1"),
    ("value, as YAML:", "both"),
    ("spec.schedule:", "t"),
    ("spec.owner:", "s"),
    ("Settle it so?", ""),
)


@pytest.mark.parametrize("columns", [80, 140])
def test_conflicts_are_asked_for_field_by_field_and_their_end_is_shown(w: World, columns: int) -> None:
    torn(w)
    with terminal(w, "resolve", columns=columns) as shown:
        answered(shown, *WALK)
        assert w.spec("orders")["owner"] == "cluster", "nothing is written before it was agreed to"
        assert "-  owner: cluster\n" in shown.screen.text
        assert "+  owner: both\n" in shown.screen.text
        shown.type("y\n")
        assert shown.ended() == 0
        as_agreed(f"resolve-{columns}", shown.screen.text)
    assert (w.spec("orders")["owner"], w.spec("orders")["schedule"]) == ("both", "@hourly")
    assert w.spec("users")["owner"] == "cluster"
    with terminal(w, "push", "-m", "As agreed", columns=columns) as shown:
        shown.until(lambda lines: re.search(r"^\S (waits|Pending|Running)", lines[0]))
        assert shown.ended() == 1, "users is in conflict"
        as_agreed(f"push-{columns}", shown.screen.text)
    with terminal(w, "sync", columns=columns) as shown:
        shown.until(lambda lines: re.search(r"^\S waits for the operator", lines[0]))
        assert shown.ended() == 1
        as_agreed(f"sync-{columns}", shown.screen.text)


def test_what_is_not_agreed_to_is_not_settled(w: World) -> None:
    torn(w)
    with terminal(w, "resolve") as shown:
        answered(shown, *WALK)
        shown.type("n\n")
        assert shown.ended() == 1
        assert "nothing is settled" in shown.screen.lines[-2:]
    assert w.spec("orders")["owner"] == "cluster"


def test_what_became_another_while_it_was_asked_for_is_shown_again(w: World) -> None:
    torn(w)
    with terminal(w, "resolve", rows=200) as shown:
        answered(shown, *WALK)
        w.patch("orders", {"owner": "unseen"})
        seen = len(shown.screen.lines)
        shown.type("y\n")
        shown.until(partial(asks, "Settle it so?", seen))
        again = "\n".join(shown.screen.lines[seen:])
        assert "the plan is another now" in " ".join(again.split())
        assert "-  owner: unseen\n" in again
        assert w.spec("orders")["owner"] == "unseen"
        shown.type("y\n")
        assert shown.ended() == 0
    assert (w.spec("orders")["owner"], w.spec("orders")["schedule"]) == ("both", "@hourly")


GOLDEN = Path(__file__).with_suffix(".golden")
_VARIES = (
    (r"\bt-[0-9a-f]{10}\b", "NAMESPACE"),
    (r"[0-9a-f]{40}|\b[0-9a-f]{12}\b|\b[0-9a-f]{16}\b", "#"),
    (r"\b\d+[smhd] ago", "AGO"),
    (r"127\.0\.0\.1:\d+", "HOST"),
    (r"\b\d+ ms", "MS"),
    (r"(?<=\S)  +", "  "),
)
"""Names, hashes and times, and how wide a table is by them."""


def as_agreed(name: str, text: str) -> None:
    """A screen is the one of the golden file; `GOLDEN=1 pytest` writes it anew."""
    for pattern, word in _VARIES:
        text = re.sub(pattern, word, text)
    parts = GOLDEN.read_text().split("=== ")[1:] if GOLDEN.exists() else []
    known = dict(part.split("\n", 1) for part in parts)
    if "GOLDEN" in os.environ:
        known[name] = text
        GOLDEN.write_text("".join(f"=== {each}\n{known[each]}" for each in sorted(known)))
    assert text == known.get(name)


def test_a_question_is_left_by_ctrl_c_and_nothing_is_settled(w: World) -> None:
    torn(w)
    with terminal(w, "resolve") as shown:
        shown.until(lambda lines: "spec.owner:" in lines[-1])
        assert shown.left() == 130
        assert "Traceback" not in shown.said
    assert w.spec("orders")["owner"] == "cluster"
    assert w.kubectl("get", "gitop", "-o", "name") == ""


@contextmanager
def slow(w: World) -> Iterator[None]:
    """Every answer of the git server for this repository takes its time."""
    faults = w.server.faults
    faults.only, faults.delay = w.repo.name, 5.0
    try:
        yield
    finally:
        faults.only, faults.delay = "", 0.0


def test_progress_is_shown_and_gives_way_to_the_end(w: World) -> None:
    w.by_hand()
    w.repo.commit({"pipelines/users.yaml": manifest("users")})
    with terminal(w, "pull") as shown:
        shown.until(lambda lines: re.search(r"^\S (waits|Pending|Running)", lines[0]))
        assert not shown.screen.cursor
        assert shown.ended() == 0
        assert shown.screen.cursor
        text = shown.screen.text
    assert text.startswith("Succeeded: ")
    assert re.search(r"create +Pipeline/users", text)
    assert not re.search("waits|Pending|Running", text)
    assert w.names() == {"orders", "users"}


def test_who_leaves_an_operation_is_told_where_it_is(w: World) -> None:
    w.by_hand()
    with slow(w), terminal(w, "pull") as shown:
        shown.until(lambda lines: re.search(r"^\S (waits|Pending|Running)", lines[0]))
        eventually(lambda: w.kubectl("get", "gitop", "-o", "name"))
        shown.interrupt()
        assert shown.ended() == 130
        assert shown.screen.cursor
        assert "Traceback" not in shown.said
        (line,) = (line for line in shown.screen.text.splitlines() if "goes on" in line)
    name = w.kubectl("get", "gitop", "-o", "jsonpath={.items[*].metadata.name}")
    assert line == f"it goes on in the cluster: kubectl -n {w.namespace} get gitop {name}"


@pytest.mark.parametrize("rows", [50, 8])
def test_what_is_watched_is_shown_in_one_place_until_ctrl_c(w: World, rows: int) -> None:
    w.by_hand()
    with terminal(w, "status", "--watch", rows=rows) as shown:
        shown.until(lambda lines: any(w.namespace in line for line in lines))
        w.patch("orders", {"owner": "cluster"})
        eventually(lambda: w.sync_now().get("localAheadCount") == 1)
        shown.until(lambda lines: any("1 ahead in the cluster" in line for line in lines))
        assert not shown.screen.cursor
        shown.interrupt()
        assert shown.ended() == 1
        lines = shown.screen.lines
        assert sum(line == f"{w.namespace}/gi" for line in lines) == 1
        assert any("1 ahead in the cluster" in line for line in lines)
        assert shown.screen.cursor
        assert "Traceback" not in shown.said


@pytest.mark.parametrize("form", ["text", "json", "name"])
def test_what_is_watched_in_a_pipe_is_a_line_for_each_change(w: World, form: str) -> None:
    w.by_hand()
    process = subprocess.Popen(
        [SCRIPT, "status", "-n", w.namespace, "--watch", "-o", form],
        env={**os.environ, "KUBECONFIG": str(w.plane.kubeconfig), "COLUMNS": "140"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        first = process.stdout.readline()
        assert form != "text" or first.split()[:3] == ["NAMESPACE", "NAME", "READY"]
        w.patch("orders", {"owner": "cluster"})
        eventually(lambda: w.sync_now().get("localAheadCount") == 1)
        wanted = {"text": rf"^{w.namespace} +gi +\S+ +no +1 ", "json": r'"localAheadCount": 1\b', "name": "/gi$"}[form]
        for line in process.stdout:
            if re.search(wanted, line):
                break
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=60)
        assert (process.returncode in ({0, 1} if form == "name" else {1}), said) == (True, "")
        assert "NAMESPACE" not in rest
    finally:
        process.kill()
        process.wait()
