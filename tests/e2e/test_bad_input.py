"""Bad manifests and objects that the API server refuses: each is told with file and reason, the rest is synced."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.bed.cluster import ROOT
from tests.bed.gitserver import git
from tests.bed.kinds import crd, role
from tests.bed.pki import Authority
from tests.bed.printed import check
from tests.bed.world import WAIT, World, eventually, manifest, pipeline
from tests.unit.core.test_structural import BAD, FIELDS, FINE

MakeWorld = Callable[..., World]
GOOD = {"pipelines/good.yaml": manifest("good")}
SCRIPT = Path(sys.executable).with_name("gitintegration")


def started(world: MakeWorld, files: dict[str, str]) -> World:
    w = world({**GOOD, **files})
    w.secret()
    w.integrate()
    return w


def invalid(w: World, count: int, seconds: float = WAIT) -> dict[str, dict[str, str]]:
    """Waits until so many manifests are told as invalid; by path."""
    status = eventually(lambda: len((s := w.sync_now()).get("invalid", [])) == count and s, seconds)
    return {entry["path"]: entry for entry in status["invalid"]}


_BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(8)
)
CASES = {
    "broken.yaml": ("a: [1\n", "NotYAML", "line"),
    "binary.yaml": ("\x00\x01\x02\x03", "NotYAML", ""),
    "tabs.yaml": ("a:\n\t- b\n", "NotYAML", "line 2"),
    "broken.json": ('{"a": 1,}', "NotYAML", ""),
    "bomb.yaml": (_BOMB, "TooLarge", "aliases"),
    "long.yaml": ("a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 1000 + "]\n", "TooLarge", "aliases"),
    "nested.yaml": ("a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60 + "\n", "TooDeep", ""),
    "base64.yaml": (manifest("b").replace("owner: ann", "owner: !!binary abc"), "NotYAML", "base64"),
    "twice.json": ('{"a": 1, "a": 2}', "NotYAML", "stands twice"),
    "quotes.json": ('"' * 600_000, "NotYAML", ""),
    "digits.json": ('{"a": ' + "1" * 5000 + "}", "NotYAML", ""),
    "deep.yaml": ("[" * 5000 + "]" * 5000, "TooDeep", ""),
    "huge.yaml": ("a: " + "x" * (1 << 21), "TooLarge", "1048576"),
    "template.yaml": (manifest("a").replace("name: a\n", "name: {{ .Values.name }}\n"), "NotYAML", "template"),
    "template2.yaml": (manifest("a").replace("name: a\n", 'name: "{{ name }}"\n'), "InvalidName", "template"),
    "generate.yaml": (manifest("a").replace("name: a\n", "generateName: a-\n"), "NoName", "generateName"),
    "upper.yaml": (manifest("Upper_Case"), "InvalidName", "lower-case"),
    "other.yaml": (
        manifest("o").replace("name: o\n", "name: o\n  namespace: kube-system\n"),
        "WrongNamespace",
        "kube-system",
    ),
    "labels.yaml": (manifest("l").replace("name: l\n", "name: l\n  labels: {a: true}\n"), "Refused", "quote"),
    "schema.yaml": (manifest("s").replace("owner: ann", "owner: {a: 1}"), "Refused", "spec.owner"),
    "version.yaml": (manifest("v").replace("v1alpha1", "v9"), "Refused", "v9"),
    "twice-a.yaml": (manifest("twice"), "Duplicate", "twice-b.yaml"),
    "twice-b.yaml": (manifest("twice"), "", ""),
    "digits.yaml": (
        manifest("d5").replace("owner: ann", f"owner: {'1' * 5000}\n  account: 123456789012345678901"),
        "",
        "",
    ),
    "nobody.yaml": ("kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n", "", ""),
    "values.yaml": ("replicas: 3\n", "", ""),
}


def _check_lint(w: World, directory: Path, told: dict[str, dict[str, str]], crds: Path, *arguments: str) -> None:
    """`gitintegration lint` tells the same of a checkout; what an API server refuses, it does in words of its own."""
    git("clone", "-q", str(w.repo.path), str(directory / "checkout"), cwd=directory)
    command = [str(SCRIPT), "lint", str(directory / "checkout"), "-n", w.namespace, "--crds", str(crds), "-o", "json"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    found = {one["path"]: one for one in check("lint", done.stdout)["problems"]}
    assert {path: one["reason"] for path, one in found.items()} == {path: one["reason"] for path, one in told.items()}
    for path, one in told.items():
        if one["reason"] != "Refused":
            assert found[path]["message"] == one["message"]


def test_each_bad_file_is_told_with_its_reason_and_the_rest_is_synced(world: MakeWorld, tmp_path: Path) -> None:
    w = started(world, {f"pipelines/{name}": text for name, (text, _, _) in CASES.items()})
    told = invalid(w, sum(bool(reason) for _, reason, _ in CASES.values()))
    assert w.names() == {"good", "d5"}
    assert {p: e["reason"] for p, e in told.items()} == {f"pipelines/{n}": r for n, (_, r, _) in CASES.items() if r}
    for name, (_, reason, words) in CASES.items():
        if reason:
            assert words in told[f"pipelines/{name}"]["message"], told[f"pipelines/{name}"]
    _check_lint(w, tmp_path, told, ROOT / "crds")
    ready = w.condition("Ready")
    assert ready["reason"] == "InvalidManifests"
    assert "pipelines/" in ready["message"]
    w.patch("good", {"owner": "cluster"})
    eventually(lambda: w.repo.read("pipelines/good.yaml") == manifest("good", owner="cluster"))
    w.repo.commit(
        {f"pipelines/{name}": manifest(f"mended-{name.split('.')[0]}") for name in CASES if name.endswith("yaml")}
    )
    w.repo.commit({f"pipelines/{name}": None for name in CASES if name.endswith("json")})
    w.in_sync()
    assert len(w.names()) == 1 + sum(name.endswith("yaml") for name in CASES)


def test_lint_refuses_by_crds_what_the_api_server_refuses(world: MakeWorld, tmp_path: Path) -> None:
    """Each spec of the table of tests/unit/core/test_structural.py is told in both, in the same field, or in neither."""
    group = f"lint{uuid.uuid4().hex[:8]}.example.com"
    fields = {name: one for name, one in FIELDS.items() if name != "elsewhere"}
    thing = crd(group, "Thing", ["v1"], {"type": "object", "properties": fields}, status=True)
    (tmp_path / "crds").mkdir()
    (tmp_path / "crds" / "thing.yaml").write_text(yaml.safe_dump(thing))
    specs = [*FINE[:-1], *(spec for spec, _ in BAD)]
    files = {
        f"pipelines/t{n}.yaml": yaml.safe_dump(
            {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": f"t{n}"}, "spec": spec}
        )
        for n, spec in enumerate(specs)
    }
    w = world(files)
    w.plane.apply(thing, role(f"{group}-role", group, "things"))
    try:
        w.plane.kubectl("wait", f"crd/things.{group}", "--for=condition=Established", "--timeout=30s")
        w.secret()
        w.integrate(resources=[{"apiVersion": f"{group}/v1", "kind": "Thing"}])
        told = invalid(w, len(BAD), 60)  # its kind has just come
        assert w.names(f"things.{group}") == {f"t{n}" for n in range(len(FINE) - 1)}
        _check_lint(w, tmp_path, told, tmp_path / "crds", "--kind", f"{group}/v1/Thing")
        for n, (_, words) in enumerate(BAD, len(FINE) - 1):
            assert words.partition(":")[0] in told[f"pipelines/t{n}.yaml"]["message"], told[f"pipelines/t{n}.yaml"]
    finally:
        w.kubectl("delete", "gi", "gi", "--ignore-not-found")
        w.plane.kubectl("delete", f"crd/things.{group}", f"clusterrole/{group}-role", "--ignore-not-found")


@pytest.mark.parametrize(
    ("form", "filters"), [pytest.param("of noise", "true", marks=pytest.mark.long), ("of zeros", "false")]
)
def test_a_file_of_140_mb_is_told_and_stops_no_other(world: MakeWorld, filters: str, form: str) -> None:
    """At the first sync, beside a pipeline that it held before, and in one commit with what is as it should be."""
    big = bytes(140 << 20) if form == "of zeros" else os.urandom(140 << 20)
    w = world({**GOOD, "pipelines/held.yaml": manifest("held")})
    git("config", "uploadpack.allowFilter", filters, cwd=w.repo.path)
    w.repo.commit({"pipelines/first.yaml": big})
    w.secret()
    w.integrate(sync={"timeout": "2m"})
    eventually(lambda: w.names() == {"good", "held"}, 120)
    assert {path: e["reason"] for path, e in invalid(w, 1).items()} == {"pipelines/first.yaml": "TooLarge"}
    w.repo.commit(
        {"pipelines/held.yaml": big[:-1], "pipelines/new.yaml": manifest("new"), "pipelines/first.yaml": None}
    )
    eventually(lambda: w.names() == {"good", "held", "new"}, 120)
    assert {path: e["reason"] for path, e in invalid(w, 1).items()} == {"pipelines/held.yaml": "TooLarge"}
    w.patch("good", {"owner": "cluster"})
    eventually(lambda: w.repo.read("pipelines/good.yaml") == manifest("good", owner="cluster"), 60)
    w.repo.commit({"pipelines/held.yaml": manifest("held", owner="again")})
    w.in_sync()
    assert w.names() == {"good", "held", "new"}


def test_paths_that_no_checkout_could_hold(world: MakeWorld) -> None:
    w = started(world, {})
    w.in_sync()
    blob = git("hash-object", "-w", "--stdin", cwd=w.repo.path, stdin=manifest("evil").encode()).strip()
    link = git("hash-object", "-w", "--stdin", cwd=w.repo.path, stdin=b"/etc/passwd").strip()
    commit = git("rev-parse", "main", cwd=w.repo.path).strip()
    good = git("ls-tree", "main:pipelines", cwd=w.repo.path)
    up = git("mktree", cwd=w.repo.path, stdin=f"100644 blob {blob}\tevil.yaml\n".encode()).strip()
    lines = f"{good}120000 blob {link}\tlink.yaml\n100644 blob {blob}\tback\\slash.yaml\n040000 tree {up}\t..\n160000 commit {commit}\tsub.yaml\n"
    folder = git("mktree", "--missing", cwd=w.repo.path, stdin=lines.encode()).strip()
    tree = git("mktree", cwd=w.repo.path, stdin=f"040000 tree {folder}\tpipelines\n".encode()).strip()
    who = {f"GIT_{r}_{k}": "x" for r in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
    w.repo.force(git("commit-tree", tree, "-p", "main", "-m", "odd", cwd=w.repo.path, env=who).strip())
    told = eventually(lambda: {e["path"]: e for e in w.sync_now()["invalid"]})
    assert {e["reason"] for e in told.values()} == {"InvalidPath"}
    assert "symbolic link" in told["pipelines/link.yaml"]["message"]
    assert {"pipelines/link.yaml", "pipelines/back\\slash.yaml"} <= told.keys()
    assert w.names() == {"good"}


def commit_tree(w: World, lines: str, name: str = "pipelines") -> str:
    """A commit on main with this tree (lines as of `git ls-tree`) in place of the folder; its tree."""
    folder = git("mktree", "--missing", cwd=w.repo.path, stdin=lines.encode()).strip()
    return commit_entry(w, f"040000 tree {folder}\t{name}\n")


def commit_entry(w: World, line: str) -> str:
    tree = git("mktree", "--missing", cwd=w.repo.path, stdin=line.encode()).strip()
    who = {f"GIT_{r}_{k}": "x" for r in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
    w.repo.force(git("commit-tree", tree, "-p", "main", "-m", "odd", cwd=w.repo.path, env=who).strip())
    return tree


def blob(w: World, text: str) -> str:
    return git("hash-object", "-w", "--stdin", cwd=w.repo.path, stdin=text.encode()).strip()


def test_a_new_file_gets_in_the_way_of_nothing_that_is_there(world: MakeWorld) -> None:
    """Ignored, in other letters, a link, a submodule, a folder; nor is it called as a device is."""
    w = world({**GOOD, "pipelines/orders.yaml": "hand: written\n", "pipelines/Users.yaml": "hand: written\n"})
    w.secret()
    commit = git("rev-parse", "main", cwd=w.repo.path).strip()
    inner = git("mktree", cwd=w.repo.path, stdin=f"100644 blob {blob(w, 'x: 1')}\tinner.txt\n".encode()).strip()
    lines = git("ls-tree", "main:pipelines", cwd=w.repo.path)
    lines += f"120000 blob {blob(w, '/etc/passwd')}\tlink.yaml\n160000 commit {commit}\tsub.yaml\n"
    commit_tree(w, lines + f"040000 tree {inner}\tfolder.yaml\n")
    before = git("ls-tree", "main:pipelines", cwd=w.repo.path).splitlines()
    names = ("orders", "users", "link", "sub", "folder", "aux", "com1.x")
    w.apply(*(pipeline(name) for name in names))
    w.integrate(ignore="orders.yaml\n/link.yaml\n/sub.yaml")
    w.in_sync()
    after = git("ls-tree", "main:pipelines", cwd=w.repo.path).splitlines()
    assert set(before) <= set(after)
    made = {line.partition("\t")[2] for line in set(after) - set(before)}
    assert made == {f"{n}-pipeline.yaml" for n in names[:-1]} | {"com1-pipeline.x.yaml"}
    w.patch("orders", {"owner": "again"})
    eventually(lambda: "owner: again" in (w.repo.read("pipelines/orders-pipeline.yaml") or ""))


@pytest.mark.parametrize("mode", ["link", "file"])
def test_a_prefix_that_is_no_folder_is_told_and_never_replaced(world: MakeWorld, mode: str) -> None:
    w = started(world, {})
    w.in_sync()
    folder = git("rev-parse", "main:pipelines", cwd=w.repo.path).strip()
    entry = f"{'120000' if mode == 'link' else '100644'} blob {blob(w, 'elsewhere')}\tpipelines\n"
    tree = commit_entry(w, entry)
    told = invalid(w, 1)
    assert told["pipelines"]["reason"] == "InvalidPath"
    assert "pathPrefix" in told["pipelines"]["message"]
    w.apply(pipeline("fresh"))
    eventually(lambda: w.sync_now()["localAheadCount"] == 1)
    assert git("rev-parse", "main^{tree}", cwd=w.repo.path).strip() == tree
    assert w.names() == {"good", "fresh"}
    commit_entry(w, f"040000 tree {folder}\tpipelines\n")
    w.in_sync()
    assert w.repo.read("pipelines/fresh.yaml")


_SPOILT = {
    "EmptyFile": "",
    "LFSPointer": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "NoManifest": manifest("a").replace("kind: Pipeline", "kind: Pipelin"),
    "Encrypted": manifest("a") + "sops:\n  mac: ENC[AES256_GCM,data:y]\n  version: 3.9.0\n",
}


def test_a_file_that_yields_nothing_deletes_nothing(world: MakeWorld) -> None:
    files = {f"pipelines/{reason.lower()}.yaml": manifest(reason.lower()) for reason in _SPOILT}
    w = started(world, files)
    w.in_sync()
    spoilt = {p: _SPOILT[r].replace("name: a\n", f"name: {r.lower()}\n") for p, r in zip(files, _SPOILT, strict=True)}
    w.repo.commit(spoilt)
    told = invalid(w, 4)
    assert [told[path]["reason"] for path in files] == list(_SPOILT)
    assert w.names() == {"good", *(r.lower() for r in _SPOILT)}
    w.patch("encrypted", {"owner": "cluster"})
    eventually(lambda: w.sync_now()["localAheadCount"] == 1)
    assert {path: w.repo.read(path) for path in files} == spoilt
    w.repo.commit(files)
    w.in_sync()
    assert "owner: cluster" in (w.repo.read("pipelines/encrypted.yaml") or "")


_SCANNER = """#!/bin/sh
bad=$(git grep -l AKIA "$3" -- pipelines | sed "s/^[^:]*://")
[ -z "$bad" ] || { echo "secret found in $bad, line 7" >&2; exit 1; }
"""


def test_a_push_that_the_server_declines_for_one_file_is_made_without_it(world: MakeWorld) -> None:
    w = started(world, {})
    w.in_sync()
    (w.repo.path / "hooks" / "update").write_text(_SCANNER)
    w.apply(pipeline("a"), pipeline("b", owner="AKIA"), pipeline("c"))
    told = invalid(w, 1)
    assert told["pipelines/b.yaml"]["reason"] == "PushRefused"
    assert "secret found" in told["pipelines/b.yaml"]["message"]
    assert set(w.repo.files()) == {f"pipelines/{n}.yaml" for n in ("good", "a", "c")}
    w.patch("b", {"owner": "ann"})
    w.in_sync()
    assert "pipelines/b.yaml" in w.repo.files()


def test_a_frozen_file_waits_for_its_mending(world: MakeWorld) -> None:
    """A key that now stands twice, and a file that no longer parses, delete nothing."""
    w = started(world, {"pipelines/a.yaml": manifest("a"), "pipelines/b.yaml": manifest("b")})
    w.in_sync()
    w.repo.commit({"pipelines/a.yaml": "oops: [\n", "pipelines/b2.yaml": manifest("b", owner="two")})
    assert set(invalid(w, 2)) == {"pipelines/a.yaml", "pipelines/b.yaml"}
    assert w.names() == {"good", "a", "b"}
    w.patch("b", {"owner": "cluster"})
    eventually(lambda: w.sync_now()["localAheadCount"] == 1)
    w.repo.commit({"pipelines/a.yaml": None, "pipelines/b2.yaml": None})
    w.in_sync()
    assert w.names() == {"good", "b"}
    assert w.repo.read("pipelines/b.yaml") == manifest("b", owner="cluster")


class _Webhook:
    """A real validating webhook over TLS: denies what is called `denied`."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory)
        pair = authority.issue("webhook")
        self.bundle = b64encode(authority.certificate.read_bytes()).decode()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                request = review["request"]
                allowed = "denied" not in request["name"]
                answer = {"uid": request["uid"], "allowed": allowed, "status": {"message": "no pipelines on Fridays"}}
                body = json.dumps({**review, "request": None, "response": answer}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[_Webhook]:
    made = _Webhook(tmp_path)
    yield made
    made.stop()


def test_what_a_webhook_or_a_quota_refuses(world: MakeWorld, webhook: _Webhook) -> None:
    w = world({**GOOD, "pipelines/denied.yaml": manifest("denied"), "pipelines/z.yaml": manifest("z")})
    name = f"hook-{uuid.uuid4().hex[:8]}"
    w.plane.apply(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [
                {
                    "name": "deny.example.com",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "clientConfig": {"url": webhook.url, "caBundle": webhook.bundle},
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": w.namespace}},
                    "rules": [
                        {
                            "apiGroups": ["planasonix.com"],
                            "apiVersions": ["*"],
                            "operations": ["CREATE", "UPDATE"],
                            "resources": ["pipelines"],
                        }
                    ],
                }
            ],
        }
    )
    try:
        w.apply(
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "few"},
                "spec": {"hard": {"count/pipelines.planasonix.com": "2"}},
            }
        )
        used = {
            "status": {"hard": {"count/pipelines.planasonix.com": "2"}, "used": {"count/pipelines.planasonix.com": "0"}}
        }
        w.kubectl("patch", "resourcequota", "few", "--subresource=status", "--type=merge", "-p", json.dumps(used))
        w.secret()
        w.integrate()
        told = invalid(w, 1)
        assert told["pipelines/denied.yaml"]["reason"] == "Refused"
        assert "no pipelines on Fridays" in told["pipelines/denied.yaml"]["message"]
        assert w.names() == {"good", "z"}
        w.repo.commit({"pipelines/more.yaml": manifest("more")})
        assert "exceeded quota" in invalid(w, 2)["pipelines/more.yaml"]["message"]
        w.kubectl("delete", "resourcequota", "few")
        w.plane.kubectl("delete", "validatingwebhookconfiguration", name)
        w.in_sync()
        assert w.names() == {"good", "z", "more", "denied"}
    finally:
        w.plane.kubectl("delete", "validatingwebhookconfiguration", name, "--ignore-not-found")


def test_what_rbac_forbids_is_told_as_forbidden(world: MakeWorld) -> None:
    w = world(
        {"pipelines/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n", **GOOD}
    )
    w.secret()
    w.integrate(
        resources=[
            {"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline"},
            {"apiVersion": "v1", "kind": "ConfigMap"},
        ]
    )
    ready = eventually(lambda: (c := w.condition("Ready")).get("reason") == "Forbidden" and c)
    assert "configmaps" in ready["message"]
    eventually(lambda: w.names() == {"good"})
    assert w.get("settings", "configmap") is None


def test_a_name_that_is_too_long_for_a_file_is_cut_in_its_path(world: MakeWorld) -> None:
    w = started(world, {})
    w.in_sync()
    w.apply(pipeline("a" * 253), pipeline("a" * 252 + "b"), pipeline("dots.and-dashes.1"))
    eventually(lambda: len(w.repo.files()) == 4)
    assert w.in_sync()["pipelineCount"] == 4
    assert max(len(path) for path in w.repo.files()) < 255
    assert "pipelines/dots.and-dashes.1.yaml" in w.repo.files()
