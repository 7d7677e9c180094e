"""The command line on the real cluster, as somebody who may what `gitintegration-api-user` may, and no more."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.printed import check
from tests.bed.user import SCRIPT, User
from tests.bed.world import World, eventually, manifest

MakeWorld = Callable[..., World]


@pytest.fixture(scope="module")
def roles(control_plane: ControlPlane) -> None:
    """The role comes with the REST API."""
    control_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "gateway"))


@pytest.fixture
def user(world: MakeWorld, roles: None) -> User:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    w.secret()
    w.integrate()
    w.in_sync()
    return User(w)


def test_status_says_what_is_and_ends_as_it_is(user: User) -> None:
    w = user.w
    text = user.status()
    head = w.repo.head()
    assert head
    assert text.startswith(f"{w.namespace}/gi\n")
    assert f"main at {head[:12]}" in text
    assert "True, Succeeded" in text
    assert user.status("gi") == text or "ago" in text
    assert user.status("-o", "name") == "gitintegration.planasonix.com/gi\n"
    told = check("status", user.status("-o", "json"))
    assert told["items"][0]["status"]["inSync"] is True
    assert yaml.safe_load(user.status("-o", "yaml")) == json.loads(user.status("-o", "json"))
    w.integrate("other", pathPrefix="other", enabled=False)
    eventually(lambda: w.condition("Ready", "other").get("reason") == "Suspended")
    lines = user.status(code=1).splitlines()
    assert lines[0].split()[:3] == ["NAMESPACE", "NAME", "READY"]
    assert [line.split()[1:3] for line in lines[1:]] == [["gi", "Succeeded"], ["other", "Suspended"]]
    assert user.status("-o", "wide", code=1).count("repository  ") == 2


def test_status_shows_a_conflict_and_a_file_that_is_left_alone(user: User) -> None:
    w = user.w
    w.kubectl("patch", "gi", "gi", "--type=merge", "-p", '{"spec": {"sync": {"mode": "Manual"}}}')
    w.patch("orders", {"owner": "cluster"})
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git"), "pipelines/bad.yaml": "a: [1\n"})
    eventually(lambda: (s := w.sync_now()).get("conflictCount") == 1 and s.get("invalid"))
    assert check("status", user.status("-o", "json", code=1))["items"][0]["status"]["conflictCount"] == 1
    text = user.status(code=1, COLUMNS="140")
    assert "False, " in text
    sections = {part.split("\n")[0]: part for part in text.split("\n\n")}
    assert "Pipeline/orders  BothModified  spec.owner  pipelines/orders.yaml" in sections["CONFLICTS"]
    assert "pipelines/bad.yaml  NotYAML" in sections["LEFT ALONE"]
    assert "Pipeline/orders  both" in sections["AHEAD"]


def test_a_push_and_a_pull_are_planned_carried_out_and_told(user: User) -> None:
    w = user.w
    w.by_hand()
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.sync_now().get("localAheadCount") == 1)
    planned = user.run("push", "-n", w.namespace, "--dry-run", COLUMNS="140")
    assert planned.returncode == 1, planned.stderr
    assert "update  Pipeline/orders  spec.owner  pipelines/orders.yaml" in planned.stdout
    digest = planned.stdout.split("planDigest ")[1].split()[0]
    head = w.repo.head()
    assert user.run("push", "-n", w.namespace, "--plan", "0" * 16).returncode == 2
    assert w.repo.head() == head
    done = user.run("push", "gi", "-n", w.namespace, "--plan", digest, "-m", "Orders, by hand", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert check("push", done.stdout)["status"]["commit"] == w.repo.head() != head
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster")
    w.repo.commit({"pipelines/users.yaml": manifest("users")})
    planned = user.run("pull", "-n", w.namespace, "--dry-run", "-o", "json")
    assert check("pull", planned.stdout)["status"]["plan"]["pages"] == 1
    done = user.run("pull", "-n", w.namespace)
    assert (done.returncode, "create" in done.stdout) == (0, True), done.stdout + done.stderr
    assert w.names() == {"orders", "users"}
    again = user.run("pull", "-n", w.namespace, "--dry-run")
    assert again.returncode == 0, again.stdout
    failed = user.run("push", "-n", w.namespace, "--pipeline", "nobody")
    assert (failed.returncode, "nobody" in failed.stdout) == (2, True)
    assert "no GitIntegration other" in user.run("pull", "other", "-n", w.namespace).stderr


def test_a_diff_shows_what_would_travel_either_way_and_writes_nothing(user: User) -> None:
    w = user.w
    w.integrate(sync={"mode": "Manual"}, enabled=False)
    none = user.run("diff", "-n", w.namespace)
    assert none.returncode == 0, none.stdout + none.stderr
    w.patch("orders", {"owner": "cluster"})
    head = w.repo.commit(
        {"pipelines/orders.yaml": manifest("orders", schedule="@daily"), "pipelines/new.yaml": manifest("new")}
    )
    done = user.run("diff", "-n", w.namespace)
    assert done.returncode == 1, done.stdout + done.stderr
    push, pull = done.stdout.split("pull: ")
    assert push.startswith("push: dry run: 1 updated, 1 merged")
    assert "-  owner: ann\n+  owner: cluster\n" in push
    assert "+++ b/Pipeline/new\n" in pull
    assert '-  schedule: 0 5 * * *\n+  schedule: "@daily"\n' in pull
    fields = user.run(
        "diff", "-n", w.namespace, "--side", "pull", "--pipeline", "orders", "-o", "fields", COLUMNS="140"
    )
    assert 'update  Pipeline/orders  spec.schedule  "0 5 * * *"  "@daily"' in fields.stdout, fields.stdout
    told = check("diff", user.run("diff", "-n", w.namespace, "-o", "json").stdout)
    assert [(each["kind"], [c["name"] for c in each["changes"]]) for each in told] == [
        ("push", ["orders"]),
        ("pull", ["new", "orders"]),
    ]
    assert user.run("diff", "-n", w.namespace, "-o", "name").stdout == "Pipeline/orders\nPipeline/new\n"
    assert w.repo.head() == head
    assert w.names() == {"orders"}
    assert user.run("diff", "nobody", "-n", w.namespace).returncode == 2


def test_the_tab_key_offers_the_integrations_of_the_namespace(user: User) -> None:
    """And nothing, in no more words, where there is no cluster to be asked."""
    w = user.w
    w.integrate("other", pathPrefix="other")

    def offered(kubeconfig: Path, *words: str) -> str:
        program = "from gitintegration.console import complete; complete()"
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            env={**os.environ, "KUBECONFIG": str(kubeconfig)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    config = user.tenant.kubeconfig
    here = ("-n", w.namespace)
    eventually(lambda: offered(config, "status", *here, "") == "gi\nother\n:4\n")  # the time for an answer may be over
    eventually(lambda: offered(config, "push", *here, "o") == "other\n:4\n")
    eventually(lambda: offered(config, "restore", "orders", *here, "-i", "g") == "gi\n:4\n")
    assert offered(config.with_name("none"), "status", "") == ":4\n"


def test_a_sync_is_asked_for_and_waited_for(user: User) -> None:
    w = user.w
    w.integrate(sync={"interval": "1h"})
    w.in_sync()
    w.repo.commit({"pipelines/users.yaml": manifest("users")})
    done = user.run("sync", "-n", w.namespace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"main at {(w.repo.head() or '')[:12]}" in done.stdout
    assert w.names() == {"orders", "users"}
    w.repo.commit({"pipelines/bad.yaml": "a: [1\n"})
    done = user.run("sync", "gi", "-n", w.namespace)
    assert (done.returncode, "pipelines/bad.yaml" in done.stdout) == (1, True), done.stdout
    assert user.run("sync", "-n", w.namespace, "--no-wait").returncode == 0


def test_what_was_deleted_is_found_in_the_history_and_restored(user: User) -> None:
    w = user.w
    w.repo.commit({"pipelines/users.yaml": manifest("users")}, message="Users come")
    w.in_sync()
    then = w.repo.head()
    assert then
    w.repo.commit({"pipelines/users.yaml": None}, message="Users go")
    eventually(lambda: w.sync_now().get("inSync") and w.names() == {"orders"})
    told = user.run("history", "-n", w.namespace, "--limit", "2", COLUMNS="140")
    assert told.returncode == 0, told.stderr
    printed = check("history", user.run("history", "-n", w.namespace, "-o", "json").stdout)
    assert [one["message"] for one in printed["status"]["history"]][:2] == ["Users go", "Users come"]
    rows = [line.split() for line in told.stdout.splitlines() if "Users" in line]
    assert [(row[0], row[-1]) for row in rows] == [((w.repo.head() or "")[:12], "users"), (then[:12], "users")]
    planned = user.run("restore", "users", "--to", then, "-n", w.namespace, "--dry-run")
    assert (planned.returncode, w.names()) == (1, {"orders"}), planned.stdout + planned.stderr
    assert "\n+  owner: ann\n" in planned.stdout, "with what would stand there"
    done = user.run("restore", "users", "--to", then[:12], "-n", w.namespace, "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert check("restore", done.stdout)["status"]["changes"][0]["name"] == "users"
    assert w.names() == {"orders", "users"}
    eventually(lambda: w.repo.read("pipelines/users.yaml"))


def torn(w: World) -> None:
    """Two pipelines in conflict, one of them in two fields."""
    w.repo.commit({"pipelines/users.yaml": manifest("users")})
    w.in_sync()
    w.by_hand()
    w.patch("orders", {"owner": "cluster", "schedule": "@daily"})
    w.patch("users", {"owner": "cluster"})
    files = {"orders": manifest("orders", owner="git", schedule="@hourly"), "users": manifest("users", owner="git")}
    w.repo.commit({f"pipelines/{name}.yaml": text for name, text in files.items()})
    eventually(lambda: w.sync_now().get("conflictCount") == 2)


def test_conflicts_are_settled_by_a_script(user: User) -> None:
    w = user.w
    torn(w)
    place = ("-n", w.namespace)
    assert "name --take" in user.run("resolve", *place).stderr
    assert "not in conflict: x" in user.run("resolve", *place, "--pipeline", "x", "--take", "ours").stderr
    half = user.run("resolve", *place, "--pipeline", "orders", "--field", "spec.owner", "--take", "ours")
    assert half.returncode == 2
    assert "spec.schedule" in half.stdout
    planned = user.run("resolve", *place, "--take", "theirs", "--dry-run")
    assert planned.returncode == 1
    assert "-  owner: cluster\n+  owner: git\n" in planned.stdout
    assert w.spec("orders")["owner"] == "cluster"
    done = user.run("resolve", *place, "--pipeline", "orders", "--take", "base")
    assert done.returncode == 0, done.stdout + done.stderr
    done = user.run("resolve", *place, "--take", "theirs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (w.spec("orders")["owner"], w.spec("orders")["schedule"]) == ("ann", "0 5 * * *")
    assert w.spec("users")["owner"] == "git"
    assert w.sync_now()["conflictCount"] == 0
    assert "nothing is in conflict" in user.run("resolve", *place).stdout
    assert user.run("push", *place).returncode == 0
    assert w.repo.read("pipelines/orders.yaml") == manifest("orders")


def test_what_can_not_be_told_is_an_error_in_words(user: User, tmp_path: Path) -> None:
    assert "error: there is no GitIntegration nothing in" in user.status("nothing", code=2)
    told = user.run("status", "-A")
    assert (told.returncode, told.stdout) == (2, "")
    assert "gitintegrations" in told.stderr
    assert "Traceback" not in told.stderr
    told = user.run("status", kubeconfig=tmp_path / "none")
    assert (told.returncode, told.stderr) == (2, f"error: there is no kubeconfig {tmp_path / 'none'}\n")
    told = user.run("status", "--context", "other")
    assert told.returncode == 2
    assert "other" in told.stderr
    config = json.loads(user.tenant.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "dead").write_text(json.dumps(config))
    told = user.run("status", kubeconfig=tmp_path / "dead")
    assert told.returncode == 2
    assert told.stderr.startswith("error: ")
    assert user.tenant.token not in told.stderr


def test_the_namespace_and_the_login_are_the_kubeconfigs(user: User, tmp_path: Path) -> None:
    """As kubectl's are: the context's namespace, and a program that is asked for a token."""
    config = json.loads(user.tenant.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = user.w.namespace
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": user.tenant.token},
    }
    (tmp_path / "token.json").write_text(json.dumps(credential))
    config["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "cat",
            "args": [str(tmp_path / "token.json")],
            "interactiveMode": "Never",
        }
    }
    (tmp_path / "config").write_text(json.dumps(config))
    done = user.run("status", kubeconfig=tmp_path / "config")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{user.w.namespace}/gi\n")


def test_colour_is_for_terminals(user: User) -> None:
    """And NO_COLOR is heeded there."""

    def shown(**more: str) -> str:
        leader, follower = pty.openpty()
        env = {
            **os.environ,
            "KUBECONFIG": str(user.tenant.kubeconfig),
            "TERM": "xterm-256color",
            "COLUMNS": "100",
            **more,
        }
        process = subprocess.Popen(
            [SCRIPT, "status", "-n", user.w.namespace], env=env, stdin=follower, stdout=follower, stderr=follower
        )
        os.close(follower)
        text = b""
        while True:
            try:
                piece = os.read(leader, 1 << 16)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            text += piece
        os.close(leader)
        assert process.wait(60) == 0
        return text.decode()

    assert "\x1b[32mTrue" in shown()
    assert "\x1b[32m" not in shown(NO_COLOR="1")


def test_it_is_a_command_of_kubectl(user: User) -> None:
    path = f"{Path(SCRIPT).parent}{os.pathsep}{os.environ['PATH']}"
    kubectl = shutil.which("kubectl", path=path)
    assert kubectl
    env = {**os.environ, "KUBECONFIG": str(user.tenant.kubeconfig), "PATH": path}
    command = [kubectl, "gitintegration", "status", "-n", user.w.namespace, "-o", "name"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "gitintegration.planasonix.com/gi\n", done.stderr
    told = subprocess.run([kubectl, "gitintegration", "--help"], env=env, capture_output=True, text=True, timeout=60)
    assert told.stdout.lstrip().startswith("Usage: kubectl gitintegration COMMAND")


def test_help_comes_at_once(user: User) -> None:
    """It imports nothing of what commands need, however fast the machine is."""
    program = "import sys; from gitintegration.commands import app; app(['--help'], result_action='return_value'); "
    program += "print(sorted(n for n in sys.modules if n.split('.')[0] in ('kubernetes', 'aiohttp', 'kopf', 'pydantic', 'dulwich')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.rstrip().endswith("[]"), done.stdout + done.stderr
    began = time.monotonic()
    assert user.run("--help").returncode == 0
    print(f"--help: {time.monotonic() - began:.2f} s")
