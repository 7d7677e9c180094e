"""Each way a remote, or what names it, can be wrong: a condition with its reason, a remedy in words, and it heals."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.controlplane import free_port
from tests.bed.gitserver import TOKEN, WRITER, GitServer, git
from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest, pipeline
from tests.e2e.test_operations import ask, why

MakeWorld = Callable[..., World]
FILES = {"pipelines/orders.yaml": manifest("orders")}


@pytest.fixture
def own_server(bed_directory: Path) -> Iterator[GitServer]:
    """A server of the test's own, for faults that would hit others."""
    server = GitServer(bed_directory / f"own-{free_port()}")
    yield server
    server.stop()


def refused(w: World, reason: str, *words: str) -> dict[str, Any]:
    """Waits for Ready to be False with this reason; every word is in its message, and no credential."""

    def told() -> Any:
        ready = w.condition("Ready")
        assert ready["reason"] == reason, ready
        assert all(word in ready["message"] for word in words), ready
        return ready

    ready = eventually(told)  # the same reason may stand there of another cause
    assert ready["status"] == "False"
    status = json.dumps(w.status())
    assert WRITER[1] not in status
    assert TOKEN not in status
    return ready  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"repositoryURL": "https://user:secret@example.com/r.git"}, "holds a credential"),
        ({"repositoryURL": "file:///etc"}, "use https://"),
        ({"repositoryURL": "git://example.com/r"}, "use https://"),
        ({"repositoryURL": "https://example.com/r?x=1"}, "white space, ? or #"),
        ({"pathPrefix": "../outside/"}, "must stay in the repository"),
        ({"pathPrefix": "/etc/"}, "must stay in the repository"),
        ({"pathPrefix": "a/.GIT /b"}, "must stay in the repository"),
        ({"pathPrefix": ".git::$INDEX_ALLOCATION/x"}, "must stay in the repository"),
        ({"pathPrefix": "a/.g\u200cit/b"}, "must stay in the repository"),
        ({"pathPrefix": "a\\b"}, "must stay in the repository"),
        ({"pathPrefix": "teams/*"}, "must name one folder, and is no pattern"),
        ({"pathPrefix": "[ab]/"}, "must name one folder, and is no pattern"),
        ({"newFilePath": "git~1/{name}.yaml"}, "newFilePath must stay below"),
        ({"author": {"name": "Data Bot\n"}}, "line break"),
        ({"author": {"email": "<a@b>"}}, "angle bracket"),
        ({"newFilePath": "{name}.txt"}, "newFilePath must end"),
        ({"sync": {"interval": "5s"}}, "at least 10s"),
        ({"sync": {"interval": "often"}}, "interval"),
        ({"sync": {"mode": "Sideways"}}, "Unsupported value"),
        ({"sync": {"mode": "Pull", "drift": "hide"}}, "Unsupported value"),
        ({"sync": {"maxDeletes": "lots"}}, "maxDeletes"),
        ({"sync": {"push": {"branch": "a..b"}}}, "branch"),
        ({"resources": [{"apiVersion": "v1", "kind": "Secret"}]}, "Secrets and RBAC"),
        (
            {"repositoryURL": "git@example.com:r.git", "credentials": {"type": "token", "secretRef": {"name": "x"}}},
            "ssh",
        ),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_admission_refuses_what_a_schema_can_see(world: MakeWorld, spec: dict[str, Any], words: str) -> None:
    w = world()
    with pytest.raises(RuntimeError) as told:
        w.integrate(**spec)
    assert words in str(told.value)
    assert "user:secret" not in str(told.value)


def test_a_secret_that_arrives_late_is_noticed_at_once(world: MakeWorld) -> None:
    w = world(FILES)
    w.integrate(sync={"interval": "1h"})
    refused(w, "SecretNotFound", "'git'")
    w.secret()
    eventually(lambda: w.status().get("inSync"))
    w.secret(username=WRITER[0], password="revoked")
    refused(
        w,
        "AuthenticationFailed",
        "credentials",
        "`password` of Secret 'git'",
        f"kubectl -n {w.namespace} patch secret git",
    )
    assert w.condition("Stalled")["status"] == "True"
    w.secret(token=TOKEN)
    eventually(lambda: w.condition("Ready")["status"] == "True")


@pytest.mark.parametrize(
    ("data", "url", "words"),
    [
        ({"nothing": "x"}, None, "none of `token`"),
        ({"username": "x"}, None, "`username` and `password`"),
        ({"token": "x", "ca.crt": "no pem"}, "https", "ca.crt"),
        ({"token": "x", "tls.crt": "a", "tls.key": "b"}, "https", "`tls.key` and `tls.crt`"),
        ({"known_hosts": "x"}, "ssh://git@127.0.0.1/r.git", "`identity`"),
        ({"identity": "x"}, "ssh://git@127.0.0.1/r.git", "`known_hosts`"),
        ({"identity": "x", "known_hosts": "h ssh-ed25519 AAAA"}, "ssh://git@127.0.0.1/r.git", "private key"),
    ],
)
def test_a_secret_that_does_not_serve(world: MakeWorld, data: dict[str, str], url: str | None, words: str) -> None:
    w = world(FILES)
    w.secret(**data)
    w.integrate(repositoryURL=w.repo.url("https") if url == "https" else url or w.repo.url())
    refused(w, "InvalidSecret", words)


def test_addresses_that_lead_nowhere(world: MakeWorld) -> None:
    w = world(FILES)
    w.secret()
    w.integrate(repositoryURL=w.repo.url() + "x")
    refused(w, "RepositoryNotFound", "is not there")
    w.integrate(defaultBranch="missing")
    refused(w, "BranchNotFound", "'missing'", "spec.defaultBranch")
    assert w.condition("Connected")["status"] == "True"
    w.integrate(repositoryURL=f"http://127.0.0.1:{free_port()}/r.git")
    refused(w, "NetworkUnreachable", "no connection")
    assert w.condition("Connected")["status"] == "False"
    w.integrate(repositoryURL="https://does-not-exist.invalid/r.git")
    refused(w, "NetworkUnreachable", "does-not-exist.invalid")
    w.integrate(repositoryURL=w.repo.url("https"))
    refused(w, "NetworkUnreachable", "ca.crt")
    w.integrate()
    w.in_sync()
    assert w.names() == {"orders"}
    w.kubectl("wait", "--for=condition=Ready", "gi/gi", "--timeout=10s")


def test_a_server_that_is_slow_limits_or_fails(control_plane: Any, own_server: GitServer, operator: Any) -> None:
    w = World(control_plane, own_server, f"t-own-{own_server.http_port}", FILES)
    w.secret()
    faults = own_server.faults
    faults.status, faults.headers = 429, {"Retry-After": "3600"}
    w.integrate()
    refused(w, "RateLimited", "429")
    faults.status, faults.headers = 0, {}
    w.integrate(historyLimit=3)  # the server asks to wait an hour; the user need not
    w.in_sync()
    faults.status = 500
    w.sync_now()
    refused(w, "NetworkUnreachable", "500")
    assert {c["type"] for c in w.status()["conditions"]} >= {"Reconciling"}
    faults.status, faults.delay = 0, 3.0
    w.integrate(sync={"timeout": "1s"})
    refused(w, "Timeout", "spec.sync.timeout")
    faults.delay = 0.0
    w.in_sync()


def test_an_empty_repository_of_a_server_that_knows_little(
    control_plane: Any, own_server: GitServer, operator: Any
) -> None:
    """It gets the branch that its HEAD names, over a push without side bands; a page to sign in and a lost HEAD are told."""
    w = World(control_plane, own_server, f"t-trunk-{own_server.http_port}")
    own_server.lacks = {"side-band-64k"}
    git("symbolic-ref", "HEAD", "refs/heads/trunk", cwd=w.repo.path)
    w.repo.branch = "trunk"
    w.secret()
    w.apply(pipeline("orders", owner="ann"))
    w.integrate()
    w.in_sync()
    assert w.repo.files() == ["pipelines/orders.yaml"]
    assert w.repo.head("main") is None
    assert w.status()["branch"] == "trunk"
    faults = own_server.faults
    faults.status, faults.headers = 203, {"Content-Type": "text/html"}
    w.sync_now()
    refused(w, "AuthenticationFailed", "203", "put a valid one in")
    faults.headers = {"Location": "/users/sign_in"}
    faults.status = 302
    w.sync_now()
    refused(w, "AuthenticationFailed", f"http://127.0.0.1:{own_server.http_port}/users/sign_in")
    faults.status = 0
    git("symbolic-ref", "HEAD", "refs/heads/gone", cwd=w.repo.path)
    w.sync_now()
    refused(w, "BranchNotFound", "'gone'", "trunk")
    git("symbolic-ref", "HEAD", "refs/heads/trunk", cwd=w.repo.path)
    w.in_sync()
    assert w.names() == {"orders"}


def test_a_hanging_remote_delays_nobody_else(
    world: MakeWorld, control_plane: Any, own_server: GitServer, operator: Any
) -> None:
    slow = World(control_plane, own_server, f"t-slow-{own_server.http_port}", FILES)
    own_server.faults.delay = 60.0
    slow.secret()
    for number in range(20):
        slow.integrate(f"gi-{number}", sync={"timeout": "1m"}, pathPrefix=f"p{number}")
    eventually(lambda: own_server.requests)
    w = world(FILES)
    w.secret()
    w.integrate()
    w.in_sync()
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.count() == 2)
    assert not any(slow.status(f"gi-{number}").get("inSync") for number in range(20))
    slow.kubectl("delete", "gi", "--all", "--timeout=15s")
    own_server.faults.delay = 0.0


def test_a_declined_push_is_told_in_the_servers_words(world: MakeWorld) -> None:
    w = world(FILES)
    w.repo.commit(FILES, branch="protected/main")
    w.secret()
    w.integrate(defaultBranch="protected/main")
    w.in_sync()
    w.patch("orders", {"owner": "cluster"})
    refused(w, "PushRejected", "Not allowed to push to protected branch protected/main")
    assert w.condition("Connected")["status"] == "True"
    assert w.status()["localAheadCount"] == 1
    w.patch("orders", {"owner": "ann"})
    w.in_sync()


def test_an_empty_repository_takes_the_first_commit(world: MakeWorld) -> None:
    w = world()
    w.secret()
    w.integrate()
    w.in_sync()
    w.apply({"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline", "metadata": {"name": "new"}, "spec": {}})
    eventually(lambda: w.repo.files() == ["pipelines/new.yaml"] if w.repo.head() else False)
    assert w.in_sync()["pipelineCount"] == 1


def test_a_rewritten_branch_is_told_and_survived(world: MakeWorld) -> None:
    w = world(FILES)
    w.secret()
    w.integrate()
    w.in_sync()
    first = w.repo.head()
    assert first
    w.repo.commit({"pipelines/users.yaml": manifest("users")})
    w.in_sync()
    w.repo.force(first)
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git")})
    w.sync_now()
    in_sync = eventually(lambda: (c := w.condition("InSync"))["reason"] == "HistoryRewritten" and c)
    assert first[:12] in in_sync["message"] or "rewritten" in in_sync["message"]
    assert w.spec("orders")["owner"] == "git"
    assert "HistoryRewritten" in w.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")


@pytest.mark.parametrize("trouble", ["dead remote", "revoked", "no secret"])
def test_deleting_is_never_held_up(world: MakeWorld, trouble: str) -> None:
    w = world(FILES)
    owned = {"owned-by": "gi"}
    w.annotated_secret(owned)
    credentials = {"secretRef": {"name": "git"}, "reclaimPolicy": "Delete"}
    w.integrate(credentials=credentials)
    w.in_sync()
    if trouble == "dead remote":
        w.integrate(credentials=credentials, repositoryURL=f"http://127.0.0.1:{free_port()}/r.git")
    elif trouble == "revoked":
        w.annotated_secret(owned, username="writer", password="revoked")
    else:
        w.kubectl("delete", "secret", "git")
    eventually(lambda: w.condition("Ready")["status"] == "False")
    w.kubectl("delete", "gi", "gi", "--timeout=15s")
    assert w.names() == {"orders"}
    assert w.get("git", "secret") is None


def test_a_shared_secret_stays_until_the_last_integration_goes(world: MakeWorld) -> None:
    w = world(FILES)
    w.annotated_secret({"owned-by": "one, two"})
    credentials = {"secretRef": {"name": "git"}, "reclaimPolicy": "Delete"}
    w.integrate("one", credentials=credentials)
    w.integrate("two", credentials=credentials, resources=[{"apiVersion": "v1", "kind": "ConfigMap"}])
    eventually(lambda: w.status("one").get("inSync"))
    w.kubectl("delete", "gi", "one", "--timeout=15s")
    assert w.get("git", "secret")
    w.kubectl("delete", "gi", "two", "--timeout=15s")
    assert w.get("git", "secret") is None


def test_no_credential_is_in_the_log(operator: OperatorProcess) -> None:
    """Runs over the log of all that this process has tried."""
    log = operator.log()
    for secret in (WRITER[1], TOKEN):
        assert secret not in log


def test_a_server_that_repeats_what_it_was_sent_is_not_quoted_with_it(
    world: MakeWorld, operator: OperatorProcess
) -> None:
    w = world(FILES)
    w.secret()
    w.integrate()
    w.in_sync()
    encoded = base64.b64encode(":".join(WRITER).encode()).decode()
    hook = w.repo.path / "hooks" / "update"
    hook.write_text(f"#!/bin/sh\necho 'no push for {WRITER[1]}, sent as {encoded}' >&2\nexit 1\n")
    w.patch("orders", {"owner": "cluster"})
    refused(w, "PushRejected", "no push for ***, sent as ***")
    done = ask(w, "push")
    assert "no push for ***" in why(done)[2]
    said = operator.log() + w.kubectl("get", "gi,gitop,ev", "-o", "yaml")
    assert WRITER[1] not in said
    assert encoded not in said
