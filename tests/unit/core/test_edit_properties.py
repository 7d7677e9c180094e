"""What holds for every edit of every file: values, comments, lines, order, and the way back."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from gitintegration.core.diff import same
from gitintegration.core.yaml_edit import Location, edit_file
from gitintegration.core.yaml_read import read_documents, read_json
from tests.unit.core.styled import KEYS, MANIFESTS, SCALARS, VALUES, WORDS, files

EXAMPLES = int(os.environ.get("HISTORIES", "150"))
_SHARED = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
Path = tuple[Any, ...]


def read(path: str, source: bytes) -> Any:
    return read_json(source) if path.endswith(".json") else read_documents(source)[0]


def edited(path: str, source: bytes, value: Any) -> bytes:
    made = edit_file(source, path, {Location(0): value})
    assert made.source is not None
    assert same(read(path, made.source), value)
    return made.source


def text_of(source: bytes) -> str:
    return source.decode("utf-8-sig").replace("\r\n", "\n")


def nodes(value: Any, path: Path = ()) -> list[Path]:
    found = [path]
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        found += nodes(inner, (*path, name))
    return found


def at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


@st.composite
def edits(draw: st.DrawFn, value: Any, *, kinds: str = "set add remove") -> tuple[str, Path, Any]:
    """A kind, the path of an entry below `spec`, and what stands there then."""
    kind = draw(st.sampled_from(kinds.split()))
    below = [p for p in nodes(value) if p[:1] == ("spec",) and p]
    if kind == "add":
        into = draw(st.sampled_from([p for p in below if isinstance(at(value, p), dict | list)]))
        there = at(value, into)
        name = (
            len(there)
            if isinstance(there, list)
            else draw(st.sampled_from([k for k in (*KEYS, "new") if k not in there]))
        )
        return kind, (*into, name), draw(VALUES)
    targets = [p for p in below if len(p) > 1 and (kind == "remove" or not isinstance(at(value, p), dict | list))]
    assume(targets)
    return kind, draw(st.sampled_from(targets)), draw(SCALARS)


def apply(value: Any, edit: tuple[str, Path, Any]) -> Any:
    kind, path, new = edit
    value = json.loads(json.dumps(value))
    into = at(value, path[:-1])
    if kind == "remove":
        del into[path[-1]]
    elif isinstance(into, list) and path[-1] == len(into):
        into.append(new)
    else:
        into[path[-1]] = new
    return value


def lost(before: bytes, after: bytes, owners: dict[str, Path]) -> list[Path]:
    had, has = text_of(before), text_of(after)
    return [path for text, path in owners.items() if text in had and text not in has]


@given(files(), st.data())
@_SHARED
def test_comments_of_what_is_not_removed_are_all_there(file: Any, data: st.DataObject) -> None:
    path, source, value, owners = file
    edit = data.draw(edits(value))
    made = edit_file(source, path, {Location(0): apply(value, edit)})
    event(edit[0])
    assert made.source is not None
    assert same(read(path, made.source), apply(value, edit))
    gone = lost(source, made.source, owners)
    inside = [p for p in gone if edit[0] == "remove" and p[: len(edit[1])] == edit[1]]
    assert gone == inside
    assert not made.lossy


@given(files(), st.data())
@_SHARED
def test_other_lines_stay_as_they_are(file: Any, data: st.DataObject) -> None:
    """What comes before the first changed line and behind the last is the same; between them lies the entry alone."""
    path, source, value, _ = file
    kind, where, _ = edit = data.draw(edits(value, kinds="set add"))
    made = text_of(edited(path, source, apply(value, edit))).splitlines()
    old = text_of(source).splitlines()
    head = next((i for i, (a, b) in enumerate(zip(old, made, strict=False)) if a != b), min(len(old), len(made)))
    room = min(len(old), len(made)) - head
    tail = next((i for i in range(room) if old[-1 - i] != made[-1 - i]), room)
    touched = old[head : len(old) - tail]
    before = at(value, where) if kind == "set" else None
    lines = before.count("\n") + 2 if isinstance(before, str) else 1
    assert len(touched) <= lines, touched


@given(files(), MANIFESTS)
@_SHARED
def test_whatever_is_written_reads_as_it_was_meant(file: Any, new: Any) -> None:
    path, source, _, _ = file
    edited(path, source, new)


@given(files(), st.data())
@_SHARED
def test_edits_in_any_order_give_the_same_text(file: Any, data: st.DataObject) -> None:
    path, source, value, _ = file
    one, two = data.draw(edits(value, kinds="set add")), data.draw(edits(value, kinds="set add"))
    shorter = min(len(one[1]), len(two[1]))
    assume(one[1][:shorter] != two[1][:shorter])
    # Items of one list may become those beside them, and what is added has the quotes of its neighbours.
    assume(one[1][:-1] != two[1][:-1] or (one[0] == two[0] == "add" and isinstance(one[1][-1], str)))
    both = apply(apply(value, one), two)
    order = read_order(value, both)
    first = edited(path, edited(path, source, order(apply(value, one))), order(both))
    second = edited(path, edited(path, source, order(apply(value, two))), order(both))
    at_once = edited(path, source, order(both))
    assert text_of(first) == text_of(second) == text_of(at_once)


def read_order(value: Any, both: Any) -> Any:
    """As an API server tells it: keys by alphabet."""

    def ordered(node: Any) -> Any:
        if isinstance(node, dict):
            return {k: ordered(node[k]) for k in sorted(node)}
        return [ordered(v) for v in node] if isinstance(node, list) else node

    return ordered


@given(files(), st.data())
@_SHARED
def test_an_edit_and_its_inverse_give_the_text_back(file: Any, data: st.DataObject) -> None:
    path, source, value, _ = file
    kind = data.draw(st.sampled_from(["add", "set"]))
    edit = data.draw(edits(value, kinds=kind))
    if kind == "add":
        assume(at(value, edit[1][:-1]))  # `{}` that is filled and emptied is `{}` again, on a line of its own
    else:
        before = at(value, edit[1])
        assume(isinstance(before, str) and before in WORDS[:3])
        edit = (kind, edit[1], data.draw(st.sampled_from(["other", "z"])))
    there = edited(path, source, apply(value, edit))
    back = edited(path, there, value)
    assert text_of(back) == text_of(source)
    assert back == source
