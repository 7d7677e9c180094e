"""The one comment on a pull request: what merging it would do, as Markdown that every forge shows alike. Pure.

Whatever names, values and messages hold stays within a span of code: it is no link, no mention, no picture, and ends no
table. What has no room is counted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from gitintegration.core.checks.findings import CheckState, Findings, Signatures, Verdict
from gitintegration.core.plan.authors import Told
from gitintegration.core.status import ConflictEntry
from gitintegration.core.text import plain
from gitintegration.messages import counted

LARGEST = 60_000
"""Bytes of a comment."""
_VALUE, _NAME, _MESSAGE = 120, 200, 600
"""Characters of one value, name and message."""
_FIELDS = 12
"""Of one pipeline that are shown."""
_FOOT = 1_000
"""Bytes that are kept free for what stands under the tables."""
_ROWS = 200
"""Of one table."""
_SIGNS = {CheckState.success: "✅", CheckState.failure: "❌", CheckState.error: "⚠️", CheckState.pending: "⏳"}
_HELD = "✋"
"""Where it may be merged, and a person is asked once it is."""


def marker(uid: str) -> str:
    """By which the comment of an integration is found again: a line that no forge shows, and that nobody else knows beforehand."""
    return f"[//]: # (gitintegration-check-{hashlib.sha256(f'check {uid}'.encode()).hexdigest()[:32]})"


def code(text: str, most: int = _NAME) -> str:
    """A text from outside within a cell of a table: shown as it is, whatever it holds."""
    shown = plain(text)
    if len(shown) > most:
        shown = f"{shown[: most - 1]}…"
    if not shown.strip():
        return "` `"
    shown = shown.replace("\\|", "\\\u200b|").replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    room = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{room}{shown}{room}{fence}"


class _Page:
    """Markdown within its bytes."""

    def __init__(self, most: int) -> None:
        self._left = most
        self.lines: list[str] = []

    def put(self, *lines: str) -> None:
        for line in lines:
            self._left -= len(line.encode()) + 1
            self.lines.append(line)

    def table(self, title: str, heads: Sequence[str], rows: Iterator[Sequence[str]], what: str, count: int) -> None:
        """Of `count` things as many as fit; a row whose first cell is empty goes on with the one above."""
        self.put("", f"#### {title}", "", f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads))
        shown = 0
        for cells in islice(rows, _ROWS):
            line = f"| {' | '.join(cells)} |"
            if len(line.encode()) > self._left:
                break
            shown += bool(cells[0])
            self.put(line)
        if shown < count:
            self.put("", f"and {count - shown} more {what}")


def comment_text(
    findings: Findings, verdict: Verdict, *, namespace: str, name: str, uid: str, now: datetime, most: int = LARGEST
) -> str:
    """The whole comment. `most`: bytes that the forge takes."""
    page = _Page(min(most, LARGEST) - _FOOT)
    waits = findings.held and verdict.state is CheckState.success
    page.put(
        f"### {_HELD if waits else _SIGNS[verdict.state]} Pipelines of {code(f'{namespace}/{name}')}",
        "",
        _summary(findings),
    )
    if findings.signatures:
        page.put("", _signatures(findings.signatures))
    _unmerged(page, findings)
    _conflicts(page, findings)
    _problems(page, findings)
    _brought(page, findings)
    _kept(page, findings)
    when = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    found = f"<sub>Found against {code(findings.branch)} at {code(findings.base[:12])}, {when}; this comment is brought up to date when the result changes.</sub>"
    return "\n".join([*page.lines, "", found, "", marker(uid), ""])


def digest(text: str) -> str:
    """Names what a comment tells; when and against which commit it was found is not in it."""
    kept = [line for line in text.splitlines() if not line.startswith("<sub>Found against")]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16]


def _summary(findings: Findings) -> str:
    if not findings.touches:
        return "Merging this touches no pipeline."
    told = []
    if findings.waits and findings.deeds:
        told.append(f"Once it is pulled, this {findings.deeds} in the cluster: {findings.waits}.")
    elif findings.deeds:
        told.append(f"Merging this {findings.deeds} in the cluster.")
    if findings.held:
        stays = "that pipeline stays" if findings.held == 1 else "those pipelines stay"
        told.append(
            f"**{counted(findings.held, 'delete')} will be held** until a person confirms: {stays} in the cluster until then."
        )
    if findings.conflicts:
        told.append(
            f"**Merging this makes {counted(len(findings.conflicts), 'conflict')}** with edits in the cluster: neither side is written until each is settled."
        )
    if findings.problems:
        told.append(f"**{counted(len(findings.problems), 'manifest')} would be left alone.**")
    if findings.unmerged:
        told.append("**Git can't merge this as it is.**")
    if findings.alike:
        told.append(
            f"{counted(findings.alike)} will be in git as the cluster holds {'it' if findings.alike == 1 else 'them'} already."
        )
    if findings.unpruned:
        told.append(
            f"{counted(findings.unpruned)} that it deletes will stay in the cluster, for `spec.sync.prune` is false."
        )
    return " ".join(told)


def _signatures(asked: Signatures) -> str:
    """What is not known before it is merged is told as what is to be done."""
    each = ", and each that it brings onto the branch" if asked.each else ""
    head = f"is signed by {code(asked.signer)}" if asked.signer else f"is not: {code(asked.flaw)}"
    return (
        f"**Commits are verified here**: a trusted key must sign the commit that this is merged as{each}, or nothing is synced "
        f"from then on. The head of this pull request {head}."
    )


def _unmerged(page: _Page, findings: Findings) -> None:
    if findings.unmerged:
        rows = ([code(one.path), code(one.words, _MESSAGE)] for one in findings.unmerged)
        page.table(
            "Changed on both branches", ["File", "Why it can't be merged"], rows, "files", len(findings.unmerged)
        )


def _conflicts(page: _Page, findings: Findings) -> None:
    if not findings.conflicts:
        return
    heads = ["Pipeline", "Field", "Agreed last", "In the cluster", "After merging", "Edited in the cluster by"]
    ordered = sorted(findings.conflicts, key=ConflictEntry.order)
    rows = (row for entry in ordered for row in _conflict_rows(entry))
    page.table("Conflicts", heads, rows, "conflicts", len(ordered))


def _conflict_rows(entry: ConflictEntry) -> Iterator[list[str]]:
    values = {value.field: value for value in entry.values}
    who = _who(entry.authors.ours)
    fields = list(entry.fields) or [""]
    for number, field in enumerate(fields[:_FIELDS]):
        value, first = values.get(field), number == 0
        name, by = (code(f"{entry.kind}/{entry.name}"), who) if first else ("", "")
        if value is not None:
            cells = [_value(value.base), _value(value.ours), _value(value.theirs)]
        else:
            cells = _GONE.get(entry.reason, ["", "", ""])
        yield [name, code(field) if field else "", *cells, by]
    if len(fields) > _FIELDS:
        yield ["", f"and {len(fields) - _FIELDS} more fields", "", "", "", ""]


_GONE = {"DeletedInGit": ["", "edited", "deleted"], "DeletedInCluster": ["", "deleted", "edited"]}


def _problems(page: _Page, findings: Findings) -> None:
    if findings.problems:
        ordered = sorted(findings.problems, key=lambda one: (one.path, one.reason))
        rows = ([code(one.path), one.reason.value, code(one.message, _MESSAGE)] for one in ordered)
        page.table("Left alone", ["File", "Reason", "Why"], rows, "manifests", len(ordered))


def _brought(page: _Page, findings: Findings) -> None:
    if not findings.brought:
        return
    order = {"delete": 0, "update": 1, "create": 2}
    ordered = sorted(findings.brought, key=lambda one: (order[one.action], one.key))

    def rows() -> Iterator[list[str]]:
        for one in ordered:
            action = f"{one.action}, held" if one.held else one.action
            head = [action, code(str(one.key))]
            if not one.fields:
                yield [*head, code(one.path), "", ""]
            for number, value in enumerate(one.fields[:_FIELDS]):
                yield [*(head if number == 0 else ["", ""]), code(value.field), _value(value.old), _value(value.new)]
            if more := one.more + max(0, len(one.fields) - _FIELDS):
                yield ["", "", f"and {more} more fields", "", ""]

    page.table("What goes live", ["", "Pipeline", "Field or file", "Now", "After"], rows(), "pipelines", len(ordered))


def _kept(page: _Page, findings: Findings) -> None:
    if findings.kept:
        ordered = sorted(findings.kept, key=lambda one: one.key)
        rows = ([code(str(one.key)), _some(one.fields, code), _who(one.author)] for one in ordered)
        heads = ["Pipeline", "Fields", "By"]
        page.table("Edits in the cluster that stay", heads, rows, "pipelines", len(ordered))


def _some(texts: Sequence[str], shown: Callable[[str], str]) -> str:
    more = f" and {len(texts) - _FIELDS} more" if len(texts) > _FIELDS else ""
    return ", ".join(shown(text) for text in texts[:_FIELDS]) + more


def _value(text: str | None) -> str:
    return "–" if text is None else code(text, _VALUE)


def _who(told: Told) -> str:
    by, people = told.get("by"), told.get("editors") or ()
    if not by and not people:
        return "unknown"
    found = [code(text) for text in (by, told.get("at")) if text]
    return ", ".join([*found, *([f"editors: {_some(people, code)}"] if people else [])])
