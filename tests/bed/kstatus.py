"""kstatus, cli-utils' own library in a small program, built once and cached: how Flux, kpt and others judge a resource."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bed.build import go_tool


def kstatus() -> Path:
    """The program, built now if need be."""
    return go_tool("kstatus")


def judged(objects: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Status and message of each: InProgress, Current, Failed, Terminating."""
    done = subprocess.run([kstatus()], input=json.dumps(objects), capture_output=True, text=True, check=True)
    return [(found["status"], found["message"]) for found in json.loads(done.stdout)]


if __name__ == "__main__":
    kstatus()
