"""The memory of a sync, in pieces that match a change, row by row.

Records lie in shards by the leading bits of their key's hash. A shard that grows past its bound splits in two, so one
changed item rewrites one small shard, and ten items need one. Shards are held encoded; only touched ones are opened.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import Generic, NamedTuple

import orjson

from gitintegration.core.state.record import FIRST, Codec, R, Watermark
from gitintegration.core.values import ObjectKey

SPLIT_AT = 128
"""Records of a shard, at most; past that it splits."""
SPLIT_BYTES = 400_000
"""The same of its data. An object of the API server takes a little over a megabyte."""
_UNFOLDED = 8 << 20
"""The same of what its data unfolds to, where it has more than one record."""
_LARGEST = 32 << 20
"""Bytes that a shard may unfold to; what is written is split long before. One that unfolds to more was not written here."""
_BITS = 32
_LEVEL = 6
_VERSION = re.compile(r"([0-9]{1,9}):")
"""What data begins with that is of another version than the first. Base64 has no colon."""


class NewerFormat(Exception):
    """What is stored is of a version that came after this program: it is not to be guessed at, nor taken for damaged."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(found, known)
        self.found, self.known = found, known


def key_bits(key: ObjectKey) -> str:
    digest = hashlib.sha256(f"{key.group}/{key.kind}/{key.name}".encode()).digest()
    return f"{int.from_bytes(digest[:4], 'big'):032b}"


def _hash(key: ObjectKey, mark: Watermark) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join((*key, *mark)).encode(), digest_size=8).digest(), "big")


class Revision(NamedTuple):
    """The head of the branch that records are of, empty where it has none. The newest of all shards counts: the others were not
    written since."""

    number: int
    commit: str

    @classmethod
    def parse(cls, text: str) -> Revision:
        """Of its text; NO_REVISION of any other."""
        found = _REVISION.fullmatch(text)
        return cls(int(found[1]), found[2]) if found else NO_REVISION

    def __str__(self) -> str:
        return f"{self.number} {self.commit}"


_REVISION = re.compile(r"([0-9]{1,12}) ([0-9a-f]{40,64}|)")
NO_REVISION = Revision(0, "")


def encode(codec: Codec[R], records: Collection[R]) -> str:
    return _packed(codec, records, _text(codec, records))


def _text(codec: Codec[R], records: Iterable[R]) -> bytes:
    return orjson.dumps([[*record.key, *record.mark, *codec.encode(record)] for record in records])


def _packed(codec: Codec[R], records: Iterable[R], text: bytes) -> str:
    version = max(map(codec.version_of, records), default=FIRST)
    mark = "" if version == FIRST else f"{version}:"
    return mark + base64.b64encode(zlib.compress(text, _LEVEL)).decode()


def decode(codec: Codec[R], data: str) -> list[R]:
    """Raises NewerFormat, and ValueError where the data is damaged; whoever may write the operator's memory may have written
    anything."""
    if mark := _VERSION.match(data):
        if (found := int(mark[1])) > codec.version:
            raise NewerFormat(found, codec.version)
        data = data[mark.end() :]
    try:
        unfolding = zlib.decompressobj()
        text = unfolding.decompress(base64.b64decode(data, validate=True), _LARGEST)
        if not unfolding.eof:
            raise ValueError("damaged: it unfolds to too much, or ends early")
        rows = orjson.loads(text)
        if len(rows) > 2 * SPLIT_AT:
            raise ValueError("damaged: it holds more rows than are ever written")
        return [_record(codec, *row) for row in rows]
    except (binascii.Error, zlib.error, orjson.JSONDecodeError, TypeError) as error:
        raise ValueError(f"damaged: {type(error).__name__}") from None


def _record(codec: Codec[R], g: str, k: str, n: str, path: str, blob: str, version: str, *fields: object) -> R:
    if not all(isinstance(text, str) for text in (g, k, n, path, blob, version)):
        raise ValueError("damaged: a row holds what is no text")
    return codec.decode(ObjectKey(g, k, n), Watermark(path, blob, version), list(fields))


class ShardedRecords(Generic[R]):
    """All records of one integration and sort. `begin_flush` tells what must be written and what removed."""

    def __init__(self, codec: Codec[R], shards: dict[str, str] | None = None, revision: Revision = NO_REVISION) -> None:
        """`shards`: prefix -> encoded data, as stored. Damaged ones count as lost, and are named in `lost`.

        `revision`: the newest that any of them was stored with. Raises NewerFormat where any is of a version that is not known here.
        """
        self._codec = codec
        self.marks: dict[ObjectKey, Watermark] = {}
        """Of what was agreed on. To be read only; `digest` follows what is put and deleted."""
        self.in_doubt: set[ObjectKey] = set()
        """What is logged and not checkpointed. To be read only."""
        self.revision = revision
        """What they are of, where that is known."""
        self._sum = 0
        self.lost: list[str] = []
        self._data: dict[str, str] = {}
        self._stored: set[str] = set()
        self._open: dict[str, dict[ObjectKey, R]] = {}
        self._dirty: set[str] = set()
        self._removed: set[str] = set()
        found = shards or {}
        left: list[R] = []
        for prefix, data in found.items():
            self._stored.add(prefix)
            split = any(other != prefix and other.startswith(prefix) for other in found)
            try:
                records = decode(codec, data)
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
                self._mark(record.key, record)
        self._fill_gaps()
        for record in left:
            self.put(record)

    def _fill_gaps(self) -> None:
        """Every hash has exactly one shard, also where some were lost."""
        if not self._data:
            self._data[""] = encode(self._codec, [])
            return
        for prefix in list(self._data):
            for length in range(len(prefix)):
                sibling = prefix[:length] + ("1" if prefix[length] == "0" else "0")
                if not any(p.startswith(sibling) or sibling.startswith(p) for p in self._data):
                    self._data[sibling] = encode(self._codec, [])

    def copy(self) -> ShardedRecords[R]:
        """The same, to be changed while this stays; what becomes of it is never stored."""
        self.evict()
        made = ShardedRecords(self._codec)
        made.marks, made.in_doubt, made.revision = dict(self.marks), set(self.in_doubt), self.revision
        made._sum, made._data = self._sum, dict(self._data)
        return made

    def follow(self, commit: str | None, *, back: bool = False) -> None:
        """What is stored from now on is of this commit. `back`: the branch went back to it, which has to be stored now."""
        if (commit or "") != self.revision.commit:
            self.revision = Revision(self.revision.number + 1, commit or "")
            if back:
                self._dirty.add(next(iter(self._data)))

    def told_lost(self) -> list[str]:
        """The shards that were damaged; they are named once."""
        told, self.lost = self.lost, []
        return told

    def __len__(self) -> int:
        return len(self.marks)

    def get(self, key: ObjectKey) -> R | None:
        there = key in self.marks or key in self.in_doubt
        return self._records(self._prefix(key)).get(key) if there else None

    def put(self, record: R) -> None:
        prefix = self._prefix(record.key)
        records = self._records(prefix)
        records[record.key] = record
        self._mark(record.key, record)
        self._dirty.add(prefix)
        if len(records) > SPLIT_AT and len(prefix) < _BITS:
            self._split(prefix)

    def delete(self, key: ObjectKey) -> None:
        if key in self.marks or key in self.in_doubt:
            self._mark(key, None)
            prefix = self._prefix(key)
            del self._records(prefix)[key]
            self._dirty.add(prefix)

    @property
    def digest(self) -> str:
        """Tells one memory from another, by keys, files and versions; what was put in which order does not matter."""
        return f"{self._sum:016x}"

    def _mark(self, key: ObjectKey, record: R | None) -> None:
        if before := self.marks.pop(key, None):
            self._sum ^= _hash(key, before)
        if record and record.is_agreed:
            self.marks[key] = record.mark
            self._sum ^= _hash(key, record.mark)
        (self.in_doubt.add if record and record.in_doubt else self.in_doubt.discard)(key)

    @property
    def changed(self) -> bool:
        """Whether it holds what is not stored."""
        return bool(self._dirty or self._removed)

    def clear(self) -> None:
        """Forget everything."""
        self._removed |= self._stored
        self.marks.clear()
        self.in_doubt.clear()
        self.revision = NO_REVISION
        self._sum = 0
        self._open.clear()
        self._dirty.clear()
        self._data = {"": encode(self._codec, [])}

    def records(self) -> Iterator[R]:
        for prefix in sorted(self._data):
            yield from (
                self._open.get(prefix, {}).values() if prefix in self._open else decode(self._codec, self._data[prefix])
            )

    def evict(self) -> None:
        """Encode what was opened: what is open costs many times the memory."""
        opened = list(self._open)
        while opened:
            prefix = opened.pop()
            records = self._open[prefix]
            if prefix in self._dirty:
                text = _text(self._codec, records.values())
                self._data[prefix] = _packed(self._codec, records.values(), text)
                large = len(text) > _UNFOLDED or len(self._data[prefix]) > SPLIT_BYTES
                if large and len(records) > 1 and len(prefix) < _BITS:
                    self._split(prefix)
                    opened += [prefix + "0", prefix + "1"]
        self._open.clear()

    def begin_flush(self) -> tuple[dict[str, str], list[str]]:
        """(shards to write, shards to remove once those are written); they count as stored from now on."""
        self.evict()
        written = {prefix: self._data[prefix] for prefix in sorted(self._dirty)}
        removed = sorted(self._removed - self._dirty)
        self._stored = (self._stored | self._dirty) - set(removed)
        self._dirty.clear()
        self._removed.clear()
        return written, removed

    def abort_flush(self, written: Iterable[str], removed: Iterable[str]) -> None:
        """What `begin_flush` told could not be stored: it is told again."""
        for prefix in written:
            if prefix in self._data:
                self._open.setdefault(prefix, {r.key: r for r in decode(self._codec, self._data[prefix])})
                self._dirty.add(prefix)
        self._removed |= {prefix for prefix in removed if prefix not in self._data}

    def _prefix(self, key: ObjectKey) -> str:
        bits = key_bits(key)
        return next(bits[:n] for n in range(_BITS + 1) if bits[:n] in self._data)

    def _records(self, prefix: str) -> dict[ObjectKey, R]:
        if prefix not in self._open:
            self._open[prefix] = {r.key: r for r in decode(self._codec, self._data[prefix])}
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
