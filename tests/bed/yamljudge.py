"""kubectl's decoder of YAML as a program that answers many documents, built from its module once and cached."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.bed.build import go_program, made_once, place_of, run_step, say, workshop

_MODULE = Path(__file__).parent / "yamljudge"


class Refused(str):
    """Why the decoder took no value from a document."""


def program() -> Path:
    """The program, built now if need be."""
    return made_once(place_of("yamljudge", _MODULE), _build)


def judged(documents: Sequence[str]) -> list[Any]:
    """What kubectl reads in each, numbers as the operator takes them from an API server."""
    lines = "\n".join(json.dumps(text) for text in documents)
    done = subprocess.run([str(program())], input=lines.encode(), capture_output=True, check=True, timeout=300)
    answers = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(documents)
    return [Refused(answer["refused"]) if "refused" in answer else answer["value"] for answer in answers]


def _build(target: Path) -> None:
    with workshop(target) as (work, env):
        shutil.copytree(_MODULE, work / "module")
        command = [go_program(), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(work / "made"), "."]
        run_step("building the judge of YAML", command, work / "module", env)
    say(f"the judge of YAML is {target}")


if __name__ == "__main__":
    program()
