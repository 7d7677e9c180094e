"""Edits of real files, counted: what is written coarsely, what is lost untold, and which lines are touched beside the edit.

    python -m tests.bench.corpus FOLDER... [--edits 3000] [--seed 1]

A folder is whatever holds YAML and JSON: the modules that `go mod download` unpacks, say. The measures are of their own:
they compare lines and comments, and ask the editor for nothing but the result.
"""

from __future__ import annotations

import argparse
import difflib
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitintegration.core import yaml_edit
from gitintegration.core.diff import same
from gitintegration.core.invalid import ManifestError
from gitintegration.core.manifest_file import read_file
from gitintegration.core.values import Json
from gitintegration.core.yaml_edit import Location, edit_file
from gitintegration.core.yaml_read import ReadLimits
from gitintegration.core.yaml_tree import Node, Tree, parse_json, parse_yaml

LIMITS = ReadLimits(size=2 << 20)
_LARGEST = 200_000
_WORDS = (
    "other",
    "12",
    "a: b",
    "yes",
    "http://h/x?v=1",
    "it's",
    "",
    "5m",
    "- x",
    "é",
    "a\nb\n",
    "#",
    7,
    1.5,
    True,
    None,
)
Path_ = tuple[Any, ...]
Lines = set[int]


@dataclass
class Count:
    edits: int = 0
    coarse: int = 0
    untold: int = 0
    other: int = 0
    refused: int = 0
    crashed: int = 0
    wrong: int = 0
    seconds: float = 0.0
    told: list[str] = field(default_factory=list)

    def row(self) -> str:
        one = 1000 * self.seconds / max(self.edits, 1)
        return (
            f"{self.edits} edits: coarse {self.coarse}, comments lost untold {self.untold}, other lines {self.other}, "
            f"refused {self.refused}, crashed {self.crashed}, read wrong {self.wrong}; {one:.2f} ms of CPU each"
        )


@dataclass(frozen=True)
class Edit:
    """What to make of a value, and the path of the entry whose lines may be touched for it; None: only lines come."""

    kind: str
    path: Path_
    owned: tuple[Path_, ...]
    new: Json = None

    def apply(self, value: Json) -> None:
        into = _at(value, self.path[:-1])
        key = self.path[-1]
        if self.kind in ("remove", "move"):
            gone = into.pop(key)
            if self.kind == "move":
                into.insert(self.new, gone)
        elif self.kind == "insert":
            into.insert(key, self.new)
        else:
            into[key] = self.new


def _at(value: Json, path: Path_) -> Json:
    for step in path:
        value = value[step]
    return value


def _nodes(value: Json, path: Path_ = ()) -> Iterator[tuple[Path_, Json]]:
    yield path, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in inside:
        yield from _nodes(inner, (*path, step))


def random_edit(rng: random.Random, value: Json) -> Edit | None:
    there: Json
    new: Json
    nodes = list(_nodes(value))
    leaves = [(p, v) for p, v in nodes if p and not isinstance(v, dict | list)]
    maps = [(p, v) for p, v in nodes if isinstance(v, dict) and v]
    lists = [(p, v) for p, v in nodes if isinstance(v, list) and v]
    kind = rng.choice(["set", "set", "add", "remove", "insert", "move", "rename", "script"])
    scripts = [(p, v) for p, v in leaves if isinstance(v, str) and v.count("\n") > 1]
    named = [(p, v) for p, v in leaves if p[-1] == "name" and len(p) > 1 and isinstance(p[-2], int)]
    if kind == "script" and scripts:
        path, text = rng.choice(scripts)
        lines = text.split("\n")
        at = rng.randrange(len(lines) - 1)
        lines[at : at + rng.choice([0, 1])] = [rng.choice(["new line", lines[at] + " more"])]
        return Edit(kind, path, (path,), "\n".join(lines))
    if kind == "rename" and named:
        path, _ = rng.choice(named)
        return Edit(kind, path, (path,), "renamed")
    if kind == "add" and maps:
        path, there = rng.choice(maps)
        if "added" not in there:
            new = rng.choice([*_WORDS, {"a": 1, "b": ["x"]}, ["x", {"y": "z"}]])
            return Edit(kind, (*path, "added"), (), new)
    if kind in ("insert", "move") and lists:
        path, there = rng.choice(lists)
        at = rng.randrange(len(there))
        if kind == "insert":
            named_item = {"name": "added"}
            new = named_item if isinstance(there[0], dict) else rng.choice([*_WORDS, named_item])
            return Edit(kind, (*path, at), (), new)
        to = rng.randrange(len(there))
        low, high = sorted((at, to))
        return Edit(kind, (*path, at), tuple((*path, n) for n in range(low, high + 1)), to)
    if kind == "remove" and len(leaves) > 1:
        path, _ = rng.choice([(p, v) for p, v in nodes if p])
        return Edit(kind, path, (path,))
    if leaves:
        path, _ = rng.choice(leaves)
        return Edit("set", path, (path,), rng.choice(_WORDS))
    return None


class Old:
    """A file as it was: its lines, and where each path stands in it."""

    def __init__(self, text: str, *, is_json: bool) -> None:
        self.lines = text.splitlines(keepends=True)
        self.tree: Tree = parse_json(text) if is_json else parse_yaml(text)

    def span(self, document: int, path: Path_) -> tuple[Lines, Lines]:
        """The lines of an entry, and those with the comments directly above it."""
        node, source = self.tree.roots[document], self.tree.source
        start = end = 0
        for step in path:
            assert node is not None
            node = _meant(node)
            entry = next(
                (e for n, e in enumerate(node.entries) if (n if isinstance(step, int) else e.name) == step), None
            )
            if entry is None:  # a `<<` brings it in
                start, end = node.start, node.end
                break
            start, end, node = entry.start, entry.end, entry.value
        first, last = source.text.count("\n", 0, start), source.text.count("\n", 0, max(end - 1, start))
        own = set(range(first, last + 1))
        while first and self.lines[first - 1].lstrip().startswith("#"):
            first -= 1
        while last + 1 < len(self.lines) and (
            not self.lines[last + 1].strip() or self.lines[last + 1].lstrip().startswith("#")
        ):
            last += 1
        return own, set(range(first, last + 1))

    def comments(self, lines: Lines | None = None) -> Counter[str]:
        text = self.tree.source.text
        spans = self.tree.comments()
        return Counter(text[a:b].rstrip() for a, b in spans if lines is None or text.count("\n", 0, a) not in lines)


def _meant(node: Node) -> Node:
    return node.target if node.kind == "alias" and node.target is not None else node


def measure(rng: random.Random, path: Path, count: Count, number: int) -> None:
    source = path.read_bytes()
    name, is_json = path.name, path.name.endswith(".json")
    documents = read_file(name, source, LIMITS)
    choices = [n for n, value in enumerate(documents) if isinstance(value, dict) and len(value) > 1]
    if not choices:
        return
    document = rng.choice(choices)
    wanted = json.loads(json.dumps(documents[document]))
    edits: list[Edit] = []
    for _ in range(number):
        edit = random_edit(rng, wanted)
        if edit is None or (edits and any(_meet(edit, e) for e in edits)):
            continue
        edit.apply(wanted)
        edits.append(edit)
    if not edits or not wanted or same(wanted, documents[document]):
        return
    count.edits += 1
    began = time.process_time()
    settled: list[int] = []
    settle = yaml_edit._Piece.settle
    yaml_edit._Piece.settle = lambda self, limits: (settled.append(1), settle(self, limits))[1]  # type: ignore[method-assign,func-returns-value]
    try:
        made = edit_file(source, name, {Location(document): wanted}, LIMITS)
    except ManifestError as error:
        count.refused += 1
        count.told.append(f"refused {path} {error.message} {edits}")
        return
    except Exception as error:
        count.crashed += 1
        count.told.append(f"crashed {path} {error!r} {edits}")
        return
    finally:
        count.seconds += time.process_time() - began
        yaml_edit._Piece.settle = settle  # type: ignore[method-assign]
    assert made.source is not None
    expected = [wanted if n == document else value for n, value in enumerate(documents)]
    if not same(read_file(name, made.source, LIMITS), expected):
        count.wrong += 1
        count.told.append(f"wrong {path} {edits}")
    if settled or made.lossy:
        count.coarse += 1
        count.told.append(f"coarse {path} lossy={made.lossy} {edits}")
    _compare(source, made.source, made.lossy, document, edits, count, path, is_json=is_json)


def _meet(one: Edit, two: Edit) -> bool:
    """Whether one lies in the other, or in a list that the other one shifts."""
    a, b = one.path[:-1], two.path[:-1]
    return a == b[: len(a)] or b == a[: len(b)]


def _compare(
    source: bytes,
    made: bytes,
    lossy: bool,
    document: int,
    edits: list[Edit],
    count: Count,
    path: Path,
    *,
    is_json: bool,
) -> None:
    text, after = (data.decode("utf-8-sig").replace("\r\n", "\n") for data in (source, made))
    text, after = (t if t.endswith("\n") else t + "\n" for t in (text, after))
    old, new = Old(text, is_json=is_json), Old(after, is_json=is_json)
    near, owned = set[int](), set[int]()
    for edit in edits:
        for where in edit.owned or (edit.path[:-1],):
            own, wide = old.span(document, where)
            if edit.owned:
                near |= {line + step for line in wide for step in (-1, 0, 1)}
                owned |= wide if edit.kind == "remove" else own
            else:
                near |= own if len(own) < 2 else {min(own) - 1, min(own), max(own), max(own) + 1}
    if not is_json and not lossy and old.comments(owned) - new.comments():
        count.untold += 1
        count.told.append(f"untold {path} {old.comments(owned) - new.comments()} {edits}")
    lines = new.lines
    codes = difflib.SequenceMatcher(None, old.lines, lines, autojunk=False).get_opcodes()
    touched = {line for tag, a, b, _, _ in codes if tag in ("replace", "delete") for line in range(a, b)}
    adding = any(not edit.owned for edit in edits)
    missing = Counter(line for n, line in enumerate(old.lines) if n not in near and line.strip()) - Counter(lines)
    beside = {
        line for line in touched - near if old.lines[line] in missing
    }  # of lines alike, any may be the one that went
    beside = {line for line in beside if not (adding and old.lines[line].rstrip().rstrip(",") + ",\n" in lines)}
    if beside:
        count.other += 1
        count.told.append(f"other {path} {[old.lines[line] for line in sorted(beside)][:3]} {edits}")


def files(folders: list[Path]) -> list[Path]:
    """Those that can be read, below 200 KB."""
    found = []
    for path in sorted(p for f in folders for end in ("yaml", "yml", "json") for p in f.rglob(f"*.{end}")):
        try:
            if path.is_file() and 20 < path.stat().st_size <= _LARGEST:
                read_file(path.name, path.read_bytes(), LIMITS)
                found.append(path)
        except (ManifestError, OSError):
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--edits", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=2400, help="files, drawn at random")
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    there = files(asked.folders)
    drawn = sorted(rng.sample(there, min(asked.most, len(there))))
    print(f"{len(drawn)} of {len(there)} files, seed {asked.seed}")
    for words, number in (("one edit", 1), ("two to eight", 0)):
        count = Count()
        for _ in range(asked.edits // 2):
            measure(rng, rng.choice(drawn), count, number or rng.randint(2, 8))
        print(f"{words}: {count.row()}")
        print("\n".join(f"  {line[:600]}" for line in count.told[:60]))


if __name__ == "__main__":
    main()
