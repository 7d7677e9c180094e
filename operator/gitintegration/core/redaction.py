"""Which values are not shown, wherever values of pipelines are shown: what `spec.resources[].redact` names, and passwords of the schema."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from gitintegration.core.diff import ABSENT, ORDER, Path
from gitintegration.core.text import plain
from gitintegration.core.values import Json
from gitintegration.core.view import Pointer, fits, places, replaced

MARK = "•••"


class Secret(NamedTuple):
    """A text that is not to be shown, and what is to stand in its place."""

    text: str
    mark: str

    def concealed_in(self, source: str) -> str | None:
        """The source without it; None where it can't be told from others, or is written in a way that is not found."""
        if len(self.text) < _SHORT:
            return None
        for form in (self.text, orjson.dumps(self.text).decode()[1:-1]):
            if form in source:
                return source.replace(form, self.mark)
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(len(line) >= _SHORT and line in source for line in lines):
            return None
        for line in sorted(lines, key=len, reverse=True):
            source = source.replace(line, self.mark)
        return source


_SHOWN = 200
"""Characters of a value."""
_SHORT = 3
"""A text of fewer characters is in too many others to be taken out of them."""


@dataclass(frozen=True, slots=True)
class Redaction:
    pointers: Sequence[Pointer] = ()
    salt: str = field(default="", repr=False)
    """Makes digests of one value differ between integrations."""

    def shown(self, path: Path, value: Json) -> str | None:
        """The value that stands at a path, as JSON of 200 characters at most; None: it is not there."""
        if value is ABSENT:
            return None
        hidden = self._hidden(path, value)
        text = hidden if isinstance(hidden, str) and hidden.startswith(MARK) else orjson.dumps(hidden).decode()
        return plain(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")

    def hidden(self, value: Json) -> Json:
        """A whole object, with marks for what is not shown of it."""
        return self._hidden((), value)

    def secrets(self, value: Json) -> list[Secret]:
        """What of an object is not to be shown in a text that holds it."""
        if not self.pointers:
            return []
        found = (inner for pointer in self.pointers for _, inner in places(value, pointer))
        return [Secret(leaf, self._mark(inner)) for inner in found for leaf in _leaves(inner)]

    def concealed(self, text: str, *values: Json | None) -> str:
        """A text of somebody else's about these values, without what is not to be shown of them."""
        for value in values:
            for secret in sorted(self._secrets(value), key=len, reverse=True):
                text = text.replace(secret, MARK)
        return text

    def _hidden(self, path: Path, value: Json) -> Json:
        steps = tuple(step if isinstance(step, str) else "*" for step in path if step is not ORDER)
        for pointer in self.pointers:
            if len(pointer.steps) <= len(steps) and fits(steps[: len(pointer.steps)], pointer):
                return self._mark(value)
            if fits(steps, Pointer(pointer.steps[: len(steps)])):
                value = replaced(value, Pointer(pointer.steps[len(steps) :]), self._mark)
        return value

    def _mark(self, value: Json) -> str:
        digest = hashlib.sha256(self.salt.encode() + orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return f"{MARK} {digest[:8]}"

    def _secrets(self, value: Json) -> set[str]:
        found: set[str] = set()
        for pointer in self.pointers:
            for _, inner in places(value, pointer):
                found |= {text for text in _texts(inner) if len(text) >= _SHORT}
        return found


NOTHING_REDACTED = Redaction()


def _leaves(value: Json) -> list[str]:
    """As a manifest writes them."""
    if isinstance(value, dict | list):
        return [leaf for inner in (value.values() if isinstance(value, dict) else value) for leaf in _leaves(inner)]
    return [] if value is None else [value if isinstance(value, str) else orjson.dumps(value).decode()]


def _texts(value: Json) -> set[str]:
    if isinstance(value, dict):
        return set[str]().union(*map(_texts, value.values()))
    if isinstance(value, list):
        return set[str]().union(*map(_texts, value))
    if value is None or isinstance(value, bool):
        return set()
    text = str(value)
    return {text, orjson.dumps(text).decode()[1:-1], *text.splitlines()}
