"""What the operator keeps in memory of one integration: what git holds, what was agreed, what is open.

All of it can be had again from the repository and the cluster; it is here so that a sync costs what changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias

from gitintegration.core.people import UNSEEN
from gitintegration.core.plan.authors import Authors
from gitintegration.core.state.contest import Contest
from gitintegration.core.state.evidence import Behind
from gitintegration.core.state.record import ItemCodec, ItemRecord, Proposal
from gitintegration.core.state.shards import ShardedRecords
from gitintegration.core.state.table import ItemTable
from gitintegration.core.values import ObjectKey
from gitintegration.core.verdict import Verdict
from gitintegration.errors import GitIntegrationError
from gitintegration.git.remote import Remote
from gitintegration.git.verifying import Trust
from gitintegration.session.declined import Declined
from gitintegration.session.git_index import GitIndex


@dataclass(frozen=True, slots=True)
class ReviewBranch:
    """The review branch as it was left."""

    branch: str
    commit: str | None
    follows: bool
    """Whether it holds all of the default branch."""


_EDITORS, _EDITED = 10, 10_000
"""People that are remembered of one item, and items that any are remembered of."""

Restored: TypeAlias = Mapping[ObjectKey, tuple[str, str]]
"""Of objects that were brought back as a commit had them: their version since, and that commit; empty: from another branch."""
NOTHING_RESTORED: Restored = {}


@dataclass(slots=True)
class SyncSession:
    """One integration, from its first sync to its end or the operator's."""

    uid: str
    directory: Path
    index: GitIndex = field(default_factory=GitIndex)
    records: ShardedRecords[ItemRecord] = field(default_factory=lambda: ShardedRecords(ItemCodec()))
    """What both sides agreed on last, and what is in flight; empty until it is loaded."""
    table: ItemTable = field(default_factory=lambda: ItemTable({}))
    loaded: bool = False
    logs: bool = True
    """Whether what is written is an agreement of both sides, and is logged before."""
    resume_point: tuple[str, str] | None = None
    """The commit at which the process before this one left both sides the same, and the digest of what was agreed on then;
    until this one reads what git holds."""
    away: dict[tuple[str, str], GitIntegrationError] = field(default_factory=dict)
    """Kinds that could not be read in the present run, by group and kind, and why."""
    remade: set[tuple[str, str]] = field(default_factory=set)
    """Kinds that are defined anew since both sides agreed: their objects went with the old definition."""
    returned: set[tuple[str, str]] = field(default_factory=set)
    """Kinds that are served again, of which it is not known whether their objects are the ones they were."""
    redefined: set[tuple[str, str]] = field(default_factory=set)
    """Kinds whose schema became another since both sides agreed: what the server did not store then, it may store now."""
    selection: str | None = None
    """The kinds and labels that all items were looked at for."""
    let_go: dict[ObjectKey, None] = field(default_factory=dict)
    """What was synced, and is not any more since `selection` is as it is."""
    untold: list[ObjectKey] = field(default_factory=list)
    """What of it nobody was told of yet."""
    nudges: dict[str, set[ObjectKey]] = field(default_factory=dict)
    """What other integrations have to look at, by their names."""
    remote: Remote | None = None
    connection: Mapping[str, object] | None = None
    scope: str = ""
    """What the index was made for: another prefix, kinds or ignore patterns make it anew."""
    ignore_blob: str | None = None
    ignore_text: str = ""
    proposals: ShardedRecords[Proposal] | None = None
    """What was offered for review, where that is asked for."""
    review_heads: tuple[str | None, str | None] | None = None
    """Heads of review branch and default branch that were last brought together."""
    review_branch: ReviewBranch | None = None
    pull_request: Mapping[str, Any] | None = None
    """As the forge told it last; `pull_request_is_current` says that it holds all that was offered."""
    pull_request_is_current: bool = True
    contest: Contest = field(default_factory=Contest)
    """What is written, and put back by others."""
    rested: Collection[tuple[str, str]] = ()
    """Kind and name of what rested for that when an earlier process ended, until this one begins."""
    declined: Declined = field(default_factory=Declined)
    """What the server declined to take into a push."""
    looked_at: bool = False
    """An operation looked at what moved, and carried no more of it than it was asked to: the next sync carries the rest."""
    restored: dict[ObjectKey, tuple[str, str]] = field(default_factory=dict)
    """What a commit is to tell as restored."""
    rewritten: str | None = None
    behind: Behind | None = None
    """A head that went back and is not believed yet."""
    branch: str | None = None
    """The branch that all this is of."""
    elsewhere: str = ""
    """Where manifests lie, in words, while none lies below the prefix."""
    looked_elsewhere: tuple[str, str] | None = None
    """The commit in which that was looked for, and the scope."""
    history: list[dict[str, object]] | None = None
    edits: dict[ObjectKey, tuple[str, ...]] = field(default_factory=dict)
    """Who edited what is not carried yet, each in the order of their edits, UNSEEN in front where there may have been others;
    what was edited last stands last."""
    verified: str | None = None
    """The last commit that was verified, or made of our own."""
    own: Verdict | None = None
    """Of the last verified commit, where it is the operator's own: it stays so when it signs with another key."""
    judged: tuple[tuple[str, Trust], Verdict] | None = None
    """What was found of the head that was looked at last, by whom was trusted then."""
    reasons: dict[ObjectKey, str] = field(default_factory=dict)
    """Of edits that are carried; they are to be taken off their objects."""
    authors: dict[ObjectKey, tuple[str, Authors]] = field(default_factory=dict)
    """Who made the conflicts that are shown, and the mark of what they were looked for."""
    told: Sequence[Mapping[str, Any]] = ()
    """Conflicts with their authors, as an earlier process told them in the status."""
    last_seen: str | None = None
    """The branch's head as an earlier process told it in the status, or as it was before the branch went."""

    def reset_git(self) -> None:
        """Forget what was read from git; the cache is fetched anew."""
        self.index = GitIndex()
        self.scope = ""
        self.ignore_blob = None

    def edited(self, key: ObjectKey, user: str, *, follows: bool = True) -> None:
        """Somebody edited it. `follows`: nobody did between what was known of it and this."""
        before = self.edits.pop(key, ())
        known = [other for other in before if other not in (UNSEEN, user)]
        unseen = [UNSEEN] if not follows or UNSEEN in before or len(known) >= _EDITORS else []
        self.edits[key] = (*unseen, *known[1 - _EDITORS :], user)
        if len(self.edits) > _EDITED:  # what is none of the integration's is never carried
            del self.edits[next(iter(self.edits))]

    def doubt(self, group: str, kind: str) -> None:
        """Nobody is to be believed that says who edited these."""
        self.edits |= {key: (UNSEEN,) for key in self.edits if (key.group, key.kind) == (group, kind)}

    def release(self, key: ObjectKey) -> None:
        """It is synced no more; what both sides hold of it stays."""
        self.records.delete(key)
        self.tell_of(key)

    def tell_of(self, key: ObjectKey) -> None:
        """It was let go."""
        if key not in self.let_go:
            self.let_go[key] = None
            self.untold.append(key)

    def remember(self, records: ShardedRecords[ItemRecord]) -> None:
        """Begin with what is stored."""
        self.records, self.table, self.loaded = records, ItemTable(records.marks, records.in_doubt), True

    def leave_source(self) -> None:
        """Forget all that was known of another repository, branch or prefix, but for its memories, which are empty by now."""
        fresh = SyncSession(self.uid, self.directory)
        fresh.remember(self.records)
        fresh.selection = self.selection
        for each in fields(self):
            setattr(self, each.name, getattr(fresh, each.name))
