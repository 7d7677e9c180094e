"""What a CRD takes away from those who use the one before it: fields, values, names. docs/versioning.md says what may change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_MOST = ("maximum", "maxLength", "maxItems", "maxProperties")
_LEAST = ("minimum", "minLength", "minItems", "minProperties")
_EQUAL = ("format", "pattern")
"""Whether another one lets less through, nobody can say: only to drop it is safe."""
_MERGED = ("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type")
"""What server-side apply owns of a list or a map."""
_NODES = ("items", "additionalProperties")
_OPEN = "x-kubernetes-preserve-unknown-fields"
_EITHER = "x-kubernetes-int-or-string"
KNOWN = {
    *(*_MOST, *_LEAST, *_EQUAL, *_MERGED, *_NODES, _OPEN, _EITHER),
    *("type", "enum", "required", "default", "nullable", "properties", "description", "x-kubernetes-validations"),
}
"""Every other keyword would be compared with nothing."""


def taken(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What the CRD `new` takes away, each with its path."""
    return [*_names(old["spec"], new["spec"]), *_versions(old["spec"], new["spec"])]


def _names(old: Schema, new: Schema) -> Iterator[str]:
    for key in ("group", "scope"):
        if old[key] != new[key]:
            yield f"{key} is another"
    for key, value in old["names"].items():
        now = new["names"].get(key)
        if isinstance(value, list) and not set(value) <= set(now or ()):
            yield f"names.{key} lacks some"
        elif not isinstance(value, list) and now != value:
            yield f"names.{key} is another"


def _versions(old: Schema, new: Schema) -> Iterator[str]:
    now = {version["name"]: version for version in new["versions"]}
    for version in old["versions"]:
        name = version["name"]
        if not version["served"]:
            continue
        if name not in now or not now[name]["served"]:
            yield f"{name} is not served"
            continue
        if not set(version.get("subresources", {})) <= set(now[name].get("subresources", {})):
            yield f"{name} lacks a subresource"
        yield from narrowed(version["schema"]["openAPIV3Schema"], now[name]["schema"]["openAPIV3Schema"], name)
    stored = [[v["name"] for v in one["versions"] if v["storage"]] for one in (old, new)]
    if stored[0] != stored[1]:
        yield "another version is stored"


def narrowed(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """What fitted `old` and does not fit `new`, or means something else there."""
    strange = (set(old) | set(new)) - KNOWN
    if strange:
        yield f"{path}: nobody compares {', '.join(sorted(strange))}"
    yield from (f"{path}: {words}" for words in _of_node(old, new))
    for name, field in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from narrowed(field, new["properties"][name], f"{path}.{name}")
        else:
            yield f"{path}.{name}: dropped"
    for key in _NODES:
        if key in old and key in new:
            yield from narrowed(old[key], new[key], f"{path}[]")
        elif key in old and not new.get(_OPEN):
            yield f"{path}: {key} dropped"


def _of_node(old: Schema, new: Schema) -> Iterator[str]:
    if old.get("type") != new.get("type") and not (new.get(_EITHER) and old.get("type") in ("integer", "string")):
        yield "type is another"
    if "enum" in new and not set(old.get("enum", ["any"])) <= set(new["enum"]):
        yield "enum lacks some"
    yield from (f"{key} is smaller" for key in _MOST if key in new and new[key] < old.get(key, float("inf")))
    yield from (f"{key} is larger" for key in _LEAST if key in new and new[key] > old.get(key, float("-inf")))
    yield from (f"{key} is another" for key in _EQUAL if key in new and new[key] != old.get(key))
    yield from (f"{key} is another" for key in _MERGED if new.get(key) != old.get(key))
    yield from (f"{key} is not any more" for key in (_OPEN, _EITHER, "nullable") if old.get(key) and not new.get(key))
    if not set(new.get("required", ())) <= set(old.get("required", ())):
        yield "required has more"
    if "default" in old and new.get("default", ...) != old["default"]:
        yield "default is another"
    rules = [{rule["rule"] for rule in one.get("x-kubernetes-validations", ())} for one in (old, new)]
    if not rules[1] <= rules[0]:
        yield "x-kubernetes-validations has more"
