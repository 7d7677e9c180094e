"""When an integration is suspended: what its spec says, and the clock. Pure; the caller brings the time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from gitintegration.api.base_model import Model

_RFC3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"


def read_time(text: str) -> datetime:
    """A time of RFC 3339. Raises ValueError where there is no such time."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _checked(text: str) -> str:
    try:
        read_time(text)
    except ValueError:
        raise ValueError("is no time: write it as 2026-12-24T18:00:00Z") from None
    return text


Time = Annotated[
    str, Field(pattern=_RFC3339, max_length=48, json_schema_extra={"format": "date-time"}), AfterValidator(_checked)
]


class Suspend(Model):
    """That nothing is synced for a while."""

    reason: str = Field(min_length=1, max_length=512, description="Why, for whoever finds it suspended.")
    until: Time | None = Field(None, description="When it goes on by itself. Absent: once this is taken away.")

    def seconds_left(self, now: datetime) -> float:
        """Seconds until it ends; 0 and less: it is over."""
        return math.inf if self.until is None else (read_time(self.until) - now).total_seconds()


def is_suspended(spec: Mapping[str, Any], now: datetime) -> bool:
    """Whether a spec, as the API server holds it, has all syncing suspended at this time.

    One that can't be read is: nothing is synced by it.
    """
    if not spec.get("enabled", True):
        return True
    if spec.get("suspend") is None:
        return False
    try:
        return Suspend.model_validate(spec["suspend"]).seconds_left(now) > 0
    except ValidationError:
        return True
