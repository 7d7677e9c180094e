"""The three-way merge of one item. Pure: two bases and two present values in, a decision out.

The base is a pair, because the two sides never hold quite the same value: the API server defaults, prunes and
normalises. Each side's changes are found within its own space (`base.live` to `live`, `base.git` to `git`) and applied
to the other. What the server did to a manifest is thus in both of its values, and never a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from gitintegration.core.diff import (
    ABSENT,
    ORDER,
    Change,
    Item,
    ListKeys,
    Path,
    UnappliableError,
    apply,
    diff,
    format_path,
    get,
    inverses,
    is_within,
    merge_order,
    moved,
    no_list_keys,
    same,
)
from gitintegration.core.values import Json


class Strategy(StrEnum):
    """Who wins a conflict: nobody, the cluster (ours), or the repository (theirs)."""

    merge = "merge"
    ours = "ours"
    theirs = "theirs"


class ConflictReason(StrEnum):
    BothModified = "BothModified"
    BothCreated = "BothCreated"
    DeletedInGit = "DeletedInGit"
    DeletedInCluster = "DeletedInCluster"


@dataclass(frozen=True, slots=True)
class Base:
    """What both sides agreed on last, as each of them held it."""

    git: Json
    live: Json


@dataclass(frozen=True, slots=True)
class Versions:
    """All that is known of one item; None: not there."""

    base: Base | None
    git: Json | None
    live: Json | None
    git_as_live: Json | None = None
    """The manifest as the API server would store it (a dry run), asked for only where there is no base to tell, or where
    both sides changed one field: it may be the same change, normalised."""


@dataclass(frozen=True, slots=True)
class Conflict:
    reason: ConflictReason
    paths: tuple[Path, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that disagree, for people."""
        return tuple(dict.fromkeys(format_path(path) for path in self.paths))


class Take(StrEnum):
    """Whose value a field in conflict gets: the cluster's, git's, or the one that both had before."""

    ours = "ours"
    theirs = "theirs"
    base = "base"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What somebody decided of one field in conflict. `take` None: it gets `value` on both sides."""

    take: Take | None
    value: Json = None


Settlements: TypeAlias = Mapping[str, Settlement]
"""By field, as a conflict names it."""
UNSETTLED: Settlements = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Write:
    """Make this side hold `value`; None: delete the item there."""

    value: Json | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is ahead on each side, and what each side should become. Modes and limits are laid over it later."""

    local: tuple[Change, ...] = ()
    """The cluster's changes since the base that git does not have."""
    remote: tuple[Change, ...] = ()
    """Git's changes since the base that the cluster does not have."""
    conflict: Conflict | None = None
    cluster: Write | None = None
    git: Write | None = None
    local_ahead: bool = field(default=False)
    remote_ahead: bool = field(default=False)
    overlapping: bool = field(default=False)
    """Both sides changed one field to values that look different."""

    @property
    def settled(self) -> bool:
        """Nothing is ahead: the two present values are the new base."""
        return not (self.local_ahead or self.remote_ahead or self.conflict)


def decide(
    v: Versions,
    strategy: Strategy = Strategy.merge,
    list_keys: ListKeys = no_list_keys,
    settled: Settlements = UNSETTLED,
) -> Decision:
    """The table of what a sync means, for one item. `settled` goes before the strategy."""
    if v.base is None:
        return _without_base(v, strategy, list_keys, settled)
    if v.git is None or v.live is None:
        return _with_delete(v, v.base, strategy, list_keys)
    local = diff(v.base.live, v.live, list_keys)
    remote = diff(v.base.git, v.git, list_keys)
    local, remote = _open(local, v.git, remote), _open(remote, v.live, local)
    if v.git_as_live is not None:
        local, remote = _converged(local, remote, v.git_as_live, v.live)
    disputed = _lists(_overlaps(local, remote)) if settled else set()
    if settled:
        local, remote = _settle_fields(v, v.base, local, remote, settled)
    merged = _merged(v.git, v.live, local, remote, strategy, ConflictReason.BothModified)
    if strategy is not Strategy.merge and merged.overlapping:
        disputed = _lists(_overlaps(local, remote))
    return _in_one_order(merged, disputed, strategy, list_keys) if disputed else merged


def revert(v: Versions, base: Base, list_keys: ListKeys = no_list_keys) -> Decision:
    """What becomes of an item that the cluster edited, where git always wins: as if nobody had edited it there."""
    if v.git is None:
        return Decision(cluster=Write(None), remote_ahead=True)
    if v.live is None:
        return Decision(cluster=Write(v.git), remote_ahead=True)
    unedited = decide(Versions(base, v.git, base.live), Strategy.theirs, list_keys)
    goal = unedited.cluster.value if unedited.cluster else base.live
    if same(goal, v.live):
        return Decision()
    return Decision(remote=unedited.remote, cluster=Write(goal), remote_ahead=True)


def may_be_the_servers(changes: Sequence[Change]) -> bool:
    """Whether a live object's changes may hold what the server did: a field that came or went, or beside another one.

    One value that became another is somebody's edit.
    """
    return len(changes) > 1 or any(c.old is ABSENT or c.new is ABSENT for c in changes)


def with_servers_changes(base: Base, live: Json, stored: Json, list_keys: ListKeys = no_list_keys) -> Base:
    """The base with what the server, and nobody else, did to the live side since.

    `stored` is what the server makes now of the manifest that was agreed on: a field that left the schema is not in it, a default
    that came is, and what a webhook adds. Changes of the live object that it holds as well are no edit.
    """
    return without(base, [c for c in diff(base.live, live, list_keys) if _is_in(stored, live, c)])


def without(base: Base, changes: Sequence[Change]) -> Base:
    """The base that holds these changes of the live side already: they are nobody's edits."""
    try:
        return Base(base.git, apply(changes, base.live)) if changes else base
    except UnappliableError:
        return base


def unstored(v: Versions, base: Base, list_keys: ListKeys = no_list_keys) -> list[Change]:
    """What git holds still and the live side still lacks since both were agreed on: the server did not store it then."""
    if base.git is base.live:
        return []
    missing = [c for c in diff(base.live, base.git, list_keys) if c.old is ABSENT and c.path[-1:] != (ORDER,)]
    return [c for c in missing if get(v.live, c.path) is ABSENT and alike(get(v.git, c.path), c.new)]


def with_storable(base: Base, missing: Sequence[Change], stored: Json) -> Base:
    """The base without what of the missing the server would store by now: git has it to bring in still.

    `stored` is what the server makes now of git's manifest.
    """
    back = inverses(c for c in missing if get(stored, c.path) is not ABSENT)
    return Base(apply(back, base.git), base.live) if back else base


def _is_in(stored: Json, live: Json, change: Change) -> bool:
    if change.path[-1:] == (ORDER,):
        return holds(stored, change)
    return alike(get(stored, change.path), get(live, change.path))


def _converged(
    local: list[Change], remote: list[Change], stored: Json, live: Json
) -> tuple[list[Change], list[Change]]:
    """Without the changes that are the same once the API server has stored them."""
    left = [c for c in remote if c.path[-1:] == (ORDER,) or not alike(get(stored, c.path), get(live, c.path))]
    return [c for c in local if not holds(stored, c)], left


def alike(a: Json, b: Json) -> bool:
    """Whether two values, or their absence, are the same."""
    return a is b if a is ABSENT or b is ABSENT else same(a, b)


def _without_base(v: Versions, strategy: Strategy, list_keys: ListKeys, settled: Settlements) -> Decision:
    if v.git is None and v.live is None:
        return Decision()
    if v.git is None:
        return Decision(git=Write(v.live), local_ahead=True)
    if v.live is None:
        return Decision(cluster=Write(v.git), remote_ahead=True)
    stored = v.git if v.git_as_live is None else v.git_as_live
    changes = diff(stored, v.live, list_keys)
    if not changes or same(v.git, v.live):
        return Decision()
    to_git, contested = list[Change](), list[Change]()
    for change in changes:
        match settled.get(format_path(change.path)) or _BY_STRATEGY.get(strategy):
            case Settlement(Take.ours):
                to_git.append(change)
            case Settlement(Take.theirs):
                pass
            case Settlement(None, value) if change.path[-1:] != (ORDER,):
                to_git.append(Change(change.path, change.old, value))
            case _:
                contested.append(change)
    back = diff(v.live, apply(to_git, stored), list_keys)
    if contested:
        conflict = Conflict(ConflictReason.BothCreated, _paths(c.path for c in contested))
        return Decision(tuple(changes), tuple(back), conflict, None, None, local_ahead=True, remote_ahead=True)
    return Decision(
        local=tuple(to_git),
        remote=tuple(back),
        git=Write(apply(to_git, v.git)) if to_git else None,
        cluster=Write(apply(back, v.live)) if back else None,
        local_ahead=bool(to_git),
        remote_ahead=bool(back),
    )


_BY_STRATEGY = {Strategy.ours: Settlement(Take.ours), Strategy.theirs: Settlement(Take.theirs)}


def _with_delete(v: Versions, base: Base, strategy: Strategy, list_keys: ListKeys) -> Decision:
    if v.git is None and v.live is None:
        return Decision()
    if v.git is None:
        changes = diff(base.live, v.live, list_keys)
        if not changes:
            return Decision(cluster=Write(None), remote_ahead=True)
        if strategy is Strategy.merge:
            conflict = Conflict(ConflictReason.DeletedInGit, _paths(c.path for c in changes))
            return Decision(local=tuple(changes), conflict=conflict, local_ahead=True, remote_ahead=True)
        if strategy is Strategy.ours:
            return Decision(local=tuple(changes), git=Write(v.live), local_ahead=True)
        return Decision(cluster=Write(None), remote_ahead=True)
    changes = diff(base.git, v.git, list_keys)
    if not changes:
        return Decision(git=Write(None), local_ahead=True)
    if strategy is Strategy.merge:
        conflict = Conflict(ConflictReason.DeletedInCluster, _paths(c.path for c in changes))
        return Decision(remote=tuple(changes), conflict=conflict, local_ahead=True, remote_ahead=True)
    if strategy is Strategy.theirs:
        return Decision(remote=tuple(changes), cluster=Write(v.git), remote_ahead=True)
    return Decision(git=Write(None), local_ahead=True)


def _merged(
    git: Json, live: Json, local: list[Change], remote: list[Change], strategy: Strategy, reason: ConflictReason
) -> Decision:
    pairs = _overlaps(local, remote)
    if pairs and strategy is Strategy.merge:
        return _conflicting(local, remote, pairs, reason)
    if pairs:
        local, remote = _settle(pairs, local, remote, git, live, strategy)
    theirs_first = strategy is Strategy.theirs
    to_git = _one_order(local, remote, first=not theirs_first)
    to_live = _one_order(remote, local, first=theirs_first)
    try:
        new_live, new_git = apply(to_live, live), apply(to_git, git)
    except UnappliableError as error:
        fields = _paths(c.path for c in (*local, *remote)) or ((str(error),),)
        return Decision(tuple(local), tuple(remote), Conflict(reason, fields), None, None, bool(local), bool(remote))
    to_cluster, to_repository = not same(new_live, live), not same(new_git, git)
    return Decision(
        local=tuple(local) if to_repository else (),
        remote=tuple(remote) if to_cluster else (),
        cluster=Write(new_live) if to_cluster else None,
        git=Write(new_git) if to_repository else None,
        local_ahead=to_repository,
        remote_ahead=to_cluster,
        overlapping=bool(pairs),
    )


def _lists(pairs: Iterable[tuple[Change, Change]]) -> set[Path]:
    """The lists that the sides disagree on an item of."""
    return {c.path[:n] for pair in pairs for c in pair for n, step in enumerate(c.path) if isinstance(step, Item)}


def _in_one_order(d: Decision, lists: Set[Path], strategy: Strategy, list_keys: ListKeys) -> Decision:
    """The decision where an item that one side removed and has again stands where the other has it."""
    if d.git is None or d.cluster is None or d.git.value is None or d.cluster.value is None:
        return d
    leads, follows = (d.cluster, d.git) if strategy is Strategy.ours else (d.git, d.cluster)
    changes = diff(follows.value, leads.value, list_keys)
    orders = [c for c in changes if c.path[-1:] == (ORDER,) and c.path[:-1] in lists]
    moved_to = Write(apply(orders, follows.value))
    return replace(d, git=moved_to) if follows is d.git else replace(d, cluster=moved_to)


def _settle_fields(
    v: Versions, base: Base, local: list[Change], remote: list[Change], settled: Settlements
) -> tuple[list[Change], list[Change]]:
    """The changes of both sides where the fields that they disagree on and that are settled are as was decided."""
    pairs: dict[Path, list[tuple[Change, Change]]] = {}
    for ours, theirs in _overlaps(local, remote):
        pairs.setdefault(_place(ours, theirs), []).append((ours, theirs))
    for path, disagreeing in pairs.items():
        is_order = path[-1:] == (ORDER,)
        match settled.get(format_path(path)):
            case Settlement(Take.ours | Take.theirs as take) if is_order:
                lost = {id(theirs if take is Take.ours else ours) for ours, theirs in disagreeing}
                local, remote = [c for c in local if id(c) not in lost], [c for c in remote if id(c) not in lost]
            case Settlement(Take.ours | Take.theirs as take):
                local, remote = _settle(disagreeing, local, remote, v.git, v.live, Strategy(take.value))
            case Settlement(take, value) if not is_order:
                value = get(base.git, path) if take is Take.base else value
                local = [*_outside(path, local), Change(path, get(v.git, path), value)]
                remote = [*_outside(path, remote), Change(path, get(v.live, path), value)]
    return local, remote


def _outside(path: Path, changes: list[Change]) -> list[Change]:
    return [c for c in changes if not is_within(c.path, path)]


def _open(changes: list[Change], other: Json, others: list[Change]) -> list[Change]:
    """The changes that the other side does not hold already: an equal change on both sides has converged.

    Two differing orders of one list stay, both: neither can be judged without the other.
    """
    reordered = {c.path: c.new for c in others if c.path[-1:] == (ORDER,)}
    return [c for c in changes if (c.path in reordered and reordered[c.path] != c.new) or not holds(other, c)]


def holds(value: Json, change: Change) -> bool:
    """Whether `value` is so already where the change would make it so."""
    if change.path[-1:] == (ORDER,):
        items = get(value, change.path[:-1])
        there = isinstance(items, list) and all(any(step.matches(i) for i in items) for step in change.new)
        return there and _is_no_change(change, value)
    return alike(get(value, change.path), change.new)


def _is_no_change(change: Change, value: Json) -> bool:
    try:
        return same(apply([change], value), value)
    except UnappliableError:
        return False


def _overlaps(local: list[Change], remote: list[Change]) -> list[tuple[Change, Change]]:
    """Pairs of changes, one of each side, that speak of the same field and disagree."""
    by_path = {c.path: (c,) for c in remote}
    prefixes: dict[Path, list[Change]] = {}
    for change in remote:
        for length in range(len(change.path)):
            prefixes.setdefault(change.path[:length], []).append(change)
    pairs: list[tuple[Change, Change]] = []
    for ours in local:
        for length in range(len(ours.path) + 1):
            pairs.extend((ours, theirs) for theirs in by_path.get(ours.path[:length], ()))
        pairs.extend((ours, theirs) for theirs in prefixes.get(ours.path, ()))
    return [pair for pair in pairs if not _agree(*pair)]


def _one_order(changes: list[Change], others: list[Change], *, first: bool) -> list[Change]:
    """`changes` with one common order for each list that both sides put in an order of their own.

    `first` says that these changes are the side whose order stands where both moved the same items.
    """
    orders = {c.path: c for c in others if c.path[-1:] == (ORDER,)}
    result = []
    for change in changes:
        if other := orders.get(change.path):
            a, b = (change, other) if first else (other, change)
            result.append(Change(change.path, (), tuple(merge_order(a.old, a.new, b.new))))
        else:
            result.append(change)
    return result


def _agree(a: Change, b: Change) -> bool:
    if a.path[-1:] == (ORDER,) and b.path == a.path:
        return not (moved(a.old, a.new) and moved(b.old, b.new))
    if a.new is ABSENT or b.new is ABSENT:
        return a.new is b.new
    return a.path == b.path and same(a.new, b.new)


def _conflicting(
    local: list[Change], remote: list[Change], pairs: list[tuple[Change, Change]], reason: ConflictReason
) -> Decision:
    paths = _contested(pairs)
    return Decision(tuple(local), tuple(remote), Conflict(reason, paths), None, None, bool(local), bool(remote), True)


def contested(base: Base, git: Json, live: Json, list_keys: ListKeys = no_list_keys) -> tuple[Path, ...]:
    """The fields that both sides changed since the base, and disagree on; orders of lists apart."""
    pairs = _overlaps(diff(base.live, live, list_keys), diff(base.git, git, list_keys))
    return tuple(path for path in _contested(pairs) if path[-1:] != (ORDER,))


def _contested(pairs: Sequence[tuple[Change, Change]]) -> tuple[Path, ...]:
    return _paths(_place(a, b) for a, b in pairs)


def _place(a: Change, b: Change) -> Path:
    """The field that two changes disagree on: the outer of their paths."""
    return min(a.path, b.path, key=len)


def _settle(
    pairs: list[tuple[Change, Change]],
    local: list[Change],
    remote: list[Change],
    git: Json,
    live: Json,
    strategy: Strategy,
) -> tuple[list[Change], list[Change]]:
    """Drop the loser's changes; where the paths differ, carry the winner's whole value at the shorter one.

    Orders are left to `_one_order`, which needs both.
    """
    pairs = [(a, b) for a, b in pairs if a.path[-1:] != (ORDER,)]
    ours_win = strategy is Strategy.ours
    lost = {id(b if ours_win else a) for a, b in pairs}
    local, remote = [c for c in local if id(c) not in lost], [c for c in remote if id(c) not in lost]
    winner, value, other = (local, live, git) if ours_win else (remote, git, live)
    for path in {_place(a, b) for a, b in pairs if a.path != b.path}:
        winner[:] = [c for c in winner if not is_within(c.path, path)]
        winner.append(Change(path, get(other, path), get(value, path)))
    return local, remote


def _paths(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(paths))


def rebase(decision: Decision, git: Json | None, live: Json | None, *, pulled: bool, pushed: bool) -> Base | None:
    """The base after a write, when only some of what is ahead was carried.

    `git` and `live` are the values as they now stand. What was not carried is taken back out of the base, so that it is
    still found ahead the next time. None where nothing is agreed on, or that can't be told.
    """
    if git is None or live is None:
        return None
    try:
        base_live = live if pushed else apply(inverses(decision.local), live)
        base_git = git if pulled else apply(inverses(decision.remote), git)
    except UnappliableError:
        return None
    return Base(base_git, base_live)
