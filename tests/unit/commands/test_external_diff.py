"""What a diff program of the user's is given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gitintegration.commands import external_diff
from gitintegration.core.plan.line_patch import line_patch
from gitintegration.errors import GitIntegrationError

LONG = "".join(f"line {n}\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", []),
        ("meld", ["meld"]),
        ("diff -u -N", ["diff", "-u", "-N"]),
        ("diff  --color=always", ["diff", "--color=always"]),
        ("diff -u ; rm -rf /", ["diff", "-u", "rm", "-rf"]),
        ("/opt/my/tool --theme=x/y", ["/opt/my/tool"]),
    ],
)
def test_words_are_split_as_kubectl_does(value: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", value)
    assert external_diff.program() == words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb\n", "a\nc\n"),
        (None, "a\nb\n"),
        ("a\nb\n", None),
        ("a\nb", "a\nc"),
        ("a\nb", "a\nb\n"),
        ("--- a/x\n", "+++ b/x\n"),
        ("@@ -1 +1 @@\n", "x\n"),
        ("a\r\nb\r\n", "a\r\nc\r\n"),
    ],
)
def test_both_sides_of_a_short_patch_are_the_files(old: str | None, new: str | None) -> None:
    assert external_diff.sides(line_patch("pipelines/x.yaml", old, new).text) == (old, new)


def test_of_a_long_file_it_is_what_changes_and_where() -> None:
    old, new = external_diff.sides(line_patch("x", LONG, LONG.replace("line 20\n", "other\n")).text)
    around = "# from line 17 on\nline 17\nline 18\nline 19\n{}\nline 21\nline 22\nline 23\n"
    assert (old, new) == (around.format("line 20"), around.format("other"))


ROWS: list[dict[str, Any]] = [
    {"path": "../../etc/passwd", "patch": line_patch("x", "a\n", "b\n").text},
    {"path": "pipelines/x.yaml", "kind": "Pipeline", "name": "x", "patch": line_patch("x", None, "b\n").text},
]
_LISTS = "import os, sys; print([sorted(os.listdir(d)) for d in sys.argv[1:3]], sys.argv[3:]); sys.exit({})"


@pytest.mark.parametrize("code", [0, 1])
def test_it_is_given_two_folders(code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "program"
    script.write_text(f"#!{sys.executable}\n{_LISTS.format(code)}\n")
    script.chmod(0o755)
    assert external_diff.run([str(script), "-u"], ROWS) == code
    both, one = ["0000..._.._etc_passwd", "0001.Pipeline.x"], ["0000..._.._etc_passwd"]
    assert capfd.readouterr().out == f"{[one, both]} ['-u']\n"


def test_a_program_that_fails_is_told(tmp_path: Path) -> None:
    script = tmp_path / "program"
    script.write_text(f"#!{sys.executable}\nimport sys; sys.exit(3)\n")
    script.chmod(0o755)
    for program, words in (("/none/such", "can't be run"), (str(script), "ended with 3")):
        with pytest.raises(GitIntegrationError, match=f"KUBECTL_EXTERNAL_DIFF: {program} {words}"):
            external_diff.run([program], ROWS)
