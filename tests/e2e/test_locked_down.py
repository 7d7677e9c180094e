"""`manifests/locked-down`, as it is rendered: a team that takes part syncs both ways, and an attacker of each sort gets nowhere.

Each is a ServiceAccount with a token and the rights of its role; the operator has those of the overlay, and its arguments.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bed.cluster import ROOT, kubectl_program
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import WRITER, GitServer
from tests.bed.operator import GatewayProcess, OperatorProcess
from tests.bed.tenants import ALL, OURS, Tenant
from tests.bed.world import API, World, eventually, manifest
from tests.e2e.test_gateway import Client

FILES = {"pipelines/orders.yaml": manifest("orders")}
OPERATOR = "gitintegration-system:gitintegration"
HOSTS = "planasonix.com/allowed-hosts"
_OF_THE_PROCESS = ("run", "--cache-dir=", "--log-format=", "--probe-port=")
MakeTeam = Callable[..., World]


def arguments() -> list[str]:
    """Those of the overlay's Deployment, but for the places of a container."""
    command = [kubectl_program(), "kustomize", str(ROOT / "manifests" / "locked-down")]
    documents = yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    (deployment,) = [one for one in documents if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return [arg for arg in container["args"] if not arg.startswith(_OF_THE_PROCESS)]


@pytest.fixture(scope="module")
def locked_plane(bed_directory: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(bed_directory / "locked-plane")
    try:
        plane.install("locked-down")
        yield plane
    finally:
        plane.stop()


@pytest.fixture(scope="module")
def locked(locked_plane: ControlPlane, bed_directory: Path) -> Iterator[OperatorProcess]:
    process = OperatorProcess(locked_plane, bed_directory / "locked", *arguments(), name="locked")
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def team(locked_plane: ControlPlane, git_server: GitServer, locked: OperatorProcess) -> MakeTeam:
    """Makes a namespace with a repository, that takes part or not."""

    def make(files: dict[str, str] | None = None, *, takes_part: bool = True) -> World:
        w = World(locked_plane, git_server, f"team-{uuid.uuid4().hex[:8]}", FILES if files is None else files)
        w.kubectl("create", "serviceaccount", "default", check=False)
        if takes_part:
            enrol(w)
        return w

    return make


def enrol(w: World) -> None:
    """As manifests/locked-down/tenant.yaml says."""
    for name, role, account in (
        ("gitintegration", "gitintegration-tenant", OPERATOR),
        ("gitintegration-pipelines", "gitintegration", f"{w.namespace}:default"),
    ):
        w.kubectl("create", "rolebinding", name, f"--clusterrole={role}", f"--serviceaccount={account}")


def keep_secret(w: World, name: str = "git", hosts: str | None = "127.0.0.1", **data: str) -> None:
    """What logs in, with the authority of the server, for these hosts."""
    login = data or {"username": WRITER[0], "password": WRITER[1]}
    keys = {**login, "ca.crt": w.server.authority.certificate.read_text()}
    metadata = {"name": name, "annotations": {HOSTS: hosts} if hosts else {}}
    w.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys})


def spec(w: World, scheme: str = "https", **more: Any) -> dict[str, Any]:
    return {
        "repositoryURL": w.repo.url(scheme),
        "credentials": {"secretRef": {"name": "git"}},
        "sync": {"interval": "10s", "push": {"quietPeriod": "0s"}},
        **more,
    }


def integrate(w: World, name: str = "gi", scheme: str = "https", **more: Any) -> None:
    """By the administrator."""
    w.apply({"apiVersion": API, "kind": "GitIntegration", "metadata": {"name": name}, "spec": spec(w, scheme, **more)})


def refused(w: World, *reasons: str, name: str = "gi") -> str:
    """Why an integration is not ready, once that is told; nothing has come of it."""
    ready = eventually(lambda: (c := w.condition("Ready", name)).get("reason") in reasons and c)
    assert w.names() == set()
    return str(ready["message"])


def asked_of(w: World) -> list[str]:
    """What the git server was asked for in the team's repository."""
    return [path for _, path in w.server.requests if w.namespace in path]


def test_a_team_that_takes_part_syncs_both_ways(team: MakeTeam, locked_plane: ControlPlane) -> None:
    w = team()
    keep_secret(w)
    author = Tenant(w, "author")
    author.bind("edit", "create", "gitintegrations")
    assert "created" in author.create("GitIntegration", "gi", spec(w), keep=True)
    eventually(lambda: w.names() == {"orders"})
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster"))
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", "7 7 * * *", owner="cluster")})
    w.in_sync()
    assert w.spec("orders")["schedule"] == "7 7 * * *"
    writers = {write.user for write in locked_plane.writes(w.namespace) if write.who and write.resource == "pipelines"}
    assert writers == {f"system:serviceaccount:{w.namespace}:default"}


def test_a_secret_that_changes_is_noticed_in_its_namespace(team: MakeTeam) -> None:
    w = team()
    keep_secret(w, username=WRITER[0], password="wrong")
    integrate(w, sync={"interval": "1h"})
    refused(w, "AuthenticationFailed")
    keep_secret(w)
    eventually(
        lambda: w.names() == {"orders"}, 10
    )  # the next try by itself comes later each time, the interval in an hour


def test_a_namespace_that_takes_no_part_is_out_of_reach(team: MakeTeam) -> None:
    w = team(takes_part=False)
    keep_secret(w)
    integrate(w)
    assert "secrets" in refused(w, "Forbidden")
    assert asked_of(w) == []
    half = team(takes_part=False)
    half.kubectl("create", "role", "reader", "--verb=get,list,watch", "--resource=secrets")
    half.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={OPERATOR}")
    keep_secret(half)
    integrate(half)
    assert "impersonate" in refused(half, "Forbidden")
    enrol(w)
    eventually(lambda: w.names() == {"orders"}, 90)


def test_a_tenant_has_what_its_namespace_grants(team: MakeTeam) -> None:
    w = team()
    victim = team()
    keep_secret(victim)
    integrate(victim)
    eventually(lambda: victim.names() == {"orders"})
    keep_secret(w, "prod", None, token="hunter2")
    mallory = Tenant(w, "mallory")
    mallory.may(ALL, *OURS)
    for more, denied in (
        ({"credentials": {"secretRef": {"name": "prod"}}}, "may not get Secret"),
        ({"serviceAccountName": "default", "credentials": None}, "may not impersonate ServiceAccount"),
        ({"credentials": None, "proxySecretRef": {"name": "prod"}}, "may not get Secret"),
        ({"credentials": None, "resources": [{"apiVersion": "v1", "kind": "ConfigMap"}]}, "may not create resource"),
    ):
        assert denied in mallory.create("GitIntegration", "mine", spec(w, **more)), more
    test = {"repositoryURL": w.repo.url("https"), "credentials": {"secretRef": {"name": "prod"}}}
    operation = {"integrationRef": {"name": "gi"}, "kind": "test", "test": test}
    assert "may not get Secret" in mallory.create("GitOperation", "op", operation)
    base = victim.kubectl("get", "gitintegrationbases", "-o", "name").split()[0].partition("/")[2]
    for where in (w, victim):
        told = mallory.kubectl("-n", where.namespace, "get", "gitintegrationbases", base)
        assert "cannot get resource" in told
    told = mallory.kubectl("-n", victim.namespace, "patch", "gi", "gi", "--type=merge", "-p", "{}")
    assert "cannot get resource" in told
    assert asked_of(w) == []
    assert victim.names() == {"orders"}


def test_a_tenants_account_binds_what_is_done_for_it(team: MakeTeam) -> None:
    """Rights to pipelines that the author has, but the namespace's account has not, are not the operator's."""
    w = team(takes_part=False)
    bound = ("--clusterrole=gitintegration-tenant", f"--serviceaccount={OPERATOR}")
    w.kubectl("create", "rolebinding", "gitintegration", *bound)
    keep_secret(w)
    integrate(w)
    assert f"system:serviceaccount:{w.namespace}:default" in refused(w, "Forbidden")


def test_a_committer_writes_pipelines_of_the_namespace_only(team: MakeTeam, locked_plane: ControlPlane) -> None:
    victim = team({})
    rbac = "rbac.authorization.k8s.io/v1"
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": victim.namespace}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    bad: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted"}, "stringData": {"a": "b"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "planted"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "planted"}},
        {
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "planted"},
            "roleRef": ref,
            "subjects": [subject],
        },
        {
            "apiVersion": API,
            "kind": "GitIntegration",
            "metadata": {"name": "planted"},
            "spec": {"repositoryURL": "https://x/y"},
        },
        {
            "apiVersion": API,
            "kind": "Pipeline",
            "metadata": {"name": "planted", "namespace": victim.namespace},
            "spec": {},
        },
        {"apiVersion": API, "kind": "Pipeline", "metadata": {"name": "../../x/pipelines/planted"}, "spec": {}},
        {"apiVersion": "../api/v1", "kind": "Secret", "metadata": {"name": "planted"}},
    ]
    files = {f"pipelines/bad{i}.yaml": json.dumps(one) for i, one in enumerate(bad)}
    w = team({**FILES, **files})
    keep_secret(w)
    integrate(w)
    eventually(lambda: w.names() == {"orders"})
    w.sync_now()
    assert w.names() == {"orders"}
    for kind in ("secrets", "configmaps", "serviceaccounts", "gitintegrations", "pipelines"):
        found = locked_plane.kubectl("get", kind, "-A", "-o", "jsonpath={.items[*].metadata.name}").split()
        assert "planted" not in found, kind
    assert "planted" not in locked_plane.kubectl("get", "clusterrolebindings", "-o", "name")
    assert victim.names() == set()


@pytest.mark.parametrize(("scheme", "hosts"), [("http", "127.0.0.1"), ("https", None), ("https", "git.example.com")])
def test_a_server_gets_no_credential_in_clear_or_that_is_not_meant_for_it(
    team: MakeTeam, scheme: str, hosts: str | None
) -> None:
    w = team()
    keep_secret(w, "git", hosts)
    integrate(w, scheme=scheme)
    refused(w, "InvalidURL", "SecretNotAllowed")
    assert asked_of(w) == []


def test_nothing_is_dialled_that_tells_credentials(team: MakeTeam) -> None:
    for host in ("169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"):
        w = team()
        integrate(w, credentials=None, repositoryURL=f"https://{host}/r")
        assert "169.254" in refused(w, "InvalidURL") or "fd00" in w.condition("Ready")["message"]


@pytest.fixture(scope="module")
def gateway(locked_plane: ControlPlane, bed_directory: Path) -> Iterator[GatewayProcess]:
    locked_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "gateway"))
    process = GatewayProcess(locked_plane, bed_directory / "locked-gateway", name="gateway")
    try:
        yield process
    finally:
        process.stop()


def test_a_caller_of_the_api_reaches_no_secret(team: MakeTeam, gateway: GatewayProcess) -> None:
    w, other = team(), team()
    keep_secret(w, "prod", None, token="hunter2")
    caller = Client(w, gateway)
    with caller.http:
        assert caller("GET")["data"]["enabled"] is False
        told = caller("POST", "", 403, repository_url=w.repo.url("https"), ssh_key_id="prod")["error"]["message"]
        assert "may not get secrets 'prod'" in told
        app = {"type": "github_app", "installation_id": "1"}
        told = caller("POST", "", 403, repository_url=w.repo.url("https"), credentials=app)["error"]["message"]
        assert "may not get secrets 'github-app'" in told
        elsewhere = f"/api/namespaces/{other.namespace}/git-integration"
        assert caller.http.post(elsewhere, json={"repository_url": "https://x/y"}).status_code == 403
    assert w.names("gi") == other.names("gi") == set()
    assert asked_of(w) == []
