"""What the process says on stderr: one line an event, whoever speaks: ours, libraries', the interpreter's own last words."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import structlog

from gitintegration.errors import GitIntegrationError
from gitintegration.stderr import as_json_lines

_CHATTY = ("kopf", "asyncssh", "aiohttp", "asyncio")
_AGAIN, _OTHER = 60.0, 10.0
_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)


def configure(form: str, level: str) -> None:
    """JSON or console lines on stderr; libraries speak only when something is wrong."""
    stream = sys.stderr
    renderer: structlog.typing.Processor
    renderer = structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    rendered = [structlog.processors.format_exc_info, renderer]
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, _STAMP, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    of_libraries = logging.StreamHandler(stream)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, _STAMP],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    told = logging.DEBUG if level == "debug" else logging.ERROR
    logging.basicConfig(level=told, handlers=[of_libraries], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(told)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.WARNING)
    sys.excepthook = _uncaught
    threading.excepthook = lambda thread: _uncaught(thread.exc_type, thread.exc_value, thread.exc_traceback)
    if form == "json":
        as_json_lines()


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    structlog.get_logger("process").critical("an internal error", exc_info=(kind, error, trace))


@contextmanager
def ending() -> Iterator[None]:
    """What ends the process is told as everything else is: in a line of the log."""
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.code, str):
            raise
        structlog.get_logger("process").critical(end.code)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except GitIntegrationError as error:
        structlog.get_logger("process").critical(error.message)
        raise SystemExit(1) from None


class Trouble:
    """One that is met again and again is told at once, then every `_AGAIN` seconds, in other words every `_OTHER`: not at each try."""

    def __init__(self, log: Any, event: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._event, self._clock = log, event, clock
        self._told: str | None = None
        self._when = 0.0

    def tell(self, error: str, **words: Any) -> None:
        """A warning, where it is time for one."""
        now = self._clock()
        if self._told is None or now >= self._when + (_AGAIN if error == self._told else _OTHER):
            self._told, self._when = error, now
            self._log.warning(self._event, error=error, **words)
