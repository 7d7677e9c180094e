"""A release made in a clone: what it changes, what it consists of, and that it comes out the same for everybody."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release import changelog, sbom, version
from tests.bed.cluster import ROOT, kubectl_program
from tests.bed.gitserver import git
from tests.bed.helm import helm

VERSION = "9.8.7"
_WHO = {f"GIT_{who}_{what}": "r@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_DATES = {f"GIT_{who}_DATE": "@1800000000 +0000" for who in ("AUTHOR", "COMMITTER")}


def clone(folder: Path) -> Path:
    """This checkout as it is, committed as a whole, so that what is tried is what is about to be committed."""
    git("clone", "--quiet", "--no-local", "--depth=1", f"file://{ROOT}", str(folder))
    files = git("ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).split("\0")
    for name in filter(None, files):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
        else:
            target.unlink(missing_ok=True)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--allow-empty", "-m", "all", cwd=folder, env={**_WHO, **_DATES})
    return folder


def run(folder: Path, *args: str) -> str:
    """`make release` or `make dist` as the Makefile has it, of that checkout; what it said, to people. Raises RuntimeError."""
    environment = {**os.environ, **_WHO, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "release", "--without-image", *args]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = clone(tmp_path_factory.mktemp("release") / "one")
    run(folder, VERSION)
    yield folder


def dist(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}


def test_it_is_one_commit_with_its_tag_and_nothing_is_left_lying(released: Path) -> None:
    assert git("describe", "--tags", "--exact-match", cwd=released).strip() == f"v{VERSION}"
    assert git("log", "-1", "--format=%s", cwd=released).strip() == f"Release {VERSION}"
    assert git("rev-list", "--count", "HEAD", "^HEAD~1", cwd=released).strip() == "1"
    assert git("status", "--porcelain", cwd=released) == ""
    assert git("worktree", "list", cwd=released).count("\n") == 1


def test_the_version_is_written_wherever_it_is_repeated(released: Path) -> None:
    before = version.read(ROOT)
    assert version.read(released) == VERSION
    chart = yaml.safe_load((released / "charts" / "gitintegration" / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == VERSION
    check = subprocess.run(
        [sys.executable, "charts/values.py", "--check"], cwd=released, capture_output=True, text=True
    )
    assert check.returncode == 0, check.stdout
    rendered = subprocess.run(
        [kubectl_program(), "kustomize", "manifests"], cwd=released, capture_output=True, text=True
    )
    assert f"image: gitintegration:{VERSION}\n" in rendered.stdout
    pages = [*released.glob("*.md"), *released.glob("docs/*.md")]
    assert not [path.name for path in pages if f"gitintegration:{before}" in path.read_text()]
    assert (released / "release" / "previous").read_text() == f"v{VERSION}\n"
    for crd in (released / "tests" / "unit" / "api" / "released").iterdir():
        assert crd.read_text() == (released / "crds" / crd.name).read_text()


def test_the_changelog_has_a_section_and_room_for_what_comes(released: Path) -> None:
    text = (released / "CHANGELOG.md").read_text()
    assert re.search(rf"^## Unreleased\n\n## {re.escape(VERSION)} \(2027-01-15\)\n", text, re.MULTILINE)
    notes = changelog.section((ROOT / "CHANGELOG.md").read_text(), "Unreleased")
    assert dist(released)[f"gitintegration-{VERSION}-notes.md"].decode() == notes + "\n"


def test_the_same_source_makes_the_same_release_and_the_tag_makes_it_again(released: Path, tmp_path: Path) -> None:
    first = dist(released)
    other = clone(tmp_path / "two")
    run(other, VERSION)
    assert dist(other) == first
    assert git("rev-parse", "HEAD", cwd=other) == git("rev-parse", "HEAD", cwd=released)
    run(other, "--dist")
    assert dist(other) == first


def test_it_holds_what_is_installed_with_a_checksum_of_each(released: Path, tmp_path: Path) -> None:
    found = dist(released)
    made = f"gitintegration-{VERSION}"
    assert found.keys() == {
        "SHA256SUMS", f"{made}.tgz", f"{made}-manifests.tar.gz", f"{made}.yaml", f"{made}.cdx.json", f"{made}-notes.md"
    }  # fmt: skip
    sums = {name: digest for digest, name in map(str.split, found.pop("SHA256SUMS").decode().splitlines())}
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    with tarfile.open(released / "dist" / f"{made}-manifests.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    for overlay in ("", "/locked-down", "/gateway", "/monitoring"):
        source = tmp_path / f"{made}-manifests" / f"manifests{overlay}"
        told = subprocess.run([kubectl_program(), "kustomize", str(source)], capture_output=True, check=True)
        assert overlay or told.stdout == found[f"{made}.yaml"]
    from_chart = helm("template", "gitintegration", str(released / "dist" / f"{made}.tgz"), "--namespace=x")
    from_folder = helm("template", "gitintegration", str(released / "charts" / "gitintegration"), "--namespace=x")
    assert from_chart == from_folder


def test_the_bill_of_materials_is_valid_and_whole(released: Path) -> None:
    text = dist(released)[f"gitintegration-{VERSION}.cdx.json"].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    told = json.loads(text)
    locked = dict(sbom.packages((ROOT / "requirements.lock").read_text()))
    assert len(locked) > 40
    assert {c["name"]: c["version"] for c in told["components"]} == {n: each.version for n, each in locked.items()}
    assert not [c["name"] for c in told["components"] if not c.get("licenses") or not c.get("externalReferences")]
    root = told["metadata"]["component"]
    assert (root["name"], root["version"]) == ("gitintegration", VERSION)
    needs = {each["ref"]: set(each.get("dependsOn", ())) for each in told["dependencies"]}
    reached, waiting = set[str](), [root["bom-ref"]]
    while waiting:
        waiting += (new := needs[waiting.pop()] - reached)
        reached |= new
    assert reached == {c["bom-ref"] for c in told["components"]}


def test_what_a_package_has_compiled_in_is_told_where_it_has_other_terms(released: Path) -> None:
    """As the package's own bill of materials has it (PEP 770): where none of what may be chosen is as free as ours."""
    told = json.loads(dist(released)[f"gitintegration-{VERSION}.cdx.json"])
    ours = {c["name"]: str(c["licenses"]) for c in told["components"]}
    found = set[tuple[str, str]]()
    for name in ours:
        for file in metadata.files(name) or ():
            if ".dist-info/sboms/" in str(file):
                for each in json.loads(file.read_text()).get("components", ()):
                    licence = "".join(one.get("expression", "") for one in each.get("licenses", ()))
                    if all("GPL" in choice for choice in licence.split(" OR ")):
                        found.add((name, licence))
    assert found == {("pysequoia", "LGPL-2.0-or-later")}
    assert all(licence in ours[name] and licence in (ROOT / "NOTICE").read_text() for name, licence in found)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("", "is no version"),
        ("1.2", "is no version"),
        ("v1.2.3", "is no version"),
        ("0.0.1", "is older"),
        (VERSION, "already"),
    ],
)
def test_what_is_no_next_version_is_refused(released: Path, wanted: str, words: str) -> None:
    before = git("rev-parse", "HEAD", cwd=released)
    with pytest.raises(RuntimeError, match=words):
        run(released, wanted)
    assert git("rev-parse", "HEAD", cwd=released) == before


def test_what_no_commit_holds_is_not_released(tmp_path: Path) -> None:
    folder = clone(tmp_path / "dirty")
    (folder / "operator" / "new.py").write_text("")
    with pytest.raises(RuntimeError, match=r"operator/new\.py"):
        run(folder, VERSION)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "-m", "x", cwd=folder, env=_WHO)
    text = (folder / "CHANGELOG.md").read_text()
    kept = changelog.section(text, "Unreleased")
    (folder / "CHANGELOG.md").write_text(text.replace(kept, ""))
    git("commit", "--quiet", "-am", "y", cwd=folder, env=_WHO)
    with pytest.raises(RuntimeError, match="nothing under"):
        run(folder, VERSION)
    assert git("tag", cwd=folder) == git("status", "--porcelain", cwd=folder) == ""
    assert not (folder / "dist").exists()


WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"


def test_the_workflow_names_the_version_of_whatever_it_uses_and_puts_nothing_foreign_into_a_shell() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert len(steps) > 10
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@v\d+\.\d+\.\d+", step["uses"]) for step in steps if "uses" in step)
    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]
    assert all("permissions" in job and "timeout-minutes" in job for job in jobs.values())
    targets = {word for step in steps for word in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert targets == {"image", "dist"}
