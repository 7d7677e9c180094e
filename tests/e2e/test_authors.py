"""Who made each side's change of a conflict, and when, as kubectl, REST and the command line show it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from gitintegration.core.status import parse_timestamp
from tests.bed.world import World, eventually, manifest
from tests.e2e.test_operations import ask, started

MakeWorld = Callable[..., World]


def edited(w: World, name: str, spec: dict[str, str], manager: str) -> None:
    """An edit in the cluster by a tool of this name."""
    w.kubectl("patch", "pipeline", name, "--type=merge", "-p", json.dumps({"spec": spec}), "--field-manager", manager)


def test_a_conflict_says_who_made_it_and_when(world: MakeWorld) -> None:
    w = started(world, mode="Bidirectional")
    began = datetime.now(UTC).replace(microsecond=0)
    w.kubectl("patch", "gi", "gi", "--type=merge", "-p", '{"spec": {"sync": {"mode": "Manual"}}}')
    edited(w, "orders", {"owner": "cluster"}, "hand-of-bob")
    edited(w, "orders", {"description": "beside it"}, "another-tool")
    ours = w.repo.commit(
        {"pipelines/orders.yaml": manifest("orders", owner="git")}, author="Alice \x1b[31mArt <alice@example.com>"
    )
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git", schedule="@daily")}, author="Zoe <z@x>")
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="git")}, author="Zoe <z@x>")
    (conflict,) = eventually(lambda: (s := w.sync_now()).get("conflictCount") == 1 and s["conflicts"])
    assert conflict["fields"] == ["spec.owner"]
    assert (conflict["ours"]["by"], conflict["theirs"]["by"]) == ("hand-of-bob", "Alice \ufffd[31mArt")
    assert conflict["theirs"]["commit"] == ours
    for side in ("ours", "theirs"):
        assert began <= parse_timestamp(conflict[side]["at"]) <= datetime.now(UTC)
    told = w.kubectl("describe", "gi", "gi")
    assert "hand-of-bob" in told
    assert "\x1b" not in told
    planned = ask(w, "pull", dryRun=True)
    assert [(c["ours"], c["theirs"]) for c in planned["conflicts"]] == [(conflict["ours"], conflict["theirs"])]


def test_a_delete_is_the_commits_that_took_the_file_away(world: MakeWorld) -> None:
    w = started(world)
    edited(w, "orders", {"owner": "cluster"}, "hand-of-bob")
    w.kubectl("delete", "pipeline", "users")
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="git")}, author="Alice <a@x>")
    gone = w.repo.commit({"pipelines/orders.yaml": None}, author="Carol <c@x>")
    found = eventually(lambda: (s := w.sync_now()).get("conflictCount") == 2 and s["conflicts"])
    orders, users = sorted(found, key=lambda c: str(c["name"]))
    assert (orders["reason"], orders["ours"]["by"]) == ("DeletedInGit", "hand-of-bob")
    assert (orders["theirs"]["by"], orders["theirs"]["commit"]) == ("Carol", gone)
    assert (users["reason"], users["theirs"]["by"]) == ("DeletedInCluster", "Alice")
    assert "ours" not in users
