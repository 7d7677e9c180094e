"""What commands show to people: tables out of resources, as values. Pure."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gitintegration.api.suspension import is_suspended
from gitintegration.commands.diagnosis import Finding, State
from gitintegration.core.text import plain

_SHA = 12
_COMMITS = 5
_STEPS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_GOOD, _BAD, _DIM = "green", "red", "dim"


def ago(then: str | None, now: datetime) -> str:
    """How long ago a time of a status was, in its largest unit."""
    if not then:
        return "never"
    seconds = max(0, int((now - datetime.fromisoformat(then.replace("Z", "+00:00"))).total_seconds()))
    size, unit = next(((size, unit) for size, unit in _STEPS if seconds >= size), (1, "s"))
    return f"{seconds // size}{unit} ago"


def is_in_sync(integration: Mapping[str, Any], now: datetime) -> bool:
    """Whether both sides were the same when they were last looked at, and they are still looked at."""
    status = integration.get("status") or {}
    suspended = is_suspended(integration.get("spec") or {}, now)
    return bool(status.get("inSync")) and not suspended and _condition(status, "Ready").get("status") == "True"


def overview(integrations: Sequence[Mapping[str, Any]], now: datetime, *, header: bool = True) -> RenderableType:
    """One line for each. The cluster is ahead of git, or behind it."""
    table = _table("NAMESPACE", "NAME", "READY", "SYNC", "AHEAD", "BEHIND", "CONFLICTS", "LAST SYNC", header=header)
    for one in integrations:
        status = one.get("status") or {}
        ready = _condition(status, "Ready")
        table.add_row(
            *(_text(one["metadata"][key]) for key in ("namespace", "name")),
            _verdict(ready),
            _yes(status.get("inSync")),
            *(str(status.get(key, "-")) for key in ("localAheadCount", "remoteAheadCount", "conflictCount")),
            ago(status.get("lastSuccessfulSyncAt"), now),
        )
    return table


def detail(integration: Mapping[str, Any], now: datetime) -> RenderableType:
    """All of one, on one screen: the conditions first, each with the command that mends it."""
    meta, spec, status = (integration.get(key) or {} for key in ("metadata", "spec", "status"))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style=_DIM, no_wrap=True)
    facts.add_column(overflow="fold")
    connection = status.get("connection") or {}
    latency = f", {connection['latencyMs']} ms" if connection.get("latencyMs") is not None else ""
    facts.add_row("repository", _text(f"{spec.get('repositoryURL', '')}{latency}"))
    branch = f"{status.get('branch') or spec.get('defaultBranch') or '-'} at {_sha(status.get('remoteCommit'))}"
    facts.add_row("branch", _text(branch))
    facts.add_row("last sync", _text(ago(status.get("lastSuccessfulSyncAt"), now)))
    counts = [
        f"{status.get('pipelineCount', 0)} known",
        f"{status.get('localAheadCount', 0)} ahead in the cluster",
        f"{status.get('remoteAheadCount', 0)} ahead in git",
        f"{status.get('conflictCount', 0)} in conflict",
    ]
    facts.add_row("pipelines", _text(", ".join(counts)))
    if review := status.get("review"):
        facts.add_row("review", _text(f"branch {review.get('branch')} at {_sha(review.get('commit'))}"))
    if pull := status.get("pullRequest"):
        facts.add_row("pull request", _text(f"{pull.get('number')} {pull.get('state')}: {pull.get('url')}"))
    for condition in status.get("conditions") or ():
        unchecked = condition["type"] == "PullRequestsChecked" and condition["status"] == "False"
        if condition["type"] in ("Ready", "Connected", "InSync") or unchecked:
            state = Text(condition["status"], style=_style(condition))
            words = _text(f", {condition.get('reason')}: {condition.get('message', '')}")
            facts.add_row(_text(condition["type"]), Text.assemble(state, words))
    title = Text(f"{meta.get('namespace')}/{meta.get('name')}", style="bold")
    parts: list[RenderableType] = [title, Padding(facts, (0, 0, 0, 2))]
    parts += _lists(status, now)
    pulls = (
        (p.get("number"), p.get("state"), p.get("description"), p.get("url")) for p in status.get("pullRequests") or ()
    )
    parts += _list("PULL REQUESTS", ("NUMBER", "CHECK", "MERGING IT", "PAGE"), pulls)
    parts += _list("LAST COMMITS", ("COMMIT", "WHEN", "AUTHOR", "MESSAGE"), _commits(status, now))
    return Group(*parts)


def operation_view(operation: Mapping[str, Any], now: datetime) -> RenderableType:
    """How an operation ended: what it says, what it did or would do, and what is left."""
    status = operation.get("status") or {}
    condition = _condition(status, "Succeeded")
    style = _GOOD if condition.get("status") == "True" else _BAD
    parts: list[RenderableType] = [
        Text.assemble(Text(str(status.get("phase")), style=style), _text(f": {condition.get('message', '')}"))
    ]
    changes = (
        (c.get("action"), _key(c), ", ".join(c.get("fields") or ()), c.get("path")) for c in status.get("changes") or ()
    )
    more = bool(status.get("changesTruncated"))
    parts += _list("CHANGES", ("ACTION", "PIPELINE", "FIELDS", "FILE"), changes, more=more)
    commits = _list("COMMITS", ("COMMIT", "WHEN", "AUTHOR", "MESSAGE", "PIPELINES"), _history(status, now))
    return Group(*parts, *_torn(status, now), *commits)


_OF_LINES = (("+++", "bold"), ("---", "bold"), ("+", _GOOD), ("-", _BAD), ("@@", "cyan"), ("diff ", "bold"))


def heading(plan: Mapping[str, Any]) -> Text:
    """What would be done, in a line."""
    condition = _condition(plan["operation"].get("status") or {}, "Succeeded")
    return Text.assemble(Text(f"{plan['kind']}: ", style="bold"), _text(str(condition.get("message", ""))))


def patches(plan: Mapping[str, Any]) -> list[RenderableType]:
    """The lines that come and go: of the files of a push, of the objects of a pull."""
    return [_patch(row) for row in plan["files"] or plan["changes"]]


def plain_patches(plan: Mapping[str, Any]) -> str:
    """The same for a pipe: each patch as it is, for git apply, which passes over the other lines."""
    return f"{heading(plan)}\n" + "".join(
        row.get("patch") or f"{_patch(row)}\n" for row in plan["files"] or plan["changes"]
    )


def _patch(row: Mapping[str, Any]) -> Text:
    if row.get("withheld") or not row.get("patch"):
        counts = f"+{row.get('linesAdded', 0)} -{row.get('linesRemoved', 0)}"
        place = row["path"] if row.get("name") is None else _key(row)
        return _text(f"{place}: {counts}, not shown: {row.get('withheld') or 'the plan has no room for it'}")
    lines = str(row["patch"]).removesuffix("\n").split("\n")
    return Text("\n").join(Text(plain(line), style=_style_of(line)) for line in lines)


def _style_of(line: str) -> str:
    return next((style for begin, style in _OF_LINES if line.startswith(begin)), "")


def commit_heading(commit: Mapping[str, Any], now: datetime) -> Text:
    """A commit as git shows it: its name, author, date and message."""
    head = Text(f"commit {plain(str(commit.get('sha')))}\n", style="yellow")
    when = f"{commit.get('committedAt')} ({ago(commit.get('committedAt'), now)})"
    body = [str(line) for line in commit.get("body") or ()]
    said = [str(commit.get("message") or ""), *(["", *body] if body else [])]
    lines = [f"Author: {commit.get('author')}", f"Date:   {when}", "", *(f"    {line}" for line in said)]
    return Text.assemble(head, "\n".join(plain(line).rstrip() for line in lines), "\n")


def commit_patches(plan: Mapping[str, Any]) -> list[RenderableType]:
    """The lines of its files, and of objects where those of their files are withheld."""
    return [_patch(row) for row in _of_commit(plan)]


def plain_commit(commit: Mapping[str, Any], plan: Mapping[str, Any], now: datetime) -> str:
    """The same for a pipe: each patch as it is, for git apply, which passes over the other lines."""
    told = [row.get("patch") or f"{_patch(row)}\n" for row in _of_commit(plan)]
    return "".join([f"{commit_heading(commit, now)}\n", *told])


def _of_commit(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*plan["files"], *(row for row in plan["changes"] if row.get("patch"))]


def trace_view(status: Mapping[str, Any], fields: Sequence[Mapping[str, Any]], now: datetime) -> RenderableType:
    """A pipeline: its file, how it stands, who edited it last on either side; and which fields each commit made."""
    told = status["blame"]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style=_DIM, no_wrap=True)
    facts.add_column(overflow="fold")
    line = f":{told['line']}" if told.get("line") else ""
    where = f"{told['path']}{line}, {status.get('branch')} at {_sha(status.get('commit'))}" if told.get("path") else "-"
    facts.add_row("file", _text(where))
    facts.add_row("stands", Text("in sync", style=_GOOD) if told.get("inSync") else _text(_stands(told)))
    last = told.get("theirs") or {}
    facts.add_row("git", _text(": ".join([commit_words(last, now) or "-", *filter(None, [last.get("message")])])))
    live = live_words(told.get("ours"), now)
    facts.add_row("cluster", _text(f"edited by {live}" if live else "-"))
    by_commit: dict[str, list[Mapping[str, Any]]] = {}
    for field in fields:
        if commit := (field.get("theirs") or {}).get("commit"):
            by_commit.setdefault(commit, []).append(field)
    ordered = sorted(by_commit.values(), key=lambda some: str(some[0]["theirs"].get("at")), reverse=True)
    rows = ((*_by(some[0]["theirs"], now), _few([f["field"] for f in some])) for some in ordered)
    title = Text(plain(_key(told)), style="bold")
    parts: list[RenderableType] = [title, Padding(facts, (0, 0, 0, 2))]
    parts += _list("FIELDS OF GIT", ("COMMIT", "WHEN", "AUTHOR", "FIELDS"), rows)
    edits = (
        (f["field"], f.get("value"), f.get("live"), live_words(f.get("ours"), now)) for f in fields if f.get("differs")
    )
    parts += _list("NOT THE SAME", ("FIELD", "GIT", "CLUSTER", "EDITED BY"), edits)
    return Group(*parts, *_older(told))


def blame_view(status: Mapping[str, Any], fields: Sequence[Mapping[str, Any]], now: datetime) -> RenderableType:
    """Every field with its value and where that comes from; one that the cluster holds otherwise has a second line."""
    table = _table("LINE", "FIELD", "VALUE", "COMMIT", "WHEN", "BY")
    for field in fields:
        if "value" in field or "theirs" in field:
            commit, when, author = _by(field.get("theirs") or {}, now)
            row = (field.get("line") or "", field["field"], field.get("value", "-"), commit, when, author)
            table.add_row(*(_text(str(cell)) for cell in row))
        if field.get("differs"):
            ours = field.get("ours") or {}
            when = ago(ours["at"], now) if ours.get("at") else "-"
            row = ("", field["field"], field.get("live", "-"), "in cluster", when, _whose(ours) or "-")
            table.add_row(*(_text(str(cell)) for cell in row), style=_BAD)
    return Group(table, *_older(status["blame"]))


def _by(theirs: Mapping[str, Any], now: datetime) -> tuple[str, str, str]:
    when = ago(theirs["at"], now) if theirs.get("at") else "-"
    return _sha(theirs.get("commit")), when, str(theirs.get("by") or "-")


def _stands(told: Mapping[str, Any]) -> str:
    side = {"both": "ahead on both sides", "cluster": "ahead in the cluster", "git": "ahead in git"}
    words = f"{side.get(str(told.get('side')), 'not in sync')}, {told.get('reason')}"
    return f"{words}: {told['message']}" if told.get("message") else words


def _few(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _COMMITS} more"] if len(names) > _COMMITS else []
    return ", ".join([*names[:_COMMITS], *more])


def _older(told: Mapping[str, Any]) -> list[RenderableType]:
    words = "where some fields come from lies further back than was looked; --limit looks further"
    return [Text(), Text(words, style=_DIM)] if told.get("whole") is False else []


def field_view(plan: Mapping[str, Any]) -> RenderableType:
    """Every field with what it was and what it will be."""
    rows = (
        (change.get("action"), _key(change), field["field"], field.get("old"), field.get("new"))
        for change in plan["changes"]
        for field in change.get("fields") or ({"field": ""},)
    )
    return Group(*_list("CHANGES", ("ACTION", "PIPELINE", "FIELD", "BEFORE", "AFTER"), rows))


def suspension_view(integration: Mapping[str, Any]) -> RenderableType:
    """That nothing is synced, until when and why."""
    name, spec = integration["metadata"]["name"], integration["spec"]
    suspend = spec.get("suspend")
    if not spec.get("enabled", True):
        return _text(f"{name} is suspended until it is resumed (spec.enabled is false)")
    if suspend is None:
        return _text(f"{name} is not suspended")
    end = f"until {suspend['until']}" if suspend.get("until") else "until it is resumed"
    return _text(f"{name} is suspended {end}: {suspend.get('reason')}")


def held_view(integration: Mapping[str, Any], held: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What waits for a person, all of it that the status holds."""
    if not held:
        return _text(f"{integration['metadata']['name']} holds nothing back")
    parts: list[RenderableType] = []
    for one in held:
        rows = ((_key(each),) for each in one.get("pipelines") or ())
        parts += [Text(), _text(_held_words(one))] if parts else [_text(_held_words(one))]
        table = _list("", ("PIPELINE",), rows, more=bool(one.get("truncated")))
        parts += table[2:]
    return Group(*parts)


def _held_words(held: Mapping[str, Any]) -> str:
    counts = f"{held.get('count')} of {held.get('known')} pipelines"
    if held.get("reason") == "PrefixChanged":
        what = f"would be copied in git from '{held.get('prefixBefore')}' to '{held.get('prefix')}'"
    else:
        what = f"would be deleted in {'git' if held.get('side') == 'git' else 'the cluster'}"
    return f"{counts} {what} (digest {held.get('digest')})"


def confirmed_view(
    integration: Mapping[str, Any], shown: Sequence[Mapping[str, Any]], left: Sequence[Mapping[str, Any]]
) -> RenderableType:
    """What became of what was confirmed; `left`: what is held of it, or came to be held meanwhile."""
    if left:
        return Group(_text("it became another meanwhile, and this is held now:"), held_view(integration, left))
    ready = _condition(integration.get("status") or {}, "Ready")
    words = ", ".join(str(one.get("digest")) for one in shown)
    return _text(f"released {words}; {ready.get('reason')}: {ready.get('message', '')}")


def findings_view(found: Sequence[Finding]) -> RenderableType:
    """A line each, and how many of which there are."""
    table = Table.grid(padding=(0, 2))
    for no_wrap in (True, True, False):
        table.add_column(no_wrap=no_wrap, overflow="fold")
    styles = {State.ok: _GOOD, State.bad: _BAD, State.warn: "yellow", State.unknown: _DIM}
    for one in found:
        table.add_row(Text(one.state.value, style=styles[one.state]), _text(one.check), _text(one.told))
    counts = ((state, sum(one.state is state for one in found)) for state in State)
    return Group(table, Text(", ".join(f"{number} {state.value}" for state, number in counts if number)))


def _history(status: Mapping[str, Any], now: datetime) -> Iterator[tuple[object, ...]]:
    for one in status.get("history") or ():
        touched = one.get("pipelinesTouched") or ()
        more = int(one.get("pipelinesTouchedCount") or len(touched)) - len(touched[:_COMMITS])
        names = ", ".join([*touched[:_COMMITS], *([f"and {more} more"] if more > 0 else [])])
        author = str(one.get("author") or "").partition(" <")[0]
        yield _sha(one.get("sha")), ago(one.get("committedAt"), now), author, one.get("message"), names


def live_words(told: Mapping[str, Any] | None, now: datetime) -> str:
    """Who edited the cluster's side, and when; empty where that is not known."""
    return ", ".join([_whose(told), *([ago(told["at"], now)] if told.get("at") else [])]) if told else ""


def _whose(ours: Mapping[str, Any]) -> str:
    """Who edited it: a person, or a field manager and whom of its object that may be."""
    people = ", ".join(map(str, ours.get("editors") or ()))
    return " ".join(filter(None, [str(ours.get("by") or ""), f"(editors: {people})" if people else ""]))


def commit_words(told: Mapping[str, Any] | None, now: datetime) -> str:
    """The commit of git's side, whose it is, and when; empty where that is not known."""
    if not told:
        return ""
    by = f" by {told['by']}" if told.get("by") else ""
    return ", ".join([f"{_sha(told.get('commit'))}{by}", *([ago(told["at"], now)] if told.get("at") else [])])


def conflict_view(conflict: Mapping[str, Any], now: datetime) -> RenderableType:
    """One conflict, with what all three hold, and who made it."""
    title = Text.assemble(
        Text(_key(conflict), style="bold"), _text(f"  {conflict.get('reason')}  {conflict.get('path')}")
    )
    ours, theirs = live_words(conflict.get("ours"), now), commit_words(conflict.get("theirs"), now)
    told = [_text(f"  cluster: edited by {ours}")] if ours else []
    told += [_text(f"  git: {theirs}")] if theirs else []
    return Group(title, *told, *_values([conflict]))


_TAKEN = {
    "ours": "the cluster's, which goes to git with the next push",
    "theirs": "git's, which goes to the cluster",
    "base": "what both were before, which goes to both",
}


def settled_view(resolutions: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What was decided of each conflict, and where that goes: the lines of a pull are the cluster's alone."""
    rows = (
        (
            r["pipeline"],
            r.get("field", "all"),
            _TAKEN.get(r.get("take", "")) or f"{json.dumps(r['value'])}, on both sides",
        )
        for r in resolutions
    )
    return Group(*_list("SETTLED", ("PIPELINE", "FIELD", "VALUE"), rows), Text())


def _lists(status: Mapping[str, Any], now: datetime) -> list[RenderableType]:
    ahead = ((_key(e), e.get("side"), e.get("reason"), e.get("path")) for e in status.get("ahead") or ())
    found = _list("AHEAD", ("PIPELINE", "SIDE", "WHY", "FILE"), ahead, more=bool(status.get("aheadTruncated")))
    found += _torn(status, now)
    invalid = ((e.get("path"), e.get("reason"), e.get("message")) for e in status.get("invalid") or ())
    bad = ("FILE", "REASON", "MESSAGE")
    return found + _list("LEFT ALONE", bad, invalid, more=bool(status.get("invalidTruncated")))


def _torn(status: Mapping[str, Any], now: datetime) -> list[RenderableType]:
    """What is in conflict, what all three hold of it, and who edited it last."""
    torn = status.get("conflicts") or ()
    rows = ((_key(e), e.get("reason"), ", ".join(e.get("fields") or ()), e.get("path")) for e in torn)
    more = bool(status.get("conflictsTruncated"))
    who = [(_key(e), live_words(e.get("ours"), now), commit_words(e.get("theirs"), now)) for e in torn]
    edited = _list("EDITED BY", ("PIPELINE", "CLUSTER (ours)", "GIT (theirs)"), (row for row in who if any(row[1:])))
    return _list("CONFLICTS", ("PIPELINE", "REASON", "FIELDS", "FILE"), rows, more=more) + _values(torn) + edited


def _values(torn: Iterable[Mapping[str, Any]]) -> list[RenderableType]:
    rows = (
        (_key(e), v.get("field"), *(v.get(side, "-") for side in ("base", "ours", "theirs")))
        for e in torn
        for v in e.get("values") or ()
    )
    return _list("IN CONFLICT", ("PIPELINE", "FIELD", "BEFORE", "CLUSTER (ours)", "GIT (theirs)"), rows)


def _commits(status: Mapping[str, Any], now: datetime) -> Iterable[tuple[object, ...]]:
    for one in (status.get("history") or ())[:_COMMITS]:
        author = str(one.get("author") or "").partition(" <")[0]
        yield _sha(one.get("sha")), ago(one.get("committedAt"), now), author, one.get("message")


def _list(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, more: bool = False
) -> list[RenderableType]:
    """A table below its title; nothing where it has no rows. `more`: the status holds only the first of them."""
    table = _table(*columns)
    for row in rows:
        table.add_row(*(_text(str(value or "-")) for value in row))
    if not table.row_count:
        return []
    note = [Padding(Text("and more, which the status does not hold", style=_DIM), (0, 0, 0, 2))] if more else []
    return [Text(), Text(title, style="bold"), Padding(table, (0, 0, 0, 2)), *note]


def _table(*columns: str, header: bool = True) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=_DIM, show_header=header)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((c for c in status.get("conditions") or () if c["type"] == kind), {})


def _verdict(condition: Mapping[str, Any]) -> Text:
    return Text(plain(str(condition.get("reason") or "-")), style=_style(condition))


def _style(condition: Mapping[str, Any]) -> str:
    return _GOOD if condition.get("status") == "True" else _BAD


def _yes(value: object) -> Text:
    return Text("-") if value is None else Text("yes", style=_GOOD) if value else Text("no", style=_BAD)


def _key(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('kind')}/{entry.get('name')}"


def _sha(commit: str | None) -> str:
    return (commit or "-")[:_SHA]


def _text(words: str) -> Text:
    """As it is: no markup, and nothing that a terminal would obey."""
    return Text(plain(words))


def console_of(stream: TextIO, width: int | None = None) -> Console:
    """Where things are shown, in colour on a terminal where NO_COLOR does not forbid it. `width` in columns; None: its own."""
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def show(what: RenderableType, stream: TextIO, width: int | None = None) -> None:
    """Print it there; where that is no terminal, no line ends in spaces."""
    console = console_of(stream, width)
    if console.is_terminal:
        console.print(what)
        return
    text = io.StringIO()
    Console(file=text, width=console.width, highlight=False, emoji=False, color_system=None).print(what)
    stream.write("".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines()))


def utcnow() -> datetime:
    return datetime.now(UTC)
