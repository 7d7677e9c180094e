"""Installing on the real API server, once and again: what is there already is left as it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bed.cluster import ROOT
from tests.bed.controlplane import ControlPlane
from tests.bed.world import eventually
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
