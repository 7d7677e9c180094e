"""`make demo`: the main job told step by step on real parts, by the command line, with kubectl and git beside it.

Every claim is checked; the first that fails ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from tests.bed.cluster import ROOT
from tests.bed.forge import Forge, built
from tests.bed.node import Pods
from tests.bed.operator import GatewayProcess
from tests.bed.testbed import INTEGRATION, NAMESPACE, PIPELINES, Testbed, run, testbed, wait_for_interrupt
from tests.bed.world import eventually

_WAIT = 40.0
_PROGRAM = str(Path(sys.executable).with_name("gitintegration"))


class Story:
    """The words to tell and act with. What is shown is what the commands really printed."""

    def __init__(self, bed: Testbed, console: Console) -> None:
        self.bed, self.console = bed, console
        self.chapters: list[tuple[str, float]] = []
        self._started = time.monotonic()

    def chapter(self, title: str) -> None:
        self._started = time.monotonic()
        self.chapters.append((title, 0.0))
        self.console.rule(f"[bold]{len(self.chapters)}. {escape(title)}", align="left")

    def done(self, words: str) -> None:
        seconds = time.monotonic() - self._started
        self.chapters[-1] = (self.chapters[-1][0], seconds)
        self.console.print(f"[green]✔[/] {escape(words)} [dim]({seconds:.1f} s)[/]\n")

    def say(self, words: str) -> None:
        self.console.print(escape(words))

    def show(self, command: str, output: str) -> None:
        self.console.print(f"[bold cyan]$ {escape(command)}[/]")
        for line in output.rstrip().splitlines():
            added, removed = line.startswith("+"), line.startswith("-")
            self.console.print(line, style="green" if added else "red" if removed else None, markup=False)

    def kubectl(self, *args: str, show: bool = True) -> str:
        output = self.bed.plane.kubectl("-n", NAMESPACE, *args)
        if show:
            self.show("kubectl " + " ".join(_quoted(a) for a in args), output)
        return output

    def cli(self, *args: str, code: int = 0, namespace: str = NAMESPACE, wide: bool = False) -> str:
        """gitintegration, which ends with this code: 0 where all is well, 1 of a difference. `wide`: no line is broken."""
        columns = "400" if wide else str(min(self.console.width, 140))
        environment = {**os.environ, "KUBECONFIG": str(self.bed.plane.kubeconfig), "COLUMNS": columns}
        command = [_PROGRAM, *args, "-n", namespace]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_WAIT)
        where = [] if namespace == NAMESPACE else ["-n", namespace]
        self.show("gitintegration " + " ".join(_quoted(a) for a in [*args, *where]), done.stdout + done.stderr)
        assert done.returncode == code, f"it ended with {done.returncode}"
        return done.stdout

    def in_namespace(self, namespace: str) -> Callable[..., str]:
        """kubectl there."""

        def act(*args: str) -> str:
            output = self.bed.plane.kubectl("-n", namespace, *args)
            self.show(f"kubectl -n {namespace} " + " ".join(_quoted(a) for a in args), output)
            return output

        return act

    def table(self) -> None:
        self.kubectl("get", "gitintegrations")

    def pipelines(self) -> None:
        self.kubectl("get", "pipelines")

    def git(self, *args: str, show: bool = True) -> str:
        output = run("git", "-C", str(self.bed.clone), *args)
        if show:
            self.show("git " + " ".join(_quoted(a) for a in args), output)
        return output

    def commit(self, message: str, edit: Callable[[], None]) -> None:
        """A colleague's commit: what it changes is shown, then it is pushed."""
        self.git("pull", "--quiet", show=False)
        edit()
        self.git("add", "--all", show=False)
        self.git("commit", "--quiet", "-m", message, show=False)
        self.show("git show", self.git("show", "--format=%an: %s", "--unified=1", show=False))
        self.git("push", "--quiet", show=False)

    def newest_commit(self) -> str:
        self.git("pull", "--quiet", show=False)
        return self.git("log", "-1", "-p", "--format=%an: %s", "--unified=1")

    def replace(self, path: str, old: str, new: str) -> None:
        file = self.bed.clone / "pipelines" / path
        text = file.read_text()
        assert text.count(old) == 1, f"{old!r} is not in {path} just once"
        file.write_text(text.replace(old, new))

    def spec(self, name: str) -> dict[str, Any]:
        spec: dict[str, Any] = json.loads(self.kubectl("get", "pl", name, "-o", "json", show=False))["spec"]
        return spec

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", "gi", INTEGRATION, "-o", "json", show=False))
        return dict(found.get("status", {}))

    def names(self) -> set[str]:
        return set(self.kubectl("get", "pl", "-o", "jsonpath={.items[*].metadata.name}", show=False).split())

    def in_git(self, path: str) -> str:
        return self.bed.repo.read(f"pipelines/{path}") or ""

    def wait(self, what: Callable[[], Any]) -> None:
        eventually(what, _WAIT)


def _quoted(word: str) -> str:
    return f"'{word}'" if any(ch in word for ch in ' {}*"') else word


def tell(story: Story) -> None:
    bed = story.bed
    story.chapter("A GitIntegration, and the first pull")
    story.say("A repository with five pipelines in four files, and a namespace without any. This joins them:")
    story.console.print(Panel.fit(bed.integration.rstrip(), border_style="dim"))
    if isinstance(bed.operator, Pods):
        story.in_namespace(bed.operator.namespace)("get", "pods")
    bed.plane.kubectl("apply", "-f", "-", stdin=bed.integration)
    story.kubectl("wait", "--for=condition=Ready", f"gitintegration/{INTEGRATION}", f"--timeout={_WAIT:g}s")
    story.cli("status")
    story.pipelines()
    assert story.names() == {"orders", "customers", "campaigns", "newsletters", "inventory"}
    story.done("everything in git is live")

    story.chapter("An edit in git goes live")
    story.commit("Campaigns every ten minutes", lambda: story.replace("marketing.yaml", '"@hourly"', '"*/10 * * * *"'))
    story.wait(lambda: story.spec("campaigns")["schedule"] == "*/10 * * * *")
    story.pipelines()
    story.done("pulled into the cluster")

    story.chapter("A kubectl edit becomes a commit of its line, comments kept")
    before = bed.repo.count()
    story.kubectl("patch", "pl", "orders", "--type=merge", "-p", '{"spec": {"schedule": "15 5 * * *"}}')
    story.wait(lambda: bed.repo.count() > before)
    shown = story.newest_commit()
    edited = [line for line in shown.splitlines() if line.startswith(("+ ", "- "))]
    assert len(edited) == 2, "one line, and no other"
    assert edited[1] == '+  schedule: "15 5 * * *"  # 05:00 UTC; the shop closes its books at 04:30'
    story.done("one line changed, and its comment is where it was")

    story.chapter("Both sides edit one pipeline, in different fields")
    story.commit("Customers belong to growth", lambda: story.replace("customers.yaml", "owner: crm", "owner: growth"))
    story.kubectl("patch", "pl", "customers", "--type=merge", "-p", '{"spec": {"schedule": "45 4 * * *"}}')
    story.wait(lambda: "45 4" in story.in_git("customers.yaml") and story.spec("customers")["owner"] == "growth")
    story.newest_commit()
    story.pipelines()
    assert "owner: growth" in story.in_git("customers.yaml")
    assert "data protection officer" in story.in_git("customers.yaml")
    story.done("merged by field: both edits are on both sides")

    story.chapter("Both sides edit the same field: seen before it happens, named, and settled")
    story.say("Both edits are made while syncing is suspended, so that neither can be first.")
    story.kubectl("patch", "gi", INTEGRATION, "--type=merge", "-p", '{"spec": {"enabled": false}}')
    story.wait(lambda: any(c["reason"] == "Suspended" for c in story.status()["conditions"]))
    story.commit("Inventory hourly", lambda: story.replace("inventory.json", "*/15 * * * *", "0 * * * *"))
    story.kubectl("patch", "pl", "inventory", "--type=merge", "-p", '{"spec": {"schedule": "*/5 * * * *"}}')
    story.kubectl("patch", "pl", "orders", "--type=merge", "-p", '{"spec": {"owner": "finance"}}')
    story.say("What would travel, either way? Nothing is written; who is in conflict does not travel:")
    seen = story.cli("diff", code=1)
    assert "+  owner: finance" in seen
    assert "finance" not in story.in_git("orders.yaml")
    story.kubectl("patch", "gi", INTEGRATION, "--type=merge", "-p", '{"spec": {"enabled": true}}')
    story.wait(lambda: story.status().get("conflictCount") == 1 and "finance" in story.in_git("orders.yaml"))
    shown = story.cli("status", code=1)
    assert "IN CONFLICT" in shown
    assert story.spec("inventory")["schedule"] == "*/5 * * * *"
    assert '"0 * * * *"' in story.in_git("inventory.json")
    story.say("Neither side was written. Git's value is taken (without --take, each field is asked for):")
    story.cli("resolve", "--pipeline", "inventory", "--take", "theirs")
    assert story.spec("inventory")["schedule"] == "0 * * * *"
    story.cli("sync")
    assert story.status()["conflictCount"] == 0
    story.done("the edit beside it went its way, and the conflict was settled by a word")

    story.chapter("A delete each way")
    story.commit("Inventory is retired", lambda: (bed.clone / "pipelines" / "inventory.json").unlink())
    story.wait(lambda: "inventory" not in story.names())
    before = bed.repo.count()
    story.kubectl("delete", "pl", "newsletters")
    story.wait(lambda: bed.repo.count() > before)
    story.newest_commit()
    story.pipelines()
    assert "newsletters" not in story.in_git("marketing.yaml")
    assert story.names() == {"orders", "customers", "campaigns"}
    story.kubectl("wait", "--for=condition=InSync", f"gitintegration/{INTEGRATION}", f"--timeout={_WAIT:g}s")
    story.done("gone on both sides; the file's other pipeline is untouched")

    story.chapter("What was deleted comes back")
    there = bed.repo.head() or ""
    before_that = story.git("rev-parse", "HEAD~1", show=False).strip()
    told = story.cli("history", "--limit", "3")
    assert there[:12] in told
    story.say("As it stood before that commit:")
    story.cli("restore", "newsletters", "--to", before_that[:12])
    assert "newsletters" in story.names()
    story.wait(lambda: "newsletters" in story.in_git("marketing.yaml") or bed.repo.head() != there)
    story.newest_commit()
    story.cli("sync")
    story.done("in the cluster at once, and in git by the next push")


def on_demand(story: Story) -> None:
    """A dry run, a push to a feature branch with its pull request, its merge: on the real forge."""
    story.chapter("On demand: a dry run, a feature branch, a pull request")
    home = built()
    if home is None:
        story.say("Left out here: it needs the real forge, which `make forge` builds (some minutes, cached).")
        story.done("left out")
        return
    bed = story.bed
    forge = Forge(bed.directory / "forge")
    try:
        files = {f"pipelines/{path.name}": path.read_text() for path in sorted(PIPELINES.iterdir())}
        repo = forge.create(files)
        namespace = "review"
        bed.plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git-credentials"}}
        bed.plane.apply({**secret, "stringData": {"token": forge.token}}, namespace=namespace)
        kubectl = story.in_namespace(namespace)
        integration = bed.integration.replace(f"namespace: {NAMESPACE}", f"namespace: {namespace}")
        integration = integration.replace(bed.reached(bed.repo.url()), f"{bed.reached(repo.url)}\n  provider: gitea")
        integration = integration.replace("interval: 10s", "interval: 10s, mode: Manual")
        bed.plane.kubectl("apply", "-f", "-", stdin=integration)
        story.say(
            "The same pipelines on a real forge; mode Manual carries nothing by itself. First, all of it is pulled:"
        )
        story.cli("pull", namespace=namespace)
        kubectl("patch", "pl", "orders", "--type=merge", "-p", '{"spec": {"owner": "finance"}}')
        story.say("What would a push do? Each field, with what it was and will be:")
        story.cli("diff", "--side", "push", "-o", "fields", code=1, namespace=namespace)
        story.say("A plan for a branch of its own; its values are in a GitOperationPlan, for kubectl too:")
        push = ("push", "--branch", "feature/orders", "--pipeline", "orders")
        planned = story.cli(*push, "--dry-run", code=1, namespace=namespace, wide=True)
        (digest,) = re.findall(r"planDigest ([0-9a-f]+)", planned)
        kubectl("get", "gitoperationplans", "-o", "jsonpath={.items[*].spec.changes[*].fields}")
        story.say("Exactly that, with a pull request:")
        offer = ("--message", "Orders belong to finance", "--pr", "--plan", digest)
        story.cli(*push, *offer, namespace=namespace)
        (pull,) = repo.pulls()
        story.show(
            f"curl {repo.url.removesuffix('.git')}/pulls", f"#{pull['number']} {pull['title']}\n\n{pull['body']}"
        )
        story.say("A reviewer squashes it into main; then nothing is ahead any more:")
        repo.merge(pull["number"], "squash")
        story.cli("sync", namespace=namespace)
        assert "owner: finance" in (repo.read("pipelines/orders.yaml") or "")
    finally:
        forge.stop()
    story.done("the plan was the promise, and the review decided")


def over_http(story: Story) -> None:
    """The REST API, with curl."""
    story.chapter("The same over the REST API")
    bed = story.bed
    bed.plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "gateway"))
    story.kubectl("create", "serviceaccount", "dashboard", show=False)
    role, account = "--clusterrole=gitintegration-api-user", f"--serviceaccount={NAMESPACE}:dashboard"
    story.kubectl("create", "rolebinding", "dashboard", role, account)
    token = story.kubectl("create", "token", "dashboard", show=False).strip()
    arguments = (f"--namespace={NAMESPACE}", f"--name={INTEGRATION}")
    gateway = GatewayProcess(bed.plane, bed.directory / "gateway", *arguments, name="gateway")
    try:
        with httpx.Client(
            base_url=gateway.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False
        ) as client:

            def call(method: str, path: str, **body: Any) -> Any:
                words = f" -d '{json.dumps(body)}' -H 'Content-Type: application/json'" if body else ""
                verb = "" if method == "GET" else f" -X {method}"
                answer = client.request(method, f"/api/git-integration{path}", json=body or None, timeout=40)
                shown = json.dumps(answer.json(), indent=1)
                story.show(
                    f'curl -H "Authorization: Bearer $TOKEN"{verb}{words} {gateway.url}/api/git-integration{path}',
                    shown,
                )
                assert answer.is_success, answer.text
                return answer.json()["data"]

            call("GET", "")
            assert call("GET", "/status")["in_sync"] is True
            assert call("POST", "/test")["permissions"] == ["read", "write"]
            started = call("POST", "/pull", branch="main", strategy="merge", dry_run=True)
            path = f"/operations/{started['operation_id']}"
            story.wait(lambda: client.get(f"/api/git-integration{path}").json()["data"]["status"] != "running")
            assert call("GET", path)["status"] == "succeeded"
            assert call("GET", "/history?limit=1")
    finally:
        gateway.stop()
    story.done("served as the caller, with the caller's rights")


def summarise(story: Story) -> None:
    story.console.rule("[bold]Summary", align="left")
    for number, (title, seconds) in enumerate(story.chapters, 1):
        story.console.print(f"  [green]✔[/] {number}. {escape(title)} [dim]({seconds:.1f} s)[/]")
    story.show("git log --format='%h %an: %s'", story.git("log", "--format=%h %an: %s", show=False))
    story.table()


def main() -> int:
    console = Console(highlight=False, soft_wrap=True)
    with contextlib.suppress(KeyboardInterrupt):
        console.print("Starting etcd, an API server, a git server and the operator …", style="dim")
        with testbed() as bed:
            story = Story(bed, console)
            try:
                tell(story)
                on_demand(story)
                over_http(story)
            except (AssertionError, RuntimeError) as error:
                console.print(f"✘ {error}", style="bold red", markup=False)
                story.table()
                console.print(bed.operator.log()[-4000:], markup=False)
                return 1
            summarise(story)
            if os.environ.get("KEEP"):
                console.print(bed.how_to(), markup=False)
                wait_for_interrupt()
        return 0
    return 130


if __name__ == "__main__":
    sys.exit(main())
