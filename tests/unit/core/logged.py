"""What is logged of a write to both sides."""

from __future__ import annotations

from gitintegration.core.merge import Base
from gitintegration.core.state.record import Intent, Pushes


def push_of(intent: Intent) -> Pushes | None:
    """The push that goes with an intent, by now seen to have landed or not; None where nothing goes to git."""
    git, live = intent.git.goal, intent.cluster.goal
    if git == intent.git.before:
        return None
    return Pushes("head", intent.git.before, (None if git is None or live is None else Base(git, live),))
