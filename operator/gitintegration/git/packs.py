"""A pack that is written in several goes, so that no process has to hold all that a large commit brings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from dulwich.object_format import DEFAULT_OBJECT_FORMAT
from dulwich.objects import Blob, ShaFile
from dulwich.pack import write_pack_header, write_pack_object

_FAST = 1
"""Of zlib's levels."""


class PackWriter:
    """Appends to the pack at `path`, which holds `known` in `size` bytes by now. It can be sent once it is finished.

    What is past that was written by a task that was broken off.
    """

    def __init__(self, path: Path, known: Iterable[str] = (), size: int = 0) -> None:
        self.shas = set(known)
        self._stream = path.open("r+b" if size else "w+b")
        self._stream.truncate(size)
        self._stream.seek(size)
        if not size:
            write_pack_header(self._stream.write, 0)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._stream.tell()

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def add(self, made: ShaFile) -> str:
        """Its name. What is there already is not written again."""
        sha = made.id.decode()
        if sha not in self.shas:
            self.shas.add(sha)
            parts = [bytes(chunk) for chunk in made.as_raw_chunks()]
            write_pack_object(self._stream.write, made.type_num, parts, DEFAULT_OBJECT_FORMAT, compression_level=_FAST)
        return sha

    def add_blob(self, content: bytes) -> str:
        return self.add(Blob.from_string(content))

    def finish(self) -> None:
        """Nothing can be added after it."""
        self._stream.seek(0)
        write_pack_header(self._stream.write, len(self.shas))
        self._stream.seek(0)
        digest = hashlib.file_digest(self._stream, "sha1").digest()
        self._stream.seek(0, 2)
        self._stream.write(digest)
