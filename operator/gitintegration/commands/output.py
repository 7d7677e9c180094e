"""How commands print what they found: to people, or as JSON, YAML or names to programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


class Output(StrEnum):
    text = "text"
    json = "json"
    yaml = "yaml"
    name = "name"


def print_as(value: Any, output: StrEnum, names: Iterable[str], view: Callable[[], RenderableType]) -> None:
    """Print `value`, or its `names`, a line each, as they are asked for; else what people see, which `view` makes."""
    if output == Output.json:
        print(json.dumps(value, indent=2))
    elif output == Output.yaml:
        import yaml

        print(yaml.safe_dump(value, sort_keys=False), end="")
    elif output == Output.name:
        for name in names:
            print(name)
    else:
        from gitintegration.commands.views import show

        show(view(), sys.stdout)
