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
    let_go = "it was ours, and spec.resources asks for other labels now"


def claim(selects: Selects, base: Base | None, git: Json | None, live: Json | None) -> Claim:
    """Whose an item is.

    `git` and `live`: it as a whole, None: not there. A label that was agreed on by one side alone (it is ignored, say) holds
    as long as that side has it.
    """
    if selects(live) or selects(git):
        return Claim.ours
    if base is None:
        return Claim.nobodys
    if live is None and git is None:
        return Claim.ours
    return Claim.ours if selects(base.live) or selects(base.git) else Claim.let_go
