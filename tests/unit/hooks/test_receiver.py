"""Deliveries through the gate and the receiver, as an application: keys, clock and API server are the test's own."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitintegration.api.integration import Oidc
from gitintegration.core.hooks import HookMark
from gitintegration.errors import ClusterUnavailable
from gitintegration.gateway.gate import Limits
from gitintegration.hooks.receiver import REFUSED_AFTER, Receiver
from gitintegration.hooks.server import HookGate
from gitintegration.hooks.targets import MANY, Targets
from gitintegration.hooks.waker import Waker
from tests.unit.hooks.payloads import EVERY, GITHUB, MAIN, PULLS, A, B
from tests.unit.hooks.test_events import JUNK, changed, places
from tests.unit.hooks.test_targets import target

TOKEN, NEXT = "a token", "the next token"
LIMITS = Limits(
    body=3 << 20, bodies=8 << 20, bodies_of_one=8 << 20, body_time=0.2, whole_time=5.0, target=1 << 10, linger=0.01
)
PUSH = {"ref": MAIN, "after": B}


@dataclass
class Bed:
    """One receiver; `marks` are what it wrote, `now` is its clock, which sleeping moves."""

    tokens: dict[str, tuple[str, ...]] = field(default_factory=dict)
    marks: list[tuple[str, HookMark]] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    reads: int = 0
    now: float = 1000.0
    away: bool = False
    ready: bool = True
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.targets = Targets()
        self.waker = Waker(self.annotate, lambda: self.now)
        self.receiver = Receiver(
            self.targets, self, self.waker, self.counts.append,
            tokens=self, ready=lambda: self.ready, now=lambda: self.now,
            clock=lambda: datetime.fromtimestamp(1_800_000_000 + self.now, UTC), sleep=self.sleep,
        )  # fmt: skip
        self.gate = HookGate(self.receiver, LIMITS)
        self.one = self.add("one")

    def add(self, name: str, **spec: Any) -> str:
        """A new integration; the path of its hook."""
        made = target(name, **spec)
        self.targets.put(made.namespace, made.name, made)
        self.tokens[made.path] = (TOKEN,)
        return made.path

    async def get(self, path: str) -> tuple[str, ...]:
        self.reads += 1
        if self.away:
            raise ClusterUnavailable("away")
        return self.tokens.get(path, ())

    async def proves(self, token: str, wanted: Oidc) -> bool:
        return token == f"{wanted.issuer} {wanted.audience}"

    async def annotate(self, namespace: str, name: str, uid: str, mark: str) -> None:
        if self.away:
            raise ClusterUnavailable("away")
        found = HookMark.parse(mark)
        assert found
        self.marks.append((name, found))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def post(
        self, path: str, body: bytes | AsyncIterator[bytes], method: str = "POST", **headers: str
    ) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.gate), base_url="http://hooks") as client:
            return await client.request(method, path, content=body, headers=given)

    async def signed(self, payload: Any, path: str = "", token: str = TOKEN, **headers: str) -> httpx.Response:
        body = orjson.dumps(payload)
        mac = hmac.new(token.encode(), body, hashlib.sha256).hexdigest()
        return await self.post(
            path or self.one, body, **{"x_hub_signature_256": f"sha256={mac}", GITHUB: "push", **headers}
        )


@pytest.fixture
def bed() -> Bed:
    return Bed()


async def test_a_push_to_the_branch_wakes_the_operator(bed: Bed) -> None:
    answer = await bed.signed(PUSH, x_github_delivery="d-1")
    assert (answer.status_code, answer.json()["data"]) == (
        202,
        {"event": "push", "scheme": "x-hub-signature-256", "looks": 1},
    )
    ((name, mark),) = bed.marks
    assert (name, mark.commit, mark.delivery, mark.spread) == ("one", B, "d-1", 0)
    assert bed.counts == ["woken"]


@pytest.mark.parametrize(
    ("event", "payload", "status", "count"),
    [
        ("ping", {"zen": "x"}, 200, "ping"),
        ("push", {"ref": "refs/heads/another", "after": B}, 202, "nothing"),
        ("issues", {"action": "opened"}, 202, "nothing"),
        ("pull_request", PULLS["github opened"][0].payload, 202, "nothing"),
        ("push", {}, 202, "woken"),
        ("push", [], 202, "woken"),
    ],
)
async def test_what_concerns_nobody_wakes_nobody(bed: Bed, event: str, payload: Any, status: int, count: str) -> None:
    answer = await bed.signed(payload, **{GITHUB: event})
    assert answer.status_code == status
    assert bed.counts == [count]
    assert bool(bed.marks) == (count == "woken")


async def test_all_refs_count(bed: Bed) -> None:
    changes = [{"ref": {"id": f"refs/heads/x{n}"}, "toHash": A} for n in range(500)] + [
        {"ref": {"id": MAIN}, "toHash": B}
    ]
    body = orjson.dumps({"changes": changes})
    mac = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
    await bed.post(bed.one, body, x_hub_signature=f"sha256={mac}", x_event_key="repo:refs_changed")
    assert [mark.commit for _, mark in bed.marks] == [B]


async def test_refusals_are_alike_in_status_words_and_time(bed: Bed) -> None:
    """W1: an unknown path, a bad signature, none at all, one that has no keys, one that is suspended."""
    keyless = bed.add("keyless")
    bed.tokens[keyless] = ()
    gone = bed.add("gone")
    bed.targets.put("data", "gone", None)
    answers, times = [], []
    for path, token in (
        ("/hooks/" + "0" * 64, TOKEN),
        (bed.one, "wrong"),
        (keyless, TOKEN),
        (gone, TOKEN),
        ("/hooks/", TOKEN),
        ("/", TOKEN),
    ):
        began = bed.now
        answers.append(await bed.signed(PUSH, path, token))
        times.append(round(bed.now - began, 6))
    answers.append(await bed.post(bed.one, b"{}"))
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
    assert set(times) == {REFUSED_AFTER}
    assert not bed.marks
    assert sorted(set(bed.counts)) == ["unknown", "unsigned", "wrong"]


async def test_a_replayed_delivery_is_no_error(bed: Bed) -> None:
    for _ in range(2):
        assert (await bed.signed(PUSH, x_github_delivery="same")).status_code == 202


async def test_a_signed_time_that_is_long_ago_is_refused(bed: Bed) -> None:
    gitlab = bed.add("gitlab", provider="gitlab")
    answer = await bed.post(gitlab, b"{}", webhook_id="m", webhook_timestamp="1", webhook_signature="v1,x")
    assert answer.status_code == 404


async def test_both_keys_serve_while_they_are_rotated_and_a_new_one_at_once(bed: Bed) -> None:
    assert (await bed.signed(PUSH)).status_code == 202
    assert (await bed.signed(PUSH, token=NEXT)).status_code == 404
    bed.tokens[bed.one] = (NEXT, TOKEN)
    bed.now += 1.5  # keys are believed for longer, but not where they do not fit
    assert (await bed.signed(PUSH, token=NEXT)).status_code == 202
    assert (await bed.signed(PUSH)).status_code == 202
    bed.tokens[bed.one] = (NEXT,)
    bed.now += 6
    assert (await bed.signed(PUSH)).status_code == 404


async def test_wrong_signatures_cost_few_reads(bed: Bed) -> None:
    for _ in range(50):
        bed.now -= REFUSED_AFTER
        await bed.signed(PUSH, token="wrong")
    assert bed.reads <= 2


async def test_a_storm_is_limited_by_its_path_and_few_marks(bed: Bed) -> None:
    """W7: what is not limited is taken, and the last is never lost."""
    answers = await asyncio.gather(*(bed.signed({"ref": MAIN, "after": f"{n:040x}"}) for n in range(1, 1001)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {202, 429}
    assert 100 <= codes.count(202) < 1000
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 429)
    assert len(bed.marks) <= 4
    assert (
        await bed.signed(PUSH, bed.add("other", webhook={"secretRef": {"name": "other"}}))
    ).status_code == 202  # others are none the worse
    bed.now += 10
    await bed.waker.close()
    taken = [int(mark.commit, 16) for name, mark in bed.marks if name == "one"]
    assert taken[-1] == max(n for n, code in zip(range(1, 1001), codes, strict=True) if code == 202)


async def test_one_delivery_to_many_is_spread(bed: Bed) -> None:
    """W7: all that share Secret and repository."""
    for n in range(MANY + 1):
        bed.add(f"of-monorepo-{n}")
    answer = await bed.signed(PUSH)
    assert answer.json()["data"]["looks"] == MANY + 2 == len(bed.marks)
    assert {mark.spread for _, mark in bed.marks} == {2}


async def test_an_api_server_that_is_away(bed: Bed) -> None:
    bed.away = True
    answer = await bed.signed(PUSH)
    assert (answer.status_code, bed.counts) == (503, ["failed"])
    assert int(answer.headers["Retry-After"]) > 0
    bed.away = False
    assert (await bed.signed(PUSH)).status_code == 202
    bed.away, bed.now = True, bed.now + 60
    assert (await bed.signed(PUSH, token="wrong")).status_code == 404  # what is known of keys still serves
    assert (await bed.signed(PUSH)).status_code == 503


async def test_before_all_integrations_are_known_nobody_is_refused_for_good(bed: Bed) -> None:
    bed.ready = False
    assert (await bed.signed(PUSH)).status_code == 503


OIDC = {"oidc": {"issuer": "https://ci.example.com", "audience": "aud", "claims": {"repository": "acme/pipes"}}}


async def test_a_token_of_a_ci_system(bed: Bed) -> None:
    path = bed.add("ci", webhook=OIDC)
    assert (await bed.post(path, b"", authorization="Bearer https://ci.example.com aud")).status_code == 202
    for wrong in ("Bearer another", "Bearer ", "Basic eDp4"):
        assert (await bed.post(path, b"", authorization=wrong)).status_code == 404
    signed = bed.add("both", webhook={**OIDC, "secretRef": {"name": "hook"}})
    good = {"authorization": "Bearer https://ci.example.com aud"}
    assert (await bed.signed(PUSH, signed, **good)).status_code == 202
    assert (await bed.signed(PUSH, signed)).status_code == 202
    assert (await bed.signed(PUSH, signed, "wrong", **good)).status_code == 404  # nothing rescues it
    assert (await bed.post(bed.one, b"", **good)).status_code == 404


# --- bounds -----------------------------------------------------------------------------------------------------------


async def stream(chunks: int, size: int, pause: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        yield b"x" * size
        await asyncio.sleep(pause)


@pytest.mark.parametrize(("size", "status"), [(3 << 20, 404), ((3 << 20) + 1, 413)])
@pytest.mark.parametrize("known", [True, False])
async def test_a_body_is_cut_at_its_bound_before_anything_is_looked_up(
    bed: Bed, size: int, status: int, known: bool
) -> None:
    path = bed.one if known else "/hooks/" + "0" * 64
    for body in (b"x" * size, stream(1, size)):
        assert (await bed.post(path, body, x_signature="sha256=0")).status_code == status
    assert bed.reads == (1 if known and status == 404 else 0)


async def test_a_body_that_never_ends_is_not_waited_for(bed: Bed) -> None:
    answer = await bed.post(bed.one, stream(1000, 1, pause=0.05))
    assert answer.status_code == 408
    assert bed.counts == ["bounds"]


async def test_what_is_packed_is_not_unpacked(bed: Bed) -> None:
    assert (await bed.signed(PUSH, content_encoding="gzip")).status_code == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH"])
async def test_deliveries_come_by_post(bed: Bed, method: str) -> None:
    for path in (bed.one, "/hooks/none"):
        assert (await bed.post(path, b"", method)).status_code == 405


async def test_a_header_that_is_there_twice_is_nobodys_word(bed: Bed) -> None:
    body = orjson.dumps(PUSH)
    mac = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
    twice = [("x-hub-signature-256", f"sha256={mac}"), ("x-hub-signature-256", "sha256=0")]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bed.gate), base_url="http://hooks") as client:
        for headers in (twice, twice[::-1], [(f"x-{n}", "1") for n in range(70)]):
            assert (await client.post(bed.one, content=body, headers=headers)).status_code == 400
    assert not bed.marks


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(EVERY)), st.data())
def test_no_delivery_that_verifies_is_ever_an_error(name: str, data: st.DataObject) -> None:
    """W4: whatever is removed, replaced or of a wrong type."""
    headers, payload = copy.deepcopy(EVERY[name])
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.sampled_from(places(payload)))
        payload = changed(payload, at, data.draw(JUNK), gone=data.draw(st.booleans()))

    async def send() -> int:
        bed, body = Bed(), orjson.dumps(payload)
        mac = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
        return (await bed.post(bed.one, body, **{**headers, "x-signature": f"sha256={mac}"})).status_code

    assert asyncio.run(send()) in (200, 202)
