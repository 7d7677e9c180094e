"""What `gitintegration lint` does: a checkout is read by the code that reads the branch, and held against CRDs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from pydantic import ConfigDict

from gitintegration.api.base_model import read_spec
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.api.names import split_api_version
from gitintegration.commits import files
from gitintegration.commits.files import GitItem, ScannedFile, Scope
from gitintegration.core.invalid import InvalidReason, ManifestError, Problem
from gitintegration.core.layout import IGNORE_FILE, SUFFIXES, Layout
from gitintegration.core.manifest_file import manifests, read_file
from gitintegration.core.text import plain
from gitintegration.core.yaml_edit import Location
from gitintegration.core.yaml_read import ReadLimits, ended
from gitintegration.core.yaml_tree import Node, Tree, parse_json, parse_yaml
from gitintegration.errors import LimitExceeded, Reason, SpecError
from gitintegration.git import checkout as files_of
from gitintegration.git.objects import TreeFile
from gitintegration.messages import SOMEWHERE, VERSION_NOT_SERVED, counted
from gitintegration.session.git_index import GitIndex

if TYPE_CHECKING:
    from gitintegration.core.structural import Definitions

_DESCRIBED = ConfigDict(use_attribute_docstrings=True)
_NOWHERE = "https://lint.invalid/checkout.git"
"""A spec has to name a repository; nobody asks it."""
_CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_OF_CRDS = ReadLimits(size=16 << 20)
"""Some are larger than any manifest; they are the reader's own."""
_LINE, _DOCUMENT = re.compile(r"\bline (\d{1,9})\b"), re.compile(r" \(document (\d{1,9})\)")
_OF_ONE = frozenset(
    {
        InvalidReason.NoName,
        InvalidReason.InvalidName,
        InvalidReason.InvalidVersion,
        InvalidReason.WrongNamespace,
        InvalidReason.Refused,
    }
)
"""What is wrong with one document of a file."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the operator would leave alone, and why."""

    __pydantic_config__: ClassVar[ConfigDict] = _DESCRIBED
    path: str
    """Of a file below the checkout."""
    line: int | None
    """From 1 on; null: it is the file's as a whole."""
    reason: InvalidReason
    """As status.invalid has it."""
    message: str
    """For people."""

    @property
    def place(self) -> str:
        """As compilers have it, which editors know."""
        return plain(self.path) if self.line is None else f"{plain(self.path)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was read, and what the operator would leave alone of it."""

    __pydantic_config__: ClassVar[ConfigDict] = _DESCRIBED
    files: int
    """That were read."""
    manifests: int
    """That they hold, of the kinds that are synced."""
    checked: int | None
    """Of them, those that were held against a CRD; null: none was asked for."""
    problems: list[Finding]
    """By path and line."""

    @property
    def words(self) -> str:
        """In a line."""
        read = f"{counted(self.manifests, 'manifest')} in {counted(self.files, 'file')}"
        if self.checked is not None:
            read += f", {self.checked} of them held against CRDs"
        return f"{read}: {counted(len(self.problems), 'problem')}" if self.problems else f"{read}: all is well"


def spec_of(file: Path | None, prefix: str | None, kinds: Sequence[str]) -> tuple[GitIntegrationSpec, str | None]:
    """The spec of the GitIntegration in `file` with what is given in place of it; and its namespace. Raises SpecError."""
    whole = _integration(file) if file else {}
    spec = {"repositoryURL": _NOWHERE, **(whole.get("spec") or {})}
    if prefix is not None:
        spec["pathPrefix"] = prefix
    if kinds:
        named = (kind.rpartition("/") for kind in kinds)
        spec["resources"] = [{"apiVersion": version, "kind": name} for version, _, name in named]
    return read_spec(GitIntegrationSpec, spec), (whole.get("metadata") or {}).get("namespace")


def _integration(file: Path) -> dict[str, Any]:
    """The first GitIntegration of a file. Raises SpecError."""
    for one in _documents(file, ReadLimits()):
        if one.get("kind") == "GitIntegration":
            return one
    raise SpecError(Reason.InvalidSpec, f"{file} holds no GitIntegration")


def definitions_of(directory: Path) -> Definitions:
    """The CRDs in the files below a folder. Raises SpecError where there is none, or a file can't be read."""
    from gitintegration.core.structural import Definitions

    paths = sorted(path for path in directory.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    crds = [
        value
        for path in paths
        for value in _documents(path, _OF_CRDS)
        if (value.get("apiVersion"), value.get("kind")) == _CRD
    ]
    try:
        found = Definitions(crds)
    except (KeyError, TypeError, AttributeError):
        raise SpecError(Reason.InvalidSpec, f"{directory} holds a CustomResourceDefinition that is none") from None
    if not found:
        raise SpecError(Reason.InvalidSpec, f"{directory} holds no CustomResourceDefinition")
    return found


def _documents(file: Path, limits: ReadLimits) -> Iterator[dict[str, Any]]:
    try:
        documents = read_file(str(file), file.read_bytes(), limits)
    except ManifestError as error:
        raise SpecError(Reason.InvalidSpec, f"{file} {error.message}") from None
    for _, value in manifests(documents):
        yield value


def inspect(
    checkout: Path,
    spec: GitIntegrationSpec,
    namespace: str | None,
    limits: ReadLimits,
    definitions: Definitions | None = None,
) -> Report:
    """Read what lies below the prefix of a checkout. Raises LimitExceeded where patterns are too many or too long.

    `namespace`: where it is synced to; None: manifests may name any.
    """
    anywhere = spec.listed if namespace is None else spec.anywhere
    scope = Scope(spec.listed, namespace or "", limits, anywhere)
    layout = _layout(spec, "")
    found = files_of.listing(checkout, layout.prefix, SUFFIXES, IGNORE_FILE)
    ignore = f"{layout.prefix}{IGNORE_FILE}"
    if any(entry.path == ignore for entry in found.files):
        layout = _layout(spec, files.as_text(files_of.read(checkout, ignore)))
    index = GitIndex()
    index.obstacle = found.obstacle
    for entry in found.files:
        if layout.covers(entry.path):
            index.put(_scanned(checkout, entry, scope))
    index.refused = {path: words for path, words in found.refused if not layout.ignores(path)}
    places = _Places(checkout)
    findings = [places.finding(problem) for problem in index.problems()]
    known = [
        item for item in index.items.values() if definitions and definitions.versions(item.key.group, item.key.kind)
    ]
    findings += [found for item in known if definitions for found in _refused(item, definitions, places)]
    findings.sort(key=lambda each: (each.path, each.line or 0, each.message))
    return Report(len(index.files), len(index.items), None if definitions is None else len(known), findings)


def _layout(spec: GitIntegrationSpec, ignore_file: str) -> Layout:
    return Layout.of(spec.path_prefix, spec.new_file_path, spec.ignore or "", ignore_file, len(spec.resources))


def _scanned(checkout: Path, entry: TreeFile, scope: Scope) -> ScannedFile:
    try:
        content = files_of.read(checkout, entry.path)
    except LimitExceeded:
        return files.too_large(entry, scope)
    return files.scan_one(entry.path, entry.sha, content, scope)


def _refused(item: GitItem, definitions: Definitions, places: _Places) -> Iterator[Finding]:
    """What an API server with these CRDs would say to it."""
    group, version = split_api_version(item.api_version)
    served = definitions.versions(group, item.key.kind)
    if version not in served:
        words = VERSION_NOT_SERVED(key=item.key, asked=item.api_version, served=f"{group}/{served[-1]}")
        line = places.line(item.path, item.location, ("apiVersion",))
        yield Finding(item.path, line, InvalidReason.Refused, plain(SOMEWHERE.joined(words)))
        return
    for complaint in definitions.complaints(group, item.key.kind, version, orjson.loads(item.value)):
        line = places.line(item.path, item.location, complaint.path)
        yield Finding(item.path, line, InvalidReason.Refused, plain(f"{item.key}: {complaint}"))


class _Places:
    """Where in the files of a checkout things stand."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._last: tuple[str, Tree | None] = ("", None)

    def finding(self, problem: Problem) -> Finding:
        """A problem with the line that it names, or that its document begins on."""
        words = SOMEWHERE.joined(problem.words)
        line = None
        if found := _LINE.search(problem.message):
            line = int(found[1])
        elif problem.reason in _OF_ONE:
            document = _DOCUMENT.search(problem.message)
            line = self.line(problem.path, Location(int(document[1]) - 1 if document else 0), ())
        return Finding(problem.path, line, problem.reason, plain(words))

    def line(self, path: str, location: Location, steps: Sequence[str | int]) -> int | None:
        """Of a field, or of what is nearest to where it should be."""
        tree = self._tree(path)
        node = tree.roots[location.document] if tree and location.document < len(tree.roots) else None
        if tree is None or node is None:
            return None
        at = node.content
        into = steps if location.item is None else ("items", location.item, *steps)
        for step in into:
            while node.target is not None:
                node = node.target
            entry = next((e for number, e in enumerate(node.entries) if _is_step(node, e.name, number, step)), None)
            if entry is None:
                break
            at, node = entry.start, entry.value
        return tree.source.text.count("\n", 0, at) + 1

    def _tree(self, path: str) -> Tree | None:
        if self._last[0] != path:
            text = ended(files_of.read(self._checkout, path).decode("utf-8-sig", "replace"))
            try:
                self._last = path, parse_json(text) if path.endswith(".json") else parse_yaml(text)
            except ManifestError:
                self._last = path, None
        return self._last[1]


def _is_step(node: Node, name: str, number: int, step: str | int) -> bool:
    return step == (number if node.kind == "list" else name)
