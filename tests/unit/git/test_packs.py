"""A pack written in several goes is one that git itself takes."""

from __future__ import annotations

from pathlib import Path

from dulwich.objects import Blob

from gitintegration.git.packs import PackWriter
from tests.bed.gitserver import git


def test_git_takes_what_was_written_in_several_goes_each_object_once(tmp_path: Path) -> None:
    git("init", "--quiet", "--bare", str(tmp_path / "r"))
    path, known, size = tmp_path / "pack", set[str](), 0
    goes = [[b"one", b"two" * 1000], [], [b"three", b"one"], [b"three"]]
    for number, contents in enumerate(goes, start=1):
        for broken_off in (True, False):  # what it wrote so far is written over
            with PackWriter(path, known, size) as writer:
                names = [writer.add_blob(content) for content in [*([b"lost" * 100] * broken_off), *contents]]
                if number == len(goes):
                    writer.finish()
                after = writer.size
        size = after
        assert names == [Blob.from_string(content).id.decode() for content in contents]
        known |= set(names)
    git("unpack-objects", "--strict", cwd=tmp_path / "r", stdin=path.read_bytes())
    shas = git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", cwd=tmp_path / "r").split()
    assert set(shas) == known == {Blob.from_string(content).id.decode() for contents in goes for content in contents}
    assert int.from_bytes(path.read_bytes()[8:12], "big") == len(known)
