"""What became of what was logged, read off the sides it was to be written to.

Without it, what an ended process wrote would look like somebody's edit: a delete that follows would be taken back, and another
edit of the same field would be a conflict.
"""

from __future__ import annotations

from gitintegration.core.diff import (
    ABSENT,
    Change,
    ListKeys,
    Path,
    UnappliableError,
    apply,
    diff,
    get,
    is_within,
    no_list_keys,
)
from gitintegration.core.merge import Base, alike, contested, holds
from gitintegration.core.state.record import Intent, Pushes, SideIntent
from gitintegration.core.values import Json


def recover(
    base: Base | None,
    intent: Intent | None,
    pushes: Pushes | None,
    git: Json | None,
    live: Json | None,
    *,
    stored: Json | None = None,
    list_keys: ListKeys = no_list_keys,
) -> Base | None:
    """Give the base as a checkpoint would have left it, as far as the two sides as they are now bear out what was logged.

    `pushes`: those that git would show by now. `stored`: the goal of a new object as the API server would store it; without it a
    new object stays in doubt. A field that the side it was written to does not hold (any more) stays as the old base has it.
    """
    cluster = intent.cluster if intent else SideIntent(live, live)
    if cluster.is_gone:
        return None if live is None else base
    landed = pushes.bases[::-1] if pushes else ()
    if git is None and None in landed:
        return None
    if cluster.is_new:
        return Base(intent.git.goal, stored) if intent and _holds_all(live, stored, list_keys) else base
    before = pushes.before if pushes else None
    if before is None and (made := [b for b in landed if b and _holds_all(git, b.git, list_keys)]):
        return max(made, key=lambda b: len(diff({}, b.git, list_keys)))  # the one that leaves least to somebody else
    if base is None:
        return None
    decided = _contested(base, intent, git, live, list_keys) if intent else {}
    written = [(cluster.before, cluster.goal, live), *((before, then.git, git) for then in landed if then)]
    agreed = [
        change
        for was, goal, now in written
        if None not in (was, goal, now)
        for change in diff(was, goal, list_keys)
        if holds(now, change) and not any(is_within(change.path, path) for path in decided)
    ]
    agreed += [change for change in decided.values() if change is not None]
    try:
        return Base(apply(agreed, base.git), apply(agreed, base.live))
    except UnappliableError:
        return base


def _contested(
    base: Base, intent: Intent, git: Json | None, live: Json | None, list_keys: ListKeys
) -> dict[Path, Change | None]:
    """What becomes of the base in each field that was in conflict, and decided.

    Where one side has what was decided and the other is as it was, the base is as the other: so the change is found ahead, and
    carried on.
    """
    sides = (intent.git, git), (intent.cluster, live)
    if any(value is None for side, now in sides for value in (side.before, side.goal, now)):
        return {}
    found: dict[Path, Change | None] = {}
    for path in contested(base, intent.git.before, intent.cluster.before, list_keys):
        done = [alike(get(now, path), get(side.goal, path)) for side, now in sides]
        waiting = [now for side, now in sides if alike(get(now, path), get(side.before, path))]
        if all(done):
            found[path] = Change(path, ABSENT, get(git, path))
        elif any(done) and waiting:
            behind = git if not done[0] else live
            found[path] = Change(path, ABSENT, get(behind, path)) if any(behind is now for now in waiting) else None
        else:
            found[path] = None
    return found


def _holds_all(now: Json | None, wanted: Json | None, list_keys: ListKeys) -> bool:
    return now is not None and wanted is not None and all(holds(now, c) for c in diff({}, wanted, list_keys))
