"""How the findings of `gitintegration lint` are told: to people, programs, forges and editors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from gitintegration.commands.inspection import Finding, Report
from gitintegration.commands.lint import Output
from gitintegration.core.text import plain


def _text(report: Report) -> str:
    return "\n".join([*(f"{each.place}: {each.reason}: {each.message}" for each in report.problems), report.words])


def _json(report: Report) -> str:
    return json.dumps(asdict(report), indent=2)


def _sarif(report: Report) -> str:
    """SARIF 2.1.0, which forges and editors show beside the files."""
    driver = {
        "name": "gitintegration lint",
        "rules": [{"id": reason} for reason in sorted({each.reason.value for each in report.problems})],
    }
    results = [
        {
            "ruleId": each.reason.value,
            "level": "error",
            "message": {"text": each.message},
            "locations": [{"physicalLocation": _location(each)}],
        }
        for each in report.problems
    ]
    run = {"tool": {"driver": driver}, "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


def _location(finding: Finding) -> dict[str, Any]:
    region = {} if finding.line is None else {"region": {"startLine": finding.line}}
    return {"artifactLocation": {"uri": quote(finding.path), "uriBaseId": "%SRCROOT%"}, **region}


def _github(report: Report) -> str:
    """Commands of a workflow's log, in which `%`, line ends, and in a property `:` and `,` have a meaning."""
    return "\n".join([*map(_annotation, report.problems), report.words])


def _annotation(finding: Finding) -> str:
    line = "" if finding.line is None else f",line={finding.line}"
    title = _escaped(finding.reason.value, ":,")
    return f"::error file={_escaped(plain(finding.path), ':,')}{line},title={title}::{_escaped(finding.message)}"


def _escaped(text: str, more: str = "") -> str:
    return "".join(f"%{ord(sign):02X}" if sign in f"%\r\n{more}" else sign for sign in text)


VIEWS: Mapping[Output, Callable[[Report], str]] = {
    Output.text: _text,
    Output.json: _json,
    Output.sarif: _sarif,
    Output.github: _github,
}
