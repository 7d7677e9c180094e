"""A push on demand: pipelines of the cluster to a branch, as one commit at most, and a pull request where one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gitintegration.api.operation import PushOperation
from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.invalid import Problem
from gitintegration.core.layout import Layout
from gitintegration.core.plan.plan import Plan, PlannedChange
from gitintegration.core.plan.policy import Policy, Side
from gitintegration.core.plan.pull_request import pull_request_text
from gitintegration.core.state.record import Published
from gitintegration.core.values import ObjectKey
from gitintegration.errors import GitIntegrationError, OperationError, Reason, StaleRemote, Words
from gitintegration.forge.dialects import Draft
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import target_of
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.workers import Workers
from gitintegration.operations.branch_push import BranchPush
from gitintegration.operations.plan_pages import PlanPages, file_details, values_of
from gitintegration.operations.portions import Portions
from gitintegration.operations.result import (
    OperationContext,
    OperationResult,
    PartialFailure,
    as_line,
    change,
    check_deletes,
    check_digest,
    check_expected,
    check_named,
    check_problems,
    chosen,
    count_invalid,
    head_of,
    lossy,
    note_branch,
    plan_words,
    sorted_out,
    undone,
    unmoved,
    with_lines,
)
from gitintegration.reconcile.branches import SECONDS
from gitintegration.reconcile.heads import RemoteHeads
from gitintegration.reconcile.item import Item, RunRequest, RunStats
from gitintegration.reconcile.publish import Branch, edits_of
from gitintegration.reconcile.reconciler import Reconciler
from gitintegration.session.live_objects import Prefetched
from gitintegration.session.session import SyncSession

_ATTEMPTS = 6


class Push:
    def __init__(
        self, reconciler: Reconciler, git: GitClient, workers: Workers, forges: Forges, pushed: BaseStore[Published]
    ) -> None:
        self._reconciler, self._git, self._workers = reconciler, git, workers
        self._forges, self._elsewhere = forges, BranchPush(reconciler, pushed)

    async def run(
        self, session: SyncSession, request: RunRequest, order: OperationContext, wanted: PushOperation
    ) -> OperationResult:
        """Write pipelines of the cluster to a branch, as one commit at most, whatever happens on the way."""
        note_branch(order, session, request, wanted.branch)
        for _ in range(_ATTEMPTS):
            head, layout = await self._reconciler.observe(session, request)
            branch = order.found["branch"] = wanted.branch or head.branch
            if wanted.create_pull_request and branch == head.branch:
                words = f"a pull request goes to {head.branch}: name another branch in push.branch to make it from"
                raise OperationError(Reason.InvalidSpec, words)
            at = head.commit if branch == head.branch else await head_of(self._git, request.remote, branch)
            if done := await self._landed(session, request, order, branch, at):
                return await self._proposed(request, wanted, head, done, ())
            if branch != head.branch:
                await self._reconciler.verifier.check(session, request, at)
            check_expected(wanted.expected_remote_commit, at, branch)
            keys = chosen(session, request, wanted.pipelines)
            if wanted.pipelines is None:
                keys = [key for key in keys if (p := session.table.open.get(key)) and p.local]
            asked = replace(request, policy=Policy.of_push(request.spec, wanted))
            rest = 0 if wanted.pipelines else unmoved(session, request, keys)
            portions = self._portions(session, asked, layout, keys)
            try:
                if branch == head.branch:
                    return await self._push_default(session, asked, order, wanted, layout, head, portions, rest)
                done, changes = await self._elsewhere.run(
                    session, asked, order, wanted, layout, head, branch, at, portions, rest
                )
                if wanted.dry_run or not (changes or await self._offers(session, request, at, head.commit)):
                    return done
                return await self._proposed(request, wanted, head, done, changes)
            except StaleRemote as lost:
                if wanted.expected_remote_commit:
                    raise OperationError(Reason.StaleRemote, lost.message) from None
                order = replace(order, status={})
        raise OperationError(Reason.StaleRemote, f"branch {branch} moves faster than this can be written; try again")

    def _portions(
        self, session: SyncSession, request: RunRequest, layout: Layout, keys: Sequence[ObjectKey]
    ) -> Portions:
        async def read(some: Sequence[ObjectKey], ahead: Prefetched | None) -> list[Item]:
            return await self._reconciler.reader.read(session, request, layout, some, ahead)

        return Portions(self._reconciler, request, keys, session.index.path_of, read)

    async def _offers(self, session: SyncSession, request: RunRequest, at: str | None, head: str | None) -> bool:
        """Whether a branch at `at`, that nothing new was pushed to, holds something for a pull request."""
        if at is None or head is None or at == head:
            return False
        return await self._reconciler.branches.differs(session, request, at, head)

    async def _proposed(
        self,
        request: RunRequest,
        wanted: PushOperation,
        head: RemoteHeads,
        done: OperationResult,
        changes: Sequence[PlannedChange],
    ) -> OperationResult:
        """The same end, with the pull request that was asked for. Raises PartialFailure: the push has been made."""
        if not wanted.create_pull_request:
            return done
        title, body = pull_request_text(changes, integration=request.name, namespace=request.namespace)
        asked = wanted.pull_request
        if wanted.message and not (asked and asked.title):
            title = wanted.message.strip().partition("\n")[0][:255]
        draft = Draft(
            title=asked.title if asked and asked.title else title,
            body=asked.body if asked and asked.body is not None else body,
            draft=bool(asked and asked.draft),
            labels=tuple(asked.labels or ()) if asked else (),
        )
        try:
            target = target_of(request.spec.provider, request.remote, request.api_token)
            made = await self._forges.ensure(target, wanted.branch or head.branch, head.branch, draft)
        except GitIntegrationError as error:
            words = Words(f"{done.message}; but no pull request: {error.message}", error.remedy)
            raise PartialFailure(OperationError(error.reason, words), done.fields) from None
        message = f"{done.message}; pull request {made.number} is {made.state}: {made.url}"
        return OperationResult(message, {**done.fields, "pullRequest": made.to_status()})

    async def _landed(
        self, session: SyncSession, request: RunRequest, order: OperationContext, branch: str, at: str | None
    ) -> OperationResult | None:
        """The end of a push that another process has begun, where its commit is on the branch."""
        commit = order.status.get("commit")
        if not commit or at is None:
            return None
        if commit != at:
            known = await self._workers.run(SECONDS, objects.is_ancestor, session.directory, commit, at)
            if not known:
                await self._git.fetch_history(request.remote, session.directory, [at])
                known = await self._workers.run(SECONDS, objects.is_ancestor, session.directory, commit, at)
            if not known:
                return None
        return OperationResult(f"pushed {commit[:12]} to {branch}")

    async def _push_default(
        self,
        session: SyncSession,
        request: RunRequest,
        order: OperationContext,
        wanted: PushOperation,
        layout: Layout,
        head: RemoteHeads,
        portions: Portions,
        rest: int,
    ) -> OperationResult:
        """One commit on the default branch. `rest`: how many pipelines need no look."""
        branch, base = self._reconciler.branch(session, request, layout, head), head.commit or ""
        plan, problems = Plan("push", head.branch), list[Problem]()
        order.pages.begin()
        async for items in portions:
            plan, placed = await self._planned(plan, branch, request, items)
            if order.pages.wanted and placed:
                plan = await self._told(order.pages, session, request, plan, placed)
            problems += [item.problem for item in items if item.problem]
        left = await self._reconciler.authors.told(session, request, plan.conflicts)
        plan = replace(plan, unchanged=plan.unchanged + rest, invalid=count_invalid(session), conflicts=left)
        order.found.update(undone(plan, base))
        check_named(problems, plan.conflicts, wanted.pipelines)
        told = {"branch": head.branch, "baseCommit": base, **plan.to_status(), **await order.pages.end()}
        check_digest(wanted.plan_digest, plan)
        if wanted.dry_run or not plan.changes:
            return OperationResult(plan_words("push", plan, dry_run=wanted.dry_run), told)
        check_deletes(session, request, plan.changes, wanted)
        made = Plan("push", head.branch)
        try:
            async for items in portions:
                made, _ = await self._planned(made, branch, request, items, stage=True)
            left = await self._reconciler.authors.told(session, request, made.conflicts)
            plan = replace(plan, changes=with_lines(made.changes, plan.changes), conflicts=left)
            told |= plan.to_status()
            check_digest(wanted.plan_digest, plan)
            check_deletes(session, request, plan.changes, wanted)
            prepared = await branch.prepare(as_line(wanted.message), order.created_at) if plan.changes else None
            check_problems(branch.problems)
            if prepared is None:
                await self._reconciler.flush(session, request)
                return OperationResult(
                    "nothing to push", {**told, "counts": replace(plan, changes=()).counts, "changes": []}
                )
            told = {**told, **lossy(prepared.made), "commit": prepared.sha}
            await order.record(told)
            await branch.push(prepared, RunStats())
            await self._reconciler.take_off(session, request)
        finally:
            branch.discard()
        await self._reconciler.flush(session, request)
        return OperationResult(f"pushed {prepared.sha[:12]} to {head.branch}: {plan.words()}", told)

    @staticmethod
    async def _planned(
        plan: Plan, branch: Branch, request: RunRequest, items: Sequence[Item], *, stage: bool = False
    ) -> tuple[Plan, Sequence[Item]]:
        """The plan with these items, and those of them that are written. `stage`: have the branch take them."""
        ready, left = sorted_out(request, items)
        placed = await branch.place(ready)
        if stage:
            await branch.stage(placed)
        changes = [*plan.changes, *(change(item, item.target, Side.git) for item in placed)]
        same = plan.unchanged + len(items) - len(ready) - len(left)
        return replace(plan, changes=changes, conflicts=[*plan.conflicts, *left], unchanged=same), placed

    async def _told(
        self, pages: PlanPages, session: SyncSession, request: RunRequest, plan: Plan, placed: Sequence[Item]
    ) -> Plan:
        """Tell the changes of these items, the last of the plan, with values. The plan with their lines."""
        patches = await self._reconciler.branches.preview(session, request, edits_of(placed))
        changes, begun = plan.changes[-len(placed) :], plan.changes[: -len(placed)]
        details = file_details(placed, changes, [values_of(item, Side.git) for item in placed], patches)
        await pages.add(details, patches)
        return replace(plan, changes=[*begun, *(detail.counted for detail in details)])
