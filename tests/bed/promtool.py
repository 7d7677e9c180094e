"""promtool, built from its module once and cached: it says whether alert rules are good, and when they fire."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bed.build import go_program, made_once, place_of, run_step, say, workshop

_MODULE = Path(__file__).parent / "promtool"


def promtool() -> Path:
    """The program, built now if need be."""
    return made_once(place_of("promtool", _MODULE), _build)


def _build(target: Path) -> None:
    package = "github.com/prometheus/prometheus/cmd/promtool"
    with workshop(target) as (work, env):
        shutil.copytree(_MODULE, work / "module")
        command = [go_program(), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(work / "made"), package]
        run_step("building promtool", command, work / "module", env)
    say(f"promtool is {target}")


if __name__ == "__main__":
    promtool()
