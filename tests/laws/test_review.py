"""What is ahead, offered for review on another branch: random histories with reviewers, merges, crashes and races."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gitintegration.core.status import Outcome
from gitintegration.errors import GitIntegrationError
from tests.laws.history import ANCHOR, FIELDS, NAMES, Edit, History, State, edited, manifest, state_of
from tests.laws.test_laws import _SHARED, Restart, Sync, _edits, _syncs, run, world
from tests.laws.world import FOLDER, REVIEW, Crash, World, parse


@dataclass(frozen=True)
class Suggest:
    """A reviewer's commit on the review branch."""

    name: str
    key: str


@dataclass(frozen=True)
class Merge:
    """The pull request is merged; squashed where it is not to be a merge commit. A rebase looks like a squash from here."""

    squash: bool


@dataclass(frozen=True)
class Close:
    """The pull request is closed, and its branch deleted."""


Step = Edit | Sync | Restart | Suggest | Merge | Close
_cluster_edits = st.one_of(
    st.builds(Edit, st.just("cluster"), st.sampled_from(NAMES), st.just("set"), st.sampled_from(FIELDS)),
    st.builds(Edit, st.just("cluster"), st.sampled_from(NAMES), st.just("delete")),
)
_suggestions = st.builds(Suggest, st.sampled_from(NAMES), st.sampled_from(FIELDS))
_reviews = st.one_of(st.builds(Merge, st.booleans()), st.just(Close()))
_steps = st.one_of(
    _cluster_edits, _cluster_edits, _edits, _syncs, _syncs, st.builds(Restart, st.booleans()), _suggestions, _reviews
)
_histories = st.lists(_steps, max_size=16)


class Reviewers:
    """What people do on the review branch."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.git = history.world.git
        self.suggested: set[tuple[str, str, str]] = set()
        self.touched: set[str] = set()
        self._number = 0

    def files(self) -> dict[str, str]:
        return self.git.files(self.git.heads.get(REVIEW))

    def suggest(self, step: Suggest) -> None:
        files = self.files()
        spec = parse(files).get(step.name)
        path = next((p for p, text in files.items() if step.name in parse({p: text})), None)
        if REVIEW not in self.git.heads or spec is None or path is None:
            return
        self._number += 1
        value = f"r{self._number}"
        before = {key for key in self.suggested if key[:2] != (step.name, step.key)}
        files[path] = manifest(step.name, edited(spec, step.key, value))
        self.git.commit(files, branch=REVIEW)
        self.suggested = before | {(step.name, step.key, value)}
        self.touched.add(step.name)

    def merge(self, step: Merge) -> bool:
        """As git would, file by file; where one file was changed on both branches it does not merge."""
        ours, theirs = self.git.heads.get(REVIEW), self.git.head
        if ours is None or theirs is None:
            return False
        common = self.git.ancestors(ours) & self.git.ancestors(theirs)
        base = max(common, key=lambda sha: len(self.git.ancestors(sha)))
        was, mine, other = (self.git.files(sha) for sha in (base, ours, theirs))
        merged = {}
        for path in was.keys() | mine.keys() | other.keys():
            values = was.get(path), mine.get(path), other.get(path)
            if len(set(values)) == 3:
                return False
            if values[1] != values[2] and values[0] not in values[1:]:
                return False
            text = values[1] if values[1] != values[0] else values[2]
            if text is not None:
                merged[path] = text
        before = self.history.state("git")
        self.git.commit(merged, *([theirs] if step.squash else [theirs, ours]))
        self.history.account.take(before, self.history.state("git"))
        return True

    def state(self) -> State:
        return state_of(parse(self.files()))


async def play(reviewers: Reviewers, steps: Sequence[Step]) -> None:
    w = reviewers.history.world
    for step in steps:
        match step:
            case Edit():
                reviewers.history.play(step)
            case Restart():
                w.restart(wipe=step.wipe)
            case Suggest():
                reviewers.suggest(step)
            case Merge():
                reviewers.merge(step)
            case Close():
                w.git.heads.pop(REVIEW, None)
            case Sync():
                await run(reviewers.history, step)


async def settle(w: World) -> Outcome:
    for _ in range(6):
        w.deliver()
        before = (len(w.api.writes), dict(w.git.heads))
        outcome, _ = await w.sync()
        assert outcome.error is None, outcome.error
        if (len(w.api.writes), w.git.heads) == before:
            return outcome
    raise AssertionError("it does not settle")


@_SHARED
@given(_histories)
def test_what_is_ahead_is_offered_and_reviewers_are_never_reverted(steps: list[Step]) -> None:
    directory, w = world()
    with directory:
        w.configure(review=REVIEW)
        reviewers = Reviewers(History(w))

        async def act() -> None:
            await play(reviewers, steps)
            reviewers.history.play(Edit("cluster", ANCHOR, "set", "f1"))
            outcome = await settle(w)
            check(reviewers, outcome)
            before = (list(w.api.writes), dict(w.git.heads))
            w.restart(wipe=True)
            outcome = await settle(w)
            assert (w.api.writes, w.git.heads) == before, "a restart offers again"
            if reviewers.merge(Merge(squash=bool(len(steps) % 2))):
                pushed = len(w.git.pushed)
                outcome = await settle(w)
                stuck = {c.name for c in outcome.conflicts} | {e.path for e in outcome.invalid}
                assert outcome.local_ahead <= len(stuck), "what was merged is ahead still"
                assert len(w.git.pushed) == pushed, "what was merged is offered again"
                back = {
                    (*at, v) for at, v in reviewers.history.state("cluster").items() if at[0] not in reviewers.touched
                }
                faulty = any(isinstance(s, Sync) and s.fault in ("crash", "lose") for s in steps)
                assert faulty or stuck or not back & reviewers.history.account.superseded, "reverted"

        asyncio.run(act())


def check(reviewers: Reviewers, outcome: Outcome) -> None:
    git, history = reviewers.git, reviewers.history
    cluster, default, offered = history.state("cluster"), history.state("git"), reviewers.state()
    there = {(*at, value) for side in (cluster, default) for at, value in side.items()}
    assert not (lost := history.account.owed - there), f"lost: {lost}"
    assert not set(git.pushed) & (git.ancestors(git.head or "") - _brought(git, git.pushed)), (
        "pushed to the default branch"
    )
    for commit in git.pushed:
        before, after = (state_of(parse(git.files(sha))) for sha in (git.parents(commit)[0], commit))
        gone = {(*at, v) for at, v in before.items()} - {(*at, v) for at, v in after.items()}
        assert not gone & reviewers.suggested, "a reviewer was reverted"
        assert len(git.parents(commit)) > 1 or before != after, "a commit that changes nothing"
    torn = {c.name for c in outcome.conflicts} | reviewers.touched
    torn |= {e.path.removeprefix(f"{FOLDER}/").split("-")[0].removesuffix(".yaml") for e in outcome.invalid}
    assert REVIEW in git.heads or ANCHOR in torn, "a new change does not bring the branch back"
    for at in cluster.keys() | default.keys() if REVIEW in git.heads else ():
        if at[0] not in torn and cluster.get(at) != default.get(at):
            assert offered.get(at) == cluster.get(at), f"{at} is ahead, and not offered"
    names = {name for name, _ in cluster.keys() | default.keys()}
    ahead = {n for n in names if _of(cluster, n) != _of(default, n)}
    assert outcome.invalid or outcome.local_ahead == len(ahead), "the counts are not true"


def _brought(git: object, pushed: Sequence[str]) -> set[str]:
    """Commits of the review branch reach the default branch by a person's merge commit, as its second parent."""
    assert hasattr(git, "ancestors")
    merges = [c for c in git.ancestors(git.head) if len(git.parents(c)) > 1 and c not in pushed]  # type: ignore[attr-defined]
    return {sha for merge in merges for sha in git.ancestors(git.parents(merge)[1])}  # type: ignore[attr-defined]


def _of(state: State, name: str) -> State:
    return {at: value for at, value in state.items() if at[0] == name}


def _begin(w: World) -> Reviewers:
    w.configure(review=REVIEW)
    reviewers = Reviewers(History(w))
    reviewers.history.play(Edit("cluster", "a", "set", "f1"))
    return reviewers


def test_an_offer_is_one_commit_on_the_branch_and_stays_ahead() -> None:
    directory, w = world()
    with directory:
        _begin(w)
        main = w.git.head
        outcome = asyncio.run(settle(w))
        assert w.git.head == main
        assert w.git.parents(w.git.heads[REVIEW]) == [main]
        assert (outcome.local_ahead, len(w.git.pushed)) == (1, 1)
        assert outcome.review == {"branch": REVIEW, "commit": w.git.heads[REVIEW], "follows": True}


def test_it_follows_the_default_branch_by_a_merge_commit() -> None:
    directory, w = world()
    with directory:
        reviewers = _begin(w)
        asyncio.run(settle(w))
        first = w.git.heads[REVIEW]
        reviewers.history.play(Edit("git", "b", "set", "f0"))
        asyncio.run(settle(w))
        assert w.git.parents(w.git.heads[REVIEW]) == [first, w.git.head]
        assert {"a", "b", ANCHOR} == set(parse(reviewers.files()))


def test_a_file_that_reviewers_and_the_default_branch_changed_is_left_to_them() -> None:
    directory, w = world()
    with directory:
        reviewers = _begin(w)
        asyncio.run(settle(w))
        reviewers.merge(Merge(squash=False))
        asyncio.run(settle(w))
        reviewers.history.play(Edit("cluster", "a", "set", "f1"))
        asyncio.run(settle(w))
        reviewers.suggest(Suggest("a", "f0"))
        reviewers.history.play(Edit("git", "a", "set", "s0"))
        branch = w.git.heads[REVIEW]
        outcome = asyncio.run(settle(w))
        assert w.git.heads[REVIEW] == branch
        assert outcome.review == {"branch": REVIEW, "commit": branch, "follows": False}


def test_a_deleted_branch_stays_away_until_there_is_a_new_change() -> None:
    directory, w = world()
    with directory:
        reviewers = _begin(w)
        asyncio.run(settle(w))
        del w.git.heads[REVIEW]
        assert asyncio.run(settle(w)).local_ahead == 1
        w.restart(wipe=True)
        asyncio.run(settle(w))
        assert REVIEW not in w.git.heads
        reviewers.history.play(Edit("cluster", "b", "set", "f0"))
        assert asyncio.run(settle(w)).local_ahead == 2
        assert {"a", "b", ANCHOR} == set(parse(reviewers.files()))


def test_a_reviewers_other_value_is_named_and_left() -> None:
    directory, w = world()
    with directory:
        reviewers = _begin(w)
        asyncio.run(settle(w))
        reviewers.suggest(Suggest("a", "f1"))
        reviewers.history.play(Edit("cluster", "a", "set", "f1"))
        outcome = asyncio.run(settle(w))
        assert [(e.path, e.reason) for e in outcome.invalid] == [(f"{FOLDER}/a.yaml", "Refused")]
        assert "spec.f1" in outcome.invalid[0].message
        assert reviewers.state()["a", "f1"] == "r1"


def test_what_is_taken_back_in_the_cluster_is_taken_back_on_the_branch() -> None:
    directory, w = world()
    with directory:
        w.configure(review=REVIEW)
        reviewers = Reviewers(History(w))
        asyncio.run(settle(w))
        w.api.put("a", {"f0": "1", "f1": "2"})
        w.api.put(ANCHOR, {"f0": "other"})
        asyncio.run(settle(w))
        offered = reviewers.state()
        assert ("a", "f1") in offered
        assert offered[ANCHOR, "f0"] == "other"
        w.api.put(ANCHOR, {"f0": "anchor"})
        w.api.remove("a")
        w.restart(wipe=True)
        outcome = asyncio.run(settle(w))
        assert outcome.local_ahead == 0
        assert reviewers.state() == reviewers.history.state("git") == {(ANCHOR, "f0"): "anchor"}
        assert len(w.git.pushed) == 2


def test_an_offer_that_was_forgotten_is_found_where_it_lies() -> None:
    """Killed after the push and before it was remembered; then the default branch moves, and the pipeline changes again."""
    directory, w = world()
    with directory:
        reviewers = _begin(w)
        asyncio.run(settle(w))
        w.api.forget_memory()
        w.restart(wipe=True)
        reviewers.history.play(Edit("git", "b", "set", "f0"))
        reviewers.history.play(Edit("cluster", "a", "set", "f1"))
        outcome = asyncio.run(settle(w))
        assert [e.path for e in outcome.invalid] == [f"{FOLDER}/a.yaml"]
        assert sorted(reviewers.files()) == ["README.md", *(f"{FOLDER}/{n}.yaml" for n in ("a", ANCHOR, "b"))]


def test_what_was_merged_and_moved_is_not_brought_back_by_the_branch() -> None:
    directory, w = world()
    with directory:
        reviewers = _begin(w)
        asyncio.run(settle(w))
        reviewers.history.play(Edit("cluster", "a", "delete"))
        assert reviewers.merge(Merge(squash=True))
        reviewers.history.play(Edit("git", "a", "move"))
        asyncio.run(settle(w))
        assert "a" not in parse(reviewers.files())
        assert reviewers.merge(Merge(squash=True))
        asyncio.run(settle(w))
        assert "a" not in parse(w.git.files())
        assert "a" not in w.api.specs()


def test_a_delete_that_the_watch_tells_late_is_taken_back_on_the_branch() -> None:
    directory, w = world()
    with directory:
        reviewers = _begin(w)
        asyncio.run(settle(w))
        w.restart()
        w.api.remove("a")  # the watch has not told yet
        asyncio.run(w.sync())
        asyncio.run(settle(w))
        assert "a" not in parse(reviewers.files())


def test_killed_at_any_request_it_offers_once() -> None:
    async def act(w: World, at: int, after: bool) -> None:
        reviewers = _begin(w)
        (w.steps.after if after else w.steps.before)[at] = w.steps.crash
        w.deliver()
        try:
            await w.sync()
        except Crash:
            w.restart(wipe=after)
        except GitIntegrationError:
            pass
        outcome = await settle(w)
        assert (outcome.local_ahead, len(w.git.pushed)) == (1, 1), f"killed at {at}"
        assert ("a", "f1") in reviewers.state()

    for at in range(12):
        for after in (False, True):
            directory, w = world()
            with directory:
                asyncio.run(act(w, at, after))
