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
def terminal(w: World, *words: str, rows: int = 50) -> Iterator[Terminal]:
    made = Terminal([SCRIPT, *words, "-n", w.namespace], {"KUBECONFIG": str(w.plane.kubeconfig)}, rows=rows)
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
    """A pipeline in conflict in two fields."""
    w.integrate(sync={"mode": "Manual"})
    w.patch("orders", {"owner": "cluster", "schedule": "@daily"})
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git", schedule="@hourly")})
    eventually(lambda: w.sync_now().get("conflictCount") == 1)


def asks(question: str, beyond: int, lines: list[str]) -> bool:
    """Whether it is what the last line asks, and that is not the one of before."""
    return len(lines) > beyond and question in lines[-1]


def test_conflicts_are_asked_for_field_by_field(w: World) -> None:
    torn(w)
    seen = 0
    with terminal(w, "resolve") as shown:
        for question, answer in (
            ("spec.owner:", "x"),
            ("spec.owner:", "v"),
            ("value, as YAML:", "[1"),
            ("value, as YAML:", "both"),
            ("spec.schedule:", "t"),
        ):
            seen = len(shown.until(partial(asks, question, seen)))
            shown.type(f"{answer}\n")
        assert shown.ended() == 0
        text = shown.screen.text
    assert text.startswith("Pipeline/orders  BothModified  pipelines/orders.yaml\n")
    assert re.search(r'spec\.owner +"ann" +"cluster" +"git"\n', text)
    assert re.search(r'spec\.schedule +"0 5 \* \* \*" +"@daily" +"@hourly"\n', text)
    assert text.count("spec.owner: [o]urs, [t]heirs, [b]ase, [v]alue, [s]kip") == 2
    assert "that is no YAML" in text
    assert re.search(r"^Succeeded: ", text, re.MULTILINE)
    assert (w.spec("orders")["owner"], w.spec("orders")["schedule"]) == ("both", "@hourly")


def test_a_question_is_left_by_ctrl_c_and_nothing_is_settled(w: World) -> None:
    torn(w)
    with terminal(w, "resolve") as shown:
        shown.until(lambda lines: "spec.owner:" in lines[-1])
        shown.interrupt()
        assert shown.ended() == 130
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
    w.repo.commit({"pipelines/users.yaml": manifest("users")})
    w.integrate(sync={"mode": "Manual"})
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
    w.integrate(sync={"mode": "Manual"})
    w.sync_now()
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
    w.integrate(sync={"mode": "Manual"})
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
    w.integrate(sync={"mode": "Manual"})
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
