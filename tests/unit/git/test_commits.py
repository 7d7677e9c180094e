"""Every commit that is made passes git's own check, whatever texts it was made of."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gitintegration.errors import GitIntegrationError
from gitintegration.git import objects
from gitintegration.git.objects import TreeEntry
from gitintegration.git.packs import PackWriter
from tests.bed.gitserver import git

TEXTS = st.text(st.one_of(st.sampled_from("\n\r\0<> .,\t\x1b\ufeff\u200dgGiIt~1:\\/@"), st.characters()), max_size=30)
PARTS = st.one_of(
    st.sampled_from(
        [
            ".git",
            "GIT~1",
            ".git ",
            ".gi\u200ct",
            "..",
            ".",
            "",
            "a",
            "b.yaml",
            ".gitmodules",
            ".gitattributes",
            ".gitignore",
            ".git::$DATA",
        ]
    ),
    TEXTS,
)


def commit(folder: Path, paths: list[str], author: str = "a <a@b>", message: str = "m", mode: int | None = None) -> str:
    """A repository at `folder` whose main branch holds these files."""
    git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
    pack = folder / "outgoing"
    with PackWriter(pack) as writer:
        blob = writer.add_blob(b"kind: x\n")
        files = {path: TreeEntry(mode, blob) if mode else blob for path in paths}
        made = objects.build_commit(
            folder, writer, [], files, author=author, committer=author, message=message, time=1_700_000_000
        )
        writer.finish()
    git("index-pack", "--stdin", cwd=folder, stdin=pack.read_bytes())
    git("update-ref", "refs/heads/main", made, cwd=folder)
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, TEXTS, TEXTS)
@example("Data Bot\n", "a@b", "m")
@example("", "", "")
@example("a <b", "c> d", "\0")
@example("\ud800", "\ud800", "\ud800")
def test_whatever_author_and_message_there_are(name: str, address: str, message: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = commit(Path(folder, "x.git"), ["a/b.yaml"], f"{name} <{address}>", message)
        git("fsck", "--strict", cwd=Path(folder, "x.git"))
        assert git("log", "--format=%H", "main", cwd=Path(folder, "x.git")).strip() == made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PARTS, min_size=1, max_size=4), st.sampled_from([None, 0o120000, 0o100755]))
@example([".gitmodules"], 0o120000)
@example([".gitmodules", "x"], None)
@example([".GitAttributes ", "x"], None)
@example(["a", ".git. ", "b"], None)
def test_whatever_path_there_is(parts: list[str], mode: int | None) -> None:
    """It is refused, or a tree that git takes."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(GitIntegrationError):
        commit(Path(folder, "x.git"), ["/".join(parts)], mode=mode)
        git("fsck", "--strict", cwd=Path(folder, "x.git"))


@pytest.mark.parametrize(
    "path", [".git/config", "a/.GIT/x", "git~1/x", "a/../b", "a//b", ".git ::$x/y", "\u200c.git/x", ""]
)
def test_what_no_tree_may_hold_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(GitIntegrationError, match="not a path that can be committed"):
        commit(tmp_path / "x.git", [path])


def test_gitmodules_is_no_link(tmp_path: Path) -> None:
    with pytest.raises(GitIntegrationError, match="not a path that can be committed"):
        commit(tmp_path / "x.git", ["a/.gitmodules"], mode=0o120000)
