"""From what a run found and did to the outcome that the status is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import nsmallest

from gitintegration import messages
from gitintegration.core.layout import folder_of
from gitintegration.core.plan.authors import Torn
from gitintegration.core.plan.policy import Policy, Side
from gitintegration.core.state.evidence import definition_name
from gitintegration.core.state.item import Left, OpenItem, Phase, Why
from gitintegration.core.status import SHOWN, AheadEntry, ConflictEntry, HeldCopies, InvalidEntry, Outcome
from gitintegration.core.values import ObjectKey
from gitintegration.errors import ClusterError, GitIntegrationError, Reason, Words
from gitintegration.messages import named
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import RunRequest, RunStats
from gitintegration.session.session import SyncSession

_NAMED = 3


def outcome_of(
    session: SyncSession,
    request: RunRequest,
    head: RemoteHeads,
    stats: RunStats,
    error: GitIntegrationError | None,
) -> Outcome:
    """What is known now, as the status tells it."""
    pending = session.table.open
    ahead = ahead_of(session, request, head)
    conflicts = [
        ConflictEntry.of(Torn(key, p.path, p.conflict, p.mark), p.id, p.values)
        for key, p in pending.items()
        if p.conflict
    ]
    problems = [*session.index.problems(), *dict.fromkeys(p.problem for p in pending.values() if p.problem)]
    commit = session.index.commit or (session.resume_point[0] if session.resume_point else None)
    local = sum(p.local for p in pending.values())
    remote = sum(p.remote for p in pending.values())
    settled = not problems and not any(p.is_told for p in pending.values())
    return Outcome(
        generation=request.generation,
        mode=request.spec.sync.mode.value,
        place=request.place,
        error=error,
        connection={**(session.connection or {"reachable": True}), "latencyMs": head.latency_ms},
        pipelines=_count(session),
        local_ahead=local,
        remote_ahead=remote,
        ahead=ahead,
        conflicts=conflicts,
        invalid=[InvalidEntry(p.path, p.reason.value, request.place.joined(p.words)) for p in problems],
        held=tuple(stats.held),
        refusals=(
            *request.refusals,
            *([stats.doubted] if stats.doubted else []),
            *session.away.values(),
            *stats.troubles,
            *_overlaps(session),
            *_contested(session),
        ),
        warnings=(*request.warnings, *request.remote.warnings),
        read_only=_read_only(session, request),
        rewritten=session.rewritten,
        review=(review := _review(session, request, head)),
        pull_request=session.pull_request if review and request.spec.sync.push.create_pull_request else None,
        verdict=session.judged[1] if session.judged else None,
        verified=session.verified if session.judged else None,
        signing_key=request.signer.to_status() if request.signer else None,
        remote_commit=commit,
        synced_commit=commit if settled and error is None else None,
        history=session.history,
        requested_at=request.requested_at,
        source=request.source,
        prefix=_prefix(request, stats, error),
        elsewhere=session.elsewhere,
        let_go=[key.name for key in session.let_go],
        selection=None if error or session.away or request.refusals else session.selection,
        definitions=None if error else _definitions(session, request),
        branch=head.branch,
        memory=session.records.digest,
    )


def _definitions(session: SyncSession, request: RunRequest) -> dict[str, str | None]:
    """By kind and group, of all kinds that the spec lists."""
    found: dict[str, str | None] = {definition_name(kind_id): None for kind_id in request.listed}
    for kind_id, kind in request.kinds.items():
        if kind.definition is not None and kind_id not in session.away:
            found[definition_name(kind_id)] = kind.definition.uid
    return found


def _count(session: SyncSession) -> int:
    """The pipelines that are known on either side, without those that went to somebody else."""
    marks, pending = session.records.marks, session.table.open
    released = sum(item.phase is Phase.RELEASED for item in pending.values())
    return len(marks) + sum(key not in marks for key in pending) - released


def _overlaps(session: SyncSession) -> Iterator[ClusterError]:
    """What another integration claims as well, and what was edited here after it went there."""
    claimed: dict[str, list[ObjectKey]] = {}
    for key, item in sorted(session.table.open.items()):
        if item.phase is Phase.OVERLAP:
            claimed.setdefault(item.rival, []).append(key)
        elif item.phase is Phase.RELEASED and item.remote:
            words = messages.OVERLAP_EDITED(key=f"{key.kind}/{key.name}", other=repr(item.rival), path=item.path)
            yield ClusterError(Reason.Overlap, words, retry=True)
    for rival, keys in claimed.items():
        names = named([f"{key.kind}/{key.name}" for key in keys], _NAMED)
        resource, pipeline = keys[0].kind.lower(), keys[0].name
        words = messages.OVERLAP_ITEMS(other=repr(rival), names=names, resource=resource, pipeline=pipeline)
        yield ClusterError(Reason.Overlap, words, retry=True)


def _contested(session: SyncSession) -> Iterator[ClusterError]:
    """What rests, because another tool puts back what is written."""
    for key, item in sorted(session.table.open.items()):
        if item.phase is Phase.HELD and (rival := session.contest.rival(key)) is not None:
            who = f"{rival!r} (its field manager)" if rival else "another tool"
            yield ClusterError(Reason.Contested, messages.CONTESTED(key=key, who=who), retry=True)


def ahead_of(session: SyncSession, request: RunRequest, head: RemoteHeads) -> list[AheadEntry]:
    """What is ahead, then what is not carried, each in its order; of many, one more than are shown."""
    table, most = session.table, SHOWN + 1
    ahead = {key: item for key, item in table.open.items() if item.local or item.remote}
    told = [entry_of(session, request, head, key, ahead[key]) for key in nsmallest(most, ahead, key=_order)]
    left = {key: rest for key, rest in table.left.items() if (key.group, key.kind) in request.kinds}
    left |= {
        kind.key(name): _CONTROLLED
        for kind in request.kinds.values()
        for name, meta in kind.informer.of(request.namespace).items()
        if meta.controlled and not table.is_agreed(key := kind.key(name)) and key not in session.index.items
    }
    told += [
        AheadEntry(key.kind, key.name, key.name, left[key].side, left[key].path, left[key].why.value)
        for key in nsmallest(most - len(told), left, key=_order)
    ]
    return told


def entry_of(
    session: SyncSession, request: RunRequest, head: RemoteHeads, key: ObjectKey, item: OpenItem
) -> AheadEntry:
    """What is ahead of one item, and why."""
    why = _why(session, key, item, request, head)
    return AheadEntry(key.kind, key.name, item.id or key.name, _side(item), item.path, why)


_CONTROLLED = Left(Why.Controlled, Side.cluster.value)


def _order(key: ObjectKey) -> tuple[str, str]:
    return key.kind, key.name


def _side(item: OpenItem) -> str:
    return "both" if item.local and item.remote else Side.cluster.value if item.local else Side.git.value


_WHY = {
    Phase.CONFLICT: Why.Conflict,
    Phase.HELD: Why.Held,
    Phase.BLOCKED: Why.Refused,
    Phase.UNREADABLE: Why.Unreadable,
    Phase.WAITING: Why.KindUnavailable,
    Phase.OVERLAP: Why.Overlap,
    Phase.RELEASED: Why.Overlap,
}


def _why(session: SyncSession, key: ObjectKey, item: OpenItem, request: RunRequest, head: RemoteHeads) -> str:
    if item.phase is Phase.HELD and session.contest.rival(key) is not None:
        return Why.Contested.value
    if (why := _WHY.get(item.phase)) is not None:
        return why.value
    policy, kind = Policy.of(request.spec), request.kinds.get((key.group, key.kind))
    if (item.local and not policy.to_git) or (item.remote and not policy.to_cluster):
        return Why.Mode.value
    there = kind is not None and key.name in kind.informer.of(request.namespace)
    deleted = (item.local and not there) or (item.remote and key not in session.index.items)
    if deleted and not policy.prune:
        return Why.NotPruned.value
    if item.local and request.review not in (None, head.branch):
        return Why.Review.value
    return Why.Pending.value


def _prefix(request: RunRequest, stats: RunStats, error: GitIntegrationError | None) -> str:
    """The one that pipelines are written below; a changed one counts from when nothing waits to be copied there."""
    waits = error is not None or any(isinstance(held, HeldCopies) for held in stats.held)
    if request.prefix_before is not None and waits:
        return request.prefix_before
    return folder_of(request.spec.path_prefix)


def _read_only(session: SyncSession, request: RunRequest) -> Words | None:
    """That the login may not write, where the mode wants it to: the first push is late to say so."""
    may = (session.connection or {}).get("permissions")
    if not request.may_push or not isinstance(may, Sequence) or "write" in may:
        return None
    remote = request.remote
    if not remote.secret:
        return messages.ANONYMOUS(url=remote.url)
    return messages.READ_ONLY(secret=remote.secret, key=remote.key, url=remote.url).of_secret(remote.secret)


def _review(session: SyncSession, request: RunRequest, head: RemoteHeads) -> dict[str, object] | None:
    """The review branch, as the status tells it."""
    if request.review in (None, head.branch):
        return None
    known = session.review_branch if session.review_branch and session.review_branch.branch == request.review else None
    told = {"branch": request.review, "commit": known.commit if known else head.review}
    follows = {"follows": known.follows} if known and known.commit else {}
    return {**{k: v for k, v in told.items() if v}, **follows}


def explain(error: BaseException) -> GitIntegrationError:
    """Any error as one of ours: what is not is a defect, told as such without its words, which may hold anything."""
    if isinstance(error, GitIntegrationError):
        return error
    return ClusterError(Reason.ProgressingWithRetry, f"internal error: {type(error).__name__}", retry=True)
