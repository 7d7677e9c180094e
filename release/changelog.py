"""CHANGELOG.md: what is unreleased becomes the section of a release."""

from __future__ import annotations

import re

UNRELEASED = "## Unreleased"
_SECTION = re.compile(r"^## .*\n", re.MULTILINE)


def released(text: str, version: str, date: str) -> str:
    """The text with what was unreleased under this version. Raises ValueError where there is nothing to release."""
    if not section(text, UNRELEASED.removeprefix("## ")):
        raise ValueError(f"CHANGELOG.md tells of nothing under {UNRELEASED!r}")
    return text.replace(f"{UNRELEASED}\n", f"{UNRELEASED}\n\n## {version} ({date})\n", 1)


def section(text: str, name: str) -> str:
    """What stands under the heading of a version; empty where there is no such heading, or nothing below it."""
    starts = [
        (found.start(), found.end(), found[0].removeprefix("## ").split()[0]) for found in _SECTION.finditer(text)
    ]
    for at, (_, begin, there) in enumerate(starts):
        if there == name:
            end = starts[at + 1][0] if at + 1 < len(starts) else len(text)
            return text[begin:end].strip()
    return ""
