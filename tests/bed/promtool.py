"""promtool, built from its module once and cached: it says whether alert rules are good, and when they fire."""

from __future__ import annotations

from pathlib import Path

from tests.bed.build import go_tool


def promtool() -> Path:
    """The program, built now if need be."""
    return go_tool("promtool", "github.com/prometheus/prometheus/cmd/promtool")


if __name__ == "__main__":
    promtool()
