"""The table of what a sync means, and the laws of the three-way merge, over random values."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.core.diff import ABSENT, apply, diff, format_path, get, same
from gitintegration.core.merge import (
    Base,
    Decision,
    Strategy,
    Versions,
    Write,
    decide,
    rebase,
    unstored,
    with_storable,
)


def obj(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "P", "metadata": {"name": "a"}, "spec": spec}


A, A2, A3 = obj(x=1, y=1), obj(x=2, y=1), obj(x=3, y=1)
B2 = obj(x=1, y=2)
BASE = Base(A, A)


@pytest.mark.parametrize(
    ("name", "versions", "expected"),
    [
        ("nothing", Versions(BASE, A, A), ()),
        ("cluster changed", Versions(BASE, A, A2), ("local", "git=2,1")),
        ("git changed", Versions(BASE, A2, A), ("remote", "cluster=2,1")),
        ("same change", Versions(BASE, A2, A2), ()),
        ("other fields", Versions(BASE, A2, B2), ("local", "remote", "cluster=2,2", "git=2,2")),
        ("same field", Versions(BASE, A2, A3), ("local", "remote", "BothModified:spec.x")),
        ("deleted in cluster", Versions(BASE, A, None), ("local", "git=gone")),
        ("deleted in git", Versions(BASE, None, A), ("remote", "cluster=gone")),
        ("deleted in both", Versions(BASE, None, None), ()),
        ("deleted and changed", Versions(BASE, A2, None), ("local", "remote", "DeletedInCluster:spec.x")),
        ("changed and deleted", Versions(BASE, None, A2), ("local", "remote", "DeletedInGit:spec.x")),
        ("created in git", Versions(None, A, None), ("remote", "cluster=1,1")),
        ("created in cluster", Versions(None, None, A), ("local", "git=1,1")),
        ("created alike", Versions(None, A, A), ()),
        ("created apart", Versions(None, A, B2), ("local", "remote", "BothCreated:spec.y")),
        ("created alike but for defaults", Versions(None, obj(x=1), A, git_as_live=A), ()),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_the_table(name: str, versions: Versions, expected: tuple[str, ...]) -> None:
    assert _told(decide(versions)) == expected


def _told(d: Decision) -> tuple[str, ...]:
    words = [w for w, on in (("local", d.local_ahead), ("remote", d.remote_ahead)) if on]
    for side in ("cluster", "git"):
        if write := getattr(d, side):
            value = write.value
            words.append(f"{side}=" + ("gone" if value is None else f"{value['spec']['x']},{value['spec']['y']}"))
    if d.conflict:
        words.append(f"{d.conflict.reason}:{','.join(d.conflict.fields)}")
    return tuple(words)


@pytest.mark.parametrize("strategy", [Strategy.ours, Strategy.theirs])
def test_a_strategy_settles_every_conflict(strategy: Strategy) -> None:
    d = decide(Versions(BASE, obj(x=2, y=5), obj(x=3, y=1, z=7)), strategy)
    assert d.conflict is None
    want = 3 if strategy is Strategy.ours else 2
    for write, old in ((d.cluster, obj(x=3, y=1, z=7)), (d.git, obj(x=2, y=5))):
        value = write.value if write else old
        assert value == obj(x=want, y=5, z=7)


def test_the_winner_of_a_removed_map_keeps_all_of_it() -> None:
    base = obj(a={"p": 1, "q": 2})
    git, live = obj(), obj(a={"p": 9, "q": 2})
    d = decide(Versions(Base(base, base), git, live), Strategy.ours)
    assert d.git is not None
    assert d.git.value == live


def test_what_the_server_defaulted_is_no_change() -> None:
    base = Base(obj(x=1, unknown=True), obj(x=1, defaulted=5))
    d = decide(Versions(base, obj(x=2, unknown=True), obj(x=1, defaulted=5)))
    assert d.cluster is not None
    assert d.cluster.value == obj(x=2, defaulted=5)
    assert d.git is None


def test_items_of_a_keyed_list_merge_apart() -> None:
    def steps(*pairs: tuple[str, int]) -> dict[str, Any]:
        return obj(steps=[{"name": n, "v": v} for n, v in pairs])

    base = steps(("a", 1), ("b", 1))
    d = decide(Versions(Base(base, base), steps(("a", 2), ("b", 1), ("g", 1)), steps(("c", 1), ("a", 1), ("b", 5))))
    assert d.conflict is None
    merged = steps(("c", 1), ("a", 2), ("b", 5), ("g", 1))
    assert d.cluster is not None and d.git is not None
    assert d.cluster.value == merged
    assert d.git.value == merged


def test_keys_left_out_stand_for_their_default() -> None:
    keys = lambda path: (("port", ABSENT), ("protocol", "TCP")) if path == ("ports",) else None  # noqa: E731
    git = {"ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}]}
    live = {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP"}]}
    after = copy.deepcopy(live)
    after["ports"][0]["name"] = "web"
    changes = diff(live, after, keys)
    assert apply(changes, git) == {"ports": [{"port": 80, "name": "web"}, {"port": 80, "protocol": "UDP"}]}
    assert format_path(changes[0].path) == "ports[port=80,protocol=TCP].name"


def test_both_sides_add_to_one_list() -> None:
    def steps(*names: str) -> dict[str, Any]:
        return obj(steps=[{"name": n} for n in names])

    d = decide(Versions(Base(steps("a", "b"), steps("a", "b")), steps("a", "b", "y"), steps("a", "b", "x")))
    assert d.git is not None and d.cluster is not None
    assert d.git.value == d.cluster.value == steps("a", "b", "x", "y")


SCALARS = st.sampled_from([None, True, False, 0, 1, 2, "", "a"])
NAMED: st.SearchStrategy[Any] = st.lists(st.sampled_from("abcd"), unique=True, max_size=4).flatmap(
    lambda names: st.tuples(*(st.builds(lambda v, n=n: {"name": n, "v": v}, SCALARS) for n in names)).map(list)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.dictionaries(st.sampled_from("pqr"), inner, max_size=3) | st.lists(inner, max_size=3) | NAMED,
    max_leaves=12,
)
SPECS = st.dictionaries(st.sampled_from("pqrs"), VALUES, max_size=4).map(lambda spec: obj(**spec))


@given(SPECS, SPECS)
def test_a_diff_applied_gives_the_new_value(old: Any, new: Any) -> None:
    assert same(apply(diff(old, new), old), new)


STEPS = st.permutations("abcde").flatmap(
    lambda p: st.integers(0, 5).map(lambda n: obj(steps=[{"name": c} for c in p[:n]]))
)


@given(STEPS, STEPS, STEPS, st.sampled_from(Strategy))
def test_a_list_ends_in_one_order_on_both_sides(base: Any, git: Any, live: Any, strategy: Strategy) -> None:
    d = decide(Versions(Base(base, base), git, live), strategy)
    assert d.conflict is None or strategy is Strategy.merge
    if d.conflict is None:
        assert same(d.git.value if d.git else git, d.cluster.value if d.cluster else live)


@given(SPECS, SPECS, SPECS, st.sampled_from(Strategy))
def test_both_sides_equal_after_a_merge_without_conflict(base: Any, git: Any, live: Any, strategy: Strategy) -> None:
    d = decide(Versions(Base(base, base), git, live), strategy)
    if d.conflict:
        assert strategy is Strategy.merge or d.conflict.fields
        return
    new_git = d.git.value if d.git else git
    new_live = d.cluster.value if d.cluster else live
    assert same(new_git, new_live)
    assert decide(Versions(Base(new_git, new_live), new_git, new_live)).settled


@given(SPECS, SPECS, SPECS)
def test_no_edit_is_lost(base: Any, git: Any, live: Any) -> None:
    """Each side's change is in the result, or in a conflict that names it or something above or below it."""
    d = decide(Versions(Base(base, base), git, live))
    result = d.cluster.value if d.cluster else live
    if d.conflict:
        assert d.conflict.fields
        return
    for side in (git, live):
        assert not [c for c in diff(base, side) if _lost(c, result)]


def _lost(change: Any, result: Any) -> bool:
    if not isinstance(change.path[-1], str):
        return False
    found = get(result, change.path)
    return found is not change.new if change.new is ABSENT else not same(found, change.new)


@given(SPECS, SPECS, SPECS)
def test_what_was_not_carried_is_still_ahead(base: Any, git: Any, live: Any) -> None:
    d = decide(Versions(Base(base, base), git, live))
    if d.conflict or not d.remote_ahead:
        return
    pulled = d.cluster.value if d.cluster else live
    after = rebase(d, git, pulled, pulled=True, pushed=False)
    again = decide(Versions(after, git, pulled))
    assert not again.remote_ahead
    assert again.local_ahead == d.local_ahead


def test_theirs_takes_a_created_pipeline_over_whole() -> None:
    git, live = {"spec": {"a": 1}}, {"spec": {"a": 1, "more": {"b": 2}}}
    decision = decide(Versions(None, git, live), Strategy.theirs)
    assert decision.cluster == Write(git)


@pytest.mark.parametrize(
    ("agreed", "git", "live", "stored", "back"),
    [
        pytest.param(obj(), obj(x=1), obj(), obj(x=1), ["spec.x"], id="stored by now"),
        pytest.param(obj(), obj(x=1), obj(), obj(), [], id="not stored yet"),
        pytest.param(obj(), obj(x=2), obj(), obj(x=2), [], id="another value since: git's own change"),
        pytest.param(obj(), obj(), obj(), obj(x=1), [], id="gone from git"),
        pytest.param(obj(), obj(x=1), obj(x=3), obj(x=1), [], id="somebody set it in the cluster"),
        pytest.param(obj(x=1), obj(x=1), obj(), obj(x=1), [], id="it was stored, and somebody removed it"),
    ],
)
def test_what_the_server_did_not_store_is_gits_to_bring_in_once_it_does(
    agreed: Any, git: Any, live: Any, stored: Any, back: list[str]
) -> None:
    base = Base(obj(x=1), agreed)
    versions = Versions(base, git, live)
    since = with_storable(base, unstored(versions, base), stored)
    assert [format_path(c.path) for c in diff(since.git, base.git)] == back
    assert since.live == agreed
    if back:
        decision = decide(Versions(since, git, live))
        assert decision.cluster == Write(git)
        assert decision.git is None
