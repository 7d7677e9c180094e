"""Commits have those who edited as their authors: people, accounts and controllers with real roles, the policies of both sorts in effect."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import GitServer
from tests.bed.operator import GatewayProcess, OperatorProcess
from tests.bed.printed import check
from tests.bed.tenants import ALL, OURS, Tenant
from tests.bed.user import User
from tests.bed.world import API, World, eventually, manifest

STAMP = "planasonix.com/edited-by"
FILES = {f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")}
_RBAC = "rbac.authorization.k8s.io"
MakeWorld = Callable[..., World]


@pytest.fixture(scope="module")
def plane(bed_directory: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(bed_directory / "authors-plane")
    try:
        made.install()
        for part in ("authors", "gateway"):
            made.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / part))
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def stamping(plane: ControlPlane, bed_directory: Path) -> Iterator[OperatorProcess]:
    process = OperatorProcess(plane, bed_directory / "authors", name="authors")
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def make(plane: ControlPlane, git_server: GitServer, stamping: OperatorProcess) -> MakeWorld:
    """A world whose people ann and bob may edit, with the policies in effect."""

    def made(**spec: Any) -> World:
        w = World(plane, git_server, f"t-{uuid.uuid4().hex[:10]}", FILES)
        named = {"apiVersion": f"{_RBAC}/v1", "metadata": {"name": "people"}}
        rule = {"apiGroups": ["planasonix.com"], "resources": ["pipelines", "gitoperations"], "verbs": ["*"]}
        people = [{"kind": "User", "name": name, "apiGroup": _RBAC} for name in ("ann@example.com", "bob")]
        ref = {"kind": "Role", "name": "people", "apiGroup": _RBAC}
        w.apply(
            {**named, "kind": "Role", "rules": [rule]},
            {**named, "kind": "RoleBinding", "roleRef": ref, "subjects": people},
        )
        eventually(lambda: stamp_of(w, "bob"))
        w.secret()
        w.integrate(**{**spec, "sync": {}})
        w.in_sync()
        if spec.get("sync"):
            w.integrate(**spec)
            w.sync_now()
        return w

    return made


def stamp_of(w: World, user: str) -> bool:
    """Whether what he would make is stamped."""
    body = {"apiVersion": API, "kind": "Pipeline", "metadata": {"name": "probe"}, "spec": {}}
    told = w.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", f"--as={user}", stdin=json.dumps(body))
    return stamp(json.loads(told)) == user


def stamp(found: dict[str, Any] | None) -> str | None:
    assert found
    told: str | None = (found["metadata"].get("annotations") or {}).get(STAMP)
    return told


def edit(w: World, user: str, name: str, patch: dict[str, Any], *more: str) -> None:
    w.kubectl("patch", "pipeline", name, "--type=merge", "-p", json.dumps(patch), f"--as={user}", *more)


def authors(w: World, number: int) -> list[str]:
    return w.repo.log(f"-{number}", "--format=%an <%ae>").splitlines()


def test_a_kind_without_a_spec_is_stamped_by_what_it_says(make: MakeWorld, plane: ControlPlane) -> None:
    """As the page has it: its group and resource are added to the rules, here to those of a policy beside ours."""
    w = make()
    policy, binding = yaml.safe_load_all((ROOT / "manifests/authors/policy.yaml").read_text())
    for one in (policy, binding):
        one["metadata"]["name"] = f"of-{w.namespace}"
    rule = {"apiGroups": [""], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": w.namespace}}
    policy["spec"]["matchConstraints"] = {"resourceRules": [rule], "namespaceSelector": here}
    binding["spec"]["policyName"] = policy["metadata"]["name"]
    editor = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}
    named = {"apiVersion": f"{_RBAC}/v1", "metadata": {"name": "editors"}}
    people = [{"kind": "User", "name": name, "apiGroup": _RBAC} for name in ("ann@example.com", "bob")]
    ref = {"kind": "Role", "name": "editors", "apiGroup": _RBAC}
    w.apply(
        {**named, "kind": "Role", "rules": [editor]},
        {**named, "kind": "RoleBinding", "roleRef": ref, "subjects": people},
    )
    plane.apply(policy, binding)
    try:

        def write(user: str, *words: str) -> str | None:
            return stamp(json.loads(w.kubectl(*words, f"--as={user}", "-o", "json")))

        eventually(lambda: write("bob", "create", "configmap", "probe", "--dry-run=server") == "bob")
        assert write("ann@example.com", "create", "configmap", "one", "--from-literal=a=1") == "ann@example.com"
        patch = ("patch", "configmap", "one", "--type=merge", "-p")
        assert write("bob", *patch, '{"data": {"a": "1"}}') == "ann@example.com", "nothing is edited"
        assert write("bob", *patch, '{"data": {"a": "2"}}') == "bob"
        assert write("ann@example.com", *patch, '{"data": null}') == "ann@example.com"
        assert write("bob", *patch, '{"binaryData": {"b": "AA=="}}') == "bob"
        assert write("ann@example.com", *patch, json.dumps({"metadata": {"annotations": {STAMP: "mallory"}}})) == "bob"
    finally:
        plane.kubectl("delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", policy["metadata"]["name"])


def test_the_author_is_the_person_and_the_committer_the_operator(make: MakeWorld) -> None:
    w = make(authors={"domain": "people.example.org"})
    assert stamp(w.get("orders")) is None, "what the operator wrote is nobody's"
    edit(w, "ann@example.com", "orders", {"spec": {"owner": "crm"}})
    eventually(lambda: w.repo.count() == 2)
    assert authors(w, 1) == ["ann@example.com <ann@example.com>"]
    assert w.repo.log("-1", "--format=%cn").strip() == "GitIntegration"
    assert w.repo.log("-1", "--format=%(trailers:key=GitIntegration,valueonly)").strip() == f"{w.namespace}/gi"
    edit(w, "bob", "orders", {"spec": {"owner": "bob"}})
    eventually(lambda: w.repo.count() == 3)
    assert authors(w, 1) == ["bob <bob@people.example.org>"]
    assert STAMP not in (w.repo.read("pipelines/orders.yaml") or "")
    assert w.in_sync()["history"][0]["author"] == "bob <bob@people.example.org>"
    assert w.repo.count() == 3
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git")})
    w.in_sync()
    assert (w.spec("orders")["owner"], w.repo.count()) == ("git", 4)


def test_nobody_speaks_for_another(make: MakeWorld) -> None:
    """Not in the same write, not by a write of the name alone, not by taking it away, not by server-side apply."""
    w = make(sync={"mode": "Manual"})
    edit(w, "ann@example.com", "orders", {"spec": {"owner": "x"}, "metadata": {"annotations": {STAMP: "mallory"}}})
    assert stamp(w.get("orders")) == "ann@example.com"
    for value in ("mallory", "bob", None):
        edit(w, "bob", "orders", {"metadata": {"annotations": {STAMP: value}}})
        assert stamp(w.get("orders")) == "ann@example.com"
    applied = {"apiVersion": API, "kind": "Pipeline", "metadata": {"name": "orders"}, "spec": {"owner": "x"}}
    apply = ("apply", "--server-side", "--field-manager=tool", "-f", "-", "--as=bob")
    w.kubectl(*apply, stdin=json.dumps(applied))
    assert stamp(w.get("orders")) == "ann@example.com", "applied what is there"
    applied["spec"] = {"owner": "y"}
    w.kubectl(*apply, "--force-conflicts", stdin=json.dumps(applied))
    assert stamp(w.get("orders")) == "bob"
    edit(w, "ann@example.com", "orders", {"metadata": {"labels": {"team": "crm"}}})
    assert stamp(w.get("orders")) == "ann@example.com"
    edit(w, "bob", "orders", {"metadata": {"finalizers": ["example.com/x"]}})
    assert stamp(w.get("orders")) == "ann@example.com", "no edit of what is synced"
    edit(w, "bob", "orders", {"metadata": {"finalizers": None}})
    edit(w, "bob", "orders", {"metadata": {"annotations": {"note": ""}}})
    assert stamp(w.get("orders")) == "bob"
    w.kubectl(
        "create",
        "-f",
        "-",
        "--as=bob",
        stdin=json.dumps({**applied, "metadata": {"name": "new", "annotations": {STAMP: "x"}}}),
    )
    assert stamp(w.get("new")) == "bob"


def test_several_people_have_a_commit_each(make: MakeWorld) -> None:
    w = make(sync={"push": {"quietPeriod": "3s"}})
    edit(w, "bob", "users", {"spec": {"owner": "bob"}})
    edit(w, "ann@example.com", "orders", {"spec": {"owner": "crm"}})
    eventually(lambda: w.repo.count() == 3)
    assert authors(w, 2) == ["ann@example.com <ann@example.com>", "bob <bob@kubernetes.invalid>"]
    assert w.repo.log("-1", "--skip=1", "--name-only", "--format=").split() == ["pipelines/users.yaml"]
    edit(w, "bob", "users", {"spec": {"schedule": "1 1 * * *"}})
    edit(w, "ann@example.com", "users", {"spec": {"owner": "ann"}})
    eventually(lambda: w.repo.count() == 4)
    assert authors(w, 1) == ["ann@example.com <ann@example.com>"]
    told = w.repo.log("-1", "--format=%(trailers:key=Co-authored-by,valueonly)")
    assert told.strip() == "bob <bob@kubernetes.invalid>"


def test_accounts_controllers_and_operations(make: MakeWorld) -> None:
    w = make()
    tool = Tenant(w, "tool")
    tool.may(ALL, *OURS)
    tool.kubectl("patch", "pipeline", "orders", "--type=merge", "-p", '{"spec": {"owner": "tool"}}')
    eventually(lambda: w.repo.count() == 2)
    assert authors(w, 1) == [f"{w.namespace}/tool <tool@{w.namespace}.serviceaccounts.kubernetes.invalid>"]
    w.by_hand()
    edit(w, "bob", "orders", {"spec": {"owner": "bob"}})
    body = {
        "apiVersion": API,
        "kind": "GitOperation",
        "metadata": {"name": "push-1"},
        "spec": {"integrationRef": {"name": "gi"}, "kind": "push", "push": {"message": "By hand"}},
    }
    w.kubectl("create", "-f", "-", "--as=ann@example.com", stdin=json.dumps(body))
    assert stamp(w.get("push-1", "gitoperation")) == "ann@example.com"
    eventually(lambda: w.repo.count() == 3)
    assert authors(w, 1) == ["bob <bob@kubernetes.invalid>"]
    assert w.repo.log("-1", "--format=%s").strip() == "By hand"


def test_a_delete_is_told_as_what_is_known_of_it(make: MakeWorld) -> None:
    w = make()
    edit(w, "bob", "orders", {"spec": {"owner": "bob"}})
    eventually(lambda: w.repo.count() == 2)
    w.in_sync()
    w.kubectl("delete", "pipeline", "orders", "--as=ann@example.com")
    eventually(lambda: w.repo.count() == 3)
    assert authors(w, 1) == ["bob <bob@kubernetes.invalid>"]
    assert "Who deleted is not known" in w.repo.log("-1", "--format=%b")


def test_one_author_where_that_is_asked_for(make: MakeWorld) -> None:
    w = make(authors={"mode": "fixed"}, author={"name": "Team Bot", "email": "bot@example.com"})
    edit(w, "bob", "orders", {"spec": {"owner": "bob"}})
    eventually(lambda: w.repo.count() == 2)
    assert authors(w, 1) == ["Team Bot <bot@example.com>"]


def test_what_an_operation_restores_is_by_who_asked_for_it(make: MakeWorld) -> None:
    """Not by who edited before, whose stamp the object had; also after a restart, and from another branch."""
    w = make()
    first = w.repo.head()
    edit(w, "bob", "orders", {"spec": {"owner": "bob"}})
    eventually(lambda: w.repo.count() == 2)
    w.in_sync()

    def pulled(name: str, **block: Any) -> None:
        body = {
            "apiVersion": API,
            "kind": "GitOperation",
            "metadata": {"name": name, "annotations": {STAMP: "mallory"}},
            "spec": {"integrationRef": {"name": "gi"}, "kind": "pull", "pull": {"pipelines": ["orders"], **block}},
        }
        w.kubectl("create", "-f", "-", "--as=ann@example.com", stdin=json.dumps(body))
        eventually(lambda: (w.get(name, "gitoperation") or {}).get("status", {}).get("phase") == "Succeeded")

    pulled("restore", revision=first)
    eventually(lambda: w.repo.count() == 3)
    assert authors(w, 1) == ["ann@example.com <ann@example.com>"]
    assert stamp(w.get("orders")) == "ann@example.com"
    edit(w, "bob", "orders", {"spec": {"owner": "bob again"}})
    eventually(lambda: w.repo.count() == 4)
    w.in_sync()
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="feature")}, branch="feature")
    pulled("elsewhere", branch="feature")
    eventually(lambda: w.repo.count() == 5)
    assert authors(w, 1) == ["ann@example.com <ann@example.com>"]
    assert w.repo.log("-1", "--format=%(trailers:key=Co-authored-by)").strip() == ""


def test_people_are_called_as_a_config_map_says(make: MakeWorld) -> None:
    w = make()

    def say(text: str) -> None:
        w.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "people"}, "data": {"authors": text}})

    def refused(reason: str) -> str:
        ready = eventually(lambda: (w.sync_now(), (c := w.condition("Ready"))["reason"] == reason and c)[1])
        return str(ready["message"])

    w.integrate(authors={"mapRef": {"name": "people"}})
    assert "'people'" in refused("ConfigMapNotFound")
    say("bob = Bob Builder\n")
    assert "line 1" in refused("InvalidConfigMap")
    edit(w, "bob", "orders", {"spec": {"owner": "bob"}})
    w.sync_now()
    assert w.repo.count() == 1
    say("bob = Bob Builder <bob.builder@corp.example.com>\n")
    w.in_sync()
    assert authors(w, 1) == ["Bob Builder <bob.builder@corp.example.com>"]
    edit(w, "ann@example.com", "orders", {"spec": {"owner": "ann"}})
    eventually(lambda: w.repo.count() == 3)
    assert authors(w, 1) == ["ann@example.com <ann@example.com>"]


def test_an_edit_as_large_as_can_be_is_stamped(make: MakeWorld) -> None:
    """The policy costs what it may, whatever a pipeline holds: else nobody could write it."""
    w = make(sync={"mode": "Manual"})
    annotations = {f"example.com/{number}": "x" for number in range(8000)}
    body = {
        "apiVersion": API,
        "kind": "Pipeline",
        "metadata": {"name": "large", "annotations": annotations},
        "spec": {"text": "x" * 900_000},
    }
    w.kubectl("create", "-f", "-", "--as=bob", stdin=json.dumps(body))
    w.kubectl("replace", "-f", "-", "--as=bob", stdin=json.dumps(body))
    edit(w, "ann@example.com", "large", {"spec": {"more": "x"}})
    assert stamp(w.get("large")) == "ann@example.com"


def test_why_is_the_commits_message_and_is_said_once(make: MakeWorld) -> None:
    w = make()
    why = {"metadata": {"annotations": {"planasonix.com/change-reason": "Loads took an hour"}}}
    edit(w, "bob", "orders", {"spec": {"owner": "bob"}, **why})
    eventually(lambda: w.repo.count() == 2)
    assert w.repo.log("-1", "--format=%s|%an").strip() == "Loads took an hour|bob"
    eventually(lambda: ((w.get("orders") or {})["metadata"]["annotations"]) == {STAMP: "bob"})
    assert "Loads" not in (w.repo.read("pipelines/orders.yaml") or "")
    edit(w, "ann@example.com", "orders", {"spec": {"owner": "ann"}})
    eventually(lambda: w.repo.count() == 3)
    assert w.repo.log("-1", "--format=%s|%an").strip() == "Update orders|ann@example.com"


def test_a_conflict_names_the_person(make: MakeWorld) -> None:
    w = make(sync={"mode": "Manual"})
    edit(w, "bob", "orders", {"spec": {"owner": "bob"}})
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git")}, author="Zoe <z@x>")
    (conflict,) = eventually(lambda: (s := w.sync_now()).get("conflictCount") == 1 and s["conflicts"])
    assert (conflict["ours"]["by"], conflict["theirs"]["by"]) == ("bob", "Zoe")


# --- how it is shown ------------------------------------------------------------------------------------------------

ANN, BOB, ZOE = "ann@example.com", "bob", "Zoe <zoe@example.com>"


def told(w: World, user: User, *command: str) -> Any:
    done = user.run(*command, "-n", w.namespace, "-o", "json")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return check(command[0], done.stdout)


def said(w: World, user: User, *command: str) -> str:
    done = user.run(*command, "-n", w.namespace, COLUMNS="160")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    return done.stdout


def blamed(w: World, user: User, name: str = "orders") -> dict[str, dict[str, Any]]:
    return {row["field"]: row for row in told(w, user, "blame", name)["fields"]}


def test_who_edited_is_shown_wherever_an_edit_is(make: MakeWorld) -> None:
    """The cluster's by blame, trace and diff's own; git's by commit, history and show."""
    w = make()
    user = User(w)
    edit(w, BOB, "users", {"spec": {"owner": "bob"}})
    eventually(lambda: w.repo.count() == 2)
    daily = w.repo.commit({"pipelines/orders.yaml": manifest("orders", schedule="@daily")}, "Daily", author=ZOE)
    w.in_sync()
    w.by_hand()
    edit(w, ANN, "orders", {"spec": {"owner": "crm"}})
    rows = blamed(w, user)
    assert (rows["spec.owner"]["ours"]["by"], rows["spec.owner"]["live"]) == (ANN, '"crm"')
    assert "editors" not in rows["spec.owner"]["ours"]
    assert (rows["spec.schedule"]["theirs"]["by"], rows["spec.schedule"]["theirs"]["commit"]) == ("Zoe", daily)
    assert blamed(w, user, "users")["spec.owner"]["theirs"]["by"] == BOB
    assert f"edited by {ANN}, " in said(w, user, "trace", "orders")
    assert "edited by bob, " in said(w, user, "trace", "users"), "also where both sides are the same"
    by = {line.split()[0]: line for line in said(w, user, "history").splitlines() if line.strip()}
    assert " Zoe " in by[daily[:12]]
    assert any(" bob " in line for line in by.values())
    assert "Author: bob <bob@kubernetes.invalid>" in said(
        w, user, "show", w.repo.log("-1", "--skip=1", "--format=%H").strip()
    )


def test_a_field_is_nobodys_for_sure_where_several_edited_the_pipeline(make: MakeWorld) -> None:
    """A stamp is of the object and a field manager of a tool: with either, bob would have written what ann wrote."""
    w = make()
    user = User(w)
    w.by_hand()
    edit(w, ANN, "orders", {"spec": {"owner": "ann's"}})
    edit(w, BOB, "orders", {"spec": {"schedule": "@daily"}})
    edit(w, BOB, "orders", {"spec": {"description": "bob's"}}, "--field-manager=ui")
    rows = blamed(w, user)
    for field, manager in (("owner", "kubectl-patch"), ("schedule", "kubectl-patch"), ("description", "ui")):
        ours = rows[f"spec.{field}"]["ours"]
        assert (ours["by"], ours["editors"]) == (manager, [ANN, BOB]), field
    assert told(w, user, "trace", "orders")["ours"]["by"] == BOB
    assert f"kubectl-patch (editors: {ANN}, bob)" in said(w, user, "blame", "orders")
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git")}, author=ZOE)
    (conflict,) = eventually(lambda: (s := w.sync_now()).get("conflictCount") == 1 and s["conflicts"])
    assert (conflict["ours"]["by"], conflict["ours"]["editors"]) == ("kubectl-patch", [ANN, BOB])
    assert f"kubectl-patch (editors: {ANN}, bob)" in user.status("gi", code=1, COLUMNS="200")


def test_who_edited_something_else_or_before_is_not_named(make: MakeWorld) -> None:
    w = make(sync={"push": {"quietPeriod": "3s"}})
    user = User(w)
    edit(w, ANN, "orders", {"spec": {"owner": "ann's"}})
    eventually(lambda: w.repo.count() == 2)
    w.in_sync()
    edit(w, "admin", "orders", {"metadata": {"finalizers": ["example.com/x"]}}, "--as-group=system:masters")
    edit(w, BOB, "orders", {"spec": {"schedule": "@daily"}})
    eventually(lambda: w.repo.count() == 3)
    assert authors(w, 1) == ["bob <bob@kubernetes.invalid>"]
    assert w.repo.log("-1", "--format=%(trailers:key=Co-authored-by)").strip() == ""
    edit(w, "admin", "orders", {"metadata": {"finalizers": None}}, "--as-group=system:masters")
    w.in_sync()
    w.by_hand()
    edit(w, ANN, "orders", {"metadata": {"labels": {"team": "crm"}}})
    rows = blamed(w, user)
    assert rows["metadata.labels.team"]["ours"]["by"] == ANN
    assert [name for name, row in rows.items() if "ours" in row] == ["metadata.labels.team"]


def test_an_account_is_called_by_its_name(make: MakeWorld) -> None:
    w = make()
    user, tool = User(w), Tenant(w, "tool")
    tool.may(ALL, *OURS)
    w.by_hand()
    tool.kubectl("patch", "pipeline", "orders", "--type=json", "-p", '[{"op": "remove", "path": "/spec/owner"}]')
    assert blamed(w, user)["spec.owner"]["ours"]["by"] == tool.user, "of a field that nobody holds any more"
    assert f"edited by {tool.user}" in said(w, user, "trace", "orders")


def test_the_rest_api_names_the_person(make: MakeWorld, bed_directory: Path) -> None:
    w = make()
    edit(w, BOB, "users", {"spec": {"owner": "bob"}})
    eventually(lambda: w.repo.count() == 2)
    w.in_sync()
    w.by_hand()
    edit(w, ANN, "orders", {"spec": {"owner": "crm"}})
    edit(w, ANN, "users", {"spec": {"owner": "crm"}})
    edit(w, BOB, "users", {"spec": {"schedule": "@daily"}})
    made = {f"pipelines/{name}.yaml": manifest(name, owner="git") for name in ("orders", "users")}
    w.repo.commit(made, author=ZOE)
    eventually(lambda: w.sync_now().get("conflictCount") == 2)
    caller = User(w).tenant
    gateway = GatewayProcess(w.plane, bed_directory / "authors-gateway", "--name=gi", name="authors-gateway")
    try:
        where = f"{gateway.url}/api/namespaces/{w.namespace}/git-integration"
        headers = {"Authorization": f"Bearer {caller.token}"}
        with httpx.Client(headers=headers, timeout=40, trust_env=False) as http:
            found = {c["name"]: c for c in http.get(f"{where}/status").json()["data"]["conflicts"]}
            history = http.get(f"{where}/history").json()["data"]
    finally:
        gateway.stop()
    assert found["orders"]["ours"] == {"by": ANN, "at": found["orders"]["ours"]["at"]}
    assert found["users"]["ours"]["editors"] == [ANN, BOB]
    assert found["users"]["ours"]["by"] == "kubectl-patch"
    assert {c["theirs"]["by"] for c in found.values()} == {"Zoe"}
    assert [commit["author"] for commit in history[:2]] == [ZOE, "bob <bob@kubernetes.invalid>"]


HOSTILE = "boss\x1b[31m\u202e\n`| " + "x" * 10_000


def test_a_name_that_somebody_wrote_while_no_policy_was_there_is_no_persons_for_sure(
    make: MakeWorld, stamping: OperatorProcess
) -> None:
    """What was forged while nobody looked can't be told from a stamp; it is told as bounded, plain text, and as unsure."""
    w = make()
    user = User(w)
    edit(w, ANN, "users", {"spec": {"owner": "ann's"}})
    eventually(lambda: w.repo.count() == 2)
    w.in_sync()
    w.by_hand()
    stamping.stop()
    w.kubectl("delete", "mutatingadmissionpolicybinding", "gitintegration-authors")
    try:
        eventually(lambda: not stamp_of(w, BOB))
        edit(w, BOB, "orders", {"spec": {"owner": "x"}, "metadata": {"annotations": {STAMP: HOSTILE}}})
        edit(w, BOB, "users", {"spec": {"schedule": "@daily"}})
        assert (stamp(w.get("orders")), stamp(w.get("users"))) == (HOSTILE, ANN)
    finally:
        w.plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "authors"))
        eventually(lambda: stamp_of(w, BOB))
        stamping.start()
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="git")}, author=ZOE)
    (conflict,) = eventually(lambda: (s := w.sync_now()).get("conflictCount") == 1 and s["conflicts"])
    (name,) = conflict["ours"]["editors"]
    assert conflict["ours"]["by"] == "kubectl-patch"
    assert name.startswith("boss\ufffd[31m\ufffd `| xxx")
    assert len(name) == 128
    ours = blamed(w, user, "users")["spec.schedule"]["ours"]
    assert (ours["by"], ours["editors"]) == ("kubectl-patch", [ANN])
    shown = [said(w, user, *command) for command in (("blame", "orders"), ("trace", "orders"))]
    shown += [user.status("gi", code=1, COLUMNS="160"), w.kubectl("describe", "gi", "gi")]
    assert all("xxx" in text and "x" * 200 not in text and "\u202e" not in text for text in shown)
    edit(w, BOB, "orders", {"spec": {"description": "once more"}})
    assert stamp(w.get("orders")) == BOB
    w.repo.commit({"pipelines/orders.yaml": manifest("orders", owner="x")}, author=ZOE)
    w.integrate()
    w.in_sync()
    log = w.repo.log("-3", "--format=%an|%s|%b")
    assert "bob|" in log
    assert "\x1b" not in log
    assert "x" * 300 not in log


def test_a_drift_that_is_taken_back_is_told_with_its_person(make: MakeWorld) -> None:
    w = make(sync={"mode": "Pull", "drift": "revert"})
    edit(w, BOB, "orders", {"spec": {"owner": "x"}})
    eventually(lambda: w.spec("orders")["owner"] == "ann")
    reverted = ("get", "events", "--field-selector=reason=DriftReverted", "-o", "jsonpath={.items[*].message}")
    eventually(lambda: "Pipeline/orders (spec.owner by bob)" in w.kubectl(*reverted))
