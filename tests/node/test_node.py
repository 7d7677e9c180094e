"""The operator as users have it: its image, installed with kubectl on a real node, while edits go both ways all the time.

What kills, moves or cuts off the operator costs an edit time, never more: none is lost, none undone. `make test-node` prints
how long edits took.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.build import node_is_built
from tests.bed.cluster import ROOT
from tests.bed.controlplane import NODE, ControlPlane
from tests.bed.gitserver import GitServer
from tests.bed.node import Node, Pods, operator_image, why_not
from tests.bed.world import World, eventually
from tests.node.bed import Bed
from tests.node.edits import Edits, files
from tests.unit.test_manifests import rendered

_SOURCE = ("--server-side", "-k", str(ROOT / "manifests"))
_PATIENCE = 180.0
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module")
def bed(bed_directory: Path, git_server: GitServer) -> Iterator[Bed]:
    if reason := why_not() if node_is_built() else "make test-node builds it, in minutes":
        pytest.skip(f"there is no node here: {reason}")
    image = operator_image()
    began = time.monotonic()
    plane = ControlPlane(bed_directory / "node-plane", pods=True)
    with contextlib.ExitStack() as stack:
        stack.callback(plane.stop)
        node = Node(plane, bed_directory / "node", image)
        stack.callback(node.stop)
        figures = {"node Ready": f"{time.monotonic() - began:.0f} s after the start"}
        plane.install()
        pods = Pods(node)
        pods.settled()
        figures["operator Available"] = f"{time.monotonic() - began:.0f} s after the start"
        world = World(plane, git_server, "node", files())
        world.secret()
        world.integrate(repositoryURL=node.reach(world.repo.url()))
        world.in_sync()
        made = Bed(plane, node, pods, world, figures)
        yield made
        for what, said in made.figures.items():
            print(f"\n{what:24} {said}", end="")


@pytest.fixture
def edits(bed: Bed) -> Iterator[Edits]:
    """From before the test until all Pods are well again after it."""
    made = Edits(bed.world, next(bed.numbers))
    try:
        made.flow(0)
        yield made
        bed.pods.settled()
        made.settle()
    finally:
        made.stop()


def told(bed: Bed, what: str, edits: Edits, since: float) -> None:
    """Waits until edits that are made from now on flow, and keeps how long they took since."""
    edits.flow(time.monotonic(), 3)
    longest, steady = (max(edits.delays(side, since)) for side in "kg"), edits.delays("k", since)
    kubectl, git = longest
    bed.figures[what] = (
        f"kubectl edit to commit at most {kubectl:.1f} s, commit to cluster {git:.1f} s; last {steady[-1]:.1f} s"
    )


def test_it_is_available_probed_and_one_of_two_works(bed: Bed) -> None:
    pods = bed.pods.all()
    assert len(pods) == 2
    assert bed.pods.holder() in pods
    leading = []
    for name in pods:
        state = bed.pods.state(name)
        assert (state["ready"], state["restartCount"]) == (True, 0)
        proxied = f"/api/v1/namespaces/{Pods.namespace}/pods/{name}:8080/proxy"
        for probe in ("healthz", "readyz"):
            assert bed.plane.kubectl("get", "--raw", f"{proxied}/{probe}")
        if "gitintegration_leader 1.0" in bed.plane.kubectl("get", "--raw", f"{proxied}/metrics"):
            leading.append(name)
    assert leading == [bed.pods.holder()]


def test_a_second_apply_changes_nothing_and_rolls_nothing(bed: Bed) -> None:
    pods = bed.pods.all().keys()
    assert bed.plane.kubectl("diff", *_SOURCE) == ""
    bed.plane.kubectl("apply", *_SOURCE)
    assert bed.plane.kubectl("diff", *_SOURCE) == ""
    bed.pods.settled()
    assert bed.pods.all().keys() == pods


def test_all_that_the_pods_say_is_json(bed: Bed) -> None:
    for name in bed.pods.all():
        lines = bed.pods.kubectl("logs", name).splitlines()
        assert lines
        for line in lines:
            assert isinstance(json.loads(line), dict), line


def test_the_namespace_takes_restricted_pods_only_and_ours_are(bed: Bed) -> None:
    loose = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "loose"},
        "spec": {"containers": [{"name": "any", "image": "any"}]},
    }
    said = bed.pods.kubectl("apply", "-f", "-", stdin=json.dumps(loose), check=False)
    assert 'violates PodSecurity "restricted:latest"' in said
    processes = bed.node.processes(bed.container(bed.pods.holder()))
    status = [Path(f"/proc/{pid}/status").read_text() for pid in processes]
    assert status
    for one in status:
        fields = dict(line.split(":\t", 1) for line in one.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == ["65532"] * 4
        assert (fields["CapEff"], fields["NoNewPrivs"], fields["Seccomp"]) == ("0" * 16, "1", "2")


def test_a_rollout(bed: Bed, edits: Edits) -> None:
    before, since = bed.pods.all().keys(), time.monotonic()
    bed.pods.kubectl("rollout", "restart", "deployment/gitintegration")
    bed.pods.settled()
    assert not bed.pods.all().keys() & before
    told(bed, "rollout restart", edits, since)


def test_the_working_pod_is_deleted(bed: Bed, edits: Edits) -> None:
    gone, since = bed.pods.holder(), time.monotonic()
    bed.pods.kubectl("delete", "pod", gone, "--wait=false")
    eventually(lambda: bed.pods.holder() not in ("", gone), _PATIENCE)
    told(bed, "leader deleted", edits, since)


def test_the_working_process_is_killed(bed: Bed, edits: Edits) -> None:
    pod = bed.pods.holder()
    restarts, since = bed.pods.state(pod)["restartCount"], time.monotonic()
    os.kill(first(bed, pod), signal.SIGKILL)
    told(bed, "leader killed (kill -9)", edits, since)
    eventually(lambda: bed.pods.state(pod)["restartCount"] == restarts + 1, _PATIENCE)
    assert bed.pods.state(pod)["lastState"]["terminated"]["exitCode"] == 128 + signal.SIGKILL


@pytest.mark.long
def test_the_working_process_stops_and_its_probe_ends_it(bed: Bed, edits: Edits) -> None:
    pod = bed.pods.holder()
    restarts, since = bed.pods.state(pod)["restartCount"], time.monotonic()
    for pid in bed.node.processes(bed.container(pod)):
        os.kill(pid, signal.SIGSTOP)
    told(bed, "leader stopped (SIGSTOP)", edits, since)
    assert bed.pods.holder() != pod
    eventually(lambda: bed.pods.state(pod)["restartCount"] == restarts + 1, _PATIENCE)
    bed.figures["its probe ended it"] = f"after {time.monotonic() - since:.0f} s"


def test_a_drain_takes_one_and_waits_with_the_other(bed: Bed, edits: Edits) -> None:
    gone, since = bed.pods.holder(), time.monotonic()
    (other,) = bed.pods.all().keys() - {gone}
    bed.plane.kubectl("cordon", NODE)
    try:
        assert evict(bed, gone) == ""
        eventually(lambda: bed.pods.holder() == other, _PATIENCE)
        told(bed, "leader drained", edits, since)
        assert "violate the pod's disruption budget" in evict(bed, other)
    finally:
        bed.plane.kubectl("uncordon", NODE)
    bed.pods.settled()


@pytest.mark.long
def test_the_api_server_is_away(bed: Bed, edits: Edits) -> None:
    bed.plane.end("kube-apiserver")
    try:
        time.sleep(60)  # longer than a Lease lasts, and than any request
    finally:
        bed.plane.start("kube-apiserver")
    told(bed, "API server away, from its return", edits, time.monotonic())


def test_the_memory_is_used_up(bed: Bed, edits: Edits) -> None:
    pod = bed.pods.holder()
    restarts, since = bed.pods.state(pod)["restartCount"], time.monotonic()
    group = bed.node.memory_cgroup(bed.container(pod))
    eventually(lambda: squeeze(group) or bed.pods.state(pod)["restartCount"] > restarts, _PATIENCE)
    told(bed, "memory limit reached", edits, since)
    assert bed.pods.state(pod)["lastState"]["terminated"]["reason"] == "OOMKilled"


@pytest.mark.long
def test_its_token_is_renewed(bed: Bed, edits: Edits) -> None:
    """With the shortest life that there is for one: ten minutes, and the kubelet writes the next after eight."""
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    mount = {"name": "short", "mountPath": _ACCOUNT, "readOnly": True}
    spec = {
        "automountServiceAccountToken": False,
        "volumes": [{"name": "short", "projected": {"sources": sources}}],
        "containers": [{"name": "operator", "volumeMounts": [mount]}],
    }
    patch = json.dumps({"spec": {"template": {"spec": spec}}})
    bed.pods.kubectl("patch", "deployment", "gitintegration", "--patch", patch)
    try:
        bed.pods.settled()
        began = {pod: token_ends(bed, pod) for pod in bed.pods.all()}
        assert all(0 < ends - time.time() <= 600 for ends in began.values())
        eventually(lambda: time.time() > max(began.values()) + 10, 700)
        assert {pod: bed.pods.state(pod)["restartCount"] for pod in began} == dict.fromkeys(began, 0)
        assert all(token_ends(bed, pod) > ends for pod, ends in began.items())
        told(bed, "token renewed, from the old one's end", edits, time.monotonic())
    finally:
        bed.pods.kubectl("rollout", "undo", "deployment/gitintegration")
        bed.pods.settled()


@pytest.mark.long
def test_it_is_uninstalled_and_installed_again(bed: Bed, edits: Edits) -> None:
    """The definitions of our kinds stay, with all that there is of them; both sides are edited meanwhile."""
    ours = [one for one in rendered(".") if one["kind"] != "CustomResourceDefinition"]
    bed.plane.kubectl("delete", "--wait", "-f", "-", stdin="\n---\n".join(json.dumps(one) for one in ours))
    assert not bed.pods.all()
    away = len(edits.made)
    eventually(lambda: len(edits.made) >= away + 6)
    since = time.monotonic()
    bed.plane.install()
    bed.pods.settled()
    told(bed, "installed again, from apply", edits, since)


def first(bed: Bed, pod: str) -> int:
    """The first process of its container."""
    numbers = {
        pid: Path(f"/proc/{pid}/status").read_text().partition("NSpid:")[2].split("\n")[0].split()[-1]
        for pid in bed.node.processes(bed.container(pod))
    }
    return next(pid for pid, inside in numbers.items() if inside == "1")


def token_ends(bed: Bed, pod: str) -> float:
    """When what its Pod has to show the API server ends, in seconds since the epoch."""
    token = Path(f"/proc/{first(bed, pod)}/root{_ACCOUNT}/token").read_text().split(".")[1]
    return float(json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))["exp"])


def evict(bed: Bed, pod: str) -> str:
    """As a drain does it; what is said against it."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": Pods.namespace}}
    path = f"/api/v1/namespaces/{Pods.namespace}/pods/{pod}/eviction"
    said = bed.plane.kubectl("create", f"--raw={path}", "-f", "-", stdin=json.dumps(body), check=False)
    return "" if '"status":"Success"' in said else said


def squeeze(group: Path) -> Any:
    """Lowers what a cgroup may use to what it uses."""
    v2 = group / "memory.max"
    with contextlib.suppress(OSError):  # it may not shrink so far, or be gone
        if v2.exists():
            v2.write_text(str(int((group / "memory.current").read_text()) // 2))
        else:
            (group / "memory.limit_in_bytes").write_text((group / "memory.usage_in_bytes").read_text())
