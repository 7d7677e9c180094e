"""One sync: observe, plan, write, remember. Level-triggered: every run starts from what both sides now are."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

import orjson
import structlog

from gitintegration.cluster.base_store import BaseStore
from gitintegration.core.base_shards import BaseRecord, key_bits
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
from gitintegration.sync.cluster_side import ABSENT_VERSION, Ahead, ClusterSide, Kind, Live, by_kind, moved
from gitintegration.sync.files import FileEdits, Ground
from gitintegration.sync.intents import Intents
from gitintegration.sync.item import Draft, Item, Request, Tally, in_turn, summary
from gitintegration.sync.observe import Head, Observer, look
from gitintegration.sync.refused import push_without_refused
from gitintegration.sync.review import Review
from gitintegration.sync.workspace import Pending, Workspace

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
        store: BaseStore,
        offers: BaseStore,
        intents: BaseStore,
        forges: Forges,
        limits: ReadLimits = ReadLimits(),  # noqa: B008
        clock: Callable[[], float] = time.time,
        batch: int = 500,
        memories: Sequence[BaseStore] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`batch` items are planned and pulled at a time, neighbours in the memory's shards; it bounds memory.

        `memories`: what else is remembered of an integration, and forgotten with its source. `now` in seconds.
        """
        self._git = git
        self._batch = batch
        self._cluster = cluster
        self._store, self._intents = store, Intents(intents, cluster)
        self._clock, self._now, self._workers, self._memories = clock, now, workers, memories
        self._observer = Observer(git, workers, now)
        self.branches = Branches(git, workers, self._observer, limits, clock, max(1, batch // 2))
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
            if not self._dirty(ws, request):
                break
        return self.outcome(ws, request, head, tally, error), tally

    @staticmethod
    def _is_at_rest(ws: Workspace, request: Request, head: Head) -> bool:
        """Whether nothing moved since the process before this one left both sides the same.

        Then what git holds needs not be read: a restart costs what changed meanwhile, not all there is.
        """
        assert ws.base is not None
        if ws.rested is None or ws.index.commit is not None:
            return False
        known = ws.rested == (head.commit, ws.base.digest) and not (request.review or request.refusals)
        told = None if request.rescan else ws.touched
        there = (moved(kind, request.namespace, ws.base.marks, {}, told) for kind in request.kinds.values())
        if ws.live_dirty or not known or any(there):
            ws.rested = None
            return False
        ws.touched = set()
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

    async def _tell(self, ws: Workspace, request: Request, items: Sequence[Item]) -> None:
        new = [item for item in items if not item.told]
        if ws.flight and new:
            await self._save(ws, request)
            await self._intents.tell(ws.flight, request, new)

    async def load(self, ws: Workspace, namespace: str) -> None:
        """What is remembered; and what another process meant to write and did not remember, which is looked at again."""
        if ws.base is None:
            ws.base, ws.flight = await self._intents.load(self._store, namespace, ws.uid)
            ws.live_dirty |= ws.flight.keys

    async def leave_source(self, ws: Workspace, namespace: str, name: str) -> None:
        """Another repository, branch or prefix from now on: what was agreed, offered or pushed says nothing about it.

        Cut short, it is to be done again.
        """
        await self.load(ws, namespace)
        assert ws.base is not None
        ws.base.clear()
        await self._store.save(namespace, name, ws.uid, ws.base)
        await self._intents.forget_all(ws.flight, namespace, name, ws.uid)
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

    def _dirty(self, ws: Workspace, request: Request) -> bool:
        """Whether a race left something to be planned anew at once."""
        there = {kind_id: kind for kind_id, kind in request.kinds.items() if kind_id not in ws.away}
        return bool(by_kind(ws.live_dirty | ws.git_dirty, there))

    @staticmethod
    def _renounce(ws: Workspace, request: Request) -> None:
        """What was agreed on of kinds whose objects went with their definition says nothing any more."""
        assert ws.base is not None
        for kind_id in (ws.remade | ws.returned) & request.kinds.keys():
            keys = [key for key in ws.base.marks if (key.group, key.kind) == kind_id]
            there = {
                name: meta.resource_version
                for name, meta in request.kinds[kind_id].informer.of(request.namespace).items()
            }
            known = {key: ws.base.marks[key].resource_version for key in keys}
            if kind_id in ws.remade or not survived(known, there, keys):
                _forget_base(ws, keys)
            ws.remade.discard(kind_id)
            ws.returned.discard(kind_id)

    async def bring_to(self, ws: Workspace, request: Request, head: Head) -> Layout:
        """Have the workspace hold what git holds at `head`."""
        scope = self.branches.scope(request)
        return await self._observer.bring_to(ws, request.remote, request.spec, head, scope, self._scope_text(request))

    async def _once(self, ws: Workspace, request: Request, head: Head, tally: Tally) -> Layout:
        offering = request.may_push and request.review not in (None, head.branch)
        ws.away.clear()
        if offering:
            await self._review.load(ws, request)
        layout = await self.bring_to(ws, request, head)
        self._find_work(ws, request)
        if offering:
            self._review.find_work(ws, head)
        dirty = ws.live_dirty | ws.git_dirty
        ws.refused.forget(self._now())
        keys = sorted((k for k in dirty if (k.group, k.kind) in request.kinds), key=key_bits)
        assert ws.base is not None
        if not keys:
            if offering:
                await self._review.propose(ws, request, head, tally)
            await self._save(ws, request)
            return layout
        known = len(ws.base.marks)
        items: list[Item] = []
        deletes: list[Item] = []
        wanted: list[Item] = []
        try:
            ws.underway |= set(keys)
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
        except BaseException:
            ws.live_dirty |= {item.key for item in in_turn(items) if not item.carried}
            raise
        finally:
            await self.remember(ws, request, items)
        return layout

    async def _pull(
        self, ws: Workspace, request: Request, batch: Sequence[Item], tally: Tally, *, keep: bool
    ) -> list[Item]:
        """Write what of a batch is new in git, and remember what is settled by it, so that memory holds one batch.

        Gives what is left: deletes, which are weighed all together, and what goes to git. All of it with `keep`.
        """
        assert ws.base is not None
        gone = {item.key for item in batch if (w := item.decision.cluster) is not None and w.value is None}
        ready = [item for item in batch if item.key not in gone and self._may_write(request, item, "cluster")]
        try:
            await self.write_objects(ws, request, ready, tally)
        except BaseException:
            ws.live_dirty |= {item.key for item in batch if not item.carried}
            raise
        finally:
            left = [item for item in batch if keep or item.key in gone or item.decision.git is not None]
            staying = {item.key for item in left}
            for item in left:
                if item.live is not None and item.key not in gone and not item.is_made_whole:
                    item.live = item.live.slim()
            for item in batch:
                if item.key not in staying:
                    self._remember_one(ws, item)
            ws.base.close_shards()
        return left

    @staticmethod
    def _scope_text(request: Request) -> str:
        spec = request.spec
        parts = (spec.path_prefix, spec.ignore, sorted(request.listed), sorted(request.anywhere), request.source)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _find_work(self, ws: Workspace, request: Request) -> None:
        assert ws.base is not None
        touched, ws.touched = ws.touched, set()
        ws.live_dirty |= ws.waiting
        ws.waiting.clear()
        for kind in request.kinds.values():
            only = None if request.rescan else touched
            ws.live_dirty |= moved(kind, request.namespace, ws.base.marks, ws.verified, only)
        asked = f"{request.generation} {request.confirmed} {request.requested_at}"
        if ws.planned_for != asked:
            ws.live_dirty |= ws.pending.keys()
            ws.refused.clear()
            ws.contest.clear()
            ws.planned_for = asked
        ws.live_dirty |= {key for key, p in ws.pending.items() if p.problem or p.held}

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
        live, git = ws.live_dirty & set(keys), ws.git_dirty & set(keys)
        ws.live_dirty -= live  # before they are read: what moves from now on is dirty again
        ws.underway |= live | git
        ws.git_dirty -= git
        try:
            if ahead is None:
                ahead = await self._cluster.read_ahead(request.kinds, request.namespace, keys)
            for kind_id, names in by_kind(keys, request.kinds).items():
                if kind_id in ws.away:
                    ws.waiting.update(names)
                    continue
                kind = request.kinds[kind_id]
                for start in range(0, len(names), self._batch):
                    some = names[start : start + self._batch]
                    try:
                        items += await self._plan_batch(ws, request, layout, kind, some, ahead)
                    except (KindUnavailable, Forbidden) as error:
                        ws.waiting.update(names[start:])
                        ws.away[kind_id] = error
                        self._cluster.forget(kind)
                        break
        except BaseException:
            ws.live_dirty |= live
            ws.git_dirty |= git
            raise
        return items

    async def _plan_batch(
        self, ws: Workspace, request: Request, layout: Layout, kind: Kind, keys: list[ObjectKey], ahead: Ahead
    ) -> list[Item]:
        assert ws.base is not None
        records = {key: ws.base.get(key) for key in keys}
        versions = {}
        for key in keys:
            git, record = ws.index.items.get(key), records[key]
            versions[key.name] = (
                git.api_version if git else (record.live["apiVersion"] if record else kind.kind.api_version)
            )
        present = await self._cluster.read(kind, request.namespace, versions, ahead)
        if any(record is not None and key.name not in present for key, record in records.items()):
            records = await self._evident(ws, request, kind, records)
        seen = []
        for key in keys:
            item = Item(key, kind, records[key], ws.index.items.get(key), present.get(key.name))
            if ws.flight and key in ws.flight.unclear and not ws.index.frozen(key, item.path):
                item.record = await self._intents.understand(ws.flight, request, item)
                if item.record is None:
                    ws.base.delete(key)
                elif item.record != records[key]:
                    ws.base.put(item.record)
            if item.live is None and item.record is None:
                ws.verified.pop(key, None)
            seen.append(item)
        known = {item.record.path for item in seen if item.record and layout.could_hold(item.record.path)}
        covered = await self._observer.unignored(layout, known)
        items = []
        for item in seen:
            if self._is_ours(ws, covered, item) and await self._is_served(ws, item):
                self._review.take_over(ws, item)
                await self._decide_alone(ws, request, item)
                items.append(item)
        return items

    async def _evident(
        self, ws: Workspace, request: Request, kind: Kind, records: dict[ObjectKey, BaseRecord | None]
    ) -> dict[ObjectKey, BaseRecord | None]:
        """The records, where that an object is not there says that it was deleted.

        Raises KindUnavailable where it says nothing; where all went with the kind's definition, nothing was agreed on.
        """
        assert ws.base is not None
        match await self._cluster.standing(kind, request.namespace):
            case Standing.served:
                return records
            case Standing.remade:
                _forget_base(ws, [key for key in ws.base.marks if (key.group, key.kind) == kind.id])
                return dict.fromkeys(records)
        words = f"{kind.kind.kind} ({kind.kind.api_version}) or namespace {request.namespace} is being removed: what goes with it is no delete, "
        raise KindUnavailable(words + "and git keeps it; install the CRD again, or delete this GitIntegration")

    def _is_ours(self, ws: Workspace, covered: Set[str], item: Item) -> bool:
        """Not ours: frozen, ignored, somebody's output, or without the labels that are asked for."""
        known_path = item.record.path if item.record else None
        if ws.index.frozen(item.key, known_path):
            edited = item.live is not None and (item.record is None or not same(item.live.view, item.record.live))
            why = ws.index.blank(item.key, known_path)
            if edited or why:
                ws.pending[item.key] = Pending(edited, False, item.path, item.id, frozen=why)
            else:
                ws.pending.pop(item.key, None)
            return False
        if item.git is None and known_path and known_path not in covered:
            ws.pending.pop(item.key, None)
            return False
        if item.live is not None and (item.live.controlled or item.live.leaving):
            if item.live.leaving:
                return False
            if item.record is None and item.git is None:
                ws.verified[item.key] = item.live.resource_version
                return False
        if item.git is not None:
            item.manifest = orjson.loads(item.git.value)
            item.git_view = item.kind.view(item.manifest)
        if item.record is None and not (
            item.kind.selects(item.manifest) or item.kind.selects(item.live.whole if item.live else None)
        ):
            if item.live is not None:
                ws.verified[item.key] = item.live.resource_version
            ws.pending.pop(item.key, None)
            return False
        return True

    async def _is_served(self, ws: Workspace, item: Item) -> bool:
        """Whether its file names a version that is served, or one that never was: that one is the file's own fault.

        A version that is not served any more is told once, and what is in it waits as it is.
        """
        if item.git is None or item.record is None or item.record.git["apiVersion"] != item.git.api_version:
            return True
        if await self._cluster.version(item.kind, item.git.api_version) is not None:
            return True
        kind = item.kind.kind
        words = f"files name {item.git.api_version} of {kind.kind}, which the cluster no longer serves; nothing of them is written or deleted: "
        words += f"have its CRD serve that version again, or name {kind.api_version} in them"
        ws.away[item.git.api_version, kind.kind] = KindUnavailable(words)
        ws.waiting.add(item.key)
        if _is_edited(item):
            ws.pending[item.key] = Pending(True, False, item.path, item.id)
        else:
            ws.pending.pop(item.key, None)
        return False

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
        base = Base(item.record.git, item.record.live) if item.record else None
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
        assert ws.base is not None
        assert item.live is not None
        assert item.record is not None
        ignored = [c for c in item.decision.local if is_owned(c, item.live.ignored)]
        since = without(base, ignored)
        if may_be_the_servers([c for c in item.decision.local if c not in ignored]):
            with contextlib.suppress(Refused, Forbidden):
                stored = await self._cluster.as_stored(item.kind, request.namespace, base.git, item.live)
                since = with_servers_changes(since, item.live.view, stored, item.kind.schema.list_keys)
        if since != base:
            item.record = replace(item.record, live=since.live)
            ws.base.put(item.record)
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
        await self._tell(ws, request, wanted)
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
            ws.live_dirty.add(item.key)
            item.problem = Problem(item.path, InvalidReason.Refused, "moved while it was written")
            return
        except (Refused, Forbidden) as error:
            item.problem = Problem(item.path, InvalidReason.Refused, f"{item.key}: {error.message}")
            return
        except KindUnavailable as error:
            ws.away[item.kind.id] = error
            ws.waiting.add(item.key)
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
        await self._tell(ws, request, draft.items)
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

    # --- remembering ------------------------------------------------------------------------------------------------

    async def remember(self, ws: Workspace, request: Request, items: Sequence[Item]) -> None:
        """Keep what both sides agree on now, and what is open still. Of folded items it is the last turn."""
        assert ws.base is not None
        for number, item in enumerate(in_turn(items, last=True), start=1):
            self._remember_one(ws, item)
            if number % self._batch == 0:
                ws.base.close_shards()
        ws.underway.clear()
        await self._save(ws, request)
        if ws.flight:
            ws.flight.of_this_run = False

    async def _save(self, ws: Workspace, request: Request) -> None:
        assert ws.base is not None
        if ws.base.changed and ws.flight:
            await self._intents.void(ws.flight, request)
        await self._store.save(request.namespace, request.name, request.uid, ws.base)
        if ws.flight:
            ws.flight.understood.clear()

    def _remember_one(self, ws: Workspace, item: Item) -> None:
        assert ws.base is not None
        if ws.flight:
            ws.flight.carried(item)
        if item.pushed:
            item.git_view = item.kind.view(orjson.loads(item.git.value)) if item.git else None
        decision = item.decision
        pulled = item.pulled or (not decision.remote_ahead and item.problem is None)
        pushed = item.pushed or (not decision.local_ahead and item.problem is None)
        live = item.live.view if item.live else None
        if not decision.conflict and (item.pulled or item.pushed or decision.settled):
            if item.git is None and item.live is None:
                ws.base.delete(item.key)
            elif item.git is not None and item.live is not None:
                self._put(ws, item, rebase(decision, item.git_view, live, pulled=pulled, pushed=pushed), pulled, pushed)
        open_local = decision.local_ahead and not item.pushed
        open_remote = decision.remote_ahead and not item.pulled
        if open_local or open_remote or decision.conflict or item.problem:
            waits = item.key in ws.live_dirty or item.key in ws.waiting
            problem = None if waits else item.problem
            ws.pending[item.key] = Pending(
                open_local, open_remote, item.path, item.id, decision.conflict, problem, item.held
            )
        else:
            ws.pending.pop(item.key, None)
        if item.live is None and item.key not in ws.base.marks:
            ws.verified.pop(item.key, None)
        elif item.key not in ws.live_dirty:
            ws.verified[item.key] = item.live.resource_version if item.live else ABSENT_VERSION

    def _put(self, ws: Workspace, item: Item, base: Base | None, pulled: bool, pushed: bool) -> None:
        """An empty blob or version marks a side with changes that were not carried: it is looked at after a restart."""
        assert ws.base is not None
        assert item.git is not None and item.live is not None
        if base is None:
            return
        if not (item.kind.selects(item.manifest) or item.kind.selects(item.live.whole)) and item.pulled == item.pushed:
            ws.base.delete(item.key)
            return
        version = item.live.resource_version if pushed else ""
        blob = item.git.blob if pulled else ""
        record = BaseRecord(item.key, item.git.path, blob, version, base.git, base.live)
        if item.record is None or replace(record, resource_version=item.record.resource_version) != item.record:
            ws.base.put(record)
            if ws.flight:
                ws.flight.moved(record)

    # --- telling ----------------------------------------------------------------------------------------------------

    def outcome(
        self, ws: Workspace, request: Request, head: Head, tally: Tally, error: GitIntegrationError | None
    ) -> Outcome:
        """What is known now, as the status tells it."""
        assert ws.base is not None
        pending = ws.pending
        conflicts = [
            ConflictEntry(key.kind, key.name, p.id, p.path, p.conflict.reason.value, p.conflict.fields)
            for key, p in pending.items()
            if p.conflict
        ]
        told = [*(p.problem for p in pending.values() if p.problem), *(p.frozen for p in pending.values() if p.frozen)]
        problems = [*ws.index.problems(), *dict.fromkeys(told)]
        commit = ws.index.commit or (ws.rested[0] if ws.rested else None)
        local = sum(p.local for p in pending.values())
        remote = sum(p.remote for p in pending.values())
        settled = not pending and not problems
        return Outcome(
            generation=request.generation,
            mode=request.spec.sync.mode.value,
            error=error,
            connection={**(ws.connection or {"reachable": True}), "latencyMs": head.latency_ms},
            pipelines=len(ws.base.marks) + sum(key not in ws.base.marks for key in pending),
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
            memory=ws.base.digest,
        )


def _forget_base(ws: Workspace, keys: Iterable[ObjectKey]) -> None:
    """As if these had never been synced: they are looked at anew."""
    assert ws.base is not None
    for key in keys:
        ws.base.delete(key)
        ws.verified.pop(key, None)
        ws.live_dirty.add(key)
    ws.rested = None


def _is_edited(item: Item) -> bool:
    """Whether the object differs from what was agreed on by more than the version that it is read in."""
    if item.live is None or item.record is None:
        return False
    return not same({**item.live.view, "apiVersion": ""}, {**item.record.live, "apiVersion": ""})


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
