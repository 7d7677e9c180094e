"""The memory of a sync in pieces: nothing is lost by splits, and what was cut short reads as before or after."""

from __future__ import annotations

import base64
import random
import tracemalloc
import zlib
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitintegration.core.merge import Base
from gitintegration.core.state.record import Intent, ItemCodec, ItemRecord, Pushes, SideIntent, Watermark
from gitintegration.core.state.shards import (
    NO_REVISION,
    SPLIT_AT,
    SPLIT_BYTES,
    NewerFormat,
    Revision,
    ShardedRecords,
    decode,
    encode,
)
from gitintegration.core.values import ObjectKey

CODEC = ItemCodec()
_INTENT = Intent(SideIntent(None, {"v": 1}), SideIntent({"v": 1}, {"v": 1}))


def record(number: int, value: int = 0) -> ItemRecord:
    key = ObjectKey("g", "K", f"n{number}")
    return ItemRecord(
        key, Watermark(f"p/{number}.yaml", f"blob{value}", str(value)), Base({"v": value}, {"v": value, "d": 1})
    )


def stored(shards: ShardedRecords[ItemRecord], store: dict[str, str]) -> None:
    written, removed = shards.begin_flush()
    store.update(written)
    for prefix in removed:
        del store[prefix]


def held(shards: ShardedRecords[ItemRecord]) -> dict[str, ItemRecord]:
    return {r.key.name: r for r in shards.records()}


_values = st.sampled_from([None, {"v": 1}, {"v": 1.0}, {"v": True}, {"v": 2}, {"v": 2, "d": 1}])
_sides = st.builds(SideIntent, _values, _values)
_bases = st.one_of(st.none(), st.builds(Base, _values.filter(bool), _values.filter(bool)))
_records = st.builds(
    ItemRecord,
    st.just(ObjectKey("g", "K", "n")),
    st.builds(Watermark, st.just("p/n.yaml"), st.sampled_from(["", "b10b"]), st.sampled_from(["", "7"])),
    _bases,
    st.one_of(st.none(), st.builds(Intent, _sides, _sides)),
    st.one_of(
        st.none(),
        st.builds(
            Pushes,
            st.sampled_from([None, "", "c0ffee"]),
            _values,
            st.lists(_bases, min_size=1, max_size=4).map(tuple),
        ),
    ),
)


@given(_records)
def test_records_survive_their_encoding(wanted: ItemRecord) -> None:
    assert decode(CODEC, encode(CODEC, [wanted])) == [wanted]


def test_what_the_version_before_stored_is_read() -> None:
    """Rows of a base alone have not changed."""
    rows = [["g", "K", "a", "p/a.yaml", "b10b", "7", {"v": 1}], ["g", "K", "b", "p/b.yaml", "", "", {"v": 1}, {"v": 2}]]
    shards = ShardedRecords(CODEC, {"": _packed(rows)})
    a, b = shards.get(ObjectKey("g", "K", "a")), shards.get(ObjectKey("g", "K", "b"))
    assert a == ItemRecord(ObjectKey("g", "K", "a"), Watermark("p/a.yaml", "b10b", "7"), Base({"v": 1}, {"v": 1}))
    assert b == ItemRecord(ObjectKey("g", "K", "b"), Watermark("p/b.yaml", "", ""), Base({"v": 1}, {"v": 2}))
    assert encode(CODEC, [r for r in (a, b) if r]) == _packed(rows), "and the version before reads it again"


@pytest.mark.parametrize(
    ("intent", "wanted", "pushes"),
    [
        ([0, {"v": 2}, 0, {"v": 3}], ({"v": 2}, {"v": 3}), ({"v": 2}, {"v": 3})),
        ([0, {"v": 2}, 0, 1, 2, 2], ({"v": 2}, {"v": 1}), ({"v": 2}, {"v": 1})),
        ([0, {"v": 2}, 0, 1, {"v": 4}, {"v": 5}], ({"v": 2}, {"v": 1}), ({"v": 4}, {"v": 5})),
        ([0, None, None, 1], (None, None), None),
        ([0, 1, 0, {"v": 3}], ({"v": 1}, {"v": 3}), ()),
    ],
)
def test_what_the_version_before_logged_is_read(intent: list[Any], wanted: Any, pushes: Any) -> None:
    """A push of which it is not known what it was made onto is judged by what git holds now."""
    shards = ShardedRecords(CODEC, {"": _packed([["g", "K", "a", "p/a.yaml", "", "", {"v": 1}, {"v": 1}, intent]])})
    found = shards.get(ObjectKey("g", "K", "a"))
    assert found
    assert found.intent
    assert (found.intent.git.goal, found.intent.cluster.goal) == wanted
    assert found.pushes == (None if pushes == () else Pushes("", {"v": 1}, (pushes and Base(*pushes),)))


def test_a_shard_is_of_the_new_version_only_while_something_of_it_is_in_flight() -> None:
    flying = replace(record(1), pushes=Pushes("c0ffee", {"v": 0}, (None,)))
    assert encode(CODEC, [record(0), flying]).startswith("2:")
    assert encode(CODEC, [record(0), record(1)]) == _packed(
        [["g", "K", f"n{n}", f"p/{n}.yaml", "blob0", "0", {"v": 0}, {"v": 0, "d": 1}] for n in range(2)]
    )


@pytest.mark.parametrize(
    "text", ["", "7", f"7 {'A' * 40}", f"7 {'a' * 39}", f"-7 {'a' * 40}", f"7 {'a' * 40}\n", f"{'9' * 13} {'a' * 40}"]
)
def test_what_is_no_revision_says_nothing(text: str) -> None:
    assert Revision.parse(text) == NO_REVISION


def test_a_revision_counts_on_from_the_newest_that_is_stored() -> None:
    old, new = "a" * 40, "b" * 40
    shards = ShardedRecords(CODEC, {}, Revision.parse(f"7 {old}"))
    shards.follow(old)
    assert str(shards.revision) == f"7 {old}"
    assert not shards.changed
    shards.follow(new)
    assert Revision.parse(str(shards.revision)) == Revision(8, new)
    assert not shards.changed, "it is stored with what changes"
    shards.follow(None, back=True)
    assert Revision.parse(str(shards.revision)) == Revision(9, "")
    assert shards.changed
    shards.clear()
    assert shards.revision == NO_REVISION


class LaterCodec(ItemCodec):
    """As a later release has it, whose rows this one does not know."""

    version = CODEC.version + 1

    def version_of(self, record: ItemRecord) -> int:
        return self.version


def test_what_a_later_version_stored_is_neither_read_nor_lost() -> None:
    """Not where it is one shard of many either, for what the others say of its items would be half of it."""
    shards, store = ShardedRecords(CODEC), dict[str, str]()
    for number in range(4 * SPLIT_AT):
        shards.put(record(number))
    stored(shards, store)
    prefix = sorted(store)[-1]
    later = {**store, prefix: encode(LaterCodec(), decode(CODEC, store[prefix]))}
    with pytest.raises(NewerFormat) as told:
        ShardedRecords(CODEC, later)
    assert (told.value.found, told.value.known) == (CODEC.version + 1, CODEC.version)
    again = ShardedRecords(LaterCodec(), later)
    assert (again.lost, held(again)) == ([], {f"n{n}": record(n) for n in range(4 * SPLIT_AT)})
    again.put(record(0, 9))
    written, _ = again.begin_flush()
    assert all(data.startswith(f"{CODEC.version + 1}:") for data in written.values())


@pytest.mark.parametrize("mark", ["", "0:", "1:"])
def test_what_names_the_first_version_or_none_is_of_the_first(mark: str) -> None:
    data = encode(CODEC, [record(1)])
    assert data == _packed([["g", "K", "n1", "p/1.yaml", "blob0", "0", {"v": 0}, {"v": 0, "d": 1}]])
    assert held(ShardedRecords(CODEC, {"": mark + data})) == {"n1": record(1)}


@pytest.mark.parametrize("mark", ["9999999999:", "-2:", "2 :", "two:", ":", "2::"])
def test_what_is_no_version_is_damaged(mark: str) -> None:
    codec = LaterCodec()
    assert ShardedRecords(codec, {"": mark + encode(CODEC, [record(1)])}).lost == [""]


def test_an_intent_without_a_base_is_in_doubt_and_agrees_on_nothing() -> None:
    shards, store = ShardedRecords(CODEC), dict[str, str]()
    agreed = record(1)
    bare = ItemRecord(ObjectKey("g", "K", "new"), Watermark("p/new.yaml", "", ""), None, _INTENT)
    shards.put(agreed)
    before = shards.digest
    shards.put(bare)
    stored(shards, store)
    again = ShardedRecords(CODEC, store)
    assert (again.get(bare.key), again.in_doubt, set(again.marks), again.digest) == (
        bare,
        {bare.key},
        {agreed.key},
        before,
    )
    again.delete(bare.key)
    assert (again.get(bare.key), again.in_doubt, again.changed) == (None, set(), True)


def test_many_records_lie_in_small_shards_and_one_change_writes_one() -> None:
    shards, store = ShardedRecords(CODEC), dict[str, str]()
    for number in range(10 * SPLIT_AT):
        shards.put(record(number))
    stored(shards, store)
    assert all(len(decode(CODEC, data)) <= SPLIT_AT for data in store.values())
    shards.put(record(5, value=7))
    written, removed = shards.begin_flush()
    assert (len(written), removed) == (1, [])
    assert shards.begin_flush() == ({}, [])


def test_large_records_lie_in_shards_that_an_object_can_hold() -> None:
    shards, store = ShardedRecords(CODEC), dict[str, str]()
    noise = random.Random(1)
    wanted = {f"n{n}": replace(record(n), base=Base({"v": noise.randbytes(40_000).hex()}, {})) for n in range(60)}
    for each in wanted.values():
        shards.put(each)
    stored(shards, store)
    assert max(map(len, store.values())) <= SPLIT_BYTES
    assert held(ShardedRecords(CODEC, store)) == wanted
    shards.put(replace(wanted["n7"], mark=Watermark("elsewhere", "", "")))
    written, removed = shards.begin_flush()
    assert (len(written), removed) == (1, [])


def test_records_that_unfold_to_much_are_read_again() -> None:
    """As alike as they are, all of them in one shard would unfold to more than is believed."""
    shards, store = ShardedRecords(CODEC), dict[str, str]()
    wanted = {f"n{n}": replace(record(n), base=Base({"v": "x" * 600_000}, {})) for n in range(100)}
    for each in wanted.values():
        shards.put(each)
    stored(shards, store)
    again = ShardedRecords(CODEC, store)
    assert (again.lost, held(again)) == ([], wanted)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("pdsr")), max_size=60), st.integers(0, 5))
def test_it_holds_what_was_put_whatever_the_order(steps: list[tuple[int, str]], bulk: int) -> None:
    shards, store = ShardedRecords(CODEC), dict[str, str]()
    wanted: dict[str, ItemRecord] = {}
    for number in range(bulk * 100):
        shards.put(record(number))
        wanted[f"n{number}"] = record(number)
    for value, (number, step) in enumerate(steps):
        if step == "p":
            shards.put(record(number, value))
            wanted[f"n{number}"] = record(number, value)
        elif step == "d":
            shards.delete(record(number).key)
            wanted.pop(f"n{number}", None)
        else:
            stored(shards, store)
            if step == "r":
                shards = ShardedRecords(CODEC, dict(store))
    assert held(shards) == wanted
    assert {k.name for k in shards.marks} == wanted.keys()
    stored(shards, store)
    assert held(ShardedRecords(CODEC, store)) == wanted


def test_a_save_that_fails_is_told_again() -> None:
    shards = ShardedRecords(CODEC)
    shards.put(record(1))
    written, removed = shards.begin_flush()
    shards.abort_flush(written, removed)
    assert shards.begin_flush() == (written, removed)


def test_a_split_that_was_cut_short_loses_nothing() -> None:
    shards, store = ShardedRecords(CODEC), dict[str, str]()
    for number in range(SPLIT_AT):
        shards.put(record(number))
    stored(shards, store)
    shards.put(record(SPLIT_AT))
    written, removed = shards.begin_flush()
    assert removed == [""]
    for cut in range(len(written) + 1):
        partly = {**store, **dict(list(written.items())[:cut])}
        again = ShardedRecords(CODEC, partly)
        assert held(again).keys() >= {f"n{n}" for n in range(SPLIT_AT)}
        stored(again, partly)
        assert held(ShardedRecords(CODEC, partly)).keys() == held(again).keys()


def test_a_damaged_shard_is_lost_alone() -> None:
    shards, store = ShardedRecords(CODEC), dict[str, str]()
    for number in range(4 * SPLIT_AT):
        shards.put(record(number))
    stored(shards, store)
    prefix = sorted(store)[0]
    gone = {r.key.name for r in decode(CODEC, store[prefix])}
    store[prefix] = "damaged"
    again = ShardedRecords(CODEC, dict(store))
    assert again.lost == [prefix]
    assert held(again).keys() == {f"n{n}" for n in range(4 * SPLIT_AT)} - gone
    again.put(record(0, 9))
    stored(again, store)
    assert held(ShardedRecords(CODEC, store))["n0"] == record(0, 9)


def _packed(value: object) -> str:
    return base64.b64encode(zlib.compress(orjson.dumps(value))).decode()


@pytest.mark.parametrize(
    "data",
    [
        base64.b64encode(zlib.compress(b"[" + b" " * (200 << 20) + b"]")).decode(),
        base64.b64encode(zlib.compress(b"[]")[:-2]).decode(),
        _packed([["g", "k", "n", "path", "blob", "1"]]),
        _packed([["g", "k", 5, "path", "blob", "1", {}]]),
        _packed([["g", "k", "n", "path", "blob", "1", "text"]]),
        _packed([["g", "k", "n", "path", "blob", "1", {}, {}, {}]]),
        _packed([["g", "k", f"n{n}", "", "", "", {}] for n in range(300)]),
        _packed({"a": 1}),
        _packed(5),
        *(
            _packed([["g", "k", "n", "path", "blob", "1", *fields]])
            for fields in (
                [[{}, 0], True, None],
                [[{}], False, None],
                [[{}, 0, 2, {}], False, [""]],
                [[{}, 0, {}, {}], False, [""]],
                [[{}, 0, {}], False, None],
                [[{}, 0, -1, {}, {}], False, [""]],
                [[{}, 0, "text", {}, {}], False, [""]],
                [[{}, 0, {}, {}, {}], False, [5]],
            )
        ),
        base64.b64encode(zlib.compress(b"[" * 100_000)).decode(),
    ],
)
def test_what_was_not_written_here_is_lost_and_costs_nothing(data: str) -> None:
    tracemalloc.start()
    shards = ShardedRecords(CODEC, {"": data})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shards.lost == [""]
    assert not shards.marks
    assert peak < 128 << 20
