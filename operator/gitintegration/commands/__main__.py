"""Writes the page of the command line, and its help, from the commands: `python -m gitintegration.commands [--check]`, from the project's root."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App
from rich.console import Console

from gitintegration.commands import app
from gitintegration.commands.schemas import render_list, render_schemas
from gitintegration.console import HELP, MARK, WIDTH

_PAGE = Path("docs") / "command-line.md"
_SCHEMAS = Path("docs") / "schemas"
_HEAD = """# The command line

`gitintegration` comes with the package (`pip install .` in a checkout) and is in the image; where it is installed, `kubectl gitintegration` is
the same. Every flag has a variable of the environment. What asks a cluster does so as kubectl would: with the kubeconfig's own user, context and
namespace; the rights of the ClusterRole `gitintegration-view` are enough to look, those of `gitintegration-api-user` for all.

Exit codes are those of kubectl diff: 0, 1 of a difference or a problem, 2 where it failed, 130 after Ctrl-C. What `-o json` prints keeps its form: fields
are added, never renamed.

$SCHEMAS

"""


def render() -> str:
    """The page, in Markdown."""
    text = app.generate_docs(output_format="markdown", heading_level=1)
    body = text[text.index("\n## gitintegration ") + 1 :]
    return _HEAD.replace("$SCHEMAS", render_list()) + re.sub(r" \*\[default: \(\)\]\*", "", body).rstrip() + "\n"


def render_help() -> str:
    """What each command says of itself, one after the other, each below its name."""
    return "".join(f"{MARK}{' '.join(path)}\n{_page(path)}" for path in _paths(app, ()))


def _paths(of: App, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name in sorted(name for name in of if not name.startswith("-")):
        yield from _paths(of[name], (*path, name))


def _page(path: tuple[str, ...]) -> str:
    out = io.StringIO()
    app.help_print(list(path), console=Console(file=out, width=WIDTH, color_system=None))
    return out.getvalue()


def main() -> int:
    """Writes the files; with --check, only tells which differ, and fails."""
    check = "--check" in sys.argv[1:]
    made = {_PAGE: render(), Path("operator") / "gitintegration" / HELP.name: render_help()}
    made |= {_SCHEMAS / name: text for name, text in render_schemas().items()}
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path} is not what the commands say; run make generate" if check else f"wrote {path}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made[path])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
