"""A terminal that a program runs on: a real pty, and what somebody would see on its screen."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence

_SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")
_CONTROLLED = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal the program's own, so that Ctrl-C is a signal to it."""
_PIECE = 4
"""Bytes that are taken at a time: what is shown for a moment only is seen, however late who looks."""
_PATIENCE = 60.0
"""Seconds for something to be seen."""


class Screen:
    """What is seen after some output: as much of ANSI's sequences as terminals' programs here use."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, rows
        self._lines: list[list[str]] = [[]]
        self._top = self._row = self._column = 0
        self._held = ""
        self.cursor = True
        """Whether it is shown."""

    @property
    def lines(self) -> list[str]:
        """All that was printed and not erased, from the first line on, also what was scrolled away."""
        return ["".join(line).rstrip() for line in self._lines]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip() + "\n"

    def put(self, text: str) -> None:
        text, at = self._held + text, 0
        self._held = ""
        while at < len(text):
            if text[at] == "\x1b":
                found = _SEQUENCE.match(text, at)
                if found is None:
                    self._held = text[at:]  # its end is on its way
                    return
                self._obey(found[1], found[2])
                at = found.end()
                continue
            self._sign(text[at])
            at += 1

    def _sign(self, sign: str) -> None:
        if sign == "\r":
            self._column = 0
        elif sign == "\n":
            self._down()
        elif sign >= " ":
            if self._column == self._columns:
                self._column = 0
                self._down()
            line = self._lines[self._row]
            line += " " * (self._column + 1 - len(line))
            line[self._column] = sign
            self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append([])
        self._top = max(self._top, self._row - self._rows + 1)

    def _obey(self, arguments: str, command: str) -> None:
        number = int(arguments) if arguments.isdigit() else 0
        match command:
            case "A":
                self._row = max(self._top, self._row - max(number, 1))
            case "K":
                line = self._lines[self._row]
                del line[0 if number == 2 else self._column :]
            case "J":
                del self._lines[self._row][self._column :]
                del self._lines[self._row + 1 :]
            case "h" | "l":
                self.cursor = command == "h" if arguments == "?25" else self.cursor
            case "m":
                pass
            case _:
                raise AssertionError(f"this terminal does not know {arguments}{command}")


class Terminal:
    """A program on a terminal of this size."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *, columns: int = 120, rows: int = 50
    ) -> None:
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        known = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CONTROLLED, *command],
            env={**known, "TERM": "xterm-256color", **environment},
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        self.screen = Screen(columns, rows)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.said = ""
        """All of its output, as it came."""

    def until(self, is_there: Callable[[list[str]], object]) -> list[str]:
        """The lines, as soon as they are as wanted; AssertionError where they never are."""
        end = time.monotonic() + _PATIENCE
        while not is_there(self.screen.lines):
            assert time.monotonic() < end, self.screen.text
            assert self._read(1.0), f"it ended:\n{self.screen.text}"
        return self.screen.lines

    def type(self, text: str) -> None:
        os.write(self._leader, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C, as it is typed."""
        self.type("\x03")

    def left(self) -> int:
        """The exit code after Ctrl-C. It is typed again, as people do: one between a question and its reading is seen at the next key only."""
        end = time.monotonic() + _PATIENCE
        while True:
            self.interrupt()
            again = time.monotonic() + 2.0
            while time.monotonic() < again:
                if not self._read(0.5):
                    return self._process.wait(_PATIENCE)
            assert time.monotonic() < end, self.screen.text

    def ended(self) -> int:
        """The exit code, once it has ended by itself."""
        end = time.monotonic() + _PATIENCE
        while self._read(1.0):
            assert time.monotonic() < end, self.screen.text
        return self._process.wait(_PATIENCE)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        os.close(self._leader)

    def _read(self, seconds: float) -> bool:
        """Takes what comes within so many seconds; False at the end."""
        ready, _, _ = select.select([self._leader], [], [], seconds)
        if not ready:
            return True
        try:
            piece = os.read(self._leader, _PIECE)
        except OSError:  # nobody has the other side open any more
            return False
        text = self._decoder.decode(piece)
        self.said += text
        self.screen.put(text)
        return bool(piece)
