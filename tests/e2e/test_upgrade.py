"""This release after the one before, and back: each reads what the other left, and nothing is lost or written for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import GitServer, git
from tests.bed.previous import ReplacedOperator, previous_code
from tests.bed.world import World, eventually, manifest

SHARD = "planasonix.com/shard"
NAMES = ("orders", "kept", *(f"{side}-{number}" for side in ("cluster", "git") for number in range(3)))
FILES = {f"pipelines/{name}.yaml": manifest(name) for name in NAMES}


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return previous_code(tmp_path_factory.mktemp("previous"))
    except RuntimeError as error:  # a shallow clone: no command of ours can bring what its maker left out
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def operator(control_plane: ControlPlane, bed_directory: Path, previous: Path) -> Iterator[ReplacedOperator]:
    """That of a shard of its own, which begins with the code before."""
    shard = f"upgrade-{uuid.uuid4().hex[:8]}"
    process = ReplacedOperator(control_plane, bed_directory / shard, f"--shard={shard}", code=previous)
    try:
        yield process
    finally:
        process.stop()


def made(plane: ControlPlane, server: GitServer, operator: ReplacedOperator, kind: str, **sync: object) -> World:
    shard = operator.log_path.parent.name
    w = World(plane, server, f"{shard}-{kind}", FILES)
    w.secret()
    w.integrate(labels={SHARD: shard}, sync=sync)
    return w


def versions(w: World) -> dict[str, str]:
    """Of all that the operator may write, but for the status of the integration."""
    items = w.plane.json("-n", w.namespace, "get", "pipelines,gitintegrationbases")["items"]
    return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in items}


def orders(w: World) -> tuple[str, str]:
    spec = w.spec("orders")
    return spec["schedule"], spec["owner"]


def test_an_upgrade_and_the_way_back_lose_nothing_and_write_nothing_of_their_own(
    control_plane: ControlPlane, git_server: GitServer, operator: ReplacedOperator, previous: Path
) -> None:
    """One of two is edited on both sides meanwhile; of the other nothing is written at all."""
    assert operator.runs_from() == previous
    w = made(control_plane, git_server, operator, "direct")
    reviewed = made(control_plane, git_server, operator, "review", push={"quietPeriod": "0s", "branch": "review"})
    w.in_sync()
    reviewed.in_sync()
    for number, code in enumerate((None, previous)):
        schedule, owner = f"{number} 4 * * *", f"owner-{number}"
        w.patch("orders", {"schedule": schedule})
        eventually(lambda: w.repo.count() == 2 + 3 * number)  # noqa: B023
        w.in_sync()
        reviewed.patch(f"git-{number}", {"owner": "offered"})
        eventually(lambda: reviewed.repo.count("review") == 2 + number)  # noqa: B023
        reviewed.sync_now()
        before, offered = versions(reviewed), reviewed.repo.head("review")

        operator.stop()
        changed = {"pipelines/orders.yaml": manifest("orders", schedule, owner)}
        w.repo.commit({**changed, f"pipelines/git-{number}.yaml": None})
        schedule = f"{number} 6 * * *"
        w.patch("orders", {"schedule": schedule})
        w.kubectl("delete", "pipeline", f"cluster-{number}")
        operator.replace(code)
        assert operator.runs_from() == (code or ROOT / "operator")
        w.in_sync()
        assert orders(w) == (schedule, owner)
        assert w.repo.read("pipelines/orders.yaml") == manifest("orders", schedule, owner)
        gone = {f"{side}-{n}" for side in ("cluster", "git") for n in range(number + 1)}
        assert w.names() == {Path(path).stem for path in w.repo.files()} == set(NAMES) - gone
        assert w.repo.count() == 4 + 3 * number
        assert reviewed.sync_now()["localAheadCount"] == 1 + number
        assert (versions(reviewed), reviewed.repo.head("review")) == (before, offered)
    assert reviewed.repo.count() == 1


def test_what_a_later_release_remembers_is_kept_for_it_and_the_resource_says_what_to_do(
    control_plane: ControlPlane, git_server: GitServer, operator: ReplacedOperator
) -> None:
    """In one place that release runs again; in another what it remembers is forgotten, as the message has it."""
    kept, forgotten = (made(control_plane, git_server, operator, kind) for kind in ("kept", "forgotten"))
    kept.in_sync()
    forgotten.in_sync()
    operator.stop()
    for w in (kept, forgotten):
        mark(w, "3:")
        w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git"), "pipelines/git-0.yaml": None})
    kept.patch("orders", {"schedule": "7 7 * * *"})
    forgotten.patch("orders", {"owner": "cluster"})
    before = versions(kept) | versions(forgotten)
    operator.replace(None)
    message = ""
    for w in (kept, forgotten):
        eventually(lambda: w.condition("Stalled")["reason"] == "NewerMemory")  # noqa: B023
        message = w.condition("Ready")["message"]
        assert "run that release again" in message
        assert w.repo.count() == 2
    assert versions(kept) | versions(forgotten) == before

    mark(kept, "")
    kept.in_sync()
    assert orders(kept) == ("7 7 * * *", "git")
    assert kept.get("git-0") is None
    assert kept.repo.read("pipelines/orders.yaml") == manifest("orders", "7 7 * * *", "git")

    command = message[message.index("kubectl ") :].split(" && ")[0].split()[1:]
    assert command[:2] == ["-n", forgotten.namespace]
    control_plane.kubectl(*command)
    (conflict,) = eventually(lambda: forgotten.sync_now().get("conflicts"))
    assert (conflict["name"], conflict["reason"], conflict["fields"]) == ("orders", "BothCreated", ["spec.owner"])
    assert forgotten.names() == set(NAMES)
    assert "pipelines/git-0.yaml" in forgotten.repo.files()


def mark(w: World, version: str) -> None:
    """All that is remembered, as if it were of this version of its format."""
    for one in w.plane.json("-n", w.namespace, "get", "gitintegrationbases")["items"]:
        data = version + one["spec"]["data"].rpartition(":")[2]
        patch = json.dumps({"spec": {"data": data}})
        w.kubectl("patch", "gitintegrationbases", one["metadata"]["name"], "--type=merge", "-p", patch)


def test_a_clone_without_the_code_before_says_what_to_fetch(tmp_path: Path) -> None:
    git("init", "--quiet", "shallow", cwd=tmp_path)
    with pytest.raises(RuntimeError, match="git fetch --unshallow"):
        previous_code(tmp_path / "code", tmp_path / "shallow")
