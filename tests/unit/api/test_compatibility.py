"""The CRDs of the last release, kept in released/, are taken up by these: no field dropped, none narrowed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitintegration.api.crd import render_crds
from tests.unit.api.compatibility import narrowed, taken

Node = dict[str, Any]
RELEASED: dict[str, Node] = {
    path.name: yaml.safe_load(path.read_text()) for path in sorted((Path(__file__).parent / "released").iterdir())
}
NOW: dict[str, Node] = {name: yaml.safe_load(text) for name, text in render_crds().items()}
KINDS = sorted(RELEASED)


def schema(crd: Node) -> Node:
    found: Node = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def nodes(node: Node) -> Iterator[Node]:
    """Every schema in a schema, itself too."""
    yield node
    for field in node.get("properties", {}).values():
        yield from nodes(field)
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from nodes(node[key])


@pytest.mark.parametrize("name", KINDS)
def test_nothing_that_was_released_is_taken_away(name: str) -> None:
    assert taken(RELEASED[name], NOW[name]) == []


def test_every_kind_that_was_released_is_there() -> None:
    assert len(RELEASED) == 4
    assert RELEASED.keys() <= NOW.keys()


def added(before: Node, now: Node, path: str = "") -> Iterator[str]:
    """Fields with a default that a release lacks where it has what they stand in: every object holds them, and it refuses what it does not know."""
    for name, field in now.get("properties", {}).items():
        known = before.get("properties", {}).get(name)
        if known is not None:
            yield from added(known, field, f"{path}.{name}")
        elif "default" in field:
            yield f"{path}.{name}"
    if "items" in now and "items" in before:
        yield from added(before["items"], now["items"], f"{path}[]")


@pytest.mark.parametrize("name", KINDS)
def test_no_new_field_is_filled_in_that_the_release_before_would_refuse(name: str) -> None:
    assert list(added(schema(RELEASED[name]), schema(NOW[name]))) == []


def test_a_new_default_is_found() -> None:
    before: Node = {"properties": {"spec": {"properties": {"old": {}}}}}
    now: Node = {"properties": {"spec": {"properties": {"old": {}, "new": {"default": 1}, "bare": {}}}}}
    assert list(added(before, now)) == [".spec.new"]


def _narrowings(node: Node) -> Iterator[Node]:
    """The node, narrowed in one way each time."""
    for name in node.get("properties", {}):
        yield {**node, "properties": {n: f for n, f in node["properties"].items() if n != name}}
    if "properties" in node:
        yield {**node, "required": [*node.get("required", ()), "something"]}
    for key in ("items", "additionalProperties", "default", "x-kubernetes-preserve-unknown-fields", "nullable"):
        if node.get(key):
            yield {k: v for k, v in node.items() if k != key}
    if "default" in node:
        yield {**node, "default": "another"}
    if "type" in node:
        yield {**node, "type": "boolean" if node["type"] == "string" else "string"}
    yield {**node, "enum": node.get("enum", ["a"])[1:]}
    yield {**node, "maxLength": node.get("maxLength", 1) - 1}
    yield {**node, "maxItems": node.get("maxItems", 1) - 1}
    yield {**node, "minLength": node.get("minLength", 0) + 1}
    yield {**node, "minimum": node.get("minimum", 0) + 1}
    yield {**node, "maximum": node.get("maximum", 2) - 1}
    yield {**node, "pattern": node.get("pattern", "") + "x"}
    yield {**node, "format": "another"}
    yield {**node, "x-kubernetes-list-type": "another"}
    yield {**node, "x-kubernetes-validations": [*node.get("x-kubernetes-validations", ()), {"rule": "false"}]}
    yield {**node, "oneOf": [{"type": "string"}]}


@pytest.mark.parametrize("name", KINDS)
def test_whatever_is_taken_from_whichever_field_is_told(name: str) -> None:
    tried = [(node, changed) for node in nodes(schema(RELEASED[name])) for changed in _narrowings(node)]
    assert len(tried) > 50
    assert [changed for node, changed in tried if len(list(narrowed(node, changed, ""))) != 1] == []


@pytest.mark.parametrize("name", KINDS)
def test_it_is_told_however_deep_it_is(name: str) -> None:
    new = copy.deepcopy(RELEASED[name])
    for node in nodes(schema(new)):
        node["pattern"], before = "another", node.get("pattern")
        assert len(taken(RELEASED[name], new)) == 1
        node["pattern"] = before
        if before is None:
            del node["pattern"]
    assert taken(RELEASED[name], new) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda crd: crd["spec"].update(scope="Cluster"),
        lambda crd: crd["spec"].update(group="example.com"),
        lambda crd: crd["spec"]["names"].update(shortNames=[]),
        lambda crd: crd["spec"]["names"].update(plural="others"),
        lambda crd: crd["spec"]["versions"][0].update(served=False),
        lambda crd: crd["spec"]["versions"][0].update(name="v1"),
        lambda crd: crd["spec"]["versions"][0].update(subresources={}),
        lambda crd: crd["spec"]["versions"][0].update(storage=False),
    ],
)
def test_names_versions_and_subresources_stay(change: Any) -> None:
    name = "planasonix.com_gitintegrations.yaml"
    new = copy.deepcopy(RELEASED[name])
    change(new)
    assert taken(RELEASED[name], new)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_added_or_loosened_is_nobodys_loss(name: str) -> None:
    new = copy.deepcopy(RELEASED[name])
    for node in list(nodes(schema(new))):
        node["description"] = "in other words"
        for key in ("pattern", "format", "maxLength", "maximum", "minimum", "x-kubernetes-validations", "required"):
            node.pop(key, None)
        if "enum" in node:
            node["enum"] = [*node["enum"], "another"]
        if "maxItems" in node:
            node["maxItems"] += 1
        if "properties" in node:
            node["properties"]["another"] = {
                "type": "object",
                "required": ["a"],
                "properties": {"a": {"type": "string"}},
            }
    new["spec"]["names"].setdefault("shortNames", []).append("another")
    new["spec"]["versions"].append({"name": "v1", "served": True, "storage": False})
    assert taken(RELEASED[name], new) == []
