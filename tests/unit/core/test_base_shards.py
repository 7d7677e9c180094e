"""The memory of a sync in pieces: nothing is lost by splits, and what was cut short reads as before or after."""

from __future__ import annotations

import base64
import random
import tracemalloc
import zlib
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitintegration.core.base_shards import SPLIT_AT, SPLIT_BYTES, BaseRecord, ShardSet, decode, encode
from gitintegration.core.values import ObjectKey


def record(number: int, value: int = 0) -> BaseRecord:
    key = ObjectKey("g", "K", f"n{number}")
    return BaseRecord(key, f"p/{number}.yaml", f"blob{value}", str(value), {"v": value}, {"v": value, "d": 1})


def stored(shards: ShardSet, store: dict[str, str]) -> None:
    written, removed = shards.take_changes()
    store.update(written)
    for prefix in removed:
        del store[prefix]


def held(shards: ShardSet) -> dict[str, BaseRecord]:
    return {r.key.name: r for r in shards.records()}


def test_records_survive_their_encoding() -> None:
    records = [record(1), BaseRecord(ObjectKey("", "K", "x"), "", "", "", None, None)]
    assert decode(encode(records)) == records


def test_many_records_lie_in_small_shards_and_one_change_writes_one() -> None:
    shards, store = ShardSet(), dict[str, str]()
    for number in range(10 * SPLIT_AT):
        shards.put(record(number))
    stored(shards, store)
    assert all(len(decode(data)) <= SPLIT_AT for data in store.values())
    shards.put(record(5, value=7))
    written, removed = shards.take_changes()
    assert (len(written), removed) == (1, [])
    assert shards.take_changes() == ({}, [])


def test_large_records_lie_in_shards_that_an_object_can_hold() -> None:
    shards, store = ShardSet(), dict[str, str]()
    noise = random.Random(1)
    wanted = {f"n{n}": replace(record(n), git={"v": noise.randbytes(40_000).hex()}) for n in range(60)}
    for each in wanted.values():
        shards.put(each)
    stored(shards, store)
    assert max(map(len, store.values())) <= SPLIT_BYTES
    assert held(ShardSet(store)) == wanted
    shards.put(replace(wanted["n7"], path="elsewhere"))
    written, removed = shards.take_changes()
    assert (len(written), removed) == (1, [])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("pdsr")), max_size=60), st.integers(0, 5))
def test_it_holds_what_was_put_whatever_the_order(steps: list[tuple[int, str]], bulk: int) -> None:
    shards, store = ShardSet(), dict[str, str]()
    wanted: dict[str, BaseRecord] = {}
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
                shards = ShardSet(dict(store))
    assert held(shards) == wanted
    assert {k.name for k in shards.marks} == wanted.keys()
    stored(shards, store)
    assert held(ShardSet(store)) == wanted


def test_a_save_that_fails_is_told_again() -> None:
    shards = ShardSet()
    shards.put(record(1))
    written, removed = shards.take_changes()
    shards.put_back(written, removed)
    assert shards.take_changes() == (written, removed)


def test_a_split_that_was_cut_short_loses_nothing() -> None:
    shards, store = ShardSet(), dict[str, str]()
    for number in range(SPLIT_AT):
        shards.put(record(number))
    stored(shards, store)
    shards.put(record(SPLIT_AT))
    written, removed = shards.take_changes()
    assert removed == [""]
    for cut in range(len(written) + 1):
        partly = {**store, **dict(list(written.items())[:cut])}
        again = ShardSet(partly)
        assert held(again).keys() >= {f"n{n}" for n in range(SPLIT_AT)}
        stored(again, partly)
        assert held(ShardSet(partly)).keys() == held(again).keys()


def test_a_damaged_shard_is_lost_alone() -> None:
    shards, store = ShardSet(), dict[str, str]()
    for number in range(4 * SPLIT_AT):
        shards.put(record(number))
    stored(shards, store)
    prefix = sorted(store)[0]
    gone = {r.key.name for r in decode(store[prefix])}
    store[prefix] = "damaged"
    again = ShardSet(dict(store))
    assert again.lost == [prefix]
    assert held(again).keys() == {f"n{n}" for n in range(4 * SPLIT_AT)} - gone
    again.put(record(0, 9))
    stored(again, store)
    assert held(ShardSet(store))["n0"] == record(0, 9)


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
        _packed({"a": 1}),
        _packed(5),
        base64.b64encode(zlib.compress(b"[" * 100_000)).decode(),
    ],
    ids=["bomb", "cut", "short", "number", "value", "long", "map", "scalar", "deep"],
)
def test_what_was_not_written_here_is_lost_and_costs_nothing(data: str) -> None:
    tracemalloc.start()
    shards = ShardSet({"": data})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shards.lost == [""]
    assert not shards.marks
    assert peak < 128 << 20
