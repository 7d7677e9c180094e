"""Whose an item is, by its labels."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.core.merge import Base
from gitintegration.core.state.claim import Claim, claim


def labelled(team: str | None) -> dict[str, Any] | None:
    return None if team is None else {"metadata": {"name": "x", "labels": {"team": team}}}


@pytest.mark.parametrize(
    ("base", "git", "live", "found"),
    [
        (None, None, "a", Claim.ours),
        (None, "a", None, Claim.ours),
        (None, "b", None, Claim.nobodys),
        (None, None, "b", Claim.nobodys),
        (None, None, None, Claim.nobodys),
        ("a", "a", "a", Claim.ours),
        ("a", "b", "a", Claim.ours),
        ("a", None, None, Claim.ours),
        ("a", None, "a", Claim.ours),
        ("a", "a", None, Claim.ours),
        ("a", "b", None, Claim.ours),
        ("b", "b", "b", Claim.let_go),
        ("b", "b", None, Claim.let_go),
        ("b", None, "b", Claim.let_go),
        ("b", "c", "d", Claim.let_go),
        ("b", None, None, Claim.ours),
        ("b", "a", "b", Claim.ours),
        ("b", "b", "a", Claim.ours),
    ],
)
def test_whose_an_item_is(base: str | None, git: str | None, live: str | None, found: Claim) -> None:
    """`a` is selected; each side by the label that it has, None: not there."""

    def selects(whole: Any) -> bool:
        return whole is not None and whole["metadata"]["labels"]["team"] == "a"

    agreed = labelled(base)
    assert claim(selects, Base(agreed, agreed) if agreed else None, labelled(git), labelled(live)) is found
