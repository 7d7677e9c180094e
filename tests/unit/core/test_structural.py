"""What a CRD's schema says of objects; that an API server says the same, tests/e2e/test_bad_input.py shows."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.core.structural import Definitions
from tests.bed.kinds import crd

FIELDS: dict[str, Any] = {
    "text": {"type": "string", "minLength": 2, "maxLength": 4},
    "word": {"type": "string", "pattern": "^[a-z]+$"},
    "sort": {"type": "string", "enum": ["a", "b"]},
    "when": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "small": {"type": "integer", "format": "int32", "minimum": 1},
    "share": {"type": "number", "maximum": 1, "exclusiveMaximum": True},
    "port": {"x-kubernetes-int-or-string": True},
    "maybe": {"type": "string", "nullable": True},
    "filled": {"type": "string", "default": "x"},
    "names": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set", "maxItems": 3},
    "steps": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    },
    "map": {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2},
    "one": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    "whole": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
    "deep": {
        "type": "object",
        "required": ["must", "has"],
        "properties": {"must": {"type": "integer"}, "has": {"type": "string", "default": "y"}},
    },
    "elsewhere": {"$ref": "https://example.com/schema.json"},
}
KINDS = Definitions([crd("example.com", "Thing", ["v1"], {"type": "object", "properties": FIELDS}, status=True)])


def told(spec: Any, **more: Any) -> list[str]:
    value = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec, **more}
    return [str(one) for one in KINDS.complaints("example.com", "Thing", "v1", value)]


FINE: list[dict[str, Any]] = [
    {"text": "abc", "word": "a", "sort": "a", "when": "2026-11-28T01:02:03Z", "day": "2026-11-28"},
    {"small": 1, "share": 0.5, "port": 80, "maybe": None, "filled": None, "text": None},
    {"port": "http", "names": ["a", "b"], "steps": [{"name": "a"}, {"name": "b", "more": 1}], "map": {"a": 1}},
    {"one": {"a": 1}, "whole": {"apiVersion": "v1", "kind": "Pod"}, "deep": {"must": 1}, "unknown": [1]},
    {"elsewhere": "is not asked"},
]
BAD: list[tuple[Any, str]] = [
    ([], "spec: is a list, and has to be an object"),
    ({"text": "a"}, "spec.text: breaks minLength: 2"),
    ({"text": "secret"}, "spec.text: breaks maxLength: 4"),
    ({"names": [None]}, "spec.names[0]: is null, and has to be a string"),
    ({"deep": {"must": None}}, "spec.deep.must: is required"),
    ({"word": "A"}, "spec.word: is not as ^[a-z]+$ wants it"),
    ({"sort": "c"}, "spec.sort: is none of a, b"),
    ({"when": "yesterday"}, "spec.when: breaks format: date-time"),
    ({"when": "2026-11-28"}, "spec.when: breaks format: date-time"),
    ({"day": "28.11.2026"}, "spec.day: breaks format: date"),
    ({"small": 0}, "spec.small: breaks minimum: 1"),
    ({"small": 1 << 31}, "spec.small: breaks format: int32"),
    ({"small": True}, "spec.small: is a boolean, and has to be an integer"),
    ({"share": 1}, "spec.share: breaks maximum: 1"),
    ({"port": 1.5}, "spec.port: is a number, and has to be an integer or a string"),
    ({"names": ["a", "b", "a"]}, "spec.names[2]: stands twice"),
    ({"names": ["a", "b", "c", "d"]}, "spec.names: breaks maxItems: 3"),
    ({"steps": [{"name": "a"}, {"name": "a"}]}, "spec.steps[1]: stands twice"),
    ({"steps": [{}]}, "spec.steps[0].name: is required"),
    ({"map": {"a": "1"}}, "spec.map.a: is a string, and has to be an integer"),
    ({"map": {"a": 1, "b": 2, "c": 3}}, "spec.map: breaks maxProperties: 2"),
    ({"one": {"a": 1, "b": 2}}, "spec.one: is not as oneOf of its schema wants it"),
    ({"whole": {"kind": "Pod"}}, "spec.whole.apiVersion: is required"),
    ({"deep": {}}, "spec.deep.must: is required"),
]


@pytest.mark.parametrize("spec", FINE, ids=str)
def test_what_is_fine_is_not_told(spec: dict[str, Any]) -> None:
    assert told(spec) == []


@pytest.mark.parametrize(("spec", "words"), BAD, ids=[words for _, words in BAD])
def test_what_is_wrong_is_told_with_its_field_and_never_its_value(spec: Any, words: str) -> None:
    assert told(spec) == [words]


def test_a_status_is_the_clusters() -> None:
    assert told({}, status=3) == []


def test_a_pattern_that_would_never_end_ends() -> None:
    fields = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a|a)*$"}}}
    kinds = Definitions([crd("example.com", "Slow", ["v1"], fields, status=False)])
    assert len(kinds.complaints("example.com", "Slow", "v1", {"spec": {"a": "a" * 40 + "b"}})) == 1


def test_what_is_served_is_known_and_nothing_else() -> None:
    several = crd("example.com", "Thing", ["v1", "v2", "v3"], {"type": "object"}, status=False)
    several["spec"]["versions"][0]["served"] = False
    kinds = Definitions([several])
    assert kinds.versions("example.com", "Thing") == ("v2", "v3")
    assert kinds.versions("example.com", "Other") == ()
    assert len(kinds) == 1
