"""A file of the repository as manifests: which items it holds, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass

from gitintegration import messages
from gitintegration.api.names import is_api_version, is_subdomain, split_api_version
from gitintegration.core.invalid import InvalidReason, ManifestError, Problem
from gitintegration.core.values import Json, ObjectKey
from gitintegration.core.yaml_edit import Location
from gitintegration.core.yaml_read import ReadLimits, read_documents, read_json
from gitintegration.messages import SOMEWHERE


@dataclass(frozen=True, slots=True)
class FileItem:
    """A manifest of a synced kind. `value` is all of it."""

    key: ObjectKey
    api_version: str
    location: Location
    value: Json


@dataclass(frozen=True, slots=True)
class ParsedFile:
    items: tuple[FileItem, ...]
    problems: tuple[Problem, ...]
    claims: tuple[ObjectKey, ...] = ()
    """What stands in it and can't be taken: nobody else's file is to be made for it."""
    blank: Problem | None = None
    """Why it yields nothing at all. That is nobody's business, unless it held an item when both sides last agreed: then it
    says nothing of what became of it."""


def parse_file(
    path: str,
    source: bytes,
    kinds: Set[tuple[str, str]],
    namespace: str,
    limits: ReadLimits = ReadLimits(),  # noqa: B008
    anywhere: Set[tuple[str, str]] = frozenset(),
) -> ParsedFile:
    """The items whose (group, kind) is among `kinds`. Files without any are nobody's business, unless they can't be read.

    A bad manifest leaves the others of its file alone; a file that can't be read has one problem and no items.
    """
    try:
        documents = read_file(path, source, limits)
    except ManifestError as error:
        if source.startswith(_SEALED):
            return ParsedFile((), (Problem(path, InvalidReason.Encrypted, _ENCRYPTED),))
        return ParsedFile((), (Problem(path, error.reason, _with_remedy(error, path, source, limits)),))
    return parse_documents(path, source, documents, kinds, namespace, anywhere)


def parse_documents(
    path: str,
    source: bytes,
    documents: list[Json],
    kinds: Set[tuple[str, str]],
    namespace: str,
    anywhere: Set[tuple[str, str]] = frozenset(),
) -> ParsedFile:
    """The same of a file that was read already, as `documents`."""
    items: dict[ObjectKey, FileItem] = {}
    problems: list[Problem] = []
    twice: set[ObjectKey] = set()
    named = {kind for _, kind in kinds}
    claims: list[ObjectKey] = []
    for location, value in manifests(documents):
        key = _key(value)
        if key is None or key.kind not in named:
            continue
        if not is_api_version(value["apiVersion"]):
            problems.append(_no_version(path, value, location))
            continue
        if (key.group, key.kind) not in kinds:
            continue
        only = None if (key.group, key.kind) in anywhere else namespace
        if problem := _problem(path, value, key, only, location):
            problems.append(problem)
            claims += [key] if problem.reason in (InvalidReason.Refused, InvalidReason.Encrypted) else []
        elif key in items:
            twice.add(key)
        else:
            items[key] = FileItem(key, value["apiVersion"], location, value)
    for key in sorted(twice):
        problems.append(Problem(path, InvalidReason.Duplicate, f"{key} stands in this file more than once; keep one"))
        del items[key]
    blank = None if items or problems else Problem(path, *_why_blank(source, documents))
    return ParsedFile(tuple(items.values()), tuple(problems), (*claims, *sorted(twice)), blank)


_joined = SOMEWHERE.joined
_SEALED = (b"\0GITCRYPT\0", b"-----BEGIN AGE ENCRYPTED", b"-----BEGIN PGP MESSAGE", b"$ANSIBLE_VAULT;")
_LFS = b"version https://git-lfs.github.com/spec/"
_ENCRYPTED = _joined(messages.FILE_ENCRYPTED())


def _why_blank(source: bytes, documents: list[Json]) -> tuple[InvalidReason, str]:
    """Why a file that can be read holds no manifest of a listed kind."""
    text = source.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        return InvalidReason.EmptyFile, _joined(messages.FILE_EMPTY())
    if text.startswith(_LFS):
        return InvalidReason.LFSPointer, _joined(messages.FILE_LFS())
    if text.startswith(_SEALED) or any(is_encrypted(document) for document in documents):
        return InvalidReason.Encrypted, _ENCRYPTED
    kinds = [f"{v.get('kind')} ({v.get('apiVersion')})"[:200] for _, v in manifests(documents) if "kind" in v]
    found = f"holds {', '.join(kinds[:3])}, which is no kind of spec.resources" if kinds else "holds no manifest"
    return InvalidReason.NoManifest, _joined(messages.FILE_NO_MANIFEST(found=found))


def is_encrypted(value: Json) -> bool:
    """Whether SOPS made it: its values are sealed, and a MAC over all of them forbids any edit."""
    sealed = value.get("sops") if isinstance(value, dict) else None
    return isinstance(sealed, dict) and "mac" in sealed


def read_file(path: str, source: bytes, limits: ReadLimits) -> list[Json]:
    """The value of each document. Whatever is wrong belongs to this file, and never ends a sync. Raises ManifestError."""
    try:
        return [read_json(source, limits)] if path.endswith(".json") else read_documents(source, limits)
    except (ManifestError, MemoryError):
        raise
    except Exception as error:
        raise ManifestError(InvalidReason.NotYAML, f"can't be read ({type(error).__name__})") from error


_OPENS, _PARTS, _CLOSES = (re.compile(rb"^%b(?: |\r?$)" % sign, re.MULTILINE) for sign in (b"<{7}", b"={7}", b">{7}"))
_BRACES = re.compile(rb"\{\{[^{}\n]{0,500}\}\}")


def _with_remedy(error: ManifestError, path: str, source: bytes, limits: ReadLimits) -> str:
    """What is wrong with a file, by its cause where that is known: a parser tells where it stumbled, not over what."""
    if error.reason is not InvalidReason.NotYAML:
        return error.message
    if (opens := _OPENS.search(source)) and _PARTS.search(source) and _CLOSES.search(source):
        return _joined(messages.FILE_MERGE(line=source.count(b"\n", 0, opens.start()) + 1))
    if _is_template(error, path, source, limits):
        return _joined(messages.FILE_TEMPLATE(said=error.message))
    return error.message


def _is_template(error: ManifestError, path: str, source: bytes, limits: ReadLimits) -> bool:
    """Whether braces are why a file can't be read: without them it can, or something else is wrong with it.

    Workflows of Argo and Tekton are full of them, in places where they are text.
    """
    plain = _BRACES.sub(b"x", re.sub(rb"(?m)^[ \t]*\{\{[^{}\n]{0,500}\}\}[ \t\r]*$", b"", source))
    if plain == source:
        return False
    try:
        read_file(path, plain, limits)
    except ManifestError as other:
        return _stumble(other) != _stumble(error)
    return True


def _stumble(error: ManifestError) -> str:
    """What a parser says, but for the column, which moves with what is taken out."""
    return re.sub(r"column \d+", "", error.message)


def manifests(documents: list[Json]) -> Iterator[tuple[Location, Json]]:
    """The maps among them, those of a List one by one, with their places."""
    for number, document in enumerate(documents):
        if not isinstance(document, dict):
            continue
        if _is_list(document):
            for index, value in enumerate(document["items"]):
                if isinstance(value, dict):
                    yield Location(number, index), value
        else:
            yield Location(number), document


def size_of(path: str, source: bytes, limits: ReadLimits) -> int | None:
    """How many manifests, or other values, a file holds, items of Lists each; None where it can't be read."""
    try:
        documents = [document for document in read_file(path, source, limits) if document is not None]
    except ManifestError:
        return None
    return sum(len(d["items"]) if _is_list(d) else 1 for d in documents)


def _is_list(document: Json) -> bool:
    return isinstance(document, dict) and document.get("kind") == "List" and isinstance(document.get("items"), list)


def _key(value: Json) -> ObjectKey | None:
    api_version, kind, metadata = value.get("apiVersion"), value.get("kind"), value.get("metadata")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return ObjectKey(split_api_version(api_version)[0], kind, name if isinstance(name, str) else "")


def _where(location: Location) -> str:
    return "" if location == (0, None) else f" (document {location.document + 1})"


def _no_version(path: str, value: Json, location: Location) -> Problem:
    words = f"apiVersion {value['apiVersion'][:80]!r} of a {value['kind']}{_where(location)} is no `version` or `group/version`"
    return Problem(path, InvalidReason.InvalidVersion, words)


def _problem(path: str, value: Json, key: ObjectKey, namespace: str | None, location: Location) -> Problem | None:
    metadata = value.get("metadata")
    where = _where(location)
    if not isinstance(metadata, dict) or metadata.get("name") is None:
        words = f"a {key.kind} without metadata.name{where}"
        if isinstance(metadata, dict) and "generateName" in metadata:
            words += ": generateName can't be kept in git, give it a name"
        return Problem(path, InvalidReason.NoName, words)
    name = metadata["name"]
    if not isinstance(name, str) or not is_subdomain(name):
        words = f"metadata.name {str(name)[:80]!r}{where}: use lower-case letters, digits, - and ."
        if "{{" in str(name):
            words += "; it looks like a template: commit rendered manifests, or ignore the file"
        return Problem(path, InvalidReason.InvalidName, words)
    if namespace is not None and metadata.get("namespace") not in (None, "", namespace):
        words = f"{key}{where} names namespace {metadata['namespace']!r}; this integration syncs {namespace!r} only"
        return Problem(path, InvalidReason.WrongNamespace, words)
    if is_encrypted(value):
        return Problem(path, InvalidReason.Encrypted, f"{key}{where} {_ENCRYPTED}")
    for field in ("labels", "annotations"):
        pairs = metadata.get(field)
        if pairs is not None and (
            not isinstance(pairs, dict) or not all(isinstance(v, str) or v is None for v in pairs.values())
        ):
            words = f"{key}{where}: metadata.{field} must be a map of strings; quote numbers and booleans"
            return Problem(path, InvalidReason.Refused, words)
    return None
