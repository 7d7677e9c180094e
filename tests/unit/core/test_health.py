"""How tools judge our statuses, state by state: kstatus by its own library, Argo CD by the check that docs/health.md gives it."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import lupa
import pytest
import yaml

from gitintegration.api.crd import render_crds
from gitintegration.core.plan.plan import conditions
from gitintegration.core.status import (
    ConflictEntry,
    HeldCopies,
    HeldDeletes,
    InvalidEntry,
    Outcome,
    build_status,
    without_lists,
)
from gitintegration.errors import (
    NEEDS_A_PERSON,
    CredentialError,
    Forbidden,
    Reason,
    RemoteError,
    RemoteUnavailable,
    SpecError,
)
from tests.bed.cluster import ROOT
from tests.bed.kstatus import judged

NOW = datetime(2026, 1, 2, tzinfo=UTC)
MOMENT = "2026-01-02T00:00:00Z"
Object = dict[str, Any]


@functools.cache
def fresh(kind: str) -> Mapping[str, Any]:
    """The status that the API server gives to one that is made."""
    (crd,) = (c for c in map(yaml.safe_load, render_crds().values()) if c["spec"]["names"]["kind"] == kind)
    default: Mapping[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"][
        "default"
    ]
    return default


def one(kind: str, status: Mapping[str, Any] | None = None, **metadata: Any) -> Object:
    return {
        "apiVersion": "planasonix.com/v1alpha1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "data", "generation": 1, **metadata},
        "spec": {},
        "status": dict(fresh(kind) if status is None else status),
    }


def synced(previous: Mapping[str, Any] | None = None, **outcome: Any) -> Object:
    before = fresh("GitIntegration") if previous is None else previous
    return one("GitIntegration", build_status(before, Outcome(1, "Bidirectional", **outcome), NOW))


def operation(succeeded: str, reason: str) -> Object:
    return one(
        "GitOperation", {"observedGeneration": 1, "conditions": conditions({}, succeeded, reason, "why", 1, MOMENT)}
    )


WELL = build_status(fresh("GitIntegration"), Outcome(1, "Bidirectional", pipelines=2), NOW)
CONFLICT = ConflictEntry("Pipeline", "orders", "orders", "p/orders.yaml", "BothModified", ("spec.owner",))
REFUSED = RemoteError(Reason.AuthenticationFailed, "renew it", retry=True)
MISSING = CredentialError(Reason.SecretNotFound, "make it")
PROGRESS, FINE, TROUBLE = ("InProgress", "Progressing"), ("Current", "Healthy"), ("Failed", "Degraded")
STATES: dict[str, tuple[Object, tuple[str, str]]] = {
    "new": (one("GitIntegration"), PROGRESS),
    "new, an operation runs": (
        one("GitIntegration", {**fresh("GitIntegration"), "activeOperation": {"id": "op"}}),
        PROGRESS,
    ),
    "in sync": (one("GitIntegration", WELL), FINE),
    "in sync, rewritten": (synced(rewritten="it was rewritten"), FINE),
    "ahead": (synced(local_ahead=1), FINE),
    "changed, not looked at": (one("GitIntegration", WELL, generation=2), PROGRESS),
    "suspended": (synced(WELL, suspended=True), ("Current", "Suspended")),
    "suspended from the start": (synced(suspended=True), ("Current", "Suspended")),
    "suspended in trouble": (synced(synced(conflicts=[CONFLICT])["status"], suspended=True), ("Current", "Suspended")),
    "first sync times out": (synced(error=RemoteUnavailable(Reason.Timeout, "slow"), observed=False), PROGRESS),
    "a later one times out": (synced(WELL, error=RemoteUnavailable(Reason.Timeout, "slow"), observed=False), PROGRESS),
    "push is tried again": (synced(error=RemoteError(Reason.PushRejected, "no", retry=True), local_ahead=1), PROGRESS),
    "token refused": (synced(WELL, error=REFUSED, observed=False), TROUBLE),
    "token refused from the start": (synced(error=REFUSED, observed=False), TROUBLE),
    **{
        f"a person must act: {reason}": (
            synced(WELL, error=RemoteError(reason, "x", retry=True), observed=False),
            TROUBLE,
        )
        for reason in sorted(NEEDS_A_PERSON)
    },
    **{
        f"it passes: {reason}": (synced(WELL, error=RemoteError(reason, "x", retry=True), observed=False), PROGRESS)
        for reason in (Reason.NetworkUnreachable, Reason.Timeout, Reason.RateLimited, Reason.RemoteBehind)
    },
    "no Secret": (synced(WELL, error=MISSING, observed=False), TROUBLE),
    "no good spec": (synced(error=SpecError(Reason.InvalidSpec, "mend it"), observed=False), TROUBLE),
    "conflicts": (synced(conflicts=[CONFLICT]), TROUBLE),
    "invalid manifests": (synced(invalid=[InvalidEntry("p/a.yaml", "NotYAML", "line 1")]), TROUBLE),
    "nothing below the prefix": (synced(elsewhere="none lies below 'p/'"), FINE),
    "copies held": (synced(held=[HeldCopies("a/", "b/", 5, 6, "abc")]), TROUBLE),
    "deletes held": (synced(held=[HeldDeletes("git", 5, 6, "abc")]), TROUBLE),
    "no right to a kind": (synced(refusals=[Forbidden("pipelines is forbidden")]), TROUBLE),
    "status too large": (one("GitIntegration", without_lists(WELL, "413")), TROUBLE),
    "status too large while it is tried again": (
        one(
            "GitIntegration",
            without_lists(synced(error=RemoteUnavailable(Reason.Timeout, "slow"), observed=False)["status"], "413"),
        ),
        TROUBLE,
    ),
    "mended": (synced(synced(WELL, error=MISSING, observed=False)["status"], pipelines=2), FINE),
    "operation, new": (one("GitOperation"), PROGRESS),
    "operation, waits": (operation("Unknown", "IntegrationNotFound"), PROGRESS),
    "operation, runs": (operation("Unknown", "Progressing"), PROGRESS),
    "operation, succeeded": (operation("True", "Succeeded"), FINE),
    "operation, failed": (operation("False", "Conflicts"), TROUBLE),
    "pipeline": ({**one("GitIntegration"), "kind": "Pipeline", "status": {}}, ("Current", "")),
    "being deleted": (one("GitIntegration", WELL, deletionTimestamp=MOMENT), ("Terminating", "Healthy")),
}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, tuple[str, str]]:
    return dict(zip(STATES, judged([made for made, _ in STATES.values()]), strict=True))


@pytest.mark.parametrize("state", STATES)
def test_kstatus(state: str, verdicts: dict[str, tuple[str, str]]) -> None:
    made, (expected, _) = STATES[state]
    found, message = verdicts[state]
    assert found == expected, message
    if expected == "Failed":
        told = {c["type"]: c["message"] for c in made["status"]["conditions"]}
        assert message == told["Ready"]


@functools.cache
def checks() -> Mapping[str, str]:
    (block,) = re.findall(r"```yaml\n(data:.*?)```", (ROOT / "docs" / "health.md").read_text(), re.DOTALL)
    data: dict[str, str] = yaml.safe_load(block)["data"]
    return {name.rsplit("_", 1)[1]: text for name, text in data.items()}


@pytest.mark.parametrize("state", [state for state, (_, (_, argo)) in STATES.items() if argo])
def test_argo_cd(state: str) -> None:
    made, (_, expected) = STATES[state]
    lua: Any = lupa.LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(made, recursive=True)
    health = lua.execute(checks()[made["kind"]])
    assert health.status == expected
    ready = [c["message"] for c in made["status"].get("conditions", ()) if c["type"] == "Ready"]
    if ready and made["status"]["observedGeneration"] == made["metadata"]["generation"]:
        assert health.message == ready[0]


def test_one_that_ran_keeps_when_it_changed() -> None:
    before = {"conditions": conditions({}, "Unknown", "Progressing", "it runs", 1, MOMENT)}
    later = conditions(before, "Unknown", "Progressing", "it runs still", 1, "2026-01-03T00:00:00Z")
    assert {c["lastTransitionTime"] for c in later} == {MOMENT}
    ended = conditions(before, "False", "Timeout", "slow", 1, "2026-01-03T00:00:00Z")
    assert {c["type"]: c["status"] for c in ended} == {
        "Succeeded": "False",
        "Ready": "False",
        "Failed": "True",
        "Stalled": "True",
    }
    assert {c["lastTransitionTime"] for c in ended} == {"2026-01-03T00:00:00Z"}
    assert ended[0]["type"] == "Succeeded"
