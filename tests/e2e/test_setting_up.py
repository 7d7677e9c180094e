"""init, doctor and diff's program on the real cluster, as somebody who may what `gitintegration-api-user` may, and no more."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import TOKEN
from tests.bed.printed import check
from tests.bed.user import User
from tests.bed.world import World, eventually, manifest, pipeline

MakeWorld = Callable[..., World]


@pytest.fixture(scope="module")
def roles(control_plane: ControlPlane) -> None:
    """The role comes with the REST API."""
    control_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "gateway"))


@pytest.fixture
def new(world: MakeWorld, roles: None) -> User:
    """Of a namespace that nothing is set up in: one pipeline lies in git, another is live."""
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.apply(pipeline("fresh"))
    return User(w)


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)


def test_init_shows_the_plan_and_goes_on_once_told_so(new: User, token: str) -> None:
    w = new.w
    command = ("init", w.repo.url(), "-n", w.namespace)
    done = new.run(*command, "--token-file", token)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the credentials may read and write" in done.stdout
    assert "push: dry run: 1 created" in done.stdout
    assert "+++ b/pipelines/fresh.yaml" in done.stdout
    assert "pull: dry run: 1 created" in done.stdout
    assert "+++ b/Pipeline/orders" in done.stdout
    told = " ".join(done.stdout.split())
    assert "call it again with --yes" in told
    assert f"go on: kubectl gitintegration init {w.repo.url()} -n {w.namespace}" in told
    assert (w.names(), w.repo.count()) == ({"fresh"}, 1)
    assert w.spec("default", "gi")["sync"]["mode"] == "Manual"
    secret = w.get("default-git-credentials", "secret")
    assert secret
    assert base64.b64decode(secret["data"]["token"]).decode() == TOKEN
    assert secret["metadata"]["annotations"]["planasonix.com/allowed-hosts"] == "127.0.0.1"
    assert secret["metadata"]["ownerReferences"][0]["name"] == "default"
    done = new.run(*command, "--yes", "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    made = check("init", done.stdout)
    assert (made["spec"]["sync"]["mode"], made["status"]["inSync"]) == ("Bidirectional", True)
    assert w.names() == {"fresh", "orders"}
    assert set(w.repo.files()) == {"pipelines/fresh.yaml", "pipelines/orders.yaml"}
    again = new.run(*command)
    assert (again.returncode, "is set up already, in mode Bidirectional" in again.stdout) == (0, True), again.stderr
    other = new.run("init", w.repo.url().replace(".git", "-other.git"), "-n", w.namespace, "--anonymous")
    assert (other.returncode, "is for another repository" in other.stderr) == (2, True), other.stdout
    assert TOKEN not in done.stdout + done.stderr + again.stdout + other.stderr


def test_init_asks_at_a_terminal(new: User) -> None:
    w = new.w
    command = ("init", w.repo.url(), "-n", w.namespace)
    code, said = new.at_a_terminal(
        [("(empty: without credentials):", TOKEN), ("Go on, in mode Pull?", "n")], *command, "--mode", "Pull"
    )
    assert (code, "nothing was carried" in said, TOKEN in said) == (1, True, False), said
    assert "push: " not in said
    assert w.names() == {"fresh"}
    answers = [("(empty: those that are stored):", ""), ("Go on, in mode Pull?", "y")]
    code, said = new.at_a_terminal(answers, *command, "--mode", "Pull")
    assert w.spec("default", "gi")["sync"]["mode"] == "Pull"
    assert code == 1, said  # fresh is ahead, and mode Pull does not write to git
    assert w.names() == {"fresh", "orders"}
    assert w.repo.count() == 1


def test_init_with_what_does_not_log_in_makes_nothing(new: User, tmp_path: Path) -> None:
    w = new.w
    (tmp_path / "wrong").write_text("hunter2")
    done = new.run("init", w.repo.url(), "-n", w.namespace, "--token-file", str(tmp_path / "wrong"))
    assert done.returncode == 2, done.stdout
    assert "does not accept the credentials" in done.stderr
    assert "no GitIntegration was made; try again: kubectl gitintegration init" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert w.names("gi") == set()
    eventually(lambda: not {n for n in w.names("secret") if n.startswith(("gitop-", "default-"))})
    for url, words in (("https://ann:pw@x/y", "holds a credential"), ("nonsense", "use https://")):
        bad = new.run("init", url, "-n", w.namespace, "--anonymous")
        assert (bad.returncode, words in bad.stderr) == (2, True), bad.stderr
    nobody = new.run("init", w.repo.url(), "-n", w.namespace)
    assert (nobody.returncode, "give --token-file" in nobody.stderr) == (2, True)


def test_init_says_what_is_there_where_it_fails_and_goes_on_there(new: User, token: str) -> None:
    w = new.w
    command = ("init", w.repo.url(), "-n", w.namespace)
    done = new.run(*command, "--token-file", token, "--branch", "nowhere", "--yes")
    assert done.returncode == 2, done.stdout
    assert "BranchNotFound" in done.stderr
    there = "by now there is GitIntegration default in mode Manual, which carries nothing and Secret default-git-credentials"
    assert there in done.stderr
    assert f"kubectl -n {w.namespace} delete gitintegration default" in done.stderr
    done = new.run(*command, "--branch", "main", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert w.names() == {"fresh", "orders"}


def test_init_under_another_name_needs_a_right_of_its_own(new: User, token: str) -> None:
    w = new.w
    done = new.run("init", w.repo.url(), "-n", w.namespace, "--token-file", token, "--name", "mine", "--yes")
    assert done.returncode == 2, done.stdout
    assert "leave --name out" in done.stderr
    assert "no GitIntegration was made" in done.stderr
    assert w.names("gi") == set()


def test_init_offers_what_is_live_for_review(new: User, token: str) -> None:
    w = new.w
    done = new.run("init", w.repo.url(), "-n", w.namespace, "--token-file", token, "--pr", "--yes", COLUMNS="140")
    assert w.spec("default", "gi")["sync"]["push"]["createPullRequest"] is True
    assert "pipelines/fresh.yaml" in w.repo.files("cluster-changes"), done.stdout + done.stderr
    assert (w.repo.files(), w.names()) == (["pipelines/orders.yaml"], {"fresh", "orders"})
    assert done.returncode == 1


def integrated(new: User) -> World:
    new.w.secret()
    new.w.integrate()
    new.w.in_sync()
    return new.w


def told(
    user: User, *more: str, namespace: str = "", kubeconfig: Path | None = None
) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """The exit code, and what was found by check: state and words."""
    done = user.run("doctor", "-n", namespace or user.w.namespace, "-o", "json", *more, kubeconfig=kubeconfig)
    assert done.stdout, done.stderr
    found: dict[str, list[tuple[str, str]]] = {}
    for one in check("doctor", done.stdout):
        words = one["message"] + (f"; {one['remedy']}" if "remedy" in one else "")
        found.setdefault(one["check"], []).append((one["state"], words))
    return done.returncode, found


def bad(found: dict[str, list[tuple[str, str]]]) -> str:
    """In lines, for who reads why a test failed."""
    return "\n".join(f"{words[:300]}" for check in found.values() for state, words in check if state in ("bad", "warn"))


def test_doctor_finds_all_well_and_says_what_it_may_not_see(new: User) -> None:
    w = integrated(new)
    code, found = told(new)
    assert {state for check in found.values() for state, _ in check} == {"ok", "unknown"}, bad(found)
    assert code == 0
    assert [state for state, _ in found["version"]] == ["ok"] * 3, found["version"]
    assert found["version"][2][1].startswith("the operator is ")
    assert [state for state, _ in found["crds"]] == ["ok"] * 5, found["crds"]
    assert [state for state, words in found["rights"] if words.startswith("you may ")] == ["ok"] * 5, found["rights"]
    for looked in ("operator", "lease", "policies"):
        assert {state for state, _ in found[looked]} == {"unknown"}
        assert all("ask an administrator to run: kubectl " in words for _, words in found[looked])
    (one,) = found["repository"]
    assert (one[0], "gi: the repository answers" in one[1]) == ("ok", True)
    assert found["status"][0][0] == "ok"
    text = new.run("doctor", "-n", w.namespace, "--no-test", COLUMNS="200")
    assert text.returncode == 0, text.stdout
    assert (
        yaml.safe_load(new.run("doctor", "-n", w.namespace, "-o", "yaml", "--no-test").stdout)[0]["check"] == "version"
    )


def test_doctor_tells_an_administrator_all(new: User, control_plane: ControlPlane) -> None:
    integrated(new)
    _, found = told(new, "--no-test", kubeconfig=Path(control_plane.kubeconfig))
    for looked in ("crds", "lease", "policies", "rights"):
        assert {state for state, _ in found[looked]} == {"ok"}, found[looked]
    assert {words.split(" may ")[0] for _, words in found["rights"]} == {"you", "the operator"}
    assert "renews it" in found["lease"][0][1]


def test_doctor_tells_what_is_amiss(new: User, tmp_path: Path) -> None:
    w = new.w
    code, found = told(new)
    assert (code, found["status"][0][0]) == (1, "warn"), bad(found)
    assert f"kubectl gitintegration init -n {w.namespace}" in found["status"][0][1]
    w.secret(token="wrong")
    w.integrate()
    w.integrate("suspended", pathPrefix="other", suspend={"reason": "moved"})
    w.integrate("elsewhere", pathPrefix="third", labels={"planasonix.com/shard": "nobodys"})
    eventually(lambda: w.condition("Ready")["status"] == "False" and w.condition("Ready", "suspended"))
    code, found = told(new, "--timeout", "5")
    assert code == 2
    states = {words.split(":")[0]: state for state, words in found["status"]}
    assert states == {"elsewhere": "bad", "gi": "bad", "suspended": "warn"}
    repositories = {words.split(":")[0]: (state, words) for state, words in found["repository"]}
    assert repositories["gi"][0] == "bad"
    assert "patch secret git" in repositories["gi"][1]
    names = new.run("doctor", "-n", w.namespace, "--no-test", "-o", "name").stdout.splitlines()
    assert "status" in names
    assert "version" not in names
    assert "has not answered within 5 s" in repositories["elsewhere"][1]


def test_doctor_of_somebody_without_rights_is_no_alarm(new: User, world: MakeWorld) -> None:
    other = world()
    code, found = told(new, namespace=other.namespace)
    assert code == 1, bad(found)
    mine = [(state, words) for state, words in found["rights"] if words.startswith("you ")]
    assert {state for state, _ in mine} == {"warn"}
    assert all(f"--serviceaccount={new.w.namespace}:user" in words for _, words in mine)
    assert found["status"][0][0] == "unknown"


def test_a_diff_is_shown_by_a_program_of_ones_own(new: User, tmp_path: Path) -> None:
    w = integrated(new)
    w.by_hand()
    w.patch("orders", {"owner": "cluster"})
    command = ("diff", "-n", w.namespace, "--side", "push")
    done = eventually(lambda: (d := new.run(*command, KUBECTL_EXTERNAL_DIFF="diff -u -N")).returncode == 1 and d)
    assert "/0000.pipelines_orders.yaml" in done.stdout
    assert "-  owner: ann\n+  owner: cluster\n" in done.stdout
    assert "LIVE-" in done.stdout
    assert "MERGED-" in done.stdout
    failed = new.run(*command, KUBECTL_EXTERNAL_DIFF=str(tmp_path / "none"))
    assert (failed.returncode, "name another, or unset KUBECTL_EXTERNAL_DIFF" in failed.stderr) == (2, True)
    quiet = new.run(*command, KUBECTL_EXTERNAL_DIFF="true")
    assert quiet.returncode == 1, "something would travel, whatever the program says"
