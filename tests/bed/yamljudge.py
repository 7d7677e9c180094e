"""kubectl's decoder of YAML as a program that answers many documents, built from its module once and cached."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.bed.build import go_tool


class Refused(str):
    """Why the decoder took no value from a document."""


def program() -> Path:
    """The program, built now if need be."""
    return go_tool("yamljudge")


def judged(documents: Sequence[str]) -> list[Any]:
    """What kubectl reads in each, numbers as the operator takes them from an API server."""
    lines = "\n".join(json.dumps(text) for text in documents)
    done = subprocess.run([str(program())], input=lines.encode(), capture_output=True, check=True, timeout=300)
    answers = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(documents)
    return [Refused(answer["refused"]) if "refused" in answer else answer["value"] for answer in answers]


if __name__ == "__main__":
    program()
