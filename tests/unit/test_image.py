"""What goes into the image is what the lock files name, by hash: the build's own tools as well."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from types import ModuleType

import pytest
import yaml

from tests.bed.cluster import ROOT
from tests.unit.test_manifests import OVERLAYS, of


def _tool() -> ModuleType:
    """image/name.py, which is no package's."""
    spec = importlib.util.spec_from_file_location("image_name", ROOT / "image" / "name.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


tool = _tool()


def locked(name: str) -> dict[str, list[str]]:
    """Package -> its hashes, of a lock file."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {line.split("==")[0]: re.findall(r"--hash=sha256:([0-9a-f]{64})", line) for line in lines}


def stages() -> dict[str, str]:
    """Name -> text of each stage of the Dockerfile; the last is the image."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    parts = re.split(r"^FROM \S+(?: AS (\w+))?$", text, flags=re.MULTILINE)
    return dict(zip([name or "" for name in parts[1::2]], parts[2::2], strict=True))


def test_nothing_is_installed_without_a_hash() -> None:
    installs = re.findall(r"pip (?:--python \S+ )?(?:install|wheel) (.*?)(?:&&|$)", stages()["build"], re.MULTILINE)
    assert len(installs) == 4
    for options in installs:
        files = re.findall(r"-r (\S+)", options)
        own = "--no-deps" in options.split() and options.split()[-1] in (".", "/dist/*.whl")
        assert own or ("--require-hashes" in options and files), options
        for name in files:
            assert locked(name)
            assert all(locked(name).values()), name


def test_the_image_is_an_environment_that_needs_no_shell_to_be_made() -> None:
    """Pip and what builds stay in the stage before."""
    made = stages()[""]
    (removal,) = re.findall(r"^RUN (.*)$", made, re.MULTILINE)
    assert json.loads(removal)[0] == "python3"
    assert re.findall(r"^COPY (.*)$", made, re.MULTILINE) == ["--from=build /venv /venv"]
    assert "venv --without-pip /venv" in stages()["build"]
    assert re.search(r"^USER 65532:65532$", made, re.MULTILINE)
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)", made))
    assert labels >= {"version", "revision", "source"}


def test_only_what_is_copied_is_sent_to_be_built() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    copied = {
        name for line in re.findall(r"^COPY (.*)$", stages()["build"], re.MULTILINE) for name in line.split()[:-1]
    }
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied


D = f"sha256:{7:064d}"


@pytest.mark.parametrize(
    "name",
    ["gitintegration:0.1.0", "localhost/x:1", "reg.example.com:5000/a/b-c/g_i:v1.2-rc.3", f"reg/x@{D}", f"reg/x:1@{D}"],
)
def test_its_name_is_written_and_read_in_one_place(name: str) -> None:
    text = (ROOT / "manifests" / "image" / "kustomization.yaml").read_text()
    made = tool.written(text, name)
    assert tool.read(made) == name
    (entry,) = yaml.safe_load(made)["images"]
    assert entry.pop("name") == "gitintegration"
    assert entry == tool.parsed(name)
    assert tool.written(made, tool.read(text)) == text


@pytest.mark.parametrize("name", ["", "x", "x:", "x y:1", "X/y:1\n", "reg/x@sha256:1", "-x:1", "x:1 newTag: 2"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(SystemExit):
        tool.parsed(name)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_has_it(overlay: str) -> None:
    text = (ROOT / "manifests" / "image" / "kustomization.yaml").read_text()
    pods = [one["spec"]["template"]["spec"] for one in of(overlay, "Deployment").values()]
    assert {container["image"] for pod in pods for container in pod["containers"]} == {tool.read(text)}


def test_its_tag_is_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert tool.read((ROOT / "manifests" / "image" / "kustomization.yaml").read_text()).endswith(f":{version}")


def test_what_builds_it_is_locked() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    names = {re.split(r"[<>=!~ \[]", requirement)[0] for requirement in wanted}
    assert names <= locked("requirements-build.lock").keys()
