"""What the schemas say to people and to server-side apply."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from gitintegration.api.crd import render_crds

SCHEMAS = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for crd in map(yaml.safe_load, render_crds().values())
}


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
        yield from fields(field.get("items", {}), f"{path}.{name}[]")


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_description_says_what_the_default_is(kind: str) -> None:
    """`kubectl explain` does not."""
    told = [(path, f["default"], f["description"]) for path, f in fields(SCHEMAS[kind], "") if "default" in f]
    plain = [(path, default, words) for path, default, words in told if not isinstance(default, dict | list)]
    for path, default, words in plain:
        shown = {True: "true", False: "false"}.get(default, default) if isinstance(default, bool) else default
        assert words.endswith(f" Default: {shown}."), path
    assert plain or kind in ("GitIntegrationBase", "GitOperationPlan", "Pipeline")


def test_resources_are_a_map_whose_items_are_all_somebodys() -> None:
    resources = SCHEMAS["GitIntegration"]["properties"]["spec"]["properties"]["resources"]
    assert resources["x-kubernetes-list-type"] == "map"
    assert resources["x-kubernetes-list-map-keys"] == ["apiVersion", "kind"]
    assert set(resources["items"]["required"]) >= {"apiVersion", "kind"}
    assert "default" not in resources


@pytest.mark.parametrize("kind", ["GitIntegration", "GitOperation"])
def test_what_is_new_was_not_looked_at(kind: str) -> None:
    status = SCHEMAS[kind]["properties"]["status"]
    assert status["default"] == {"observedGeneration": -1}
    assert status["properties"]["observedGeneration"]["default"] == -1
