"""What deliveries tell of: each forge's, and what is left of them when fields are missing or of a wrong type."""

from __future__ import annotations

import copy
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.hooks.events import Event, Other, Ping, PullRequest, Push, Unclear, delivery_of, read_event
from tests.unit.hooks.payloads import EVERY, MAIN, OTHERS, PINGS, PULLS, PUSHES, B, Delivery


def read(delivery: Delivery) -> Event:
    return read_event(delivery.headers, orjson.dumps(delivery.payload))


@pytest.mark.parametrize("name", PUSHES)
def test_all_refs_of_a_push_are_told(name: str) -> None:
    delivery, refs = PUSHES[name]
    event = read(delivery)
    assert isinstance(event, Push)
    assert [(change.ref, change.commit) for change in event.changes] == refs


@pytest.mark.parametrize("name", PULLS)
def test_a_pull_request_can_start_a_check(name: str) -> None:
    delivery, action = PULLS[name]
    assert read(delivery) == PullRequest(action, 7, "feature", "main", B, fork=False)
    assert read(delivery).starts_check  # type: ignore[union-attr]


def test_an_approval_starts_none_and_a_fork_is_told() -> None:
    payload = copy.deepcopy(PULLS["github opened"][0].payload)
    payload["pull_request"]["head"]["repo"]["full_name"] = "mallory/pipes"
    event = read(Delivery({"x-github-event": "pull_request"}, payload))
    assert isinstance(event, PullRequest)
    assert event.fork is True
    payload["action"] = "labeled"
    event = read(Delivery({"x-github-event": "pull_request"}, payload))
    assert isinstance(event, PullRequest)
    assert not event.starts_check


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_about_no_ref_is_nothing_to_look_at(name: str) -> None:
    assert read(OTHERS[name]) == Other()


@pytest.mark.parametrize("name", PINGS)
def test_a_ping_is_one(name: str) -> None:
    assert read(PINGS[name]) == Ping()


UNCLEAR: dict[str, tuple[dict[str, str], Any]] = {
    "github without a ref": ({"x-github-event": "push"}, {}),
    "a list": ({"x-github-event": "push"}, []),
    "null": ({"x-github-event": "push"}, None),
    "a ref that is a number": ({"x-github-event": "push"}, {"ref": 7}),
    "a ref that is none": ({"x-github-event": "push"}, {"ref": "main"}),
    "a ref of a megabyte": ({"x-github-event": "push"}, {"ref": "refs/heads/" + "x" * (1 << 20)}),
    "gitlab without a kind": ({"x-gitlab-event": "Push Hook"}, {}),
    "bitbucket without changes": ({"x-event-key": "repo:push"}, {"push": {"changes": []}}),
    "bitbucket with an object for a list": ({"x-event-key": "repo:push"}, {"push": {"changes": {"a": 1}}}),
    "bitbucket with nulls": ({"x-event-key": "repo:push"}, {"push": {"changes": [None]}}),
    "azure without updates": ({}, {"eventType": "git.push", "resource": {"refUpdates": []}}),
    "azure with few details": ({}, {"eventType": "git.push", "resource": None}),
    "azure with other updates": ({}, {"eventType": "git.push", "resource": {"refUpdates": None}}),
    "generic": ({}, {}),
    "a pull request without a number": ({"x-github-event": "pull_request"}, {"action": "opened", "pull_request": {}}),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_names_no_ref_as_it_should_is_unclear(name: str) -> None:
    headers, payload = UNCLEAR[name]
    assert read_event(headers, orjson.dumps(payload)) == Unclear()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 10_000, b"1e999"])
def test_what_is_no_json_is_unclear(body: bytes) -> None:
    assert read_event({"x-github-event": "push"}, body) == Unclear()


def test_a_form_is_read_as_well() -> None:
    body = urlencode({"payload": orjson.dumps(PUSHES["github"][0].payload).decode()}).encode()
    headers = {"x-github-event": "push", "content-type": "application/x-www-form-urlencoded"}
    event = read_event(headers, body)
    assert isinstance(event, Push)
    assert event.changes[0].ref == MAIN
    assert read_event(headers, b"payload=") == read_event(headers, b"x=1") == Unclear()


def test_the_forges_own_name_of_a_delivery() -> None:
    assert delivery_of({"x-github-delivery": "a", "x-gitea-delivery": "b"}) == "b"
    assert delivery_of({}) == ""


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in it, the whole first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in places(one, (*at, key)))]


def changed(value: Any, at: tuple[Any, ...], new: Any, *, gone: bool) -> Any:
    made = copy.deepcopy(value)
    if not at:
        return new
    inner = made
    for key in at[:-1]:
        inner = inner[key]
    if gone:
        del inner[at[-1]]
    else:
        inner[at[-1]] = new
    return made


@pytest.mark.parametrize("name", EVERY)
def test_each_field_removed_or_of_another_type_is_read_as_something(name: str) -> None:
    """All of them, one by one."""
    headers, payload = EVERY[name]
    for at in places(payload):
        for new in (None, 7, "x", "", [], {}, [None], {"a": None}, True, 1.5):
            assert read_event(headers, orjson.dumps(changed(payload, at, new, gone=False)))
        if at:
            assert read_event(headers, orjson.dumps(changed(payload, at, None, gone=True)))


@given(st.sampled_from(sorted(EVERY)), st.data())
def test_several_fields_removed_or_replaced_by_anything(name: str, data: st.DataObject) -> None:
    headers, payload = EVERY[name]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.sampled_from(places(payload)))
        payload = changed(payload, at, data.draw(JUNK), gone=data.draw(st.booleans()))
    assert isinstance(read_event(headers, orjson.dumps(payload)), Event)


@given(
    st.dictionaries(
        st.sampled_from(["x-github-event", "x-gitlab-event", "x-event-key", "x-gitea-event", "content-type"]), st.text()
    ),
    st.binary() | JUNK.map(orjson.dumps),
)
def test_anything_at_all(headers: dict[str, str], body: bytes) -> None:
    assert isinstance(read_event(headers, body), Event)
