"""Patterns that anybody may have written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitintegration.core.ignore import checked, ignores
from gitintegration.errors import LimitExceeded


@pytest.mark.parametrize("stars", [6, 20, 200])
def test_stars_cost_what_they_are(stars: int) -> None:
    """With Python's own expressions six of them took 18 s, and twenty no time that anybody has seen the end of."""
    name = "a" * 200 + ".yaml"
    assert not ignores(("*a" * stars + "b",), name)
    assert ignores(("*a" * stars + "*.yaml",), name + "a.yaml")
    assert not ignores(("**/" * stars + "b",), "a/" * 200 + name)


@pytest.mark.parametrize("bad", ["\\", "!", "[z-a]", "[[:alpha:]]x", "[a", "a\\", "x\udc80y", "[\\"])
def test_what_is_no_pattern_is_passed_over(bad: str) -> None:
    assert ignores((bad, "*.draft.yaml"), "x.draft.yaml")
    assert not ignores((bad, "*.draft.yaml"), "orders.yaml")


def test_patterns_that_are_too_much_together_are_refused() -> None:
    """Each may be matched by itself; to leave some out would have files synced that nobody meant to be."""
    many = tuple("*a" * 8 + f"b{n}" for n in range(1000))
    with pytest.raises(LimitExceeded, match=r"1000 patterns.*together"):
        ignores(many, "a" * 200 + ".yaml")
    assert ignores((*many[:10], "*.draft.yaml"), "x.draft.yaml")


def test_too_much_is_refused_and_said_where() -> None:
    with pytest.raises(LimitExceeded, match=r"spec\.ignore holds 2000 patterns"):
        checked(["x"] * 2000, "spec.ignore")
    with pytest.raises(LimitExceeded, match="1024 characters"):
        checked(["x" * 2000], "spec.ignore")
    assert checked(["# comment", "", "a"] * 3, "spec.ignore") == ("a", "a", "a")


NAMES = st.text("ab./", min_size=1, max_size=8).filter(
    lambda text: all(part not in ("", ".", "..") for part in text.split("/"))
)
PATTERNS = st.lists(st.text("ab.*/!?[]-", min_size=1, max_size=6).filter(lambda t: t.strip()), min_size=1, max_size=4)


@given(PATTERNS, NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_what_git_says(tmp_path: Path, patterns: list[str], name: str) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "core.excludesFile=" + str(tmp_path / "patterns")]
    if not (tmp_path / ".git").exists():
        subprocess.run([*git, "init", "--quiet"], check=True)
    (tmp_path / "patterns").write_text("".join(f"{line}\n" for line in patterns))
    told = subprocess.run([*git, "check-ignore", "--quiet", "--no-index", name], check=False)
    assert ignores(checked(patterns, "patterns"), name) is (told.returncode == 0)
