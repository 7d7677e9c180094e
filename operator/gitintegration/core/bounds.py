"""Keeps a status small, whatever names, ids, paths and messages its entries have (law 13).

An object that is too large for etcd is refused as a whole, and each write of a large one costs what all of it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

TOUCHED_SHOWN = 20
"""Ids of a commit in `status.history`; `pipelinesTouchedCount` counts all."""
STATUS_BYTES = 256 << 10
_LISTS = {
    "ahead": 24 << 10,
    "conflicts": 48 << 10,
    "invalid": 48 << 10,
    "history": 48 << 10,
    "changes": 72 << 10,
    "lossy": 8 << 10,
}
"""Bytes of each list. The rest of a status, conditions above all, takes less than what is left."""
_TEXT, _WORDS = 1024, 64
"""Characters of a text, and texts of a list, within an entry."""
_HISTORY_BYTES = 160 << 10
"""Of the commits that an operation tells, which has little else to tell."""


def bounded(status: Mapping[str, Any]) -> dict[str, Any]:
    """The status with each of its lists within its bytes; `...Truncated` says of which some is left out."""
    result = dict(status)
    for name, most in _LISTS.items():
        if entries := status.get(name):
            kept = list(_within(map(_clipped, entries), most))
            result[name] = kept
            if len(kept) < len(entries) and name != "history":
                result[f"{name}Truncated"] = True
    return result


def fitting(entries: Iterable[Any], most: int) -> list[Any]:
    """The first of some entries that take so many bytes at most."""
    return list(_within(entries, most))


def touched(ids: Sequence[str]) -> dict[str, Any]:
    """What `status.history` tells of the pipelines that a commit touched."""
    return {"pipelinesTouched": list(ids[:TOUCHED_SHOWN]), "pipelinesTouchedCount": len(ids)}


def told_history(commits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The commits as an operation tells them: all their ids, or as many of each as fit."""
    for most in (10_000, 1_000, 300, 100, TOUCHED_SHOWN, 5, 0):
        told = [_shortened(commit, most) for commit in commits]
        if sum(map(_size, told)) <= _HISTORY_BYTES:
            return told
    return list(_within(told, _HISTORY_BYTES))


def _shortened(commit: Mapping[str, Any], most: int) -> dict[str, Any]:
    ids = commit.get("pipelinesTouched") or ()
    named = [_text(i) for i in ids[:most]]
    return {**_clipped(commit), "pipelinesTouched": named, "pipelinesTouchedCount": len(ids)}


def _within(entries: Iterable[Any], most: int) -> Iterator[Any]:
    for entry in entries:
        most -= _size(entry)
        if most < 0:
            return
        yield entry


def _size(entry: Any) -> int:
    """Bytes in the API server's JSON, which writes each of < > & as six."""
    text = orjson.dumps(entry)
    return len(text) + 1 + 5 * sum(map(text.count, (b"<", b">", b"&")))


def _clipped(entry: Any) -> Any:
    """An entry whose texts, and lists of texts, are short."""
    if not isinstance(entry, Mapping):
        return _text(entry)
    return {
        name: [_text(v) for v in value[:_WORDS]] if isinstance(value, list | tuple) else _text(value)
        for name, value in entry.items()
    }


def _text(value: Any) -> Any:
    return value[:_TEXT] if isinstance(value, str) else value
