"""Edits touch the lines of what changed and nothing else, and always read back as what was meant."""

from __future__ import annotations

import copy
import difflib
import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitintegration.core.diff import same
from gitintegration.core.yaml_edit import Location, edit_file
from gitintegration.core.yaml_read import read_documents
from gitintegration.core.yaml_render import render

FILE = """\
# Orders, every morning.
apiVersion: planasonix.com/v1alpha1
kind: Pipeline
metadata:
  name: orders   # the key
  labels: {team: crm, tier: "gold"}
spec:
  displayName: 'Orders'
  schedule: "0 5 * * *" # early

  # who is called at night
  owner: ann
  enabled: yes
  steps:
    - name: extract
      sql: |
        select *
        from orders
      # keep this small
      batch: 100
    # the last one
    - name: load
      table: dwh.orders
  tags:
  - a
  - b
"""
D = read_documents(FILE.encode())[0]


class Made(NamedTuple):
    source: bytes
    lossy: bool


def set_item(source: bytes, path: str, location: Location, new: Any) -> Made:
    result = edit_file(source, path, {location: new})
    assert result.source is not None
    return Made(result.source, result.lossy)


def remove_item(source: bytes, path: str, location: Location) -> bytes | None:
    return edit_file(source, path, {location: None}).source


def changed(path: str, value: Any) -> Any:
    new = copy.deepcopy(D)
    at = new
    *steps, last = path.split("/")
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at[step]
    key: Any = int(last) if isinstance(at, list) else last
    if value is ...:
        del at[key]
    elif isinstance(at, list) and key == len(at):
        at.append(value)
    else:
        at[key] = value
    return new


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        ("spec/schedule", "30 6 * * *", ['-  schedule: "0 5 * * *" # early', '+  schedule: "30 6 * * *" # early']),
        ("spec/displayName", "Ann's", ["-  displayName: 'Orders'", "+  displayName: 'Ann''s'"]),
        ("spec/owner", "true", ["-  owner: ann", '+  owner: "true"']),
        ("spec/owner", None, ["-  owner: ann", "+  owner: null"]),
        ("spec/enabled", False, ["-  enabled: yes", "+  enabled: false"]),
        ("spec/enabled", ..., ["-  enabled: yes"]),
        ("spec/steps/0/batch", 5, ["-      batch: 100", "+      batch: 5"]),
        ("spec/steps/0/sql", "select 1\nfrom x\n", [
            "-        select *", "-        from orders", "+        select 1", "+        from x"]),
        ("spec/steps/1/mode", "append", ["+      mode: append"]),
        ("spec/steps/2", {"name": "check", "n": 1}, ["+    - name: check", '+      "n": 1']),
        ("spec/steps/0", ..., None),
        ("spec/steps/1", ..., ["-    # the last one", "-    - name: load", "-      table: dwh.orders"]),
        ("spec/tags/2", "c", ["+  - c"]),
        ("spec/tags/0", "z", ["-  - a", "+  - z"]),
        ("spec/tags/0", ..., ["-  - a"]),
        ("spec/new", {"a": [1, {"b": "x"}]}, ["+  new:", "+    a:", "+      - 1", "+      - b: x"]),
        ("metadata/labels/team", "ops", ['-  labels: {team: crm, tier: "gold"}', '+  labels: {team: ops, tier: "gold"}']),
        ("metadata/labels/x", "1", ['-  labels: {team: crm, tier: "gold"}', '+  labels: {team: crm, tier: "gold", x: "1"}']),
        ("metadata/annotations", {"a/b": "1"}, ["+  annotations:", '+    a/b: "1"']),
        ("spec/tags", [], ["-  tags:", "-  - a", "-  - b", "+  tags: []"]),
        ("spec/owner", "a: b # c", ["-  owner: ann", '+  owner: "a: b # c"']),
    ],
)  # fmt: skip
def test_an_edit_changes_its_own_lines(path: str, value: Any, lines: list[str] | None) -> None:
    new = changed(path, value)
    made = set_item(FILE.encode(), "x.yaml", Location(0), new)
    assert not made.lossy
    assert read_documents(made.source)[0] == new
    if lines is not None:
        found = difflib.unified_diff(FILE.splitlines(), made.source.decode().splitlines(), lineterm="", n=0)
        assert [line for line in found if not line.startswith(("---", "+++", "@@"))] == lines


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_endings_and_other_documents_stay(ending: str) -> None:
    text = (FILE + "---\n# second\nkind: Other\nx: &a {b: 1}\ny: *a\n---\n" + FILE).replace("\n", ending)
    new = changed("spec/owner", "bob")
    made = set_item(text.encode(), "x.yaml", Location(2), new).source.decode()
    assert made == text[: len(text) // 2] + text[len(text) // 2 :].replace("owner: ann", "owner: bob")


def test_a_document_is_taken_out_of_its_file() -> None:
    text = "# a\nkind: A\n---\n# b\nkind: B\n---\nkind: C\n"
    assert remove_item(text.encode(), "x.yaml", Location(1)) == b"# a\nkind: A\n---\nkind: C\n"
    assert remove_item(text.encode(), "x.yaml", Location(2)) == b"# a\nkind: A\n---\n# b\nkind: B\n"
    assert remove_item(b"# a\nkind: A\n", "x.yaml", Location(0)) is None


def test_an_item_of_a_list_is_edited_and_removed() -> None:
    text = "kind: List\nitems:\n- kind: A  # one\n  x: 1\n- kind: B\n  x: 2\n"
    made = set_item(text.encode(), "x.yaml", Location(0, 1), {"kind": "B", "x": 3}).source
    assert made.decode() == text.replace("x: 2", "x: 3")
    assert remove_item(text.encode(), "x.yaml", Location(0, 0)) == b"kind: List\nitems:\n- kind: B\n  x: 2\n"


def test_an_edit_under_an_alias_leaves_the_anchor() -> None:
    text = "a: &x\n  k: 1\nb: *x\nc: {<<: *x, z: 2}\nd:\n  <<: *x\n  z: 2\n"
    value = read_documents(text.encode())[0]
    for path, new in (("b", {"k": 5}), ("d", {"k": 7, "z": 2}), ("c", {"k": 1, "z": 9}), ("a", {"k": 2})):
        wanted = {**value, path: new}
        assert read_documents(set_item(text.encode(), "x.yaml", Location(0), wanted).source)[0] == wanted
    assert (
        "a: &x\n  k: 1\nb:\n  k: 5\n"
        in set_item(text.encode(), "x", Location(0), {**value, "b": {"k": 5}}).source.decode()
    )


@pytest.mark.parametrize("indent", [None, 2, 4, "\t"])
def test_json_keeps_its_shape(indent: Any) -> None:
    value = {"kind": "A", "spec": {"b": 1, "a": [1, 2], "t": "é"}}
    text = json.dumps(value, indent=indent, ensure_ascii=False) + "\n"
    new = {"kind": "A", "spec": {"b": 2, "a": [1, 2], "t": "é"}}
    assert set_item(text.encode(), "x.json", Location(0), new).source.decode() == text.replace('"b": 1', '"b": 2')


TEXT = st.text(alphabet=st.sampled_from("ab 0:#-\n'\"yn~{}[],&*!|>%@`é\t"), max_size=8) | st.sampled_from(
    ["yes", "null", "1e3", "0x1", "2020-01-01", "1:30", "~", "-", "<<", "=", "---", "a\nb\n", "a\nb", "x\n\n"]
)
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([1.5, 1e20]) | TEXT
KEYS = st.sampled_from(["a", "b", "c", "name", "y", "a b", "1", "x/y.z"])
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=10)
MANIFESTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)


@given(MANIFESTS, MANIFESTS, st.booleans())
@settings(deadline=None, max_examples=300)
def test_whatever_is_written_reads_as_it_was_meant(old: Any, new: Any, json_too: bool) -> None:
    path = "x.json" if json_too else "x.yaml"
    source = render(old, path)
    other = b"" if json_too else b"---\nkind: Other # stays\n"
    made = set_item(source + other, path, Location(0), new).source
    assert same(read_documents(made)[0], new) or json_too
    if json_too:
        assert same(json.loads(made), new)
    else:
        assert made.endswith(other)


@given(MANIFESTS, st.data())
@settings(deadline=None, max_examples=200)
def test_one_plain_scalar_is_one_line(value: Any, data: st.DataObject) -> None:
    value = {**value, "zz": {"k": 1}}
    source = render(value, "x.yaml")
    new = {**value, "zz": {"k": data.draw(st.integers(2, 9))}}
    made = set_item(source, "x.yaml", Location(0), new)
    pairs = zip(source.decode().split("\n"), made.source.decode().split("\n"), strict=True)
    assert sum(a != b for a, b in pairs) == 1


@pytest.mark.parametrize("path", ["x.json", "x.yaml"])
@pytest.mark.parametrize("listed", [False, True])
def test_a_file_whose_last_manifest_goes_is_removed(path: str, listed: bool) -> None:
    pipeline = {"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline", "metadata": {"name": "a"}}
    value = {"apiVersion": "v1", "kind": "List", "items": [pipeline]} if listed else pipeline
    at = Location(0, 0) if listed else Location(0)
    assert edit_file(json.dumps(value).encode(), path, {at: None}).source is None
