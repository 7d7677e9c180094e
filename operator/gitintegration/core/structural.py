"""What the API server would say of an object by its CRD alone: jsonschema, with what structural schemas add to it.

CEL rules (`x-kubernetes-validations`), webhooks and quotas are the API server's own, and not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import re2  # type: ignore[import-untyped]
from jsonschema import Draft4Validator, FormatChecker, ValidationError  # type: ignore[import-untyped]
from jsonschema.validators import extend  # type: ignore[import-untyped]

from gitintegration.core.values import Json

_MOST = 20
"""Of the fields of an object that are told."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A field that a schema does not take. `path` leads to it, or to where it is missing."""

    path: tuple[str | int, ...]
    words: str

    @property
    def field(self) -> str:
        """As an API server names it: `spec.steps[0].sql`."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).removeprefix(".")

    def __str__(self) -> str:
        return f"{self.field}: {self.words}" if self.path else self.words


class Definitions:
    """The kinds that CRDs define, in the versions that they serve."""

    def __init__(self, crds: Iterable[Mapping[str, Any]]) -> None:
        self._served: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
        for crd in crds:
            spec = crd["spec"]
            served = {one["name"]: one for one in spec["versions"] if one.get("served")}
            self._served[spec["group"], spec["names"]["kind"]] = served

    def __len__(self) -> int:
        return len(self._served)

    def versions(self, group: str, kind: str) -> Sequence[str]:
        """Those that are served; none where no CRD defines the kind."""
        return tuple(self._served.get((group, kind), ()))

    def complaints(self, group: str, kind: str, version: str, value: Json) -> list[Complaint]:
        """What is wrong with an object of a version that is served."""
        one = self._served[group, kind][version]
        schema = (one.get("schema") or {}).get("openAPIV3Schema") or {}
        if isinstance(value, dict) and "status" in (one.get("subresources") or {}):
            value = {name: inner for name, inner in value.items() if name != "status"}
        found = _Structural(schema, format_checker=_FORMATS).iter_errors(_without_nulls(value, schema))
        told = {Complaint(tuple(error.absolute_path), _words(error)): None for error in found}
        return sorted(told, key=lambda each: each.field)[:_MOST]


def _without_nulls(value: Json, schema: Mapping[str, Any]) -> Json:
    """Without the fields that hold null and may not: an API server takes them for absent before it looks."""
    if isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
        return [_without_nulls(item, items) for item in value]
    if not isinstance(value, dict):
        return value
    fields, others = schema.get("properties") or {}, schema.get("additionalProperties")
    made: dict[str, Json] = {}
    for name, inner in value.items():
        known = fields.get(name, others if isinstance(others, Mapping) else None)
        if known is None:
            made[name] = inner
        elif inner is not None or known.get("nullable"):
            made[name] = _without_nulls(inner, known)
    return made


_Found = Iterator[ValidationError]


def _type(validator: Any, wanted: Any, value: Json, schema: Mapping[str, Any]) -> _Found:
    if value is None and schema.get("nullable"):
        return
    if not all(validator.is_type(value, each) for each in ([wanted] if isinstance(wanted, str) else wanted)):
        yield ValidationError(f"is {_kind_of(value)}, and has to be {_article(str(wanted))}")


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aio" else f"a {kind}"


def _kind_of(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
    return "a list" if isinstance(value, list) else "an object"


def _required(validator: Any, names: Sequence[str], value: Json, schema: Mapping[str, Any]) -> _Found:
    fields = schema.get("properties") or {}
    for name in names if isinstance(value, dict) else ():
        if name not in value and "default" not in fields.get(name, {}):
            yield ValidationError("is required", path=[name])


def _pattern(validator: Any, pattern: str, value: Json, schema: Mapping[str, Any]) -> _Found:
    """As Go matches, and in a time that a pattern can't stretch."""
    if isinstance(value, str) and not re2.search(pattern, value):
        yield ValidationError(f"is not as {pattern} wants it")


def _enum(validator: Any, allowed: Sequence[Json], value: Json, schema: Mapping[str, Any]) -> _Found:
    if value not in allowed:
        yield ValidationError(f"is none of {', '.join(map(str, allowed))}")


def _int_or_string(validator: Any, meant: bool, value: Json, schema: Mapping[str, Any]) -> _Found:
    is_fine = (
        isinstance(value, str) or validator.is_type(value, "integer") or (value is None and schema.get("nullable"))
    )
    if meant and not is_fine:
        yield ValidationError(f"is {_kind_of(value)}, and has to be an integer or a string")


def _embedded(validator: Any, meant: bool, value: Json, schema: Mapping[str, Any]) -> _Found:
    for name in ("apiVersion", "kind") if meant and isinstance(value, dict) else ():
        if not value.get(name):
            yield ValidationError("is required", path=[name])


def _list_type(validator: Any, kind: str, value: Json, schema: Mapping[str, Any]) -> _Found:
    """No item of a set, and no key of a map, stands twice."""
    if not isinstance(value, list) or kind not in ("set", "map"):
        return
    seen: list[Json] = []
    for at, item in enumerate(value):
        keys = schema.get("x-kubernetes-list-map-keys") or ()
        key = [item.get(name) for name in keys] if kind == "map" and isinstance(item, dict) else item
        if key in seen:
            yield ValidationError("stands twice", path=[at])
        seen.append(key)


def _reference(validator: Any, to: str, value: Json, schema: Mapping[str, Any]) -> _Found:
    """No CRD may hold one, and none is followed."""
    yield from ()


_OURS: Mapping[str, Any] = {
    "type": _type,
    "required": _required,
    "pattern": _pattern,
    "enum": _enum,
    "x-kubernetes-int-or-string": _int_or_string,
    "x-kubernetes-embedded-resource": _embedded,
    "x-kubernetes-list-type": _list_type,
    "$ref": _reference,
}
_Structural = extend(Draft4Validator, _OURS)


def _words(error: ValidationError) -> str:
    """What is wrong, never with a value that the object holds."""
    if error.validator in _OURS:
        return str(error.message)
    if error.validator in ("allOf", "anyOf", "oneOf", "not"):
        return f"is not as {error.validator} of its schema wants it"
    return f"breaks {error.validator}: {error.validator_value}"


def _is_time(value: Json) -> bool:
    return not isinstance(value, str) or ("T" in value and datetime.fromisoformat(value).tzinfo is not None)


def _is_date(value: Json) -> bool:
    return not isinstance(value, str) or bool(datetime.strptime(value, "%Y-%m-%d"))


def _is_int32(value: Json) -> bool:
    return not isinstance(value, int) or -(1 << 31) <= value < 1 << 31


def _is_int64(value: Json) -> bool:
    return not isinstance(value, int) or -(1 << 63) <= value < 1 << 63


_FORMATS = FormatChecker(formats=())
for _name, _check in (("date-time", _is_time), ("date", _is_date), ("int32", _is_int32), ("int64", _is_int64)):
    _FORMATS.checks(_name, ValueError)(_check)
