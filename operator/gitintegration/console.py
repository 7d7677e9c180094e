"""The installed command `gitintegration`. Worker processes run the module that a command starts with once more, so it is light.

Measured: 71 MB and 0.7 s for each worker where it imports all of the operator, 22 MB and 0.1 s where it does not.

Help is written beforehand, into help.txt: what makes it of the commands takes a third of a second to be imported.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

HELP = Path(__file__).with_name("help.txt")
WIDTH = 80
"""Columns of a page of help; for a narrower terminal, or one of few signs, it is made anew."""
MARK = "=== "
"""What the line of help.txt begins with that names the command whose page comes next."""

NAME, _PLUGIN = "gitintegration", "kubectl-"
_INTERRUPTED = 130
"""As a shell has it: 128 and the number of SIGINT."""
_ASKS = ("--help", "-h")


def program() -> str:
    """What this is called: kubectl runs programs whose names begin as its own commands."""
    return f"kubectl {NAME}" if Path(sys.argv[0]).name.startswith(_PLUGIN) else NAME


def help_page(words: Sequence[str]) -> str | None:
    """The page that is asked for by the words after the program's name; None where none is, or none is written."""
    if words and words[-1] not in _ASKS:
        return None
    named = f"{MARK}{' '.join(words[:-1])}\n"
    _, found, rest = HELP.read_text(encoding="utf-8").partition(named)
    if not found:
        return None
    return rest.partition(MARK)[0].replace(f"Usage: {NAME}", f"Usage: {program()}", 1)


def main() -> None:
    page = help_page(sys.argv[1:])
    if page is not None and shutil.get_terminal_size().columns >= WIDTH and sys.stdout.encoding.lower() == "utf-8":
        print(page, end="")
        return
    try:
        from gitintegration.commands import app

        app()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def complete() -> None:
    """`kubectl_complete-gitintegration`, which kubectl runs where the Tab key asks for a word of `kubectl gitintegration`."""
    from gitintegration.commands.completion import for_kubectl

    print(for_kubectl(sys.argv[1:]), end="")
