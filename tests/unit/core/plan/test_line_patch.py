"""Patches are what git takes: applied to the one text they give the other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitintegration.core.plan.line_patch import line_patch

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "  x: 1", "\r", "# ü", "\f", "\u2028"]), max_size=12)
TEXTS = st.one_of(st.none(), st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"])))


def applied(folder: Path, path: str, old: str | None, new: str | None) -> str | None:
    """The file as git makes it of the old one by the patch."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).unlink(missing_ok=True)
    if old is not None:
        (folder / path).write_bytes(old.encode())
    patch = line_patch(path, old, new).text.encode()
    if patch:
        command = ["git", "apply", "--whitespace=nowarn", "-"]
        done = subprocess.run(command, cwd=folder, input=patch, capture_output=True)
        assert not done.returncode, (done.stderr.decode(), patch)
    return (folder / path).read_bytes().decode() if (folder / path).exists() else None


@settings(max_examples=150)
@given(TEXTS, TEXTS)
def test_git_makes_the_new_text_of_the_old_one(
    tmp_path_factory: pytest.TempPathFactory, old: str | None, new: str | None
) -> None:
    assert applied(tmp_path_factory.mktemp("work"), "a/b.yaml", old, new) == new


@pytest.mark.parametrize(
    "path", ["a b.yaml", 'q"uote.yaml', "tab\t.yaml", "ünï.yaml", "back\\slash.yaml", "line\nend.yaml", "\x01.yaml"]
)
def test_any_path_is_named_as_git_names_it(tmp_path: Path, path: str) -> None:
    assert applied(tmp_path, path, "a\n", "b\n") == "b\n"
    assert applied(tmp_path, path, None, "b\n") == "b\n"
    assert applied(tmp_path, path, "b\n", None) is None


def test_edits_far_apart_are_told_as_such() -> None:
    old = [f"line {n}\n" for n in range(5000)]
    new = [*old]
    new[10], new[4990] = "first\n", "last\n"
    del new[2500]
    made = line_patch("a", "".join(old), "".join(new))
    assert (made.added, made.removed, made.text.count("@@ -")) == (2, 3, 3)
    assert len(made.text) < 1000


def test_lines_that_repeat_are_told_as_one_piece() -> None:
    """difflib took more than a minute for these."""
    old, new = ["a\n", "b\n"] * 10_000, ["b\n", "a\n", "c\n"] * 7_000
    made = line_patch("a", "".join(old), "".join(new))
    assert (made.added, made.removed) == (21_000, 20_000)
    assert made.text.count("@@ -") == 1
