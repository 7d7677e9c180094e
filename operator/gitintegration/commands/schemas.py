"""JSON Schemas of what commands print with `-o json`, published in docs/schemas: what a script may count on.

They say what is there, and leave open what may come beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

import yaml
from pydantic import Field, TypeAdapter

from gitintegration.api.base_model import GROUP, Model
from gitintegration.api.crd import render_crds
from gitintegration.api.integration_status import HistoryEntry
from gitintegration.api.operation import BlamedField, BlameStatus, PlannedChange, PlannedFile
from gitintegration.commands.diagnosis import State
from gitintegration.commands.inspection import Report

PRINTED: Mapping[str, str] = {
    "blame": "blame",
    "confirm": "gitintegration",
    "diff": "diff",
    "doctor": "doctor",
    "history": "gitoperation",
    "init": "gitintegration",
    "lint": "lint",
    "pull": "gitoperation",
    "push": "gitoperation",
    "restore": "gitoperation",
    "resume": "gitintegration",
    "show": "show",
    "status": "gitintegrations",
    "suspend": "gitintegration",
    "trace": "blame",
}
"""The schema of each command that has -o json."""
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


class PlannedSide(Model):
    """What a push would commit, or a pull would bring."""

    kind: Literal["push", "pull"] = Field(description="Which of them.")
    operation: str = Field(description="The GitOperation, a dry run, that found it.")
    changes: list[PlannedChange] = Field(description="By path and name.")
    files: list[PlannedFile] = Field(description="Of a push: what becomes of each file.")


class ShownCommit(Model):
    """One commit, with what it changed in pipelines."""

    commit: HistoryEntry = Field(description="The commit.")
    changes: list[PlannedChange] = Field(description="By path and name.")
    files: list[PlannedFile] = Field(description="What became of each file.")


class Blamed(BlameStatus):
    """Where a pipeline, and each of its fields, comes from."""

    fields: list[BlamedField] = Field(description="In the order of its manifest.")  # type: ignore[assignment]


class CheckedPart(Model):
    """How one thing is that was looked at."""

    check: str = Field(description="What was looked at.")
    state: State = Field(description="How it is; unknown: it could not be looked at.")
    message: str = Field(description="What was found.")
    remedy: str | None = Field(None, description="The command that mends it.")


def render_schemas() -> dict[str, str]:
    """File name -> text."""
    return {f"{name}.json": json.dumps(make(), indent=2, ensure_ascii=False) + "\n" for name, make in _SCHEMAS.items()}


def render_list() -> str:
    """Which schema each command has, in Markdown."""
    rows = [
        f"| `gitintegration {command} -o json` | [{name}.json](schemas/{name}.json) |"
        for command, name in PRINTED.items()
    ]
    return "\n".join(["| command | JSON Schema of what it prints |", "| --- | --- |", *rows])


def _resource(plural: str) -> dict[str, Any]:
    """A resource by its CRD."""
    crd = yaml.safe_load(render_crds()[f"{GROUP}_{plural}.yaml"])
    (version,) = crd["spec"]["versions"]
    made = _as_json_schema(version["schema"]["openAPIV3Schema"])
    return {"$schema": _DRAFT, "title": crd["spec"]["names"]["kind"], **made}


def _as_json_schema(node: Any) -> Any:
    """Without what Kubernetes alone understands."""
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {name: _as_json_schema(inner) for name, inner in node.items() if not _is_kubernetes(name, inner)}
    if node.get("x-kubernetes-int-or-string") is True:
        made["type"] = ["integer", "string"]
    if made.pop("nullable", False) is True:
        made["type"] = [made["type"], "null"]
    return made


def _is_kubernetes(name: str, value: object) -> bool:
    """Whether it is a keyword of theirs, and no field."""
    return name.startswith("x-kubernetes-") and not (isinstance(value, dict))


def _integrations() -> dict[str, Any]:
    return {
        "$schema": _DRAFT,
        "title": "List of GitIntegrations",
        "type": "object",
        "required": ["apiVersion", "kind", "items"],
        "properties": {
            "apiVersion": {"const": "v1"},
            "kind": {"const": "List"},
            "items": {"type": "array", "items": {"$ref": "gitintegration.json"}},
        },
    }


def _of(kind: Any, title: str) -> dict[str, Any]:
    made: dict[str, Any] = _opened(TypeAdapter(kind).json_schema(by_alias=True))
    return {"$schema": _DRAFT, **made, "title": title}


def _opened(node: Any) -> Any:
    """With room for fields that a later version adds, and without titles that repeat a name."""
    if isinstance(node, list):
        return [_opened(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _opened(inner)
        for name, inner in node.items()
        if not (name == "additionalProperties" and inner is False) and not (name == "title" and isinstance(inner, str))
    }


_SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "blame": lambda: _of(Blamed, "Where a pipeline comes from"),
    "diff": lambda: _of(list[PlannedSide], "What would travel, either way"),
    "doctor": lambda: _of(list[CheckedPart], "What was looked at"),
    "gitintegration": lambda: _resource("gitintegrations"),
    "gitintegrations": _integrations,
    "gitoperation": lambda: _resource("gitoperations"),
    "lint": lambda: _of(Report, "What the operator would leave alone"),
    "show": lambda: _of(ShownCommit, "A commit, and what it changed in pipelines"),
}
