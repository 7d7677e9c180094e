"""What a check says, a golden file for each kind of comment: `GOLDEN=1 pytest` writes them anew."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.core.checks.comment import LARGEST, code, comment_text, digest, marker
from gitintegration.core.checks.findings import (
    DESCRIPTION,
    Brought,
    CheckState,
    Findings,
    Kept,
    Signatures,
    Unmerged,
    Verdict,
)
from gitintegration.core.diff import no_list_keys
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.plan.authors import Authors
from gitintegration.core.plan.conflict_values import ConflictValue
from gitintegration.core.plan.detail import FieldValue, fields_of
from gitintegration.core.redaction import Redaction
from gitintegration.core.status import ConflictEntry
from gitintegration.core.values import ObjectKey
from gitintegration.core.view import Pointer

NOW = datetime(2026, 11, 28, 2, 14, tzinfo=UTC)
BASE = "9f8e7d6c5b4a39281706f5e4d3c2b1a098765432"
GOLDEN = Path(__file__).parent / "golden"
ALICE = {"by": "kubectl-edit", "at": "2026-11-12T09:30:00Z"}
SEVERAL = {**ALICE, "editors": ["ann@example.com", "bob"]}


def key(name: str) -> ObjectKey:
    return ObjectKey("planasonix.com", "Pipeline", name)


def path(name: str) -> str:
    return f"pipelines/{name}.yaml"


def update(name: str, *values: FieldValue, more: int = 0) -> Brought:
    return Brought(key(name), path(name), "update", values, more)


def conflict(
    name: str, reason: str = "BothModified", *values: ConflictValue, by: dict[str, Any] = ALICE
) -> ConflictEntry:
    fields = tuple(value.field for value in values) or ("spec.owner",)
    return ConflictEntry("Pipeline", name, name, path(name), reason, fields, values, None, Authors(by, {}))


def made(**parts: object) -> Findings:
    return Findings("main", BASE, **parts)  # type: ignore[arg-type]


SCHEDULE = FieldValue("spec.schedule", '"0 3 * * *"', '"0 5 * * *"')
REDACTED = fields_of(
    {"spec": {"source": {"url": "https://a", "password": "old-secret"}}},
    {"spec": {"source": {"url": "https://b", "password": "new-secret"}}},
    no_list_keys,
    Redaction((Pointer(("spec", "source", "password")),), "salt"),
)
HOSTILE = "x` | @acme/team [a](javascript:b) <img src=x onerror=y> \\| ``` #1 \u202e\n## boo"
CASES: dict[str, Findings] = {
    "untouched": made(),
    "brought": made(
        brought=[
            Brought(key("crm"), path("crm"), "create"),
            update("orders", SCHEDULE, FieldValue("spec.owner", None, '"sales"'), FieldValue("spec.labels", "[1]", None)),
            Brought(key("legacy"), path("legacy"), "delete"),
        ]
    ),
    "conflict": made(
        brought=[update("users", SCHEDULE)],
        conflicts=[
            conflict("orders", "BothModified", ConflictValue("spec.schedule", '"0 1 * * *"', '"0 3 * * *"', '"0 5 * * *"')),
            conflict("gone", "DeletedInGit", by={}),
        ],
    ),
    "refused": made(
        problems=[
            Problem(path("orders"), InvalidReason.Refused, 'Pipeline/orders: spec.steps[0].name: Invalid value: "": must not be empty'),
            Problem(path("broken"), InvalidReason.NotYAML, "line 7: mapping values are not allowed here"),
        ]
    ),
    "unmerged": made(unmerged=[Unmerged(path("orders"), "Pipeline/orders: changed on both branches (spec.schedule)")]),
    "held": made(brought=[Brought(key(f"p{n}"), path(f"p{n}"), "delete", held=True) for n in range(4)]),
    "kept": made(brought=[update("orders", SCHEDULE)], kept=[Kept(key("orders"), ("spec.owner", "spec.enabled"), ALICE), Kept(key("users"), ("spec.owner",), SEVERAL)]),
    "alike": made(alike=2),
    "manual": made(brought=[update("orders", SCHEDULE)], unpruned=1, waits="mode Manual pulls nothing by itself"),
    "signed": made(brought=[update("orders", SCHEDULE)], signatures=Signatures("ann@example.com | @acme", each=True)),
    "unsigned": made(brought=[update("orders", SCHEDULE)], signatures=Signatures(flaw="Unsigned")),
    "untouched-unsigned": made(signatures=Signatures(flaw="UntrustedKey")),
    "redacted": made(brought=[update("orders", *REDACTED)]),
    "many-fields": made(brought=[update("orders", *(FieldValue(f"spec.f{n}", "1", "2") for n in range(20)), more=3)]),
    "hostile": made(
        brought=[update(HOSTILE, FieldValue(HOSTILE, HOSTILE, HOSTILE))],
        conflicts=[conflict(HOSTILE, "BothModified", ConflictValue(HOSTILE, HOSTILE, HOSTILE, None), by={"by": HOSTILE})],
        problems=[Problem(HOSTILE, InvalidReason.Refused, HOSTILE)],
        unmerged=[Unmerged(HOSTILE, HOSTILE)],
        kept=[Kept(key(HOSTILE), [HOSTILE], {"by": HOSTILE, "at": HOSTILE, "editors": [HOSTILE] * 20})],
    ),
}  # fmt: skip


def text_of(findings: Findings, most: int = LARGEST) -> str:
    told = {"namespace": "data", "name": "analytics", "uid": "uid-1", "now": NOW, "most": most}
    return comment_text(findings, findings.verdict, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CASES)
def test_it_reads_as_its_golden_file(name: str) -> None:
    verdict = CASES[name].verdict
    text = f"<!-- {verdict.state.value}: {verdict.description} -->\n{text_of(CASES[name])}"
    file = GOLDEN / f"{name}.md"
    if "GOLDEN" in os.environ:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text


def test_every_golden_file_has_its_case() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == CASES.keys()


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("untouched", CheckState.success, "no pipeline is touched"),
        ("brought", CheckState.success, "merging creates 1, updates 1, deletes 1"),
        ("conflict", CheckState.failure, "2 conflicts with the cluster: gone, orders"),
        ("refused", CheckState.failure, "2 manifests would be left alone"),
        ("unmerged", CheckState.failure, "git can't merge pipelines/orders.yaml"),
        ("held", CheckState.success, "4 deletes held for confirmation"),
        ("alike", CheckState.success, "the cluster holds it already"),
        (
            "manual",
            CheckState.success,
            "once pulled, it updates 1; 1 deleted in git only; mode Manual pulls nothing by itself",
        ),
    ],
)
def test_the_state_and_its_line(name: str, state: CheckState, words: str) -> None:
    assert CASES[name].verdict == Verdict(state, words)


def test_a_line_is_short_and_plain() -> None:
    verdict = made(unmerged=[Unmerged("\x1b[31m" + "p" * 500, "")]).verdict
    assert len(verdict.description) == DESCRIPTION
    assert verdict.description.isprintable()
    assert verdict.against(BASE).description.endswith("…; against 9f8e7d6c5b")
    assert len(verdict.against(BASE).description) == DESCRIPTION
    assert verdict.against("") == verdict


def test_what_has_no_room_is_counted() -> None:
    """However much there is, however long it is, and in however many bytes a letter."""
    wide = "ü€" * 300
    conflicts = [conflict(f"{wide}{n}", "BothModified", ConflictValue(f"f{n}", wide, wide, wide)) for n in range(300)]
    brought = [update(f"{wide}{n}", FieldValue(wide, wide, wide)) for n in range(5_000)]
    problems = [Problem(f"{wide}{n}", InvalidReason.Refused, wide) for n in range(500)]
    kept = [Kept(key(f"{wide}{n}"), [wide] * 50, {"by": wide}) for n in range(500)]
    findings = made(brought=brought, conflicts=conflicts, problems=problems, kept=kept)
    for most in (LARGEST, 32_000):
        text = text_of(findings, most)
        assert len(text.encode()) <= most
        assert re.search(r"and \d+ more conflicts", text)
        assert "and 5000 more pipelines" in text
        assert text.rstrip().endswith(marker("uid-1"))


def test_when_it_was_found_makes_no_other_comment() -> None:
    findings, later = CASES["conflict"], datetime(2027, 1, 1, tzinfo=UTC)
    parts: Any = {"namespace": "data", "name": "analytics", "uid": "uid-1"}
    first = comment_text(findings, findings.verdict, **parts, now=NOW)
    again = comment_text(
        Findings("main", "0" * 40, findings.brought, findings.conflicts), findings.verdict, **parts, now=later
    )
    assert first != again
    assert digest(first) == digest(again)
    assert digest(first) != digest(text_of(CASES["kept"]))


def test_whose_comment_it_is_can_not_be_told_beforehand() -> None:
    assert marker("uid-1") != marker("uid-2")
    assert "uid-1" not in marker("uid-1")


def cells(line: str) -> list[str]:
    """The cells of a row as GitHub's Markdown cuts them: a bar that is escaped ends none."""
    return re.findall(r"(?:\\.|[^|\\])+", line.strip().strip("|"), re.DOTALL)


@given(st.text(max_size=300))
def test_whatever_it_holds_it_stays_one_span_of_code_in_one_cell(text: str) -> None:
    span = code(text)
    assert span.isprintable() or "\u200b" in span
    assert "\n" not in span
    fence = re.match("`+", span)
    assert fence
    inner = span[len(fence[0]) : -len(fence[0])]
    assert span == f"{fence[0]}{inner}{fence[0]}"
    assert fence[0] not in re.findall("`+", inner), "the span ends where it should not"
    assert len(cells(f"| {span} | x |")) == 2
