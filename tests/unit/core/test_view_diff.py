"""What is synced of an object, and the changes between two values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.core.diff import apply, diff, format_path, same
from gitintegration.core.view import Pointer, restore, view

WHOLE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "K",
    "metadata": {
        "name": "n",
        "namespace": "x",
        "uid": "u",
        "resourceVersion": "5",
        "managedFields": [{}],
        "finalizers": ["f"],
        "ownerReferences": [{"uid": "o"}],
        "labels": {"team": "crm"},
        "annotations": {
            "note": "mine",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "kopf.zalando.org/last": "x",
            "argocd.argoproj.io/sync-wave": "1",
            "kustomize.toolkit.fluxcd.io/checksum": "c",
            "meta.helm.sh/release-name": "r",
        },
    },
    "spec": {"a": 1, "suspend": True, "deep": {"only": 1}},
    "data": {"k": "v"},
    "status": {"phase": "Running"},
}


def test_a_view_is_the_part_that_both_sides_share() -> None:
    assert view(WHOLE) == {
        "apiVersion": "v1",
        "kind": "K",
        "metadata": {"name": "n", "labels": {"team": "crm"}, "annotations": {"note": "mine"}},
        "spec": {"a": 1, "suspend": True, "deep": {"only": 1}},
        "data": {"k": "v"},
    }


def test_ignored_fields_are_left_out_and_put_back() -> None:
    pointers = [Pointer.parse("/spec/suspend"), Pointer.parse("/spec/deep/only"), Pointer.parse("/none/at~1all")]
    seen = view(WHOLE, pointers)
    assert seen["spec"] == {"a": 1}
    back = restore(WHOLE, {**seen, "spec": {"a": 2}}, pointers)
    assert back["spec"] == {"a": 2, "suspend": True, "deep": {"only": 1}}
    assert back["status"] == WHOLE["status"]
    assert back["metadata"] == WHOLE["metadata"]


def test_restore_keeps_the_order_of_what_was_there() -> None:
    seen = view(WHOLE)
    changed = {**seen, "metadata": {**seen["metadata"], "labels": {"new": "1", "team": "x"}}}
    back = restore(WHOLE, changed)
    assert list(back) == list(WHOLE)
    assert list(back["metadata"]) == list(WHOLE["metadata"])
    assert list(back["metadata"]["labels"]) == ["team", "new"]
    assert back["metadata"]["annotations"] == WHOLE["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        (None, 0, False),
        ("1", 1, False),
        ([1, 2], [2, 1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": None}, {}, False),
    ],
)
def test_json_equality(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal
    assert same(b, a) is equal


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 2}}, ["a.b", "a.c"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a"]),
        ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "x", "v": 2}]}, ["a[name=x].v"]),
        ({"a": [{"name": "x"}, {"name": "x"}]}, {"a": [{"name": "x"}]}, ["a"]),
    ],
)
def test_changes_name_the_smallest_field(old: Any, new: Any, paths: list[str]) -> None:
    assert sorted({format_path(change.path) for change in diff(old, new)}) == paths


_scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["", "x", "y"]))
_named = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd"), "v": _scalars}), unique_by=lambda i: i["name"]
)
_values = st.recursive(
    st.one_of(_scalars, _named),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("pqrs"), inner, max_size=3)),
    max_leaves=12,
)
_maps = st.dictionaries(st.sampled_from("pqrs"), _values, max_size=4)


@given(_maps, _maps)
def test_the_changes_lead_from_one_value_to_the_other(old: Any, new: Any) -> None:
    changes = diff(old, new)
    assert same(apply(changes, old), new)
    assert bool(changes) is not same(old, new)


_WILD = {
    "apiVersion": "v1",
    "kind": "K",
    "metadata": {"name": "a", "annotations": {"tool.example.com/a": "1", "tool.example.com/b": "2", "own": "3"}},
    "spec": {
        "steps": [{"name": "x", "image": "i1", "env": {"A": "1"}}, {"name": "y", "image": "i2"}, {"name": "z"}],
        "limits": {"cpu.max": 1, "mem.max": 2, "cpu.min": 3},
        "list": [1, 2],
    },
}


@pytest.mark.parametrize(
    ("pointer", "gone"),
    [
        ("/spec/steps/*/image", ["i1", "i2"]),
        ("/spec/steps/*/env/*", ["'A'"]),
        ("/metadata/annotations/tool.example.com~1*", ["tool.example.com"]),
        ("/spec/limits/*.max", ["cpu.max", "mem.max"]),
        ("/spec/limits/c*.*x", ["cpu.max"]),
        ("/spec/list/*", ["[1, 2]"]),
        ("/spec/steps/1/image", ["i2"]),
        ("/spec/*/*/image", ["i1", "i2"]),
    ],
)
def test_ignored_fields_by_wildcards_are_not_compared_and_stay(pointer: str, gone: list[str]) -> None:
    ignore = [Pointer.parse(pointer)]
    seen = view(_WILD, ignore)
    assert not any(words in str(seen) for words in gone)
    assert restore(_WILD, seen, ignore) == _WILD


def test_an_ignored_field_follows_its_item() -> None:
    ignore = [Pointer.parse("/spec/steps/*/image")]
    steps = [{"name": "new"}, {"name": "y"}, {"name": "x"}]
    seen = {**view(_WILD, ignore), "spec": {"steps": steps}}
    made = restore(_WILD, seen, ignore)["spec"]["steps"]
    assert made == [{"name": "new"}, {"name": "y", "image": "i2"}, {"name": "x", "image": "i1"}]


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    ignore = [Pointer.parse("/spec/" + "a*" * 100 + "b")]
    assert view({"metadata": {"name": "n"}, "spec": {"a" * 10_000: 1}}, ignore)["spec"] == {"a" * 10_000: 1}
