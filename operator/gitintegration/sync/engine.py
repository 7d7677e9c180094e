"""One sync: observe, plan, write, remember. Level-triggered: every run starts from what both sides now are."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import orjson
import structlog

from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.deletes import DeleteLimit, held
from gitintegration.core.diff import same
from gitintegration.core.evidence import Standing, survived
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.layout import Layout, commit_message
from gitintegration.core.managers import is_owned
from gitintegration.core.merge import (
    Base,
    Decision,
    Versions,
    decide,
    may_be_the_servers,
    rebase,
    with_servers_changes,
    without,
)
from gitintegration.core.state.item import OpenItem, Phase
from gitintegration.core.state.record import UNKNOWN, ItemRecord, Proposal, Watermark
from gitintegration.core.state.shards import key_bits
from gitintegration.core.status import ConflictEntry, HeldDeletes, InvalidEntry, Outcome
from gitintegration.core.values import ObjectKey
from gitintegration.core.yaml_read import ReadLimits
from gitintegration.errors import (
    ClusterError,
    Forbidden,
    GitIntegrationError,
    KindUnavailable,
    Reason,
    Refused,
    Stale,
    StaleRemote,
)
from gitintegration.forge.pull_requests import Forges
from gitintegration.git import objects
from gitintegration.git.client import GitClient
from gitintegration.git.objects import CommitInfo
from gitintegration.git.workers import Workers
from gitintegration.sync import history
from gitintegration.sync.branches import Branches, edit_of
from gitintegration.sync.cluster_side import Ahead, ClusterSide, Kind, Live, by_kind, observe_all, observed_by
from gitintegration.sync.files import FileEdits, Ground
from gitintegration.sync.item import Draft, Item, Request, Tally, in_turn, summary
from gitintegration.sync.log import WriteAheadLog
from gitintegration.sync.observe import Head, Observer, look
from gitintegration.sync.refused import push_without_refused
from gitintegration.sync.review import Review
from gitintegration.sync.workspace import Workspace

_ATTEMPTS = 6
"""Lost races are planned anew so often before the rest waits for the next run."""
_PARALLEL = 8


class Engine:
    """Holds nothing of any integration; that is the workspace's."""

    def __init__(
        self,
        git: GitClient,
        workers: Workers,
        cluster: ClusterSide,
        store: BaseStore[ItemRecord],
        offers: BaseStore[Proposal],
        forges: Forges,
        limits: ReadLimits = ReadLimits(),  # noqa: B008
        clock: Callable[[], float] = time.time,
        batch: int = 500,
        memories: Sequence[BaseStore[Any]] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`batch` items are planned and pulled at a time, neighbours in the memory's shards; it bounds memory.

        `memories`: what else is remembered of an integration, and forgotten with its source. `now` in seconds.
        """
        self._git = git
        self._batch = batch
        self._cluster = cluster
        self._store, self._wal = store, WriteAheadLog(store, cluster)
        self._clock, self._now, self._workers, self._memories = clock, now, workers, memories
        self.observer = Observer(git, workers, now)
        self.branches = Branches(git, workers, self.observer, limits, clock, max(1, batch // 2))
        self._review = Review(git, workers, offers, self.branches, forges)
        self._log = structlog.get_logger("sync")

    async def sync(self, ws: Workspace, request: Request) -> tuple[Outcome, Tally]:
        """Bring both sides together as far as mode, conflicts and limits allow.

        What goes wrong after both sides were seen is in the outcome, with true counts; before that it is raised.
        """
        tally = Tally()
        await self.load(ws, request.namespace)
        self._renounce(ws, request)
        error: GitIntegrationError | None = None
        for _ in range(_ATTEMPTS):
            head, request = await self._look(ws, request)
            error = None
            if self._is_at_rest(ws, request, head):
                break
            try:
                await self._once(ws, request, head, tally)
            except (StaleRemote, Stale) as lost:
                error = lost
                continue
            except GitIntegrationError as trouble:
                if ws.index.commit != head.commit:
                    raise
                error = trouble
                break
            if not self._is_due_at_once(ws, request):
                break
        return self.outcome(ws, request, head, tally, error), tally

    def _is_at_rest(self, ws: Workspace, request: Request, head: Head) -> bool:
        """Whether nothing moved since the process before this one left both sides the same.

        Then what git holds needs not be read: a restart costs what changed meanwhile, not all there is.
        """
        if ws.rested is None or ws.index.commit is not None:
            return False
        known = ws.rested == (head.commit, ws.records.digest) and not (request.review or request.refusals)
        if not known or self._due(ws, request):
            ws.rested = None
            return False
        return True

    async def observe(self, ws: Workspace, request: Request) -> tuple[Head, Layout]:
        """Look at both sides and settle what is equal already; neither is written."""
        await self.load(ws, request.namespace)
        self._renounce(ws, request)
        head, request = await self._look(ws, request, review=False)
        return head, await self._once(ws, request.looking(), head, Tally())

    async def _look(self, ws: Workspace, request: Request, *, review: bool = True) -> tuple[Head, Request]:
        """The branch as it is now, and the request as it is to be carried out with it.

        Where HEAD names another branch than before, and the spec names none, it is another source.
        """
        branch = request.review if review else None
        head = await look(self._git, request.remote, request.spec.default_branch, branch)
        if request.spec.default_branch is None and ws.branch not in (None, head.branch):
            await self.leave_source(ws, request.namespace, request.name)
            request = replace(request, rescan=True)
        ws.branch = head.branch
        return head, request

    async def load(self, ws: Workspace, namespace: str) -> None:
        """What is remembered; and what another process logged and did not checkpoint, which is looked at again."""
        if not ws.loaded:
            ws.remember(await self._store.load(namespace, ws.uid, retired="intent"))

    async def leave_source(self, ws: Workspace, namespace: str, name: str) -> None:
        """Another repository, branch or prefix from now on: what was agreed, offered or pushed says nothing about it.

        Cut short, it is to be done again.
        """
        await self.load(ws, namespace)
        ws.records.clear()
        await self._store.save(namespace, name, ws.uid, ws.records)
        await self._review.forget_all(ws, namespace, name)
        for memory in self._memories:
            await memory.forget(namespace, name, ws.uid)
        await self._workers.run(60.0, objects.wipe, ws.directory)
        ws.leave_source()

    async def read(self, request: Request, kind: Kind, wanted: Mapping[str, str]) -> dict[str, Live]:
        """Objects by name, each in the version that `wanted` names."""
        return await self._cluster.read(kind, request.namespace, wanted)

    async def holds(self, request: Request, item: Item) -> bool:
        """Whether the cluster holds the item's manifest already, as it would store it."""
        if item.live is None:
            return False
        try:
            stored = await self._cluster.as_stored(item.kind, request.namespace, item.manifest, item.live)
        except (Refused, Forbidden):
            return False
        return same(stored, item.live.view)

    @staticmethod
    def _due(ws: Workspace, request: Request) -> set[ObjectKey]:
        """What a run has to look at, of the kinds that can be worked with now."""
        if request.rescan:
            for kind in request.kinds.values():
                observe_all(ws.table, kind, request.namespace)
        due = ws.table.due(observed_by(request.kinds, request.namespace, ws.table))
        return {key for key in due if (key.group, key.kind) in request.kinds}

    def _is_due_at_once(self, ws: Workspace, request: Request) -> bool:
        """Whether a race left something to be planned anew at once."""
        there = {kind_id: kind for kind_id, kind in request.kinds.items() if kind_id not in ws.away}
        due = ws.table.due(observed_by(there, request.namespace, ws.table))
        return bool(by_kind(due, there))

    @staticmethod
    def _renounce(ws: Workspace, request: Request) -> None:
        """What was agreed on of kinds whose objects went with their definition says nothing any more."""
        for kind_id in (ws.remade | ws.returned) & request.kinds.keys():
            keys = [key for key in ws.records.marks if (key.group, key.kind) == kind_id]
            there = {
                name: meta.resource_version
                for name, meta in request.kinds[kind_id].informer.of(request.namespace).items()
            }
            known = {key: ws.records.marks[key].resource_version for key in keys}
            if kind_id in ws.remade or not survived(known, there, keys):
                _forget_base(ws, keys)
            ws.remade.discard(kind_id)
            ws.returned.discard(kind_id)

    async def bring_to(self, ws: Workspace, request: Request, head: Head) -> Layout:
        """Have the workspace hold what git holds at `head`."""
        scope = self.branches.scope(request)
        return await self.observer.bring_to(ws, request.remote, request.spec, head, scope, self._scope_text(request))

    async def _once(self, ws: Workspace, request: Request, head: Head, tally: Tally) -> Layout:
        offering = request.may_push and request.review not in (None, head.branch)
        ws.away.clear()
        if offering:
            await self._review.load(ws, request)
        layout = await self.bring_to(ws, request, head)
        if ws.table.ask(f"{request.generation} {request.confirmed} {request.requested_at}"):
            ws.refused.clear()
            ws.contest.clear()
        if offering:
            self._review.find_work(ws, head)
        ws.refused.forget(self._now())
        keys = sorted(self._due(ws, request), key=key_bits)
        if not keys:
            if offering:
                await self._review.propose(ws, request, head, tally)
            await self._wal.flush(ws, request)
            return layout
        known = len(ws.records.marks)
        items: list[Item] = []
        deletes: list[Item] = []
        wanted: list[Item] = []
        try:
            ahead = await self._cluster.read_ahead(request.kinds, request.namespace, keys)
            for start in range(0, len(keys), self._batch):
                batch = await self.plan(ws, request, layout, keys[start : start + self._batch], ahead)
                for item in await self._pull(ws, request, batch, tally, keep=offering):
                    items.append(item)
                    if item.deletes:
                        deletes.append(item)
                        continue
                    if self._may_write(request, item, "git"):
                        wanted.append(item)
                    if len(keys) > self._batch and not offering:
                        item.fold()
            tally.held = self._hold_deletes(ws, request, deletes, known)
            gone = [item for item in deletes if self._may_write(request, item, "cluster")]
            await self.write_objects(ws, request, gone, tally)
            wanted += [item for item in deletes if self._may_write(request, item, "git")]
            if offering:
                if more := self._review.left_out(ws, request, head, wanted):
                    also = await self.plan(ws, request, layout, more)
                    items += also
                    wanted += [item for item in also if self._may_write(request, item, "git")]
                withdrawn = self._review.withdrawn(ws, request, head, keys, items)
                await self._review.offer(ws, request, layout, head, [*wanted, *withdrawn], tally)
                if await self._review.propose(ws, request, head, tally):
                    await self._review.save(ws, request, [*items, *withdrawn])
            elif wanted:
                await self._publish(ws, request, layout, head, wanted, tally)
        except GitIntegrationError:
            self._abandon(ws, items)
            raise
        await self.checkpoint(ws, request, items)
        return layout

    async def _pull(
        self, ws: Workspace, request: Request, batch: Sequence[Item], tally: Tally, *, keep: bool
    ) -> list[Item]:
        """Write what of a batch is new in git, and remember what is settled by it, so that memory holds one batch.

        Gives what is left: deletes, which are weighed all together, and what goes to git. All of it with `keep`.
        """
        gone = {item.key for item in batch if (w := item.decision.cluster) is not None and w.value is None}
        ready = [item for item in batch if item.key not in gone and self._may_write(request, item, "cluster")]
        try:
            await self.write_objects(ws, request, ready, tally)
        except GitIntegrationError:
            self._abandon(ws, batch)
            raise
        left = [item for item in batch if keep or item.key in gone or item.decision.git is not None]
        staying = {item.key for item in left}
        for item in left:
            if item.live is not None and item.key not in gone and not item.is_made_whole:
                item.live = item.live.slim()
        for item in batch:
            if item.key not in staying:
                self._checkpoint_one(ws, item)
        ws.records.evict()
        return left

    @staticmethod
    def _scope_text(request: Request) -> str:
        spec = request.spec
        parts = (spec.path_prefix, spec.ignore, sorted(request.listed), sorted(request.anywhere), request.source)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    # --- planning ---------------------------------------------------------------------------------------------------

    async def plan(
        self,
        ws: Workspace,
        request: Request,
        layout: Layout,
        keys: Sequence[ObjectKey],
        ahead: Ahead | None = None,
    ) -> list[Item]:
        """Read these items on both sides and decide; what is none of the integration's is left out.

        A kind that can't be read is told in `ws.away`, and its items wait, unless no kind can be read.
        """
        items: list[Item] = []
        if ahead is None:
            ahead = await self._cluster.read_ahead(request.kinds, request.namespace, keys)
        for kind_id, names in by_kind(keys, request.kinds).items():
            if kind_id in ws.away:
                continue
            kind = request.kinds[kind_id]
            for start in range(0, len(names), self._batch):
                try:
                    items += await self._plan_batch(
                        ws, request, layout, kind, names[start : start + self._batch], ahead
                    )
                except (KindUnavailable, Forbidden) as error:
                    ws.away[kind_id] = error
                    self._cluster.forget(kind)
                    break
        return items

    async def _plan_batch(
        self, ws: Workspace, request: Request, layout: Layout, kind: Kind, keys: list[ObjectKey], ahead: Ahead
    ) -> list[Item]:
        number = ws.table.number  # before they are read: what moves from now on is due again
        records = {key: _agreed(ws.records.get(key)) for key in keys}
        versions = {}
        for key in keys:
            git, record = ws.index.items.get(key), records[key]
            versions[key.name] = (
                git.api_version
                if git
                else (record.base.live["apiVersion"] if record and record.base else kind.kind.api_version)
            )
        present = await self._cluster.read(kind, request.namespace, versions, ahead)
        if any(record is not None and key.name not in present for key, record in records.items()):
            records = await self._evident(ws, request, kind, records)
        seen = []
        for key in keys:
            item = Item(key, kind, records[key], ws.index.items.get(key), present.get(key.name), number=number)
            if ws.logs and key in ws.records.in_doubt and not ws.index.frozen(key, item.path):
                await self._wal.recover(ws, request, item)
            seen.append(item)
        known = {item.record.path for item in seen if item.record and layout.could_hold(item.record.path)}
        covered = await self.observer.unignored(layout, known)
        items = []
        for item in seen:
            if self._is_ours(ws, covered, item) and await self._is_served(ws, item):
                self._review.take_over(ws, item)
                await self._decide_alone(ws, request, item)
                items.append(item)
        return items

    async def _evident(
        self, ws: Workspace, request: Request, kind: Kind, records: dict[ObjectKey, ItemRecord | None]
    ) -> dict[ObjectKey, ItemRecord | None]:
        """The records, where that an object is not there says that it was deleted.

        Raises KindUnavailable where it says nothing; where all went with the kind's definition, nothing was agreed on.
        """
        match await self._cluster.standing(kind, request.namespace):
            case Standing.served:
                return records
            case Standing.remade:
                _forget_base(ws, [key for key in ws.records.marks if (key.group, key.kind) == kind.id])
                return dict.fromkeys(records)
        words = f"{kind.kind.kind} ({kind.kind.api_version}) or namespace {request.namespace} is being removed: what goes with it is no delete, "
        raise KindUnavailable(words + "and git keeps it; install the CRD again, or delete this GitIntegration")

    def _is_ours(self, ws: Workspace, covered: Set[str], item: Item) -> bool:
        """Not ours: frozen, ignored, somebody's output, or without the labels that are asked for."""
        known_path = item.record.path if item.record else None
        if ws.index.frozen(item.key, known_path):
            edited = item.live is not None and (item.record is None or _is_edited(item))
            why = ws.index.blank(item.key, known_path)
            frozen = OpenItem(Phase.UNREADABLE, edited, False, item.path, item.id, problem=why)
            return self._leave(ws, item, frozen if frozen.is_told else None)
        if item.git is None and known_path and known_path not in covered:
            return self._leave(ws, item)
        if item.live is not None and item.live.leaving:
            return self._leave(ws, item, ws.table.open.get(item.key))
        if item.live is not None and item.live.controlled and item.record is None and item.git is None:
            return self._leave(ws, item)
        if item.git is not None:
            item.manifest = orjson.loads(item.git.value)
            item.git_view = item.kind.view(item.manifest)
        whole = item.live.whole if item.live else None
        if item.record is None and not (item.kind.selects(item.manifest) or item.kind.selects(whole)):
            return self._leave(ws, item)
        return True

    @staticmethod
    def _leave(ws: Workspace, item: Item, rests: OpenItem | None = None) -> bool:
        """Have it rest, with no plan. Gives False."""
        ws.table.checkpoint(item.key, item.version, item.number, rests)
        return False

    async def _is_served(self, ws: Workspace, item: Item) -> bool:
        """Whether its file names a version that is served, or one that never was: that one is the file's own fault.

        A version that is not served any more is told once, and what is in it waits as it is.
        """
        if item.git is None or item.record is None or _base(item).git["apiVersion"] != item.git.api_version:
            return True
        if await self._cluster.version(item.kind, item.git.api_version) is not None:
            return True
        kind = item.kind.kind
        words = f"files name {item.git.api_version} of {kind.kind}, which the cluster no longer serves; nothing of them is written or deleted: "
        words += f"have its CRD serve that version again, or name {kind.api_version} in them"
        ws.away[item.git.api_version, kind.kind] = KindUnavailable(words)
        return self._leave(ws, item, OpenItem(Phase.WAITING, _is_edited(item), False, item.path, item.id))

    async def _decide_alone(self, ws: Workspace, request: Request, item: Item) -> None:
        """Decide; whatever goes wrong with one item is a problem of that item."""
        try:
            await self._decide(ws, request, item)
        except GitIntegrationError:
            raise
        except Exception as defect:
            self._log.exception("an item can't be compared", namespace=request.namespace, item=str(item.key))
            words = f"{item.key} can't be compared: internal error {type(defect).__name__}; please report it"
            item.problem = Problem(item.path, InvalidReason.Refused, words)
            item.decision = Decision(local_ahead=item.live is not None, remote_ahead=item.git is not None)
        if item.decision.git is not None and item.problem is None:
            item.problem = ws.refused.problem(item.key, item.decision.git.value)
        if item.live is not None and ws.contest.saw(item.key, item.live.view, item.live.manager, self._now()):
            item.held = True

    async def _decide(self, ws: Workspace, request: Request, item: Item) -> None:
        base = item.record.base if item.record else None
        live = item.live.view if item.live else None
        if item.git is not None and await self._cluster.version(item.kind, item.git.api_version) is None:
            words = f"{item.key} names apiVersion {item.git.api_version}, which the cluster does not serve: "
            words += f"name {item.kind.kind.api_version} in its file, or have its CRD serve that version again"
            item.problem = Problem(item.git.path, InvalidReason.Refused, words)
            item.decision = Decision(remote_ahead=True, local_ahead=_is_edited(item))
            return
        strategy, list_keys = request.strategy(item.key), item.kind.schema.list_keys
        versions = Versions(base, item.git_view, live)
        item.decision = decide(versions, strategy, list_keys)
        if base is not None and item.git is not None and item.live is not None:
            since = await self._base_of_now(ws, request, item, base)
            if since != base:
                versions = replace(versions, base=since)
                item.decision = decide(versions, strategy, list_keys)
        unsure = item.decision.overlapping or (base is None and item.git_view != live)
        if unsure and item.git is not None and item.live is not None:
            with contextlib.suppress(Refused, Forbidden):
                stored = await self._cluster.as_stored(item.kind, request.namespace, item.manifest, item.live)
                item.decision = decide(replace(versions, git_as_live=stored), strategy, list_keys)

    async def _base_of_now(self, ws: Workspace, request: Request, item: Item, base: Base) -> Base:
        """The base, with what nobody edited since: what ignored managers wrote, and what the server changed by itself.

        The server is asked where the live side's changes may hold that.
        """
        assert item.live is not None
        assert item.record is not None
        ignored = [c for c in item.decision.local if is_owned(c, item.live.ignored)]
        since = without(base, ignored)
        if may_be_the_servers([c for c in item.decision.local if c not in ignored]):
            with contextlib.suppress(Refused, Forbidden):
                stored = await self._cluster.as_stored(item.kind, request.namespace, base.git, item.live)
                since = with_servers_changes(since, item.live.view, stored, item.kind.schema.list_keys)
        if since != base:
            item.record = replace(item.record, base=since)
            ws.records.put(item.record)
        return since

    def _hold_deletes(self, ws: Workspace, request: Request, items: list[Item], known: int) -> list[HeldDeletes]:
        limit = DeleteLimit.parse(request.spec.sync.max_deletes)
        found = []
        for side, may, empty in (
            ("cluster", request.pulls, ws.index.empty),
            ("git", request.pushes, not self.is_peopled(request)),
        ):
            deletes = [i for i in items if (w := getattr(i.decision, side)) is not None and w.value is None]
            if not may or not request.spec.sync.prune:
                continue
            keys = [i.key for i in deletes]
            wanted = held(side, keys, known=known, side_is_empty=empty, limit=limit, confirmed=request.confirmed)
            if wanted:
                found.append(HeldDeletes(side, len(keys), known, wanted))
                for item in deletes:
                    item.held = True
        return found

    @staticmethod
    def is_peopled(request: Request) -> bool:
        """Whether the namespace holds any object of the kinds."""
        return any(kind.informer.of(request.namespace) for kind in request.kinds.values())

    # --- writing ----------------------------------------------------------------------------------------------------

    def _may_write(self, request: Request, item: Item, side: str) -> bool:
        write = getattr(item.decision, side)
        if write is None or item.decision.conflict or item.problem or item.held:
            return False
        if write.value is None and not request.spec.sync.prune:
            return False
        return request.may_pull if side == "cluster" else request.may_push

    async def write_objects(self, ws: Workspace, request: Request, wanted: Sequence[Item], tally: Tally) -> None:
        """Write the cluster's side of these items. What one of them is refused for is its own problem."""
        await self._wal.append(ws, request, wanted)
        queue = iter(wanted)
        failures: list[GitIntegrationError] = []

        async def work() -> None:
            for item in queue:
                if failures:
                    return
                try:
                    await self._write_object(ws, request, item, tally)
                except GitIntegrationError as error:
                    failures.append(error)

        await asyncio.gather(*(work() for _ in range(min(_PARALLEL, len(wanted)))))
        if failures:
            raise failures[0]

    async def _write_object(self, ws: Workspace, request: Request, item: Item, tally: Tally) -> None:
        assert item.decision.cluster is not None
        value, before = item.decision.cluster.value, item.live
        try:
            made = item.made_with(value) if before is None and value is not None else value
            item.live = await self._cluster.write(item.kind, request.namespace, item.key.name, made, before)
        except Stale:
            item.raced = True
            item.problem = Problem(item.path, InvalidReason.Refused, "moved while it was written")
            return
        except (Refused, Forbidden) as error:
            item.problem = Problem(item.path, InvalidReason.Refused, f"{item.key}: {error.message}")
            return
        except KindUnavailable as error:
            ws.away[item.kind.id] = error
            item.waits = True
            item.problem = Problem(item.path, InvalidReason.Refused, error.message)
            return
        item.pulled = True
        if value is not None and before is not None:
            ws.contest.wrote(item.key, before.view)
        if value is None:
            tally.deleted += 1
        elif before is None:
            tally.created += 1
        else:
            tally.updated += 1

    async def draft(
        self,
        ws: Workspace,
        request: Request,
        layout: Layout,
        parent: str | None,
        wanted: Sequence[Item],
        *,
        message: str | None = None,
        moment: int | None = None,
    ) -> Draft | None:
        """The commit that carries these items onto `parent`, not pushed yet; None where it would change no file."""
        spec = request.spec
        wanted = await self.assign_paths(ws, layout, parent, wanted)
        if not wanted:
            return None
        message = message or commit_message(
            summary(wanted),
            integration=request.name,
            namespace=request.namespace,
            template=spec.sync.push.message_template,
        )
        moment = moment or int(self._clock())
        edits = self._edits(wanted)
        made = await self.branches.commit(ws, request, Ground.on(parent), edits, message, moment)
        failed = dict(made.edited.failed)
        for item in wanted:
            if item.key in failed:
                item.problem = Problem(item.path, InvalidReason.Refused, failed[item.key])
        if made.commit is None:
            self._carried(ws, wanted)
            return None
        author = f"{spec.author.name} <{spec.author.email}>"
        paths = tuple(dict.fromkeys(item.target for item in wanted))
        return Draft(CommitInfo(made.commit.sha, message.strip(), author, moment, paths), made, wanted)

    async def push(self, ws: Workspace, request: Request, head: Head, draft: Draft, tally: Tally) -> None:
        """Move the branch from `head` to the draft, and have the workspace hold it. Raises StaleRemote."""
        await self._wal.append(ws, request, draft.items)
        await self.branches.push(ws, request, head.ref, head.commit, draft.made)
        edited = draft.made.edited
        tally.commits.append(draft.info.sha)
        tally.lossy += edited.lossy
        for path in edited.removed:
            ws.index.remove(path)
        for scanned in edited.files:
            ws.index.put(scanned)
        ws.index.commit = draft.info.sha
        self._carried(ws, draft.items)
        touched: dict[str, list[str]] = {}
        for item in draft.items:
            touched.setdefault(item.target, []).append(history.pipeline_id(item.git) if item.git else item.id)
        told = history.shown(draft.info, touched, {})
        ws.history = [told, *(ws.history or [])][: request.spec.history_limit]

    async def _publish(
        self, ws: Workspace, request: Request, layout: Layout, head: Head, wanted: Sequence[Item], tally: Tally
    ) -> None:
        """Push these items: as one commit, or where the server declines one file's content, without that file."""

        async def attempt(items: Sequence[Item]) -> None:
            at = replace(head, commit=head.commit if ws.index.commit is None else ws.index.commit)
            if draft := await self.draft(ws, request, layout, at.commit, items):
                await self.push(ws, request, at, draft, tally)

        for item, words in await push_without_refused(wanted, attempt):
            ws.refused.add(item, item.target, words)

    @staticmethod
    def _carried(ws: Workspace, items: Sequence[Item]) -> None:
        for item in items:
            if item.problem is None:
                item.pushed = True
                item.git = ws.index.items.get(item.key)

    async def assign_paths(
        self, ws: Workspace, layout: Layout, parent: str | None, wanted: Sequence[Item]
    ) -> list[Item]:
        """Give each item that has no file yet a place of its own in `parent`; those that have one, or need none.

        What was given to an item before stays its own.
        """
        new = [item for item in wanted if item.git is None and not item.new_path]
        given = {item.new_path for item in wanted if item.new_path}
        await self.branches.choose(ws, layout, parent, new, given)
        return [item for item in wanted if item.problem is None]

    @staticmethod
    def _edits(wanted: Sequence[Item]) -> Iterator[tuple[str, FileEdits]]:
        """By path, each made when it is asked for."""
        by_file: dict[str, list[Item]] = {}
        for item in wanted:
            by_file.setdefault(item.target, []).append(item)
        for path, items in by_file.items():
            edits = [edit_of(i, i.git, i.decision.git.value) for i in in_turn(items) if i.decision.git]
            yield path, (items[0].git.blob if items[0].git else None, edits)

    # --- checkpoints ------------------------------------------------------------------------------------------------

    async def checkpoint(self, ws: Workspace, request: Request, items: Sequence[Item]) -> None:
        """Keep what both sides agree on now, and where each item rests. Of folded items it is the last turn."""
        for number, item in enumerate(in_turn(items, last=True), start=1):
            self._checkpoint_one(ws, item)
            if number % self._batch == 0:
                ws.records.evict()
        await self._wal.flush(ws, request)

    def _abandon(self, ws: Workspace, items: Sequence[Item]) -> None:
        """A run goes wrong: what it has carried is kept, the rest is due still, and told as it stands."""
        for item in in_turn(items, last=True):
            if item.carried:
                self._checkpoint_one(ws, item)
            else:
                ws.table.rest(item.key, _rests(item))

    def _checkpoint_one(self, ws: Workspace, item: Item) -> None:
        if item.pushed:
            item.git_view = item.kind.view(orjson.loads(item.git.value)) if item.git else None
        decision = item.decision
        if not decision.conflict and (item.pulled or item.pushed or decision.settled):
            if item.git is None and item.live is None:
                ws.records.delete(item.key)
            elif item.git is not None and item.live is not None:
                self._move_base(ws, item)
        if item.raced or item.waits:
            ws.table.rest(item.key, _rests(item))
        else:
            ws.table.checkpoint(item.key, item.version, item.number, _rests(item))

    @staticmethod
    def _move_base(ws: Workspace, item: Item) -> None:
        """The base as both sides have it now; a side with a change that was not carried is UNKNOWN in it."""
        assert item.git is not None
        assert item.live is not None
        whole = item.problem is None
        pulled = item.pulled or (not item.decision.remote_ahead and whole)
        pushed = item.pushed or (not item.decision.local_ahead and whole)
        base = rebase(item.decision, item.git_view, item.live.view, pulled=pulled, pushed=pushed)
        if base is None:
            return
        if not (item.kind.selects(item.manifest) or item.kind.selects(item.live.whole)) and item.pulled == item.pushed:
            ws.records.delete(item.key)
            return
        version = item.live.resource_version if pushed else UNKNOWN
        mark = Watermark(item.git.path, item.git.blob if pulled else UNKNOWN, version)
        known = ws.records.get(item.key)
        made = ItemRecord(item.key, mark, base, known.intent if known and not item.carried else None)
        if known is None or replace(made, mark=mark._replace(resource_version=known.mark.resource_version)) != known:
            ws.records.put(made)

    # --- telling ----------------------------------------------------------------------------------------------------

    def outcome(
        self, ws: Workspace, request: Request, head: Head, tally: Tally, error: GitIntegrationError | None
    ) -> Outcome:
        """What is known now, as the status tells it."""
        pending = ws.table.open
        conflicts = [
            ConflictEntry(key.kind, key.name, p.id, p.path, p.conflict.reason.value, p.conflict.fields)
            for key, p in pending.items()
            if p.conflict
        ]
        problems = [*ws.index.problems(), *dict.fromkeys(p.problem for p in pending.values() if p.problem)]
        commit = ws.index.commit or (ws.rested[0] if ws.rested else None)
        local = sum(p.local for p in pending.values())
        remote = sum(p.remote for p in pending.values())
        settled = not problems and not any(p.is_told for p in pending.values())
        return Outcome(
            generation=request.generation,
            mode=request.spec.sync.mode.value,
            error=error,
            connection={**(ws.connection or {"reachable": True}), "latencyMs": head.latency_ms},
            pipelines=len(ws.records.marks) + sum(key not in ws.records.marks for key in pending),
            local_ahead=local,
            remote_ahead=remote,
            conflicts=conflicts,
            invalid=[InvalidEntry(p.path, p.reason.value, p.message) for p in problems],
            held=tuple(tally.held),
            refusals=(*request.refusals, *ws.away.values(), *tally.troubles, *ws.contest.told()),
            warnings=(*request.warnings, *request.remote.warnings),
            rewritten=ws.rewritten,
            review=(review := _told(ws, request, head)),
            pull_request=ws.pull_request if review and request.spec.sync.push.create_pull_request else None,
            remote_commit=commit,
            synced_commit=commit if settled and error is None else None,
            history=ws.history,
            requested_at=request.requested_at,
            source=request.source,
            branch=head.branch,
            memory=ws.records.digest,
        )


def _forget_base(ws: Workspace, keys: Iterable[ObjectKey]) -> None:
    """As if these had never been synced: they are looked at anew."""
    keys = list(keys)
    for key in keys:
        ws.records.delete(key)
    ws.table.forget(keys)
    ws.rested = None


def _agreed(record: ItemRecord | None) -> ItemRecord | None:
    """A row of an intent alone agrees on nothing."""
    return record if record and record.base else None


def _base(item: Item) -> Base:
    assert item.record is not None
    assert item.record.base is not None
    return item.record.base


def _is_edited(item: Item) -> bool:
    """Whether the object differs from what was agreed on by more than the version that it is read in."""
    if item.live is None or item.record is None:
        return False
    return not same({**item.live.view, "apiVersion": ""}, {**_base(item).live, "apiVersion": ""})


def _rests(item: Item) -> OpenItem | None:
    """Where an item stands as its run leaves it; None: both sides hold the same."""
    decision = item.decision
    local = decision.local_ahead and not item.pushed
    remote = decision.remote_ahead and not item.pulled
    if not (local or remote or decision.conflict or item.problem):
        return None
    problem = None if item.raced or item.waits else item.problem
    if item.held:
        phase = Phase.HELD
    elif problem:
        phase = Phase.BLOCKED
    elif decision.conflict:
        phase = Phase.CONFLICT
    else:
        phase = Phase.WAITING if item.waits else Phase.AHEAD
    return OpenItem(phase, local, remote, item.path, item.id, decision.conflict, problem)


def _told(ws: Workspace, request: Request, head: Head) -> dict[str, object] | None:
    """The review branch, as the status tells it."""
    if request.review in (None, head.branch):
        return None
    known = ws.offered if ws.offered and ws.offered.branch == request.review else None
    told = {"branch": request.review, "commit": known.commit if known else head.review}
    follows = {"follows": known.follows} if known and known.commit else {}
    return {**{k: v for k, v in told.items() if v}, **follows}


def explain(error: BaseException) -> GitIntegrationError:
    """Any error as one of ours: what is not is a defect, told as such without its words, which may hold anything."""
    if isinstance(error, GitIntegrationError):
        return error
    return ClusterError(Reason.ProgressingWithRetry, f"internal error: {type(error).__name__}", retry=True)
