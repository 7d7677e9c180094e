"""The memory of a sync, in pieces that match a change: what both sides last agreed on, item by item.

Records lie in shards by the leading bits of their key's hash. A shard that grows past its bound splits in two, so one
changed item rewrites one small shard, and ten items need one. Shards are held encoded; only touched ones are opened.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from gitintegration.core.values import Json, ObjectKey

SPLIT_AT = 128
"""Records of a shard, at most; past that it splits."""
SPLIT_BYTES = 400_000
"""The same of its data. An object of the API server takes a little over a megabyte."""
_LARGEST = 32 << 20
"""Bytes that a shard may unfold to; what is written is split long before. One that unfolds to more was not written here."""
_BITS = 32
_LEVEL = 6


@dataclass(frozen=True, slots=True)
class BaseRecord:
    """One item: its file, and its two agreed values with the versions that held them."""

    key: ObjectKey
    path: str
    blob: str
    resource_version: str
    git: Json
    live: Json


class Mark(NamedTuple):
    """What of a record is kept open for every item: enough to see that nothing changed."""

    path: str
    blob: str
    resource_version: str


def key_bits(key: ObjectKey) -> str:
    digest = hashlib.sha256(f"{key.group}/{key.kind}/{key.name}".encode()).digest()
    return f"{int.from_bytes(digest[:4], 'big'):032b}"


def _hash(key: ObjectKey, mark: Mark) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join((*key, *mark)).encode(), digest_size=8).digest(), "big")


def encode(records: Iterable[BaseRecord]) -> str:
    rows = [
        [*r.key, r.path, r.blob, r.resource_version, r.git, *([] if r.live == r.git else [r.live])] for r in records
    ]
    return base64.b64encode(zlib.compress(orjson.dumps(rows), _LEVEL)).decode()


def decode(data: str) -> list[BaseRecord]:
    """Raises ValueError where the data is damaged."""
    try:
        unfolding = zlib.decompressobj()
        text = unfolding.decompress(base64.b64decode(data, validate=True), _LARGEST)
        if not unfolding.eof:
            raise ValueError("damaged: it unfolds to too much, or ends early")
        return [_record(*row) for row in orjson.loads(text)]
    except (binascii.Error, zlib.error, orjson.JSONDecodeError, TypeError) as error:
        raise ValueError(f"damaged: {type(error).__name__}") from None


def _record(g: str, k: str, n: str, path: str, blob: str, version: str, git: Json, *rest: Json) -> BaseRecord:
    """A stored row; whoever may write the operator's memory may have written anything."""
    if len(rest) > 1 or not all(isinstance(text, str) for text in (g, k, n, path, blob, version)):
        raise ValueError("damaged: a row holds what is no text")
    live = rest[0] if rest else git
    if not all(isinstance(value, dict | list | None) for value in (git, live)):
        raise ValueError("damaged: a row holds what is no manifest")
    return BaseRecord(ObjectKey(g, k, n), path, blob, version, git, live)


class ShardSet:
    """All records of one integration. `take_changes` tells what must be written and what removed."""

    def __init__(self, shards: dict[str, str] | None = None) -> None:
        """`shards`: prefix -> encoded data, as stored. Damaged ones count as lost, and are named in `lost`."""
        self.marks: dict[ObjectKey, Mark] = {}
        """To be read only; `digest` follows what is put and deleted."""
        self._sum = 0
        self.lost: list[str] = []
        self._data: dict[str, str] = {}
        self._stored: set[str] = set()
        self._open: dict[str, dict[ObjectKey, BaseRecord]] = {}
        self._dirty: set[str] = set()
        self._removed: set[str] = set()
        found = shards or {}
        left: list[BaseRecord] = []
        for prefix, data in found.items():
            self._stored.add(prefix)
            split = any(other != prefix and other.startswith(prefix) for other in found)
            try:
                records = decode(data)
            except ValueError:
                self.lost.append(prefix)
                self._removed.add(prefix)
                continue
            if split:  # cut short: what its children do not hold yet is still good
                self._removed.add(prefix)
                left += [r for r in records if not any(p != prefix and key_bits(r.key).startswith(p) for p in found)]
                continue
            self._data[prefix] = data
            for record in records:
                self._mark(record.key, Mark(record.path, record.blob, record.resource_version))
        self._fill_gaps()
        for record in left:
            self.put(record)

    def _fill_gaps(self) -> None:
        """Every hash has exactly one shard, also where some were lost."""
        if not self._data:
            self._data[""] = encode([])
            return
        for prefix in list(self._data):
            for length in range(len(prefix)):
                sibling = prefix[:length] + ("1" if prefix[length] == "0" else "0")
                if not any(p.startswith(sibling) or sibling.startswith(p) for p in self._data):
                    self._data[sibling] = encode([])

    def __len__(self) -> int:
        return len(self.marks)

    def get(self, key: ObjectKey) -> BaseRecord | None:
        return self._records(self._prefix(key)).get(key) if key in self.marks else None

    def put(self, record: BaseRecord) -> None:
        prefix = self._prefix(record.key)
        records = self._records(prefix)
        records[record.key] = record
        self._mark(record.key, Mark(record.path, record.blob, record.resource_version))
        self._dirty.add(prefix)
        if len(records) > SPLIT_AT and len(prefix) < _BITS:
            self._split(prefix)

    def delete(self, key: ObjectKey) -> None:
        if key in self.marks:
            self._mark(key, None)
            prefix = self._prefix(key)
            del self._records(prefix)[key]
            self._dirty.add(prefix)

    @property
    def digest(self) -> str:
        """Tells one memory from another, by keys, files and versions; what was put in which order does not matter."""
        return f"{self._sum:016x}"

    def _mark(self, key: ObjectKey, mark: Mark | None) -> None:
        if before := self.marks.pop(key, None):
            self._sum ^= _hash(key, before)
        if mark:
            self.marks[key] = mark
            self._sum ^= _hash(key, mark)

    @property
    def changed(self) -> bool:
        """Whether it holds what is not stored."""
        return bool(self._dirty or self._removed)

    def clear(self) -> None:
        """Forget everything."""
        self._removed |= self._stored
        self.marks.clear()
        self._sum = 0
        self._open.clear()
        self._dirty.clear()
        self._data = {"": encode([])}

    def records(self) -> Iterator[BaseRecord]:
        for prefix in sorted(self._data):
            yield from self._open.get(prefix, {}).values() if prefix in self._open else decode(self._data[prefix])

    def close_shards(self) -> None:
        """Encode what was opened: what is open costs many times the memory."""
        opened = list(self._open)
        while opened:
            prefix = opened.pop()
            records = self._open[prefix]
            if prefix in self._dirty:
                self._data[prefix] = encode(records.values())
                if len(self._data[prefix]) > SPLIT_BYTES and len(records) > 1 and len(prefix) < _BITS:
                    self._split(prefix)
                    opened += [prefix + "0", prefix + "1"]
        self._open.clear()

    def take_changes(self) -> tuple[dict[str, str], list[str]]:
        """(shards to write, shards to remove once those are written); they count as stored from now on."""
        self.close_shards()
        written = {prefix: self._data[prefix] for prefix in sorted(self._dirty)}
        removed = sorted(self._removed - self._dirty)
        self._stored = (self._stored | self._dirty) - set(removed)
        self._dirty.clear()
        self._removed.clear()
        return written, removed

    def put_back(self, written: Iterable[str], removed: Iterable[str]) -> None:
        """What `take_changes` told could not be stored: it is told again."""
        for prefix in written:
            if prefix in self._data:
                self._open.setdefault(prefix, {r.key: r for r in decode(self._data[prefix])})
                self._dirty.add(prefix)
        self._removed |= {prefix for prefix in removed if prefix not in self._data}

    def _prefix(self, key: ObjectKey) -> str:
        bits = key_bits(key)
        return next(bits[:n] for n in range(_BITS + 1) if bits[:n] in self._data)

    def _records(self, prefix: str) -> dict[ObjectKey, BaseRecord]:
        if prefix not in self._open:
            self._open[prefix] = {r.key: r for r in decode(self._data[prefix])}
        return self._open[prefix]

    def _split(self, prefix: str) -> None:
        records = self._open.pop(prefix)
        del self._data[prefix]
        self._dirty.discard(prefix)
        if prefix in self._stored:
            self._removed.add(prefix)
        for bit in "01":
            child = prefix + bit
            self._open[child] = {k: r for k, r in records.items() if key_bits(k).startswith(child)}
            self._data[child] = ""
            self._dirty.add(child)
            self._removed.discard(child)
