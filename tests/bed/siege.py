"""A siege: tenants attack and go on, another one edits both ways meanwhile, and the operator is looked at all the time.

What an edit takes is told, and not judged by the clock: that it arrives while the attack is seen to go on is what holds on a
busy machine as well.
"""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from types import TracebackType
from typing import Any, Protocol

from tests.bed.cluster import Cluster
from tests.bed.gitserver import GitServer
from tests.bed.operator import OperatorProcess
from tests.bed.tenants import ALL, OURS, Tenant
from tests.bed.world import API, World, eventually
from tests.bench.processes import memory

CAP = 700 * 1000 * 1000
"""Bytes of the process tree; the memory limit of the Deployment is a third more."""
EDITS = 4
"""Edits of each direction that are measured at least, without the attack and under it."""
PATIENCE = 60.0
"""Seconds within which an edit arrives, however busy the machine is."""
_STRIKES = 300.0
"""Seconds within which an attack must have tried all that it is about."""
_PROBE = 5.0
"""Seconds that the Deployment's liveness probe waits; three that are missed in a row end the process."""
_LOOKS = 0.5
"""Seconds between looks at /healthz; half as often at the Lease."""
_WEIGHS = 0.1
_SCHEDULE = re.compile(r'schedule: "[^"]*"')


class Sharded(World):
    """Its integrations belong to the operator of one shard."""

    prefix = "t"

    def __init__(self, plane: Cluster, server: GitServer, shard: str, files: Mapping[str, str] | None = None) -> None:
        super().__init__(plane, server, f"{self.prefix}-{uuid.uuid4().hex[:10]}", files)
        self.labels = {"planasonix.com/shard": shard}

    def integrate(self, name: str = "gi", **spec: Any) -> None:
        super().integrate(name, labels=self.labels, **spec)


class Neighbour:
    """Another tenant, who goes on editing on both sides; each edit tells for how many seconds it was under way."""

    def __init__(self, w: World) -> None:
        self.w = w
        self._pulled = 0
        self.start()
        w.in_sync()

    def start(self) -> None:
        self.w.secret()
        self.w.integrate()

    def push(self) -> float:
        """An edit in the cluster, until it is in git."""
        began, owner = time.monotonic(), uuid.uuid4().hex
        self.w.patch("orders", {"owner": owner})
        eventually(lambda: owner in (self.w.repo.read("pipelines/orders.yaml") or ""), PATIENCE)
        return time.monotonic() - began

    def pull(self) -> float:
        """An edit in git and a sync that is asked for, until it is in the cluster."""
        self._pulled += 1
        schedule = f"{self._pulled % 60} {self._pulled // 60} * * *"
        text = self.w.repo.read("pipelines/orders.yaml")
        assert text
        began = time.monotonic()
        self.w.repo.commit({"pipelines/orders.yaml": _SCHEDULE.sub(f'schedule: "{schedule}"', text)})
        self.w.kubectl("annotate", "gi", "gi", f"planasonix.com/requestedAt={began}", "--overwrite")
        eventually(lambda: self.w.spec("orders")["schedule"] == schedule, PATIENCE)
        return time.monotonic() - began


class Attacker(Sharded):
    """A namespace whose tenant attacks, with the rights of one: what she does goes through the API as herself. Whoever commits
    to its repository attacks with her."""

    prefix = "siege"

    def __init__(self, plane: Cluster, server: GitServer, shard: str, files: Mapping[str, str] | None = None) -> None:
        super().__init__(plane, server, shard, files)
        self.tenant = Tenant(self, "attacker")
        self.tenant.may(ALL, *OURS)

    def put_secrets(self, secrets: Mapping[str, Mapping[str, str]]) -> None:
        """Of her own making, by their names; what of them she may use she may read."""
        self.tenant.may(["create", "update", "patch", "get"], "secrets", group="")
        self.write_secrets(secrets)

    def write_secrets(self, secrets: Mapping[str, Mapping[str, str]]) -> None:
        """The same, another time."""
        self._write(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": n}, "stringData": data}
            for n, data in secrets.items()
        )

    def attack(self, specs: Mapping[str, Mapping[str, Any]]) -> None:
        """Makes integrations, by their names, whose deadline is the longest there is."""
        quick = {"interval": "10s", "timeout": "10m", "push": {"quietPeriod": "0s"}}
        self._write(
            {
                "apiVersion": API,
                "kind": "GitIntegration",
                "metadata": {"name": name, "labels": self.labels},
                "spec": {**spec, "sync": {**quick, **spec.get("sync", {})}},
            }
            for name, spec in specs.items()
        )

    def _write(self, documents: Iterable[Mapping[str, Any]]) -> None:
        wanted = list(documents)
        said = self.tenant.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, wanted)))
        made = [line for line in said.splitlines() if line.endswith((" created", " configured", " unchanged"))]
        assert len(made) == len(wanted), said

    def all_status(self) -> dict[str, dict[str, Any]]:
        """By integration."""
        found = json.loads(self.kubectl("get", "gi", "-o", "json"))["items"]
        return {one["metadata"]["name"]: one.get("status", {}) for one in found}

    def told(self) -> dict[str, dict[str, Any]]:
        """The condition Ready of the integrations of which a run has come to its end."""
        found = {}
        for name, status in self.all_status().items():
            ready = next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), None)
            if ready and ready["reason"] != "Progressing":
                found[name] = ready
        return found

    def ask(self, over: Callable[[], bool] = lambda: False) -> list[dict[str, Any]]:
        """Asks all of them for a sync; their statuses after it, or none where it is `over` before."""
        token = str(time.monotonic_ns())
        self.tenant.kubectl("annotate", "gi", "--all", f"planasonix.com/requestedAt={token}", "--overwrite")

        def handled() -> list[dict[str, Any]] | None:
            found = list(self.all_status().values())
            return found if all(status.get("lastHandledReconcileAt") == token for status in found) else None

        found: list[dict[str, Any]] | bool = eventually(lambda: over() or handled(), 10 * PATIENCE)
        return found if isinstance(found, list) else []

    def leave(self) -> None:
        """She has had enough."""
        self.tenant.kubectl("delete", "gi", "--all", "--wait=false")
        eventually(lambda: not self.all_status(), PATIENCE)


class Attack(Protocol):
    """One way to attack."""

    def begin(self) -> None:
        """Returns once it is under way."""

    def has_struck(self) -> bool:
        """Whether all has been tried that it is about."""

    def is_on(self) -> bool:
        """Whether it is seen to go on."""

    def ended(self) -> str:
        """Looks at what came of it, and ends it; what is to be told of it."""


class Again:
    """Does something again and again, in a thread, until `stop`."""

    def __init__(self, act: Callable[[int, Callable[[], bool]], None]) -> None:
        """`act` is told how often it was done, and whom to ask whether it should give up."""
        self.times = 0
        self._act, self._over, self._error = act, threading.Event(), list[BaseException]()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._act(self.times, self._over.is_set)
                self.times += 1
        except BaseException as error:  # told where it is stopped
            self._error.append(error)

    @property
    def is_on(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE)
        if self._error:
            raise self._error[0]


class Watch:
    """The operator, looked at all the time: what it weighs, whether it answers as its kubelet asks, and its Lease."""

    def __init__(self, operator: OperatorProcess, plane: Cluster, lease: str) -> None:
        self._operator, self._plane, self._lease = operator, plane, lease
        self._over = threading.Event()
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._ask, self._read, self._weigh)]
        self.peak = 0
        self.answers = list[float | None]()
        """Seconds of each look at /healthz; None: none that a probe waits for."""
        self.leases = list[tuple[str, int, str]]()
        """Each state of the Lease that was seen: its holder, how often that changed, and when it was renewed."""

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:  # one more renewal than there was, however short it took
            seen = len(self.leases)
            eventually(lambda: len(self.leases) > max(1, seen), PATIENCE)
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    @property
    def missed(self) -> int:
        """So many looks at /healthz in a row that were not answered, at most."""
        run = most = 0
        for answer in self.answers:
            run = run + 1 if answer is None else 0
            most = max(most, run)
        return most

    def all_is_well(self) -> None:
        assert self._operator.is_alive
        assert 0 < self.peak < CAP, f"{self.peak / 1e6:.0f} MB"
        assert self.answers
        assert self.missed < 3, self.answers
        assert len({(holder, changes) for holder, changes, _ in self.leases}) == 1, self.leases
        assert self.leases[0][0] == self._operator.identity

    def _ask(self) -> None:
        while not self._over.wait(_LOOKS):
            began = time.monotonic()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._operator.port}/healthz", timeout=_PROBE):
                    self.answers.append(time.monotonic() - began)
            except (OSError, urllib.error.URLError):
                self.answers.append(None)

    def _weigh(self) -> None:
        while not self._over.wait(_WEIGHS):
            self.peak = max(self.peak, memory(self._operator.pid))

    def _read(self) -> None:
        while not self._over.wait(2 * _LOOKS):
            try:
                spec = self._plane.json("-n", "gitintegration-system", "get", "lease", self._lease)["spec"]
            except RuntimeError:  # the API server has much to do as well
                continue
            found = (spec["holderIdentity"], spec["leaseTransitions"], spec["renewTime"])
            if found not in self.leases:
                self.leases.append(found)


class Row:
    """What a siege cost: seconds of the other's edits before it and under it, by direction."""

    def __init__(self, neighbour: Neighbour) -> None:
        """Measures what they take usually."""
        self._neighbour = neighbour
        self.usual: dict[str, list[float]] = {"to git": [], "from git": []}
        self.under: dict[str, list[float]] = {"to git": [], "from git": []}
        self.words = list[str]()
        for _ in range(EDITS):
            self._edit(self.usual)

    def edit(self) -> None:
        """One each way, under the attack."""
        self._edit(self.under)

    def _edit(self, waits: dict[str, list[float]]) -> None:
        waits["to git"].append(self._neighbour.push())
        waits["from git"].append(self._neighbour.pull())

    def watched(self, watch: Watch) -> None:
        """All was well; what was seen of it."""
        watch.all_is_well()
        slowest = max(answer or _PROBE for answer in watch.answers)
        self.words.append(f"peak {watch.peak / 1e6:.0f} MB")
        self.words.append(
            f"/healthz {len(watch.answers)} times, at most {slowest:.2f} s, {watch.missed} missed in a row"
        )
        self.words.append(f"Lease seen {len(watch.leases)} times renewed")

    def __str__(self) -> str:
        told = [
            f"{way} {median(self.under[way]):.2f} s, at most {max(self.under[way]):.2f} "
            f"(usually {median(self.usual[way]):.2f}, at most {max(self.usual[way]):.2f}; n={len(self.under[way])})"
            for way in self.under
        ]
        return "; ".join(filter(None, [*told, *self.words]))


def besiege(neighbour: Neighbour, watch: Watch, *attacks: Attack) -> Row:
    """The neighbour edits before the attacks and under them, until each has struck and is still seen to go on; then they are
    judged, and end."""
    row = Row(neighbour)
    with watch:
        for attack in attacks:
            attack.begin()
        end = time.monotonic() + _STRIKES
        while len(row.under["to git"]) < EDITS or not all(attack.has_struck() for attack in attacks):
            assert time.monotonic() < end, f"not all have struck yet: {row}"
            row.edit()
            for attack in attacks:
                assert attack.is_on(), f"{type(attack).__name__} does not go on: {row}"
    row.watched(watch)
    row.words += [attack.ended() for attack in attacks]
    return row
