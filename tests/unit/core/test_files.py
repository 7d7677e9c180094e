"""Manifest files: what is read of them, how, where they lie, and how new ones are written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.core.diff import ABSENT, Item
from gitintegration.core.invalid import ManifestError
from gitintegration.core.layout import (
    Layout,
    NewPaths,
    NoPlaceError,
    Summary,
    commit_message,
    folder_of,
    words_elsewhere,
)
from gitintegration.core.manifest_file import parse_file
from gitintegration.core.schema import Schema
from gitintegration.core.yaml_read import ReadLimits, read_documents, read_json, resolve_plain
from gitintegration.core.yaml_render import render

KINDS = {("planasonix.com", "Pipeline")}
GOOD = "apiVersion: planasonix.com/v1alpha1\nkind: Pipeline\nmetadata: {name: %s}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("n", False),
        ("~", None),
        ("null", None),
        ("0o17", 15),
        ("017", 15),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("1e3", 1000),
        ("1.5", 1.5),
        ("1.0", 1),
        ("+12", 12),
        ("08", 8),
        ("12:30:45", "12:30:45"),
        ("2024-01-02", "2024-01-02"),
        ("v1", "v1"),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        ("18446744073709551615", 18446744073709552000.0),
        ("123456789012345678901", 123456789012345680000.0),
        ("1e20", 1e20),
        ("1e18", 10**18),
        ("-9223372036854775809", -9223372036854775808.0),
        ("0xffffffffffffffffff", "0xffffffffffffffffff"),
        ("0x" + "f" * 300, "0x" + "f" * 300),
        ("1" * 5000, "1" * 5000),
        ("0" * 5000 + "7", 7),
    ],
)
def test_plain_scalars_as_kubectl_reads_them(text: str, value: Any) -> None:
    found = resolve_plain(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("source", "values"),
    [
        (b"", []),
        (b"---\n---\n", [None, None]),
        (b"a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        (b"\xef\xbb\xbfa: 1\r\n", [{"a": 1}]),
        ("a: ä".encode("utf-16"), [{"a": "ä"}]),
        (b"x: &a {p: 1, q: 2}\nz: {<<: *a, q: 3}\n", [{"x": {"p": 1, "q": 2}, "z": {"p": 1, "q": 3}}]),
        (b"1: a\ntrue: b\n", [{"1": "a", "true": "b"}]),
        (b"a: !!binary aGk=\n", [{"a": "hi"}]),
        (b"a: !!str 12\n", [{"a": "12"}]),
        (b"a: |\n  x\n  y\n", [{"a": "x\ny\n"}]),
        (b"a: |\n  x\n  y", [{"a": "x\ny\n"}]),
        (b"{x: &a {p: 1}, z: {p: 2, <<: *a}}", [{"x": {"p": 1}, "z": {"p": 1}}]),
        (
            b"{x: &a {p: 1}, w: &b {p: 2, q: 3}, z: {<<: [*a, *b]}}",
            [{"x": {"p": 1}, "w": {"p": 2, "q": 3}, "z": {"p": 1, "q": 3}}],
        ),
        (b"{x: &a {p: 1}, w: &b {p: 2}, z: {<<: *a, <<: *b}}", [{"x": {"p": 1}, "w": {"p": 2}, "z": {"p": 2}}]),
    ],
)
def test_documents(source: bytes, values: list[Any]) -> None:
    assert read_documents(source) == values


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"a: [", "NotYAML"),
        (b"a: 1\na: 2\n", "NotYAML"),
        (b"a: *nowhere\n", "NotYAML"),
        (b"\xff\xff", "NotYAML"),
        (b"a\0b", "NotYAML"),
        (b"a: .nan\n", "NotYAML"),
        (b"- " * 200 + b"1", "TooDeep"),
        (b"x" * 2000, "TooLarge"),
        (b"a: &a [1,1,1,1]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n", "TooLarge"),
        (b"a: &a " + b"x" * 600 + b"\nb: [" + b"*a," * 14 + b"]\n", "TooLarge"),
        (b"a: &a " + b"[" * 60 + b"]" * 60 + b"\nb: " + b"[" * 60 + b"*a" + b"]" * 60, "TooDeep"),
        (b"a: [b?c]\n", "NotYAML"),
        (b'a: "\\/"\n', "NotYAML"),
        (b"a: [!b,c]\n", "NotYAML"),
        (b"%YAML 1.2\n---\na: b\n", "NotYAML"),
        (b"a: b\n\xef\xbb\xbfc: d\n", "NotYAML"),
        (b"1234567.5: b\n", "NotYAML"),
        (b"a: !!int 1.0\n", "NotYAML"),
        (b"a: !!binary abc\n", "NotYAML"),
    ],
)
def test_what_is_no_yaml_for_us(source: bytes, reason: str) -> None:
    with pytest.raises(ManifestError) as told:
        read_documents(source, ReadLimits(size=1000, depth=100, nodes=200))
    assert told.value.reason.value == reason


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b'{"a": 1, "a": 2}', "NotYAML"),
        (b"[" * 101 + b"]" * 101, "TooDeep"),
        (b"[" * 5000, "TooDeep"),
        (b'{"a": 1e400}', "NotYAML"),
        (b'{"a": ' + b"9" * 900 + b"}", "NotYAML"),
        (b'{"a": "\\ud800"}', "NotYAML"),
        (b'{"a": NaN}', "NotYAML"),
    ],
)
def test_what_is_no_json_for_us(source: bytes, reason: str) -> None:
    with pytest.raises(ManifestError) as told:
        read_json(source, ReadLimits(size=10_000))
    assert told.value.reason.value == reason


def test_numbers_of_json_are_those_of_the_api_server() -> None:
    read = read_json(
        b'{"a": 9223372036854775807, "b": 18446744073709551615, "c": 123456789012345678901, "d": 1.50, "e": 1e3}'
    )
    assert read == {"a": 2**63 - 1, "b": 18446744073709552000.0, "c": 123456789012345680000.0, "d": 1.5, "e": 1000}
    assert read_json(b"[" * 100 + b"]" * 100)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(source: bytes) -> None:
    for read in (read_documents, read_json):
        try:
            read(source)
        except ManifestError as error:
            assert error.message


@pytest.mark.parametrize(
    ("path", "source", "names", "reasons"),
    [
        ("a.yaml", GOOD % "a", ["a"], []),
        ("a.yaml", f"{GOOD % 'a'}---\n{GOOD % 'b'}", ["a", "b"], []),
        ("a.yaml", f"{GOOD % 'a'}---\n{GOOD % 'a'}---\n{GOOD % 'c'}", ["c"], ["Duplicate"]),
        ("a.yaml", GOOD % "Bad", [], ["InvalidName"]),
        ("a.yaml", GOOD % "1", [], ["InvalidName"]),
        ("a.yaml", GOOD % "a, namespace: other", [], ["WrongNamespace"]),
        ("a.yaml", GOOD % "a, namespace: data", ["a"], []),
        ("a.yaml", "apiVersion: planasonix.com/v1alpha1\nkind: Pipeline\n", [], ["NoName"]),
        ("a.yaml", "kind: Pipeline\nmetadata: {name: a}\n", [], []),
        ("a.yaml", "- 1\n", [], []),
        ("a.json", '{"apiVersion": "planasonix.com/v2", "kind": "Pipeline", "metadata": {"name": "a"}}', ["a"], []),
        ("a.json", '{"a": 1} trailing', [], ["NotYAML"]),
        (
            "l.yaml",
            "kind: List\napiVersion: v1\nitems:\n- {apiVersion: planasonix.com/v1, kind: Pipeline, metadata: {name: a}}\n- 5\n",
            ["a"],
            [],
        ),
    ],
)
def test_the_items_of_a_file(path: str, source: str, names: list[str], reasons: list[str]) -> None:
    found = parse_file(path, source.encode(), KINDS, "data")
    assert [item.key.name for item in found.items] == names
    assert [problem.reason.value for problem in found.problems] == reasons
    assert all(problem.path == path and problem.message for problem in found.problems)


_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.text(max_size=12), st.floats(-1e6, 1e6)
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1, max_size=6), _JSON, max_size=4), st.sampled_from(["x.yaml", "x.json"]))
def test_what_is_rendered_is_read_back(spec: Any, path: str) -> None:
    value = {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, "spec": spec}
    source = render(value, path)
    (read,) = [read_json(source)] if path.endswith(".json") else read_documents(source)
    assert read == value


def test_a_new_file_looks_like_one_that_a_person_wrote() -> None:
    value = {
        "spec": {"sql": "select 1\nfrom t\n", "on": "no", "steps": [{"name": "a", "args": ["x", "1"]}], "none": {}},
        "metadata": {"labels": {"team": "crm"}, "name": "orders"},
        "kind": "Pipeline",
        "apiVersion": "planasonix.com/v1alpha1",
    }
    assert render(value, "a.yaml").decode() == (
        "apiVersion: planasonix.com/v1alpha1\nkind: Pipeline\nmetadata:\n  name: orders\n  labels:\n    team: crm\n"
        'spec:\n  sql: |\n    select 1\n    from t\n  "on": "no"\n  steps:\n  - name: a\n    args:\n    - x\n    - "1"\n'
        "  none: {}\n"
    )


@pytest.mark.parametrize(
    ("paths", "remedy"),
    [
        (["a.yaml"], "1 manifest lies elsewhere: set spec.pathPrefix to '' (the whole repository)"),
        (["a.yaml", "etl/b.yaml"], "2 manifests lie elsewhere: set spec.pathPrefix to '' (the whole repository)"),
        (["Pipelines/a.yaml"], "set spec.pathPrefix to 'Pipelines/'"),
        (["etl/crm/a.yaml", "etl/crm/x/b.yaml"], "set spec.pathPrefix to 'etl/crm/'"),
        (["etl/crm/a.yaml", "etl/ops/b.yaml"], "set spec.pathPrefix to 'etl/'"),
        (["b/x/a.yaml", "a/b.yaml"], "set spec.pathPrefix to the one that is meant of 'a/', 'b/'"),
        ([f"{n}/a.yaml" for n in "abcde"], "of 'a/', 'b/', 'c/' and 2 more"),
    ],
)
def test_which_prefix_would_have_what_lies_elsewhere(paths: list[str], remedy: str) -> None:
    told = words_elsewhere("pipelines/", paths)
    assert told.startswith("none lies below 'pipelines/', and ")
    assert told.endswith(remedy)


@pytest.mark.parametrize(
    ("prefix", "folder"),
    [("", ""), (".", ""), ("./", ""), ("/", ""), ("a", "a/"), ("a/", "a/"), ("./a/b", "a/b/"), ("..a", "..a/")],
)
def test_a_prefix_names_its_folder_in_one_way(prefix: str, folder: str) -> None:
    assert folder_of(prefix) == folder


@pytest.mark.parametrize(
    ("prefix", "ignore", "path", "covered"),
    [
        ("pipelines/", "", "pipelines/a.yaml", True),
        ("pipelines", "", "pipelines/deep/er/a.json", True),
        ("/pipelines/", "", "pipelines2/a.yaml", False),
        (".", "", "a.yml", True),
        ("", "", "a.txt", False),
        ("p", "*.draft.yaml", "p/a.draft.yaml", False),
        ("p", "/only", "p/only/a.yaml", False),
        ("p", "attic/\n!attic/keep.yaml", "p/attic/old.yaml", False),
        ("p", "*.yaml\n!keep.yaml", "p/keep.yaml", True),
        ("p", "# comment\n\n", "p/a.yaml", True),
    ],
)
def test_what_a_layout_covers(prefix: str, ignore: str, path: str, covered: bool) -> None:
    assert Layout.of(prefix, None, ignore, "", 1).covers(path) is covered


def test_the_place_of_a_new_file() -> None:
    one, several = Layout.of("p", None, "", "", 1), Layout.of("", None, "", "", 2)
    places = NewPaths(one, ["p/b.yaml", "p/c.yaml", "p/c-pipeline.yaml"])
    assert places.give("Pipeline", "a") == "p/a.yaml"
    assert NewPaths(several, []).give("Task", "a") == "task/a.yaml"
    assert places.give("Pipeline", "b") == "p/b-pipeline.yaml"
    assert places.give("Pipeline", "c") == "p/c-2.yaml"
    assert places.give("Pipeline", "a") == "p/a-pipeline.yaml", "what was given is taken"
    long = [NewPaths(one, []).give("Pipeline", "a" * 252 + end) for end in "bc"]
    assert long[0] != long[1]
    assert all(len(path) < 220 for path in long)


TREE: dict[str, dict[str, bool]] = {
    "": {"p": True, "README.md": False},
    "p/": {
        "Orders.yaml": False,
        "caf\u00e9.yaml": False,
        "link.yaml": False,
        "folder.yaml": True,
        "task": False,
        "Flow": True,
        "ignored.yaml": False,
    },
}


@pytest.mark.parametrize(
    ("template", "kind", "name", "path"),
    [
        ("{name}.yaml", "Pipeline", "orders", "p/orders-pipeline.yaml"),
        ("{name}.yaml", "Pipeline", "cafe\u0301", "p/cafe\u0301-pipeline.yaml"),
        ("{name}.yaml", "Pipeline", "link", "p/link-pipeline.yaml"),
        ("{name}.yaml", "Pipeline", "folder", "p/folder-pipeline.yaml"),
        ("{name}.yaml", "Pipeline", "ignored", "p/ignored-pipeline.yaml"),
        ("{name}.yaml", "Pipeline", "draft-1", None),
        ("{name}.yaml", "Pipeline", "aux", "p/aux-pipeline.yaml"),
        ("{name}.yaml", "Pipeline", "com1.v2", "p/com1-pipeline.v2.yaml"),
        ("{name}.yaml", "Pipeline", "console", "p/console.yaml"),
        ("{name}/x.yaml", "Pipeline", "nul", "p/nul-pipeline/x.yaml"),
        ("{name}. /x.yaml", "Pipeline", "a", "p/a/x.yaml"),
        ("a:b/{name}.yaml", "Pipeline", "a", "p/a-b/a.yaml"),
        (".git/{name}.yaml", "Pipeline", "a", "p/_git/a.yaml"),
        ("../{name}.yaml", "Pipeline", "a", "p/a.yaml"),
        ("{kind}/{name}.yaml", "Task", "a", "p/task-task/a.yaml"),
        ("{kind}/{name}.yaml", "Flow", "a", "p/flow-flow/a.yaml"),
        ("{name}/x.yaml", "Pipeline", "orders.yaml", "p/orders-pipeline.yaml/x.yaml"),
    ],
)
def test_a_new_file_gets_in_nobodys_way(template: str, kind: str, name: str, path: str | None) -> None:
    """Neither of what is there, ignored or not, nor on a system that takes two names for one, or a name for a device."""
    layout = Layout.of("p", template, "ignored.yaml\ndraft-*", "", 1)
    places = NewPaths(layout, [], lambda folder: TREE.get(folder, {}))
    if path is None:
        with pytest.raises(NoPlaceError, match="ignored"):
            places.give(kind, name)
    else:
        assert places.give(kind, name) == path


def test_a_new_file_gets_in_the_way_of_no_other_new_one() -> None:
    places = NewPaths(Layout.of("p", "{name}", "", "", 1), ["p/A/x.yaml"])
    assert places.give("Pipeline", "a") == "p/a-pipeline"
    nested = NewPaths(Layout.of("p", "{name}/x.yaml", "", "", 1), ["p/A/x.yaml", "p/b"])
    assert nested.give("Pipeline", "a") == "p/a-pipeline/x.yaml"
    assert nested.give("Pipeline", "b") == "p/b-pipeline/x.yaml"


@pytest.mark.parametrize("there", [{"p": False}, {"P": True}])
def test_a_prefix_that_is_no_folder_or_another_in_other_letters_takes_no_file(there: dict[str, bool]) -> None:
    places = NewPaths(Layout.of("p", None, "", "", 1), [], lambda folder: there if not folder else {})
    with pytest.raises(NoPlaceError, match="pathPrefix"):
        places.give("Pipeline", "a")


def test_commit_messages() -> None:
    few = Summary(created=["a"], updated=["b"], deleted=["c"])
    text = commit_message(few, integration="gi", namespace="ns")
    assert text.splitlines()[0] == "Create a; Update b; Delete c"
    many = Summary(updated=[f"p{n}" for n in range(60)])
    lines = commit_message(many, integration="gi", namespace="ns").splitlines()
    assert lines[0] == "Update p0, p1, p10 and 57 more"
    assert commit_message(Summary(updated=many.updated[::-1]), integration="gi", namespace="ns").splitlines() == lines
    back = Summary(["b", "a"], restored=["z", "y"], revision="9f8e7d6c5b4a")
    assert commit_message(back, integration="gi", namespace="ns").startswith(
        "Restore y, z from 9f8e7d6c5b4a; Create a, b\n\nrestore: y\n"
    )
    assert "and 10 more" in lines
    assert (
        commit_message(few, integration="gi", namespace="ns", template="{created}/{updated}/{deleted} {pipelines}")
        == "1/1/1 a, b, c"
    )


SCHEMA = Schema(
    {
        "properties": {
            "spec": {
                "allOf": [{"$ref": "#/components/schemas/spec"}],
                "default": {},
            }
        }
    },
    {
        "spec": {
            "properties": {
                "mode": {"type": "string", "default": "auto"},
                "steps": {
                    "x-kubernetes-list-map-keys": ["name", "port"],
                    "items": {"properties": {"name": {}, "port": {"default": 80}, "tries": {"default": 1}}},
                },
            },
            "additionalProperties": {"properties": {"x": {"default": 1}}},
        }
    },
)


def test_a_schema_tells_list_keys_and_defaults() -> None:
    keys = SCHEMA.list_keys(("spec", "steps"))
    assert keys is not None
    assert [name for name, _ in keys] == ["name", "port"]
    assert SCHEMA.list_keys(("spec", "other")) is None
    value = {"spec": {"mode": "auto", "steps": [{"name": "a", "port": 80, "tries": 1}], "free": {"x": 1, "y": 2}}}
    assert SCHEMA.strip_defaults(value) == {"spec": {"steps": [{"name": "a", "port": 80}], "free": {"y": 2}}}
    assert SCHEMA.strip_defaults({"spec": {"mode": "auto"}}) == {}
    assert SCHEMA.strip_defaults({"spec": {"mode": "other"}}) == {"spec": {"mode": "other"}}


@pytest.mark.parametrize(
    ("path", "has"),
    [
        (("spec", "mode"), True),
        (("spec", "steps", Item(("name",), ("a",), (ABSENT,)), "tries"), True),
        (("spec", "steps", Item(("name",), ("a",), (ABSENT,)), "junk"), False),
        (("spec", "free", "y"), False),
        (("spec", "free", "x"), True),
        (("other",), False),
        (("spec", "mode", "deeper"), True),
    ],
)
def test_a_schema_tells_which_fields_have_a_place(path: tuple[Any, ...], has: bool) -> None:
    assert SCHEMA.may_hold(path) is has
    assert Schema({}, {}).may_hold(path)
    assert Schema({"x-kubernetes-preserve-unknown-fields": True, "properties": {}}, {}).may_hold(path)


WORKFLOW = """apiVersion: planasonix.com/v1alpha1
kind: Pipeline
metadata:
  name: a
spec:
  steps:
    - name: one
      args: ["{{inputs.parameters.x}}", '{{ tasks.y }}']
      script: |
        echo {{workflow.name}}
        {{=sprig.trim(x)}}
"""


@pytest.mark.parametrize(
    ("text", "words", "not_words"),
    [
        (WORKFLOW + "  steps: []\n", "stands twice", "template"),
        (WORKFLOW.replace("kind: Pipeline", "kind: : Pipeline"), "line 2", "template"),
        (WORKFLOW + "  x: &a 1\n  y: *b\n", "unknown anchor", "template"),
        (WORKFLOW + "\tz: 1\n", "line", "template"),
        (WORKFLOW.replace("name: a", "name: {{ .Values.name }}"), "template", "marker"),
        (WORKFLOW + "{{- if .Values.more }}\n  more: 1\n{{- end }}\n", "template", "marker"),
        (WORKFLOW + "  more: {{ toYaml .Values.more | nindent 4 }}\n", "template", "marker"),
        (
            WORKFLOW + "<<<<<<< HEAD\n  more: 1\n=======\n  more: 2\n>>>>>>> theirs\n",
            "line 12: holds git's conflict",
            "template",
        ),
        (
            WORKFLOW.replace("\n", "\r\n") + "<<<<<<< HEAD\r\n=======\r\n>>>>>>> b\r\n",
            "line 12: holds git's",
            "template",
        ),
        (WORKFLOW + "<<<<<<< HEAD\n", "line 13", "marker"),
        ("{" * 200_000, "", "template"),
        ("{{" * 100_000 + "\n" + "}}" * 100_000, "", "marker"),
    ],
)
def test_why_a_file_can_not_be_read_is_told_by_its_cause(text: str, words: str, not_words: str) -> None:
    (problem,) = parse_file("p/a.yaml", text.encode(), {("planasonix.com", "Pipeline")}, "ns").problems
    assert words in problem.message
    assert not_words not in problem.message
