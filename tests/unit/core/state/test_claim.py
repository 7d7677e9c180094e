"""Whose an item is, by its labels."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.core.merge import Base
from gitintegration.core.state.claim import Claim, claim


def labelled(team: str | None) -> dict[str, Any] | None:
    return None if team is None else {"metadata": {"name": "x", "labels": {"team": team}}}


def in_team_a(whole: Any) -> bool:
    return whole is not None and whole["metadata"].get("labels", {}).get("team") == "a"


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
        ("a", "a", "b", Claim.moved),
        ("a", "b", "b", Claim.moved),
        ("a", None, "b", Claim.moved),
        ("a", "c", "b", Claim.moved),
        (None, "a", "b", Claim.ours),
    ],
)
def test_whose_an_item_is(base: str | None, git: str | None, live: str | None, found: Claim) -> None:
    """`a` is selected; each side by the label that it has, None: not there."""
    agreed = labelled(base)
    assert claim(in_team_a, Base(agreed, agreed) if agreed else None, labelled(git), labelled(live)) is found


@pytest.mark.parametrize(
    ("base", "git", "live", "found"),
    [
        ("a", "a", None, Claim.moved),
        ("a", "a", "b", Claim.moved),
        ("a", "a", "a", Claim.ours),
        ("a", None, None, Claim.ours),
        ("b", "b", "b", Claim.let_go),
    ],
)
def test_what_went_elsewhere_before(base: str, git: str | None, live: str | None, found: Claim) -> None:
    """That its object is gone since has its file neither removed nor made anew."""
    agreed = labelled(base)
    assert agreed
    pair = Base(agreed, agreed)
    assert claim(in_team_a, pair, labelled(git), labelled(live), released=True) is found


def test_a_label_that_one_side_alone_has_was_agreed_on_so() -> None:
    """It is ignored, say: no side's label moved."""
    bare = {"metadata": {"name": "x"}}
    pair = Base(bare, bare)
    assert claim(in_team_a, pair, labelled("a"), bare) is Claim.ours
    assert claim(in_team_a, Base({**bare}, bare), bare, bare) is Claim.let_go
