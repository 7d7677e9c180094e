"""Whatever is written to stderr past the log, as JSON lines too: for those who read a log by machine, every line counts.

Worker processes take this module as they begin, so it knows the standard library alone.
"""

from __future__ import annotations

import io
import json
import sys
import threading
from datetime import UTC, datetime
from typing import TextIO


class JsonLines(io.TextIOBase):
    """A text stream that hands on each line written to it as an event of a JSON log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._begun, self._lock = stream, "", threading.Lock()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str, /) -> int:
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            for line in filter(str.strip, lines):
                self._tell(line)
        return len(text)

    def flush(self) -> None:
        with self._lock:
            if self._begun.strip():
                self._tell(self._begun)
            self._begun = ""

    def _tell(self, line: str) -> None:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        event = {"event": line.rstrip(), "logger": "stderr", "level": "error", "timestamp": now}
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()


def as_json_lines() -> None:
    """From here on sys.stderr is JSON lines, in this process: for what an interpreter says at its end."""
    if not isinstance(sys.stderr, JsonLines):
        sys.stderr = JsonLines(sys.stderr)


def as_it_is() -> None:
    """For people."""
