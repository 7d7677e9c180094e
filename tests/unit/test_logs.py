"""What a process says is a line an event, whoever speaks; and a trouble that goes on does not fill the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from gitintegration.logs import Trouble

_SPEAKERS = {
    "ours": "structlog.get_logger('x').info('ours', path='a\\nb', raw=b'\\xff')",
    "kopf": "logging.getLogger('kopf._cogs.clients.api').error('kopf %s', 'retries')",
    "a library's traceback": "try: 1 / 0\n    except ZeroDivisionError: logging.getLogger('uvicorn.error').exception('uvicorn')",
    "uvicorn": "configured(None, '127.0.0.1', 0, debug=False, proxies=()); logging.getLogger('uvicorn.error').error('uvicorn')",
    "a warning": "warnings.warn('a warning', RuntimeWarning)",
    "a thread": "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
    "the interpreter": "print('first\\nsecond', file=sys.stderr); print('no end', end='', file=sys.stderr)",
    "what nobody caught": "raise KeyError('x\\ny')",
    "words at the end": "raise SystemExit('the Lease was lost')",
    "an error of ours at the end": "raise SpecError(Reason.InvalidSpec, '--flag is wrong')",
    "a loop": "asyncio.run(lost())",
    "a worker": "asyncio.run(worker())",
}
_PROGRAM = """
import asyncio, logging, sys, threading, warnings
import structlog
from gitintegration import logs, stderr
from gitintegration.errors import Reason, SpecError
from gitintegration.gateway.server import configured
from gitintegration.git.workers import Workers

async def fails(): raise ValueError("in a task")
async def lost():
    task = asyncio.ensure_future(fails())
    await asyncio.sleep(0.1)
    del task
async def worker():
    workers = Workers(1, modules=["no.such.module"], begin=stderr.as_json_lines)
    workers.start()
    for _ in range(100):
        await asyncio.sleep(0.1)
        if not workers._pool.active: break
    await asyncio.to_thread(workers.close)

def main():
    logs.configure("json", "info")
    with logs.ending():
        SPEAK
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("who", _SPEAKERS)
def test_every_line_is_json(who: str, tmp_path: Path) -> None:
    speak = _SPEAKERS[who].replace("\n    ", "\n        ")
    (tmp_path / "program.py").write_text(_PROGRAM.replace("SPEAK", speak))
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, timeout=120)
    lines = [json.loads(line) for line in done.stderr.decode().splitlines()]
    assert lines
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert done.returncode in (0, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--kubeconfig=none", "--probe-port=0", "--denied-networks=10.0.0.0/99"),
        ("run", "--kubeconfig=none", "--probe-port=0"),
        ("serve", "--trusted-proxies=nobody", "--port=0"),
    ],
    ids=lambda arguments: arguments[-1],
)
def test_a_start_that_fails_says_why_in_json(arguments: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, str(Path(sys.executable).with_name("gitintegration")), *arguments, "--log-format=json"]
    env = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=120)
    lines = [json.loads(line) for line in done.stderr.decode().splitlines()]
    assert done.returncode == 1
    assert lines[-1]["level"] == "critical"


def test_no_word_is_lost(tmp_path: Path) -> None:
    speak = _SPEAKERS["the interpreter"]
    (tmp_path / "program.py").write_text(_PROGRAM.replace("SPEAK", speak))
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, timeout=120)
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["first", "second", "no end"]


def told(*met: tuple[float, str]) -> list[tuple[float, str]]:
    """What is told of a trouble that is met at these times in these words."""
    now = [0.0]
    found: list[tuple[float, str]] = []
    with capture_logs() as lines:
        trouble = Trouble(structlog.get_logger(), "away", lambda: now[0])
        for now[0], words in met:
            before = len(lines)
            trouble.tell(words)
            found += [(now[0], line["error"]) for line in lines[before:]]
    return found


def test_a_trouble_that_goes_on_is_told_once_a_minute() -> None:
    assert told(*[(2.0 * n, "refused") for n in range(61)]) == [(0.0, "refused"), (60.0, "refused"), (120.0, "refused")]


def test_other_words_are_told_sooner_but_not_at_each_change() -> None:
    assert told((0, "refused"), (2, "no answer"), (10, "no answer"), (12, "refused"), (14, "no answer")) == [
        (0, "refused"),
        (10, "no answer"),
    ]


def test_the_first_is_told_whatever_the_clock_and_the_words(words: str = "") -> None:
    found: list[Any] = told((0.0, words))
    assert found == [(0.0, words)]
