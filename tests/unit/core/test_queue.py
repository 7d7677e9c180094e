"""The order of work."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gitintegration.core.queue import Priority, Queue


def test_the_most_urgent_due_key_goes_first() -> None:
    queue: Queue[str] = Queue()
    for n in range(5):
        queue.add(f"idle{n}", 1.0, Priority.periodic)
    queue.add("late", 9.0, Priority.requested)
    queue.add("edited", 2.0, Priority.edited)
    assert queue.pop(2.0) == ("edited", Priority.edited)
    assert queue.pop(2.0) == ("idle0", Priority.periodic)


def test_asking_again_keeps_the_earlier_time_and_the_better_priority() -> None:
    queue: Queue[str] = Queue()
    queue.add("a", 5.0, Priority.requested)
    queue.add("a", 1.0, Priority.periodic)
    assert queue.pop(1.0) == ("a", Priority.requested)
    assert queue.pop(9.0) is None


def test_what_is_asked_for_while_running_is_one_run_more() -> None:
    queue: Queue[str] = Queue()
    queue.add("a", 0.0, Priority.edited)
    assert queue.pop(0.0)
    queue.add("a", 3.0, Priority.edited)
    queue.add("a", 2.0, Priority.edited)
    assert queue.pop(9.0) is None
    queue.done("a")
    assert queue.pop(1.0) is None
    assert queue.pop(2.0) == ("a", Priority.edited)
    queue.done("a")
    assert len(queue) == 0


def test_a_removed_key_does_not_come_back() -> None:
    queue: Queue[str] = Queue()
    queue.add("a", 0.0, Priority.edited)
    queue.pop(0.0)
    queue.add("a", 0.0, Priority.edited)
    queue.remove("a")
    queue.done("a")
    assert queue.pop(1.0) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.sampled_from(Priority)), max_size=30))
def test_every_key_asked_for_runs_and_none_twice_at_once(asked: list[tuple[str, int, Priority]]) -> None:
    queue: Queue[str] = Queue()
    for key, due, priority in asked:
        queue.add(key, float(due), priority)
    ran = []
    while popped := queue.pop(10.0):
        ran.append(popped[0])
    assert sorted(ran) == sorted({key for key, _, _ in asked})


def test_a_lane_takes_only_its_places_and_hands_them_on_by_priority() -> None:
    queue: Queue[str] = Queue(lane=lambda key: key[0], width=2)
    for key in ("a1", "a2", "a3"):
        queue.add(key, 1.0, Priority.periodic)
    queue.add("a4", 2.0, Priority.requested)
    assert [queue.pop(1.0), queue.pop(1.0), queue.pop(1.0)] == [
        ("a1", Priority.periodic),
        ("a2", Priority.periodic),
        None,
    ]
    queue.add("b1", 1.5, Priority.periodic)
    assert queue.pop(2.0) == ("b1", Priority.periodic)
    assert queue.pop(2.0) is None
    queue.done("a1")
    assert queue.pop(2.0) == ("a4", Priority.requested)
    queue.remove("a2")
    assert queue.pop(2.0) == ("a3", Priority.periodic)
    queue.done("a4")
    queue.done("a3")
    assert queue.pop(9.0) is None


def shared(width: int = 0, places: int = 8) -> Queue[tuple[str, str, int]]:
    """Keys are (share, lane, number)."""
    return Queue(lane=lambda key: key[1], width=width, share=lambda key: key[0], places=places)


def popped(queue: Queue[tuple[str, str, int]], most: int) -> list[tuple[str, str, int]]:
    """What runs now, at most so many."""
    ran: list[tuple[str, str, int]] = []
    while len(ran) < most and (got := queue.pop(10.0)):
        ran.append(got[0])
    return ran


def test_a_share_leaves_as_many_places_as_it_takes() -> None:
    queue = shared(places=8)
    for n in range(20):
        queue.add(("greedy", f"host{n}", n), 0.0, Priority.requested)
    running = popped(queue, 8)
    assert len(running) == 4
    queue.add(("modest", "x", 0), 5.0, Priority.periodic)
    assert popped(queue, 4) == [("modest", "x", 0)]
    queue.done(running[0])
    assert [key[0] for key in popped(queue, 4)] == ["greedy"]


def test_a_share_leaves_places_in_a_lane() -> None:
    queue = shared(width=4, places=64)
    for n in range(9):
        queue.add(("greedy", "host", n), 0.0, Priority.requested)
    assert len(popped(queue, 64)) == 2
    queue.add(("modest", "host", 0), 5.0, Priority.periodic)
    assert popped(queue, 64) == [("modest", "host", 0)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 3))),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("remove"), st.integers(0, 9)),
        st.tuples(st.just("aside"), st.integers(0, 9)),
        st.tuples(st.just("back"), st.integers(0, 9)),
    ),
    max_size=60,
)


@given(STEPS, st.integers(1, 3), st.integers(1, 6))
def test_nobody_waits_who_could_run_and_nobody_takes_more_than_is_left(
    steps: list[tuple[str, object]], width: int, places: int
) -> None:
    queue = shared(width, places)
    known: set[tuple[str, str, int]] = set()
    running: list[tuple[str, str, int]] = []
    aside: set[tuple[str, str, int]] = set()

    def left_of(lane: str = "") -> int:
        taken = sum(not lane or key[1] == lane for key in running if key not in aside)
        return (width if lane else places) - taken

    def fits(key: tuple[str, str, int]) -> bool:
        of_share = [k for k in running if k[0] == key[0]]
        of_both = [k for k in of_share if k[1] == key[1]]
        lane_left, left = left_of(key[1]), left_of()
        return (
            bool(lane_left > 0 and left > 0)
            and (not of_both or len(of_both) < lane_left)
            and (not of_share or len(of_share) < left)
        )

    for what, argument in steps:
        if what == "add":
            assert isinstance(argument, tuple)
            queue.add(argument, 0.0, Priority.edited)
            known.add(argument)
        elif running and what in ("aside", "back") and isinstance(argument, int):
            key = running[argument % len(running)]
            (queue.step_aside if what == "aside" else queue.step_back)(key)
            (aside.add if what == "aside" else aside.discard)(key)
        elif running and isinstance(argument, int):
            key = running.pop(argument % len(running))
            known.discard(key)
            aside.discard(key)
            if what == "end":
                queue.done(key)
                if len(queue) > len(known):
                    known.add(key)  # it was asked for while it ran
            else:
                queue.remove(key)
        while left_of() > 0 and (got := queue.pop(10.0)):
            assert fits(got[0])
            running.append(got[0])
        waiting = known - set(running)
        assert not [key for key in waiting if fits(key)]
    assert len(queue) == len(known)


def test_a_full_lane_is_handed_on_in_turns() -> None:
    """Of eight shares each has much to do, and all of it is older and more urgent than what a ninth asks for."""
    queue = shared(width=8, places=64)
    for share in range(8):
        for n in range(50):
            queue.add((f"greedy{share}", "host", n), 0.0, Priority.requested)
    running = popped(queue, 64)
    assert len({share for share, _, _ in running}) == len(running) == 8
    queue.add(("modest", "host", 0), 9.0, Priority.periodic)
    seen: list[str] = []
    while "modest" not in seen:
        queue.done(running.pop(0))
        more = popped(queue, 1)
        running += more
        seen += [key[0] for key in more]
    assert max(Counter(seen).values()) == 1, seen


def test_what_steps_aside_leaves_its_place_to_others_and_not_to_its_own_share() -> None:
    """Else eight that wait for slow work would have all places of a server."""
    queue = shared(width=8, places=64)
    for share in range(8):
        for n in range(20):
            queue.add((f"slow{share}", "host", n), 0.0, Priority.requested)
    begun = 0
    while running := popped(queue, 64):
        for key in running:
            queue.step_aside(key)
        begun += len(running)
    assert begun == 8 * 8
    queue.add(("modest", "host", 0), 9.0, Priority.periodic)
    assert popped(queue, 64) == [("modest", "host", 0)]


def test_a_share_that_is_forgotten_while_it_is_its_turn_hands_it_on() -> None:
    queue = shared(width=1, places=8)
    for n in range(3):
        queue.add((f"share{n}", "host", 0), float(n), Priority.edited)
    (first,) = popped(queue, 8)
    queue.done(first)
    queue.remove(("share1", "host", 0))
    assert popped(queue, 8) == [("share2", "host", 0)]


KEYS = st.tuples(st.sampled_from("abcde"), st.sampled_from("xyz"), st.integers(0, 9))
ASKED = st.tuples(KEYS, st.integers(0, 9), st.sampled_from(Priority))
HISTORIES = st.tuples(
    st.lists(ASKED, min_size=15, max_size=40), st.lists(st.one_of(ASKED, st.integers(0, 9)), min_size=30, max_size=80)
).map(lambda parts: [*parts[0], *parts[1]])


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to make a failure smaller takes minutes
)
@given(HISTORIES, st.integers(1, 3), st.integers(1, 6))
def test_a_share_with_none_running_has_its_turn_before_another_has_many(
    history: list[tuple[tuple[str, str, int], int, Priority] | int], width: int, places: int
) -> None:
    """Whatever is asked for, however urgent and overdue, and in whatever lane: none is served again and again in one.

    Two turns of each lane, and two of all.
    """
    queue = shared(width, places)
    waiting: set[tuple[str, str, int]] = set()
    running: list[tuple[str, str, int]] = []
    passed: dict[tuple[str, str], Counter[tuple[str, str]]] = {}

    def could_run() -> set[tuple[str, str]]:
        """Shares that have none running, and the lanes with a place that a key of theirs waits for."""
        full = {lane for lane in "xyz" if sum(key[1] == lane for key in running) >= width}
        busy = {share for share, _, _ in running}
        return {(share, lane) for share, lane, _ in waiting if lane not in full and share not in busy}

    for step in history:
        if isinstance(step, tuple):
            key, due, priority = step
            if key not in running:
                queue.add(key, float(due), priority)
                waiting.add(key)
        elif running:
            queue.done(running.pop(step % len(running)))
        while len(running) < places:
            able = could_run()
            if not (got := queue.pop(10.0)):
                assert not able
                break
            share, lane, _ = got[0]
            for one in able:
                passed.setdefault(one, Counter())[share, lane] += one[0] != share
                assert passed[one][share, lane] <= 4
            passed = {one: counts for one, counts in passed.items() if one[0] != share}
            waiting.discard(got[0])
            running.append(got[0])
