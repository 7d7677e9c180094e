"""What a GitOperation does: push, pull, test, history. Each in the integration's own turn, on the engine of the sync."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from gitintegration.api.integration import Mode
from gitintegration.api.operation import HistoryOperation, PullOperation, PushOperation
from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.bounds import told_history
from gitintegration.core.deletes import DeleteLimit, held
from gitintegration.core.layout import SUFFIXES, Layout, commit_message
from gitintegration.core.merge import Decision, Strategy, Write
from gitintegration.core.plan import Plan, PlannedChange
from gitintegration.core.pull_request import pull_request_text
from gitintegration.core.state.item import Phase
from gitintegration.core.state.record import Published
from gitintegration.core.state.shards import ShardedRecords
from gitintegration.core.state.table import ItemTable
from gitintegration.core.status import ConflictEntry
from gitintegration.core.values import ObjectKey
from gitintegration.errors import GitIntegrationError, OperationError, Reason, RemoteError, StaleRemote
from gitintegration.forge.dialects import Draft
from gitintegration.forge.pull_requests import Forges
from gitintegration.forge.target import target_of
from gitintegration.git import log as git_log
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import CommitInfo
from gitintegration.git.remote import Remote
from gitintegration.git.workers import Workers
from gitintegration.sync import history
from gitintegration.sync.branches import SECONDS, Place, merged
from gitintegration.sync.cluster_side import by_kind
from gitintegration.sync.connection import Connection, examine
from gitintegration.sync.engine import Engine
from gitintegration.sync.files import Committed, Edits, Ground
from gitintegration.sync.item import LOSSY, Item, Request, Tally, summary
from gitintegration.sync.observe import Head
from gitintegration.sync.workspace import Workspace

_ATTEMPTS = 6
_INDEX_SECONDS = 120.0
"""A repository of 10,000 files and 5,000 commits was measured at 2 s."""


@dataclass(frozen=True, slots=True)
class Order:
    """An operation as it is carried out."""

    created_at: int
    """Seconds since the epoch: the time of its commit, so that doing it twice makes the same commit."""
    status: Mapping[str, Any]
    """As it was left by a process that ended meanwhile."""
    record: Callable[[Mapping[str, Any]], Awaitable[None]]
    """Writes to its status what is about to be done."""


@dataclass(frozen=True, slots=True)
class Done:
    """How it ended well."""

    message: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of the status."""


class Actions:
    def __init__(
        self, engine: Engine, git: GitClient, workers: Workers, forges: Forges, pushed: BaseStore[Published]
    ) -> None:
        """`pushed` remembers what was pushed to other branches, so that a second push there is no conflict with the first."""
        self._engine, self._git, self._workers = engine, git, workers
        self._forges, self._pushed = forges, pushed

    # --- push ---------------------------------------------------------------------------------------------------------

    async def push(self, ws: Workspace, request: Request, order: Order, wanted: PushOperation) -> Done:
        """Write pipelines of the cluster to a branch, as one commit at most, whatever happens on the way."""
        for _ in range(_ATTEMPTS):
            head, layout = await self._engine.observe(ws, request)
            branch = wanted.branch or head.branch
            if wanted.create_pull_request and branch == head.branch:
                words = f"a pull request goes to {head.branch}: name another branch in push.branch to make it from"
                raise OperationError(Reason.InvalidSpec, words)
            at = head.commit if branch == head.branch else await self._branch(request.remote, branch)
            if done := await self._landed(ws, request, order, branch, at):
                return await self._proposed(request, wanted, head, done, ())
            _check_expected(wanted.expected_remote_commit, at, branch)
            keys = self._chosen(ws, request, wanted.pipelines)
            if wanted.pipelines is None:
                keys = [key for key in keys if (p := ws.table.open.get(key)) and p.local]
            items = await self._engine.plan(ws, request, layout, keys)
            try:
                if branch == head.branch:
                    return await self._push_default(ws, request, order, wanted, layout, head, items)
                done, changes = await self._push_branch(ws, request, order, wanted, layout, head, branch, at, items)
                if wanted.dry_run or not (changes or await self._offers(ws, request, at, head.commit)):
                    return done
                return await self._proposed(request, wanted, head, done, changes)
            except StaleRemote as lost:
                if wanted.expected_remote_commit:
                    raise OperationError(Reason.StaleRemote, lost.message) from None
                order = replace(order, status={})
        raise OperationError(Reason.StaleRemote, f"branch {branch} moves faster than this can be written; try again")

    async def _offers(self, ws: Workspace, request: Request, at: str | None, head: str | None) -> bool:
        """Whether a branch at `at`, that nothing new was pushed to, holds something for a pull request."""
        if at is None or head is None or at == head:
            return False
        return await self._engine.branches.differs(ws, request, at, head)

    async def _proposed(
        self, request: Request, wanted: PushOperation, head: Head, done: Done, changes: Sequence[PlannedChange]
    ) -> Done:
        """The same end, with the pull request that was asked for. Raises Partly: the push has been made."""
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
            words = f"{done.message}; but no pull request: {error.message}"
            raise Partly(OperationError(error.reason, words), done.fields) from None
        message = f"{done.message}; pull request {made.number} is {made.state}: {made.url}"
        return Done(message, {**done.fields, "pullRequest": made.to_status()})

    async def _landed(self, ws: Workspace, request: Request, order: Order, branch: str, at: str | None) -> Done | None:
        """The end of a push that another process has begun, where its commit is on the branch."""
        commit = order.status.get("commit")
        if not commit or at is None:
            return None
        if commit != at:
            known = await self._workers.run(SECONDS, objects.is_ancestor, ws.directory, commit, at)
            if not known:
                await self._git.fetch_history(request.remote, ws.directory, [at])
                known = await self._workers.run(SECONDS, objects.is_ancestor, ws.directory, commit, at)
            if not known:
                return None
        return Done(f"pushed {commit[:12]} to {branch}")

    async def _push_default(
        self,
        ws: Workspace,
        request: Request,
        order: Order,
        wanted: PushOperation,
        layout: Layout,
        head: Head,
        items: Sequence[Item],
    ) -> Done:
        ready, left = self._sorted_out(request, items, wanted.pipelines)
        placed = await self._engine.assign_paths(ws, layout, head.commit, ready)
        if wanted.pipelines:
            _check_problems(ready)
        ready = placed
        changes = [self._change(item, item.target, "git") for item in ready]
        plan = Plan("push", head.branch, changes, left, len(items) - len(ready) - len(left), _invalid(ws))
        told = {"branch": head.branch, "baseCommit": head.commit or "", **plan.to_status()}
        _check_digest(wanted.plan_digest, plan)
        if wanted.dry_run or not ready:
            return Done(_words("push", plan, dry_run=wanted.dry_run), told)
        self._check_deletes(ws, request, changes, wanted)
        draft = await self._engine.draft(
            ws, request, layout, head.commit, ready, message=_line(wanted.message), moment=order.created_at
        )
        _check_problems(ready)
        if draft is None:
            await self._engine.checkpoint(ws, request, ready)
            return Done("nothing to push", {**told, "counts": Plan("push", head.branch).counts, "changes": []})
        told = {**told, **_lossy(draft.made)}
        try:
            await order.record({**told, "commit": draft.info.sha})
            await self._engine.push(ws, request, head, draft, Tally())
        finally:
            draft.made.discard()
        await self._engine.checkpoint(ws, request, ready)
        return Done(
            f"pushed {draft.info.sha[:12]} to {head.branch}: {plan.words()}", {**told, "commit": draft.info.sha}
        )

    async def _push_branch(
        self,
        ws: Workspace,
        request: Request,
        order: Order,
        wanted: PushOperation,
        layout: Layout,
        head: Head,
        branch: str,
        at: str | None,
        items: Sequence[Item],
    ) -> tuple[Done, Sequence[PlannedChange]]:
        branches = self._engine.branches
        if at is not None:
            await branches.have_tree(ws, request, at)
        ground = Ground.on(at or head.commit)
        ready, left = self._sorted_out(request, items, wanted.pipelines)
        places = await branches.places(ws, request, layout, ground, ready, {})
        if wanted.pipelines:
            _check_problems(ready)
        ready = [item for item in ready if item.key in places]
        pushed = await self._pushed.load(request.namespace, request.uid)
        known = pushed if at is not None else None
        edits, changes, done = self._edits(branch, ready, places, known, left)
        _check_conflicts(left, wanted.pipelines)
        plan = Plan("push", branch, changes, left, len(items) - len(changes) - len(left), _invalid(ws))
        told = {"branch": branch, "baseCommit": at or head.commit or "", **plan.to_status()}
        _check_digest(wanted.plan_digest, plan)
        if wanted.dry_run or not edits:
            return Done(_words("push", plan, dry_run=wanted.dry_run), told), ()
        self._check_deletes(ws, request, changes, wanted)
        message = _line(wanted.message) or commit_message(
            summary(done),
            integration=request.name,
            namespace=request.namespace,
            template=request.spec.sync.push.message_template,
        )
        made = await branches.commit(ws, request, ground, edits.items(), message, order.created_at)
        try:
            if made.edited.failed:
                raise OperationError(Reason.InvalidManifests, "; ".join(words for _, words in made.edited.failed[:3]))
            assert made.commit is not None
            told = {**told, **_lossy(made)}
            await order.record({**told, "commit": made.commit.sha})
            await branches.push(ws, request, f"refs/heads/{branch}", at, made)
        finally:
            made.discard()
        for item in done:
            assert item.decision.git is not None
            pushed.put(Published(item.key, branch, places[item.key].path, item.decision.git.value))
        await self._pushed.save(request.namespace, request.name, request.uid, pushed)
        words = f"pushed {made.commit.sha[:12]} to {branch}: {plan.words()}"
        return Done(words, {**told, "commit": made.commit.sha}), changes

    def _edits(
        self,
        branch: str,
        ready: Sequence[Item],
        places: Mapping[ObjectKey, Place],
        pushed: ShardedRecords[Published] | None,
        left: list[ConflictEntry],
    ) -> tuple[Edits, list[PlannedChange], list[Item]]:
        """What a push writes to a branch, and the items it is of; what stands in the way of others goes to `left`."""
        edits: Edits = {}
        changes: list[PlannedChange] = []
        done: list[Item] = []
        for item in ready:
            assert item.decision.git is not None
            place = places[item.key]
            there = place.view(item)
            before = pushed.get(Published.key_of(item.key, branch)) if pushed else None
            value, obstacle = merged(item, before.value if before else item.git_view, there, item.decision.git.value)
            if obstacle:
                conflict = (place.path, "BothModified", obstacle.fields)
                left.append(ConflictEntry(item.key.kind, item.key.name, item.id, *conflict))
                continue
            edit = self._engine.branches.edit(item, place, value)
            if edit is None:
                continue
            edits.setdefault(place.path, (place.blob or None, []))[1].append(edit)
            both = item.decision.remote_ahead or there not in (item.git_view, value)
            keys = item.kind.schema.list_keys
            changes.append(PlannedChange.of(item.key, item.id, place.path, there, value, keys, merged=both))
            done.append(item)
        return edits, changes, done

    # --- pull ---------------------------------------------------------------------------------------------------------

    async def pull(self, ws: Workspace, request: Request, order: Order, wanted: PullOperation) -> Done:
        """Bring pipelines of a branch into the cluster. What it is refused for single ones is told; the rest is done."""
        head, layout = await self._engine.observe(ws, request)
        branch = wanted.branch or head.branch
        source, at = ws, head.commit
        if branch != head.branch or wanted.revision:
            at = head.commit if branch == head.branch else await self._branch(request.remote, branch)
            if at is None:
                raise OperationError(Reason.BranchNotFound, f"branch {branch!r} is not in the repository")
        _check_expected(wanted.expected_remote_commit, at, branch)
        asked = self._settled(ws, request, wanted)
        if source_commit := wanted.revision or (at if branch != head.branch else None):
            commit = source_commit if not wanted.revision else await self._revision(ws, request, at, wanted.revision)
            source, layout, at = *await self._elsewhere(ws, asked, Head(branch, commit, 0, named=True)), commit
        keys = self._chosen(source, request, wanted.pipelines)
        if wanted.pipelines is None or not wanted.pipelines:
            moved = {key for key, p in ws.table.open.items() if p.remote or p.conflict} | source.table.suspects
            keys = [key for key in keys if key in moved]
        begun = order.status.get("phase") == "Running" and bool(order.status.get("planDigest"))
        refused: list[Item] = []
        told: dict[str, Any] = {}
        for attempt in range(_ATTEMPTS):
            if wanted.revision:
                items = await self._restored(source, asked, layout, keys, wanted.revision)
            else:
                items = await self._engine.plan(source, asked, layout, keys)
            ready, left = self._pullable(asked, items, wanted)
            if attempt == 0:
                changes = [self._change(item, item.path, "cluster") for item in ready]
                unchanged = len(items) - len(ready) - len(left)
                plan = Plan("pull", branch, changes, left, unchanged, _invalid(source))
                told = {"branch": branch, "baseCommit": head.commit or "", "commit": at or "", **plan.to_status()}
                if not begun:
                    _check_digest(wanted.plan_digest, plan)
                if wanted.dry_run:
                    return Done(_words("pull", plan, dry_run=True), told)
                if begun:  # told and begun by a process that ended meanwhile: what it did is done
                    kept = ("counts", "changes", "changesTruncated", "conflicts", "planDigest")
                    told |= {k: v for k, v in order.status.items() if k in kept}
                else:
                    self._check_deletes(ws, asked, changes, wanted, side_is_empty=source.index.empty)
                    await order.record(told)
            await self._engine.write_objects(source, asked, ready, Tally())
            if source is ws:
                for item in items:
                    rests = ws.table.open.get(item.key)
                    item.held = not item.carried and rests is not None and rests.phase is Phase.HELD
                    item.pulled = item.pulled or (item.decision.conflict is None and item.decision.cluster is None)
                await self._engine.checkpoint(ws, request, items)
            again = {item.key for item in ready if item.raced}
            refused += [item for item in ready if item.problem and item.key not in again]
            if not again:
                break
            keys = sorted(again)
        if refused:
            words = "; ".join(f"{item.problem.message}" for item in refused[:3] if item.problem)
            count = len(told["changes"]) - len(refused)
            raise Partly(
                OperationError(Reason.InvalidManifests, f"{max(0, count)} pulled, {len(refused)} refused: {words}"),
                told,
            )
        return Done(f"pulled from {branch}: " + _summed(told["counts"]), told)

    def _settled(self, ws: Workspace, request: Request, wanted: PullOperation) -> Request:
        """The request with the operation's strategy and resolutions."""
        takes: dict[ObjectKey, Strategy] = {}
        for resolution in wanted.resolutions or ():
            for key in self._chosen(ws, request, [resolution.pipeline]):
                takes[key] = Strategy(resolution.take)
        sync = request.spec.sync.model_copy(update={"strategy": wanted.strategy, "mode": Mode.Bidirectional})
        return replace(request, spec=request.spec.model_copy(update={"sync": sync}), takes=takes)

    def _pullable(
        self, request: Request, items: Sequence[Item], wanted: PullOperation
    ) -> tuple[list[Item], list[ConflictEntry]]:
        named = bool(wanted.pipelines)
        left = [_entry(item) for item in items if item.decision.conflict]
        ready = []
        for item in items:
            write = item.decision.cluster
            if write is None or item.decision.conflict or item.problem:
                continue
            if write.value is None and not request.spec.sync.prune and not named:
                continue
            ready.append(item)
        if wanted.pipelines:
            problems = [item.problem.message for item in items if item.problem]
            if problems:
                raise OperationError(Reason.InvalidManifests, "; ".join(problems[:3]))
            _check_conflicts(left, wanted.pipelines)
        return ready, left

    @staticmethod
    def _check_deletes(
        ws: Workspace,
        request: Request,
        changes: Sequence[PlannedChange],
        wanted: PullOperation | PushOperation,
        *,
        side_is_empty: bool | None = None,
    ) -> None:
        """A mass delete that nobody confirmed asks for the digest of its dry run.

        `side_is_empty`: whether the side that is read holds nothing; None: the cluster is asked.
        """
        if wanted.plan_digest or wanted.pipelines:
            return
        gone = [change.key for change in changes if change.action == "delete"]
        empty = not Engine.is_peopled(request) if side_is_empty is None else side_is_empty
        known, limit = len(ws.records.marks), DeleteLimit.parse(request.spec.sync.max_deletes)
        side = "git" if isinstance(wanted, PushOperation) else "cluster"
        if held(side, gone, known=known, side_is_empty=empty, limit=limit, confirmed=request.confirmed):
            words = f"{len(gone)} of {len(ws.records.marks)} pipelines would be deleted: run it with dryRun, then with its planDigest"
            raise OperationError(Reason.DeletesHeld, words)

    async def _elsewhere(self, ws: Workspace, request: Request, head: Head) -> tuple[Workspace, Layout]:
        """The workspace as it would be with another head. What was agreed is shared, and not changed by reading."""
        other = Workspace(ws.uid, ws.directory, ws.index.copy(), ws.records, ItemTable(ws.records.marks), logs=False)
        other.scope, other.loaded = ws.scope, True
        other.ignore_blob, other.ignore_text = ws.ignore_blob, ws.ignore_text
        layout = await self._engine.bring_to(other, request, head)
        return other, layout

    async def _revision(self, ws: Workspace, request: Request, tip: str | None, revision: str) -> str:
        """The full name of a commit of the branch. Raises OperationError where it has no such commit."""
        assert tip is not None
        found = await self._workers.run(SECONDS, git_log.find_commit, ws.directory, tip, revision)
        if not found:
            await self._git.fetch_history(request.remote, ws.directory, [tip])
            found = await self._workers.run(SECONDS, git_log.find_commit, ws.directory, tip, revision)
        if len(found) != 1:
            how = "names more than one commit" if found else "is no commit of the branch"
            raise OperationError(Reason.InvalidSpec, f"revision {revision} {how}")
        await self._engine.branches.have_tree(ws, request, found[0])
        return found[0]

    async def _restored(
        self, ws: Workspace, request: Request, layout: Layout, keys: Sequence[ObjectKey], revision: str
    ) -> list[Item]:
        """The items as the commit held them, to be written over whatever the cluster holds."""
        items = []
        missing = [key.name for key in keys if key not in ws.index.items]
        if missing:
            raise OperationError(Reason.UnknownPipeline, f"not there at {revision[:12]}: {', '.join(missing[:10])}")
        for kind_id, names in by_kind(keys, request.kinds).items():
            kind = request.kinds[kind_id]
            live = await self._engine.read(request, kind, {k.name: ws.index.items[k].api_version for k in names})
            for key in names:
                item = Item(key, kind, None, ws.index.items[key], live.get(key.name))
                item.manifest = orjson.loads(ws.index.items[key].value)
                item.git_view = kind.view(item.manifest)
                if not await self._engine.holds(request, item):
                    item.decision = Decision(cluster=Write(item.git_view), remote_ahead=True)
                items.append(item)
        return items

    # --- test and history ---------------------------------------------------------------------------------------------

    async def test(self, connection: Connection) -> Done:
        """Whether the repository answers, and what the credentials may. Changes nothing there."""
        found = await examine(self._git, self._forges, connection)
        may = ["read", "write"] if found.can_write else ["read"]
        branch = (found.default_branch or "").removeprefix("refs/heads/")
        told = {"reachable": True, "permissions": may, "latencyMs": found.latency_ms}
        if branch:
            told["defaultBranch"] = branch
        return Done(f"the repository answers; the credentials may {' and '.join(may)}", {"test": told})

    async def history(self, ws: Workspace, request: Request, scratch: Path, wanted: HistoryOperation) -> Done:
        """The commits of a branch that touched a path. `scratch` is a folder of its own, and gone afterwards."""
        named = wanted.branch or request.spec.default_branch
        refs = await self._git.ls_refs(request.remote, [f"refs/heads/{named}"] if named else ["refs/heads/"])
        branch = named or (refs.head or "refs/heads/main").removeprefix("refs/heads/")
        tip = refs.refs.get(f"refs/heads/{branch}")
        if tip is None:
            raise OperationError(Reason.BranchNotFound, f"branch {branch!r} is not in the repository")
        spec = request.spec
        layout = Layout.of(spec.path_prefix, spec.new_file_path, "", "", len(spec.resources))
        path = layout.prefix if wanted.path is None else wanted.path.lstrip("/")
        try:
            found = await self._log(ws, request, scratch, tip, path, layout.prefix, wanted.limit)
            ids = await self._ids(request, scratch, found.commits)
        finally:
            await asyncio.to_thread(objects.wipe, scratch)
        told = [
            history.entry(
                CommitInfo(c.sha, c.subject, c.author, c.time, tuple({e.path: None for e in (*c.after, *c.before)})),
                {e.path: ids.get((e.path, e.sha), ()) for e in c.before},
                {e.path: ids.get((e.path, e.sha), ()) for e in c.after},
            )
            for c in found.commits
        ]
        return Done(
            f"{len(told)} commits of {branch}", {"branch": branch, "commit": tip, "history": told_history(told)}
        )

    async def _log(
        self, ws: Workspace, request: Request, scratch: Path, tip: str, path: str, prefix: str, limit: int
    ) -> git_log.Log:
        """From few commits where they show enough, else from all: by an index that is kept where it serves again."""
        kept = path.startswith(prefix)
        index = (ws.directory if kept else scratch) / "history.sqlite"
        have = await self._workers.run(SECONDS, git_log.known, index, tip)
        if have is None:
            await self._git.fetch(request.remote, scratch, tip, None, limit + 1)
            found = await self._workers.run(SECONDS, git_log.log_shallow, scratch, tip, path, SUFFIXES, limit)
            if found.whole or len(found.commits) >= limit:
                return found
        if have != tip:
            folder = prefix if kept else path[: path.rfind("/") + 1]
            await self._git.fetch_log(request.remote, scratch, tip, have)
            for _ in range(_ATTEMPTS):
                absent = await self._workers.run(_INDEX_SECONDS, git_log.extend, index, scratch, tip, folder)
                if not absent:
                    break
                await self._git.fetch_trees(request.remote, scratch, absent)
            else:
                raise RemoteError(Reason.NetworkUnreachable, "the server leaves out trees of its history", retry=True)
        return await self._workers.run(SECONDS, git_log.log, index, tip, path, SUFFIXES, limit)

    async def _ids(
        self, request: Request, scratch: Path, commits: Iterable[git_log.LoggedCommit]
    ) -> dict[tuple[str, str], list[str]]:
        """The pipelines in each version of a file."""
        entries = list(dict.fromkeys(e for commit in commits for e in (*commit.after, *commit.before)))
        read = self._engine.observer.read(scratch, request.remote, entries, self._engine.branches.scope(request))
        return {(each.path, each.blob): [history.pipeline_id(item) for item in each.items] async for each in read}

    # --- what they share ----------------------------------------------------------------------------------------------

    async def _branch(self, remote: Remote, branch: str) -> str | None:
        ref = f"refs/heads/{branch}"
        return (await self._git.ls_refs(remote, [ref])).refs.get(ref)

    @staticmethod
    def _chosen(ws: Workspace, request: Request, names: Sequence[str] | None) -> list[ObjectKey]:
        """The pipelines of these ids or names, all where none are given. Raises OperationError for what is unknown."""
        known = ws.records.marks.keys() | ws.index.items.keys() | ws.table.open.keys()
        known = {key for key in known if (key.group, key.kind) in request.kinds}
        if not names:
            return sorted(known)
        by_name: dict[str, set[ObjectKey]] = {}
        for key in known:
            by_name.setdefault(key.name, set()).add(key)
        by_id: dict[str, set[ObjectKey]] = {}
        for key, there in ws.index.items.items():
            by_id.setdefault(history.pipeline_id(there), set()).add(key)
        for key, item in ws.table.open.items():
            by_id.setdefault(item.id, set()).add(key)
        if unknown := [name for name in names if name not in by_id and name not in by_name]:
            raise OperationError(Reason.UnknownPipeline, f"no pipeline is called {', '.join(unknown[:10])}")
        return sorted({key for name in names for key in by_id.get(name) or by_name[name]})

    @staticmethod
    def _sorted_out(
        request: Request, items: Sequence[Item], names: Sequence[str] | None
    ) -> tuple[list[Item], list[ConflictEntry]]:
        """What can be pushed, and what is in conflict. What was named is not left out quietly."""
        left = [_entry(item) for item in items if item.decision.conflict]
        _check_conflicts(left, names)
        ready = []
        for item in items:
            write = item.decision.git
            if write is None or item.decision.conflict or item.problem:
                continue
            if write.value is None and not request.spec.sync.prune and names is None:
                continue
            ready.append(item)
        if names:
            _check_problems(items)
        return ready, left

    @staticmethod
    def _change(item: Item, path: str, side: str) -> PlannedChange:
        write = item.decision.git if side == "git" else item.decision.cluster
        assert write is not None
        before = item.git_view if side == "git" else (item.live.view if item.live else None)
        both = item.decision.local_ahead and item.decision.remote_ahead
        keys = item.kind.schema.list_keys
        return PlannedChange.of(item.key, item.id, path, before, write.value, keys, merged=both)


class Partly(GitIntegrationError):
    """It failed, and not all of it was left undone: the fields of the status say what was."""

    def __init__(self, error: GitIntegrationError, fields: Mapping[str, Any]) -> None:
        super().__init__(error.reason, error.message, retry=error.retry)
        self.fields = fields


def _entry(item: Item) -> ConflictEntry:
    conflict = item.decision.conflict
    assert conflict is not None
    return ConflictEntry(item.key.kind, item.key.name, item.id, item.path, conflict.reason.value, conflict.fields)


def _invalid(ws: Workspace) -> int:
    return len(ws.index.problems()) + sum(1 for p in ws.table.open.values() if p.problem)


def _line(message: str | None) -> str | None:
    return f"{message.rstrip()}\n" if message else None


def _lossy(made: Committed) -> dict[str, list[str]]:
    """The files that lost something beside what was edited, for the status."""
    return {"lossy": list(made.edited.lossy[:LOSSY])} if made.edited.lossy else {}


def _words(kind: str, plan: Plan, *, dry_run: bool) -> str:
    if dry_run:
        return f"dry run: {plan.words()}; do it with planDigest {plan.digest}"
    return f"nothing to {kind}" if not plan.conflicts else f"nothing to {kind}; {len(plan.conflicts)} in conflict"


def _summed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n and name != "unchanged") or "nothing to do"


def _check_expected(expected: str | None, at: str | None, branch: str) -> None:
    if expected and not (at or "").startswith(expected):
        words = f"branch {branch} is at {(at or 'no commit')[:12]}, not at {expected[:12]}: look again, then decide"
        raise OperationError(Reason.StaleRemote, words)


def _check_digest(digest: str | None, plan: Plan) -> None:
    if digest and digest != plan.digest:
        words = f"the plan is another now ({plan.digest}: {plan.words()}); look at a new dry run"
        raise OperationError(Reason.PlanStale, words)


def _check_conflicts(left: Sequence[ConflictEntry], names: Sequence[str] | None) -> None:
    if names and left:
        told = [f"{c.kind}/{c.name} ({', '.join(c.fields) or c.reason})" for c in left[:5]]
        words = f"in conflict: {'; '.join(told)}; settle them by a pull with resolutions"
        raise OperationError(Reason.Conflicts, words)


def _check_problems(items: Sequence[Item]) -> None:
    if problems := [item.problem.message for item in items if item.problem]:
        raise OperationError(Reason.InvalidManifests, "; ".join(problems[:3]))
