"""One bed a test process: control plane, git server, operator; each test has a namespace and a repository of its own."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import GitServer
from tests.bed.operator import OperatorProcess
from tests.bed.world import World

# The same examples in every run, so that a run can be trusted and repeated; HISTORIES=n hunts with n others each time.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("hunt", deadline=None)
settings.load_profile("hunt" if "HISTORIES" in os.environ else "repeatable")
for name in ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def bed_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gitintegration-bed-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def control_plane(bed_directory: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(bed_directory / "plane")
    try:
        plane.install()
        yield plane
    finally:
        plane.stop()


@pytest.fixture(scope="session")
def git_server(bed_directory: Path) -> Iterator[GitServer]:
    server = GitServer(bed_directory / "git")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def operator(control_plane: ControlPlane, bed_directory: Path) -> Iterator[OperatorProcess]:
    process = OperatorProcess(control_plane, bed_directory / "operator")
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def world(
    control_plane: ControlPlane, git_server: GitServer, operator: OperatorProcess
) -> Callable[[Mapping[str, str] | None], World]:
    """Makes a world with these files in its repository."""

    def make(files: Mapping[str, str] | None = None) -> World:
        return World(control_plane, git_server, f"t-{uuid.uuid4().hex[:10]}", files)

    return make
