"""What the docs and examples show is what the API server takes, and what the operator syncs both ways."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bed.controlplane import ControlPlane
from tests.bed.kinds import crd
from tests.bed.world import World, eventually

MakeWorld = Callable[..., World]
ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent.name for path in ROOT.glob("examples/*/integration.yaml"))
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted(ROOT.glob("docs/*.md"))]
_BLOCK = re.compile(r"^( *)```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_FOREIGN = {
    "tekton.dev": ("v1", ["Pipeline", "Task"]),
    "argoproj.io": ("v1alpha1", ["WorkflowTemplate", "CronWorkflow"]),
}


@pytest.fixture(scope="module")
def foreign_kinds(control_plane: ControlPlane) -> Iterator[None]:
    """The kinds that others define, under their names, and the rights to them that the manifests give.

    They go with the module: other tests mean our own kind where they say pipeline.
    """
    for group, (version, kinds) in _FOREIGN.items():
        control_plane.apply(*(crd(group, kind, [version], _OPEN, status=False) for kind in kinds))
        for kind in kinds:
            name = f"crd/{kind.lower()}s.{group}"
            control_plane.kubectl("wait", "--for=condition=Established", name, "--timeout=30s")
    for name in ("tekton", "argo-workflows"):
        control_plane.kubectl("apply", "--server-side", "-f", str(ROOT / "manifests" / f"{name}.yaml"))
    yield
    made = [f"{kind.lower()}s.{group}" for group, (_, kinds) in _FOREIGN.items() for kind in kinds]
    control_plane.kubectl("delete", "crd", *made, "--wait=true")


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def place(found: dict[str, Any]) -> tuple[str, str]:
    """The kind as kubectl tells it from others, and the name."""
    return f"{found['kind']}.{found['apiVersion'].split('/')[0]}", found["metadata"]["name"]


@pytest.mark.usefixtures("foreign_kinds")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_synced_both_ways(world: MakeWorld, name: str) -> None:
    folder = ROOT / "examples" / name / "repository"
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.yaml")}
    first = world()
    first.repo.commit(files)
    worlds = dict[str, World]()
    for integration in documents(ROOT / "examples" / name / "integration.yaml"):
        w = worlds.setdefault(integration["metadata"].get("namespace", ""), world() if worlds else first)
        w.repo = first.repo
        prefix = integration["spec"].get("pathPrefix", "pipelines/")
        mine = {path: text for path, text in files.items() if path.startswith(prefix)}
        assert mine
        integrate(w, integration)
        for path, text in mine.items():
            edit_on_both_sides(w, integration, path, text)


def integrate(w: World, integration: dict[str, Any]) -> None:
    """As the example has it, with the repository of the test, and no pull request: there is no forge."""
    spec = integration["spec"]
    branch = spec.setdefault("defaultBranch", "main")
    if w.repo.head(branch) is None:
        head = w.repo.head()
        assert head
        w.repo.force(head, branch)
    sync = spec.setdefault("sync", {})
    sync["push"] = sync.get("push", {}) | {"quietPeriod": "0s", "createPullRequest": False}
    sync["interval"] = "10s"
    spec["repositoryURL"] = w.repo.url()
    w.secret("git-credentials")
    w.integrate(integration["metadata"]["name"], **spec)


def edit_on_both_sides(w: World, integration: dict[str, Any], path: str, text: str) -> None:
    """The file is live; an edit of the object is in git where the mode takes it there, and nothing else of the file changes."""
    spec, (kind, item) = integration["spec"], place(yaml.safe_load(text))
    eventually(lambda: w.get(item, kind))
    w.kubectl("patch", kind, item, "--type=merge", "-p", json.dumps({"spec": {"description": "edited"}}))
    branch, line = spec["sync"]["push"].get("branch", spec["defaultBranch"]), "  description: edited\n"
    if spec["sync"].get("mode") == "Pull":
        eventually(lambda: w.status(integration["metadata"]["name"]).get("localAheadCount") == 1)
        assert w.repo.read(path, branch) == text
    else:
        eventually(lambda: line in (w.repo.read(path, branch) or ""))
        assert (w.repo.read(path, branch) or "").replace(line, "") == text


def snippets() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each manifest of the pages, and where it stands. What shows a spec alone is given the rest."""
    for page in PAGES:
        text = page.read_text()
        for found in _BLOCK.finditer(text):
            indent, body = found.groups()
            line = text.count("\n", 0, found.start()) + 1
            for document in yaml.safe_load_all(re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)):
                yield f"{page.name}:{line}", document


def whole(document: dict[str, Any], number: int) -> dict[str, Any] | None:
    """As it would be applied; None for what is no manifest of ours."""
    kind = document.get("kind")
    if kind is None and "spec" in document:
        kind = "GitOperation" if "integrationRef" in document["spec"] else "GitIntegration"
    if kind not in ("GitIntegration", "GitOperation", "Pipeline"):
        return None
    spec = document["spec"]
    if kind == "GitIntegration":
        spec = {"repositoryURL": "https://git.example.com/acme/pipelines"} | spec
    return {"apiVersion": "planasonix.com/v1alpha1", "kind": kind, "metadata": {"name": f"doc-{number}"}, "spec": spec}


def test_the_api_server_takes_every_manifest_of_the_pages(world: MakeWorld) -> None:
    w = world()
    found = [(at, made) for n, (at, document) in enumerate(snippets()) if (made := whole(document, n))]
    assert len(found) > 10
    told = w.kubectl(
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        stdin="\n---\n".join(json.dumps(m) for _, m in found),
    )
    assert told.count("created (server dry run)") == len(found), told
