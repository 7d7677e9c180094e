"""Installing on the real API server, once and again: what is there already is left as it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import GitServer
from tests.bed.helm import helm
from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest
from tests.unit.test_manifests import rendered


def versions(plane: ControlPlane, overlay: str) -> dict[str, str]:
    """The resourceVersion of each object of an overlay."""
    source = ("-k", str(ROOT / "manifests" / overlay))
    items: list[dict[str, Any]] = plane.json("get", *source)["items"]
    return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in items}


@pytest.mark.parametrize("overlay", [".", "gateway"])
def test_a_second_apply_changes_nothing(control_plane: ControlPlane, overlay: str) -> None:
    source = ("--server-side", "-k", str(ROOT / "manifests" / overlay))
    control_plane.kubectl("apply", *source)
    rules = eventually(lambda: control_plane.json("get", "clusterrole", "gitintegration").get("rules"))
    before = versions(control_plane, overlay)
    assert len(before) == len(rendered(overlay))
    assert control_plane.kubectl("diff", *source) == ""
    control_plane.kubectl("apply", *source)
    assert versions(control_plane, overlay) == before
    assert control_plane.json("get", "clusterrole", "gitintegration")["rules"] == rules


CHART = ROOT / "charts" / "gitintegration"
FIELD = "x-another"


@pytest.fixture
def plane(bed_directory: Path) -> Iterator[ControlPlane]:
    """A cluster where nothing is installed."""
    made = ControlPlane(bed_directory / "chart-plane")
    try:
        yield made
    finally:
        made.stop()


def next_chart(folder: Path) -> Path:
    """The chart with a field more in a CRD."""
    made = folder / "gitintegration"
    shutil.copytree(CHART, made)
    path = made / "files" / "crds" / "planasonix.com_gitintegrations.yaml"
    crd = yaml.safe_load(path.read_text())
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][FIELD] = {
        "type": "string"
    }
    path.write_text(yaml.safe_dump(crd))
    return made


def test_a_chart_is_upgraded_rolled_back_uninstalled_and_installed_again_and_nothing_is_lost(
    plane: ControlPlane, git_server: GitServer, tmp_path: Path
) -> None:
    def run(command: str, *args: str) -> None:
        helm(
            command,
            "gitintegration",
            *args,
            "--namespace=gitintegration-system",
            kubeconfig=plane.kubeconfig,
            home=tmp_path,
        )

    def knows_field() -> bool:
        crd = plane.json("get", "crd", "gitintegrations.planasonix.com")
        spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        return FIELD in spec["properties"]

    run("install", str(CHART), "--create-namespace")
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    operator = OperatorProcess(plane, tmp_path / "operator")
    try:
        w = World(plane, git_server, "charted", {"pipelines/orders.yaml": manifest("orders")})
        w.secret()
        w.integrate()
        w.in_sync()
        agreed = w.kubectl("get", "gitintegrationbases,pipelines", "-o", "name")
        assert agreed
        assert not knows_field()
        run("upgrade", str(next_chart(tmp_path / "next")))
        assert knows_field()
        run("rollback", "1")
        assert not knows_field()
        operator.stop()
        run("uninstall")
        assert "NotFound" in plane.kubectl(
            "-n", "gitintegration-system", "get", "deploy", "gitintegration", check=False
        )
        assert w.kubectl("get", "gitintegrationbases,pipelines", "-o", "name") == agreed
        w.patch("orders", {"owner": "meanwhile"})
        run("install", str(CHART))
        operator = OperatorProcess(plane, tmp_path / "operator", name="again")  # its ServiceAccount is another
        w.in_sync()
        assert w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="meanwhile")
        assert w.repo.count() == 2
    finally:
        operator.stop()
