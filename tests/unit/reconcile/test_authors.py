"""Whose a field of the cluster is, as far as stamps and field managers tell."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.core.people import UNSEEN
from gitintegration.reconcile.authors import LiveEdits

EARLY, LATE = "2026-11-27T10:00:00Z", "2026-11-27T11:00:00Z"
MANAGED = [
    {"manager": "gitintegration", "time": "2026-11-27T12:00:00Z", "fieldsV1": {"f:spec": {"f:mode": {}}}},
    {"manager": "kubectl-patch", "time": EARLY, "fieldsV1": {"f:spec": {"f:owner": {}, "f:schedule": {}}}},
    {"manager": "cleaner", "time": LATE, "fieldsV1": {"f:metadata": {"f:finalizers": {"v:example.com": {}}}}},
]
OWNER, GONE = ("spec", "owner"), ("spec", "gone")


@pytest.mark.parametrize(
    ("editors", "path", "wanted"),
    [
        (("ann",), OWNER, {"by": "ann", "at": EARLY}),
        (("ann",), GONE, {"by": "ann"}),
        ((), OWNER, {"by": "kubectl-patch", "at": EARLY}),
        ((), GONE, {}),
        (("ann", "bob"), OWNER, {"by": "kubectl-patch", "at": EARLY, "editors": ["ann", "bob"]}),
        (("ann", "bob"), GONE, {"editors": ["ann", "bob"]}),
        ((UNSEEN, "bob"), OWNER, {"by": "kubectl-patch", "at": EARLY, "editors": ["bob"]}),
        (("ann", UNSEEN), OWNER, {"by": "kubectl-patch", "at": EARLY, "editors": ["ann"]}),
        ((UNSEEN,), OWNER, {"by": "kubectl-patch", "at": EARLY}),
    ],
)
def test_a_field_is_a_persons_where_nobody_else_edited(
    editors: tuple[str, ...], path: tuple[str, ...], wanted: dict[str, Any]
) -> None:
    assert LiveEdits(MANAGED, editors).of([path]) == wanted


@pytest.mark.parametrize(
    ("editors", "by"),
    [((), "kubectl-patch"), (("ann", "bob"), "bob"), ((UNSEEN, "bob"), "bob"), (("ann", UNSEEN), "kubectl-patch")],
)
def test_an_object_is_told_with_who_edited_it_last(editors: tuple[str, ...], by: str) -> None:
    """Not with who wrote a finalizer."""
    assert LiveEdits(MANAGED, editors).last() == {"by": by, "at": EARLY}


def test_names_are_plain_and_short() -> None:
    name = "boss\x1b[31m\u202e" + "x" * 10_000
    for told in (LiveEdits(MANAGED, (name,)).of([OWNER]), LiveEdits(MANAGED, (name,)).last()):
        assert told["by"] == ("boss\ufffd[31m\ufffd" + "x" * 200)[:128]
    (shown,) = LiveEdits(MANAGED, (UNSEEN, name)).of([OWNER])["editors"]
    assert len(shown) == 128
    assert shown.isprintable()
