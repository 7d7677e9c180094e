"""The REST API as the seed document tells it, on the real API server with the real operator behind it."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import TOKEN, WRITER, GitServer
from tests.bed.operator import GatewayProcess, OperatorProcess
from tests.bed.world import API, World, eventually, manifest, pipeline

MakeWorld = Callable[..., World]
PATH = "/api/git-integration"


@pytest.fixture(scope="module")
def gateway(control_plane: ControlPlane, bed_directory: Path) -> Iterator[GatewayProcess]:
    control_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "gateway"))
    control_plane.kubectl("create", "namespace", "gateway-home", check=False)
    process = GatewayProcess(control_plane, bed_directory / "gateway", "--namespace=gateway-home", name="gateway")
    yield process
    process.stop()


class Client:
    """A caller: a ServiceAccount of a namespace, bound to the role for callers there."""

    def __init__(self, w: World, gateway: GatewayProcess, *, bound: bool = True) -> None:
        self.w = w
        w.kubectl("create", "serviceaccount", "caller")
        if bound:
            w.kubectl(
                "create", "rolebinding", "caller", "--clusterrole=gitintegration-api-user",
                f"--serviceaccount={w.namespace}:caller",
            )  # fmt: skip
        self.token = w.kubectl("create", "token", "caller").strip()
        headers = {"Authorization": f"Bearer {self.token}"}
        self.http = httpx.Client(base_url=gateway.url, headers=headers, timeout=40, trust_env=False)
        plane = w.plane
        assert isinstance(plane, ControlPlane)
        self.server, self.ca = plane.url, plane.ca
        self.account = f"{w.namespace}:caller"
        self.path = f"/api/namespaces/{w.namespace}/git-integration"

    def __call__(self, method: str, path: str = "", status: int = 200, **json_body: Any) -> Any:
        body = {"json": json_body} if json_body else {}
        answer = self.http.request(method, self.path + path, **body)  # type: ignore[arg-type]
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def may_read(self, secret: str) -> None:
        """What an administrator does, so that this caller may name the Secret."""
        self.w.kubectl("create", "role", secret, "--verb=get", "--resource=secrets", f"--resource-name={secret}")
        self.w.kubectl("create", "rolebinding", secret, f"--role={secret}", f"--serviceaccount={self.account}")
        user = f"--as=system:serviceaccount:{self.account}"
        eventually(
            lambda: self.w.kubectl("auth", "can-i", "get", f"secrets/{secret}", user, check=False).strip() == "yes"
        )

    def secrets_of_tests(self) -> list[str]:
        return [name for name in self.w.names("secret") if name.startswith("gitop-test-")]

    def ended(self, operation_id: str) -> dict[str, Any]:
        def look() -> Any:
            found = self("GET", f"/operations/{operation_id}")["data"]
            return found if found["status"] != "running" else None

        return eventually(look)  # type: ignore[no-any-return]


@pytest.fixture
def client(world: MakeWorld, gateway: GatewayProcess, operator: OperatorProcess) -> Iterator[Client]:
    made = Client(world({f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")}), gateway)
    with made.http:
        yield made


def configured(client: Client, **more: Any) -> Any:
    body = {
        "enabled": True,
        "provider": "generic",
        "repository_url": client.w.repo.url(),
        "default_branch": "main",
        "path_prefix": "pipelines/",
        "credentials": {"type": "basic", "username": WRITER[0], "password": WRITER[1]},
        "author_name": "Planasonix Bot",
        "author_email": "bot@example.com",
        "sync_mode": "bidirectional",
        **more,
    }
    return client("POST", **body)


def in_sync(client: Client) -> None:
    eventually(lambda: client("GET", "/status")["data"]["in_sync"])


def test_config_is_saved_told_and_removed(client: Client, gateway: GatewayProcess, operator: OperatorProcess) -> None:
    assert client("GET") == {"data": {"enabled": False, "repository_url": None, "default_branch": None}}
    assert client("GET", "/status", 404)["error"]["code"] == "not_configured"
    saved = configured(client)["data"]
    assert saved.pop("updated_at").endswith("Z")
    assert saved == {
        "enabled": True,
        "provider": "generic",
        "repository_url": client.w.repo.url(),
        "default_branch": "main",
        "path_prefix": "pipelines/",
    }
    in_sync(client)
    told = client("GET")["data"]
    assert told.pop("last_sync_at").endswith("Z")
    assert told == {
        "enabled": True,
        "provider": "generic",
        "repository_url": client.w.repo.url(),
        "default_branch": "main",
        "path_prefix": "pipelines/",
        "ssh_key_id": None,
        "author_name": "Planasonix Bot",
        "author_email": "bot@example.com",
    }
    assert client.w.names() == {"orders", "users"}
    secret = client.w.get("default-git-credentials", "secret")
    assert secret
    assert secret["metadata"]["ownerReferences"][0]["kind"] == "GitIntegration"
    client("POST", enabled=False)
    assert client("GET")["data"]["enabled"] is False
    client("POST", enabled=True, credentials={"type": "token", "token": TOKEN})
    secret = client.w.get("default-git-credentials", "secret")
    assert secret
    assert set(secret["data"]) == {"token"}
    eventually(lambda: client.w.condition("Ready", "default").get("status") == "True")
    for secret_text in (WRITER[1], TOKEN):
        assert secret_text not in json.dumps(client("GET"))
        assert secret_text not in gateway.log()
        assert secret_text not in operator.log()
    client("DELETE", "", 204)
    eventually(lambda: client.w.get("default-git-credentials", "secret") is None)
    assert client.w.names() == {"orders", "users"}
    assert client("GET")["data"]["enabled"] is False
    client("DELETE", "", 404)


def test_the_seeds_own_example_of_a_github_app(client: Client) -> None:
    body: dict[str, Any] = {
        "enabled": True,
        "provider": "github",
        "repository_url": "https://github.com/acme-analytics/planasonix-pipelines",
        "default_branch": "main",
        "path_prefix": "pipelines/",
        "credentials": {"type": "github_app", "installation_id": "12345678"},
        "author_name": "Planasonix Bot",
        "author_email": "bot@example.com",
    }
    assert "may not get secrets 'github-app'" in client("POST", "", 403, **body)["error"]["message"]
    assert client("GET")["data"]["enabled"] is False
    client.may_read("github-app")
    saved = client("POST", **body)["data"]
    assert {k: v for k, v in body.items() if k in saved} == {k: v for k, v in saved.items() if k != "updated_at"}
    found = client.w.get("default", "gitintegration")
    assert found
    assert found["spec"]["credentials"] == {
        "type": "githubApp",
        "installationID": "12345678",
        "secretRef": {"name": "github-app"},
        "reclaimPolicy": "Retain",
    }
    client("POST", credentials={"type": "github_app", "installation_id": "1", "app_id": "7", "private_key": "pem"})
    secret = client.w.get("default-git-credentials", "secret")
    assert secret
    assert set(secret["data"]) == {"githubAppID", "githubAppPrivateKey"}


def test_an_ssh_key_is_named_by_its_secret(client: Client) -> None:
    body: dict[str, Any] = {"repository_url": "git@example.com:r.git", "ssh_key_id": "gitkey-01jq801"}
    assert "may not get secrets 'gitkey-01jq801'" in client("POST", "", 403, **body)["error"]["message"]
    assert client.w.names("gi") == set()
    client.may_read("gitkey-01jq801")
    client("POST", **body)
    assert client("GET")["data"]["ssh_key_id"] == "gitkey-01jq801"
    assert "'another'" in client("POST", "", 403, ssh_key_id="another")["error"]["message"]
    assert client("GET")["data"]["ssh_key_id"] == "gitkey-01jq801"
    client("POST", "", 422, ssh_key_id="x", credentials={"type": "token", "token": "t"})
    for name in ("../x", "a/b", "UP", "a..b", "-a", "a-", "x" * 254, "a\n", "ä"):
        assert client("POST", "", 422, ssh_key_id=name)["error"]["fields"][0]["field"] == "ssh_key_id", name


def test_a_secret_of_others_does_not_follow_to_another_host(client: Client) -> None:
    """Whoever may not read it may not have it sent elsewhere either."""
    w = client.w
    w.secret("deploy", token="t")
    w.integrate("default", secret="deploy", repositoryURL="https://127.0.0.1:1/r.git")
    told = client("POST", "", 403, repository_url="https://evil.example.com/r.git")["error"]["message"]
    assert "may not get secrets 'deploy'" in told
    assert w.spec("default", "gi")["repositoryURL"] == "https://127.0.0.1:1/r.git"
    client("POST", author_name="Somebody Else")
    client.may_read("deploy")
    client("POST", repository_url="https://127.0.0.2:1/r.git")
    assert w.spec("default", "gi")["credentials"]["secretRef"] == {"name": "deploy"}


def test_stored_credentials_stay_with_their_host(client: Client) -> None:
    w = client.w
    given = {"type": "token", "token": "one"}
    client("POST", repository_url="https://Git.Example.com:8443/r.git", credentials=given)
    kept = w.get("default-git-credentials", "secret")
    integration = w.get("default", "gi")
    assert kept
    assert integration
    assert kept["type"] == "Opaque"
    assert kept["metadata"]["annotations"] == {
        "planasonix.com/allowed-hosts": "git.example.com",
        "planasonix.com/owned-by": "default",
    }
    assert [o["uid"] for o in kept["metadata"]["ownerReferences"]] == [integration["metadata"]["uid"]]
    for address in ("https://evil.example.com/r.git", "git@evil.example.com:r.git", "ssh://git.example.com.evil.io/r"):
        told = client("POST", "", 422, repository_url=address)["error"]
        assert told["fields"][0]["field"] == "credentials", told
        assert "send them again" in told["message"]
    assert client("GET")["data"]["repository_url"] == "https://Git.Example.com:8443/r.git"
    client("POST", repository_url="https://git.example.com/other.git")
    client("POST", repository_url="https://[::1]:8443/r", credentials={**given, "token": "two"})
    again = w.get("default-git-credentials", "secret")
    assert again
    assert again["metadata"]["annotations"]["planasonix.com/allowed-hosts"] == "::1"
    assert again["data"] == {"token": "dHdv"}


def test_status_keys(client: Client) -> None:
    configured(client)
    in_sync(client)
    told = client("GET", "/status")["data"]
    assert told.pop("last_successful_sync_at").endswith("Z")
    assert told == {
        "in_sync": True,
        "local_ahead_count": 0,
        "remote_ahead_count": 0,
        "active_operation": None,
        "conflicts": [],
    }


def test_a_status_says_why(client: Client) -> None:
    w = client.w
    configured(client)
    in_sync(client)
    last = client("GET")["data"]["last_sync_at"]
    configured(client, credentials={"type": "token", "token": "hunter2"})
    error = eventually(lambda: client("GET", "/status")["data"].get("error"))
    told = eventually(lambda: (s := client("GET", "/status")["data"])["error"]["code"] == "authentication_failed" and s)
    assert error.keys() == {"code", "message"}
    assert told["in_sync"] is False
    assert "hunter2" not in json.dumps(told)
    assert client("GET")["data"]["last_sync_at"] == last
    configured(client, enabled=False)
    eventually(lambda: client("GET", "/status")["data"]["error"]["code"] == "suspended")
    configured(client)
    eventually(lambda: "error" not in client("GET", "/status")["data"])
    assert w.names() == {"orders", "users"}


def test_nothing_that_never_synced_has_a_time(client: Client) -> None:
    configured(client, credentials={"type": "token", "token": "wrong"})
    eventually(lambda: client("GET", "/status")["data"]["error"]["code"] == "authentication_failed")
    assert client("GET")["data"]["last_sync_at"] is None
    assert client("GET", "/status")["data"]["last_successful_sync_at"] is None


def test_what_is_made_here_is_carried_by_push_and_pull_only(client: Client) -> None:
    """As the document has it: an explicit push finds something to push."""
    w = client.w
    w.apply(pipeline("pl-new"))
    body: dict[str, Any] = {"repository_url": w.repo.url(), "credentials": {"type": "token", "token": TOKEN}}
    client("POST", **body)
    assert w.spec("default", "gi")["sync"]["mode"] == "Manual"
    told = eventually(lambda: (s := client("GET", "/status")["data"])["local_ahead_count"] == 1 and s["ahead"])
    assert [(e["name"], e["side"], e["reason"]) for e in told if e["name"] == "pl-new"] == [
        ("pl-new", "cluster", "Mode")
    ]
    answer = client("POST", "/push", 202, branch="feature/add-crm-sync", pipeline_ids=["pl-new"])["data"]
    assert client.ended(answer["operation_id"])["counts"]["created"] == 1
    assert "pipelines/pl-new.yaml" in w.repo.files("feature/add-crm-sync")
    assert w.repo.count() == 1
    for mode in ("pull", "push", "bidirectional"):
        client("POST", sync_mode=mode)
        assert w.spec("default", "gi")["sync"]["mode"] == mode.capitalize()
        client("POST", author_name="Somebody")
        assert w.spec("default", "gi")["sync"]["mode"] == mode.capitalize()
    for wrong in ("Manual", "both", 1, True):
        assert client("POST", "", 422, sync_mode=wrong)["error"]["fields"][0]["field"] == "sync_mode"
    client("DELETE", "", 204)
    client("POST", **body, sync_mode="pull")
    assert w.spec("default", "gi")["sync"]["mode"] == "Pull"


def test_what_others_made_keeps_its_mode(client: Client) -> None:
    client.w.secret()
    client.w.integrate("default")
    before = client.w.spec("default", "gi")["sync"]
    client("POST", author_name="Somebody")
    assert client.w.spec("default", "gi")["sync"] == before
    assert before["mode"] == "Bidirectional"


def test_one_that_is_suspended_for_a_reason_is_disabled(client: Client) -> None:
    w = client.w
    configured(client)
    in_sync(client)
    suspend = {"reason": "moved", "until": "2099-01-01T00:00:00Z"}
    w.kubectl("patch", "gi", "default", "--type=merge", "-p", json.dumps({"spec": {"suspend": suspend}}))
    assert client("GET")["data"]["enabled"] is False
    assert client("POST", author_name="Somebody")["data"]["enabled"] is False
    error = eventually(lambda: client("GET", "/status")["data"].get("error"))
    assert (error["code"], "until 2099-01-01T00:00:00Z: moved" in error["message"]) == ("suspended", True)
    assert client("POST", "/push", 409, branch="main")["error"]["code"] == "suspended"
    suspend["until"] = "2020-01-01T00:00:00Z"
    w.kubectl("patch", "gi", "default", "--type=merge", "-p", json.dumps({"spec": {"suspend": suspend}}))
    assert client("GET")["data"]["enabled"] is True
    assert client("POST", enabled=True)["data"]["enabled"] is True
    assert "suspend" not in w.spec("default", "gi")
    eventually(lambda: "error" not in client("GET", "/status")["data"])


def test_a_disabled_one_is_not_pushed_or_pulled_unasked(client: Client) -> None:
    w = client.w
    configured(client)
    in_sync(client)
    configured(client, enabled=False)
    eventually(lambda: client("GET", "/status")["data"].get("error", {}).get("code") == "suspended")
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="git")})
    before = w.names("gitop")
    for path in ("/push", "/pull"):
        error = client("POST", path, 409, branch="main")["error"]
        assert error["code"] == "suspended"
        assert '"force": true' in error["message"]
    assert w.names("gitop") == before
    answer = client("POST", "/pull", 202, branch="main", force=True)["data"]
    assert client.ended(answer["operation_id"])["status"] == "succeeded"
    assert w.spec("users")["owner"] == "git"
    assert client("POST", "/test")["data"]["reachable"] is True
    assert client("GET", "/history?limit=1")["data"]


def test_what_is_deleted_is_gone_and_can_be_made_anew(client: Client) -> None:
    w = client.w
    for number in range(3):
        configured(client, author_name=f"Author {number}")
        client("DELETE", "", 204)
        assert w.names("gi") == set()
        assert w.get("default-git-credentials", "secret") is None
    configured(client)
    in_sync(client)
    assert w.get("default-git-credentials", "secret")


def test_one_that_is_going_is_told_and_not_patched(client: Client) -> None:
    """Something holds it: a finalizer of others stands for an operator that is slow or away."""
    w = client.w
    configured(client)
    in_sync(client)
    held = json.dumps([{"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/held"}])
    w.kubectl("patch", "gi", "default", "--type=json", "-p", held)
    before = w.get("default", "gi")
    assert before
    assert client("DELETE", "", 202) == {"data": {"status": "deleting"}}
    told = client("GET")["data"]
    assert (told["enabled"], told["deleting"]) == (False, True)
    assert client("GET", "/status")["data"]["error"]["code"] == "deleting"
    assert client("POST", "/pull", 409, branch="main")["error"]["code"] == "deleting"
    error = client("POST", "", 409, author_name="Too Late")["error"]
    assert error["code"] == "deleting"
    dying = w.get("default", "gi")
    assert dying
    assert dying["spec"] == before["spec"]
    made: list[Any] = []
    asking = threading.Thread(target=lambda: made.append(configured(client, author_name="In Time")))
    asking.start()
    w.kubectl("patch", "gi", "default", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    asking.join()
    assert made
    after = w.get("default", "gi")
    assert after
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"]["author"]["name"] == "In Time"
    in_sync(client)
    secret = w.get("default-git-credentials", "secret")
    assert secret
    assert [o["uid"] for o in secret["metadata"]["ownerReferences"]] == [after["metadata"]["uid"]]


def test_push_and_pull_answer_with_an_operation_that_ends(client: Client) -> None:
    configured(client)
    in_sync(client)
    w = client.w
    w.kubectl("patch", "gi", "default", "--type=merge", "-p", '{"spec": {"sync": {"mode": "Manual"}}}')
    w.kubectl("annotate", "pipeline", "orders", "planasonix.com/pipeline-id=pl_01hqnew")
    eventually(lambda: client("GET", "/status")["data"]["local_ahead_count"] == 1)
    answer = client(
        "POST", "/push", 202, branch="feature/add-crm-sync", message="Add CRM incremental pipeline",
        pipeline_ids=["pl_01hqnew"], create_pull_request=True, pr_title="Add CRM incremental pipeline",
        pr_body="Automated export from Planasonix.",
    )["data"]  # fmt: skip
    assert answer.keys() == {"operation_id", "status", "branch"}
    assert answer["operation_id"].startswith("gitop_")
    assert (answer["status"], answer["branch"]) == ("running", "feature/add-crm-sync")
    done = client.ended(answer["operation_id"])  # this git server is no forge: the push is made, and that is told
    assert (done["status"], done["counts"]["updated"]) == ("failed", 1)
    assert "no pull request" in done["message"]
    assert done["commit"] == w.repo.head("feature/add-crm-sync")
    assert "pl_01hqnew" in (w.repo.read("pipelines/orders.yaml", "feature/add-crm-sync") or "")
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="git")})
    answer = client("POST", "/pull", 202, branch="main", strategy="merge", dry_run=False)["data"]
    assert (answer["status"], answer["branch"]) == ("running", "main")
    assert client.ended(answer["operation_id"])["counts"]["updated"] == 1
    assert w.spec("users")["owner"] == "git"
    answer = client("POST", "/push", 202, pipeline_ids=["nobody"])["data"]
    failed = client.ended(answer["operation_id"])
    assert (failed["status"], failed["reason"]) == ("failed", "UnknownPipeline")
    assert "nobody" in failed["message"]
    client("GET", "/operations/gitop_missing", 404)


def test_conflicts_have_values_and_are_settled_by_a_pull(client: Client) -> None:
    configured(client)
    in_sync(client)
    w = client.w
    w.patch("orders", {"owner": "cluster"})
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git")})
    client("POST", "/pull", 202, dry_run=True)
    (torn,) = eventually(lambda: client("GET", "/status")["data"]["conflicts"])
    told = {"field": "spec.owner", "base": '"ann"', "ours": '"cluster"', "theirs": '"git"'}
    assert torn["values"] == [told]
    assert torn["ours"]["by"].startswith("kubectl")
    assert (torn["theirs"]["by"], torn["theirs"]["commit"]) == ("Ada Author", w.repo.head())
    bad = [{"pipeline_id": "orders", "take": "base"}]
    assert "field" in client("POST", "/pull", 422, resolutions=bad)["error"]["fields"][0]["field"]
    settle = [{"pipeline_id": "orders", "field": "spec.owner", "value": "both"}]
    answer = client("POST", "/pull", 202, resolutions=settle)["data"]
    assert client.ended(answer["operation_id"])["status"] == "succeeded"
    assert w.spec("orders")["owner"] == "both"
    client("POST", "/push", 202, branch="main")
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="both"))
    eventually(lambda: client("GET", "/status")["data"]["conflicts"] == [])


def test_a_connection_is_tested_saved_or_given(client: Client) -> None:
    given: dict[str, Any] = {
        "repository_url": client.w.repo.url(),
        "credentials": {"type": "token", "token": TOKEN},
    }
    told = client("POST", "/test", **given)["data"]
    assert isinstance(told.pop("latency_ms"), int)
    assert told == {"reachable": True, "permissions": ["read", "write"], "default_branch": "main"}
    given["credentials"]["token"] = "wrong"
    told = client("POST", "/test", **given)["data"]
    error = told.pop("error")
    assert told == {"reachable": False, "permissions": [], "default_branch": None, "latency_ms": None}
    assert error["code"] == "authentication_failed"
    assert error["message"]
    assert "wrong" not in error["message"]
    client("POST", "/test", 404)
    configured(client)
    assert client("POST", "/test")["data"]["reachable"] is True
    assert client.secrets_of_tests() == []
    tests = [op for op in client.w.names("gitop") if "credentials" in client.w.spec(op, "gitop").get("test", {})]
    assert len(tests) == 2
    told = client("POST", "/test", 403, repository_url=client.w.repo.url(),
                  credentials={"type": "github_app", "installation_id": "1"})  # fmt: skip
    assert "may not get secrets 'github-app'" in told["error"]["message"]


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that takes connections, and says nothing until it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def _at(listener: socket.socket) -> dict[str, Any]:
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/r.git"
    return {"repository_url": address, "credentials": {"type": "token", "token": "hunter2"}}


def test_the_secret_of_a_test_goes_with_its_caller(client: Client, silent: socket.socket) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.http.post(client.path + "/test", json=_at(silent), timeout=1.5)
    (name,) = client.w.names("gitop")
    assert client.w.spec(name, "gitop")["test"]["credentials"]["secretRef"] == {
        "name": name.replace("gitop-", "gitop-test-")
    }
    silent.close()
    eventually(lambda: client.secrets_of_tests() == [])


def test_the_secret_of_a_test_goes_where_the_gateway_dies(
    client: Client, silent: socket.socket, control_plane: ControlPlane, bed_directory: Path
) -> None:
    other = GatewayProcess(control_plane, bed_directory / "gateway", "--namespace=gateway-home", name="dying")
    answers: list[Any] = []

    def ask() -> None:
        with contextlib.suppress(httpx.HTTPError):
            url = f"{other.url}{client.path}/test"
            answers.append(httpx.post(url, json=_at(silent), headers=client.http.headers, timeout=40, trust_env=False))

    asking = threading.Thread(target=ask)
    asking.start()
    connection, _ = silent.accept()  # the operator has read it, and is at the repository
    (name,) = client.secrets_of_tests()
    secret = client.w.get(name, "secret")
    assert secret
    assert secret["metadata"]["annotations"] == {"planasonix.com/allowed-hosts": "127.0.0.1"}
    assert secret["metadata"]["ownerReferences"][0]["kind"] == "GitOperation"
    other.kill()
    asking.join()
    assert answers == []
    assert client.secrets_of_tests() == [name]
    silent.close()
    connection.close()
    eventually(lambda: client.secrets_of_tests() == [])
    (operation,) = client.w.names("gitop")
    assert client.w.get(operation, "gitop")  # the Secret went with the test, not with its record


def test_history_is_that_of_a_branch_and_path(client: Client) -> None:
    configured(client)
    in_sync(client)
    client.w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="b")}, "Fix orders dedupe keys")
    told = client("GET", "/history")["data"]
    assert told[0].keys() == {"sha", "message", "author", "committed_at", "pipeline_ids_touched"}
    assert told[0]["message"] == "Fix orders dedupe keys"
    assert told[0]["author"] == "Ada Author <ada@example.com>"
    assert told[0]["pipeline_ids_touched"] == ["orders"]
    assert len(client("GET", "/history?limit=1")["data"]) == 1
    assert len(client("GET", "/history?path=pipelines/users.yaml")["data"]) == 1
    assert client("GET", "/history?branch=missing", 404)["error"]["code"] == "branch_not_found"
    client("GET", "/history?limit=0", 422)


def test_who_may_what(client: Client, world: MakeWorld, gateway: GatewayProcess) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic abc"}):
        answer = httpx.get(f"{gateway.url}{PATH}", headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "unauthorized"
    stranger = Client(world(), gateway, bound=False)
    with stranger.http:
        assert "may not get gitintegrations" in stranger("GET", "", 403)["error"]["message"]
        other = stranger.http.post(client.path, json={"repository_url": "https://example.com/r"})
        assert other.status_code == 403
    assert client.w.names("gi") == set()
    assert client.http.get(PATH).status_code == 403  # the plain path is the gateway's own namespace


def test_a_caller_reaches_no_secret_but_the_one_that_is_stored(client: Client) -> None:
    """Neither through the API nor with the role that it needs for it."""
    w = client.w
    w.secret("prod", token="hunter2")
    configured(client)
    spec = {"repositoryURL": "https://evil.example.com/r", "credentials": {"secretRef": {"name": "prod"}}}
    integration = {"apiVersion": API, "kind": "GitIntegration", "metadata": {"name": "mine"}, "spec": spec}
    test = {"repositoryURL": "https://evil.example.com/r", "credentials": {"secretRef": {"name": "prod"}}}
    asked = {"integrationRef": {"name": "default"}, "kind": "test", "test": test}
    operation = {"apiVersion": API, "kind": "GitOperation", "metadata": {"name": "gitop-mine"}, "spec": asked}
    root = f"/apis/{API}/namespaces/{w.namespace}"
    headers = {"Authorization": f"Bearer {client.token}"}
    authority = ssl.create_default_context(cafile=str(client.ca))
    with httpx.Client(base_url=client.server, headers=headers, verify=authority, trust_env=False) as api:
        for path, body in (("gitintegrations", integration), ("gitoperations", operation)):
            answer = api.post(f"{root}/{path}", json=body)
            assert answer.status_code == 403, answer.text
            assert 'may not get Secret "prod"' in answer.json()["message"]
        prod = f"/api/v1/namespaces/{w.namespace}/secrets/prod"
        patched = api.patch(prod, json={}, headers={"Content-Type": "application/merge-patch+json"})
        deleted = api.delete(prod, params={"dryRun": "All", "propagationPolicy": "Foreground"})
        for answer in (api.get(prod), patched, deleted):
            assert answer.status_code == 403, answer.text
    assert client.w.get("prod", "secret")


def test_who_may_write_no_pipelines_has_none_written(world: MakeWorld, gateway: GatewayProcess) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    caller = Client(w, gateway, bound=False)
    w.kubectl(
        "create", "role", "integrator", "--verb=get,create,patch,delete",
        "--resource=gitintegrations.planasonix.com,gitoperations.planasonix.com",
    )  # fmt: skip
    w.kubectl("create", "rolebinding", "integrator", "--role=integrator", f"--serviceaccount={w.namespace}:caller")
    with caller.http:
        told = eventually(lambda: "may not create resource" in (t := caller_post(caller)).text and t)
        assert told.status_code == 403
        assert told.json()["error"]["code"] == "forbidden"
    assert w.names("gi") == set()


def caller_post(caller: Client) -> httpx.Response:
    return caller.http.post(caller.path, json={"repository_url": caller.w.repo.url()})


def test_a_namespace_is_a_name_and_no_path(client: Client) -> None:
    for name in ("%2e%2e", "Upper", "a%3Fb", "x" * 64):
        answer = client.http.get(f"/api/namespaces/{name}/git-integration")
        assert (answer.status_code, answer.json()["error"]["code"]) in ((422, "invalid"), (404, "not_found")), name
    answer = client.http.get("/api/namespaces/a%3Fb/git-integration/status")
    assert answer.json()["error"]["fields"] == [{"field": "namespace", "message": "is no name of a namespace"}]


def test_bodies_are_checked_by_name_and_size(client: Client) -> None:
    told = client("POST", "", 422, repository_url="https://x/y", colour="red", default_branch=5)["error"]
    assert {f["field"] for f in told["fields"]} == {"colour", "default_branch"}
    assert client("POST", "", 422, enabled=True)["error"]["fields"][0]["field"] == "repository_url"
    told = client("POST", "", 422, repository_url="https://u:hunter2@example.com/r")["error"]
    assert "hunter2" not in json.dumps(told)
    told = client("POST", "", 422, repository_url="https://x/y", credentials={"type": "ssh", "private_key": "hunter2"})
    assert told["error"]["fields"] == [{"field": "credentials.known_hosts", "message": "is required with type ssh"}]
    assert "hunter2" not in json.dumps(told)
    assert client.http.post(client.path, content=b"{").status_code == 422
    assert client.http.post(client.path, content=b'"' + b"x" * (2 << 20) + b'"').status_code == 413
    stream = iter([b"x" * (1 << 19)] * 4)
    assert client.http.post(client.path, content=stream).status_code == 413
    assert client.http.get("/api/nothing").json()["error"]["code"] == "not_found"
    many = {f"field-{n}{'x' * 500}": n for n in range(500)}
    told = client("POST", "", 422, **many)["error"]
    assert len(told["fields"]) == 20
    assert max(len(f["field"]) for f in told["fields"]) <= 128
    odd = (b"[" * 100_000, b'{"a":' * 50_000, b'{"enabled":' + b"9" * 100_000 + b"}", b'{"\\ud800": 1}', b'"' * 1_000_001,
           b'{"branch": "\\ud800"}', b"[" + b"1," * 400_000, b"\\" * 900_000, b'{"enabled": NaN}', b"\xff\xfe")  # fmt: skip
    for content in odd:
        for path in ("", "/push", "/pull", "/test"):
            answer = client.http.post(client.path + path, content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 422), (content[:30], answer.text)
            assert answer.json()["error"].keys() == {"code", "message", "fields"}
    assert client.w.names("gi") == set()


def test_every_wrong_field_is_named_by_its_own_name(client: Client) -> None:
    base = {"repository_url": "https://git.example.com/r.git"}
    token = {"type": "token", "token": "hunter2"}
    for path, body, field in (
        ("", {**base, "enabled": "false"}, "enabled"),
        ("", {**base, "enabled": 1}, "enabled"),
        ("", {**base, "enabled": "yes"}, "enabled"),
        ("", {**base, "default_branch": 5}, "default_branch"),
        ("", {**base, "default_branch": "a..b"}, "default_branch"),
        ("", {**base, "default_branch": "a\nb"}, "default_branch"),
        ("", {**base, "path_prefix": "../x"}, "path_prefix"),
        ("", {**base, "path_prefix": "/x"}, "path_prefix"),
        ("", {**base, "path_prefix": "a/.git/"}, "path_prefix"),
        ("", {**base, "author_name": "A <b>"}, "author_name"),
        ("", {**base, "author_email": "a\nb"}, "author_email"),
        ("", {**base, "provider": "sourceforge"}, "provider"),
        ("", {**base, "sync_mode": "Both"}, "sync_mode"),
        ("", {**base, "credentials": "hunter2"}, "credentials"),
        ("", {**base, "credentials": {"type": "token"}}, "credentials.token"),
        ("", {**base, "credentials": {"type": "token", "token": 5}}, "credentials.token"),
        ("", {**base, "credentials": {"type": "basic", "username": "u"}}, "credentials.password"),
        ("", {**base, "credentials": {**token, "type": "magic"}}, "credentials.type"),
        ("", {"repository_url": "ssh://git@h/r.git", "credentials": token}, "credentials.type"),
        ("", {"repository_url": "https://u:hunter2@h/r"}, "repository_url"),
        ("", {"repository_url": "ftp://h/r"}, "repository_url"),
        ("", {"repository_url": "https://h/r?x=1"}, "repository_url"),
        ("", {**base, "credentials": token, "ssh_key_id": "x"}, "credentials"),
        ("/push", {"dry_run": "false"}, "dry_run"),
        ("/push", {"force": 1}, "force"),
        ("/push", {"branch": "a b"}, "branch"),
        ("/push", {"pipeline_ids": "orders"}, "pipeline_ids"),
        ("/push", {"pipeline_ids": [1]}, "pipeline_ids.0"),
        ("/push", {"pipeline_ids": []}, "pipeline_ids"),
        ("/push", {"pr_title": "x"}, "pr_title"),
        ("/pull", {"strategy": "mine"}, "strategy"),
        ("/pull", {"branch": 7}, "branch"),
        ("/test", {"credentials": token}, "repository_url"),
        ("/test", {"repository_url": 1}, "repository_url"),
    ):
        error = client("POST", path, 422, **body)["error"]
        assert error["fields"][0]["field"] == field, (body, error)
        told = json.dumps(error)
        for word in ("hunter2", "Value error", "Input should", "repositoryURL", "defaultBranch", "GitIntegration"):
            assert word not in told, (body, error)
    for query, field in (("limit=0", "limit"), ("limit=x", "limit"), ("limit=501", "limit"), ("branch=", "branch")):
        assert client("GET", f"/history?{query}", 422)["error"]["fields"][0]["field"] == field
    assert client("GET", "/operations/x", 422)["error"]["fields"][0]["field"] == "operation_id"
    assert client.w.names("gi") == set()


def test_what_is_no_json_is_said_clearly(client: Client) -> None:
    def post(content: bytes, status: int, **headers: str) -> dict[str, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = client.http.post(client.path, content=content, headers=named)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return error

    body = json.dumps({"repository_url": "https://git.example.com/r.git"}).encode()
    json_type = {"Content_Type": "application/json"}
    for content in (b"{", b'{"enabled": tru}', b"{'enabled': true}", b"\xff"):
        error = post(content, 422, **json_type)
        assert error["fields"][0]["field"] == "body", error
        assert "JSON" in error["message"]
    for content in (b"[]", b"5", b'"x"', b"null", b""):
        error = post(content, 422, **json_type)
        assert error["fields"][0]["field"] == "body", (content, error)
        assert re.search("object|required", error["message"])
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "json"):
        error = post(body, 415, Content_Type=kind)
        assert "application/json" in error["message"]
    for encoding in ("gzip", "br", "deflate", "GZIP", "gzip, identity"):
        error = post(gzip.compress(body), 415, Content_Encoding=encoding, **json_type)
        assert "Content-Encoding" in error["message"]
    assert client.w.names("gi") == set()
    post_ok = client.http.post(client.path, content=body, headers={"Content-Type": "application/json; charset=utf-8"})
    assert post_ok.status_code == 200
    assert client.http.post(client.path, content=body, headers={"Content-Encoding": "identity"}).status_code == 200


def test_what_is_no_endpoint_is_an_error_in_the_same_shape(client: Client, gateway: GatewayProcess) -> None:
    for method, path, status in (
        ("PUT", client.path, 405),
        ("BREW", client.path, 405),
        ("GET", client.path + "/push", 405),
        ("POST", client.path + "/status", 405),
        ("GET", client.path + "/", 404),
        ("GET", client.path + "/nothing", 404),
        ("GET", client.path + "/operations/gitop_..", 422),
        ("GET", client.path + "/operations/gitop_a%0a", 422),
        ("GET", client.path + "/history?" + "&".join(f"a{n}=1" for n in range(40)), 422),
        ("GET", client.path + "/history?path=" + "x" * 9000, 414),
        ("GET", "/nothing", 404),
        ("POST", "/healthz", 405),
    ):
        answer = client.http.request(method, path)
        assert answer.status_code == status, (method, path, answer.text)
        assert answer.json()["error"].keys() == {"code", "message", "fields"}
        assert client.token not in answer.text
    for path, allow in (
        ("", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("/push", "OPTIONS, POST"),
        ("/status", "GET, HEAD, OPTIONS"),
        ("/operations/gitop_x", "GET, HEAD, OPTIONS"),
    ):
        answer = client.http.options(client.path + path)
        assert (answer.status_code, answer.content, answer.headers["Allow"]) == (204, b"", allow), path
        answer = client.http.put(client.path + path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allow), path
    assert client.http.options(client.path + "/nothing").status_code == 404
    answer = client.http.head(client.path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(client.http.get(client.path).content)
    answer = client.http.head(client.path + "/push")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "OPTIONS, POST")
    twice = [("Authorization", f"Bearer {client.token}"), ("Authorization", "Bearer x")]
    answer = httpx.get(gateway.url + client.path, headers=twice, trust_env=False)
    assert answer.status_code == 401


def test_a_token_that_is_revoked_is_refused_at_once(client: Client) -> None:
    client("GET")
    client.w.kubectl("delete", "serviceaccount", "caller")
    eventually(lambda: client.http.get(client.path).status_code == 401)


def test_no_input_makes_a_500(client: Client, gateway: GatewayProcess) -> None:
    """schemathesis over the served description."""
    schema = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")
    headers = {"Authorization": f"Bearer {client.token}"}
    seen: set[int] = set()

    for result in schema.get_all_operations():
        made: Any = result.ok()  # type: ignore[union-attr]
        if made.path.endswith(("/test", "/history")) or "{namespace}" not in made.path:
            continue  # they wait for an operation; their parameters are checked above

        @settings(
            max_examples=12,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=made.as_strategy())
        def call(case: Any) -> None:
            case.path_parameters = {**(case.path_parameters or {}), "namespace": client.w.namespace}
            answer = case.call(headers=headers)
            seen.add(answer.status_code)
            assert answer.status_code < 500, f"{case.method} {case.path}: {answer.text}"

        call()
    assert {200, 422} <= seen


def test_a_plan_is_shown_with_values_page_by_page(client: Client) -> None:
    configured(client)
    in_sync(client)
    client.w.patch("orders", {"owner": "cluster"})
    asked = client("POST", "/push", 202, dry_run=True)["data"]["operation_id"]
    assert client.ended(asked)["status"] == "succeeded"
    plan = client("GET", f"/operations/{asked}/plan")["data"]
    assert (plan["page"], plan["pages"], plan["truncated"]) == (1, 1, False)
    (change,) = plan["changes"]
    assert (change["pipeline_id"], change["action"], change["patch"]) == ("orders", "update", None)
    assert change["fields"] == [{"field": "spec.owner", "old": '"ann"', "new": '"cluster"'}]
    (file,) = plan["files"]
    assert (file["path"], file["lines_added"], file["lines_removed"]) == ("pipelines/orders.yaml", 1, 1)
    assert "-  owner: ann\n+  owner: cluster\n" in file["patch"]
    assert "has 1 pages" in client("GET", f"/operations/{asked}/plan?page=2", 404)["error"]["message"]
    assert client("GET", f"/operations/{asked}/plan?page=0", 422)["error"]["fields"][0]["field"] == "page"
    client("GET", "/operations/gitop_missing/plan", 404)
    nothing = client("POST", "/pull", 202, dry_run=True)["data"]["operation_id"]
    client.ended(nothing)
    assert client("GET", f"/operations/{nothing}/plan")["data"] == {
        "page": 1, "pages": 0, "truncated": False, "changes": [], "files": [],
    }  # fmt: skip


def test_the_description_names_every_endpoint(gateway: GatewayProcess, git_server: GitServer) -> None:
    paths = httpx.get(f"{gateway.url}/openapi.json", trust_env=False).json()["paths"]
    for prefix in (PATH, "/api/namespaces/{namespace}/git-integration"):
        for path in (
            "",
            "/push",
            "/pull",
            "/status",
            "/test",
            "/history",
            "/operations/{operation_id}",
            "/operations/{operation_id}/plan",
        ):
            assert prefix + path in paths


def test_its_page_needs_nobody_else(gateway: GatewayProcess) -> None:
    page = httpx.get(f"{gateway.url}/docs", trust_env=False)
    assert page.status_code == 200
    parts = re.findall(r"""(?:src|href|url)(?:=|: *)["']([^"']+)["']""", page.text)
    assert len(parts) >= 3
    for part in parts:
        assert part.startswith("/"), part
        assert httpx.get(gateway.url + part, trust_env=False).status_code == 200, part
    assert "://" not in page.text
    assert httpx.get(f"{gateway.url}/static-offline-docs/../app.py", trust_env=False).status_code == 404
