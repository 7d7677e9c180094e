"""Which changes are a field manager's."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.core.diff import diff
from gitintegration.core.managers import is_owned, owned_by

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
