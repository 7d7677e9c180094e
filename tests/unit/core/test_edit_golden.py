"""Edits of each style and each kind, as text: `edits.golden` holds a file, the value it is to have, and what it is then.

A text that a line break does not end, or that holds carriage returns, is written as a JSON string there.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gitintegration.core.invalid import ManifestError
from gitintegration.core.manifest_file import read_file
from gitintegration.core.yaml_edit import Location, edit_file, new_file
from gitintegration.core.yaml_read import ReadLimits, read_documents

GOLDEN = Path(__file__).with_name("edits.golden").read_text()
CASES = re.findall(
    r"^==== (.+?) \((.+?)\)( lossy)?\n(.*?)^---- (.+?)\n(.*?)(?=^==== |\Z)", GOLDEN, re.MULTILINE | re.DOTALL
)


def unpacked(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') and text.count("\n") == 1 else text


@pytest.mark.parametrize(("name", "path", "lossy", "source", "value", "result"), CASES, ids=[case[0] for case in CASES])
def test_an_edit_looks_like_its_file(name: str, path: str, lossy: str, source: str, value: str, result: str) -> None:
    made = edit_file(unpacked(source).encode(), path, {Location(0): json.loads(value)})
    assert made.source is not None
    assert made.source.decode() == unpacked(result)
    assert made.lossy == bool(lossy)
    assert read_file(path, made.source, ReadLimits()) == [json.loads(value)]


def test_there_are_cases() -> None:
    assert len(CASES) == GOLDEN.count("==== ")


REMOVALS = {
    "licence": ("# Copyright\n\nkind: A\n---\nkind: B\n", [0], "# Copyright\n\n---\nkind: B\n"),
    "licence directly above": ("# SPDX: MIT\nkind: A\n---\nkind: B\n", [0], "# SPDX: MIT\n---\nkind: B\n"),
    "own comment": ("# about A\nkind: A\n---\nkind: B\n", [0], "---\nkind: B\n"),
    "above the next": ("kind: A\n---\nkind: B\n# about C\n---\nkind: C\n", [1], "kind: A\n# about C\n---\nkind: C\n"),
    "the last": ("kind: A\n---\n# about B\nkind: B\n", [1], "kind: A\n"),
    "foot": ("kind: A\n---\nkind: B\n\n# vim: ts=2\n", [1], "kind: A\n# vim: ts=2\n"),
    "two": ("kind: A\n---\nkind: B\n---\nkind: C\n---\nkind: D\n", [0, 2], "---\nkind: B\n---\nkind: D\n"),
    "dots": ("kind: A\n...\n---\nkind: B\n...\n---\nkind: C\n", [1], "kind: A\n...\n---\nkind: C\n"),
    "all": ("# c\nkind: A\n---\nkind: B\n", [0, 1], None),
}


@pytest.mark.parametrize("name", REMOVALS)
def test_documents_go_without_what_is_not_theirs(name: str) -> None:
    source, gone, wanted = REMOVALS[name]
    made = edit_file(source.encode(), "x.yaml", {Location(number): None for number in gone}).source
    assert (made.decode() if made is not None else None) == wanted


def test_items_of_a_list_are_set_and_removed_at_once() -> None:
    items = "".join(f"# {n}\n- kind: K\n  metadata: {{name: {n}}}\n  x: 1 # x{n}\n" for n in "abcd")
    source = f"kind: List\nitems:\n{items}".encode()
    value = {"kind": "K", "metadata": {"name": "c"}, "x": 2}
    made = edit_file(source, "x.yaml", {Location(0, 0): None, Location(0, 1): None, Location(0, 2): value})
    assert made.source is not None
    assert made.source.decode() == (
        "kind: List\nitems:\n# c\n- kind: K\n  metadata: {name: c}\n  x: 2 # xc\n# d\n- kind: K\n  metadata: {name: d}\n  x: 1 # xd\n"
    )
    assert not made.lossy


@pytest.mark.parametrize("path", ["x.yaml", "x.json"])
def test_a_new_file_is_read_back(path: str) -> None:
    value = {"apiVersion": "v1", "kind": "K", "metadata": {"name": "a"}, "spec": {"a": "b"}}
    made = new_file(value, path)
    assert made.source
    assert read_file(path, made.source, ReadLimits()) == made.documents == [value]
    with pytest.raises(ManifestError):
        new_file({**value, "spec": {"a": "x" * (1 << 20)}}, path)


def test_a_new_file_that_could_not_be_read_is_not_made() -> None:
    with pytest.raises(ManifestError):
        new_file({"kind": "K", "k" * 1100: 1}, "x.yaml")


@pytest.mark.parametrize("document", ["a: &x {k: 1}\nb: *x\n", "a: |\n  x\n", "- &b a\n- *b\n"])
def test_a_file_without_a_last_line_break_stays_without(document: str) -> None:
    source = document.removesuffix("\n")
    value = read_documents(source.encode())[0]
    new = [*value, "z"] if isinstance(value, list) else {**value, "z": "last"}
    made = edit_file(source.encode(), "x.yaml", {Location(0): new}).source
    assert made is not None
    assert made.decode().startswith(source)
    assert not made.endswith(b"\n")
