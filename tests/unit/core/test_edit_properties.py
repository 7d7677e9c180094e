"""What holds for every edit of every file: values, comments, lines, order, and the way back."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from gitintegration.core.diff import same
from gitintegration.core.yaml_edit import Location, edit_file
from gitintegration.core.yaml_read import read_documents, read_json
from gitintegration.core.yaml_render import is_plain
from tests.unit.core.styled import KEYS, MANIFESTS, SCALARS, VALUES, WORDS, files

EXAMPLES = int(os.environ.get("HISTORIES", "150"))
_SHARED = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
Path = tuple[Any, ...]
Edit = tuple[str, Path, Any]


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
def edits(draw: st.DrawFn, value: Any, *, kinds: str = "set add remove") -> Edit:
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
    items = kind in ("insert", "swap")
    targets = [
        p
        for p in below
        if len(p) > 1
        and (isinstance(p[-1], int) if items else kind == "remove" or not isinstance(at(value, p), dict | list))
    ]
    assume(targets)
    return kind, draw(st.sampled_from(targets)), draw(VALUES if kind == "insert" else SCALARS)


def apply(value: Any, edit: Edit) -> Any:
    kind, path, new = edit
    value = json.loads(json.dumps(value))
    into = at(value, path[:-1])
    if kind == "remove":
        del into[path[-1]]
    elif kind == "insert" or (isinstance(into, list) and path[-1] == len(into)):
        into.insert(path[-1], new)
    elif kind == "swap":
        into[0], into[path[-1]] = into[path[-1]], into[0]
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


@given(st.lists(files().filter(lambda file: file[0] == "x.yaml"), min_size=2, max_size=4), st.data())
@_SHARED
def test_other_documents_of_a_file_stay_to_the_letter(several: list[Any], data: st.DataObject) -> None:
    texts = ["---\n" + text_of(source).removeprefix("---\n").removesuffix("\n") + "\n" for _, source, _, _ in several]
    number = data.draw(st.integers(0, len(texts) - 1))
    before = read_documents("".join(texts).encode())
    wanted = apply(before[number], data.draw(edits(before[number])))
    made = edit_file("".join(texts).encode(), "x.yaml", {Location(number): wanted})
    assert made.source is not None
    assert made.source.decode().startswith("".join(texts[:number]))
    assert made.source.decode().endswith("".join(texts[number + 1 :]))
    assert same(made.documents, [*before[:number], wanted, *before[number + 1 :]])
    assert made.documents == read_documents(made.source)


@given(files(), MANIFESTS)
@_SHARED
def test_whatever_is_written_reads_as_it_was_meant(file: Any, new: Any) -> None:
    path, source, _, _ = file
    edited(path, source, new)


@given(files(), st.data())
@_SHARED
def test_edits_in_any_order_give_the_same_text(file: Any, data: st.DataObject) -> None:
    """All edits of a run are made at once: of whatever kind they are, and however often two of them are beside each other."""
    path, source, value, _ = file
    drawn = data.draw(st.lists(edits(value, kinds="set add add remove insert swap"), min_size=2, max_size=5))
    apart = [e for n, e in enumerate(drawn) if all(independent(e, other) for other in drawn[:n])]
    assume(len(apart) > 1)
    texts = []
    for order in (apart, data.draw(st.permutations(apart)), apart[::-1]):
        wanted = value
        for edit in order:
            wanted = apply(wanted, edit)
        texts.append(edited(path, source, wanted))
    event(f"{len(apart)} edits")
    assert texts[0] == texts[1] == texts[2]


@given(files(), st.data())
@_SHARED
def test_edits_that_come_one_after_the_other_may_come_in_any_order(file: Any, data: st.DataObject) -> None:
    """Each on the text that the one before left, and both at once.

    But for quotes: what is added has those of its neighbours, or the file's most frequent ones, and an edit may have
    taken the only neighbour that had any.
    """
    path, source, value, _ = file
    one, two = data.draw(edits(value, kinds="set add")), data.draw(edits(value, kinds="set add"))
    assume(independent(one, two))
    assume(all(is_new(text, edit) for edit, other in ((one, two), (two, one)) for text in (value, apply(value, other))))
    both = apply(apply(value, one), two)
    first = edited(path, edited(path, source, apply(value, one)), both)
    second = edited(path, edited(path, source, apply(value, two)), both)
    at_once = edited(path, source, both)
    one_sort = any(sign not in text_of(at_once) for sign in "'\"")
    alike = text_of if one_sort and all(keeps_quotes(value, edit) for edit in (one, two)) else unquoted
    event(alike.__name__)
    assert alike(first) == alike(second) == alike(at_once)


def independent(one: Edit, two: Edit) -> bool:
    """Whether each means the same before the other and after it: neither lies in the other, nor where the other moves items."""
    for (kind, a, _), (_, b, _) in ((one, two), (two, one)):
        if a == b[: len(a)] or (
            kind in ("insert", "swap", "remove") and isinstance(a[-1], int) and a[:-1] == b[: len(a) - 1]
        ):
            return False
    return True


def is_new(value: Any, edit: Edit) -> bool:
    """Whether what comes into a list stands nowhere else in it: else an item may have moved as well."""
    into = at(value, edit[1][:-1])
    return not isinstance(into, list) or not any(same(edit[2], item) for item in into)


def keeps_quotes(value: Any, edit: Edit) -> bool:
    """Whether it leaves the strings that its neighbours' quotes are told from."""
    kind, path, new = edit
    return kind == "add" or evidence(at(value, path)) == evidence(new)


def evidence(value: Any) -> tuple[bool, ...]:
    return (is_plain(value), is_plain(value, flow=True)) if isinstance(value, str) else ()


def unquoted(source: bytes) -> str:
    return re.sub(r"""['"\\]""", "", text_of(source))


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
    ends = [text_of(text).endswith("\n") for text in (source, there)]
    assume(ends[0] == ends[1])  # a last line break that became content is not told from others when that goes
    back = edited(path, there, value)
    assert text_of(back) == text_of(source)
    assert back == source
