"""The published schemas; that what commands print on a real cluster is as they say, tests/e2e/test_command_line.py shows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]

from gitintegration.commands import app
from gitintegration.commands.schemas import PRINTED, render_schemas
from tests.bed.printed import check, schema
from tests.bed.world import manifest

SCRIPT = Path(sys.executable).with_name("gitintegration")
COMMANDS = sorted(name for name in app if not name.startswith("-"))


def choices(command: str) -> set[str]:
    """What -o takes."""
    for argument in app[command].assemble_argument_collection():
        if "--output" in argument.names:
            return set(argument.get_choices(force=True) or ())
    return set()


def test_every_command_that_prints_json_has_a_schema() -> None:
    assert {command for command in COMMANDS if "json" in choices(command)} == PRINTED.keys()
    assert {f"{name}.json" for name in PRINTED.values()} <= render_schemas().keys()


@pytest.mark.parametrize("text", render_schemas().values(), ids=list(render_schemas()))
def test_each_is_a_schema_and_has_room_for_later_fields(text: str) -> None:
    made: dict[str, Any] = json.loads(text)
    Draft202012Validator.check_schema(made)
    assert '"additionalProperties": false' not in text
    assert "x-kubernetes-" not in text
    assert made["title"]


def test_what_lint_prints_is_as_its_schema_says(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "a.yaml").write_text(f"{manifest('a')}---\n{manifest('A')}")
    (tmp_path / "pipelines" / "b.yaml").write_text(f"{manifest('b')}---\n{manifest('b')}")
    done = subprocess.run([SCRIPT, "lint", tmp_path, "-o", "json"], capture_output=True, text=True, timeout=60)
    assert [one["line"] for one in check("lint", done.stdout)["problems"]] == [16, None]


@pytest.mark.parametrize("wrong", [{}, {"files": 1, "manifests": 1, "checked": None, "problems": [], "more": 1}])
def test_what_is_not_as_a_schema_says_is_told(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check("lint", json.dumps(wrong))


def test_a_schema_that_is_checked_by_has_no_room() -> None:
    assert schema("lint")["additionalProperties"] is False
