"""`gitintegration completion`: what makes shells, and kubectl, complete commands, flags and their values."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Literal

from gitintegration.commands import app
from gitintegration.console import NAME

_WORDS = "CYCLOPTS_COMPLETION_WORDS"
"""The variable by which cyclopts is given the words that are there so far, each with `_MARK` behind it."""
_MARK = "\x1f"
_BEGIN, _FILES = f"{_MARK}begin", f"{_MARK}files"
_ANY, _NO_FILES = 0, 4
"""What kubectl is told a shell may add: names of files, or nothing (cobra's ShellCompDirective)."""


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print what makes a shell complete commands, flags and their values.

    bash: `source <(gitintegration completion bash)` in ~/.bashrc; zsh: write it to a file _gitintegration in a folder of $fpath;
    fish: to ~/.config/fish/completions/gitintegration.fish. kubectl gitintegration is completed by kubectl's own completion.

    Parameters
    ----------
    shell
        Whose it is to be.
    """
    print(app.generate_completion(prog_name=NAME, shell=shell), end="")


def for_kubectl(words: Sequence[str]) -> str:
    """What kubectl's completion asks of a plugin: a candidate a line with its help, and last what a shell may add.

    `words` come after the plugin's name; the last is the one that is typed.
    """
    os.environ[_WORDS] = "".join(f"{word}{_MARK}" for word in words)
    with redirect_stdout(io.StringIO()) as out:
        app(["__complete"], result_action="return_value")
    told = out.getvalue().partition(f"{_BEGIN}\n")[2].splitlines()
    found = [line for line in told if not line.startswith(_MARK)]
    return "".join(f"{line}\n" for line in [*found, f":{_ANY if _FILES in told else _NO_FILES}"])
