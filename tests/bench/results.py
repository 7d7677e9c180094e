"""What was measured, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Timing:
    """Seconds; several of each are told by their median."""

    taken: tuple[float, ...]
    floor: tuple[float, ...]

    @property
    def seconds(self) -> float:
        return median(self.taken)

    @property
    def floor_seconds(self) -> float:
        return median(self.floor)

    @property
    def ratio(self) -> float:
        return self.seconds / self.floor_seconds


@dataclass(frozen=True)
class Load:
    """Of the operator's process tree: peak bytes of PSS, and seconds of CPU."""

    peak: int
    cpu: float


@dataclass(frozen=True)
class Size:
    """One number of pipelines in one layout."""

    pipelines: int
    flat: bool
    first_pull: Timing
    first_pull_load: Load
    unchanged: Timing
    unchanged_writes: int
    """API writes while the operator found nothing changed, and how often it looked."""
    unchanged_syncs: int
    to_cluster: Timing
    to_git: Timing
    changes_load: Load
    first_push: Timing | None = None
    first_push_load: Load | None = None

    @property
    def label(self) -> str:
        return f"{self.pipelines:,} {'flat' if self.flat else 'in folders'}"


@dataclass(frozen=True)
class Storm:
    edits: int
    seconds: float
    """From the first edit to the last."""
    commits: int
    waits: tuple[float, ...]
    """Seconds from each edit to the commit that holds it."""


@dataclass(frozen=True)
class Operations:
    """On a repository of so many pipelines and commits."""

    pipelines: int
    commits: int
    history: Timing
    first_history_of_a_file: Timing
    history_of_a_file: Timing
    push_one: Timing
    pushed: int
    push_many: Timing


@dataclass(frozen=True)
class Edits:
    """Seconds of CPU on a file of so many documents and bytes: one parse, and one edit of one and of all."""

    documents: int
    size: int
    parse: float
    one: float
    every: float


@dataclass(frozen=True)
class Failover:
    """Seconds from the signal to the leading replica until an edit made right after it is in git."""

    killed: tuple[float, ...]
    stopped: tuple[float, ...]


@dataclass(frozen=True)
class Hooked:
    """From a push to a forge until it is live, by the forge's hook."""

    pipelines: int
    timing: Timing


@dataclass(frozen=True)
class Signed:
    """One change each way with signing and verifying; the floor is the same without either."""

    pipelines: int
    to_cluster: Timing
    to_git: Timing


@dataclass(frozen=True)
class Idle:
    integrations: int
    first_sync: float
    """Seconds until all were synced for the first time, made at once."""
    memory: int
    cpu_share: float
    """Of one core."""
    api_requests: float
    """A minute."""
    api_writes: float
    git_requests: float
    restart: float
    """Seconds from the start of a new process until edits made while none ran were in git."""
    restart_peak: int


@dataclass(frozen=True)
class Machine:
    cores: int
    memory: int
    processor: str
    load: tuple[float, float]
    """One-minute load averages before and after."""


@dataclass(frozen=True)
class Results:
    date: str
    revision: str
    machine: Machine
    minutes: float
    sizes: tuple[Size, ...] = ()
    idle: tuple[Idle, ...] = ()
    hooked: tuple[Hooked, ...] = ()
    signed: Signed | None = None
    storm: Storm | None = None
    operations: Operations | None = None
    failover: Failover | None = None
    edits: Edits | None = None
    notes: tuple[str, ...] = field(default=())
