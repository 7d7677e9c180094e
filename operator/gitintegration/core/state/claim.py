"""Whether an item is an integration's: what its labels say on both sides, and what they said when both sides agreed."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from gitintegration.core.merge import Base
from gitintegration.core.values import Json

Selects = Callable[[Json | None], bool]
"""Whether a manifest or an object has the labels that are asked for; nothing has none."""


class Claim(Enum):
    ours = "it is synced"
    nobodys = "it never was ours"
    moved = "it was ours, and its object bears other labels now"
    let_go = "it was ours, and other labels are asked for now"


def claim(selects: Selects, base: Base | None, git: Json | None, live: Json | None, *, released: bool = False) -> Claim:
    """Whose an item is. Where there is an object, its labels say it.

    `git` and `live`: it as a whole, None: not there. A label that was agreed on by one side alone (it is ignored, say) holds
    as long as that side has it. `released`: its object's labels went elsewhere before; what became of the object since is no
    concern of ours, unless somebody edited the file.
    """
    if base is None:
        return Claim.ours if selects(live) or selects(git) else Claim.nobodys
    if live is None and git is None:
        return Claim.ours
    if live is None:
        if released:
            return Claim.moved
        return Claim.ours if any(map(selects, (git, base.live, base.git))) else Claim.let_go
    if selects(live):
        return Claim.ours
    if selects(base.live):
        return Claim.moved
    return Claim.ours if selects(git if git is not None else base.git) else Claim.let_go
