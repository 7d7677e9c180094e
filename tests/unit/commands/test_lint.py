"""`gitintegration lint` as a process, over checkouts; that it tells what the status tells is shown in tests/e2e/test_bad_input.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bed.gitserver import git
from tests.bed.kinds import crd
from tests.bed.world import manifest

SCRIPT = Path(sys.executable).with_name("gitintegration")
BROKEN = "a: [1\n"
Make = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A folder with these files; a name that ends in `@` is a link to what its text names."""

    def write(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name.removesuffix("@")
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("@"):
                path.symlink_to(text)
            else:
                path.write_text(text)
        return tmp_path

    return write


def lint(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, "lint", *arguments], capture_output=True, text=True, timeout=60)


def problems(*arguments: str | Path) -> dict[str, str]:
    """Reason by path."""
    done = lint(*arguments, "-o", "json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == bool(told["problems"])
    return {one["path"]: one["reason"] for one in told["problems"]}


def test_all_is_well(make: Make) -> None:
    done = lint(
        make({"pipelines/a.yaml": manifest("a"), "pipelines/deep/b.yml": manifest("b"), "other/c.yaml": BROKEN})
    )
    assert (done.returncode, done.stdout) == (0, "2 manifests in 2 files: all is well\n")


def test_what_is_no_file_of_its_own_is_told_and_never_followed(make: Make) -> None:
    root = make(
        {
            "secret/s.yaml": "password: x\n",
            "pipelines/a.yaml": manifest("a"),
            "pipelines/link.yaml@": "../secret/s.yaml",
            "pipelines/folder@": "../secret",
            "pipelines/own/.git": "gitdir: elsewhere\n",
            "pipelines/own/o.yaml": BROKEN,
            "pipelines/sub.yaml/.git/HEAD": "ref: refs/heads/main\n",
            "pipelines/sub.yaml/s.yaml": BROKEN,
        }
    )
    assert problems(root) == {"pipelines/link.yaml": "InvalidPath", "pipelines/sub.yaml": "InvalidPath"}


def test_what_lies_where_the_prefix_should_be(make: Make) -> None:
    root = make({"pipelines@": "elsewhere", "elsewhere/a.yaml": BROKEN})
    assert problems(root) == {"pipelines": "InvalidPath"}
    assert problems(root, "--prefix", "elsewhere") == {"elsewhere/a.yaml": "NotYAML"}
    assert problems(root, "--prefix", "nowhere") == {}


def test_names_that_git_could_not_hold_everywhere(make: Make) -> None:
    root = make({"pipelines/a\\b.yaml": manifest("a"), "pipelines/c\nd.yaml": manifest("c")})
    (Path(os.fsdecode(os.fsencode(root) + b"/pipelines/\xff.yaml"))).write_text(manifest("x"))
    assert set(problems(root).values()) == {"InvalidPath"}
    assert len(problems(root)) == 3
    assert lint(root).stdout.count("\n") == 4


def test_what_git_and_the_ignore_file_leave_out(make: Make) -> None:
    root = make(
        {
            ".gitignore": "build/\n*.tmp.yaml\n",
            "pipelines/.gitintegrationignore": "drafts/\n",
            "pipelines/build/b.yaml": BROKEN,
            "pipelines/x.tmp.yaml": BROKEN,
            "pipelines/kept.tmp.yaml": BROKEN,
            "pipelines/drafts/d.yaml": BROKEN,
            "pipelines/seen.yaml": BROKEN,
        }
    )
    seen = {f"pipelines/{name}" for name in ("build/b.yaml", "x.tmp.yaml", "kept.tmp.yaml", "seen.yaml")}
    assert problems(root).keys() == seen
    git("init", "-q", cwd=root)
    git("add", "-f", "pipelines/kept.tmp.yaml", cwd=root)
    assert problems(root).keys() == {"pipelines/kept.tmp.yaml", "pipelines/seen.yaml"}


def test_the_spec_of_a_file_says_what_is_read(make: Make) -> None:
    spec = """apiVersion: planasonix.com/v1alpha1
kind: GitIntegration
metadata: {name: gi, namespace: team}
spec:
  repositoryURL: https://example.com/r.git
  pathPrefix: jobs
  ignore: "*.old.yaml"
  resources: [{apiVersion: batch/v1, kind: CronJob}]
"""
    job = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly, namespace: other}\n"
    root = make(
        {
            "gi.yaml": f"---\nkind: Namespace\napiVersion: v1\nmetadata: {{name: team}}\n---\n{spec}",
            "jobs/j.yaml": job,
            "jobs/j.old.yaml": BROKEN,
            "jobs/pipeline.yaml": manifest("Bad_Name"),
        }
    )
    assert problems(root, "-f", root / "gi.yaml") == {"jobs/j.yaml": "WrongNamespace"}
    assert problems(root, "-f", root / "gi.yaml", "-n", "other") == {}
    assert problems(root, "-f", root / "gi.yaml", "--kind", "planasonix.com/v1alpha1/Pipeline") == {
        "jobs/pipeline.yaml": "InvalidName"
    }
    assert problems(root, "--prefix", "jobs", "--kind", "batch/v1/CronJob") == {"jobs/j.old.yaml": "NotYAML"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-f", "{}/none.yaml"], "does not exist"),
        (["-f", "{}/broken.yaml"], "broken.yaml line 2"),
        (["-f", "{}/a.yaml"], "holds no GitIntegration"),
        (["-f", "{}/wrong.yaml"], "spec.sync.interval"),
        (["--prefix", "../up"], "spec.pathPrefix"),
        (["--kind", "Pipeline"], "spec.resources"),
        (["-o", "xml"], "xml"),
    ],
)
def test_what_it_can_not_tell_is_neither_well_nor_a_finding(make: Make, arguments: list[str], words: str) -> None:
    wrong = "kind: GitIntegration\nspec: {repositoryURL: 'https://e/r', sync: {interval: 5 minutes}}\n"
    root = make({"broken.yaml": BROKEN, "a.yaml": manifest("a"), "wrong.yaml": wrong})
    done = lint(root, *(text.format(root) for text in arguments))
    assert done.returncode == 2
    assert words in " ".join((done.stdout + done.stderr).split())


def test_views(make: Make) -> None:
    root = make({"pipelines/a,b 100%.yaml": BROKEN, "pipelines/twice.yaml": f"{manifest('x')}---\n{manifest('x')}"})
    text = lint(root).stdout.splitlines()
    assert text[0].startswith("pipelines/a,b 100%.yaml:2: NotYAML: line 2")
    assert text[-1] == "0 manifests in 2 files: 2 problems"
    assert lint(root, "-o", "github").stdout.startswith(
        "::error file=pipelines/a%2Cb 100%25.yaml,line=2,title=NotYAML::line 2"
    )
    sarif = json.loads(lint(root, "-o", "sarif").stdout)
    (run,) = sarif["runs"]
    assert sarif["version"] == "2.1.0"
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {"Duplicate", "NotYAML"}
    first, second = (one["locations"][0]["physicalLocation"] for one in run["results"])
    assert first["artifactLocation"]["uri"] == "pipelines/a%2Cb%20100%25.yaml"
    assert first["region"] == {"startLine": 2}
    assert "region" not in second


CRONTAB = crd(
    "example.com",
    "CronTab",
    ["v1"],
    {
        "type": "object",
        "required": ["when"],
        "properties": {
            "when": {"type": "string", "pattern": "^@"},
            "many": {"type": "array", "items": {"type": "object", "properties": {"at": {"type": "integer"}}}},
        },
    },
    status=True,
)
JOB = """apiVersion: example.com/v1
kind: CronTab
metadata: {name: NAME}
"""


def test_what_the_crds_of_a_folder_refuse_is_told_with_its_line(make: Make) -> None:
    one = JOB.replace("NAME", "one")
    listed = (
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: example.com/v1\n  kind: CronTab\n  metadata: {name: in}\n"
    )
    root = make(
        {
            "crds/deep/crontab.yaml": f"# theirs\n---\n{yaml.safe_dump(CRONTAB)}",
            "crds/README.md": "no YAML: [",
            "pipelines/a.yaml": f"{one}spec: {{when: '@daily', many: [{{at: 1}}]}}\n---\n{JOB.replace('NAME', 'two')}spec:\n"
            "  when: '@daily'\n  many:\n  - at: 1\n  - at: &x often\n  - *y\n".replace("*y", "at: *x"),
            "pipelines/b.json": '{"apiVersion": "example.com/v1", "kind": "CronTab", "metadata": {"name": "b"},\n"spec": {\n"when": 5}}',
            "pipelines/list.yaml": f"{listed}  spec:\n    when: daily\n",
            "pipelines/v.yaml": JOB.replace("NAME", "v").replace("v1", "v2"),
            "pipelines/none.yaml": f"{JOB.replace('NAME', 'none')}spec: {{}}\n",
            "pipelines/other.yaml": manifest("other").replace("owner: ann", "owner: {no: crd}"),
        }
    )
    kinds = ("--kind", "example.com/v1/CronTab", "--kind", "planasonix.com/v1alpha1/Pipeline")
    assert problems(root, *kinds) == {}
    done = lint(root, *kinds, "--crds", root / "crds")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "pipelines/a.yaml:13: Refused: CronTab/two: spec.many[1].at: is a string, and has to be an integer",
        "pipelines/a.yaml:14: Refused: CronTab/two: spec.many[2].at: is a string, and has to be an integer",
        "pipelines/b.json:3: Refused: CronTab/b: spec.when: is a number, and has to be a string",
        "pipelines/list.yaml:8: Refused: CronTab/in: spec.when: is not as ^@ wants it",
        "pipelines/none.yaml:4: Refused: CronTab/none: spec.when: is required",
        "pipelines/v.yaml:1: Refused: CronTab/v names apiVersion example.com/v2, which the cluster does not serve; name "
        "example.com/v1 in its file, or have its CRD serve that version again",
        "7 manifests in 6 files, 6 of them held against CRDs: 6 problems",
    ]


def test_a_folder_without_crds_checks_nothing_and_says_so(make: Make) -> None:
    root = make({"pipelines/a.yaml": manifest("a"), "broken/crd.yaml": BROKEN})
    bad = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {versions: 3}\n"
    make({"odd/crd.yaml": bad})
    for folder, words in (("pipelines", "holds no CustomResourceDefinition"), ("broken", "line 2"), ("odd", "is none")):
        done = lint(root, "--crds", root / folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
