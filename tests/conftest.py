"""One bed a test process: control plane, git server, operator; each test has a namespace and a repository of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers

from tests.bed.cluster import Cluster
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import GitServer
from tests.bed.operator import OperatorProcess
from tests.bed.world import World

# The same examples in every run, so that a run can be trusted and repeated; HISTORIES=n hunts with n others each time.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("hunt", deadline=None)
if "HISTORIES" not in os.environ:  # examples would follow from the strings of whatever else this process has imported
    providers._get_local_constants = lambda: providers._local_constants
settings.load_profile("hunt" if "HISTORIES" in os.environ else "repeatable")
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # begun in the background: what is started here would ignore Ctrl-C too
    signal.signal(signal.SIGINT, signal.default_int_handler)
_LINES, _NEWEST = 60, 6
_READY = '.status.conditions[?(@.type=="Ready")]'
_COLUMNS = f"NAMESPACE:.metadata.namespace,NAME:.metadata.name,READY:{_READY}.reason,SAID:{_READY}.message"

for name in ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(name, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed tells what the cluster and the operator said, for both are gone when it is read."""
    report = yield
    if report.failed and report.when == "call" and isinstance(item, pytest.Function):
        for name, fixture in item.funcargs.items():
            if isinstance(fixture, OperatorProcess):
                report.sections.append((f"the last lines of {name}", "\n".join(fixture.log().splitlines()[-_LINES:])))
                report.sections.append((f"the newest integrations of {name}", newest_integrations(fixture.plane)))
    return report


def newest_integrations(plane: Cluster) -> str:
    """The conditions of the last few that were made."""
    try:
        table = plane.kubectl(
            "get", "gi", "-A", "--sort-by=.metadata.creationTimestamp", f"-o=custom-columns={_COLUMNS}"
        )
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return f"not to be had: {error}"
    return "\n".join(table.splitlines()[-_NEWEST:])


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
