"""A diff program of one's own, as kubectl diff runs it: $KUBECTL_EXTERNAL_DIFF is given two folders."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gitintegration.commands import DIFFERENT, OK
from gitintegration.errors import GitIntegrationError, Reason

VARIABLE = "KUBECTL_EXTERNAL_DIFF"
_ARGUMENT = re.compile("[a-zA-Z0-9=-]+")
"""What kubectl hands on; other words it leaves out."""
_ODD = re.compile("[^A-Za-z0-9._-]")
_HUNK = re.compile(r"@@ -(\d+)")


def program() -> list[str]:
    """The words of the command that is named, split as kubectl does, at each space; empty where none is."""
    first, *others = os.environ.get(VARIABLE, "").split(" ")
    return [first, *filter(_ARGUMENT.fullmatch, others)] if first else []


def run(words: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> int:
    """Show both sides of the patches by that program; the exit code. Raises GitIntegrationError where it failed.

    A file holds the lines of its patch: those that change, and what stands around them.
    """
    with tempfile.TemporaryDirectory(prefix="LIVE-") as live, tempfile.TemporaryDirectory(prefix="MERGED-") as merged:
        for number, row in enumerate(rows):
            for folder, text in zip((live, merged), sides(str(row["patch"])), strict=True):
                if text is not None:
                    Path(folder, file_name(number, row)).write_text(text, encoding="utf-8", newline="")
        sys.stdout.flush()
        try:
            done = subprocess.run([words[0], live, merged, *words[1:]], check=False)  # noqa: S603 - its user named it
        except OSError as error:
            words_ = f"${VARIABLE}: {words[0]} can't be run: {error.strerror}; name another, or unset {VARIABLE}"
            raise GitIntegrationError(Reason.InvalidSpec, words_) from None
    if done.returncode not in (OK, DIFFERENT):
        words_ = f"${VARIABLE}: {words[0]} ended with {done.returncode}; name another, or unset {VARIABLE}"
        raise GitIntegrationError(Reason.InvalidSpec, words_)
    return done.returncode


def file_name(number: int, row: Mapping[str, Any]) -> str:
    """Of a row in both folders: what it is called, as far as that may be a part of a name; the number tells it from others."""
    place = f"{row['kind']}.{row['name']}" if row.get("name") else str(row["path"])
    return f"{number:04d}.{_ODD.sub('_', place)[-180:]}"


def sides(patch: str) -> tuple[str | None, str | None]:
    """What a patch is between; None of a side that is not there."""
    head, *hunks = re.split(r"^(?=@@ )", patch, flags=re.MULTILINE)
    sides = [list[str](), list[str]()]
    for hunk in hunks:
        first, *lines = hunk.split("\n")
        start = _HUNK.match(first)
        if start and int(start[1]) > 1:
            lines.insert(0, f" # from line {start[1]} on")
        for side, sign in zip(sides, "-+", strict=True):
            side += _of(lines, sign)
    gone = [f"\n{mark} /dev/null" in f"\n{head}" for mark in ("---", "+++")]
    old, new = (None if absent else "".join(lines) for lines, absent in zip(sides, gone, strict=True))
    return old, new


def _of(lines: Sequence[str], sign: str) -> Iterator[str]:
    """Of one side, with their ends."""
    kept = [n for n, line in enumerate(lines) if line[:1] in (" ", sign)]
    for n in kept:
        unended = n + 1 < len(lines) and lines[n + 1].startswith("\\")
        yield lines[n][1:] + ("" if unended else "\n")
