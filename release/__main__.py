"""Makes a release, or what one consists of.

    python -m release VERSION [--without-image]    make release
    python -m release --dist [--without-image]     make dist: of the commit that is checked out

A release is a commit on the branch that is checked out, and a tag. Both are made elsewhere and moved here as the last step, when
all that was to be made of it is there. The commit bears the time of the one before it, and nothing random, so that the
same source makes the same release.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from release import changelog, dist, version


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m release")
    parser.add_argument("version", nargs="?", default="")
    parser.add_argument("--dist", action="store_true")
    parser.add_argument("--without-image", action="store_true")
    given = parser.parse_args()
    root = Path(git("rev-parse", "--show-toplevel", cwd=Path.cwd()).strip())
    image = not given.without_image and dist.has_engine()
    try:
        if dirt := git("status", "--porcelain", cwd=root):
            raise ValueError(f"there is what no commit holds:\n{dirt.rstrip()}")
        made = dist.make(root, root / "dist", image=image) if given.dist else release(root, given.version, image=image)
    except (ValueError, RuntimeError) as error:
        print(f"nothing was released: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"nothing was released: {error}\n{error.stderr or ''}", file=sys.stderr)
        return 1
    print("\n".join(f"dist/{name}" for name in made))
    if not image:
        print("without an image" + ("" if given.without_image else ": no docker, podman or buildah here that answers"))
    return 0


def release(root: Path, wanted: str, *, image: bool) -> list[str]:
    """Makes the release, and what it consists of in dist/. Raises ValueError with nothing done."""
    tag = f"v{wanted}"
    if version.parsed(wanted) < version.parsed(version.read(root)):
        raise ValueError(f"{wanted} is older than {version.read(root)}")
    if git("tag", "--list", tag, cwd=root):
        raise ValueError(f"there is a tag {tag} already")
    with worktree(root) as copy:
        write(copy, wanted, tag)
        stamp = f"@{dist.commit_time(root)} +0000"
        dates = {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}
        git("add", "--all", cwd=copy)
        git("commit", "--quiet", "--no-gpg-sign", "-m", f"Release {wanted}", cwd=copy, env=dates)
        made = dist.make(copy, copy / "dist", image=image)
        commit = git("rev-parse", "HEAD", cwd=copy).strip()
        shutil.rmtree(root / "dist", ignore_errors=True)
        shutil.copytree(copy / "dist", root / "dist")
        git("merge", "--quiet", "--ff-only", commit, cwd=root)
        git("tag", "--annotate", tag, "-m", f"Release {wanted}", commit, cwd=root)
    return made


def write(copy: Path, wanted: str, tag: str) -> None:
    """What a release changes: the version, the changelog, and what comes after is held against it."""
    date = datetime.fromtimestamp(dist.commit_time(copy), UTC).date().isoformat()
    path = copy / "CHANGELOG.md"
    path.write_text(changelog.released(path.read_text(), wanted, date))
    version.bump(copy, wanted)
    (copy / "release" / "previous").write_text(f"{tag}\n")
    kept = copy / "tests" / "unit" / "api" / "released"
    for crd in sorted((copy / "crds").glob("planasonix*.yaml")):
        shutil.copy(crd, kept / crd.name)


@contextlib.contextmanager
def worktree(root: Path) -> Iterator[Path]:
    """Another checkout of what is checked out here, on no branch."""
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        copy = Path(folder) / "checkout"
        git("worktree", "add", "--quiet", "--detach", str(copy), "HEAD", cwd=root)
        try:
            yield copy
        finally:
            git("worktree", "remove", "--force", str(copy), cwd=root)


def git(*args: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(["git", *args], cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"git {args[0]}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
