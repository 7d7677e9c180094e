"""kstatus, cli-utils' own library in a small program, built once and cached: how Flux, kpt and others judge a resource."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bed.build import go_program, made_once, place_of, run_step, say, workshop

_MODULE = Path(__file__).parent / "kstatus"


def kstatus() -> Path:
    """The program, built now if need be."""
    return made_once(place_of("kstatus", _MODULE), _build)


def judged(objects: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Status and message of each: InProgress, Current, Failed, Terminating."""
    done = subprocess.run([kstatus()], input=json.dumps(objects), capture_output=True, text=True, check=True)
    return [(found["status"], found["message"]) for found in json.loads(done.stdout)]


def _build(target: Path) -> None:
    with workshop(target) as (work, env):
        shutil.copytree(_MODULE, work / "module")
        command = [go_program(), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(work / "made"), "."]
        run_step("building kstatus", command, work / "module", env)
    say(f"kstatus is {target}")


if __name__ == "__main__":
    kstatus()
