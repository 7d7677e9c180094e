"""Writes the page of the command line, from the commands: `python -m gitintegration.commands [--check]`, from the project's root."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gitintegration.commands import app

_PAGE = Path("docs") / "command-line.md"
_HEAD = """# The command line

`gitintegration` comes with the package (`pip install .` in a checkout) and is in the image; where it is installed, `kubectl gitintegration` is
the same. Every flag has a variable of the environment. What asks a cluster does so as kubectl would: with the kubeconfig's own user, context and
namespace; the rights of the ClusterRole `gitintegration-view` are enough to look, those of `gitintegration-api-user` for all.

"""


def render() -> str:
    """The page, in Markdown."""
    text = app.generate_docs(output_format="markdown", heading_level=1)
    body = text[text.index("\n## gitintegration ") + 1 :]
    return _HEAD + re.sub(r" \*\[default: \(\)\]\*", "", body).rstrip() + "\n"


def main() -> int:
    """Writes the page; with --check, only tells whether it differs, and fails."""
    text = render()
    if _PAGE.exists() and _PAGE.read_text() == text:
        return 0
    if "--check" in sys.argv[1:]:
        print(f"{_PAGE} is not what the commands say; run make generate")
        return 1
    _PAGE.write_text(text)
    print(f"wrote {_PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
