"""Held deletes, label selectors, and from an outcome to the status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitintegration.api.durations import parse_duration
from gitintegration.api.integration import LabelSelector
from gitintegration.core.plan.deletes import DeleteLimit, held
from gitintegration.core.selection import selects
from gitintegration.core.status import ConflictEntry, HeldCopies, HeldDeletes, InvalidEntry, Outcome, build_status
from gitintegration.core.values import ObjectKey
from gitintegration.errors import (
    ClusterUnavailable,
    CredentialError,
    Forbidden,
    Reason,
    RemoteError,
    RemoteUnavailable,
    SpecError,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("limit", "deletes", "known", "empty", "waits"),
    [
        ("50%", 3, 3, False, False),
        ("50%", 4, 8, False, False),
        ("50%", 5, 8, False, True),
        ("0%", 4, 100, False, True),
        ("100%", 9, 9, False, False),
        ("100%", 1, 1, True, True),
        (4, 4, 5, False, False),
        (4, 5, 1000, False, True),
        ("7", 8, 1000, False, True),
        ("50%", 0, 0, True, False),
    ],
)
def test_which_deletes_wait(limit: str | int, deletes: int, known: int, empty: bool, waits: bool) -> None:
    keys = [ObjectKey("g", "K", f"n{n}") for n in range(deletes)]
    more = {"known": known, "side_is_empty": empty, "limit": DeleteLimit.parse(limit)}
    digest = held("cluster", keys, **more, confirmed=None)  # type: ignore[arg-type]
    assert (digest is not None) is waits
    if digest:
        assert held("cluster", keys, **more, confirmed=digest) is None  # type: ignore[arg-type]
        assert held("git", keys, **more, confirmed=digest)  # type: ignore[arg-type]
        assert held("cluster", [*keys, ObjectKey("g", "K", "other")], **more, confirmed=digest) != digest  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("selector", "labels", "wanted"),
    [
        (None, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
    ],
)
def test_selectors(selector: dict[str, Any] | None, labels: dict[str, str], wanted: bool) -> None:
    parsed = LabelSelector.model_validate(selector) if selector else None
    assert selects(parsed, {"metadata": {"labels": labels}}) is wanted
    assert selects(parsed, None) is False


CONFLICT = ConflictEntry("Pipeline", "orders", "orders", "p/orders.yaml", "BothModified", ("spec.owner",))


@pytest.mark.parametrize(
    ("outcome", "ready", "others", "words"),
    [
        (
            Outcome(1, "Bidirectional", pipelines=2),
            ("True", "Succeeded"),
            {"InSync": "True"},
            "2 pipelines are the same",
        ),
        (
            Outcome(1, "Pull", local_ahead=1),
            ("True", "Succeeded"),
            {"InSync": "False"},
            "mode Pull does not write to git",
        ),
        (
            Outcome(1, "", suspended=True),
            ("True", "Suspended"),
            {"Stalled": None, "Reconciling": None},
            "spec.enabled",
        ),
        (
            Outcome(1, "", conflicts=[CONFLICT]),
            ("False", "Conflicts"),
            {"Stalled": "True", "InSync": "False"},
            "spec.strategy",
        ),
        (
            Outcome(1, "", invalid=[InvalidEntry("p/a.yaml", "NotYAML", "line 1")]),
            ("False", "InvalidManifests"),
            {"Stalled": "True"},
            "p/a.yaml: line 1",
        ),
        (
            Outcome(1, "", held=[HeldDeletes("git", 5, 6, "abc", ("a", "b", "c", "d", "e"))], conflicts=[CONFLICT]),
            ("False", "DeletesHeld"),
            {"Stalled": "True"},
            "confirmDeletes=abc",
        ),
        (
            Outcome(1, "", held=[HeldCopies("a/", "b/", 5, 6, "abc")]),
            ("False", "PrefixChanged"),
            {"Stalled": "True", "InSync": "False"},
            "was 'a/', and 5 of 6 pipelines would be copied to 'b/'; nothing was copied, and what lies below the old one stays; "
            'to keep the old one (kubectl -n NAMESPACE patch gitintegration NAME --type=merge -p \'{"spec":{"pathPrefix":"OLD"}}\'). '
            "If that is meant: kubectl -n NAMESPACE annotate gitintegration NAME planasonix.com/confirmDeletes=abc",
        ),
        (
            Outcome(1, "", elsewhere="none lies below 'p/'"),
            ("True", "EmptyPrefix"),
            {"InSync": "True", "Stalled": None},
            "0 pipelines are the same in the cluster and in git; none lies below 'p/'",
        ),
        (
            Outcome(1, "", refusals=[Forbidden("pipelines is forbidden")]),
            ("False", "Forbidden"),
            {"InSync": "False"},
            "forbidden",
        ),
        (
            Outcome(1, "", error=SpecError(Reason.InvalidSpec, "mend it"), observed=False),
            ("False", "InvalidSpec"),
            {"Stalled": "True", "Reconciling": None, "InSync": "Unknown"},
            "mend it",
        ),
        (
            Outcome(1, "", error=CredentialError(Reason.SecretNotFound, "no Secret"), observed=False),
            ("False", "SecretNotFound"),
            {"Stalled": "True"},
            "no Secret",
        ),
        (
            Outcome(1, "", error=RemoteUnavailable(Reason.Timeout, "slow"), observed=False),
            ("False", "Timeout"),
            {"Reconciling": "True", "Stalled": None, "Connected": "False"},
            "slow",
        ),
        (
            Outcome(1, "", error=RemoteError(Reason.PushRejected, "declined", retry=True), local_ahead=1),
            ("False", "PushRejected"),
            {"Connected": "True", "InSync": "False", "Reconciling": "True"},
            "declined",
        ),
        (
            Outcome(1, "", error=ClusterUnavailable("away"), observed=False),
            ("False", "NetworkUnreachable"),
            {"Connected": None, "Reconciling": "True"},
            "away",
        ),
        (
            Outcome(1, "", rewritten="the branch was rewritten", pipelines=1),
            ("True", "Succeeded"),
            {"InSync": "True"},
            "1 pipeline is the same",
        ),
    ],
)
def test_conditions(outcome: Outcome, ready: tuple[str, str], others: dict[str, str | None], words: str) -> None:
    status = build_status({}, outcome, NOW)
    found = {c["type"]: c for c in status["conditions"]}
    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ready
    assert words.replace("spec.strategy", "spec.sync.strategy") in found["Ready"]["message"]
    assert {kind: found[kind]["status"] if kind in found else None for kind in others} == others
    assert all(c["observedGeneration"] == 1 for c in status["conditions"])


def test_a_status_is_written_anew_only_where_it_says_something_new() -> None:
    outcome = Outcome(
        1, "Bidirectional", pipelines=1, connection={"reachable": True, "latencyMs": 5}, remote_commit="c"
    )
    first = build_status({}, outcome, NOW)
    slower = Outcome(1, "Bidirectional", pipelines=1, connection={"reachable": True, "latencyMs": 9}, remote_commit="c")
    assert build_status(first, slower, NOW + timedelta(minutes=9)) == first
    refreshed = build_status(first, slower, NOW + timedelta(minutes=11))
    assert {k for k in refreshed if refreshed[k] != first[k]} == {"lastSyncAt", "lastSuccessfulSyncAt"}
    failed = build_status(
        first, Outcome(1, "", error=ClusterUnavailable("away"), observed=False), NOW + timedelta(minutes=1)
    )
    assert failed["pipelineCount"] == 1
    assert failed["lastSuccessfulSyncAt"] == first["lastSuccessfulSyncAt"]
    assert failed["lastSyncAt"] == first["lastSyncAt"]
    assert first["inSync"] is True
    assert "inSync" not in failed
    ready = {c["type"]: c for c in failed["conditions"]}["Ready"]
    assert ready["lastTransitionTime"] == "2026-01-02T03:05:05Z"
    again = Outcome(1, "", error=ClusterUnavailable("away"), observed=False)
    assert build_status(failed, again, NOW + timedelta(hours=1)) == failed
    assert "lastSyncAt" not in build_status({}, again, NOW)


def test_the_branch_is_that_of_the_spec_or_else_the_remotes_own() -> None:
    seen = Outcome(1, "", connection={"reachable": True, "defaultBranch": "trunk"})
    assert build_status({}, seen, NOW, branch="main")["branch"] == "main"
    told = build_status({}, seen, NOW)
    assert told["branch"] == "trunk"
    assert build_status(told, Outcome(1, "", suspended=True), NOW)["branch"] == "trunk"
    away = Outcome(1, "", error=ClusterUnavailable("away"), connection={"reachable": False}, observed=False)
    assert build_status(told, away, NOW)["branch"] == "trunk"
    assert "branch" not in build_status({}, away, NOW)


def test_lists_are_cut_and_say_so() -> None:
    conflicts = [ConflictEntry("P", f"n{n:03}", "", "", "BothModified", ()) for n in range(60)]
    status = build_status({}, Outcome(1, "", conflicts=conflicts), NOW)
    assert (len(status["conflicts"]), status["conflictsTruncated"], status["conflictCount"]) == (50, True, 60)
    assert "conflictsTruncated" not in build_status(status, Outcome(1, "", conflicts=conflicts[:2]), NOW)


@pytest.mark.parametrize(("text", "seconds"), [("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("0s", 0)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "5m ", "1d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
