"""A status stays small, whatever it has to tell."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitintegration.core.bounds import STATUS_BYTES, TOUCHED_SHOWN, bounded, told_history
from gitintegration.core.plan.plan import Plan, PlannedChange
from gitintegration.core.status import ConflictEntry, InvalidEntry, Outcome, build_status, without_lists
from gitintegration.core.values import ObjectKey
from gitintegration.errors import Reason, RemoteError

NOW = datetime(2026, 11, 27, tzinfo=UTC)
texts = st.text(max_size=3) | st.builds(lambda ch, n: ch * n, st.sampled_from('a<\u20ac"\\&'), st.integers(0, 60_000))
ids = st.lists(texts, max_size=4) | st.integers(0, 20_000).map(lambda n: [f"pipeline-{i}" for i in range(n)])
commits = st.lists(
    st.fixed_dictionaries(
        {"sha": texts, "message": texts, "author": texts, "committedAt": texts, "pipelinesTouched": ids}
    ),
    max_size=12,
)


def size(status: Any) -> int:
    """As Go writes it."""
    text = orjson.dumps(status)
    return len(text) + 5 * sum(map(text.count, (b"<", b">", b"&")))


@given(
    st.lists(st.builds(ConflictEntry, texts, texts, texts, texts, texts, ids.map(tuple)), max_size=60),
    st.lists(st.builds(InvalidEntry, texts, texts, texts), max_size=60),
    commits,
    texts,
)
@settings(max_examples=60, deadline=None)
def test_a_status_stays_below_its_bound_and_says_what_it_leaves_out(
    conflicts: list[ConflictEntry], invalid: list[InvalidEntry], history: list[dict[str, Any]], words: str
) -> None:
    error = RemoteError(Reason.PushRejected, words, retry=True)
    outcome = Outcome(1, "Push", error=error, conflicts=conflicts, invalid=invalid, history=history, requested_at="t")
    status = build_status({}, outcome, NOW)
    assert size(status) < STATUS_BYTES
    assert status["conflictCount"] == len(conflicts)
    assert (len(status["conflicts"]) < len(conflicts)) == status.get("conflictsTruncated", False)
    assert (len(status["invalid"]) < len(invalid)) == status.get("invalidTruncated", False)
    for told, commit in zip(status["history"], history, strict=False):
        assert told["pipelinesTouchedCount"] == len(commit["pipelinesTouched"])
        assert len(told["pipelinesTouched"]) <= TOUCHED_SHOWN
    again = build_status(status, Outcome(1, "Push", error=error, history=status["history"], requested_at="t"), NOW)
    assert again["history"] == status["history"], "a restart counts anew"
    assert size(without_lists(status, words)) < STATUS_BYTES // 2


@given(st.lists(st.tuples(texts, ids), max_size=250))
@settings(max_examples=30, deadline=None)
def test_so_does_that_of_an_operation(rows: list[tuple[str, list[str]]]) -> None:
    changes = [
        PlannedChange(ObjectKey("g", "Pipeline", f"n{n}"), text, text, "update", tuple(fields), "c")
        for n, (text, fields) in enumerate(rows)
    ]
    told = Plan("push", "main", changes).to_status()
    assert size(told) < STATUS_BYTES
    assert (len(told["changes"]) < len(changes)) == told.get("changesTruncated", False)


@given(commits)
@settings(max_examples=40, deadline=None)
def test_the_history_of_an_operation_tells_all_ids_that_fit(history: list[dict[str, Any]]) -> None:
    told = told_history(history * 20)
    assert size(told) < STATUS_BYTES
    for entry, commit in zip(told, history * 20, strict=False):
        assert entry["pipelinesTouchedCount"] == len(commit["pipelinesTouched"])


def test_few_commits_of_many_pipelines_are_told_whole() -> None:
    touched = [f"pipeline-{n}" for n in range(2000)]
    commit = {"sha": "a" * 40, "message": "m", "author": "a", "committedAt": "t", "pipelinesTouched": touched}
    assert told_history([commit])[0]["pipelinesTouched"] == touched


@pytest.mark.parametrize("status", [{}, {"conflicts": []}, {"inSync": True, "history": [{"sha": "a"}]}])
def test_what_is_small_stays_as_it_is(status: dict[str, Any]) -> None:
    assert bounded(status) == status
