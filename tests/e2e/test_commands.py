"""Every kubectl and helm command of the pages and messages, as it stands, on a real API server: dry where it would write."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.bed.cluster import ROOT, kubectl_program
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import TOKEN
from tests.bed.helm import helm
from tests.bed.world import World, manifest
from tests.unit.test_commands import Command, commands

MakeWorld = Callable[..., World]
_WRITES = ("annotate", "apply", "create", "delete", "label", "patch", "scale")
_WAITS = ("attach", "edit", "exec", "logs", "port-forward", "rollout")
"""What waits for somebody to type, or for Pods, of which there are none: its flags are looked at."""
_READS = ("api-resources", "describe", "events", "explain", "get", "version", "wait")
"""Any other verb is refused, so that one that waits for ever is never tried."""
_LACKS = re.compile(
    r'\(NotFound\): .* "[^"]+" not found|already exists|timed out waiting|condition not met'
    r'|no matches for kind "(PodMonitor|PrometheusRule)"|a resource type "workflows" in group "argoproj.io"'
)
"""What a command may say on a cluster where not all is as its page has it; it was understood."""
_FILES = ("integration.yaml", "app.private-key.pem", "KEYFILE", "HOSTSFILE", "FILE")
_CHOICES = {
    '"URL"': '"https://git.example.com/p"',
    '"SECRET"': '"git-credentials"',
    '"NUMBER"': '"12345"',
    '"BRANCH"': '"trunk"',
    '"github|gitlab|gitea"': '"gitea"',
}
"""What whoever pastes a command puts in."""
_BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def runnable(command: Command, namespace: str, folder: Path) -> list[str]:
    """Its words, with files and names that are there, so that nothing is written."""
    words = list(command.words[1:])
    verb = next((word for n, word in enumerate(words) if word[0] != "-" and words[n - 1] != "-n"), "")
    if verb and verb not in (*_WRITES, *_WAITS, *_READS):
        raise RuntimeError(f"kubectl {verb}: say above whether it reads, writes or waits")
    for at, word in enumerate(words):
        name = word.rpartition("=")[2]
        if words[at - 1] == "-n" and word in ("data", "NS", "NAMESPACE"):
            words[at] = namespace
        elif word.startswith(("manifests/", "charts/", "examples/")):
            words[at] = str(ROOT / word.replace("NAME", "tekton"))
        elif name in _FILES:
            words[at] = word.removesuffix(name) + str(folder / name)
        else:
            words[at] = "git-credentials" if word == "SECRET" else re.sub(r"(^|/)NAME$", r"\1analytics", word)
            for choice, made in _CHOICES.items():
                words[at] = words[at].replace(choice, made)
    if not {"-n", "-A", "-k"} & {*words}:
        words[:0] = ["-n", namespace]
    if is_mention(command.words[1:]) or verb in _WAITS:
        return [word for word in words if word not in ("-f", "...", "gitop/...")] + ["--help"]
    if verb in _WRITES and not any(word.startswith("--dry-run") for word in words):
        words.append("--dry-run=server")
    return [*words, "--warnings-as-errors", *(["--timeout=0"] if verb == "wait" else [])]


def is_mention(words: tuple[str, ...]) -> bool:
    """Whether it is one of which the page says that it exists, and not with what."""
    return len(words) < 2 or words[-1] == "-f" or "..." in words[-1] or words == ("get", "-o", "yaml")


def run(w: World, command: Command, folder: Path) -> str:
    stdin = None
    if command.reads[:1] == ("echo",):
        stdin = " ".join(command.reads[1:])
    elif command.reads:
        stdin = run(w, Command(command.at, command.reads), folder)
    return w.plane.kubectl(*runnable(command, w.namespace, folder), stdin=stdin)


@pytest.fixture
def furnished(world: MakeWorld, tmp_path: Path) -> World:
    """What the pages speak of is there, as far as a command would otherwise not be looked at to its end."""
    w = world({"pipelines/orders.yaml": manifest("orders"), "pipelines/nightly.yaml": manifest("nightly")})
    w.secret("git-credentials")
    w.integrate("analytics", secret="git-credentials")
    w.in_sync("analytics")
    for name in _FILES:
        (tmp_path / name).write_text(integration(w))
    return w


def integration(w: World) -> str:
    """The manifest that README has, of this namespace and repository."""
    text = next(text for text in _BLOCK.findall((ROOT / "README.md").read_text()) if "kind: GitIntegration" in text)
    found = yaml.safe_load(text)
    found["metadata"]["namespace"], found["spec"]["repositoryURL"] = w.namespace, w.repo.url()
    return yaml.safe_dump(found)


def test_every_command_is_understood(furnished: World, tmp_path: Path) -> None:
    wrong, ran = [], 0
    for command in commands("kubectl"):
        try:
            run(furnished, command, tmp_path)
            ran += 1
        except RuntimeError as error:
            if not _LACKS.search(str(error)):
                wrong.append(f"{command}\n    {error}")
    assert not wrong, "\n".join(wrong)
    assert ran > 60


def test_a_command_that_is_wrong_is_told(furnished: World, tmp_path: Path) -> None:
    for words in (
        "kubectl get gitintegratons",
        "kubectl get gi --no-such-flag",
        "kubectl logs deployment/x --all-podz",
        """kubectl patch gi NAME --type=merge -p '{"spec": {"enabeld": false}}'""",
        "kubectl patch gi NAME -p '{}'",
        "kubectl apply -k manifests/none",
        "kubectl wait gi/NAME --for=Ready",
        "kubectl explain gi.status.ahed",
        "kubectl debug node/x",
    ):
        with pytest.raises(RuntimeError) as told:
            run(furnished, Command("", tuple(shlex.split(words))), tmp_path)
        assert not _LACKS.search(str(told.value)), words


def test_helm_takes_its_commands(control_plane: ControlPlane, tmp_path: Path) -> None:
    for command in commands("helm"):
        words = [str(ROOT / word) if word.startswith("charts/") else word for word in command.words[1:]]
        dry = ["--dry-run=client"] if len(words) > 1 else ["--help"]
        helm(*words, *dry, kubeconfig=control_plane.kubeconfig, home=tmp_path)


def test_the_lines_of_the_readme_lead_to_a_synced_namespace(world: MakeWorld, tmp_path: Path) -> None:
    """But for the image: whoever has no node pulls none, so that the Deployment is Available is said for it."""
    w = world({"pipelines/orders.yaml": manifest("orders")})
    readme = (ROOT / "README.md").read_text()
    sections = {part.partition("\n")[0]: part for part in readme.split("\n## ")}
    install, first = (_BLOCK.findall(sections[name])[0] for name in ("Install", "The first integration"))
    lines = install.splitlines()
    assert (len(lines), lines[0].split("#")[0].strip()) == (3, "make image")
    assert len(first.splitlines()) == 5
    (tmp_path / "integration.yaml").write_text(integration(w))
    place = ("-n", "gitintegration-system", "deployment", "gitintegration")
    w.plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests"))
    condition = '{"status": {"conditions": [{"type": "Available", "status": "True"}]}}'
    w.plane.kubectl(place[0], place[1], "patch", *place[2:], "--subresource=status", "--type=merge", "-p", condition)
    (tmp_path / "manifests").symlink_to(ROOT / "manifests")
    w.plane.kubectl("delete", "namespace", w.namespace, "--wait")
    script = re.sub(r"\bdata\b", w.namespace, "\n".join(["set -euo pipefail", *lines[1:], first]))
    environment = {
        **os.environ,
        "TOKEN": TOKEN,
        "KUBECONFIG": str(w.plane.kubeconfig),
        "PATH": f"{Path(kubectl_program()).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"gitintegration.planasonix.com/analytics +True", done.stdout)
    assert re.search(r"pipeline.planasonix.com/orders ", done.stdout)
