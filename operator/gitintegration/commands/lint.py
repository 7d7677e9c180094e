"""`gitintegration lint`: a checkout read as the operator reads the branch, by the same code, without a cluster."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import ExistingDirectory, ExistingFile

from gitintegration.commands import DIFFERENT, FAILED, OK
from gitintegration.errors import GitIntegrationError
from gitintegration.settings import Settings


class Output(StrEnum):
    text = "text"
    json = "json"
    sarif = "sarif"
    github = "github"


def lint(
    checkout: ExistingDirectory = Path(),
    /,
    *,
    file: Annotated[ExistingFile | None, Parameter(alias="-f")] = None,
    prefix: str | None = None,
    kind: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    namespace: Annotated[str | None, Parameter(alias="-n")] = None,
    crds: ExistingDirectory | None = None,
    max_file_size: int = Settings().max_file_size,
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
    crds
        Folder of CustomResourceDefinitions: manifests that an API server with them would refuse are told as well.
    max_file_size
        Bytes; larger manifests are told as TooLarge. As the operator is started with.
    output
        text, json, sarif, or github: annotations of its pull requests.
    """
    from gitintegration.commands.findings import VIEWS
    from gitintegration.commands.inspection import definitions_of, inspect, spec_of
    from gitintegration.core.yaml_read import ReadLimits

    try:
        spec, home = spec_of(file, prefix, kind)
        definitions = definitions_of(crds) if crds else None
        report = inspect(checkout, spec, namespace or home, ReadLimits(size=max_file_size), definitions)
    except GitIntegrationError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return FAILED
    print(VIEWS[output](report))
    return DIFFERENT if report.problems else OK
