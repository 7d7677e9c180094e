"""Random histories of edits on both sides, and the account of what each edit obliges a sync to.

Every value that is written is unique, so that a value tells which edit it came from. An edit supersedes what its author saw
on that side: a value is owed as long as nobody who saw it wrote something else there.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.laws.world import API, FOLDER, World, parse

NAMES = ("a", "b", "c")
FIELDS = ("f0", "f1", "size", "s0", "s1")
"""`s0` and `s1` are values of keyed list items, the others fields of the spec. `f0` every pipeline has: it is never unset."""
SHAPES = {"move": "", "gather": "all.yaml", "list": "list.yaml", "json": "all.json"}
"""Where an edit in git may move a pipeline: a file of its own, or one that it shares with others."""
ANCHOR = "anchor"
"""A pipeline that nobody touches: neither side is ever empty as a whole."""

State = dict[tuple[str, str], str]


def state_of(specs: Mapping[str, Mapping[str, Any]]) -> State:
    """Every field with its value, by pipeline."""
    found: State = {}
    for name, spec in specs.items():
        for key in ("f0", "f1", "size"):
            if key in spec:
                found[name, key] = str(spec[key]).removesuffix("000m")
        for step in spec.get("steps", ()):
            found[name, step["name"]] = step["x"]
    return found


def edited(spec: Mapping[str, Any], key: str, value: str | None) -> dict[str, Any]:
    """The spec with a field set, or without it."""
    made = dict(spec)
    if key.startswith("s") and key != "size":
        steps = [dict(s) for s in made.get("steps", ())]
        step = next((s for s in steps if s["name"] == key), None)
        if value is None:
            steps = [s for s in steps if s["name"] != key]
        elif step:
            step["x"] = value
        else:
            steps.append({"name": key, "x": value})
        made.pop("steps", None)
        return {**made, **({"steps": steps} if steps else {})}
    if value is None:
        made.pop(key, None)
    else:
        made[key] = f"{value}000m" if key == "size" else value
    return made


@dataclass
class Account:
    """What is owed: values that were written and not superseded, and deletes."""

    owed: set[tuple[str, str, str]] = field(default_factory=set)
    superseded: set[tuple[str, str, str]] = field(default_factory=set)

    def take(self, before: State, after: State) -> None:
        """One edit of one side."""
        for at in before.keys() | after.keys():
            old, new = before.get(at), after.get(at)
            if old == new:
                continue
            if old is not None:
                self.owed.discard((*at, old))
                self.superseded.add((*at, old))
            if new is not None:
                self.owed.add((*at, new))
                self.superseded.discard((*at, new))


@dataclass(frozen=True)
class Edit:
    """One pipeline on one side: a field set (`set`) or removed (`unset`), the pipeline deleted (`delete`) or, in git, moved into another file (SHAPES)."""

    side: str
    name: str
    what: str
    key: str = "f0"


class History:
    """Plays edits into a world and keeps the account."""

    def __init__(self, world: World) -> None:
        self.world, self.account = world, Account()
        self.left_out: set[str] = set()
        """What a selector left out at some time: nothing is agreed on of it then, so that one side's delete holds there alone."""
        self._values = itertools.count(1)
        world.api.put(ANCHOR, {"f0": "anchor"}, labels_of(ANCHOR))
        world.git.commit({f"{FOLDER}/{ANCHOR}.yaml": manifest(ANCHOR, {"f0": "anchor"}), "README.md": "# ours\n"})
        self._first = world.git.head

    def state(self, side: str) -> State:
        return state_of(self.world.api.specs() if side == "cluster" else parse(self.world.git.files()))

    def play(self, edit: Edit) -> None:
        before = self.state(edit.side)
        value = None if edit.what == "unset" else f"{next(self._values)}"
        if edit.side == "cluster":
            self._in_cluster(edit, value)
        else:
            self._in_git(edit, value)
        self.account.take(before, self.state(edit.side))

    def select_all_but(self, name: str) -> None:
        """From now on the selector leaves out this pipeline; with no name, none."""
        self.world.leave_out(name)
        self.left_out.add(name)

    def rewind(self) -> None:
        """A force push to the branch's first parent. What it brings back was seen before: nobody owes it anew."""
        git = self.world.git
        before = self.state("git")
        parents = git.parents(git.head) if git.head else []
        if parents:
            git.force(parents[0])
        after = self.state("git")
        self.account.take(before, after)
        self.account.owed -= {(*at, value) for at, value in after.items() if before.get(at) != value}

    def _in_cluster(self, edit: Edit, value: str | None) -> None:
        api, spec = self.world.api, self.world.api.specs().get(edit.name)
        if edit.what == "delete":
            api.remove(edit.name)
        elif spec is not None or edit.what == "set":
            api.put(edit.name, edited(self._begun(spec), edit.key, value), labels_of(edit.name))

    def _begun(self, spec: Mapping[str, Any] | None) -> Mapping[str, Any]:
        return spec if spec is not None else {"f0": f"{next(self._values)}"}

    def _in_git(self, edit: Edit, value: str | None) -> None:
        git = self.world.git
        files = git.files()
        path = next((p for p, text in files.items() if edit.name in parse({p: text})), None)
        spec = parse(files).get(edit.name)
        if edit.what == "delete" and path:
            self._put(files, path, edit.name, None)
        elif edit.what in SHAPES and path and spec is not None:
            self._put(files, path, edit.name, None)
            elsewhere = f"{edit.name}-{next(self._values)}.yaml" if edit.what == "move" else SHAPES[edit.what]
            self._put(files, f"{FOLDER}/{elsewhere}", edit.name, spec)
        elif edit.what in ("set", "unset") and (spec is not None or edit.what == "set"):
            made = edited(self._begun(spec), edit.key, value)
            self._put(files, path or f"{FOLDER}/{edit.name}.yaml", edit.name, {"junk": "kept", **made})
        if files != git.files():
            git.commit(files)

    @staticmethod
    def _put(files: dict[str, str], path: str, name: str, spec: Mapping[str, Any] | None) -> None:
        """Have the file hold this pipeline, beside others that it holds; without one it goes."""
        specs = {**parse({path: files.get(path, "")}), name: spec}
        made = [manifest(each, there) for each, there in specs.items() if there is not None]
        if not made:
            files.pop(path, None)
        elif path.endswith(".json"):
            files[path] = json.dumps({"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(m) for m in made]})
        elif path.endswith("list.yaml"):
            items = [yaml.safe_load(m) for m in made]
            files[path] = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}, sort_keys=False)
        else:
            files[path] = "---\n".join(made)


def labels_of(name: str) -> dict[str, str]:
    """Of a pipeline on both sides, for selectors."""
    return {"team": name}


def manifest(name: str, spec: Mapping[str, Any]) -> str:
    metadata = {"name": name, "labels": labels_of(name)}
    body = {"apiVersion": API, "kind": "Pipeline", "metadata": metadata, "spec": dict(spec)}
    return f"# {name}\n{yaml.safe_dump(body, sort_keys=False)}"
