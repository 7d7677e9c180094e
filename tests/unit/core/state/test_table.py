"""What is due of all items: no observation is lost, whatever a run does with it, and nothing is looked at for nothing."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gitintegration.core.state.item import OpenItem, Phase
from gitintegration.core.state.record import Watermark
from gitintegration.core.state.table import ABSENT, ItemTable
from gitintegration.core.values import ObjectKey

KEYS = [ObjectKey("g", "K", name) for name in "abcd"]
A = KEYS[0]
_keys = st.sampled_from(KEYS)
_phases = st.sampled_from([None, *(OpenItem(phase, local=True) for phase in Phase if phase is not Phase.SYNCED)])


@dataclass
class Reading:
    """A run that has read an item, and not come to its checkpoint."""

    key: ObjectKey
    number: int
    live: str
    git: int


@dataclass
class Truth:
    """One item as both sides have it, and what the last checkpoint was made of."""

    live: str = ABSENT
    git: int = 0
    seen: tuple[str, int] = (ABSENT, 0)
    watched: str = ABSENT
    delivered: bool = True
    """Whether the watch has told of all that happened."""


class Histories(RuleBasedStateMachine):
    """Edits on both sides, late watch events, runs that come to an end and runs that do not."""

    @initialize(stored=st.sets(_keys))
    def begin(self, stored: set[ObjectKey]) -> None:
        self.versions = iter(range(1, 10**9))
        self.truth = {key: Truth() for key in KEYS}
        self.marks = {key: Watermark(f"{key.name}.yaml", "b", "0") for key in stored}
        for key in stored:
            self.truth[key] = Truth("0", 0, ("0", 0), "0")
        self.table = ItemTable(self.marks)
        self.readings: list[Reading] = []

    @rule(key=_keys, gone=st.booleans())
    def edit_live(self, key: ObjectKey, gone: bool) -> None:
        self.truth[key].live = ABSENT if gone else str(next(self.versions))
        self.truth[key].delivered = False

    @rule(key=_keys)
    def deliver(self, key: ObjectKey) -> None:
        truth = self.truth[key]
        truth.watched, truth.delivered = truth.live, True
        self.table.observe(key, truth.watched)

    @rule(key=_keys)
    def edit_git(self, key: ObjectKey) -> None:
        self.truth[key].git = next(self.versions)
        self.table.suspect([key])

    @rule(asked=st.sampled_from("xy"))
    def ask(self, asked: str) -> None:
        self.table.ask(asked)

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        if due := sorted(self.due()):
            key = data.draw(st.sampled_from(due))
            truth = self.truth[key]
            self.readings.append(Reading(key, self.table.number, truth.live, truth.git))

    @rule(data=st.data(), item=_phases, write=st.booleans())
    def checkpoint(self, data: st.DataObject, item: OpenItem | None, write: bool) -> None:
        """Of the newest reading of an item; a write carries the version that was read, so that a stale one never lands."""
        newest = {r.key: r for r in self.readings}
        if not newest:
            return
        reading = newest[data.draw(st.sampled_from(sorted(newest)))]
        self.readings = [r for r in self.readings if r.key != reading.key]
        truth = self.truth[reading.key]
        if write and truth.live == reading.live != ABSENT:
            truth.live = reading.live = str(next(self.versions))
            truth.delivered = False
        if reading.live != ABSENT:
            self.marks[reading.key] = Watermark("p", "b", reading.live)
        elif item is None:
            self.marks.pop(reading.key, None)
        self.table.checkpoint(reading.key, reading.live, reading.number, item)
        truth.seen = reading.live, reading.git

    @rule()
    def abandon(self) -> None:
        """An exception, a cancel: nothing is put back."""
        self.readings.clear()

    @rule()
    def restart(self) -> None:
        """A new process lists everything, and compares all of git."""
        self.table, self.readings = ItemTable(self.marks), []
        for key, truth in self.truth.items():
            mark = self.marks.get(key)
            truth.seen = (mark.resource_version if mark else ABSENT, truth.seen[1])
            truth.watched, truth.delivered = truth.live, True
            self.table.observe(key, truth.live)
            if truth.git != truth.seen[1]:
                self.table.suspect([key])

    @invariant()
    def what_moved_is_due(self) -> None:
        if not hasattr(self, "table"):
            return
        due = self.due()
        for key, truth in self.truth.items():
            moved = truth.delivered and truth.live not in (truth.seen[0], ABSENT)
            gone = truth.delivered and truth.live == ABSENT != truth.seen[0] and key in self.marks
            if moved or gone or truth.git != truth.seen[1]:
                assert key in due, (key, truth)

    def due(self) -> set[ObjectKey]:
        return self.table.due(lambda key: self.truth[key].watched)

    def teardown(self) -> None:
        """Nobody edits: one run over what is due, and nothing is due any more but what is to be retried."""
        if not hasattr(self, "table"):
            return
        for key, truth in self.truth.items():
            truth.watched = truth.live
            self.table.observe(key, truth.live)
        for key in self.due():
            self.table.checkpoint(key, self.truth[key].live, self.table.number)
        assert not self.due()


TestHistories = Histories.TestCase


@given(_phases)
def test_what_the_user_asks_for_anew_makes_all_that_is_open_due(item: OpenItem | None) -> None:
    table = ItemTable({})
    assert table.ask("as before")
    table.checkpoint(A, "1", table.number, item)
    assert not table.ask("as before")
    retried = (Phase.HELD, Phase.BLOCKED, Phase.OVERLAP, Phase.WAITING)
    assert (A in table.suspects) == (item is not None and item.phase in retried)
    table.checkpoint(A, "1", table.number, item)
    assert table.ask("otherwise")
    assert (A in table.suspects) == (item is not None)


def test_an_event_of_what_was_just_written_is_no_news() -> None:
    table = ItemTable({})
    assert table.observe(A, "1")
    number = table.number
    assert table.observe(A, "2"), "while it is worked on"
    table.checkpoint(A, "2", number)
    assert table.due(lambda _: "2") == set()
    assert not table.observe(A, "2")


def test_what_is_observed_while_it_is_worked_on_is_due_after_its_checkpoint() -> None:
    table = ItemTable({})
    table.observe(A, "1")
    number = table.number
    table.observe(A, "3")
    table.checkpoint(A, "2", number)
    assert table.due(lambda _: "3") == {A}


def test_what_was_logged_and_not_checkpointed_is_due_from_the_start() -> None:
    assert ItemTable({}, {A}).due(lambda _: ABSENT) == {A}


def test_a_run_that_goes_wrong_leaves_it_due_and_tells_where_it_stands() -> None:
    table = ItemTable({A: Watermark("p", "b", "1")})
    table.observe(A, "2")
    ahead = OpenItem(Phase.AHEAD, local=True)
    table.rest(A, ahead)
    assert (table.due(lambda _: "2"), dict(table.open)) == ({A}, {A: ahead})


def test_what_comes_and_goes_before_anybody_looked_leaves_nothing() -> None:
    table = ItemTable({})
    table.observe(A, "1")
    assert table.observe(A, ABSENT)
    assert table.due(lambda _: ABSENT) == {A}, "the first event may have been read by a run under way"
    table.checkpoint(A, ABSENT, table.number)
    assert not table.known()
    assert not table.observe(A, ABSENT)


def test_what_the_watch_says_is_nobodys_business_is_not_looked_at() -> None:
    table = ItemTable({})
    table.observe(A, "1")
    assert table.due(lambda _: None) == set()
