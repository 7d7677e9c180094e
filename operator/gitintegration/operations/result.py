"""How an operation is carried out and how it ended, and what may stand in its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gitintegration import messages
from gitintegration.api.operation import PullOperation, PushOperation
from gitintegration.commits.files import Committed
from gitintegration.core.invalid import Problem
from gitintegration.core.plan.authors import Torn
from gitintegration.core.plan.deletes import DeleteLimit, held
from gitintegration.core.plan.plan import Plan, PlannedChange
from gitintegration.core.plan.policy import Side
from gitintegration.core.state.item import Why
from gitintegration.core.status import ConflictEntry, conflict_names
from gitintegration.core.values import ObjectKey
from gitintegration.errors import GitIntegrationError, OperationError, Reason, Words
from gitintegration.git import log as git_log
from gitintegration.git.client import GitClient
from gitintegration.git.remote import Remote
from gitintegration.git.workers import Workers
from gitintegration.messages import counted, named
from gitintegration.operations.plan_pages import PlanPages, values_of
from gitintegration.reconcile.branches import SECONDS
from gitintegration.reconcile.deletes import is_peopled, unconfirmed_copies
from gitintegration.reconcile.item import LOSSY, Item, RunRequest, Verb, named_by_verb
from gitintegration.session import history
from gitintegration.session.live_objects import Kind
from gitintegration.session.session import SyncSession


@dataclass(frozen=True, slots=True)
class OperationContext:
    """An operation as it is carried out."""

    created_at: int
    """Seconds since the epoch: the time of its commit, so that doing it twice makes the same commit."""
    status: Mapping[str, Any]
    """As it was left by a process that ended meanwhile."""
    record: Callable[[Mapping[str, Any]], Awaitable[None]]
    """Writes to its status what is about to be done."""
    found: dict[str, Any] = field(default_factory=dict)
    """What it tells should it fail with nothing done."""
    pages: PlanPages = field(default_factory=PlanPages)
    """Where its plan is told with values."""
    by: str = ""
    """Who asked for it, where that is stamped."""


@dataclass(frozen=True, slots=True)
class OperationResult:
    """How it ended well."""

    message: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of the status."""
    event: str = ""
    """The reason of an event that tells it as well, where one does."""


class PartialFailure(GitIntegrationError):
    """It failed, and not all of it was left undone: the fields of the status say what was."""

    def __init__(self, error: GitIntegrationError, fields: Mapping[str, Any]) -> None:
        super().__init__(error.reason, error.words, retry=error.retry)
        self.fields = fields


def note_branch(order: OperationContext, session: SyncSession, request: RunRequest, wanted: str | None) -> None:
    """The branch that it is about, as far as that is known before anything was asked of the server."""
    if branch := wanted or request.spec.default_branch or session.branch:
        order.found["branch"] = branch


async def head_of(git: GitClient, remote: Remote, branch: str) -> str | None:
    ref = f"refs/heads/{branch}"
    return (await git.ls_refs(remote, [ref])).refs.get(ref)


async def revision_of(
    git: GitClient, workers: Workers, session: SyncSession, request: RunRequest, branch: str, tip: str, revision: str
) -> str:
    """The full name of a commit of the branch. Raises OperationError where it has no such commit."""
    found = await workers.run(SECONDS, git_log.find_commit, session.directory, tip, revision)
    if not found:
        await git.fetch_history(request.remote, session.directory, [tip])
        found = await workers.run(SECONDS, git_log.find_commit, session.directory, tip, revision)
    if len(found) != 1:
        how = "names more than one commit of branch" if found else "is no commit of branch"
        raise OperationError(Reason.InvalidSpec, messages.NO_REVISION(revision=revision, how=how, branch=branch))
    return found[0]


def chosen(session: SyncSession, request: RunRequest, names: Sequence[str] | None) -> list[ObjectKey]:
    """The pipelines of these ids or names, all where none are given. Raises OperationError for what is unknown."""
    known = session.records.marks.keys() | session.index.items.keys() | session.table.open.keys()
    known = {key for key in known if (key.group, key.kind) in request.kinds}
    if not names:
        return sorted(known)
    by_name: dict[str, set[ObjectKey]] = {}
    for key in known:
        by_name.setdefault(key.name, set()).add(key)
    by_id: dict[str, set[ObjectKey]] = {}
    for key, there in session.index.items.items():
        by_id.setdefault(history.pipeline_id(there), set()).add(key)
    for key, item in session.table.open.items():
        by_id.setdefault(item.id, set()).add(key)
    if unknown := [name for name in names if name not in by_id and name not in by_name]:
        _check_carried(session, request, [kind.key(name) for name in unknown for kind in request.kinds.values()])
        kind = next(iter(request.kinds.values()), None)
        words = messages.UNKNOWN_PIPELINES(
            name=request.name,
            names=named(unknown, 10),
            resource=kind.kind.plural if kind else "all",
            prefix=request.spec.path_prefix or "the repository's root",
        )
        raise OperationError(Reason.UnknownPipeline, words)
    keys = sorted({key for name in names for key in by_id.get(name) or by_name[name]})
    _check_carried(session, request, keys)
    return keys


def _check_carried(session: SyncSession, request: RunRequest, keys: Iterable[ObjectKey]) -> None:
    """Raises OperationError that says why one of them is none of the integration's, though it is there."""
    for key in keys:
        kind, left = request.kinds[key.group, key.kind], session.table.left.get(key)
        meta = kind.informer.of(request.namespace).get(key.name)
        why = left.why if left else None
        if meta is not None and meta.controlled and not session.table.is_agreed(key):
            why = Why.Controlled
        if why is not None:
            raise OperationError(Reason.UnknownPipeline, _not_carried(key, kind, why, left.path if left else ""))


def _not_carried(key: ObjectKey, kind: Kind, why: Why, path: str) -> Words:
    told = {"key": key, "resource": kind.kind.plural, "pipeline": key.name}
    if why is Why.Controlled:
        return messages.NOT_CARRIED_OWNED(**told)
    if why is Why.Ignored:
        return messages.NOT_CARRIED_IGNORED(key=key, path=path)
    selector = kind.resource.label_selector
    wanted = (selector.match_labels if selector else None) or {"KEY": "VALUE"}
    return messages.NOT_CARRIED_LABELS(**told, labels=tuple(f"{k}={v}" for k, v in sorted(wanted.items())))


def unmoved(session: SyncSession, request: RunRequest, keys: Collection[ObjectKey]) -> int:
    """How many pipelines both sides agreed on are not among these, of the kinds that are listed: they need no look."""
    agreed = (key for key in session.records.marks if (key.group, key.kind) in request.kinds)
    seen = set(keys)
    return sum(key not in seen for key in agreed)


def undone(plan: Plan, base: str) -> dict[str, Any]:
    """What an operation tells that fails before it changes anything: where, and what was found."""
    none = replace(plan, changes=())
    told = none.to_status()
    return {"branch": plan.branch, "baseCommit": base, "counts": none.counts, "conflicts": told["conflicts"]}


def partly(told: Mapping[str, Any], left: Sequence[PlannedChange]) -> dict[str, Any]:
    """What was done of a pull's plan, where these changes of it were not made."""
    names = {(change.key.kind, change.key.name) for change in left}
    counts = {**told["counts"], "invalid": told["counts"]["invalid"] + len(left)}
    for change in left:
        counts[f"{change.action}d"] -= 1
    kept = [c for c in told["changes"] if (c["kind"], c["name"]) not in names]
    return {**told, "counts": counts, "changes": kept}


def change(item: Item, path: str, side: Side) -> PlannedChange:
    before, after = values_of(item, side)
    both = item.decision.local_ahead and item.decision.remote_ahead
    keys = item.kind.schema.list_keys
    return PlannedChange.of(item.key, item.id, path, before, after, keys, merged=both)


def with_lines(changes: Sequence[PlannedChange], planned: Sequence[PlannedChange]) -> list[PlannedChange]:
    """The changes, with the lines that were counted when they were planned."""
    lines = {change.key: change.lines for change in planned}
    return [replace(change, lines=lines.get(change.key)) for change in changes]


def check_deletes(
    session: SyncSession,
    request: RunRequest,
    changes: Sequence[PlannedChange],
    wanted: PullOperation | PushOperation,
    *,
    side_is_empty: bool | None = None,
) -> None:
    """A mass delete that nobody confirmed, or what a changed prefix would have written anew, asks for the digest of its dry run.

    `side_is_empty`: whether the side that is read holds nothing; None: the cluster is asked.
    """
    if wanted.plan_digest or wanted.pipelines:
        return
    if isinstance(wanted, PushOperation):
        new = [change.key for change in changes if change.action == "create"]
        if copies := unconfirmed_copies(session, request, new):
            count, before = f"{copies.count} of {counted(copies.known)}", copies.before
            words = messages.OPERATION_COPIES(before=before, count=count, prefix=request.spec.path_prefix)
            raise OperationError(Reason.PrefixChanged, words)
    gone = [change.key for change in changes if change.action == "delete"]
    empty = not is_peopled(request) if side_is_empty is None else side_is_empty
    known, limit = len(session.records.marks), DeleteLimit.parse(request.spec.sync.max_deletes)
    side = "git" if isinstance(wanted, PushOperation) else "cluster"
    if held(side, gone, known=known, side_is_empty=empty, limit=limit, confirmed=request.confirmed):
        names = named(sorted(key.name for key in gone))
        count = f"{len(gone)} of {counted(len(session.records.marks))}"
        where = "git" if side == "git" else "the cluster"
        raise OperationError(Reason.DeletesHeld, messages.OPERATION_DELETES(count=count, side=where, names=names))


def conflict_of(item: Item) -> ConflictEntry:
    conflict = item.decision.conflict
    assert conflict is not None
    torn = Torn(item.key, item.path, conflict, item.conflict_mark)
    return ConflictEntry.of(torn, item.id, item.conflict_values)


def count_invalid(session: SyncSession) -> int:
    return len(session.index.problems()) + sum(1 for p in session.table.open.values() if p.problem)


def as_line(message: str | None) -> str | None:
    return f"{message.rstrip()}\n" if message else None


def lossy(made: Committed) -> dict[str, list[str]]:
    """The files that lost something beside what was edited, for the status."""
    return {"lossy": list(made.edited.lossy[:LOSSY])} if made.edited.lossy else {}


def plan_words(kind: str, plan: Plan, *, dry_run: bool) -> str:
    if dry_run:
        return f"dry run: {plan.words()}; do it with planDigest {plan.digest}"
    return f"nothing to {kind}" if not plan.conflicts else f"nothing to {kind}; {len(plan.conflicts)} in conflict"


def count_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n and name != "unchanged") or "nothing to do"


def done_words(told: Mapping[str, Any]) -> str:
    """What was done with which pipelines, as an operation's status tells them; of too many, how many."""
    if told.get("changesTruncated") or not told["changes"]:
        return count_words(told["counts"])
    return named_by_verb({verb: [c["name"] for c in told["changes"] if c["action"] == verb] for verb in Verb}).words


def check_expected(expected: str | None, at: str | None, branch: str) -> None:
    if expected and not (at or "").startswith(expected):
        words = messages.STALE_REMOTE(branch=branch, at=(at or "no commit")[:12], expected=expected[:12])
        raise OperationError(Reason.StaleRemote, words)


def check_digest(digest: str | None, plan: Plan) -> None:
    if digest and digest != plan.digest:
        raise OperationError(Reason.PlanStale, messages.PLAN_STALE(digest=plan.digest, plan=plan.words()))


def check_conflicts(left: Sequence[ConflictEntry], names: Sequence[str] | None) -> None:
    if names and left:
        first = min(left, key=ConflictEntry.order).name
        raise OperationError(Reason.Conflicts, messages.OPERATION_CONFLICTS(names=conflict_names(left), first=first))


def check_problems(problems: Iterable[Problem]) -> None:
    if told := list(problems):
        raise OperationError(Reason.InvalidManifests, problem_words(told))


def problem_words(problems: Sequence[Problem]) -> Words:
    """The first of them, and what mends the first that can be."""
    remedy = next((problem.remedy for problem in problems if problem.remedy), "")
    return Words("; ".join(problem.message for problem in problems[:3]), remedy)


def sorted_out(request: RunRequest, items: Sequence[Item]) -> tuple[list[Item], list[ConflictEntry]]:
    """What can be pushed, and what is in conflict."""
    left = [conflict_of(item) for item in items if item.decision.conflict]
    ready = [i for i in items if request.may.admits(i.decision, Side.git) and i.problem is None]
    return ready, left


def check_named(problems: Iterable[Problem], left: Sequence[ConflictEntry], names: Sequence[str] | None) -> None:
    """What was named is not left out quietly."""
    check_conflicts(left, names)
    if names:
        check_problems(problems)
