"""What is asked of the API server for tokens, over a clock of the test's own."""

from __future__ import annotations

import asyncio

import pytest

from gitintegration.errors import ClusterUnavailable
from gitintegration.gateway.callers import Allowance, Bounds, Busy, Callers, Lately, User, client_of

BOUNDS = Bounds(fresh=10, known=100, kept=8, asking=2, waiting=6, waiting_of_one=4, failures=10, failures_of_one=2)


class Api:
    """Knows the tokens that begin with `good`; `opened` lets answers out."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.now, self.asked, self.running, self.most = 0.0, list[str](), 0, 0
        self.opened = asyncio.Event()
        self.opened.set()
        self.away = False
        self.revoked: set[str] = set()
        self.callers = Callers(self.review, bounds, lambda: self.now)

    async def review(self, token: str) -> User | None:
        self.asked.append(token)
        self.running += 1
        self.most = max(self.most, self.running)
        await self.opened.wait()
        self.running -= 1
        if self.away:
            raise ClusterUnavailable("away")
        return {"username": token} if token.startswith("good") and token not in self.revoked else None

    async def user(self, token: str, client: str = "c") -> User | None:
        return await self.callers.user(token, client)


async def test_an_answer_is_believed_for_seconds() -> None:
    api = Api()
    for _ in range(3):
        assert await api.user("good") == {"username": "good"}
        assert await api.user("bad") is None
    assert api.asked == ["good", "bad"]
    api.now = 10.0
    assert await api.user("good")
    assert await api.user("bad") is None
    assert api.asked == ["good", "bad", "good", "bad"]


async def test_one_token_is_asked_for_once_at_a_time_and_outlives_who_asked() -> None:
    api = Api()
    api.opened.clear()
    asking = [asyncio.create_task(api.user("good")) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    api.opened.set()
    assert await asyncio.gather(*asking[1:]) == [{"username": "good"}] * 49
    assert api.asked == ["good"]


async def test_unknown_tokens_share_few_places() -> None:
    api = Api()
    api.opened.clear()
    asking = [asyncio.create_task(api.user(f"good-{n}", "a" if n < 4 else "b")) for n in range(6)]
    await asyncio.sleep(0)
    for client in ("a", "b", "c"):  # six wait: there is no place for anybody
        with pytest.raises(Busy, match="wait"):
            await api.user("good-more", client)
    await asyncio.sleep(0)
    api.opened.set()
    assert [u and u["username"] for u in await asyncio.gather(*asking)] == [f"good-{n}" for n in range(6)]
    assert api.most == 2
    assert await api.user("good-more")


async def test_one_client_has_some_of_the_places_only() -> None:
    api = Api()
    api.opened.clear()
    asking = [asyncio.create_task(api.user(f"good-{n}", "a")) for n in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await api.user("good-5", "a")
    other = asyncio.create_task(api.user("good-6", "b"))
    await asyncio.sleep(0)
    api.opened.set()
    assert await other == {"username": "good-6"}
    await asyncio.gather(*asking)


async def test_guessing_ends_soon_and_starts_again_slowly() -> None:
    api = Api()
    for n in range(4):
        assert await api.user(f"bad-{n}", "a") is None
    with pytest.raises(Busy, match="were sent") as refused:
        await api.user("bad-4", "a")
    assert refused.value.seconds == 1
    with pytest.raises(Busy):
        await api.user("good", "a")  # nobody can tell it from a guess
    assert await api.user("good", "b") == {"username": "good"}
    assert await api.user("good", "a") == {"username": "good"}  # now it is known
    api.now = 11.0
    for n in range(5, 9):
        assert await api.user(f"bad-{n}", "a") is None
    with pytest.raises(Busy):
        await api.user("bad-9", "a")
    assert len(api.asked) == 9


async def test_guessing_from_everywhere_is_bounded_in_all() -> None:
    api = Api()
    for n in range(20):
        assert await api.user(f"bad-{n}", f"client-{n}") is None
    with pytest.raises(Busy):
        await api.user("bad-20", "client-20")
    api.now += 1.0
    assert await api.user("bad-20", "client-20") is None


async def test_a_token_that_was_good_is_asked_for_whatever_goes_on() -> None:
    api = Api()
    assert await api.user("good", "a")
    for n in range(4):
        await api.user(f"bad-{n}", "a")
    api.now = 0.4
    api.callers.forget("other")
    with pytest.raises(Busy):
        await api.user("bad-9", "a")
    api.now = 10.0
    for n in range(10, 14):
        await api.user(f"bad-{n}", "a")
    assert await api.user("good", "a") == {"username": "good"}
    assert api.asked.count("good") == 2
    api.revoked.add("good")
    api.now = 25.0
    assert await api.user("good", "a") is None
    assert await api.user("good", "a") is None
    assert api.asked.count("good") == 3


async def test_an_api_server_that_is_away_is_no_verdict() -> None:
    api = Api()
    api.away = True
    for _ in range(30):
        with pytest.raises(ClusterUnavailable):
            await api.user("good")
    api.away = False
    assert await api.user("good")


async def test_what_is_remembered_is_bounded() -> None:
    api = Api(Bounds(kept=8, failures=1e6, failures_of_one=1e6))
    for n in range(500):
        await api.user(f"bad-{n}", f"c{n}")
        await api.user(f"good-{n}", f"c{n}")
    kept = (api.callers._users, api.callers._nobodies, api.callers._failures_of)
    assert [len(cache) for cache in kept] == [8, 8, 8]
    assert not api.callers._waiting
    assert not api.callers._running


def test_what_is_used_stays() -> None:
    cache: Lately[str, int] = Lately(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_an_allowance_comes_back_with_time() -> None:
    allowance = Allowance(2.0, 0.0)
    for _ in range(4):
        assert allowance.wait(0.0) == 0
        allowance.spend(0.0)
    assert allowance.wait(0.0) == 0.5
    assert allowance.wait(0.5) == 0
    assert allowance.left(1000.0) == 4


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("nonsense", ""),
        (None, ""),
    ],
)
def test_an_ipv6_client_is_its_network(address: str | None, client: str) -> None:
    assert client_of(address).split("%")[0] == client
