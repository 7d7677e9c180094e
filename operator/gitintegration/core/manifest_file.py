"""A file of the repository as manifests: which items it holds, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from gitintegration.api.names import is_api_version, is_subdomain, split_api_version
from gitintegration.core.invalid import InvalidReason, ManifestError, Problem
from gitintegration.core.values import Json, ObjectKey
from gitintegration.core.yaml_edit import Location
from gitintegration.core.yaml_read import ReadLimits, read_documents, read_json


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


def parse_file(
    path: str,
    source: bytes,
    kinds: Set[tuple[str, str]],
    namespace: str,
    limits: ReadLimits = ReadLimits(),  # noqa: B008
) -> ParsedFile:
    """The items whose (group, kind) is among `kinds`. Files without any are nobody's business, unless they can't be read.

    A bad manifest leaves the others of its file alone; a file that can't be read has one problem and no items.
    """
    try:
        documents = [read_json(source, limits)] if path.endswith(".json") else read_documents(source, limits)
    except ManifestError as error:
        return ParsedFile((), (Problem(path, error.reason, _with_remedy(error, source)),))
    items: dict[ObjectKey, FileItem] = {}
    problems: list[Problem] = []
    twice: set[ObjectKey] = set()
    named = {kind for _, kind in kinds}
    for location, value in _manifests(documents):
        key = _key(value)
        if key is None or key.kind not in named:
            continue
        if not is_api_version(value["apiVersion"]):
            problems.append(_no_version(path, value, location))
            continue
        if (key.group, key.kind) not in kinds:
            continue
        if problem := _problem(path, value, key, namespace, location):
            problems.append(problem)
        elif key in items:
            twice.add(key)
        else:
            items[key] = FileItem(key, value["apiVersion"], location, value)
    for key in sorted(twice):
        problems.append(Problem(path, InvalidReason.Duplicate, f"{key} stands in this file more than once; keep one"))
        del items[key]
    return ParsedFile(tuple(items.values()), tuple(problems))


def _with_remedy(error: ManifestError, source: bytes) -> str:
    if error.reason is InvalidReason.NotYAML and b"{{" in source:
        return f"{error.message}; it looks like a template ({{{{ … }}}}): commit rendered manifests, or ignore it"
    return error.message


def _manifests(documents: list[Json]) -> Iterator[tuple[Location, Json]]:
    for number, document in enumerate(documents):
        if not isinstance(document, dict):
            continue
        if document.get("kind") == "List" and isinstance(document.get("items"), list):
            for index, value in enumerate(document["items"]):
                if isinstance(value, dict):
                    yield Location(number, index), value
        else:
            yield Location(number), document


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


def _problem(path: str, value: Json, key: ObjectKey, namespace: str, location: Location) -> Problem | None:
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
    if metadata.get("namespace") not in (None, "", namespace):
        words = f"{key}{where} names namespace {metadata['namespace']!r}; this integration syncs {namespace!r} only"
        return Problem(path, InvalidReason.WrongNamespace, words)
    for field in ("labels", "annotations"):
        pairs = metadata.get(field)
        if pairs is not None and (
            not isinstance(pairs, dict) or not all(isinstance(v, str) or v is None for v in pairs.values())
        ):
            words = f"{key}{where}: metadata.{field} must be a map of strings; quote numbers and booleans"
            return Problem(path, InvalidReason.Refused, words)
    return None
