"""What an end means to a script, and what is decided of a conflict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gitintegration.commands.operation import code_of
from gitintegration.commands.resolve import settled
from gitintegration.errors import GitIntegrationError

CHANGE = {"kind": "Pipeline", "name": "a", "action": "update"}


@pytest.mark.parametrize(
    ("status", "block", "code"),
    [
        ({"phase": "Succeeded"}, {}, 0),
        ({"phase": "Succeeded", "changes": [CHANGE]}, {}, 0),
        ({"phase": "Succeeded", "changes": [CHANGE]}, {"dryRun": True}, 1),
        ({"phase": "Succeeded", "changes": []}, {"dryRun": True}, 0),
        ({"phase": "Succeeded", "conflicts": [CHANGE]}, {}, 1),
        ({"phase": "Failed"}, {}, 2),
        ({"phase": "Failed", "conflicts": [CHANGE]}, {"dryRun": True}, 2),
    ],
)
def test_exit_codes_are_those_of_kubectl_diff(status: dict[str, Any], block: dict[str, Any], code: int) -> None:
    assert code_of({"spec": {"kind": "pull", "pull": block}, "status": status}) == code


TORN = {"name": "a", "kind": "Pipeline", "id": "a-1", "reason": "BothModified", "fields": ["spec.x", "spec.y"]}
GONE = {**TORN, "reason": "DeletedInGit"}


def answering(*answers: str) -> Callable[[str], str]:
    left = list(answers)

    def ask(question: str) -> str:
        if not left:
            raise EOFError
        return left.pop(0)

    return ask


def of(field: str, **decided: Any) -> dict[str, Any]:
    return {"pipeline": "a-1", "field": field, **decided}


@pytest.mark.parametrize(
    ("conflict", "answers", "wanted"),
    [
        (TORN, ("o", "t"), [of("spec.x", take="ours"), of("spec.y", take="theirs")]),
        (TORN, ("B", "v", "[1, 2"), []),
        (TORN, ("base", "v", "[1, 2", "[1, 2]"), [of("spec.x", take="base"), of("spec.y", value=[1, 2])]),
        (TORN, ("v", "2026-11-27", "o"), [of("spec.x", value="2026-11-27"), of("spec.y", take="ours")]),
        (TORN, ("", "what", "o", "s"), []),
        (TORN, (), []),
        (GONE, ("b", "t"), [{"pipeline": "a-1", "take": "theirs"}]),
        (GONE, ("s",), []),
    ],
)
def test_what_is_answered_is_decided(conflict: dict[str, Any], answers: tuple[str, ...], wanted: list[Any]) -> None:
    """One that is left out, or cut off, is left as a whole: half of a pipeline settles nothing."""
    assert list(settled(conflict, (), None, answering(*answers))) == wanted


def test_a_script_decides_without_being_asked() -> None:
    assert list(settled(TORN, (), "ours", answering())) == [{"pipeline": "a-1", "take": "ours"}]
    assert list(settled(TORN, (), "base", answering())) == [of("spec.x", take="base"), of("spec.y", take="base")]
    assert list(settled(TORN, ("spec.y",), "theirs", answering())) == [of("spec.y", take="theirs")]
    with pytest.raises(GitIntegrationError, match="only --take ours or theirs"):
        list(settled(GONE, (), "base", answering()))
