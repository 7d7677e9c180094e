"""What one run works on: the request, its items, and the stats of what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from gitintegration.api.base_model import PIPELINE_ID
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.api.names import split_api_version
from gitintegration.commits.files import CommitText, GitItem
from gitintegration.core.diff import get
from gitintegration.core.invalid import Problem
from gitintegration.core.layout import Summary, commit_message
from gitintegration.core.merge import Decision
from gitintegration.core.people import Credit, Directory, Edit
from gitintegration.core.plan.conflict_values import ConflictValue, conflict_values
from gitintegration.core.plan.policy import Policy, Side
from gitintegration.core.state.record import Intent, ItemRecord
from gitintegration.core.state.table import ABSENT
from gitintegration.core.status import HeldCopies, HeldDeletes
from gitintegration.core.values import Json, ObjectKey
from gitintegration.core.view import view, with_ignored
from gitintegration.errors import GitIntegrationError
from gitintegration.git.remote import Remote
from gitintegration.git.signing import Signer
from gitintegration.git.verifying import Trust
from gitintegration.messages import Place, counted, named
from gitintegration.reconcile.rivals import Rival
from gitintegration.session.live_objects import Kind, LiveObject
from gitintegration.session.session import NOTHING_RESTORED, Restored, SyncSession


async def unconfirmed() -> None:
    """Where nobody confirmed anything."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is to be synced, and what its user asked for."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: GitIntegrationSpec
    remote: Remote
    kinds: Mapping[tuple[str, str], Kind]
    refusals: tuple[GitIntegrationError, ...] = ()
    warnings: tuple[str, ...] = ()
    """What works and should not stay so, of the login."""
    confirmed: str | None = None
    use_up: Callable[[], Awaitable[None]] = unconfirmed
    """Takes away what was confirmed: it holds for once. Raises ClusterError."""
    requested_at: str | None = None
    source: str = ""
    prefix_before: str | None = None
    """That pipelines were written below, where the spec names another now and nobody has confirmed that they are copied there."""
    rescan: bool = True
    """Go through all objects for what moved; False: only through what the watch has told of."""
    api_token: str | None = field(default=None, repr=False)
    """For the forge's API, where the Secret has one."""
    signer: Signer | None = None
    """Of its commits, where they are to be signed."""
    trust: Trust | None = None
    """Whose commits are taken from git, where that is asked."""
    people: Mapping[str, str] = field(default_factory=dict)
    """How users of the API server are called in commits, where that is said."""
    rivals: Sequence[Rival] = ()
    """The other integrations of the namespace."""
    policy: Policy | None = None
    """What an operation may do, in place of what the mode says."""

    @property
    def place(self) -> Place:
        """What messages are told of."""
        return Place(self.namespace, self.name)

    @property
    def may_push(self) -> bool:
        """Whether the mode writes to git by itself."""
        return Policy.of(self.spec).to_git

    @property
    def may(self) -> Policy:
        """What this run may do."""
        return self.policy or Policy.of(self.spec)

    @property
    def listed(self) -> frozenset[tuple[str, str]]:
        """The kinds that the spec names, by group and kind, whether they can be worked with now or not."""
        return self.spec.listed

    @property
    def selection(self) -> str:
        """Names the kinds that the spec lists, the labels that it asks for, and what of them is compared."""
        told = sorted(
            (
                split_api_version(r.api_version)[0],
                r.kind,
                r.label_selector.model_dump_json() if r.label_selector else "",
                *filter(None, (r.ignore_fields, r.ignore_managers)),
            )
            for r in self.spec.resources
        )
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]

    @property
    def anywhere(self) -> frozenset[tuple[str, str]]:
        """The kinds whose manifests may name another namespace."""
        return self.spec.anywhere

    @property
    def author(self) -> str:
        """Of its commits."""
        return f"{self.spec.author.name} <{self.spec.author.email}>"

    @property
    def committer(self) -> str:
        """Of its commits: who vouches for them where they are signed."""
        named = self.spec.commit.committer if self.spec.commit else None
        return f"{named.name} <{named.email}>" if named else self.author

    def text_of(self, message: str, edits: Iterable[Edit], moment: int) -> CommitText:
        """What a commit with these edits says, with its author."""
        authors = self.spec.authorship
        credit = Credit.of(edits if authors.mode == "person" else ())
        directory = Directory(authors.domain, self.people)
        text = credit.message(message, directory, f"{self.namespace}/{self.name}")
        return CommitText(credit.author(directory, self.author), self.committer, text, moment, self.signer)

    def message_of(self, items: Iterable[Changed], restored: Restored) -> str:
        """What a commit of these items says, where nobody said otherwise."""
        template = self.spec.sync.push.message_template
        return commit_message(
            summary(items, restored), integration=self.name, namespace=self.namespace, template=template
        )

    @property
    def review(self) -> str | None:
        """The branch that changes are offered on for review, where one is named."""
        return self.spec.sync.push.branch


class Verb(StrEnum):
    """What becomes of an item on the side that is written."""

    create = "create"
    update = "update"
    delete = "delete"


@dataclass(slots=True)
class Item:
    """One item while it is planned and written: what was read of it, what was decided, and how far that was carried."""

    key: ObjectKey
    kind: Kind
    record: ItemRecord | None
    git: GitItem | None
    live: LiveObject | None
    manifest: Json | None = None
    git_view: Json | None = None
    decision: Decision = field(default_factory=Decision)
    problem: Problem | None = None
    pulled: bool = False
    held: bool = False
    raced: bool = False
    """It moved while it was written: it is planned anew at once."""
    waits: bool = False
    """Its kind could not be written just now."""
    begun: Intent | None = None
    """That this was about to be written is stored already, and neither side moved since."""
    logged: bool = False
    """That it is about to be written is stored."""
    number: int = 0
    """Of the last observation before it was read."""
    new_path: str = ""
    by: str | None = None
    """Whose edit the cluster's side is, where that is somebody's: of an operation that brings what the branch does not hold."""
    drift: tuple[str, ...] = ()
    """What was edited in the cluster and is brought back to what git holds."""
    moved: bool = False
    """Its object bears labels now that are somebody else's."""
    handed_over: bool = False
    """Another integration has it: that its file goes is no delete."""
    _goal: tuple[Decision, Json | None, Json | None] | None = None
    """What git is to hold, behind what that follows from; it takes time to find out, and is asked for again and again."""

    @property
    def is_made_whole(self) -> bool:
        """Whether what it lacks on one side is made there with its ignored fields."""
        return self.kind.resource.on_create and (self.git is None or self.live is None)

    def made_with(self, value: Json) -> Json:
        """What is to be made of `value` where the item is new: with the ignored fields of the other side, if the spec wants them."""
        whole = self.live.whole if self.live else self.manifest
        if not self.is_made_whole or whole is None:
            return value
        return with_ignored(value, view(whole), self.kind.pointers)

    def edit(self, session: SyncSession) -> Edit:
        """Who edited it in the cluster since git had it. Of one that is gone it is who did so last."""
        if not self.decision.local_ahead or self.handed_over:
            return Edit()
        people = session.edits.get(self.key, ()) if self.kind.stamped else ()
        if self.live is not None and self.kind.stamped:
            last = self.live.edited_by
            people = (*(user for user in people if user != last), last) if last else ()
        people = tuple(user for user in people if user != self.kind.user)  # as whom the operator writes
        if self.live is None:
            return Edit(people, is_delete=True)
        brought = session.restored.get(self.key, ("", ""))[0] == self.version
        return Edit(people, "" if brought else self.live.manager, self.live.reason)

    @property
    def deletes(self) -> bool:
        """On one of the sides."""
        writes = self.decision.cluster, self.decision.git
        return any(write is not None and write.value is None for write in writes)

    def may_go(self, policy: Policy, side: Side) -> bool:
        """Whether what was decided for a side may be written there, and nothing of its own stands in the way."""
        return policy.admits(self.decision, side) and self.problem is None and not self.held

    @property
    def verb(self) -> Verb:
        """Of a commit."""
        return Verb.delete if self.deletes else Verb.update if self.git else Verb.create

    @property
    def git_goal(self) -> Json | None:
        """What git is to hold of it: a new file leaves out what the API server would fill in again."""
        known = self._goal
        if known is None or known[0] is not self.decision or known[1] is not self.git_view:
            value = self.decision.git.value if self.decision.git else self.git_view
            is_new = self.git_view is None and value is not None
            goal = self.kind.schema.strip_defaults(value) if is_new else value
            self._goal = known = self.decision, self.git_view, goal
        return known[2]

    @property
    def conflict_values(self) -> tuple[ConflictValue, ...]:
        """What both sides hold of the fields in conflict, as it may be shown."""
        if self.decision.conflict is None:
            return ()
        base, live = self.record.base if self.record else None, self.live.view if self.live else None
        return conflict_values(self.decision.conflict, base, live, self.git_view, self.kind.redaction)

    @property
    def conflict_mark(self) -> str:
        """Another where what either side holds in conflict is."""
        if (conflict := self.decision.conflict) is None:
            return ""
        held = [[get(side, path) for path in conflict.paths] for side in (self.live and self.live.view, self.git_view)]
        return hashlib.sha256(repr([conflict.reason, self.path, conflict.fields, held]).encode()).hexdigest()[:16]

    @property
    def released(self) -> bool:
        """Whether its labels went to somebody else before."""
        return self.record is not None and self.record.is_released

    @property
    def leaves(self) -> bool:
        """Whether what was just pulled has its object bear labels that make it somebody else's."""
        if not self.pulled or self.live is None or self.record is None or self.record.base is None:
            return False
        return self.kind.selects(self.record.base.live) and not self.kind.selects(self.live.whole)

    @property
    def carried(self) -> bool:
        """Nothing of it is left to write."""
        return (self.pulled or self.decision.cluster is None) and self.decision.git is None

    @property
    def version(self) -> str:
        """Of its object, as it was read or written last."""
        return self.live.resource_version if self.live else ABSENT

    @property
    def path(self) -> str:
        return self.git.path if self.git else (self.record.path if self.record else "")

    @property
    def target(self) -> str:
        """Where it lies in git, or is to lie."""
        return self.git.path if self.git else self.new_path or self.path

    @property
    def id(self) -> str:
        for source in (
            self.live.whole if self.live else None,
            self.manifest,
            self.record.base.live if self.record and self.record.base else None,
        ):
            annotations = ((source or {}).get("metadata") or {}).get("annotations") or {}
            if PIPELINE_ID in annotations:
                return str(annotations[PIPELINE_ID])
        return self.key.name


@dataclass(slots=True)
class RunStats:
    """What one run wrote, for the log, the events and the tests."""

    commits: list[str] = field(default_factory=list)
    pulled: dict[Verb, list[str]] = field(default_factory=dict)
    """Names of what was written to the cluster."""
    pushed: list[str] = field(default_factory=list)
    """The subject of each commit."""
    reverted: list[str] = field(default_factory=list)
    """What was edited by hand and is as in git again, in words."""
    doubted: GitIntegrationError | None = None
    """Why the head was not believed."""
    troubles: list[GitIntegrationError] = field(default_factory=list)
    """What went wrong beside the sync, with the pull request say; the rest was done."""
    held: list[HeldDeletes | HeldCopies] = field(default_factory=list)
    lossy: list[str] = field(default_factory=list)
    let_go: list[ObjectKey] = field(default_factory=list)
    """What is synced no more."""
    damaged: Sequence[str] = ()
    """Objects of its memory that can't be read."""

    @property
    def created(self) -> int:
        return len(self.pulled.get(Verb.create, ()))

    @property
    def updated(self) -> int:
        return len(self.pulled.get(Verb.update, ()))

    @property
    def deleted(self) -> int:
        return len(self.pulled.get(Verb.delete, ()))

    @property
    def words(self) -> str:
        """For an event."""
        pulled = [f"{counted(sum(map(len, self.pulled.values())))} pulled into the cluster: {self._pulled}"]
        pushed = [f"pushed {sha[:12]}: {said[:_SUBJECT]}" for sha, said in zip(self.commits, self.pushed, strict=True)]
        return "; ".join([*(pulled if self.pulled else []), *pushed])

    @property
    def _pulled(self) -> str:
        return named_by_verb(self.pulled).words

    @property
    def wrote(self) -> bool:
        return bool(self.pulled or self.commits)


def reverted_words(reverted: Sequence[str]) -> str:
    """For an event."""
    told = sorted(reverted)
    return f"brought back to what git holds (spec.sync.drift): {named(told)}"


_SUBJECT: Final = 300
_NAMED: Final = 3
LOSSY: Final = 50
"""Paths that are told at most."""


def lossy_words(paths: Sequence[str]) -> str:
    """For an event."""
    told = named([path[:200] for path in paths], _NAMED)
    return f"edits took comments or lines beside their own from {told}; see the commit"


def damaged_words(shards: Sequence[str]) -> str:
    """For an event."""
    count = "an object holds" if len(shards) == 1 else f"{len(shards)} objects hold"
    return (
        f"{count} nothing that can be read of what both sides agreed on: what they hold alike is agreed anew, what differs is "
        "told as a conflict, and what one side deleted meanwhile comes back from the other; nobody else may write to "
        "gitintegrationbases"
    )


def named_by_verb(names: Mapping[Verb, Sequence[str]]) -> Summary:
    """The same, as a commit or an event tells it."""
    made, changed, gone = (names.get(verb, ()) for verb in (Verb.create, Verb.update, Verb.delete))
    return Summary(made, changed, gone)


class Changed(Protocol):
    """What a commit tells of an item that it changes."""

    @property
    def key(self) -> ObjectKey: ...

    @property
    def verb(self) -> Verb: ...

    @property
    def version(self) -> str: ...


def summary(items: Iterable[Changed], restored: Restored = NOTHING_RESTORED) -> Summary:
    """What a commit of these items says of itself. What was edited since it was restored is an update."""
    names: dict[Verb, list[str]] = {verb: [] for verb in Verb}
    back: list[str] = []
    revisions: list[str] = []
    for item in items:
        known = restored.get(item.key)
        if known is not None and known[0] == item.version and known[1]:
            back.append(item.key.name)
            revisions.append(known[1][:12])
        else:
            names[item.verb].append(item.key.name)
    origin = ", ".join(sorted(set(revisions)))
    return Summary(names[Verb.create], names[Verb.update], names[Verb.delete], back, origin)
