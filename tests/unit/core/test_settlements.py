"""Conflicts that are settled field by field: what is decided reaches both sides, also by way of a crash, and the rest merges as ever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gitintegration.core.diff import ABSENT, apply, diff, format_path, get, inverses, same
from gitintegration.core.merge import Base, Settlement, Strategy, Take, Versions, decide, rebase
from gitintegration.core.state.record import Intent
from gitintegration.core.state.recovery import recover
from tests.unit.core.logged import push_of
from tests.unit.core.test_merge import SPECS, obj

BASE, GIT, LIVE = obj(x=1, y=1, z=1), obj(x=2, y=2, z=5), obj(x=3, y=3, z=1)


def field(name: str, take: str | None = None, value: Any = None) -> dict[str, Settlement]:
    return {f"spec.{name}": Settlement(Take(take) if take else None, value)}


@pytest.mark.parametrize(
    ("settled", "git", "live"),
    [
        pytest.param(field("x", "ours") | field("y", "theirs"), obj(x=3, y=2, z=5), obj(x=3, y=2, z=5), id="each"),
        pytest.param(field("x", "base") | field("y", "base"), obj(x=1, y=1, z=5), obj(x=1, y=1, z=5), id="base"),
        pytest.param(field("x", value=9) | field("y", "ours"), obj(x=9, y=3, z=5), obj(x=9, y=3, z=5), id="a value"),
        pytest.param(field("x", value={"a": [1]}) | field("y", "ours"), obj(x={"a": [1]}, y=3, z=5), None, id="a map"),
    ],
)
def test_each_field_gets_what_was_decided(settled: dict[str, Settlement], git: Any, live: Any) -> None:
    d = decide(Versions(Base(BASE, BASE), GIT, LIVE), settled=settled)
    assert d.conflict is None
    assert d.git is not None
    assert d.cluster is not None
    assert d.git.value == git
    assert d.cluster.value == (live or git)


def test_what_is_not_settled_stays_in_conflict_and_nothing_is_written() -> None:
    d = decide(Versions(Base(BASE, BASE), GIT, LIVE), settled=field("x", "ours"))
    assert d.conflict is not None
    assert d.conflict.fields == ("spec.y",)
    assert (d.git, d.cluster) == (None, None)


def test_where_nothing_was_agreed_on_fields_are_settled_too() -> None:
    settled = field("x", "ours") | field("y", "theirs") | field("z", value=0)
    d = decide(Versions(None, GIT, LIVE), settled=settled)
    assert d.conflict is None
    assert d.git is not None
    assert d.cluster is not None
    assert d.git.value == d.cluster.value == obj(x=3, y=2, z=0)
    left = decide(Versions(None, GIT, LIVE), settled=field("x", "base"))
    assert left.conflict is not None
    assert left.conflict.fields == ("spec.x", "spec.y", "spec.z")


@pytest.mark.parametrize(
    "how",
    [
        {"strategy": Strategy.theirs},
        {"settled": {"spec.p[name=a]": Settlement(Take.theirs)}},
        {"settled": {"spec.p[name=a]": Settlement(Take.base)}},
    ],
)
def test_an_item_that_comes_back_stands_where_the_other_side_has_it(how: Any) -> None:
    old, git, live = (obj(p=[{"name": n, "v": v} for n, v in p]) for p in ([("a", 1)], [("a", 2)], [("b", 1)]))
    d = decide(Versions(Base(old, old), git, live), **how)
    assert d.git is not None
    assert d.git == d.cluster


TAKES = st.sampled_from([Settlement(Take.ours), Settlement(Take.theirs), Settlement(Take.base), Settlement(None, "V")])


@given(SPECS, SPECS)
def test_changes_that_are_taken_back_leave_nothing(old: Any, new: Any) -> None:
    assert _bare(apply(inverses(diff(old, new)), new)) == _bare(old)


def _bare(value: Any) -> Any:
    """Without empty maps and lists, which stay where they came with what they hold."""
    if isinstance(value, dict):
        return {k: inner for k, v in value.items() if (inner := _bare(v)) not in ({}, [])}
    return [_bare(v) for v in value] if isinstance(value, list) else value


@given(SPECS, SPECS, SPECS, st.data())
def test_what_is_settled_in_the_cluster_goes_to_git_and_no_further(base: Any, git: Any, live: Any, data: Any) -> None:
    """A pull writes the cluster alone, and the next sync carries the rest; one that was killed after the write is done again."""
    agreed = Base(base, base)
    torn = decide(Versions(agreed, git, live))
    assume(torn.conflict is not None)
    assert torn.conflict is not None
    settled = {name: data.draw(TAKES, label=name) for name in torn.conflict.fields}
    d = decide(Versions(agreed, git, live), settled=settled)
    if d.conflict is not None:  # an order, or a field within another that was settled otherwise
        return
    now = d.cluster.value if d.cluster else live
    goal = d.git.value if d.git else git
    for path in torn.conflict.paths:
        take, held = settled[format_path(path)], get(now, path)
        if not all(isinstance(step, str) for step in path) or any(
            path[:n] in torn.conflict.paths for n in range(len(path))
        ):
            continue
        wanted = {"ours": live, "theirs": git, "base": base}.get(take.take or "")
        expected = get(wanted, path) if wanted is not None else take.value
        assert held is expected or same(held, expected)
    told = rebase(d, git, now, pulled=True, pushed=False)
    logged = Intent.of(d, git, live)
    crashed = recover(agreed, logged, push_of(logged), git, now)
    for after, again in [(told, {}), *([(crashed, settled)] if d.cluster else [])]:
        then = decide(Versions(after, git, now), settled=again)
        assert then.conflict is None
        assert _filled(then.cluster.value if then.cluster else now) == _filled(now)
        assert _filled(then.git.value if then.git else git) == _filled(goal)


def _filled(value: Any) -> Any:
    """Without empty maps, which stay where a map came with its fields and these go again."""
    if isinstance(value, dict):
        return {k: inner for k, v in value.items() if (inner := _filled(v)) != {}}
    return [_filled(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("pushed", [False, True])
@pytest.mark.parametrize("pulled", [False, True])
def test_a_field_that_both_sides_were_to_get_is_carried_from_the_one_that_has_it(pulled: bool, pushed: bool) -> None:
    agreed = Base(BASE, BASE)
    settled = field("x", value=9) | field("y", value=9)
    d = decide(Versions(agreed, GIT, LIVE), settled=settled)
    assert d.git is not None
    assert d.cluster is not None
    git, live = d.git.value if pushed else GIT, d.cluster.value if pulled else LIVE
    logged = Intent.of(d, GIT, LIVE)
    then = decide(Versions(recover(agreed, logged, push_of(logged), git, live), git, live))
    if not pulled and not pushed:
        assert then.conflict is not None
        return
    assert then.conflict is None
    ends = then.git.value if then.git else git, then.cluster.value if then.cluster else live
    assert ends == (obj(x=9, y=9, z=5), obj(x=9, y=9, z=5))
    assert get(ends[0], ("spec", "none")) is ABSENT
