"""The code of the release before, out of this repository's own history, run in the environment that is there."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.bed.cluster import ROOT, Cluster
from tests.bed.operator import OperatorProcess

REVISION = ROOT / "release" / "previous"
"""Names the commit, or the tag. `make release` writes its own tag here, so that what comes after it is tried against it."""


def previous_code(folder: Path, repository: Path = ROOT) -> Path:
    """The source root of that code, unpacked into `folder`. Raises RuntimeError where the clone lacks it."""
    revision = REVISION.read_text().strip()
    made = subprocess.run(["git", "archive", revision, "operator"], cwd=repository, capture_output=True)
    if made.returncode:
        said = made.stderr.decode().strip()
        raise RuntimeError(
            f"this clone lacks {revision}, the release that an upgrade is tried from ({said}); "
            "fetch it: git fetch --unshallow --tags, or, where the clone is whole, git fetch --tags"
        )
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "operator"


class ReplacedOperator(OperatorProcess):
    """The operator, of one code and then another (None: this checkout's), with one name and one volume."""

    def __init__(self, plane: Cluster, directory: Path, *arguments: str, code: Path | None) -> None:
        self._code = code
        super().__init__(plane, directory, *arguments)

    def replace(self, code: Path | None) -> None:
        """Starts again with this code; it was stopped before, or is now."""
        self.stop()
        self._code = code
        self.start()

    def runs_from(self) -> Path:
        """Where the code lies that a process of this environment imports."""
        command = [sys.executable, "-c", "import gitintegration; print(gitintegration.__path__[0])"]
        told = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=True)
        return Path(told.stdout.strip()).parent

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), **({"PYTHONPATH": str(self._code)} if self._code else {})}
