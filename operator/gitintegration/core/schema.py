"""What a kind's published schema says to a merge: which lists have keys, and what the API server fills in."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, Final

from gitintegration.core.diff import ABSENT, KeyFields, Path, same
from gitintegration.core.values import Json

_OPEN: Final = "x-kubernetes-preserve-unknown-fields"
_MOST_NODES: Final = 100_000
_DEEPEST: Final = 32
"""Of a schema, looked at for passwords from the root on, and steps gone down: it may refer to itself."""


class Schema:
    """An OpenAPI v3 schema with its definitions. Paths name fields; `*` stands for the items of a list."""

    def __init__(self, root: Mapping[str, Any], definitions: Mapping[str, Any]) -> None:
        self._root = root
        self._definitions = definitions
        self.list_keys = lru_cache(maxsize=4096)(self._list_keys)

    def is_as(self, other: Schema) -> bool:
        """Whether both say the same of a kind's fields; what they refer to apart, which only a new API server changes."""
        return self._root == other._root

    def _open(self, node: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Follows `$ref`, and `allOf` with one member, which is how a default stands beside a reference."""
        for _ in range(16):
            if not node:
                return {}
            if "$ref" in node:
                node = self._definitions.get(node["$ref"].rsplit("/", 1)[-1])
            elif len(node.get("allOf", ())) == 1:
                node = {**self._open(node["allOf"][0]), **{k: v for k, v in node.items() if k != "allOf"}}
            else:
                return node
        return {}

    def _child(self, node: Mapping[str, Any], step: str) -> Mapping[str, Any]:
        if step == "*" and "items" in node:
            return self._open(node["items"])
        if step in (fields := node.get("properties", {})):
            return self._open(fields[step])
        extra = node.get("additionalProperties")
        return self._open(extra) if isinstance(extra, dict) else {}

    def _list_keys(self, path: tuple[str, ...]) -> KeyFields | None:
        node = self._open(self._root)
        for step in path:
            node = self._child(node, step)
        keys = node.get("x-kubernetes-list-map-keys")
        if not keys:
            return None
        fields = self._open(node.get("items")).get("properties", {})
        return tuple((key, self._open(fields.get(key)).get("default", ABSENT)) for key in keys)

    def may_hold(self, path: Path) -> bool:
        """Whether a field may have a place in the kind; False only where the server would drop it."""
        node = self._open(self._root)
        for step in path:
            name = step if isinstance(step, str) else "*"
            fields = node.get("properties", {})
            is_open = not fields or node.get(_OPEN) or node.get("additionalProperties")
            if name != "*" and name not in fields and not is_open:
                return False
            node = self._child(node, name)
        return True

    @cached_property
    def passwords(self) -> tuple[tuple[str, ...], ...]:
        """The paths of fields whose format is password; `*` stands for any item, and any key of an open map."""
        found: list[tuple[str, ...]] = []
        nodes: deque[tuple[tuple[str, ...], Mapping[str, Any]]] = deque([((), self._open(self._root))])
        for _ in range(_MOST_NODES):
            if not nodes:
                break
            path, node = nodes.popleft()
            if node.get("format") == "password":
                found.append(path)
            if len(path) == _DEEPEST:
                continue
            below = list(node.get("properties", {}).items())
            below += [
                ("*", node[name]) for name in ("items", "additionalProperties") if isinstance(node.get(name), dict)
            ]
            nodes.extend(((*path, step), self._open(field)) for step, field in below)
        return tuple(found)

    def strip_defaults(self, value: Json) -> Json:
        """`value` without the fields that the API server would fill in again just so."""
        return self._strip(value, self._open(self._root))

    def _strip(self, value: Json, node: Mapping[str, Any]) -> Json:
        if isinstance(value, list):
            items = self._open(node.get("items"))
            keys = set(node.get("x-kubernetes-list-map-keys", ()))
            return [self._strip_map(v, items, keep=keys) if isinstance(v, dict) else v for v in value]
        return self._strip_map(value, node) if isinstance(value, dict) else value

    def _strip_map(self, value: dict[str, Json], node: Mapping[str, Any], keep: set[str] | None = None) -> Json:
        result = {}
        for name, inner in value.items():
            child = self._child(node, name)
            default = child.get("default", ABSENT)
            stripped = self._strip(inner, child)
            if default is not ABSENT and name not in (keep or ()) and self._is_default(inner, stripped, default, child):
                continue
            result[name] = stripped
        return result

    def _is_default(self, value: Json, stripped: Json, default: Json, node: Mapping[str, Any]) -> bool:
        """Whether the field as a whole is what the default, itself filled in, would be."""
        return same(value, default) or (isinstance(value, dict) and same(stripped, self._strip(default, node)))
