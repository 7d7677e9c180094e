"""From the outcome of a sync to the status of the resource. Pure: the caller brings the time.

Conditions follow kstatus: Ready says whether all is well; Reconciling and Stalled are there only while they are true.
Stalled means that a person must act, and the message says how. Suspended is as its user wants it: Ready, with that reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from gitintegration import messages
from gitintegration.api.base_model import API_VERSION
from gitintegration.api.suspension import Suspend
from gitintegration.core.bounds import bounded, fitting, touched
from gitintegration.core.plan.authors import NOBODY, Authors, Torn
from gitintegration.core.plan.conflict_values import ConflictValue
from gitintegration.core.text import plain, plain_values
from gitintegration.core.values import ObjectKey
from gitintegration.core.verdict import Verdict
from gitintegration.errors import CredentialError, GitIntegrationError, Reason, RemoteError, Unverified, Words
from gitintegration.messages import SOMEWHERE, Place, counted, named

SHOWN = 50
"""So many conflicts and invalid manifests are listed."""

CHECKED = "PullRequestsChecked"
_CHECKED_BYTES = 16 << 10
"""Of the rows of pull requests."""
_TOLD_BYTES = 16 << 10
"""Of what was told of pull requests that have no row."""
_HELD_BYTES = 10 << 10
"""Of the names of what is held, for one reason."""
_WITH_VALUES = 20
"""So many conflicts are listed with what both sides hold."""

REFRESH = timedelta(minutes=10)
"""How old `lastSyncAt` may become while nothing else of the status changes."""

_MESSAGE_LIMIT = 2000
_NAMED = 3
_RESTORED = 10
"""Pipelines that are named in an operation to paste; more would not fit."""


@dataclass(frozen=True, slots=True)
class ConflictEntry:
    kind: str
    name: str
    id: str
    path: str
    reason: str
    fields: tuple[str, ...]
    values: tuple[ConflictValue, ...] = ()
    torn: Torn | None = None
    """By which its authors are found."""
    authors: Authors = NOBODY

    @classmethod
    def of(cls, torn: Torn, pipeline_id: str, values: tuple[ConflictValue, ...]) -> ConflictEntry:
        key, conflict = torn.key, torn.conflict
        told = key.kind, key.name, pipeline_id, torn.path, conflict.reason.value, conflict.fields
        return cls(*told, values, torn)

    def order(self) -> tuple[str, str]:
        """By which they are listed everywhere."""
        return self.kind, self.name

    def to_status(self, *, values: bool = True) -> dict[str, Any]:
        named = {"kind": self.kind, "name": self.name, "id": self.id, "path": self.path}
        told: dict[str, Any] = {**named, "fields": sorted(self.fields), "reason": self.reason}
        told |= {"values": [v.to_status() for v in self.values]} if values and self.values else {}
        return told | self.authors.to_status()


def told_conflicts(conflicts: Sequence[ConflictEntry]) -> list[dict[str, Any]]:
    """The first of them, as a status lists them, and the values of the first of these: what has no room is left out in that order."""
    first = sorted(conflicts, key=ConflictEntry.order)[:SHOWN]
    return [conflict.to_status(values=number < _WITH_VALUES) for number, conflict in enumerate(first)]


@dataclass(frozen=True, slots=True)
class AheadEntry:
    """What one side holds and the other does not, and why."""

    kind: str
    name: str
    id: str
    side: str
    path: str
    reason: str

    def to_status(self) -> dict[str, Any]:
        told = {"kind": self.kind, "name": self.name, "id": self.id, "side": self.side}
        return {**told, **({"path": self.path} if self.path else {}), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class InvalidEntry:
    path: str
    reason: str
    message: str

    def order(self) -> tuple[str, str]:
        return self.path, self.reason

    def to_status(self) -> dict[str, Any]:
        return {"path": self.path, "reason": self.reason, "message": self.message[:1024]}


@dataclass(frozen=True, slots=True)
class HeldDeletes:
    """Deletes that wait for confirmation; `side` is where they would be carried out."""

    side: str
    count: int
    known: int
    digest: str
    names: Sequence[str] = ()
    branch: str = ""
    """The branch that is gone, where that is why."""
    commit: str | None = None
    """Where the pipelines stood last."""
    keys: Sequence[ObjectKey] = ()

    reason = Reason.DeletesHeld

    def to_status(self) -> dict[str, Any]:
        return {"side": self.side, **_held(self)}


@dataclass(frozen=True, slots=True)
class HeldCopies:
    """Pipelines that a changed prefix would have written to git anew; they wait for confirmation."""

    before: str
    prefix: str
    count: int
    known: int
    digest: str
    keys: Sequence[ObjectKey] = ()

    reason = Reason.PrefixChanged

    def to_status(self) -> dict[str, Any]:
        return {"side": "git", **_held(self), "prefixBefore": self.before, "prefix": self.prefix}


def _held(held: HeldDeletes | HeldCopies) -> dict[str, Any]:
    """What both tell."""
    named = [{"kind": key.kind, "name": key.name} for key in sorted(held.keys, key=lambda key: (key.kind, key.name))]
    shown = fitting(named[:SHOWN], _HELD_BYTES)
    told = {"digest": held.digest, "reason": held.reason.value, "count": held.count, "known": held.known}
    return {**told, "pipelines": shown, **({"truncated": True} if len(shown) < len(named) else {})}


@dataclass(frozen=True, slots=True)
class Hook:
    """How the webhook stands: `told` is the status' own part, empty where there is none; the others are its condition."""

    told: Mapping[str, Any]
    status: str = "Unknown"
    reason: Reason = Reason.NotRegistered
    message: str = ""


NO_HOOK = Hook({})


@dataclass(frozen=True, slots=True)
class CheckReport:
    """How the checks of pull requests stand: a row each, and their condition. `reason` None: there are none."""

    rows: Sequence[Mapping[str, Any]] = ()
    status: str = "Unknown"
    reason: Reason | None = None
    message: str = ""
    told: Sequence[str] = ()
    """What was told of pull requests that have no row."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sync found and did."""

    generation: int
    mode: str
    place: Place = SOMEWHERE
    suspended: bool = False
    suspend: Suspend | None = None
    """Why and until when, where spec.suspend is what suspends it."""
    error: GitIntegrationError | None = None
    connection: Mapping[str, Any] | None = None
    pipelines: int = 0
    local_ahead: int = 0
    remote_ahead: int = 0
    ahead: Sequence[AheadEntry] = ()
    """In the order that they are told in; of many, one more than are shown."""
    conflicts: Sequence[ConflictEntry] = ()
    invalid: Sequence[InvalidEntry] = ()
    held: Sequence[HeldDeletes | HeldCopies] = ()
    refusals: Sequence[GitIntegrationError] = ()
    """What was said no to for single items or kinds (RBAC, overlap), while the rest was synced."""
    warnings: Sequence[str] = ()
    """What works and should not stay so, of the login; told in Connected."""
    read_only: Words | None = None
    """That the login may not write, where the mode wants it to."""
    rewritten: str | None = None
    """How the branch's history was rewritten, in words; told until the branch moves again."""
    review: Mapping[str, Any] | None = None
    """The branch that changes are offered on for review, where one is named."""
    pull_request: Mapping[str, Any] | None = None
    signing_key: Mapping[str, Any] | None = None
    """What commits are signed with, where they are."""
    verdict: Verdict | None = None
    """Of the head, where it is to be verified."""
    verified: str | None = None
    """The last commit that was."""
    remote_commit: str | None = None
    synced_commit: str | None = None
    history: Sequence[Mapping[str, Any]] | None = None
    requested_at: str | None = None
    source: str | None = None
    prefix: str | None = None
    """That pipelines are written below; the one before where another waits for confirmation."""
    elsewhere: str = ""
    """Where manifests lie, in words, while none lies below the prefix."""
    let_go: Sequence[str] = ()
    """Names of what the spec selected, and does no more."""
    selection: str | None = None
    """Digest of the kinds and labels that all items were looked at for."""
    definitions: Mapping[str, str | None] | None = None
    """UIDs of the definitions of the kinds that are listed; None: of one that is away, or has none that may be seen."""
    branch: str | None = None
    memory: str | None = None
    """Digest of what both sides agreed on."""
    hook: Hook | None = None
    """None: as it stood."""
    observed: bool = True
    """False where the sync ended before both sides were seen: counts keep their last values."""

    @property
    def in_sync(self) -> bool:
        open_items = self.local_ahead or self.remote_ahead or self.conflicts or self.invalid or self.held
        return not open_items and not self.refusals and self.error is None


@dataclass(frozen=True, slots=True)
class _Verdict:
    status: str
    reason: Reason
    message: str


def build_status(
    previous: Mapping[str, Any], outcome: Outcome, now: datetime, *, branch: str | None = None
) -> dict[str, Any]:
    """The whole new status; equal to `previous` where nothing is worth a write. `branch`: the one that the spec names."""
    dropped = (
        "aheadTruncated",
        "conflictsTruncated",
        "invalidTruncated",
        "activeOperation",
        *(["review", "pullRequest"] if outcome.observed else ["inSync"]),  # of what is not seen, nobody knows
        *(["held", "signingKey", "verified"] if outcome.observed and not outcome.suspended else []),
    )
    status = {k: v for k, v in previous.items() if k not in dropped}
    status["observedGeneration"] = outcome.generation
    status["conditions"] = _conditions(previous.get("conditions", []), outcome, now)
    if outcome.requested_at is not None:
        status["lastHandledReconcileAt"] = outcome.requested_at
    if outcome.connection is not None:
        status["connection"] = _connection(previous.get("connection"), outcome.connection, now)
    if found := branch or (status.get("connection") or {}).get("defaultBranch"):
        status["branch"] = found
    if outcome.remote_commit is not None:
        status["remoteCommit"] = outcome.remote_commit
    if outcome.hook is not None:
        status |= {"webhook": dict(outcome.hook.told), "webhookPath": outcome.hook.told.get("path")}
        status = {k: v for k, v in status.items() if v or k not in ("webhook", "webhookPath")}
    if outcome.observed and not outcome.suspended:
        # a public key has lines, and is nobody's text
        key = {"signingKey": dict(outcome.signing_key)} if outcome.signing_key is not None else {}
        status.update(bounded(plain_values(_observed(previous, outcome)) | key))
    if outcome.suspended:
        return _same_or(previous, status)
    return _stamped(previous, status, outcome, now)


def with_checks(status: Mapping[str, Any], report: CheckReport, generation: int, now: datetime) -> dict[str, Any]:
    """The status with what the checks of pull requests came to; the same where nothing is worth a write."""
    kept = {name: value for name, value in status.items() if name not in ("pullRequests", "pullRequestsTold")}
    before = {c["type"]: c for c in status.get("conditions", ())}
    conditions = [c for kind, c in before.items() if kind != CHECKED]
    if report.reason is not None:
        verdict = _Verdict(report.status, report.reason, report.message)
        conditions.append(_condition(CHECKED, before.get(CHECKED), verdict, generation, now))
        if rows := fitting(plain_values(list(report.rows)), _CHECKED_BYTES):
            kept["pullRequests"] = rows
        if report.told:
            kept["pullRequestsTold"] = fitting(plain_values(list(report.told)), _TOLD_BYTES)
    return {**kept, "conditions": conditions}


def _observed(previous: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    status: dict[str, Any] = {
        "inSync": outcome.in_sync,
        "pipelineCount": outcome.pipelines,
        "localAheadCount": outcome.local_ahead,
        "remoteAheadCount": outcome.remote_ahead,
        "conflictCount": len(outcome.conflicts),
        "ahead": [entry.to_status() for entry in outcome.ahead[:SHOWN]],
        "conflicts": told_conflicts(outcome.conflicts),
        "invalid": [i.to_status() for i in sorted(outcome.invalid, key=InvalidEntry.order)[:SHOWN]],
    }
    if outcome.held:
        status["held"] = [held.to_status() for held in outcome.held]
    if len(outcome.ahead) > SHOWN:
        status["aheadTruncated"] = True
    if len(outcome.conflicts) > SHOWN:
        status["conflictsTruncated"] = True
    if len(outcome.invalid) > SHOWN:
        status["invalidTruncated"] = True
    if outcome.synced_commit is not None:
        status["lastSyncedCommit"] = outcome.synced_commit
    if outcome.history is not None:
        status["history"] = [{**entry, **_touched(entry)} for entry in outcome.history]
    if outcome.review is not None:
        status["review"] = dict(outcome.review)
    if outcome.pull_request is not None:
        status["pullRequest"] = dict(outcome.pull_request)
    if outcome.verdict is not None and outcome.verified is not None:
        status["verified"] = _verified(previous.get("verified") or {}, outcome.verdict, outcome.verified)
    if outcome.source is not None:
        status["observedSource"] = outcome.source
    if outcome.prefix is not None:
        status["observedPrefix"] = outcome.prefix
    if outcome.selection is not None:
        status["observedSelection"] = outcome.selection
    if outcome.definitions is not None:
        status["observedDefinitions"] = _definitions(previous.get("observedDefinitions") or {}, outcome.definitions)
    if outcome.branch is not None:
        status["observedBranch"] = outcome.branch
    if outcome.memory is not None:
        status["observedMemory"] = outcome.memory
    return status


def _verified(before: Mapping[str, Any], found: Verdict, commit: str) -> dict[str, Any]:
    """The last commit that was: with what was found of it, where it is the head, or was."""
    if found.flaw is None and found.commit == commit:
        return {"commit": commit, "author": found.author, "key": found.key, "signer": found.signer}
    return dict(before) if before.get("commit") == commit else {"commit": commit}


def _definitions(before: Mapping[str, str], found: Mapping[str, str | None]) -> dict[str, str]:
    """Those of the kinds that are listed; of one that is away, the last."""
    known = {name: uid or before.get(name) for name, uid in sorted(found.items())}
    return {name: uid for name, uid in known.items() if uid}


def _touched(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Of a commit that was just read all ids are known, of one out of the status itself their number."""
    known = touched(entry["pipelinesTouched"])
    return {**known, "pipelinesTouchedCount": entry.get("pipelinesTouchedCount", known["pipelinesTouchedCount"])}


def _connection(before: Mapping[str, Any] | None, found: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Latency and the time of the check move with every look; alone they are not worth a write."""
    moving = ("latencyMs", "checkedAt")
    if before and {k: v for k, v in before.items() if k not in moving} == {
        k: v for k, v in found.items() if k not in moving
    }:
        return dict(before)
    return {**found, "checkedAt": timestamp(now)}


def without_lists(status: Mapping[str, Any], refusal: str) -> dict[str, Any]:
    """What is left to tell where the API server refuses the whole as too large: the counts, and that it did."""
    kept = {name: value for name, value in status.items() if not isinstance(value, list) or name == "conditions"}
    words = f"the API server does not take the whole status: {refusal[: _MESSAGE_LIMIT // 2]}; its lists are left out"
    (ready,) = (c for c in status["conditions"] if c["type"] == "Ready")
    ready = {**ready, "status": "False", "reason": Reason.StatusTooLarge.value, "message": words}
    others = [c for c in status["conditions"] if c["type"] not in ("Ready", "Reconciling", "Stalled")]
    told = [ready, {**ready, "type": "Stalled", "status": "True"}, *others]
    return {**kept, "conditions": [{**c, "message": c["message"][:_MESSAGE_LIMIT]} for c in told]}


def _same_or(previous: Mapping[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    return dict(previous) if status == dict(previous) else status


def _stamped(previous: Mapping[str, Any], status: dict[str, Any], outcome: Outcome, now: datetime) -> dict[str, Any]:
    last = previous.get("lastSyncAt")
    unmoved = status == dict(previous)
    if not outcome.observed or (unmoved and last and now - parse_timestamp(last) < REFRESH):
        return dict(previous) if unmoved else status
    status["lastSyncAt"] = timestamp(now)
    if outcome.error is None:
        status["lastSuccessfulSyncAt"] = timestamp(now)
    return status


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _conditions(before: Sequence[Mapping[str, Any]], outcome: Outcome, now: datetime) -> list[dict[str, Any]]:
    old = {c["type"]: c for c in before}
    result = []
    for kind, verdict in verdicts(outcome).items():
        if verdict is None:
            if kind in old:
                result.append(dict(old[kind]))
            continue
        result.append(_condition(kind, old.get(kind), verdict, outcome.generation, now))
    return result


def _condition(
    kind: str, previous: Mapping[str, Any] | None, verdict: _Verdict, generation: int, now: datetime
) -> dict[str, Any]:
    moved = previous is None or previous["status"] != verdict.status
    since = timestamp(now) if previous is None or moved else previous["lastTransitionTime"]
    return {
        "type": kind,
        "status": verdict.status,
        "reason": verdict.reason.value,
        "message": plain(verdict.message[:_MESSAGE_LIMIT]),
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }


def verdicts(outcome: Outcome) -> dict[str, _Verdict | None]:
    """The conditions by type; None keeps what was there, an absent type is taken away."""
    ready = _ready(outcome)
    result: dict[str, _Verdict | None] = {"Ready": ready}
    hook = outcome.hook
    hooked: dict[str, _Verdict | None] = {"WebhookConfigured": None}
    if hook is not None:
        hooked = {"WebhookConfigured": _Verdict(hook.status, hook.reason, hook.message)} if hook.told else {}
    hooked[CHECKED] = None
    if outcome.suspended:
        return {**result, "Connected": None, "InSync": None, **hooked, "Verified": None}
    if outcome.error is not None and outcome.error.is_passing:
        message = f"retrying after: {ready.message}"
        behind = outcome.error.reason is Reason.RemoteBehind
        reason = outcome.error.reason if behind else Reason.ProgressingWithRetry
        result["Reconciling"] = _Verdict("True", reason, message)
    elif ready.status == "False":
        result["Stalled"] = _Verdict("True", ready.reason, ready.message)
    result["Connected"] = _connected(outcome)
    result["InSync"] = _in_sync(outcome)
    return {**result, **hooked, **_signed(outcome)}


def _signed(outcome: Outcome) -> dict[str, _Verdict | None]:
    """Verified, where commits are to be."""
    if isinstance(outcome.error, Unverified):
        return {"Verified": _Verdict("False", outcome.error.reason, outcome.place.told(outcome.error))}
    if not outcome.observed:
        return {"Verified": None}
    if (found := outcome.verdict) is None:
        return {}
    told = f"commit {found.commit[:12]} by {found.author}"
    if found.flaw is not None:
        return {"Verified": _Verdict("False", Reason(found.flaw.value), f"{told} {found.words}{found.by}")}
    whose = f" of {found.signer}" if found.signer else ""
    return {"Verified": _Verdict("True", Reason.Succeeded, f"{told} is signed by key {found.key}{whose}")}


def _ready(outcome: Outcome) -> _Verdict:
    if outcome.suspended:
        return _Verdict("True", Reason.Suspended, outcome.place.joined(_suspended_words(outcome.suspend)))
    if outcome.error is not None:
        return _Verdict("False", outcome.error.reason, outcome.place.told(outcome.error))
    if trouble := _trouble(outcome):
        return _Verdict("False", *trouble)
    told = "; ".join([_summary(outcome), *([let_go_words(outcome.let_go)] if outcome.let_go else [])])
    if outcome.elsewhere:
        return _Verdict("True", Reason.EmptyPrefix, f"{told}; {outcome.elsewhere}")
    return _Verdict("True", Reason.Succeeded, told)


def _suspended_words(suspend: Suspend | None) -> Words:
    if suspend is None:
        return messages.SUSPENDED()
    end = f"until {suspend.until}" if suspend.until else "until it is resumed"
    return messages.SUSPENDED_FOR(end=end, why=suspend.reason)


def _connected(outcome: Outcome) -> _Verdict | None:
    if isinstance(outcome.error, CredentialError) or (
        isinstance(outcome.error, RemoteError)
        and outcome.error.reason not in (Reason.PushRejected, Reason.BranchNotFound, Reason.RemoteBehind)
    ):
        return _Verdict("False", outcome.error.reason, outcome.place.told(outcome.error))
    if not (outcome.connection or isinstance(outcome.error, RemoteError)):
        return None
    if outcome.read_only:
        words = "; ".join([outcome.place.joined(outcome.read_only), *outcome.warnings])
        return _Verdict("True", Reason.PermissionDenied, words)
    return _Verdict("True", Reason.Succeeded, "; ".join(["the repository answers", *outcome.warnings]))


def _in_sync(outcome: Outcome) -> _Verdict | None:
    told = outcome.place.told(outcome.error) if outcome.error else ""
    if not outcome.observed:
        reason = outcome.error.reason if outcome.error else Reason.Progressing
        return _Verdict("Unknown", reason, told or "not yet compared")
    if trouble := _trouble(outcome):
        return _Verdict("False", *trouble)
    if outcome.error is not None:
        return _Verdict("False", outcome.error.reason, told)
    if outcome.local_ahead or outcome.remote_ahead:
        return _Verdict("False", Reason.Progressing, _summary(outcome))
    if outcome.rewritten:
        return _Verdict("True", Reason.HistoryRewritten, outcome.rewritten)
    return _Verdict("True", Reason.Succeeded, _summary(outcome))


def _trouble(outcome: Outcome) -> tuple[Reason, str] | None:
    """What a person must look at, the most pressing first."""
    place = outcome.place
    if outcome.held:
        return outcome.held[0].reason, " ".join(place.joined(_held_words(held, place)) for held in outcome.held)
    if outcome.refusals:
        return outcome.refusals[0].reason, named([place.told(r) for r in outcome.refusals], 3, "; ")
    if outcome.conflicts:
        return Reason.Conflicts, place.joined(
            messages.CONFLICTS(count=counted(len(outcome.conflicts)), names=conflict_names(outcome.conflicts))
        )
    if outcome.invalid:
        told = [f"{i.path}: {i.message}" for i in sorted(outcome.invalid, key=InvalidEntry.order)]
        return Reason.InvalidManifests, f"{counted(len(told), 'file')} left alone: {named(told, 3, '; ')}"
    return None


def let_go_words(names: Sequence[str]) -> str:
    """Of what is synced no more."""
    what = f"{counted(len(names))} {'was' if len(names) == 1 else 'were'} let go"
    told = named(sorted(names), _NAMED)
    return f"{what}, because spec.resources no longer selects them ({told}): both sides keep what they hold of them"


def conflict_names(conflicts: Sequence[ConflictEntry]) -> str:
    """The first of them in their order, each with the fields that disagree."""
    told = [
        f"{c.kind}/{c.name} ({', '.join(sorted(c.fields)) or c.reason})"
        for c in sorted(conflicts, key=ConflictEntry.order)
    ]
    return named(told, 5, "; ")


def _held_words(held: HeldDeletes | HeldCopies, place: Place) -> Words:
    if isinstance(held, HeldCopies):
        facts = {"before": held.before, "prefix": held.prefix, "digest": held.digest}
        return messages.HELD_COPIES(**facts, count=f"{held.count} of {counted(held.known)}")
    names = sorted(held.names)
    told = {"count": f"{held.count} of {counted(held.known)}", "names": named(names), "digest": held.digest}
    if held.side == "git":
        return messages.HELD_IN_GIT(**told, order=restore_order(place.name, held.commit or "COMMIT", names))
    if held.branch:
        return messages.HELD_BRANCH_GONE(**told, branch=held.branch, commit=held.commit or "COMMIT")
    return messages.HELD_IN_CLUSTER(**told)


def restore_order(integration: str, commit: str, names: Sequence[str]) -> str:
    """A GitOperation in JSON that brings pipelines back as they stood at a commit; of many, the first."""
    pull = {"revision": commit, "pipelines": list(names[:_RESTORED])}
    spec = {"integrationRef": {"name": integration}, "kind": "pull", "pull": pull}
    made = {"apiVersion": API_VERSION, "kind": "GitOperation", "metadata": {"generateName": "restore-"}, "spec": spec}
    return orjson.dumps(made).decode()


def _summary(outcome: Outcome) -> str:
    if outcome.local_ahead or outcome.remote_ahead:
        carry = {
            "Manual": "mode Manual carries nothing by itself",
            "Pull": "mode Pull does not write to git",
            "Push": "mode Push does not write to the cluster",
        }.get(outcome.mode, "they wait")
        if outcome.review and outcome.local_ahead and outcome.mode in ("Push", "Bidirectional"):
            carry = f"offered for review on branch {outcome.review['branch']}"
            if outcome.pull_request:
                carry += f" ({outcome.pull_request['url']}, {outcome.pull_request['state']})"
        return f"{outcome.local_ahead} ahead in the cluster, {outcome.remote_ahead} ahead in git: {carry}"
    at = f" at {outcome.remote_commit[:12]}" if outcome.remote_commit else ""
    are = "is" if outcome.pipelines == 1 else "are"
    return f"{counted(outcome.pipelines)} {are} the same in the cluster and in git{at}"
