"""What happens to files in a worker process: manifests read out of the object cache, and edited into a commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import orjson

from gitintegration.core.invalid import InvalidReason, ManifestError, Problem
from gitintegration.core.layout import Layout, NewPaths, NoPlaceError, no_folder
from gitintegration.core.manifest_file import ParsedFile, parse_documents, parse_file, size_of
from gitintegration.core.plan.detail import FilePatch, Secrets, Values
from gitintegration.core.values import ObjectKey, to_bytes
from gitintegration.core.yaml_edit import EditResult, Location, edit_file, new_file
from gitintegration.core.yaml_read import ReadLimits
from gitintegration.errors import LimitExceeded
from gitintegration.git import objects, slices
from gitintegration.git.objects import NewCommit, TreeEntry, TreeFile
from gitintegration.git.packs import PackWriter
from gitintegration.git.signing import Signer

_SMALL = 64 << 10
"""Bytes."""
_NO_SECRETS = Secrets()


@dataclass(frozen=True, slots=True)
class GitItem:
    """A manifest in git. `value` is its JSON."""

    key: ObjectKey
    path: str
    blob: str
    location: Location
    api_version: str
    value: bytes


@dataclass(frozen=True, slots=True)
class ScannedFile:
    path: str
    blob: str
    items: tuple[GitItem, ...]
    problems: tuple[Problem, ...]
    claims: tuple[ObjectKey, ...] = ()
    """What stands in it and can't be taken."""
    blank: Problem | None = None
    """Why it yields nothing at all; told where it did before."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One item of a file: set to `value` (JSON), or removed. Without a location it is new."""

    key: ObjectKey
    location: Location | None
    value: bytes | None


FileEdits: TypeAlias = tuple[str | None, list[Edit]]
"""The blob that a file has now (None: it is new), and the edits of what is in it."""
Edits: TypeAlias = dict[str, FileEdits]
"""By path."""


@dataclass(frozen=True, slots=True)
class Edited:
    """What edits came to. One that fails leaves its file alone."""

    blobs: Mapping[str, str | None]
    """Path -> the blob that it has then; None: it is removed. Files that stay as they are, are left out."""
    files: tuple[ScannedFile, ...] = ()
    failed: tuple[tuple[ObjectKey, str], ...] = ()
    lossy: tuple[str, ...] = ()
    """Files that lost a comment or a line that no edit owns."""
    taken: int = 0
    """Of so many files the edits were made; the rest is for another call."""
    size: int = 0
    """Bytes of the pack by then."""

    @property
    def removed(self) -> list[str]:
        return [path for path, blob in self.blobs.items() if blob is None]

    @property
    def packed(self) -> Edited:
        """What the next call has to know of it."""
        return Edited(self.blobs, size=self.size)

    def and_then(self, more: Edited) -> Edited:
        return Edited(
            {**self.blobs, **more.blobs},
            self.files + more.files,
            self.failed + more.failed,
            self.lossy + more.lossy,
            self.taken + more.taken,
            more.size,
        )


@dataclass(frozen=True, slots=True)
class CommitText:
    """What a commit says beside its files. `time`: seconds since the epoch."""

    author: str
    committer: str
    message: str
    time: int
    signer: Signer | None = None


class Made(NamedTuple):
    """A commit, with the files that it changes."""

    sha: str
    text: CommitText
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Committed:
    commit: NewCommit | None
    """None where the edits came to nothing, or not to their end."""
    edited: Edited
    whole: bool = True
    """Whether all edits were made."""
    made: tuple[Made, ...] = ()
    """The commits, the first one first."""

    def discard(self) -> None:
        """Whatever became of it, its pack is not needed any more."""
        if self.commit is not None:
            self.commit.pack.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which manifests of a file are items."""

    kinds: Set[tuple[str, str]]
    namespace: str
    limits: ReadLimits
    anywhere: Set[tuple[str, str]] = frozenset()
    """Kinds whose manifests may name another namespace, and belong to this one all the same."""


def scan(directory: Path, entries: Sequence[TreeFile], scope: Scope) -> list[ScannedFile]:
    """The items of these files, or of the first of them: the rest is for another call."""
    found: list[ScannedFile] = []
    with objects.Objects(directory) as store:
        for entry in entries:
            try:
                content = store.raw(entry.sha)
            except LimitExceeded:
                found.append(too_large(entry, scope))
            else:
                found.append(scan_one(entry.path, entry.sha, content, scope))
            if slices.is_over():
                break
    return found


def too_large(entry: TreeFile, scope: Scope) -> ScannedFile:
    """A file that is not even unpacked."""
    words = f"is far larger than the {scope.limits.size} bytes that are allowed"
    return ScannedFile(entry.path, entry.sha, (), (Problem(entry.path, InvalidReason.TooLarge, words),))


def scan_one(path: str, blob: str, content: bytes, scope: Scope) -> ScannedFile:
    """What a file holds. Whatever goes wrong with it is a problem of that file."""
    try:
        return _read_one(path, blob, content, scope)
    except Exception as defect:
        words = f"can't be read: internal error {type(defect).__name__}; please report it with this file"
        return ScannedFile(path, blob, (), (Problem(path, InvalidReason.NotYAML, words),))


def _read_one(path: str, blob: str, content: bytes, scope: Scope) -> ScannedFile:
    parsed = parse_file(path, content, scope.kinds, scope.namespace, scope.limits, scope.anywhere)
    return _scanned(path, blob, parsed)


def _scanned(path: str, blob: str, parsed: ParsedFile) -> ScannedFile:
    items = tuple(GitItem(i.key, path, blob, i.location, i.api_version, to_bytes(i.value)) for i in parsed.items)
    return ScannedFile(path, blob, items, parsed.problems, parsed.claims, parsed.blank)


def too_long() -> LimitExceeded:
    """The ignore file is."""
    return LimitExceeded(f"the ignore file is larger than {_SMALL >> 10} KB")


def read_text(directory: Path, sha: str) -> str:
    """A small text file, the ignore file say. Raises LimitExceeded."""
    with objects.Objects(directory) as store:
        return as_text(store.raw(sha))


def as_text(content: bytes) -> str:
    """Of a small text file. Raises LimitExceeded."""
    if len(content) > _SMALL:
        raise too_long()
    return content.decode("utf-8", "replace")


def choose(
    directory: Path, onto: str | None, layout: Layout, taken: Iterable[str], wanted: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Places for new files in the tree of `onto`, one for each (kind, name) of `wanted`; or why there is none.

    `taken`: paths that are in no tree yet, or in another.
    """
    found: list[tuple[str, str]] = []
    with objects.Objects(directory) as store:
        paths = NewPaths(layout, taken, (lambda folder: store.names(onto, folder)) if onto else no_folder)
        for kind, name in wanted:
            try:
                found.append((paths.give(kind, name), ""))
            except NoPlaceError as error:
                found.append(("", str(error)))
    return found


@dataclass(frozen=True, slots=True)
class CommitBase:
    """What a commit is made on: its parents, the commit whose tree it changes, and what it takes over from another."""

    parents: tuple[str, ...]
    onto: str | None
    taken: Mapping[str, TreeEntry | None] = field(default_factory=dict)

    @classmethod
    def on(cls, parent: str | None) -> CommitBase:
        """The usual one: a commit that follows another."""
        return cls((parent,) if parent else (), parent)

    @property
    def is_merge(self) -> bool:
        return len(self.parents) > 1


Texts: TypeAlias = "Sequence[tuple[CommitText, Set[str]]]"
"""Commits that follow one another, and the files of each; all that are in none of the others are the last one's."""


def commit(
    directory: Path, pack: Path, ground: CommitBase, edits: Edits, scope: Scope, texts: Texts, earlier: Edited
) -> Committed:
    """Commits with these edits and `earlier` ones, whose blobs are in the pack already. Then the pack is finished.

    A merge is made also where no file is edited. Where time is over before all edits are made, there is none yet.
    """
    edited = edit(directory, pack, edits, scope, earlier)
    blobs = {**earlier.blobs, **edited.blobs}
    if edited.taken < len(edits):
        return Committed(None, edited, whole=False)
    if not blobs and not ground.is_merge:
        return Committed(None, edited)
    made = list[Made]()
    then: dict[str, str | None] = {}
    with PackWriter(pack, filter(None, blobs.values()), edited.size) as writer:
        for text, files in _parts(texts, blobs):
            then |= files
            sha = objects.build_commit(
                directory,
                writer,
                [made[-1].sha] if made else ground.parents,
                {**ground.taken, **then},
                onto=ground.onto,
                author=text.author,
                committer=text.committer,
                message=text.message,
                time=text.time,
                signer=text.signer,
            )
            made.append(Made(sha, text, tuple(files)))
        writer.finish()
    return Committed(NewCommit(made[-1].sha, pack), edited, made=tuple(made))


def _parts(texts: Texts, blobs: Mapping[str, str | None]) -> Iterator[tuple[CommitText, dict[str, str | None]]]:
    """Each commit with the files that it changes: none without any, but for a merge."""
    left = dict(blobs)
    for number, (text, paths) in enumerate(texts, start=1):
        is_last = number == len(texts)
        mine = {path: blob for path, blob in left.items() if is_last or path in paths}
        left = {path: blob for path, blob in left.items() if path not in mine}
        if mine or (is_last and not blobs):
            yield text, mine


def preview(directory: Path, edits: Edits, secrets: Mapping[str, Secrets], limits: ReadLimits) -> list[FilePatch]:
    """What edits would make of files, all or the first of them."""
    found: list[FilePatch] = []
    with objects.Objects(directory) as store:
        for path, (blob, changes) in edits.items():
            if found and slices.is_over():
                break
            source = store.raw(blob) if blob else None
            try:
                made = _edited(path, source, changes, limits).source
            except Exception:  # whoever makes the commit tells why
                found.append(FilePatch(path, "", withheld="can't be edited"))
            else:
                found.append(secrets.get(path, _NO_SECRETS).patch(path, source, made))
    return found


@dataclass(frozen=True, slots=True)
class Version:
    """A file as a commit has it, with how many items were found in it."""

    blob: str
    items: int


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a commit made of a file; None: it was not there, or is not any more."""

    path: str
    before: Version | None
    after: Version | None
    secrets: Secrets


def commit_patches(directory: Path, changes: Sequence[FileChange], limits: ReadLimits) -> list[FilePatch]:
    """What a commit made of these files, or of the first of them.

    A file that holds anything but the items that were found in it is not shown: who may see these may not see that.
    """
    found: list[FilePatch] = []
    with objects.Objects(directory) as store:
        for change in changes:
            if found and slices.is_over():
                break
            found.append(_commit_patch(store, change, limits))
    return found


def _commit_patch(store: objects.Objects, change: FileChange, limits: ReadLimits) -> FilePatch:
    sources = list[bytes | None]()
    for version in (change.before, change.after):
        try:
            source = store.raw(version.blob) if version else None
        except (LimitExceeded, objects.CacheCorruptError):  # it was not even fetched
            return FilePatch(change.path, "", withheld="too large")
        if version and source is not None and size_of(change.path, source, limits) != version.items:
            return FilePatch(change.path, "", withheld="it holds, or held, more than pipelines of this integration")
        sources.append(source)
    return change.secrets.patch(change.path, *sources)


def object_patches(values: Sequence[Values]) -> list[FilePatch]:
    """What changes of these objects, all or the first of them."""
    found: list[FilePatch] = []
    for each in values:
        if found and slices.is_over():
            break
        found.append(each.patch())
    return found


def edit(directory: Path, pack: Path, edits: Edits, scope: Scope, earlier: Edited) -> Edited:
    """Edit files, all or the first of them, and put them into the pack, where the `earlier` ones are already."""
    blobs: dict[str, str | None] = {}
    scanned: list[ScannedFile] = []
    failed: list[tuple[ObjectKey, str]] = []
    lossy: list[str] = []
    taken = 0
    packed = filter(None, earlier.blobs.values())
    with objects.Objects(directory) as store, PackWriter(pack, packed, earlier.size) as writer:
        for path, (blob, changes) in edits.items():
            if taken and slices.is_over():
                break
            taken += 1
            source = store.raw(blob) if blob else None
            try:
                result = _edited(path, source, changes, scope.limits)
                if result.source == source:
                    continue
                parsed = parse_documents(
                    path, result.source or b"", result.documents, scope.kinds, scope.namespace, scope.anywhere
                )
            except ManifestError as error:
                failed += [(change.key, f"{path}: {error.message}") for change in changes]
                continue
            except Exception as defect:  # it is this file's, and the others are written
                words = (
                    f"{path}: can't be edited: internal error {type(defect).__name__}; please report it with this file"
                )
                failed += [(change.key, words) for change in changes]
                continue
            lossy += [path] if result.lossy else []
            blobs[path] = None
            if result.source is not None:
                blobs[path] = blob = writer.add_blob(result.source)
                scanned.append(_scanned(path, blob, parsed))
        size = writer.size
    return Edited(blobs, tuple(scanned), tuple(failed), tuple(lossy), taken, size)


def _edited(path: str, source: bytes | None, edits: Sequence[Edit], limits: ReadLimits) -> EditResult:
    """The file with all its edits. Raises ManifestError."""
    changes = {e.location: orjson.loads(e.value) if e.value is not None else None for e in edits if e.location}
    new = [orjson.loads(e.value) for e in edits if e.location is None and e.value is not None]
    if source is None:
        return new_file(new[0], path, limits) if new else EditResult(None, [], False)
    if new:
        raise ManifestError(InvalidReason.InvalidPath, "lies where a new file should go")
    return edit_file(source, path, changes, limits)
