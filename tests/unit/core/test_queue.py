"""The order of work."""

from __future__ import annotations

from hypothesis import given
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
