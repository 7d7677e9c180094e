"""Edits of the manifests in a file that touch only the lines of what changed.

The file is cut where its documents begin, an edited document is parsed into a tree, and the tree gives the new text:
what did not change is copied as it stands. Where an edit can't be as fine as its value, the nearest entry is written
anew. Every result is read again and must be exactly what was meant before it is handed out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from gitintegration.core.diff import same
from gitintegration.core.invalid import InvalidReason, ManifestError
from gitintegration.core.values import Json
from gitintegration.core.yaml_loss import Owned, Span, is_lossy
from gitintegration.core.yaml_read import ReadLimits, decode_text, read_documents, read_json
from gitintegration.core.yaml_render import render
from gitintegration.core.yaml_rewrite import FINEST, Rewriter
from gitintegration.core.yaml_tree import Tree, parse_json, parse_yaml

LIMITS = ReadLimits()
GONE: Final[Any] = object()
"""The value of a document that is removed."""
AS_IT_IS: Final[Any] = object()
"""The value of a document that is not edited: its text stays, and it is read once, in the file that comes out."""
_MARKER = re.compile(r"^---(?=\s)", re.MULTILINE)
_BLANK = re.compile(r"(?:[ \t\r\n\x85\u2028\u2029]|#[^\n]*)*+")
_SPECIAL = re.compile(r"^(?:%|\.\.\.(?=\s))", re.MULTILINE)
_LICENCE = re.compile(r"copyright|licen[cs]e|spdx|\(c\)|©", re.IGNORECASE)


class Location(NamedTuple):
    """Where in a file a manifest stands: the document, and the place in `items` where that is a List."""

    document: int
    item: int | None = None


_NO_WAY = "the change can't be written into this file; edit it by hand"
_Changes: TypeAlias = "Mapping[int | None, Json | None]"
"""Of one document: by the place in its `items`, or None for the document itself. The value None removes."""


@dataclass(frozen=True, slots=True)
class EditResult:
    source: bytes | None
    """None where nothing is left of the file."""
    documents: list[Json]
    """What it reads as."""
    lossy: bool
    """A comment or a line that no edit owns is not there any more."""


class _Layout(NamedTuple):
    """What is kept of a file beside its text."""

    crlf: bool
    ended: bool

    @classmethod
    def of(cls, text: str) -> _Layout:
        return cls("\r\n" in text and text.count("\n") == text.count("\r\n"), text.endswith("\n") or not text)

    def plain(self, text: str) -> str:
        text = text.replace("\r\n", "\n") if self.crlf else text
        return text if self.ended else f"{text}\n"

    def restored(self, text: str) -> str:
        text = text if self.ended or text.endswith("\n\n") else text.removesuffix("\n")  # blank lines may be content
        return text.replace("\n", "\r\n") if self.crlf else text


def edit_file(
    source: bytes, path: str, changes: Mapping[Location, Json | None], limits: ReadLimits = LIMITS
) -> EditResult:
    """The file with each manifest at a location having exactly that value (None: removed), and all else as it was.

    Raises ManifestError where it can't be written, or would not be read.
    """
    text = decode_text(source, limits)
    layout = _Layout.of(text)
    is_json = path.endswith(".json")
    if is_json:
        read_json(source, limits)
    pieces = _pieces(layout.plain(text), is_json=is_json)
    by_document: dict[int, dict[int | None, Json | None]] = {}
    for at, value in changes.items():
        by_document.setdefault(at.document, {})[at.item] = value
    for number, piece in enumerate(pieces):
        piece.edit(by_document, last=number + 1 == len(pieces))
    if is_json and pieces[0].gone:  # its one value: what is left is no JSON
        return EditResult(None, [], False)
    wanted = [value for piece in pieces for value in piece.wanted]
    made, documents = _joined(pieces, layout, source, path, limits)
    if documents is None or not _as_wanted(documents, wanted):
        _read(source, path, limits)  # what can't be read is told so
        for piece in pieces:
            piece.settle(limits)
        made, documents = _joined(pieces, layout, source, path, limits)
    if documents is None or not _as_wanted(documents, wanted):
        raise ManifestError(InvalidReason.NotYAML, _NO_WAY)
    if any(piece.gone for piece in pieces) and all(value is None for value in documents):
        return EditResult(None, [], False)
    return EditResult(made, documents, any(piece.is_lossy() for piece in pieces))


def _joined(
    pieces: Sequence[_Piece], layout: _Layout, source: bytes, path: str, limits: ReadLimits
) -> tuple[bytes, list[Json] | None]:
    """The file, and what it reads as: None where it can't be read."""
    made = _encoded(layout.restored("".join(piece.text for piece in pieces)), source)
    try:
        return made, _read(made, path, limits)
    except ManifestError:
        return made, None


def _read(source: bytes, path: str, limits: ReadLimits) -> list[Json]:
    return [read_json(source, limits)] if path.endswith(".json") else read_documents(source, limits)


def _as_wanted(documents: Sequence[Json], wanted: Sequence[Json]) -> bool:
    return len(documents) == len(wanted) and all(
        value is AS_IT_IS or _equal(document, value) for document, value in zip(documents, wanted, strict=True)
    )


def _equal(a: Json, b: Json) -> bool:
    """As `same`: what is written alike is the same, and soon found to be."""
    try:
        alike = orjson.dumps(a, option=orjson.OPT_SORT_KEYS) == orjson.dumps(b, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a number beyond 64 bits
        alike = False
    return alike or same(a, b)


def new_file(value: Json, path: str, limits: ReadLimits = LIMITS) -> EditResult:
    """A file with this manifest. Raises ManifestError where it would not be read as it is meant."""
    made = render(value, path)
    documents = _read(made, path, limits)
    if not same(documents, [value]):
        raise ManifestError(InvalidReason.NotYAML, "can't be written as a file that reads back")
    return EditResult(made, documents, False)


def _encoded(text: str, source: bytes) -> bytes:
    """In the encoding, and with the byte order mark, of the file as it was."""
    if source[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return text.encode("utf-16")
    return (b"\xef\xbb\xbf" if source.startswith(b"\xef\xbb\xbf") else b"") + text.encode()


def _pieces(text: str, *, is_json: bool) -> list[_Piece]:
    """Cut where `---` stands, as kubectl does. Directives and `...` make one piece of a file: they are rare."""
    if is_json or _SPECIAL.search(text):
        return [_Piece(text, 0, is_json, whole=True)]
    cuts = [0, *(match.start() for match in _MARKER.finditer(text) if match.start()), len(text)]
    pieces: list[_Piece] = []
    first = 0
    for start, end in itertools.pairwise(cuts):
        piece = _Piece(text[start:end], first)
        first += len(piece.wanted)
        pieces.append(piece)
    return pieces


class _Piece:
    """A run of text that reads the same wherever it stands: one document, or none, or a `whole` file."""

    def __init__(self, text: str, first: int, is_json: bool = False, whole: bool = False) -> None:
        self.text = text
        self.gone = False
        """Documents were removed from it."""
        self._first = first
        self._is_json = is_json
        self._whole = whole
        self.wanted: list[Json] = [] if _BLANK.fullmatch(text) else [AS_IT_IS]
        """The values of its documents, once edited."""
        self._edited: tuple[Tree, dict[int, Json]] | None = None
        self._owned: list[Owned] = []
        self._deepest = 0

    def edit(self, changes: Mapping[int, _Changes], *, last: bool) -> None:
        """Make those of the changes that are its own. Raises ManifestError."""
        if self._first not in changes and not self._whole:
            return
        tree = parse_json(self.text) if self._is_json else parse_yaml(self.text)
        values = [root.value if root else None for root in tree.roots]
        own = {n: changes[self._first + n] for n in range(len(values)) if self._first + n in changes}
        wanted = {n: _with_items(values[n], change) for n, change in own.items()}
        self.wanted = [value for n in range(len(values)) if (value := wanted.get(n, values[n])) is not GONE]
        self.gone = len(self.wanted) < len(values)
        if self.gone and not self.wanted:
            self.text = _remains(tree, first=self._first == 0, last=last)
        elif own:
            self._edited = tree, wanted
            self._make(FINEST)

    def _make(self, depth: int) -> None:
        if self._edited is not None:
            self.text, self._owned, self._deepest = _spliced(*self._edited, self._is_json, depth)

    def settle(self, limits: ReadLimits) -> None:
        """Where it does not read as it should: one level coarser, until it does. Raises ManifestError."""
        depth = self._deepest
        while self._edited is not None and not self._reads_back(limits):
            if depth < 0:
                raise ManifestError(InvalidReason.NotYAML, _NO_WAY)
            self._make(depth)
            depth -= 1

    def is_lossy(self) -> bool:
        return self._edited is not None and not self._is_json and is_lossy(self._edited[0], self._owned, self.text)

    def _reads_back(self, limits: ReadLimits) -> bool:
        try:
            return same(_read(self.text.encode(), ".json" if self._is_json else "", limits), self.wanted)
        except ManifestError:
            return False


def _with_items(value: Json, changes: _Changes) -> Json:
    """A document's value with these changes to it, or to the items of the List that it is."""
    if None in changes:
        return GONE if changes[None] is None else changes[None]
    items = [new for i, old in enumerate(value["items"]) if (new := changes.get(i, old)) is not None]
    return {**value, "items": items} if items else GONE


def _spliced(tree: Tree, wanted: Mapping[int, Json], is_json: bool, depth: int) -> tuple[str, list[Owned], int]:
    """The text with each document as wanted, what the edits own, and how deep they went."""
    text, at, deepest = tree.source.text, 0, 0
    out: list[str] = []
    owned: list[Owned] = []
    for number, value in sorted(wanted.items(), key=lambda pair: pair[0]):
        root, limit = tree.roots[number], tree.limit(number)
        if value is GONE:
            out.append(text[at : tree.starts[number]])
            owned.append(Owned(removed=[Span(tree.starts[number], limit)]))
            at = limit
            continue
        if root is None:
            raise ManifestError(InvalidReason.NotYAML, "an empty document can't be edited")
        rewriter = Rewriter(tree.source, root, json=is_json, depth=depth)
        span, made = rewriter.rewritten(value, limit)
        out += [text[at : span.start], made]
        at = span.end
        owned.append(rewriter.owned)
        deepest = max(deepest, rewriter.deepest)
    return "".join([*out, text[at:]]), owned, deepest


def _remains(tree: Tree, *, first: bool, last: bool) -> str:
    """What stays of a document that goes: the licence at the top of a file, and the comments above the next `---`."""
    root, source = tree.roots[0], tree.source
    if root is None:
        return ""
    above = source.text[: source.line_start(root.start)]
    below = source.text[source.line_end(root.end) :]
    return (_header(above) if first else "") + _footer(below, last=last)


def _header(above: str) -> str:
    """The comments at the top that speak of the file: a blank line follows, or they tell its licence."""
    head, blank, _ = above.removeprefix("---\n").partition("\n\n")
    if not head.lstrip().startswith("#") or not (blank or _LICENCE.search(head)):
        return ""
    return head + blank


def _footer(below: str, *, last: bool) -> str:
    """Comments behind a document: all of them where another one follows, else those that a blank line parts from it."""
    if last:
        below = below.partition("\n\n")[2] if not below.startswith("\n") else below[1:]
    lines = [line for line in below.splitlines(keepends=True) if line.startswith("#")]
    return "".join(lines)
