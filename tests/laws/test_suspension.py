"""A suspension with an end: what is edited meanwhile waits, and nobody has to say that it is over."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitintegration.core.queue import Priority
from tests.laws.runs import run, settled
from tests.laws.twins import Twins, labelled
from tests.laws.world import _BEGUN, FOLDER, NAME, NAMESPACE, World

NOISE = "moved\x1b[31m by\u202e the DBAs\n$NAMESPACE"


def until(w: World, seconds: float) -> str:
    """A time so many seconds ahead."""
    return (_BEGUN + timedelta(seconds=w.now + seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ready(status: dict[str, Any]) -> tuple[str, str]:
    found = next(c for c in status["conditions"] if c["type"] == "Ready")
    return found["reason"], found["message"]


async def turn(w: World) -> float | None:
    await w.controller.seen(w.body)
    w.deliver()
    return await w.controller.run(NAME, Priority.requested)


FILES = {f"{FOLDER}/x.yaml": labelled("x"), f"{FOLDER}/z.yaml": labelled("z")}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("end", ["its time", "taken away"])
def test_what_was_edited_meanwhile_is_carried_once_it_ends(end: str, restart: bool) -> None:
    async def act(w: World) -> None:
        await settled(w)
        w.configure()
        w.spec["suspend"] = {"reason": NOISE, **({"until": until(w, 100)} if end == "its time" else {})}
        delay = await turn(w)
        assert delay == (100 if end == "its time" else 86_400)
        reason, told = ready(w.status)
        assert reason == "Suspended"
        assert told.startswith(
            f"syncing is suspended (spec.suspend), until {until(w, 100) if end == 'its time' else 'it is resumed'}"
        )
        assert "\x1b" not in told
        assert "$NAMESPACE; go on at once: kubectl -n " in told
        w.api.put("x", {"f0": "cluster"})
        w.git.commit({**w.git.files(), f"{FOLDER}/z.yaml": labelled("z", "git")})
        before = w.git.files()
        w.now += 60
        if restart:
            w.restart(wipe=True)
        delay = await turn(w)
        assert delay == (40 if end == "its time" else 86_400)
        assert (w.git.files(), w.api.specs()["z"]["f0"]) == (before, "1")
        if end == "its time":
            w.now += 40
        else:
            w.configure()
        await turn(w)
        await settled(w)
        assert ready(w.status)[0] == "Succeeded"
        assert w.api.specs()["z"]["f0"] == "git"
        assert yaml.safe_load(w.git.files()[f"{FOLDER}/x.yaml"])["spec"]["f0"] == "cluster"

    run(act, FILES)


def test_its_last_values_stay_while_it_is_suspended() -> None:
    async def act(w: World) -> None:
        await settled(w)
        before = dict(w.status)
        w.configure()
        w.spec["suspend"] = {"reason": "moved"}
        await turn(w)
        kept = ("pipelineCount", "lastSyncedCommit", "inSync", "lastSyncAt")
        assert {name: w.status[name] for name in kept} == {name: before[name] for name in kept}
        assert "Stalled" not in {c["type"] for c in w.status["conditions"]}

    run(act, FILES)


def twins(act: Any) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(act(Twins(Path(directory), "host")))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_whose_suspension_ends_claims_its_kinds_again(elsewhere: bool) -> None:
    """And the other, also where another process has the one, looks at it by itself then."""

    async def act(w: Twins) -> None:
        w.set("b", None)
        w.specs["b"]["suspend"] = {"reason": "moved", "until": until(w, 1000)}
        if elsewhere:
            await w.controller.seen_elsewhere(w.body_of("b"))
        else:
            await w.controller.seen(w.body_of("b"))
        await w.controller.seen(w.body_of("a"))
        w.write("a", "x", labelled("x", "2", team="a"))
        for _ in range(3):
            w.deliver()
            delay = await w.controller.run((NAMESPACE, "a"), Priority.requested)
        assert ready(w.statuses["a"])[0] == "Succeeded"
        assert w.api.specs()["x"]["f0"] == "2"
        w.now += 950
        delay = await w.controller.run((NAMESPACE, "a"), Priority.requested)
        assert delay == 50
        w.now += 50
        w.deliver()
        await w.controller.run((NAMESPACE, "a"), Priority.requested)
        assert ready(w.statuses["a"])[0] == "Overlap"

    twins(act)


def test_an_address_that_is_none_is_no_busy_loop_while_it_is_suspended() -> None:
    async def act(w: World) -> None:
        w.spec |= {"repositoryURL": "nonsense", "suspend": {"reason": "moved"}}
        assert await turn(w) == 86_400
        w.spec["suspend"]["until"] = until(w, 300_000)
        w.generation += 1
        assert await turn(w) == 86_400

    run(act, FILES)
