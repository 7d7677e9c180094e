"""`gitintegration lint`: a checkout read as the operator reads the branch, by the same code, without a cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from cyclopts import Parameter
from cyclopts.types import ExistingDirectory, ExistingFile

from gitintegration.api.base_model import read_spec
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.commands import DIFFERENT, FAILED, OK
from gitintegration.commits import files
from gitintegration.commits.files import ScannedFile, Scope
from gitintegration.core.invalid import ManifestError, Problem
from gitintegration.core.layout import IGNORE_FILE, SUFFIXES, Layout
from gitintegration.core.manifest_file import read_file
from gitintegration.core.text import plain
from gitintegration.core.yaml_read import ReadLimits
from gitintegration.errors import GitIntegrationError, LimitExceeded, Reason, SpecError
from gitintegration.git import checkout as files_of
from gitintegration.git.objects import TreeFile
from gitintegration.messages import SOMEWHERE, counted
from gitintegration.session.git_index import GitIndex

_NOWHERE = "https://lint.invalid/checkout.git"
"""A spec has to name a repository; nobody asks it."""


class Output(StrEnum):
    text = "text"
    json = "json"
    sarif = "sarif"
    github = "github"


@dataclass(frozen=True, slots=True)
class Report:
    """What was read, and what the operator would leave alone of it."""

    files: int
    manifests: int
    problems: Sequence[Problem]

    @property
    def words(self) -> str:
        """In a line."""
        read = f"{counted(self.manifests, 'manifest')} in {counted(self.files, 'file')}"
        return f"{read}: {counted(len(self.problems), 'problem')}" if self.problems else f"{read}: all is well"


def inspect(checkout: Path, spec: GitIntegrationSpec, namespace: str | None, limits: ReadLimits) -> Report:
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
    problems = sorted(index.problems(), key=lambda problem: (problem.path, problem.message))
    return Report(len(index.files), len(index.items), problems)


def _layout(spec: GitIntegrationSpec, ignore_file: str) -> Layout:
    return Layout.of(spec.path_prefix, spec.new_file_path, spec.ignore or "", ignore_file, len(spec.resources))


def _scanned(checkout: Path, entry: TreeFile, scope: Scope) -> ScannedFile:
    try:
        content = files_of.read(checkout, entry.path)
    except LimitExceeded:
        return files.too_large(entry, scope)
    return files.scan_one(entry.path, entry.sha, content, scope)


def lint(
    checkout: ExistingDirectory = Path(),
    /,
    *,
    file: Annotated[ExistingFile | None, Parameter(alias="-f")] = None,
    prefix: str | None = None,
    kind: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    namespace: Annotated[str | None, Parameter(alias="-n")] = None,
    max_file_size: int = ReadLimits().size,
    output: Annotated[Output, Parameter(alias="-o")] = Output.text,
) -> int:
    """Read a checkout as the operator would, and tell what it would leave alone, and why.

    Nothing is asked of a cluster, and nothing is written. It ends with 0 where all is well, 1 where something is not, 2 where
    it can't tell.

    Parameters
    ----------
    checkout
        Folder of the repository. What git is to ignore in it is passed over.
    file
        Manifest of the GitIntegration, whose spec says what is read.
    prefix
        Folder of the manifests, in place of spec.pathPrefix.
    kind
        Kind to read as VERSION/KIND, say tekton.dev/v1/Pipeline, in place of spec.resources; may be given more than once.
    namespace
        Where it is synced to: manifests that name another are told. Default: that of the GitIntegration in `file`.
    max_file_size
        Bytes; larger manifests are told as TooLarge. As the operator is started with.
    output
        text, json, sarif, or github: annotations of its pull requests.
    """
    try:
        spec, home = _spec(file, prefix, kind)
        report = inspect(checkout, spec, namespace or home, ReadLimits(size=max_file_size))
    except GitIntegrationError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return FAILED
    print(VIEWS[output](report))
    return DIFFERENT if report.problems else OK


def _spec(file: Path | None, prefix: str | None, kinds: Sequence[str]) -> tuple[GitIntegrationSpec, str | None]:
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
    try:
        documents = read_file(str(file), file.read_bytes(), ReadLimits())
    except ManifestError as error:
        raise SpecError(Reason.InvalidSpec, f"{file} {error.message}") from None
    for one in documents:
        if isinstance(one, dict) and one.get("kind") == "GitIntegration":
            return one
    raise SpecError(Reason.InvalidSpec, f"{file} holds no GitIntegration")


def _text(report: Report) -> str:
    return "\n".join([*(f"{plain(p.path)}: {p.reason}: {_told(p)}" for p in report.problems), report.words])


def _json(report: Report) -> str:
    problems = [{"path": p.path, "reason": p.reason.value, "message": _told(p)} for p in report.problems]
    return json.dumps({"files": report.files, "manifests": report.manifests, "problems": problems}, indent=2)


def _sarif(report: Report) -> str:
    """SARIF 2.1.0, which forges and editors show beside the files."""
    driver = {
        "name": "gitintegration lint",
        "rules": [{"id": reason} for reason in sorted({p.reason.value for p in report.problems})],
    }
    results = [
        {
            "ruleId": p.reason.value,
            "level": "error",
            "message": {"text": _told(p)},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": quote(p.path), "uriBaseId": "%SRCROOT%"}}}],
        }
        for p in report.problems
    ]
    run = {"tool": {"driver": driver}, "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


def _github(report: Report) -> str:
    """Commands of a workflow's log, in which `%`, line ends, and in a property `:` and `,` have a meaning."""
    lines = [
        f"::error file={_escaped(plain(p.path), ':,')},title={_escaped(p.reason.value, ':,')}::{_escaped(_told(p))}"
        for p in report.problems
    ]
    return "\n".join([*lines, report.words])


def _escaped(text: str, more: str = "") -> str:
    return "".join(f"%{ord(sign):02X}" if sign in f"%\r\n{more}" else sign for sign in text)


def _told(problem: Problem) -> str:
    """A problem in words, without what a terminal would obey."""
    return plain(SOMEWHERE.joined(problem.words))


VIEWS: Mapping[Output, Callable[[Report], str]] = {
    Output.text: _text,
    Output.json: _json,
    Output.sarif: _sarif,
    Output.github: _github,
}
