"""YAML is read as kubectl reads it: the same text through both, value by value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gitintegration.core.diff import same
from gitintegration.core.invalid import ManifestError
from gitintegration.core.yaml_read import read_documents
from tests.bed.controlplane import ControlPlane

HEAD = "apiVersion: planasonix.com/v1alpha1\nkind: Pipeline\nmetadata: {name: a}\nspec:\n"
SCALARS = [
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "Y",
    "N",
    "Yes",
    "NO",
    "On",
    "OFF",
    "true",
    "True",
    "TRUE",
    "tRue",
    "0777",
    "0o777",
    "0x1F",
    "0b101",
    "-0b11",
    "1_000",
    "1_0.5",
    "+12",
    "-3",
    "08",
    "09.5",
    "1e3",
    "1E+3",
    "1.5e-3",
    ".5",
    "5.",
    ".",
    "~",
    "null",
    "Null",
    "NULL",
    "nUll",
    "2020-01-01",
    "2020-01-01T00:00:00Z",
    "1:30",
    "1:30:20",
    "190:20:30",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "0_1",
    "_1",
    "1_",
    "0x",
    "0o8",
    "1e",
    "1e400",
    "0.1",
    "1.0",
    "100000000000000000000.0",
    "-0",
    "+.5",
    "1__0",
    "=",
    '"a"',
    "'b'",
    "a#b",
    "a:b",
    "-a",
    "?a",
    '"yes"',
    "'1'",
]
TAGGED = ["!!str 1", '!!int "3"', "!!float 3", '!!bool "yes"', "!!binary aGVsbG8=", '!!null ""', "!foo bar"]
BODIES = [
    *(f"  k: {text}\n" for text in (*SCALARS, *TAGGED)),
    "  1: a\n",
    "  1.5: a\n",
    "  yes: a\n",
    "  0x10: a\n",
    "  1e3: a\n",
    "  2020-01-01: x\n",
    "  b: &x {q: 1}\n  c: {<<: *x, q: 2}\n  d: {<<: [*x, {z: 1, q: 3}]}\n",
    "  s: |\n    a\n     b\n\n  f: >-\n    a\n    b\n\n    c\n",
    '  s: "a\\tb\\u00e9"\n',
    "  s: 'it''s'\n",
    "  ? a\n  : b\n",
    "  a:\n  b: {}\n  c: []\n",
    "  l:\n  - a\n  -\n  - {}\n",
    "  t:\tx\n",
    "  '<<': 1\n",
    "  <<: {a: 1}\n",
    "  a: &y yes\n  b: *y\n",
    "  s: |+\n    a\n\n",
    '  s: "a\\\n    b"\n',
]
WHOLE = [
    "\ufeff" + HEAD + "  a: 1\n",
    (HEAD + "  a: 1\n").replace("\n", "\r\n"),
    "---\n# x\n---\n" + HEAD + "  a: 1\n...\n",
]
REFUSED = [
    "  k: -\n",
    "  k: @\n",
    "  k: .inf\n",
    "  k: .NaN\n",
    "  ~: a\n",
    "\ta: b\n",
    "  ? [a]\n  : c\n",
    "  k: [1\n",
]


def kubectl(plane: ControlPlane, text: str) -> str:
    return plane.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", stdin=text)


def decoded(text: str) -> Iterator[Any]:
    """kubectl prints one JSON object after the other."""
    decoder = json.JSONDecoder(parse_int=orjson.loads)  # beyond 64 bits a float, as the operator reads the API server
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:]


def test_values_are_read_alike(control_plane: ControlPlane) -> None:
    sources = [HEAD + body for body in BODIES]
    read = list(decoded(kubectl(control_plane, "---\n".join(sources))))
    assert len(read) == len(sources)
    for source, theirs in zip(sources, read, strict=True):
        ours = read_documents(source.encode())[0]
        assert same(ours["spec"], theirs["spec"]), source


@pytest.mark.parametrize("text", WHOLE)
def test_whole_files_are_read_alike(control_plane: ControlPlane, text: str) -> None:
    ours = [document for document in read_documents(text.encode()) if document is not None]
    assert [d["spec"] for d in ours] == [json.loads(kubectl(control_plane, text))["spec"]]


@pytest.mark.parametrize("body", REFUSED)
def test_what_kubectl_refuses_is_refused(control_plane: ControlPlane, body: str) -> None:
    with pytest.raises(RuntimeError):
        kubectl(control_plane, HEAD + body)
    with pytest.raises(ManifestError):
        read_documents((HEAD + body).encode())
