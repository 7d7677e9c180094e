"""What doctor makes of what it is told."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from gitintegration.api.crd import render_crds
from gitintegration.api.policy import render_policies
from gitintegration.commands import diagnosis
from gitintegration.commands.diagnosis import Finding, State

WANTED = {
    text["metadata"]["name"]: text["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for text in map(yaml.safe_load, render_crds().values())
}
NAME = "gitintegrations.planasonix.com"


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], 0),
        ([State.ok, State.unknown], 0),
        ([State.ok, State.warn, State.unknown], 1),
        ([State.warn, State.bad], 2),
    ],
)
def test_the_exit_code_is_the_worst(states: list[State], code: int) -> None:
    assert diagnosis.code_of([Finding("c", state, "w") for state in states]) == code


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ({"major": "1", "minor": "30", "gitVersion": "v1.30.0"}, State.ok),
        ({"major": "1", "minor": "31+", "gitVersion": "v1.31.2-eks-1"}, State.ok),
        ({"major": "2", "minor": "0", "gitVersion": "v2.0.0"}, State.ok),
        ({"major": "1", "minor": "29", "gitVersion": "v1.29.9"}, State.bad),
        ({"major": "", "minor": None}, State.bad),
        ({}, State.bad),
    ],
)
def test_the_api_server(version: dict[str, Any], state: State) -> None:
    assert diagnosis.server(version).state is state


@pytest.mark.parametrize(
    ("answered", "state", "word"),
    [
        (["1.2.3", "1.2.3"], State.ok, "the operator is 1.2.3"),
        (["1.2.2"], State.warn, "the operator is 1.2.2, this command 1.2.3"),
        (["1.2.3", "1.2.2"], State.warn, "1.2.2"),
        ([], State.unknown, "ask an administrator"),
    ],
)
def test_the_operator(answered: list[str], state: State, word: str) -> None:
    found = diagnosis.operator(answered, "1.2.3", "gitintegration-system")
    assert (found.state, word in found.told) == (state, True)


def without(schema: dict[str, Any], *path: str) -> dict[str, Any]:
    made = copy.deepcopy(schema)
    at = made
    for name in path[:-1]:
        at = at["properties"][name]
    del at["properties"][path[-1]]
    return made


def test_a_definition_that_is_as_wanted() -> None:
    schema = WANTED[NAME]
    assert diagnosis.definition(NAME, schema, None, schema).state is State.ok
    assert diagnosis.definition(NAME, schema, schema, None).state is State.ok


def test_a_definition_that_is_not() -> None:
    schema = WANTED[NAME]
    older = without(schema, "spec", "suspend")
    for told in (diagnosis.definition(NAME, schema, older, None), diagnosis.definition(NAME, schema, None, older)):
        assert (told.state, "lacks spec.suspend" in told.words) == (State.bad, True)
        assert told.remedy == "kubectl apply --server-side -k manifests/"
    newer = diagnosis.definition(NAME, older, None, schema)
    assert (newer.state, "not the one" in newer.words) == (State.warn, True)
    assert diagnosis.definition(NAME, older, schema, None).state is State.ok
    assert diagnosis.definition(NAME, schema, None, None).state is State.bad


def test_a_field_of_another_type_is_one_that_lacks() -> None:
    wanted = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"properties": {"b": {"type": "string"}}}}},
    }
    served = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"properties": {"b": {"type": "integer"}}}}},
    }
    assert list(diagnosis.lacking(wanted, served)) == ["a[].b"]
    assert list(diagnosis.lacking(wanted, wanted)) == []


def policies(kind: str) -> dict[str, Any]:
    documents = yaml.safe_load_all(render_policies())
    return {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == kind}


def test_policies() -> None:
    wanted = policies("ValidatingAdmissionPolicy")
    stored = {name: {**spec, "byTheServer": True} for name, spec in wanted.items()} | {"somebody-elses": {}}
    assert diagnosis.policies("P", wanted, stored).state is State.ok
    assert diagnosis.policies("P", wanted, None).state is State.unknown
    first = min(wanted)
    gone = diagnosis.policies("P", wanted, {name: spec for name, spec in stored.items() if name != first})
    assert (gone.state, first in gone.words) == (State.bad, True)
    other = diagnosis.policies("P", wanted, {**stored, first: {**wanted[first], "validations": []}})
    assert (other.state, first in other.words) == (State.warn, True)


@pytest.mark.parametrize(("missing", "state"), [([], State.ok), (["patch"], State.warn), (None, State.unknown)])
def test_rights(missing: list[str] | None, state: State) -> None:
    found = diagnosis.rights("you", "pipelines", missing, ("get", "patch"), "kubectl create rolebinding x")
    assert found.state is state
    assert ("kubectl create rolebinding x" in found.told) is (state is not State.ok)


def test_leases() -> None:
    held = ("gitintegration", "pod-1")
    assert diagnosis.lease(*held, moved=True, namespace="ns").state is State.ok
    assert diagnosis.lease(*held, moved=False, namespace="ns").state is State.bad
    assert diagnosis.lease("gitintegration", "", moved=True, namespace="ns").state is State.bad


def operation(phase: str, **test: Any) -> dict[str, Any]:
    return {
        "status": {"phase": phase, "test": test, "conditions": [{"type": "Succeeded", "message": "it said; do that"}]}
    }


@pytest.mark.parametrize(
    ("done", "state"),
    [
        (operation("Succeeded", permissions=["read", "write"], latencyMs=4), State.ok),
        (operation("Succeeded", permissions=["read"]), State.warn),
        (operation("Failed", reachable=False), State.bad),
        (None, State.bad),
    ],
)
def test_repositories(done: dict[str, Any] | None, state: State) -> None:
    found = diagnosis.repository("gi", "data", done, 60)
    assert (found.state, found.words.startswith("gi: ")) == (state, True)


def integration(status: str, reason: str, observed: int = 3) -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "reason": reason, "message": "so it is"}
    told = {"observedGeneration": observed, "conditions": [ready]}
    return {"metadata": {"name": "gi", "namespace": "data", "generation": 3}, "status": told}


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (integration("True", "Succeeded"), State.ok),
        (integration("True", "Suspended"), State.warn),
        (integration("True", "Succeeded", observed=2), State.warn),
        (integration("False", "Conflicts"), State.bad),
        ({**integration("True", "Succeeded"), "status": None}, State.bad),
    ],
)
def test_how_integrations_stand(seen: dict[str, Any], state: State) -> None:
    assert diagnosis.conditions(seen).state is state
