"""What `gitintegration doctor` finds, as values: how each thing that was looked at is, and the command that mends it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gitintegration.commands import DIFFERENT, FAILED, OK
from gitintegration.messages import named

INSTALL = "kubectl apply --server-side -k manifests/"
_SUPPORTED = (1, 30)
_NAMED = 5


class State(StrEnum):
    ok = "ok"
    unknown = "unknown"
    warn = "warn"
    bad = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    state: State
    words: str
    remedy: str = ""

    @property
    def told(self) -> str:
        """In a line."""
        return f"{self.words}; {self.remedy}" if self.remedy else self.words

    def to_json(self) -> dict[str, str]:
        told = {"check": self.check, "state": self.state.value, "message": self.words}
        return {**told, **({"remedy": self.remedy} if self.remedy else {})}


def ok(check: str, words: str) -> Finding:
    return Finding(check, State.ok, words)


def unseen(check: str, words: str, command: str) -> Finding:
    """What the caller may not see is nobody's fault: another may be asked."""
    return Finding(check, State.unknown, words, f"ask an administrator to run: {command}")


def code_of(findings: Sequence[Finding]) -> int:
    """The exit code: 2 where something is bad, 1 where something is to be looked at."""
    states = {finding.state for finding in findings}
    return FAILED if State.bad in states else DIFFERENT if State.warn in states else OK


def server(version: Mapping[str, Any]) -> Finding:
    """Of the API server, by what it says at /version."""
    found = tuple(int("".join(filter(str.isdigit, str(version.get(part) or 0))) or 0) for part in ("major", "minor"))
    words = f"the API server is Kubernetes {version.get('gitVersion')}"
    if found < _SUPPORTED:
        least = ".".join(map(str, _SUPPORTED))
        return Finding("version", State.bad, words, f"upgrade the cluster: {least} is the least that is supported")
    return ok("version", words)


def operator(answered: Sequence[str], mine: str, namespace: str) -> Finding:
    """Of the operator, by the versions that it answered tests with; `mine` is the command's."""
    if not answered:
        return unseen(
            "version",
            "the operator's version is not known",
            f"kubectl -n {namespace} get deployments -l app.kubernetes.io/name=gitintegration -o wide",
        )
    others = sorted(set(answered) - {mine})
    if others:
        words = f"the operator is {' and '.join(others)}, this command {mine}"
        return Finding("version", State.warn, words, f"bring both to one release: {INSTALL}")
    return ok("version", f"the operator is {mine}")


def lacking(wanted: Mapping[str, Any], served: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """The fields of a schema that another lacks, or has of another type."""
    if wanted.get("type") and served.get("type") and wanted["type"] != served["type"]:
        yield at
        return
    there = served.get("properties") or {}
    for name, field in (wanted.get("properties") or {}).items():
        place = f"{at}.{name}" if at else name
        if name not in there:
            yield place
        else:
            yield from lacking(field, there[name], place)
    for inner in ("items", "additionalProperties"):
        if isinstance(wanted.get(inner), Mapping) and isinstance(served.get(inner), Mapping):
            yield from lacking(wanted[inner], served[inner], f"{at}[]")


def definition(
    name: str, wanted: Mapping[str, Any], served: Mapping[str, Any] | None, stored: Mapping[str, Any] | None
) -> Finding:
    """Of a CRD: its schema as it is wanted, as the API server publishes it, and as it is stored, where that may be seen."""
    if served is None and stored is None:
        return Finding("crds", State.bad, f"{name} is not there", INSTALL)
    lacks = list(lacking(wanted, stored if stored is not None else served or {}))
    if lacks:
        words = f"{name} is of another release: it lacks {named(lacks, _NAMED)}"
        return Finding("crds", State.bad, words, INSTALL)
    if stored is not None and stored != wanted:
        words = f"{name} is not the one that this version of the command wants"
        return Finding("crds", State.warn, words, f"where this version is the newer one: {INSTALL}")
    return ok("crds", f"{name} has every field that this version wants" if stored is None else f"{name} is as wanted")


def rights(what: str, resource: str, missing: Sequence[str] | None, all_of: Sequence[str], grant: str) -> Finding:
    """Of what somebody may do with a kind; None: that could not be asked."""
    if missing is None:
        return unseen("rights", f"whether {what} may use {resource} is not known", grant)
    if missing:
        words = f"{what} may not {', '.join(missing)} {resource}"
        return Finding("rights", State.warn, words, f"ask an administrator to run: {grant}")
    return ok("rights", f"{what} may {', '.join(all_of)} {resource}")


def lease(name: str, holder: str, *, moved: bool, namespace: str) -> Finding:
    """Of a Lease that was looked at twice; `moved`: it was renewed in between."""
    look = f"kubectl -n {namespace} get pods -l app.kubernetes.io/name=gitintegration"
    if not holder:
        return Finding("lease", State.bad, f"nobody holds the Lease {name}: no operator works", look)
    if not moved:
        words = f"{holder} holds the Lease {name} and does not renew it: it works no more"
        return Finding("lease", State.bad, words, look)
    return ok("lease", f"{holder} holds the Lease {name} and renews it")


def policies(
    kind: str, wanted: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]] | None
) -> Finding:
    """Of admission policies, or bindings, by their names; `found`: None where they may not be seen."""
    if found is None:
        return unseen("policies", f"whether the {kind}s are there is not known", f"kubectl get {kind.lower()}s")
    if gone := sorted(wanted.keys() - found.keys()):
        return Finding("policies", State.bad, f"{kind} {named(gone, _NAMED)} is not there", INSTALL)
    if others := sorted(name for name, spec in wanted.items() if not _holds(found[name], spec)):
        words = f"{kind} {named(others, _NAMED)} is not as this version has it"
        return Finding("policies", State.warn, words, f"where that was not meant: {INSTALL}")
    return ok("policies", f"all {len(wanted)} {kind}s are there")


def _holds(found: Any, wanted: Any) -> bool:
    """Whether a value holds another: what a server adds by itself, a default say, is no difference."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_holds(found.get(name), inner) for name, inner in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_holds, found, wanted))
    return bool(found == wanted)


def repository(integration: str, namespace: str, operation: Mapping[str, Any] | None, seconds: float) -> Finding:
    """Of an integration's repository, by a test of it; None: it has not ended in so many seconds."""
    if operation is None:
        words = f"{integration}: the operator has not answered within {seconds:g} s"
        look = "kubectl get pods -A -l app.kubernetes.io/name=gitintegration"
        return Finding("repository", State.bad, words, f"see whether it runs: {look}")
    status = operation["status"]
    said = next((c["message"] for c in status.get("conditions") or () if c["type"] == "Succeeded"), "")
    told = status.get("test") or {}
    if status.get("phase") != "Succeeded":
        return Finding("repository", State.bad, f"{integration}: {said}")
    if "write" not in (told.get("permissions") or ()):
        look = f"kubectl gitintegration status {integration} -n {namespace}"
        return Finding("repository", State.warn, f"{integration}: {said}", look)
    latency = f" in {told['latencyMs']} ms" if "latencyMs" in told else ""
    return ok("repository", f"{integration}: {said}{latency}")


def conditions(integration: Mapping[str, Any]) -> Finding:
    """Of how an integration stands, the most pressing of it."""
    name, namespace = integration["metadata"]["name"], integration["metadata"]["namespace"]
    status = integration.get("status") or {}
    told = {c["type"]: c for c in status.get("conditions") or ()}
    ready = told.get("Ready")
    look = f"kubectl gitintegration status {name} -n {namespace}"
    if ready is None:
        words = f"{name}: no operator has looked at it yet"
        return Finding("status", State.bad, words, "kubectl get pods -A -l app.kubernetes.io/name=gitintegration")
    said = f"{name}: {ready['reason']}: {ready.get('message', '')}"
    if ready["status"] != "True":
        return Finding("status", State.bad, said)
    if status.get("observedGeneration") != integration["metadata"]["generation"]:
        return Finding("status", State.warn, f"{name}: its spec was changed and not looked at since", look)
    if ready["reason"] != "Succeeded":
        return Finding("status", State.warn, said)
    return ok("status", said)
