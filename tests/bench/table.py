"""The results as a page of Markdown. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tests.bench.results import Edits, Failover, Hooked, Idle, Load, Operations, Results, Signed, Size, Storm, Timing

MEASURED = """\
Every scenario has a control plane of the test bed of its own (kube-apiserver, etcd without fsync, controller manager), a real
`git http-backend`, and the operator as a process under its own ServiceAccount, all on one machine. Manifests have 24 lines and
0.9 KB. `x` is the ratio to the floor, which was taken in the same run, in turns with the figure, on the same parts; figures that
were taken more than once are medians. Memory is the peak of the operator's process tree as PSS (what its processes share counts
once), CPU that of the tree.

- Floor of *nothing changed*: `git ls-remote`. The figure is a periodic sync, as the operator logs it; API writes are those that
  the API server counted meanwhile, by anybody.
- Floor of *first pull*: clone, and server-side apply of each file over 8 connections. The figure runs from the creation of the
  GitIntegration until the last pipeline is there.
- Floor of *git to cluster*: ls-remote, fetch, diff, one PATCH. The figure runs from the request to sync
  (`planasonix.com/requestedAt`), as a webhook would make it, until a watch tells of the changed object.
- *A push goes live by its hook*: a real Gitea, whose hook the operator has registered, delivers to the receiver. The figure runs from when
  `git push` has been answered until a watch tells of the changed object; the interval is an hour. The floor is that of *git to cluster*,
  at the same Gitea.
- Floor of *cluster to git*: write the file, commit, push. The figure runs from before the edit until the branch has moved
  (`quietPeriod: 0s`).
- *Signed and verified*: `spec.commit.signingSecretRef` and `spec.verify` (mode Head), each with a key of ed25519. The floor is another
  integration with neither, of the same content and the same signed commits.
- Floor of *first push*: list all objects, write a file for each, commit, push. The figure runs from the creation of the
  GitIntegration until the branch has moved.
- Floor of *history*: `git log -30 --name-only -- path` on the server's own repository, for the *first time* after a `git clone
  --bare --filter=blob:none`; the operation has an index of which commit changed what, which the first one makes. Floor of a *push*: write the files, commit, push a new branch from a clone that is there. The figures run from the creation of the
  GitOperation until its status says that it has ended.
- *Edits of one file* are made in one process, with the read-back that each one has; their floor is one parse by our reader.
- *Failover*: from the signal to the leading replica until an edit made right after it is in git.
- *Idle* integrations have a namespace and a repository each, and an interval of 5 min. *Ready after a restart*: pipelines of
  20 of them, evenly spread, are edited while no operator runs; the seconds from the start of the process until all 20 are in git.
"""

_MB = 1e6


def render(results: Results) -> str:
    """The whole page, without what is written by hand below it."""
    machine = results.machine
    out = [
        "# What it costs",
        "",
        f"`make bench`, {results.date}, revision {results.revision}, {results.minutes:.0f} min on {machine.cores} cores of "
        f"{machine.processor} with {machine.memory / 1e9:.0f} GB; load average {machine.load[0]:.1f} before and "
        f"{machine.load[1]:.1f} after.",
        *(f"{note}" for note in results.notes),
        "",
        "## How it was measured",
        "",
        MEASURED,
        *sizes(results.sizes),
        *hooked(results.hooked),
        *(signed(results.signed) if results.signed else ()),
        *(storm(results.storm) if results.storm else ()),
        *(operations(results.operations) if results.operations else ()),
        *(edits(results.edits) if results.edits else ()),
        *(failover(results.failover) if results.failover else ()),
        *idle(results.idle),
        "## What falls short",
        "",
        *(list(misses(results)) or ["Nothing: every aim was met."]),
        "",
    ]
    return "\n".join(out)


def sizes(found: Sequence[Size]) -> list[str]:
    if not found:
        return []
    rows: list[tuple[str, str, Callable[[Size], str]]] = [
        ("nothing changed", "x1.5", lambda s: _timing(s.unchanged)),
        ("API writes in that many syncs", "0", lambda s: f"{s.unchanged_writes} in {s.unchanged_syncs}"),
        ("one change, git to cluster", "x2", lambda s: _timing(s.to_cluster)),
        ("one change, cluster to git", "x2", lambda s: _timing(s.to_git)),
        ("first pull", "x1.3", lambda s: _timing(s.first_pull)),
        ("first push", "x1.5", lambda s: _timing(s.first_push) if s.first_push else ""),
        ("peak memory, first pull", "200 MB", lambda s: _memory(s.first_pull_load)),
        ("peak memory, changes", "200 MB", lambda s: _memory(s.changes_load)),
        ("peak memory, first push", "200 MB", lambda s: _memory(s.first_push_load) if s.first_push_load else ""),
        ("CPU, first pull", "", lambda s: f"{s.first_pull_load.cpu:.1f} s"),
        ("CPU, first push", "", lambda s: f"{s.first_push_load.cpu:.1f} s" if s.first_push_load else ""),
    ]
    table = [[name, aim, *(cell(s) for s in found)] for name, aim, cell in rows]
    return ["## By size", "", *_table(["pipelines", "aim", *(s.label for s in found)], table), ""]


def hooked(found: Sequence[Hooked]) -> list[str]:
    if not found:
        return []
    rows = [
        [
            f"{one.pipelines:,} pipelines",
            "median below 1 s",
            f"{_seconds(one.timing.seconds)}, x{one.timing.ratio:.2f}",
            f"{_seconds(max(one.timing.taken))} of {len(one.timing.taken)}",
            _seconds(one.timing.floor_seconds),
        ]
        for one in found
    ]
    return ["## A push goes live by its hook", "", *_table(["", "aim", "median", "worst", "floor"], rows), ""]


def signed(found: Signed) -> list[str]:
    rows = [
        [what, _timing(timing), _seconds(timing.floor_seconds)]
        for what, timing in (
            ("one change, git to cluster", found.to_cluster),
            ("one change, cluster to git", found.to_git),
        )
    ]
    title = f"## Signed and verified ({found.pipelines:,} pipelines)"
    return [title, "", *_table(["", "median", "without"], rows), ""]


def storm(found: Storm) -> list[str]:
    rows = [
        ["edits", "", f"{found.edits} within {found.seconds:.1f} s"],
        ["commits", "at most 3", str(found.commits)],
        ["longest wait of an edit", "10 s", f"{max(found.waits):.1f} s"],
    ]
    return ["## A storm of edits to one integration", "", *_table(["", "aim", "measured"], rows), ""]


def operations(found: Operations) -> list[str]:
    where = f"{found.pipelines:,} pipelines in folders, {found.commits:,} commits"
    rows = [
        ["history, 30 commits of the prefix", "x5", _timing(found.history)],
        ["history of one file, the first time", "x5", _timing(found.first_history_of_a_file)],
        ["history of one file, later", "x5", _timing(found.history_of_a_file)],
        ["push of 1 pipeline to a new branch", "", _timing(found.push_one)],
        [f"push of {found.pushed:,}", "", _timing(found.push_many)],
    ]
    return [f"## Operations ({where})", "", *_table(["", "aim", "measured"], rows), ""]


def edits(found: Edits) -> list[str]:
    rows = [
        [
            f"{what} of {found.documents:,} documents ({found.size / _MB:.1f} MB)",
            f"{seconds:.2f} s",
            f"{seconds / found.parse:.1f}x",
        ]
        for what, seconds in (("one parse", found.parse), ("one edit", found.one), ("an edit in each", found.every))
    ]
    return ["## Edits of one file", "", *_table(["", "CPU", "one parse"], rows), ""]


def failover(found: Failover) -> list[str]:
    rows = [
        ["kill -9", "20 s", _worst(found.killed)],
        ["SIGTERM", "3 s", _worst(found.stopped)],
    ]
    return ["## Failover of two replicas", "", *_table(["", "aim", "measured"], rows), ""]


def _worst(taken: Sequence[float]) -> str:
    return f"{max(taken):.1f} s at most in {len(taken)}"


def idle(found: Sequence[Idle]) -> list[str]:
    if not found:
        return []
    rows: list[tuple[str, str, Callable[[Idle], str]]] = [
        ("memory", "300 MB", lambda i: f"{i.memory / _MB:.0f} MB"),
        ("CPU, of one core", "10 %", lambda i: f"{i.cpu_share * 100:.1f} %"),
        ("git requests a minute", "", lambda i: f"{i.git_requests:,.0f}"),
        ("API requests a minute", "", lambda i: f"{i.api_requests:,.0f}"),
        ("of those, writes", "", lambda i: f"{i.api_writes:,.0f}"),
        ("ready after a restart", "60 s", lambda i: f"{i.restart:.0f} s"),
        ("peak memory of the restart", "", lambda i: f"{i.restart_peak / _MB:.0f} MB"),
        ("made all at once: first synced after", "", lambda i: f"{i.first_sync:.0f} s"),
    ]
    table = [[name, aim, *(cell(i) for i in found)] for name, aim, cell in rows]
    return ["## Idle integrations", "", *_table(["", "aim", *(f"{i.integrations:,}" for i in found)], table), ""]


def misses(results: Results) -> Iterator[str]:
    """Each figure that is not what was aimed at."""
    for size in results.sizes:
        yield from _size_misses(size)
    yield from _flatness(results.sizes)
    if results.storm and (results.storm.commits > 3 or max(results.storm.waits) > 10):
        yield f"- storm: {results.storm.commits} commits, longest wait {max(results.storm.waits):.1f} s"
    if found := results.operations:
        histories = {
            "history of the prefix": found.history,
            "first history of one file": found.first_history_of_a_file,
            "history of one file": found.history_of_a_file,
        }
        yield from (f"- {what}: x{t.ratio:.2f}, aim x5" for what, t in histories.items() if t.ratio > 5)
    if ends := results.failover:
        yield from (f"- failover: {t:.1f} s after kill -9, aim 20 s" for t in ends.killed if t > 20)
        yield from (f"- failover: {t:.1f} s after SIGTERM, aim 3 s" for t in ends.stopped if t > 3)
    for push in results.hooked:
        if push.timing.seconds > 1:
            yield f"- {push.pipelines:,}, push to live by a hook: {push.timing.seconds:.2f} s, aim 1 s"
    for one in results.idle:
        if one.integrations < 5000:
            continue
        if one.memory > 300 * _MB:
            yield f"- {one.integrations:,} idle: {one.memory / _MB:.0f} MB, aim 300 MB"
        if one.cpu_share > 0.10:
            yield f"- {one.integrations:,} idle: {one.cpu_share * 100:.1f} % of a core, aim 10 %"
        if one.restart > 60:
            yield f"- {one.integrations:,} idle: ready {one.restart:.0f} s after a restart, aim 60 s"


def _size_misses(size: Size) -> Iterator[str]:
    aims: list[tuple[str, Timing | None, float]] = [
        ("nothing changed", size.unchanged, 1.5),
        ("git to cluster", size.to_cluster, 2.0),
        ("cluster to git", size.to_git, 2.0),
        ("first pull", size.first_pull, 1.3 if size.pipelines >= 10_000 else 1.5),
        ("first push", size.first_push, 1.5),
    ]
    for name, timing, aim in aims:
        if timing and timing.ratio > aim:
            yield f"- {size.label}, {name}: x{timing.ratio:.2f}, aim x{aim:g}"
    if size.unchanged_writes:
        yield f"- {size.label}: {size.unchanged_writes} API writes while nothing changed, aim 0"
    loads = [("first pull", size.first_pull_load), ("changes", size.changes_load), ("first push", size.first_push_load)]
    for name, load in loads:
        if load and load.peak > 200 * _MB:
            yield f"- {size.label}, peak memory of {name}: {_memory(load)}, aim 200 MB"


def _flatness(found: Sequence[Size]) -> Iterator[str]:
    """One change must cost the same at every size."""
    for flat in (True, False):
        of_layout = [s for s in found if s.flat is flat]
        if len(of_layout) < 2:
            continue
        small, large = min(of_layout, key=lambda s: s.pipelines), max(of_layout, key=lambda s: s.pipelines)
        for name, a, b in (
            ("git to cluster", small.to_cluster, large.to_cluster),
            ("cluster to git", small.to_git, large.to_git),
        ):
            if b.seconds > 1.2 * a.seconds:
                times = b.seconds / a.seconds
                yield f"- {large.label}, {name}: x{times:.2f} of {small.pipelines:,}, aim x1.2"


def _timing(timing: Timing) -> str:
    return f"{_seconds(timing.seconds)}, x{timing.ratio:.2f}"


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _memory(load: Load) -> str:
    return f"{load.peak / _MB:.0f} MB"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, *rows]
    ]
    return [text[0], "| " + " | ".join("-" * width for width in widths) + " |", *text[1:]]
