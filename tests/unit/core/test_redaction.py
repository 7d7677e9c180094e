"""What is not to be shown of a pipeline, and what a conflict shows."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.core.diff import ABSENT, Item, Path
from gitintegration.core.merge import Base, Conflict, ConflictReason, Versions, decide
from gitintegration.core.plan.conflict_values import conflict_values
from gitintegration.core.redaction import MARK, NOTHING_REDACTED, Redaction
from gitintegration.core.schema import Schema
from gitintegration.core.view import Pointer

SPEC: Any = {
    "spec": {"token": "s3cret", "envs": [{"name": "A", "value": "s3cret"}], "auth": {"pass": "s3cret", "n": 1}}
}


def redaction(*pointers: str) -> Redaction:
    return Redaction(tuple(map(Pointer.parse, pointers)), "uid")


_ITEM = Item(("name",), ("A",), (ABSENT,))


@pytest.mark.parametrize(
    ("pointer", "path", "value"),
    [
        pytest.param("/spec/token", ("spec", "token"), "s3cret", id="the field"),
        pytest.param("/spec/token", ("spec",), SPEC["spec"], id="what holds it"),
        pytest.param("/spec/auth", ("spec", "auth", "pass"), "s3cret", id="within it"),
        pytest.param("/spec/auth/p*", ("spec", "auth", "pass"), "s3cret", id="a pattern"),
        pytest.param("/spec/envs/*/value", ("spec", "envs", _ITEM, "value"), "s3cret", id="an item of a list"),
        pytest.param("/spec/envs/0/value", ("spec", "envs", _ITEM), {"name": "A", "value": "s3cret"}, id="an index"),
        pytest.param("/spec/envs/*/value", ("spec", "envs"), SPEC["spec"]["envs"], id="a list"),
    ],
)
def test_it_is_shown_as_a_digest(pointer: str, path: Path, value: Any) -> None:
    told = redaction(pointer)
    if path == ("spec",):
        value = {"token": "s3cret"}
    text = told.shown(path, value)
    assert text
    assert "s3cret" not in text
    assert MARK in text
    assert text == told.shown(path, value)
    assert text != redaction(pointer).shown(path, orjson.loads(orjson.dumps(value).replace(b"s3cret", b"other")))
    assert text != Redaction(told.pointers, "another").shown(path, value)
    assert "s3cret" in (redaction("/spec/nothing").shown(path, value) or "")


def test_what_others_say_of_it_is_cleaned() -> None:
    told = redaction("/spec/auth", "/spec/envs/*/value")
    said = 'spec.auth.pass: Invalid value: "s3cret": must be a number'
    assert told.concealed(said, SPEC) == f'spec.auth.pass: Invalid value: "{MARK}": must be a number'
    assert told.concealed(said, None, {"spec": {"auth": {"pass": 'a"b'}}}) == said
    assert MARK in told.concealed('"a\\"b"', {"spec": {"auth": {"pass": 'a"b'}}})
    assert NOTHING_REDACTED.concealed(said, SPEC) == said


def test_passwords_of_the_schema_are_found_wherever_they_are() -> None:
    password = {"type": "string", "format": "password"}
    item = {"properties": {"key": password}}
    loop = {"properties": {"again": {"$ref": "#/components/schemas/loop"}, "own": password}}
    spec = {"properties": {"a": password, "list": {"items": item}, "map": {"additionalProperties": item}}}
    schema = Schema({"properties": {"spec": spec, "deep": {"$ref": "#/components/schemas/loop"}}}, {"loop": loop})
    wanted = {("spec", "a"), ("spec", "list", "*", "key"), ("spec", "map", "*", "key"), ("deep", "again", "own")}
    assert wanted < set(schema.passwords)


def test_a_conflict_tells_what_all_three_hold() -> None:
    base, git, live = {"spec": {"x": 1, "t": "a"}}, {"spec": {"x": 2, "t": "b"}}, {"spec": {"t": "c"}}
    d = decide(Versions(Base(base, base), git, live))
    assert d.conflict is not None
    told = [v.to_status() for v in conflict_values(d.conflict, Base(base, base), live, git, redaction("/spec/t"))]
    marks = {v["field"]: v for v in told}
    assert marks["spec.x"] == {"field": "spec.x", "base": "1", "theirs": "2"}
    assert all(marks["spec.t"][side].startswith(MARK) for side in ("base", "ours", "theirs"))
    assert len(set(marks["spec.t"].values())) == 4


@given(st.lists(st.tuples(st.text(max_size=400), st.text(max_size=400)), max_size=80))
def test_what_a_conflict_tells_is_bounded_and_has_no_control_characters(values: list[tuple[str, str]]) -> None:
    git = {f"f{n}": a for n, (a, _) in enumerate(values)}
    live = {f"f{n}": b for n, (_, b) in enumerate(values)}
    conflict = Conflict(ConflictReason.BothModified, tuple((name,) for name in git))
    told = conflict_values(conflict, None, live, git, NOTHING_REDACTED)
    assert sum(v.size for v in told) <= 1024
    assert all(text.isprintable() for v in told for text in v.to_status().values())
    assert not values or told
