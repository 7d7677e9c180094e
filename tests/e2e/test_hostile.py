"""Repositories and servers that mean harm: each ends as one condition on one integration, and nobody else notices."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gitintegration.git.disk import size_of
from tests.bed.controlplane import ControlPlane
from tests.bed.gitserver import GitServer, git
from tests.bed.hostile import HostileServer, Repository, delta_bomb, endless_number, many_deltas, pack_bomb
from tests.bed.operator import OperatorProcess
from tests.bed.siege import CAP, Neighbour, Sharded
from tests.bed.world import World, eventually, manifest
from tests.bench.processes import Meter

MakeWorld = Callable[..., World]
DEADLINE = 60.0
USUAL = 5
"""So many edits tell how long one usually takes."""
FLOOR = 4.0
"""Seconds that an edit may take beside any attack, for this machine has other work too."""


@pytest.fixture(scope="module")
def operator(control_plane: ControlPlane, bed_directory: Path) -> Iterator[OperatorProcess]:
    """One of its own, so that what is done to it here is not measured elsewhere."""
    process = OperatorProcess(control_plane, bed_directory / "hostile", "--shard=hostile")
    yield process
    process.stop()


@pytest.fixture
def world(control_plane: ControlPlane, git_server: GitServer, operator: OperatorProcess) -> MakeWorld:
    def make(files: Mapping[str, str] | None = None) -> World:
        return Sharded(control_plane, git_server, "hostile", files)

    return make


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    server = HostileServer()
    server.repositories["pack-bomb"] = Repository(pack_bomb())
    server.repositories["delta-bomb"] = Repository(delta_bomb())
    server.repositories["many-deltas"] = Repository(many_deltas())
    server.repositories["endless-number"] = Repository(endless_number())
    server.repositories["harmless"] = Repository([])
    server.repositories["gzip-harmless"] = Repository([])
    yield server
    server.stop()


@pytest.mark.parametrize("name", ["harmless", "gzip-harmless"])
def test_its_packs_are_read_where_they_do_no_harm(world: MakeWorld, hostile: HostileServer, name: str) -> None:
    """So that the other tests don't pass for a fault of this server."""
    w = world()
    w.integrate(secret=None, repositoryURL=hostile.url(name), sync={"mode": "Pull"})
    eventually(lambda: w.names() == {"orders"})


class Beside(Neighbour):
    """Another tenant: how long each edit takes until it is in git."""

    def __init__(self, w: World) -> None:
        super().__init__(w)
        self.usual = max(self.push() for _ in range(USUAL))
        self.waits = list[float]()

    def edit(self) -> None:
        self.waits.append(self.push())

    def is_served(self) -> bool:
        """Whether each edit landed within twice the usual time."""
        return max(self.waits) < max(FLOOR, 2 * self.usual)


def healthy(operator: OperatorProcess) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/healthz", timeout=5) as answer:
        return bool(answer.status == 200)


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("pack-bomb", {"LimitExceeded"}),
        ("delta-bomb", {"LimitExceeded"}),
        ("many-deltas", {"LimitExceeded", "Timeout"}),
        ("endless-number", {"LimitExceeded"}),
        ("endless-capabilities", {"LimitExceeded", "Timeout"}),
        ("endless-sections", {"LimitExceeded", "Timeout"}),
        ("endless-words", {"LimitExceeded", "Timeout"}),
        ("small-bands", {"LimitExceeded", "Timeout"}),
        ("short-lines", {"LimitExceeded", "Timeout"}),
        ("old", {"LimitExceeded", "Timeout"}),
        ("long-error", {"NetworkUnreachable"}),
        ("gzip-refs", {"LimitExceeded", "Timeout"}),
        ("gzip-chain", {"NetworkUnreachable"}),
        ("endless-refs", {"LimitExceeded", "Timeout"}),
        ("endless-pack", {"LimitExceeded", "Timeout"}),
        ("drip", {"Timeout"}),
        ("redirect", {"InvalidURL"}),
    ],
)
def test_it_ends_as_one_condition_and_others_go_on(
    world: MakeWorld, hostile: HostileServer, operator: OperatorProcess, name: str, reasons: set[str]
) -> None:
    beside = Beside(world({"pipelines/orders.yaml": manifest("orders")}))
    w = world()
    with Meter(operator.pid) as meter:
        w.integrate(secret=None, repositoryURL=hostile.url(name), sync={"timeout": "10s", "mode": "Pull"})
        end = time.monotonic() + DEADLINE
        while True:
            beside.edit()
            assert healthy(operator)
            ready = w.condition("Ready")
            if ready.get("status") == "False" and ready["reason"] not in ("Progressing", "ProgressingWithRetry"):
                break
            assert time.monotonic() < end, ready
    assert ready["reason"] in reasons, ready
    assert meter.peak < CAP
    assert beside.is_served(), (beside.usual, beside.waits)
    assert not w.names()
    assert len(ready["message"]) < 1000
    assert ready["message"].isprintable()
    told = f"peak {meter.peak / 1e6:.0f} MB, another's edit {max(beside.waits):.2f} s (usually {beside.usual:.2f} s)"
    print(f"{name}: {ready['reason']}, {told}")


@pytest.mark.parametrize(("name", "many"), [("held-refs", 24), ("held-pack", 12)])
def test_what_many_servers_hold_open_is_bounded_in_sum(
    world: MakeWorld, hostile: HostileServer, operator: OperatorProcess, name: str, many: int
) -> None:
    """They send what one exchange may, and then nothing more."""
    beside = Beside(world({"pipelines/orders.yaml": manifest("orders")}))
    w = world()
    disk = 0
    with Meter(operator.pid) as meter:
        for number in range(many):
            w.integrate(
                f"gi-{number}", secret=None, repositoryURL=hostile.url(name), sync={"timeout": "20s", "mode": "Pull"}
            )
        end = time.monotonic() + 20
        while time.monotonic() < end:
            beside.edit()
            assert healthy(operator)
            disk = max(disk, size_of(operator.cache))
    told = {w.condition("Ready", f"gi-{number}").get("reason") for number in range(many)}
    w.kubectl("delete", "gi", "--all", "--wait=false")
    print(f"{name}: peak {meter.peak / 1e6:.0f} MB, disk {disk / 1e6:.0f} MB, {max(beside.waits):.2f} s, {told}")
    assert meter.peak < CAP
    assert disk < 1 << 30
    assert beside.is_served(), (beside.usual, beside.waits)
    assert told <= {"LimitExceeded", "Timeout", "Progressing", "ProgressingWithRetry", None}


def raw_tree(w: World, *entries: tuple[str, str, str]) -> str:
    """A tree of (mode, name, sha), with names that git itself would not write."""
    raw = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(sha) for mode, name, sha in entries)
    return git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", cwd=w.repo.path, stdin=raw).strip()


def test_names_and_entries_that_no_checkout_may_hold(world: MakeWorld) -> None:
    w = world({"pipelines/orders.yaml": manifest("orders")})
    git("config", "receive.fsckObjects", "false", cwd=w.repo.path)  # or the server would refuse what it holds already
    blob = git("rev-parse", "main:pipelines/orders.yaml", cwd=w.repo.path).strip()
    evil = git("hash-object", "-w", "--stdin", cwd=w.repo.path, stdin=manifest("evil").encode()).strip()
    inner = raw_tree(w, ("100644", "evil.yaml", evil))
    folder = raw_tree(
        w,
        ("40000", "..", inner),
        ("40000", ".git", inner),
        ("120000", "link.yaml", evil),
        ("160000", "module", "1" * 40),
        ("160000", "module.yaml", "1" * 40),
        ("100644", "orders.yaml", blob),
    )
    root = raw_tree(w, ("40000", "pipelines", folder))
    who = {f"GIT_{r}_{k}": "m@x" for r in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
    w.repo.force(git("commit-tree", root, "-m", "evil", cwd=w.repo.path, env=who).strip())
    w.secret()
    w.integrate()
    eventually(lambda: w.names() == {"orders"})
    told = eventually(lambda: w.sync_now().get("invalid"))
    assert {"pipelines/..", "pipelines/.git", "pipelines/link.yaml"} <= {entry["path"] for entry in told}
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: manifest("orders", owner="cluster") == w.repo.read("pipelines/orders.yaml"))
    kept = git("ls-tree", "main:pipelines", cwd=w.repo.path)
    assert all(f"\t{name}" in kept for name in ("..", ".git", "link.yaml", "module", "module.yaml"))  # left as it was


def test_names_that_differ_only_by_case_are_two_files(world: MakeWorld) -> None:
    w = world({"pipelines/Orders.yaml": manifest("orders"), "pipelines/orders.yaml": manifest("other")})
    w.secret()
    w.integrate()
    eventually(lambda: w.names() == {"orders", "other"})
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.read("pipelines/Orders.yaml") == manifest("orders", owner="cluster"))
    assert w.repo.read("pipelines/orders.yaml") == manifest("other")


def test_a_sha256_repository_is_refused_in_words(world: MakeWorld) -> None:
    w = world()
    path = w.server.root / f"{w.namespace}-256.git"
    git("init", "--quiet", "--bare", "--object-format=sha256", str(path))
    w.secret()
    w.integrate(repositoryURL=w.repo.url().replace(w.namespace, path.stem))
    ready = eventually(lambda: (c := w.condition("Ready")).get("status") == "False" and c)
    assert "sha256" in ready["message"]


def test_a_blob_of_100_mb_is_told_and_not_fetched(world: MakeWorld, operator: OperatorProcess) -> None:
    big = b"# padding\n" * 10_000_000 + manifest("big").encode()
    Neighbour(world({"pipelines/orders.yaml": manifest("orders")}))  # so that long tasks are broken off
    w = world()
    w.repo.commit({"pipelines/big.yaml": big, "pipelines/orders.yaml": manifest("orders")})
    w.secret()
    with Meter(operator.pid) as meter:
        w.integrate()
        eventually(lambda: w.names() == {"orders"}, 180)
        told = eventually(lambda: w.status().get("invalid"))
    assert [(entry["path"], entry["reason"]) for entry in told] == [("pipelines/big.yaml", "TooLarge")]
    assert meter.peak < CAP


@pytest.mark.long
def test_100_000_files_are_gone_through(world: MakeWorld, operator: OperatorProcess) -> None:
    w = world()
    files: dict[str, Any] = {f"pipelines/d{n % 100}/f{n}.yaml": f"just: {n}\n" for n in range(100_000)}
    w.repo.commit({**files, "pipelines/orders.yaml": manifest("orders")})
    w.secret()
    began = time.monotonic()
    with Meter(operator.pid) as meter:
        w.integrate()
        eventually(lambda: w.names() == {"orders"}, 240)
    print(f"100,000 files: {time.monotonic() - began:.0f} s, peak {meter.peak / 1e6:.0f} MB")
    assert meter.peak < CAP
