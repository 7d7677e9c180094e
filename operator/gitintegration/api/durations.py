"""Go durations, as Kubernetes users write them: 5m, 1h30m, 250ms."""

from __future__ import annotations

import re

PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
_PART = re.compile(r"([0-9]{1,5})(ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError where `text` is no duration."""
    if not re.match(PATTERN, text):
        raise ValueError(f"{text!r} is not a duration like 5m or 1h30m")
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
