"""Keeps the checks of all integrations: when a pull request is looked at, what its forge is told, and nothing twice.

What goes wrong here is a condition of its own: it never keeps a sync from being made, nor makes Ready false. Each round is
short, and the rest has its turn after what else the integration has to do.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias, cast

import structlog

from gitintegration.api.integration import GitIntegrationSpec, PullRequests
from gitintegration.checks.memory import CheckMemory, Ground, Known
from gitintegration.checks.planner import CheckPlanner, waits
from gitintegration.core.checks.comment import comment_text, digest, marker
from gitintegration.core.checks.findings import CheckState, Findings, Verdict
from gitintegration.core.checks.merged import merged_verdict
from gitintegration.core.hooks import SECOND_LOOK, HookMark
from gitintegration.core.invalid import InvalidReason
from gitintegration.core.state.table import ABSENT
from gitintegration.core.status import CHECKED, CheckReport, timestamp
from gitintegration.core.values import ObjectKey
from gitintegration.errors import ClusterError, GitIntegrationError, Reason, RemoteError
from gitintegration.forge.checks import CHECK_DIALECTS, OpenPull, PullRequestForge, Status
from gitintegration.forge.target import ForgeTarget, target_of
from gitintegration.git import log as git_log
from gitintegration.git.workers import Workers
from gitintegration.messages import Place, counted
from gitintegration.reconcile.item import RunRequest
from gitintegration.session.session import SyncSession

_EACH_ROUND = 10
"""Pull requests that are checked before the integration's other work has its turn."""
_PAUSE = 5.0
"""Seconds between two looks at one pull request, where what it is planned against moves."""
_SHARE = 4.0
"""A pause is so many times as long as the round before it took."""
_UNREACHABLE = 600.0
"""Seconds after which one that can't be checked is told to be so."""
_RETRY = 30.0
"""Seconds until one that can't be checked is tried again, and a forge that failed is asked again; longer each time."""
_LONGEST = 300.0
_RELIST = 10.0
"""Seconds between two such questions at least, where it is the branch that moved: some may be merged."""
_LONG = 20.0
"""Seconds of a round, after which the rest waits for the next."""
_FORGE = 15.0
"""Seconds that a forge has for an answer: the integration waits meanwhile."""

Prepare: TypeAlias = Callable[[], Awaitable[tuple[SyncSession, RunRequest]]]


@dataclass(frozen=True, slots=True)
class _Round:
    """What one round works with."""

    memory: CheckMemory
    session: SyncSession
    request: RunRequest
    target: ForgeTarget
    wanted: PullRequests
    until: float
    """When it ends, whatever is left, on the clock."""
    noted: list[GitIntegrationError]
    """What the forge refused of single ones."""

    @property
    def context(self) -> str:
        """By which the forge knows the check."""
        return f"gitintegration/{self.request.namespace}/{self.request.name}"


class Checks:
    """All integrations'. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        planner: CheckPlanner,
        forge: PullRequestForge,
        workers: Workers,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._planner, self._forge, self._workers, self._now, self._clock = planner, forge, workers, now, clock
        self._memory: dict[str, CheckMemory] = {}
        self._last: dict[str, tuple[SyncSession, RunRequest, ForgeTarget]] = {}
        """What each was checked with last: that the cluster can't be reached is told with it."""
        self._log = structlog.get_logger("checks")

    def directory(self, session: SyncSession) -> Path:
        """Its cache for checks, beside that for syncs."""
        return self._planner.directory(session)

    async def forget(self, session: SyncSession) -> None:
        """The integration is no more."""
        self._memory.pop(session.uid, None)
        self._last.pop(session.uid, None)
        await self._planner.forget(session)

    async def keep(
        self,
        place: Place,
        session: SyncSession,
        status: dict[str, Any],
        spec: GitIntegrationSpec,
        mark: HookMark | None,
        trouble: GitIntegrationError | None,
        prepare: Prepare,
    ) -> tuple[CheckReport | None, float]:
        """One round, where one is due: how the checks stand (None: as before), and seconds until the next.

        `trouble`: why the sync before it could not see both sides. `mark`: the last delivery that concerned the integration.
        """
        wanted = spec.pull_requests
        if wanted is None or wanted.check == "off":
            if session.uid in self._memory or _is_told(status):
                await self.forget(session)
                return CheckReport(), math.inf
            return None, math.inf
        if session.uid not in self._memory:
            self._memory[session.uid] = CheckMemory.of(status)
        memory = self._memory[session.uid]
        began = self._clock()
        _heed(memory, mark, session.index.commit, began)
        if began < memory.again_at:
            return None, memory.again_at - began
        try:
            report, done = await self._round(session.uid, memory, spec, wanted, trouble, prepare)
        except GitIntegrationError as error:
            self._log.warning("pull requests", namespace=place.namespace, integration=place.name, error=error.message)
            memory.failures += 1
            wait = min(_LONGEST, max(_RETRY * 2.0 ** min(memory.failures - 1, 5), error.retry_after or 0.0))
            memory.again_at = self._clock() + wait
            report = CheckReport(memory.to_status(), "False", error.reason, place.told(error), memory.beyond())
            return report, wait
        memory.failures = 0
        if done:
            memory.again_at = self._clock() + max(0.2, (_SHARE * (self._clock() - began)))
        return report, max(0.2, max(min(memory.list_at, memory.next_at), memory.again_at) - self._clock())

    async def _round(
        self,
        uid: str,
        memory: CheckMemory,
        spec: GitIntegrationSpec,
        wanted: PullRequests,
        trouble: GitIntegrationError | None,
        prepare: Prepare,
    ) -> tuple[CheckReport | None, bool]:
        """The report, and whether anything was done."""
        now = self._clock()
        lists = now >= memory.list_at
        if not lists and not memory.known:
            return None, False
        try:
            session, request = await prepare()
            target = target_of(request.spec.provider, request.remote, request.api_token)
        except (ClusterError, RemoteError) as error:
            if (last := self._last.get(uid)) is None:
                raise
            (session, request, target), trouble = last, trouble or error
        self._last[uid] = session, request, target
        each = _Round(
            memory, session, request, replace(target, timeout=min(target.timeout, _FORGE)), wanted, now + _LONG, []
        )
        if lists:
            await self._list(each)
            memory.base, memory.listed = session.index.commit, now
            memory.list_at = memory.second_at if now < memory.second_at else now + spec.sync.interval_seconds
            self._resume(each)
        due = sorted((k for k in memory.known.values() if self._due_in(each, k) <= 0), key=lambda known: known.looked)
        merged = [known for known in memory.known.values() if known.merged]
        if trouble is None and (due or merged):
            try:
                await self._planner.look(session, request)
            except GitIntegrationError as error:
                trouble = error
        for known in due[:_EACH_ROUND]:
            if self._clock() > each.until:
                break
            await self._check(each, known, trouble)
        for known in merged if trouble is None else ():
            await self._follow(each, known)
        memory.next_at = self._clock() + min(
            (self._due_in(each, known) for known in memory.known.values()), default=math.inf
        )
        for known in memory.known.values():
            known.rest = self._rest(each, known) if self._due_in(each, known) == math.inf else ""
        return self._report(each) if lists or due or merged else None, bool(due)

    async def _list(self, each: _Round) -> None:
        branch = each.session.branch or each.request.spec.default_branch
        if branch is None:
            return
        for known in each.memory.take(await self._forge.open(each.target, branch)):
            if self._clock() > each.until:  # the rest is asked for the next time
                return
            fate = await self._forge.fate(each.target, known.number)
            if fate.state == "merged" and fate.commit:
                known.merged, known.head, known.commit, known.told = True, fate.commit, fate.commit, ""
                known.verdict, known.looked = None, self._clock()
            else:
                del each.memory.known[known.number]

    # --- one that is open -------------------------------------------------------------------------------------------

    def _ground(self, each: _Round, known: Known) -> Ground:
        """What a check would follow from now."""
        if known.seen is None:
            return *self._outside(each, known), each.session.index.commit is None
        kinds, namespace = each.request.kinds, each.request.namespace
        versions = []
        for key in known.seen:
            kind = kinds.get((key.group, key.kind))
            meta = kind.informer.of(namespace).get(key.name) if kind else None
            versions.append(meta.resource_version if meta else ABSENT)
        return *self._outside(each, known), *versions

    @staticmethod
    def _outside(each: _Round, known: Known) -> Ground:
        """The same, but for the pipelines."""
        base = each.session.index.commit or each.session.last_seen
        trusts = (each.request.trust,) if each.request.trust else ()
        return known.head, base, each.request.generation, known.fork and not each.wanted.forks, *trusts

    @classmethod
    def _rest(cls, each: _Round, known: Known) -> str:
        """Names all that a check follows from, where both sides are the same; empty where they are not."""
        session = each.session
        if known.merged or session.table.open or (session.index.commit is None and session.resume_point is None):
            return ""
        ground = repr((cls._outside(each, known), session.records.digest))
        return hashlib.sha256(ground.encode()).hexdigest()[:16]

    def _resume(self, each: _Round) -> None:
        """What an earlier process found of both sides as they still are is as it was, until this one reads them."""
        for known in each.memory.known.values():
            if known.ground is None and known.seen is None and known.rest and known.told:
                same = each.session.index.commit is None and known.rest == self._rest(each, known)
                known.ground = self._ground(each, known) if same else None

    def _due_in(self, each: _Round, known: Known) -> float:
        """Seconds until it is to be looked at; inf where that takes something to move."""
        if known.merged or not known.url:
            return math.inf
        since = self._clock() - known.looked
        if known.ground is None or known.trouble is not None:
            return max(0.0, _RETRY - since)
        if known.ground != self._ground(each, known):
            return max(0.0, _PAUSE - since)
        if known.may_pass:
            return max(0.0, max(_RETRY, each.request.spec.sync.interval_seconds) - since)
        return math.inf

    async def _check(self, each: _Round, known: Known, trouble: GitIntegrationError | None) -> None:
        """Find out what merging it would do, and have the forge tell."""
        findings: Findings | None = None
        known.looked = self._clock()
        try:
            if known.fork and not each.wanted.forks:
                words = "from a fork, and those are not read (spec.pullRequests.forks)"
                known.seen, known.may_pass = {}, False
                known.judge(known.head, "", Verdict.of(CheckState.error, words), timestamp(self._now()))
            elif trouble is not None:
                raise trouble
            else:
                pull = OpenPull(known.number, known.url, known.branch, known.head, known.fork)
                done = await self._planner.check(each.session, each.request, pull)
                findings, known.keys, known.seen = done.findings, done.keys, done.seen
                known.may_pass = any(one.reason is InvalidReason.Refused for one in findings.problems)
                known.judge(done.commit, findings.base, findings.verdict, timestamp(self._now()))
            known.trouble = known.why = None
        except GitIntegrationError as error:
            self._judge_trouble(each, known, error)
        except Exception as defect:
            self._log.exception("a pull request can't be checked", number=known.number)
            words = f"internal error {type(defect).__name__}"
            self._judge_trouble(each, known, RemoteError(Reason.ProgressingWithRetry, words, retry=True))
        known.ground = None  # until the forge has been told
        if await self._tell(each, known, findings):
            known.ground = *self._outside(each, known), *(known.seen or {}).values()

    def _judge_trouble(self, each: _Round, known: Known, error: GitIntegrationError) -> None:
        """It can't be checked now: what was told of its commit stays for a while, and not for ever.

        Who reads a forge is told the reason alone: the words are for those who may see the status.
        """
        known.trouble = known.looked if known.trouble is None else known.trouble
        known.why = error
        self._log.warning("a pull request can't be checked", number=known.number, error=error.message)
        lasts = known.looked - known.trouble >= _UNREACHABLE or not error.is_passing
        if lasts:
            state = CheckState(each.wanted.when_unreachable)
            verdict = Verdict.of(state, f"it can't be checked ({error.reason.value}); it is tried again")
        elif known.verdict is not None and known.commit.startswith(known.head):
            return
        else:
            verdict = Verdict.of(CheckState.pending, f"it can't be checked yet ({error.reason.value})")
        known.judge(known.head, "", verdict, timestamp(self._now()))

    async def _tell(self, each: _Round, known: Known, findings: Findings | None) -> bool:
        """Have the forge say what it does not say yet. False where it refuses that of this one; the others are told."""
        assert known.verdict is not None
        refused = len(each.noted)
        if known.told != known.mark:
            with _Noting(each.noted):
                number = None if known.merged else known.number
                verdict = known.verdict if known.merged else known.verdict.against(known.base)
                status = Status(each.context, verdict, known.url)
                await self._forge.tell(each.target, number, known.commit, status)
                known.told = known.mark
        if findings is None or each.wanted.check != "statusAndComment":
            return len(each.noted) == refused
        ours = known.branch == each.request.review and known.verdict.state is CheckState.success
        if not known.comment and (ours or not findings.touches):
            return len(each.noted) == refused
        text = comment_text(
            findings,
            known.verdict,
            namespace=each.request.namespace,
            name=each.request.name,
            uid=each.session.uid,
            now=self._now(),
            most=CHECK_DIALECTS[each.target.provider].most,
        )
        if digest(text) != known.commented:
            with _Noting(each.noted):
                mark = marker(each.session.uid)
                known.comment = await self._forge.comment(each.target, known.number, text, mark, known.comment)
                known.commented = digest(text)
        return len(each.noted) == refused

    # --- one that is merged -----------------------------------------------------------------------------------------

    async def _follow(self, each: _Round, known: Known) -> None:
        """Tell on the merge commit what became of it, once the branch as it was synced holds it."""
        tip = each.session.index.commit
        if tip is None:
            return
        found = await self._workers.run(_LONGEST, git_log.find_commit, each.session.directory, tip, known.commit)
        if not found:
            if self._clock() - known.looked > _LONGEST:
                del each.memory.known[known.number]
            return
        keys = _brought_by(each.session, found[0]) if known.keys is None else known.keys
        verdict = merged_verdict(each.session.table.open, keys, waits(each.request), self._now())
        known.judge(found[0], tip, verdict, timestamp(self._now()))
        await self._tell(each, known, None)
        if verdict.state is CheckState.success:
            del each.memory.known[known.number]

    # --- how it stands ----------------------------------------------------------------------------------------------

    def _report(self, each: _Round) -> CheckReport:
        rows, told = each.memory.to_status(), each.memory.beyond()
        if each.noted:
            each.memory.list_at = min(each.memory.list_at, self._clock() + _LONGEST)
            return CheckReport(rows, "False", each.noted[0].reason, each.request.place.told(each.noted[0]), told)
        if why := next((known.why for known in each.memory.known.values() if known.why), None):
            return CheckReport(rows, "False", why.reason, each.request.place.told(why), told)
        count = sum(not known.merged for known in each.memory.known.values())
        are = "is" if count == 1 else "are"
        return CheckReport(rows, "True", Reason.Succeeded, f"{counted(count, 'open pull request')} {are} checked", told)


class _Noting:
    """Keeps what a forge refuses for one pull request from ending the round; what may pass ends it."""

    def __init__(self, noted: list[GitIntegrationError]) -> None:
        self._noted = noted

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, RemoteError) or error.is_passing:
            return False
        self._noted.append(error)
        return True


def _heed(memory: CheckMemory, mark: HookMark | None, base: str | None, now: float) -> None:
    """A delivery has come, or the branch moved: the forge is asked which are open."""
    if mark is not None and mark != memory.mark:
        if memory.listed > -math.inf:
            memory.list_at, memory.second_at = now, now + SECOND_LOOK
        memory.mark = mark
    if base != memory.base and memory.known:
        memory.list_at = min(memory.list_at, memory.listed + _RELIST)


def _is_told(status: dict[str, Any]) -> bool:
    """Whether a status tells of checks."""
    return "pullRequests" in status or any(c["type"] == CHECKED for c in status.get("conditions", ()))


def _brought_by(session: SyncSession, commit: str) -> set[ObjectKey] | None:
    """What is open of the pipelines that a commit touched, as the history tells it; None where it is not told any more."""
    told = next((entry for entry in session.history or () if entry["sha"] == commit), None)
    if told is None:
        return None
    ids = set(cast("list[str]", told["pipelinesTouched"]))
    return {key for key, item in session.table.open.items() if item.id in ids or key.name in ids}
