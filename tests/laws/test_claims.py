"""Which integration an item belongs to: what no selector asks for any more, and what two ask for."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gitintegration.core.queue import Priority
from gitintegration.errors import Reason
from tests.laws.runs import run, settled
from tests.laws.test_laws import HISTORIES
from tests.laws.twins import PLACES, Twins, labelled
from tests.laws.world import API, FOLDER, NAMESPACE, Crash, World

Selector: TypeAlias = dict[str, Any] | None
NAMES = [f"p{number}" for number in range(6)]


def manifest(name: str, *, f0: str = "1", **labels: str) -> str:
    metadata = {"name": name, "labels": labels} if labels else {"name": name}
    return yaml.safe_dump({"apiVersion": API, "kind": "Pipeline", "metadata": metadata, "spec": {"f0": f0}})


def selecting(**labels: str) -> list[dict[str, Any]]:
    return [{"apiVersion": API, "kind": "Pipeline", "labelSelector": {"matchLabels": labels}}]


def configure(w: World, resources: list[dict[str, Any]], mode: str = "Bidirectional") -> None:
    w.configure(mode)
    w.spec["resources"] = resources


def message(w: World) -> str:
    ready = {c["type"]: c for c in w.status["conditions"]}["Ready"]
    return str(ready["message"])


FILES = {f"{FOLDER}/{name}.yaml": manifest(name, team="a" if number < 4 else "b") for number, name in enumerate(NAMES)}


@pytest.mark.parametrize("restart", ["", "before", "after"])
@pytest.mark.parametrize("mode", ["Bidirectional", "Pull", "Push", "Manual"])
def test_a_narrowed_selector_lets_go_and_deletes_nothing(restart: str, mode: str) -> None:
    async def act(w: World) -> None:
        assert (await settled(w)).pipelines == 6
        before, files = w.api.specs(), w.git.files()
        if restart == "before":
            w.restart(wipe=True)
        configure(w, selecting(team="a"), mode)
        w.deliver()
        outcome, stats = await w.sync()
        assert {key.name for key in stats.let_go} == {"p4", "p5"}
        assert outcome.pipelines == 4
        assert outcome.in_sync
        assert "2 pipelines were let go" in message(w)
        assert "(p4, p5)" in message(w)
        outcome, stats = await w.sync()
        assert not stats.let_go, "once"
        assert "2 pipelines were let go" in message(w)
        if restart == "after":
            w.restart(wipe=True)
        assert (w.api.specs(), w.git.files()) == (before, files)
        w.api.remove("p4")
        w.api.put("p5", {"f0": "cluster"})
        await settled(w)
        assert w.git.files() == files
        w.git.commit({k: v for k, v in files.items() if "p5" not in k})
        outcome = await settled(w)
        assert w.api.specs()["p5"]["f0"] == "cluster"
        assert "p4" not in w.api.specs()
        assert outcome.pipelines == 4
        assert w.git.pushed == []

    run(act, FILES)


def test_a_widened_selector_takes_up_what_it_selects() -> None:
    async def act(w: World) -> None:
        configure(w, selecting(team="a"))
        assert (await settled(w)).pipelines == 4
        assert w.api.specs().keys() == {"p0", "p1", "p2", "p3"}
        w.api.put("own", {"f0": "1"})
        await settled(w)
        assert w.git.pushed == []
        configure(w, [{"apiVersion": API, "kind": "Pipeline"}])
        outcome = await settled(w)
        assert outcome.in_sync
        assert outcome.pipelines == 7
        assert w.api.specs().keys() == {*NAMES, "own"}
        assert f"{FOLDER}/own.yaml" in w.git.files()

    run(act, FILES)


def test_what_is_selected_again_is_as_it_was() -> None:
    async def act(w: World) -> None:
        await settled(w)
        configure(w, selecting(team="a"))
        await settled(w)
        configure(w, [{"apiVersion": API, "kind": "Pipeline"}])
        outcome = await settled(w)
        assert outcome.in_sync
        assert outcome.pipelines == 6
        assert "let go" not in message(w)
        assert w.git.pushed == []

    run(act, FILES)


def test_a_frozen_item_is_let_go_too() -> None:
    async def act(w: World) -> None:
        await settled(w)
        w.git.commit({**w.git.files(), f"{FOLDER}/p5.yaml": "a: [", f"{FOLDER}/p4.yaml": ""})
        outcome = await settled(w)
        assert {entry.path for entry in outcome.invalid} == {f"{FOLDER}/p5.yaml", f"{FOLDER}/p4.yaml"}
        configure(w, selecting(team="a"))
        outcome = await settled(w)
        assert {entry.path for entry in outcome.invalid} == {f"{FOLDER}/p5.yaml"}, "a file that can't be parsed is told"
        assert outcome.pipelines == 4
        assert len(w.api.specs()) == 6

    run(act, FILES)


@pytest.mark.parametrize("restart", [False, True])
def test_a_kind_that_is_listed_no_more_is_let_go(restart: bool) -> None:
    async def act(w: World) -> None:
        await settled(w)
        w.api.put("p1", {"f0": "ours"})
        w.git.commit({**w.git.files(), f"{FOLDER}/p1.yaml": manifest("p1", f0="theirs", team="a")})
        assert [c.name for c in (await settled(w)).conflicts] == ["p1"]
        if restart:
            w.restart(wipe=True)
        before, files = w.api.specs(), w.git.files()
        configure(w, [{"apiVersion": "example.com/v1", "kind": "Other"}])
        outcome, stats = await w.sync()
        assert len(stats.let_go) == 6
        assert outcome.pipelines == 0
        assert not outcome.conflicts
        w.git.commit({f"{FOLDER}/p0.yaml": files[f"{FOLDER}/p0.yaml"]})
        outcome, stats = await w.sync()
        assert (w.api.specs(), outcome.pipelines, stats.let_go) == (before, 0, [])
        assert w.git.pushed == []

    run(act, FILES)


# --- two integrations ---------------------------------------------------------------------------------------------------


def together(place: str, act: Callable[[Twins], Coroutine[Any, Any, None]]) -> None:
    """`a` has x and kept, `b` has theirs; all is in sync."""

    async def begin(w: Twins) -> None:
        for host in {w.git, w.far}:
            host.commit({"README.md": "# ours\n"})
        w.write("a", "x", labelled("x", team="a"))
        w.write("a", "kept", labelled("kept", team="a"))
        w.write("b", "theirs", labelled("theirs", team="b"))
        await w.settle()
        in_sync(w)
        await act(w)

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(begin(Twins(Path(directory) / "cache", place)))


def in_sync(w: Twins) -> None:
    told = {name: (o.error, o.refusals, o.conflicts, o.invalid) for name, o in w.outcomes.items()}
    assert all(o.in_sync for o in w.outcomes.values()), told


def overlaps(w: Twins) -> dict[str, bool]:
    return {name: any(r.reason is Reason.Overlap for r in o.refusals) for name, o in w.outcomes.items()}


def team(text: str) -> str:
    return str(yaml.safe_load(text)["metadata"]["labels"]["team"])


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("side", ["cluster", "git"])
def test_a_claim_that_moves_is_handed_over(place: str, order: str, side: str) -> None:
    async def act(w: Twins) -> None:
        uid = w.live("x")["metadata"]["uid"]  # type: ignore[index]
        if side == "cluster":
            w.api.label("x", team="b")
        else:
            w.write("a", "x", labelled("x", team="b"))
        await w.settle(order)
        in_sync(w)
        live = w.live("x")
        assert live
        assert (live["metadata"]["uid"], live["metadata"]["labels"]) == (uid, {"team": "b"})
        assert team(w.files_of("b")["x"]) == "b"
        assert ("x" in w.files_of("a")) == (place in ("same", "alias")), "its file goes with it, where it is another"
        assert {name: o.pipelines for name, o in w.outcomes.items()} == {"a": 1, "b": 2}
        w.write("b", "x", labelled("x", f0="2", team="b"))
        await w.settle(order)
        assert w.api.specs()["x"]["f0"] == "2"
        w.write("b", "x", None)
        await w.settle(order)
        in_sync(w)
        assert w.live("x") is None
        assert w.live("kept")
        assert w.live("theirs")

    together(place, act)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("side", ["cluster", "git"])
def test_a_handover_survives_an_end_at_any_step(place: str, side: str) -> None:
    """Law 4: nothing is lost, and the same end comes of it."""

    async def act(w: Twins, at: int) -> bool:
        if side == "cluster":
            w.api.label("x", team="b")
        else:
            w.write("a", "x", labelled("x", team="b"))
        w.steps.before[w.steps.count + at] = w.steps.crash
        try:
            await w.settle()
            died = False
            w.steps.before.clear()
        except Crash:
            died = True
            w.restart(wipe=at % 2 == 0)
        await w.settle()
        in_sync(w)
        live = w.live("x")
        assert live, "it is there whatever happens"
        assert live["metadata"]["labels"] == {"team": "b"}
        assert team(w.files_of("b")["x"]) == "b"
        assert ("x" in w.files_of("a")) == (place in ("same", "alias"))
        return died

    for at in range(0, 60, 1 if HISTORIES > 150 else 3):
        died: list[bool] = []

        async def once(w: Twins, at: int = at, died: list[bool] = died) -> None:
            died.append(await act(w, at))

        together(place, once)
        if not died[0]:
            assert at > 6
            return


@pytest.mark.parametrize("place", PLACES)
def test_what_two_claim_neither_writes_and_both_are_told(place: str) -> None:
    async def act(w: Twins) -> None:
        w.set("b", {"matchLabels": {"tier": "gold"}})
        w.write("b", "theirs", labelled("theirs", tier="gold"))
        await w.settle()
        w.api.label("x", team="a", tier="gold")
        await w.settle("ba")
        assert overlaps(w) == {"a": True, "b": True}
        files = {name: w.files_of(name) for name in "ab"}
        w.api.put("x", {"f0": "cluster"})
        w.write("a", "kept", labelled("kept", f0="git", team="a"))
        await w.settle()
        assert overlaps(w) == {"a": True, "b": True}
        assert "'b' claims Pipeline/x as well" in message_of(w, "a")
        assert "'a' claims Pipeline/x as well" in message_of(w, "b")
        assert {n: w.files_of(n).get("x") for n in "ab"} == {n: files[n].get("x") for n in "ab"}
        assert w.api.specs()["kept"]["f0"] == "git", "the others are synced"
        w.restart(wipe=True)
        await w.settle()
        assert overlaps(w) == {"a": True, "b": True}
        w.api.label("x", tier="gold")
        await w.settle()
        in_sync(w)
        assert yaml.safe_load(w.files_of("b")["x"])["spec"]["f0"] == "cluster"
        assert ("x" in w.files_of("a")) == (place in ("same", "alias"))

    together(place, act)


WHOLE: list[tuple[Selector, str]] = [(None, "ab"), ({"matchLabels": {"team": "a"}}, "ba")]
"""What `b` may ask for, that labels don't tell apart from what `a` does; and in which order they run."""


def stir(w: Twins) -> None:
    """An edit of each sort, on both sides."""
    w.api.put("x", {"f0": "cluster"})
    w.write("a", "kept", labelled("kept", f0="git", team="a"))
    w.api.remove("theirs")
    w.write("b", "new", labelled("new", team="b"))


def stirred(w: Twins) -> bool:
    """Whether all of it arrived."""
    in_git = yaml.safe_load(w.files_of("a")["x"])["spec"]["f0"] == "cluster" and "theirs" not in w.files_of("b")
    return in_git and w.api.specs()["kept"]["f0"] == "git" and w.live("new") is not None


@pytest.mark.parametrize(("whole", "order"), WHOLE, ids=["all", "labels"])
@pytest.mark.parametrize("place", PLACES)
def test_a_kind_that_two_claim_neither_writes_and_both_are_told(place: str, whole: Selector, order: str) -> None:
    async def act(w: Twins) -> None:
        w.set("b", whole)
        await w.settle(order)
        assert overlaps(w) == {"a": True, "b": True}
        assert "Pipeline is claimed by GitIntegration 'b' as well" in message_of(w, "a")
        assert "Pipeline is claimed by GitIntegration 'a' as well" in message_of(w, "b")
        stir(w)
        before = (w.git.files(), w.far.files(), w.api.specs())
        await w.settle(order)
        w.restart(wipe=True)
        await w.settle(order)
        assert overlaps(w) == {"a": True, "b": True}
        assert (w.git.files(), w.far.files(), w.api.specs()) == before
        w.set("b", {"matchLabels": {"team": "b"}})
        await w.settle(order)
        in_sync(w)
        assert stirred(w)

    together(place, act)


@pytest.mark.parametrize("end", ["suspended", "invalid", "gone"])
def test_who_claims_nothing_any_more_leaves_it_to_the_other(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(w: Twins) -> None:
        w.set("b", None)
        await w.settle()
        w.api.put("x", {"f0": "cluster"})
        await w.settle()
        assert "cluster" not in w.files_of("a")["x"]
        woken: list[str] = []
        monkeypatch.setattr(w.controller.dispatcher, "add", lambda name, *_: woken.append(name[1]))
        if end == "gone":
            await w.controller.gone((NAMESPACE, "b"))
        else:
            w.specs["b"] |= {"enabled": False} if end == "suspended" else {"pathPrefix": 5}
            w.generation_of["b"] += 1
            await w.run("b")
        assert "a" in woken
        await alone(w)
        assert w.outcomes["a"].in_sync
        assert yaml.safe_load(w.files_of("a")["x"])["spec"]["f0"] == "cluster"

    together("host", act)


def test_what_one_of_another_shard_claims_is_known() -> None:
    async def act(w: Twins) -> None:
        await w.controller.seen_elsewhere(w.body_of("b"))
        w.api.label("x", team="a", tier="gold")
        w.set("b", {"matchLabels": {"tier": "gold"}})
        await w.controller.seen_elsewhere(w.body_of("b"))
        w.api.put("x", {"f0": "both"})
        await alone(w)
        assert "'b' claims Pipeline/x as well" in message_of(w, "a")
        w.set("b", None)
        await w.controller.seen_elsewhere(w.body_of("b"))
        await alone(w)
        assert "Pipeline is claimed by GitIntegration 'b' as well" in message_of(w, "a")
        assert "both" not in w.files_of("a")["x"]
        await w.controller.gone((NAMESPACE, "b"))
        await alone(w)
        assert w.outcomes["a"].in_sync
        assert yaml.safe_load(w.files_of("a")["x"])["spec"]["f0"] == "both"

    together("host", act)


def test_one_whose_memory_is_a_newer_releases_is_named_on_the_other() -> None:
    """Whose an item is can't be told then; what is to be forgotten, if anything, is that one's."""

    async def act(w: Twins) -> None:
        w.api.mark_memory("3:", "base-uid-b")
        w.restart(wipe=True)
        w.write("a", "x", labelled("x", "2", team="a"))
        before = w.api.specs(), dict(w.git.heads), w.api.memory()
        await w.run(*"ab")
        assert (w.api.specs(), dict(w.git.heads), w.api.memory()) == before
        told = {name: message_of(w, name) for name in "ab"}
        assert told["a"].startswith("of GitIntegration 'b', which shares kinds with this one: a newer release")
        assert told["b"].startswith("a newer release")
        assert all("integration-uid=uid-b" in words for words in told.values())
        w.api.mark_memory("", "base-uid-b")
        w.restart(wipe=True)
        await w.settle()
        in_sync(w)
        assert w.api.specs()["x"]["f0"] == "2"

    together("prefix", act)


async def alone(w: Twins) -> None:
    """`a` runs, and nobody tells the controller of `b`."""
    for _ in range(3):
        w.now += 10
        w.deliver()
        await w.controller.run((NAMESPACE, "a"), Priority.requested)


def message_of(w: Twins, name: str) -> str:
    return next(c["message"] for c in w.statuses[name]["conditions"] if c["type"] == "Ready")  # type: ignore[no-any-return]


@pytest.mark.parametrize("place", ["prefix", "host"])
def test_a_manifest_of_what_another_has_is_told_on_both(place: str) -> None:
    async def act(w: Twins) -> None:
        before = w.live("x")
        w.write("b", "x", labelled("x", f0="b", team="b"))
        await w.settle("ba")
        assert overlaps(w) == {"a": True, "b": True}
        w.write("a", "x", None)
        await w.settle()
        assert w.live("x") == before, "a file that moves to another's repository is no delete"
        w.api.label("x", team="b")
        await w.settle()
        assert overlaps(w) == {"a": False, "b": False}
        assert [c.name for c in w.outcomes["b"].conflicts] == ["x"], "they hold different values"

    together(place, act)


@pytest.mark.parametrize("mode", ["Pull", "Manual", "Push"])
def test_one_that_may_not_write_lets_go_all_the_same(mode: str) -> None:
    async def act(w: Twins) -> None:
        w.set("a", {"matchLabels": {"team": "a"}}, mode)
        await w.settle()
        w.api.label("x", team="b")
        await w.settle()
        in_sync(w)
        assert team(w.files_of("b")["x"]) == "b"
        assert ("x" in w.files_of("a")) == (mode != "Push")
        w.restart(wipe=True)
        await w.settle()
        in_sync(w)
        w.api.remove("x")
        await w.settle()
        assert w.live("x") is None, "its old file brings nothing back"
        assert "x" not in w.files_of("b")
        w.set("a", {"matchLabels": {"team": "a"}})
        await w.settle()
        assert w.live("x") is None

    together("host", act)


@pytest.mark.parametrize("mode", ["Pull", "Manual"])
def test_its_file_stays_until_the_other_has_it(mode: str) -> None:
    async def act(w: Twins) -> None:
        w.set("b", {"matchLabels": {"team": "b"}}, mode)
        await w.settle()
        w.api.label("x", team="b")
        await w.settle()
        assert "x" in w.files_of("a")
        assert "x" not in w.files_of("b")
        assert "1 pipeline was let go" in message_of(w, "a")
        w.set("b", {"matchLabels": {"team": "b"}})
        await w.settle()
        in_sync(w)
        assert "x" not in w.files_of("a")
        assert "x" in w.files_of("b")

    together("host", act)


def test_a_file_that_was_edited_since_stays_and_is_told() -> None:
    async def act(w: Twins) -> None:
        w.api.label("x", team="b")
        w.write("a", "x", labelled("x", f0="late", team="a"))
        await w.settle()
        assert yaml.safe_load(w.files_of("a")["x"])["spec"]["f0"] == "late"
        assert overlaps(w) == {"a": True, "b": False}
        assert "was edited here since" in message_of(w, "a")
        assert "x" in w.files_of("b")
        w.write("a", "x", None)
        await w.settle()
        in_sync(w)
        assert w.live("x")

    together("host", act)


def test_a_label_that_nobody_asks_for_lets_go_and_one_that_comes_back_goes_on() -> None:
    async def act(w: Twins) -> None:
        w.api.label("x")
        await w.settle()
        assert w.outcomes["a"].pipelines == 1
        assert "x" in w.files_of("a")
        w.api.put("x", {"f0": "meanwhile"})
        w.restart(wipe=True)
        await w.settle()
        assert "meanwhile" not in w.files_of("a")["x"]
        w.api.label("x", team="a")
        await w.settle()
        in_sync(w)
        assert "meanwhile" in w.files_of("a")["x"]
        w.api.label("x")
        await w.settle()
        w.api.remove("x")
        w.restart(wipe=True)
        await w.settle()
        assert w.live("x") is None
        assert "x" in w.files_of("a"), "what was let go is deleted nowhere"

    together("host", act)


@pytest.mark.parametrize("asked_for", [False, True])
def test_where_git_always_wins_a_label_taken_off_by_hand_is_put_back(asked_for: bool) -> None:
    async def act(w: Twins) -> None:
        w.set("a", {"matchLabels": {"team": "a"}}, "Pull")
        w.specs["a"]["sync"]["drift"] = "revert"
        await w.settle()
        w.api.label("x", **({"team": "b"} if asked_for else {}))
        await w.settle()
        live = w.live("x")
        assert live
        assert live["metadata"]["labels"] == {"team": "b" if asked_for else "a"}
        assert w.outcomes["a"].pipelines == (1 if asked_for else 2)
        in_sync(w)

    together("host", act)


# --- random histories ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Label:
    """The label of an object moves; None: it has none any more."""

    name: str
    team: str | None


@dataclass(frozen=True)
class Write:
    """An edit of one side. In git it is made where its owner has the file, and may move the label there."""

    name: str
    side: str
    team: str | None = None


@dataclass(frozen=True)
class Delete:
    name: str


@dataclass(frozen=True)
class Run:
    order: str
    crash: int | None = None


@dataclass(frozen=True)
class Again:
    """A new process."""

    wipe: bool


Move = Label | Write | Delete | Run | Again
_names, _teams = st.sampled_from(["x", "kept", "theirs"]), st.sampled_from(["a", "b"])
_moves = st.one_of(
    st.builds(Label, _names, st.one_of(_teams, _teams, st.none())),
    st.builds(Write, _names, st.just("cluster")),
    st.builds(Write, _names, st.just("git"), st.one_of(st.none(), _teams)),
    st.builds(Delete, _names),
    st.builds(Run, st.sampled_from(["a", "b", "ab", "ba"])),
    st.builds(Run, st.sampled_from(["a", "b", "ab", "ba"]), st.integers(0, 12)),
    st.builds(Again, st.booleans()),
)


class Played:
    """What was done in a history, and what it obliges to."""

    def __init__(self, w: Twins) -> None:
        self.w, self.numbers = w, itertools.count(2)
        self.owed: dict[tuple[str, str], str] = {}
        self.deleted: set[str] = set()
        self.uids = {name: w.api.objects["pipelines", name]["metadata"]["uid"] for name in w.api.specs()}

    async def play(self, move: Move) -> None:
        match move:
            case Run(order, crash):
                await self._run(order, crash)
            case Again(wipe):
                self.w.restart(wipe=wipe)
            case Delete(name):
                self.w.api.remove(name)
                self.deleted.add(name)
            case Label(name, team) if name not in self.deleted:
                self.w.api.label(name, **({"team": team} if team else {}))
            case Write(name, side, team) if name not in self.deleted:
                self._write(name, side, team)

    async def _run(self, order: str, crash: int | None) -> None:
        if crash is not None:
            self.w.steps.before[self.w.steps.count + crash] = self.w.steps.crash
        try:
            await self.w.run(*order)
        except Crash:
            self.w.restart()
        self.w.steps.before.clear()

    def _write(self, name: str, side: str, team: str | None) -> None:
        """The cluster's field is `f0`, git's is `f1`: two edits are never of one field."""
        value = str(next(self.numbers))
        if side == "cluster":
            self.w.api.put(name, {**self.w.api.specs()[name], "f0": value})
            self.owed[name, "f0"] = value
            return
        for owner in sorted(
            "ab", key=lambda each: (self.w.live(name) or {})["metadata"].get("labels", {}).get("team") != each
        ):
            if text := self.w.files_of(owner).get(name):
                whole = yaml.safe_load(text)
                whole["spec"]["f1"] = value
                if team:
                    whole["metadata"]["labels"] = {"team": team}
                self.w.write(owner, name, yaml.safe_dump(whole))
                self.owed[name, "f1"] = value
                return

    def check(self) -> None:
        w = self.w
        texts = [yaml.safe_load(text) for owner in "ab" for text in w.files_of(owner).values()]
        for (name, key), value in self.owed.items():
            if name in self.deleted:
                continue
            specs = [w.api.specs()[name], *(t["spec"] for t in texts if t["metadata"]["name"] == name)]
            assert value in [spec.get(key) for spec in specs], f"{value} of {name} is lost"
        for name, uid in self.uids.items():
            live = w.live(name)
            if name in self.deleted:
                assert live is None, f"{name} is back"
                continue
            assert live, f"{name} was deleted by nobody"
            assert live["metadata"]["uid"] == uid
            owner = (live["metadata"].get("labels") or {}).get("team")
            torn = any(c.name == name for o in w.outcomes.values() for c in o.conflicts)
            torn = torn or any(o.invalid for o in w.outcomes.values())
            if owner and not torn and not any(overlaps(w).values()):
                below = ("a", "b") if w.place == "nested" and owner == "a" else (owner,)
                (mine,) = [yaml.safe_load(t) for each in below for n, t in w.files_of(each).items() if n == name]
                assert mine["spec"] == {k: v for k, v in live["spec"].items() if k in mine["spec"]}
                other = "b" if owner == "a" else "a"
                assert w.place == "same" or len(below) > 1 or name not in w.files_of(other), f"{name} is in both"


@settings(
    phases=[Phase.generate],
    deadline=None,
    max_examples=HISTORIES // 2,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(st.sampled_from(["same", "prefix", "nested", "host"]), st.lists(_moves, max_size=14))
def test_no_history_of_moving_claims_loses_anything(place: str, moves: list[Move]) -> None:
    """Laws 1, 2 and 4 with two integrations: no edit and no object is lost, it settles, a deleted one is not back."""

    async def act(w: Twins) -> None:
        played = Played(w)
        for move in moves:
            await played.play(move)
        await w.settle()
        played.check()
        before = len(w.api.writes)
        heads = dict(w.git.heads), dict(w.far.heads)
        await w.run("a", "b")
        assert (dict(w.git.heads), dict(w.far.heads)) == heads
        assert len(w.api.writes) == before

    together(place, act)


def test_others_come_while_what_a_neighbour_remembers_is_read() -> None:
    """As when an operator starts: integrations of all namespaces are seen while the first of them run."""

    async def act(w: Twins) -> None:
        await w.settle()
        w.restart(wipe=True)
        for name in ("a", "b"):
            await w.controller.seen(w.body_of(name))
        request, numbers = w.api.request, itertools.count()

        async def meanwhile(*asked: Any, **more: Any) -> Any:
            body, number = w.body_of("a"), next(numbers)
            there = {**body["metadata"], "namespace": f"other-{number}", "uid": f"uid-{number}"}
            await w.controller.seen({**body, "metadata": there})
            return await request(*asked, **more)

        w.api.request = meanwhile  # type: ignore[method-assign]
        for name in ("a", "b"):
            w.deliver()
            await w.controller.run((NAMESPACE, name), Priority.requested)
            assert w.outcomes[name].error is None, w.outcomes[name].error
        assert next(numbers) > 4

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(act(Twins(Path(directory) / "cache", "same")))
