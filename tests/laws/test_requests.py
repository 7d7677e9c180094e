"""What each sort of edit costs in requests: what it changes, and not one more; the sync after it asks for the refs alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.laws.history import Edit, History
from tests.laws.test_laws import settle, world
from tests.laws.world import World

LOG, CHECKPOINT = "PATCH memory", "PATCH memory"
AUTHOR = "GET object"
_LIVE, _GIT = Edit("cluster", "a", "set", "f0"), Edit("git", "a", "set", "f0")


def asked(w: World) -> list[str]:
    """All requests from now on."""
    found: list[str] = []
    answer = w.api._answer

    def noted(method: str, plural: str, name: str | None, body: Any, query: Mapping[str, str]) -> Any:
        what = "object" if plural == "pipelines" else "memory"
        found.append(f"{method} {what}{' dry' if 'dryRun' in query else ''}")
        return answer(method, plural, name, body, query)

    def counted(name: str) -> Any:
        work = getattr(w.git, name)

        async def call(*args: Any) -> Any:
            found.append(name)
            return await work(*args)

        return call

    w.api._answer = noted  # type: ignore[method-assign]
    for name in ("ls_refs", "fetch", "fetch_blobs", "fetch_history", "push"):
        setattr(w.git, name, counted(name))
    return found


@pytest.mark.parametrize(
    ("edits", "wanted"),
    [
        pytest.param([_LIVE], ["GET object", LOG, "push", CHECKPOINT], id="live"),
        pytest.param([_GIT], ["fetch", "GET object", LOG, "PUT object", CHECKPOINT], id="git"),
        pytest.param(
            [_LIVE, Edit("git", "a", "set", "f1")],
            ["fetch", "GET object", LOG, "PUT object", "push", CHECKPOINT],
            id="merge",
        ),
        pytest.param([_LIVE, _GIT], ["fetch", "GET object", "PUT object dry", "GET object", AUTHOR], id="conflict"),
        pytest.param(
            [Edit("cluster", "a", "set", "f1")],
            ["GET object", "PUT object dry", "GET object", LOG, "push", CHECKPOINT],
            id="a live field that may be the server's",
        ),
        pytest.param([Edit("cluster", "b", "set")], ["GET object", LOG, "push", CHECKPOINT], id="new live"),
        pytest.param(
            [Edit("git", "b", "set")], ["fetch", "GET object", LOG, "POST object", CHECKPOINT], id="new in git"
        ),
        pytest.param([Edit("cluster", "a", "delete")], ["GET object", LOG, "push", CHECKPOINT], id="deleted live"),
        pytest.param(
            [Edit("git", "a", "delete")], ["fetch", "GET object", LOG, "DELETE object", CHECKPOINT], id="deleted in git"
        ),
    ],
)
def test_an_edit_costs_these_requests(edits: Sequence[Edit], wanted: list[str]) -> None:
    directory, w = world()
    with directory:
        history = History(w)

        async def act() -> None:
            history.play(Edit("git", "a", "set"))
            await settle(w)
            found = asked(w)
            for edit in edits:
                history.play(edit)
            w.deliver()
            await w.sync()
            assert found == ["ls_refs", *wanted]
            found.clear()
            w.deliver()
            await w.sync()
            assert found == ["ls_refs"]

        asyncio.run(act())


def test_who_made_a_conflict_is_asked_for_once() -> None:
    """Not at the next sync, nor where somebody asks for one, nor by the next process; but of another edit anew."""
    directory, w = world()
    compared = ["GET object", "PUT object dry", "GET object"]
    with directory:
        history = History(w)

        async def synced() -> list[str]:
            found = asked(w)
            w.deliver()
            await w.sync()
            return found

        def authors() -> list[tuple[str, str]]:
            return [(c["theirs"]["commit"], c["theirs"]["by"]) for c in w.status["conflicts"]]

        async def act() -> None:
            history.play(Edit("git", "a", "set"))
            await settle(w)
            history.play(_LIVE)
            history.play(_GIT)
            made = w.git.head
            assert await synced() == ["ls_refs", "fetch", *compared, AUTHOR]
            assert authors() == [(made, "User")]
            assert await synced() == ["ls_refs"]
            w.annotations = {"planasonix.com/requestedAt": "now"}
            assert await synced() == ["ls_refs", *compared]
            history.play(Edit("git", "b", "set"))
            await synced()
            w.restart()
            found = await synced()
            assert found.count(AUTHOR) == compared.count(AUTHOR), found
            assert authors() == [(made, "User")]
            history.play(_GIT)
            assert await synced() == ["ls_refs", "fetch", *compared, AUTHOR]
            assert authors() == [(w.git.head, "User")]

        asyncio.run(act())
