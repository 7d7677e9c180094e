"""suspend, resume and confirm on the real cluster, as somebody who may what `gitintegration-api-user` may, and no more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.printed import check
from tests.bed.user import User
from tests.bed.world import World, eventually, manifest

MakeWorld = Callable[..., World]
NAMES = [f"p{n}" for n in range(6)]
FILES = {f"pipelines/{name}.yaml": manifest(name) for name in NAMES}


@pytest.fixture(scope="module")
def roles(control_plane: ControlPlane) -> None:
    """The role comes with the REST API."""
    control_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "gateway"))


@pytest.fixture
def user(world: MakeWorld, roles: None) -> User:
    w = world(FILES)
    w.secret()
    w.integrate()
    w.in_sync()
    return User(w)


def test_it_is_suspended_for_a_reason_and_resumed(user: User) -> None:
    w = user.w
    place = ("-n", w.namespace)
    done = user.run("suspend", *place, "--reason", "moved \x1b[31mby\n[red]us", "--for", "2h", COLUMNS="140")
    assert done.returncode == 0, done.stdout + done.stderr
    end = w.spec("gi", "gi")["suspend"]["until"]
    left = datetime.fromisoformat(end) - datetime.now(UTC)
    assert timedelta(minutes=118) < left < timedelta(hours=2)
    assert done.stdout == f"gi is suspended until {end}: moved \ufffd[31mby [red]us\n"
    assert w.condition("Ready")["reason"] == "Suspended"
    assert "suspended" in user.run("status", *place).stdout
    assert user.run("status", *place).returncode == 1
    w.patch("p0", {"owner": "cluster"})
    w.repo.commit({"pipelines/p1.yaml": manifest("p1", owner="git")})
    again = user.run("suspend", "gi", *place, "--reason", "again", "-o", "json")
    assert check("suspend", again.stdout)["spec"]["suspend"] == {"reason": "again"}
    failed = user.run("push", *place)
    assert (failed.returncode, "is suspended" in failed.stdout) == (2, True)
    waits = user.run("sync", *place)
    assert (waits.returncode, "gitintegration resume gi" in waits.stderr) == (2, True), waits.stdout
    held = user.run("confirm", *place, "--yes")
    assert (held.returncode, held.stdout) == (0, "gi holds nothing back\n"), held.stderr
    done = user.run("resume", *place, "-o", "yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "suspend" not in yaml.safe_load(done.stdout)["spec"]
    assert w.spec("p1")["owner"] == "git"
    assert w.repo.read("pipelines/p0.yaml") == manifest("p0", owner="cluster")
    w.integrate(enabled=False)
    eventually(lambda: w.condition("Ready")["reason"] == "Suspended")
    done = user.run("resume", *place)
    assert (done.returncode, w.spec("gi", "gi")["enabled"]) == (0, True), done.stdout + done.stderr
    assert user.run("suspend", *place, "--reason", "x", "--no-wait", "-o", "name").stdout == (
        "gitintegration.planasonix.com/gi\n"
    )
    assert user.run("resume", *place, "--no-wait").stdout == "gi is not suspended\n"


def test_an_end_that_is_none_changes_nothing(user: User) -> None:
    place = ("-n", user.w.namespace, "--reason", "moved")
    for more, words in (
        (("--for", "2 hours"), "--for: give it as 2h"),
        (("--for", "0s"), "is over: name a time to come"),
        (("--until", "tomorrow"), "--until: give it as"),
        (("--until", "2020-01-01T00:00:00Z"), "2020-01-01T00:00:00Z is over"),
        (("--until", "9999-12-31T23:59:59-23:59"), "--until: give it as"),
        (("--until", "2099-01-01", "--for", "1h"), "leave one of them out"),
    ):
        done = user.run("suspend", *place, *more)
        assert (done.returncode, words in done.stderr) == (2, True), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert user.run("suspend", "-n", user.w.namespace, "--reason", "x" * 513).returncode == 2
    assert "suspend" not in user.w.spec("gi", "gi")


def emptied(w: World) -> dict[str, object]:
    """The folder is emptied; what is held."""
    w.repo.commit(dict.fromkeys(FILES) | {"README.md": "empty now\n"})
    (held,) = eventually(lambda: w.sync_now().get("held"))
    return held  # type: ignore[no-any-return]


def test_a_mass_delete_is_shown_and_released(user: User) -> None:
    w = user.w
    held = emptied(w)
    told = {k: held[k] for k in ("reason", "side", "count", "known", "pipelines")}
    listed = [{"kind": "Pipeline", "name": name} for name in NAMES]
    assert told == {"reason": "DeletesHeld", "side": "cluster", "count": 6, "known": 6, "pipelines": listed}
    assert str(held["digest"]) in w.condition("InSync")["message"]
    place = ("-n", w.namespace)
    done = user.run("confirm", *place)
    assert (done.returncode, "add --yes" in done.stderr) == (2, True)
    assert f"6 of 6 pipelines would be deleted in the cluster (digest {held['digest']})" in done.stdout
    assert all(f"Pipeline/{name}\n" in done.stdout for name in NAMES)
    done = user.run("confirm", *place, "--yes", "--digest", "0" * 12)
    assert (done.returncode, "another by now: nothing was released" in done.stderr) == (1, True)
    code, said = user.at_a_terminal([("Release this?", "n")], "confirm", *place)
    assert (code, "nothing was released" in said) == (1, True), said
    assert w.names() == set(NAMES)
    code, said = user.at_a_terminal([("Release this?", "y")], "confirm", *place)
    assert code == 0, said
    assert f"released {held['digest']}" in said
    assert w.names() == set()
    assert "held" not in w.status()
    again = user.run("confirm", *place, "-o", "json")
    assert (again.returncode, "held" in check("confirm", again.stdout)["status"]) == (0, False)


@pytest.mark.parametrize("how", ["confirm", "kubectl"])
def test_what_was_released_once_asks_again_another_time(user: User, how: str) -> None:
    w = user.w
    first = emptied(w)
    if how == "confirm":
        assert user.run("confirm", "-n", w.namespace, "--yes", "--digest", str(first["digest"])).returncode == 0
    else:
        w.kubectl("annotate", "gi", "gi", f"planasonix.com/confirmDeletes={first['digest']}")
    eventually(lambda: w.names() == set())
    assert "planasonix.com/confirmDeletes" not in (w.get("gi", "gi") or {})["metadata"].get("annotations", {})
    w.repo.commit(FILES)
    eventually(lambda: w.sync_now().get("inSync") and w.names() == set(NAMES))
    assert emptied(w)["digest"] == first["digest"]
    assert w.names() == set(NAMES)


def test_what_became_another_meanwhile_is_not_released(user: User) -> None:
    w = user.w
    emptied(w)

    def answered(question: str) -> str:
        w.repo.commit({"pipelines/p0.yaml": manifest("p0")})
        eventually(lambda: w.sync_now()["held"][0]["count"] == 5)
        return "y"

    class Late(list[tuple[str, str]]):
        """Before the answer is typed, git holds another."""

        def pop(self, *_: object) -> tuple[str, str]:
            question, _answer = super().pop(0)
            return question, answered(question)

    leading = Late([("Release this?", "y")])
    code, said = user.at_a_terminal(leading, "confirm", "-n", w.namespace)
    assert (code, "it became another meanwhile: nothing was released" in said) == (1, True), said
    assert w.names() == set(NAMES)
    assert "planasonix.com/confirmDeletes" not in (w.get("gi", "gi") or {})["metadata"].get("annotations", {})


def test_a_suspended_one_releases_nothing(user: User) -> None:
    w = user.w
    emptied(w)
    assert user.run("suspend", "-n", w.namespace, "--reason", "moved").returncode == 0
    assert w.status()["held"], "its last values stay"
    done = user.run("confirm", "-n", w.namespace, "--yes")
    assert (done.returncode, "gitintegration resume gi" in done.stderr) == (2, True), done.stdout
    assert w.names() == set(NAMES)


def test_copies_to_another_prefix_are_released_as_deletes_are(user: User) -> None:
    w = user.w
    w.kubectl("patch", "gi", "gi", "--type=merge", "-p", '{"spec": {"pathPrefix": "prod/"}}')
    eventually(lambda: w.status().get("held"))
    done = user.run("confirm", "-n", w.namespace, "--yes", COLUMNS="140")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 of 6 pipelines would be copied in git from 'pipelines/' to 'prod/'" in done.stdout
    assert {f"prod/{name}.yaml" for name in NAMES} <= set(w.repo.files())
