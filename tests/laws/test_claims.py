"""Which integration an item belongs to: what no selector asks for any more, and what two ask for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitintegration.core.status import Outcome
from tests.laws.world import API, FOLDER, World

NAMES = [f"p{number}" for number in range(6)]


def manifest(name: str, *, f0: str = "1", **labels: str) -> str:
    metadata = {"name": name, "labels": labels} if labels else {"name": name}
    return yaml.safe_dump({"apiVersion": API, "kind": "Pipeline", "metadata": metadata, "spec": {"f0": f0}})


def selecting(**labels: str) -> list[dict[str, Any]]:
    return [{"apiVersion": API, "kind": "Pipeline", "labelSelector": {"matchLabels": labels}}]


def run(act: Callable[[World], Coroutine[Any, Any, None]], files: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory) / "cache")
        world.git.commit(files)
        asyncio.run(act(world))


async def settled(w: World) -> Outcome:
    for _ in range(4):
        w.deliver()
        outcome, stats = await w.sync()
        if not stats.wrote:
            return outcome
    raise AssertionError("it does not settle")


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
