"""What is worked on in portions is what would be worked on at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.laws.history import Edit, History, manifest
from tests.laws.test_laws import settle, world
from tests.laws.world import FOLDER, manifests, parse

NAMES = [f"p{number}" for number in range(7)]
SHARED = f"{FOLDER}/all.yaml"


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("gone", [["p1"], ["p0", "p3", "p6"], NAMES[:5]])
def test_a_file_of_which_some_are_deleted_and_others_edited_is_edited_once(gone: list[str], crowded: bool) -> None:
    """Deletes wait until all are counted; the file must not be written twice, or without one of the two."""
    directory, w = world(crowded=crowded)
    with directory:
        History(w)

        async def act() -> None:
            text = "---\n".join(manifest(name, {"f0": "1"}) for name in NAMES)
            w.git.commit({**w.git.files(), SHARED: text})
            await settle(w)
            for name in NAMES:
                w.api.remove(name) if name in gone else w.api.put(name, {"f0": "2"})
            w.api.put("new", {"f0": "1"})
            before = len(w.git.pushed)
            w.deliver()
            await w.sync()
            assert len(w.git.pushed) == before + 1
            left = {each["metadata"]["name"]: each["spec"]["f0"] for each in manifests(w.git.files()[SHARED])}
            assert left == {name: "2" for name in NAMES if name not in gone}
            assert parse(w.git.files())["new"] == {"f0": "1"}
            await settle(w)
            assert len(w.git.pushed) == before + 1

        asyncio.run(act())


@pytest.mark.parametrize("crowded", [False, True])
def test_held_deletes_hold_up_no_edit_of_their_file(crowded: bool) -> None:
    directory, w = world(crowded=crowded)
    with directory:
        History(w)

        async def act() -> None:
            w.git.commit({**w.git.files(), SHARED: "---\n".join(manifest(name, {"f0": "1"}) for name in NAMES)})
            await settle(w)
            w.configure(max_deletes="50%")
            for name in NAMES[:6]:
                w.api.remove(name)
            w.api.put("p6", {"f0": "2"})
            w.deliver()
            outcome, stats = await w.sync()
            assert [held.count for held in stats.held] == [6]
            assert outcome.local_ahead == 6
            left = {each["metadata"]["name"]: each["spec"]["f0"] for each in manifests(w.git.files()[SHARED])}
            assert left == {**dict.fromkeys(NAMES[:6], "1"), "p6": "2"}

        asyncio.run(act())


@pytest.mark.parametrize("crowded", [False, True])
def test_what_is_too_large_to_be_logged_is_carried_all_the_same(crowded: bool) -> None:
    directory, w = world(crowded=crowded)
    with directory:
        history = History(w)
        w.api.strict = False  # of 100 kB and more nothing is logged

        async def act() -> None:
            for name in ("a", "b", "c"):
                w.api.put(name, {"f0": "1", "f1": "x" * 120_000})
            await settle(w)
            assert history.state("cluster") == history.state("git")
            history.play(Edit("git", "a", "set", "f0"))
            history.play(Edit("cluster", "b", "set", "f0"))
            before = len(w.git.pushed)
            outcome = await settle(w)
            assert not outcome.conflicts
            assert history.state("cluster") == history.state("git")
            assert len(w.git.pushed) == before + 1
            assert len(w.session.records.marks) == 4

        asyncio.run(act())
