"""From what a run found and did to the outcome that the status is made of."""

from __future__ import annotations

from gitintegration.core.layout import folder_of
from gitintegration.core.status import ConflictEntry, HeldCopies, InvalidEntry, Outcome
from gitintegration.errors import ClusterError, GitIntegrationError, Reason
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import RunRequest, RunStats
from gitintegration.session.session import SyncSession


def outcome_of(
    session: SyncSession,
    request: RunRequest,
    head: RemoteHeads,
    stats: RunStats,
    error: GitIntegrationError | None,
) -> Outcome:
    """What is known now, as the status tells it."""
    pending = session.table.open
    conflicts = [
        ConflictEntry(key.kind, key.name, p.id, p.path, p.conflict.reason.value, p.conflict.fields)
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
        error=error,
        connection={**(session.connection or {"reachable": True}), "latencyMs": head.latency_ms},
        pipelines=len(session.records.marks) + sum(key not in session.records.marks for key in pending),
        local_ahead=local,
        remote_ahead=remote,
        conflicts=conflicts,
        invalid=[InvalidEntry(p.path, p.reason.value, p.message) for p in problems],
        held=tuple(stats.held),
        refusals=(*request.refusals, *session.away.values(), *stats.troubles, *session.contest.told()),
        warnings=(*request.warnings, *request.remote.warnings),
        rewritten=session.rewritten,
        review=(review := _review(session, request, head)),
        pull_request=session.pull_request if review and request.spec.sync.push.create_pull_request else None,
        remote_commit=commit,
        synced_commit=commit if settled and error is None else None,
        history=session.history,
        requested_at=request.requested_at,
        source=request.source,
        prefix=_prefix(request, stats, error),
        elsewhere=session.elsewhere,
        let_go=[key.name for key in session.let_go],
        selection=None if error or session.away or request.refusals else session.selection,
        branch=head.branch,
        memory=session.records.digest,
    )


def _prefix(request: RunRequest, stats: RunStats, error: GitIntegrationError | None) -> str:
    """The one that pipelines are written below; a changed one counts from when nothing waits to be copied there."""
    waits = error is not None or any(isinstance(held, HeldCopies) for held in stats.held)
    if request.prefix_before is not None and waits:
        return request.prefix_before
    return folder_of(request.spec.path_prefix)


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
