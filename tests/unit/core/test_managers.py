"""Which changes are a field manager's."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.core.diff import ORDER, Item, Path, diff
from gitintegration.core.managers import is_owned, last_writer, owned_by

MANAGED = [
    {
        "manager": "scaler",
        "fieldsV1": {
            "f:metadata": {"f:annotations": {".": {}, "f:scaled": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:steps": {'k:{"name":"load"}': {".": {}, "f:name": {}, "f:image": {}}},
                "f:limits": {},
            },
        },
    },
    {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:owner": {}}}},
    {"manager": "odd", "fieldsV1": {"f:spec": {"k:[1]": {"f:a": {}}, "k:nonsense": {"f:a": {}}, "v:1": {}}}},
]
OLD: dict[str, Any] = {
    "spec": {
        "replicas": 1,
        "owner": "ann",
        "limits": {"cpu": 1},
        "steps": [{"name": "load", "image": "v1", "sql": "a"}, {"name": "save", "image": "v1"}],
    }
}


def changed(**spec: Any) -> dict[str, Any]:
    return {"spec": {**OLD["spec"], **spec}}


@pytest.mark.parametrize(
    ("new", "owned"),
    [
        (changed(replicas=3), True),
        (changed(owner="bob"), False),
        (changed(limits={"cpu": 2}), True),
        (changed(steps=[{"name": "load", "image": "v2", "sql": "a"}, OLD["spec"]["steps"][1]]), True),
        (changed(steps=[{"name": "load", "image": "v1", "sql": "b"}, OLD["spec"]["steps"][1]]), False),
        (changed(steps=[OLD["spec"]["steps"][0], {"name": "save", "image": "v2"}]), False),
        ({**OLD, "metadata": {"annotations": {"scaled": "yes"}}}, True),
        ({**OLD, "metadata": {"annotations": {"other": "yes"}}}, False),
    ],
)
def test_whose_a_change_is(new: dict[str, Any], owned: bool) -> None:
    (change,) = diff(OLD, new)
    assert is_owned(change, owned_by(MANAGED, ["scaler", "odd"])) == owned
    assert not is_owned(change, owned_by(MANAGED, ["nobody"]))


def entry(manager: str, time: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "time": time, "fieldsV1": fields, **more}


LOAD = Item(("name",), ("load",), ("",))
HELD = [
    entry("gitintegration", "2026-11-27T12:00:00Z", {"f:spec": {"f:owner": {}, "f:mode": {}}}),
    entry("kubectl-edit", "2026-11-27T10:00:00Z", {"f:spec": {"f:owner": {}, "f:limits": {"f:cpu": {}}}}),
    entry("ui", "2026-11-27T11:00:00Z", {"f:spec": {"f:steps": {'k:{"name":"load"}': {".": {}, "f:image": {}}}}}),
    entry("watcher", "2026-11-27T13:00:00Z", {"f:spec": {"f:owner": {}}}, subresource="status"),
    {"manager": "odd", "fieldsV1": {"f:spec": {"f:odd": {}}}},
    {"manager": "", "time": "2027-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:owner": {}}}},
]


@pytest.mark.parametrize(
    ("paths", "manager"),
    [
        ([("spec", "owner")], "kubectl-edit"),
        ([("spec", "mode")], None),
        ([("spec", "limits")], "kubectl-edit"),
        ([("spec", "limits", "cpu", "cores")], "kubectl-edit"),
        ([("spec", "steps", LOAD, "image")], "ui"),
        ([("spec", "steps", LOAD)], "ui"),
        ([("spec", "steps", Item(("name",), ("save",), ("",)), "image")], None),
        ([("spec", "steps", ORDER)], "ui"),
        ([("spec", "owner"), ("spec", "steps", LOAD, "image")], "ui"),
        ([("spec", "odd")], "odd"),
        ([("spec", "gone")], None),
        ([], None),
    ],
)
def test_who_wrote_a_field_last(paths: list[Path], manager: str | None) -> None:
    """Nobody is named who does not hold it, neither the operator itself nor who writes the status."""
    found = last_writer(HELD, paths, "gitintegration")
    assert (found["manager"] if found else None) == manager
