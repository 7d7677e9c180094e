"""Values as block YAML that readers of YAML 1.1 and 1.2 understand alike."""

from __future__ import annotations

import json
import re

from gitintegration.core.invalid import ManifestError
from gitintegration.core.values import Json
from gitintegration.core.yaml_read import resolve_plain

_TRAP = re.compile(r"^(?:[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*)$")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_FLOW = frozenset(",[]{}")
_FIRST = ("apiVersion", "kind", "metadata")


def scalar(value: Json, *, flow: bool = False, quote: str | None = None) -> str:
    """One line. `quote` is the quote sign that a string had before, kept where it can be."""
    if not isinstance(value, str):
        return json.dumps(value)
    if quote == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if quote == '"' or not is_plain(value, flow=flow):
        return _UNPRINTABLE.sub(_escape, json.dumps(value, ensure_ascii=False))
    return value


def _escape(match: re.Match[str]) -> str:
    """As YAML escapes; JSON's pairs of surrogates are no characters to it."""
    text = match[0]
    return text if text.isprintable() else f"\\u{ord(text):04x}" if ord(text) < 1 << 16 else f"\\U{ord(text):08x}"


def is_plain(text: str, *, flow: bool = False) -> bool:
    """Whether the text, unquoted, is read as itself by YAML 1.1 and 1.2 readers."""
    if not text or not text.isprintable() or text != text.strip():
        return False
    if text[0] in "-?:,[]{}#&*!|>'\"%@`=<" or ": " in text or " #" in text or text.endswith(":"):
        return False
    if (flow and any(ch in _FLOW for ch in text)) or text in ("---", "...", "<<"):
        return False
    try:
        return isinstance(resolve_plain(text), str) and not _TRAP.match(text)
    except ManifestError:  # .nan and its like
        return False


def flow(value: Json) -> str:
    """A collection on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(k, flow=True)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    return scalar(value, flow=True)


def block(value: Json, indent: int = 0, *, dash: int = 0) -> list[str]:
    """Lines of a map or list at `indent`; `dash` says by how much list items under a key are set in."""
    pad = " " * indent
    lines: list[str] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            head, rest = entry(inner, indent, dash=dash)
            lines += [f"{pad}{scalar(key)}:{head}", *rest]
    else:
        for inner in value:
            lines += item(inner, indent, dash=dash)
    return lines


def item(value: Json, indent: int, *, dash: int = 0) -> list[str]:
    """Lines of a list item whose dash stands at `indent`."""
    pad = " " * indent
    if isinstance(value, dict | list) and value:
        first, *rest = block(value, indent + 2, dash=dash)
        return [f"{pad}- {first[indent + 2 :]}", *rest]
    head, rest = entry(value, indent, dash=dash)
    return [f"{pad}-{head}", *rest]


def entry(value: Json, indent: int, *, dash: int = 0) -> tuple[str, list[str]]:
    """What follows `key:` on its line, and the lines below it."""
    if isinstance(value, dict) and value:
        return "", block(value, indent + 2, dash=dash)
    if isinstance(value, list) and value:
        return "", block(value, indent + dash, dash=dash)
    if isinstance(value, str) and _literal(value):
        return _literal_head(value), [(" " * (indent + 2) + line) if line else "" for line in literal_lines(value)]
    return f" {flow(value)}" if isinstance(value, dict | list) else f" {scalar(value)}", []


def _literal(text: str) -> bool:
    if "\n" not in text.rstrip("\n") or text[0] in " \n\t":
        return False
    return all(line.isprintable() and not line.endswith(" ") for line in text.split("\n"))


def _literal_head(text: str) -> str:
    return " |-" if not text.endswith("\n") else (" |+" if text.endswith("\n\n") else " |")


def literal_lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


def render(value: Json, path: str) -> bytes:
    """A new file with this manifest."""
    ordered = {k: value[k] for k in [*(k for k in _FIRST if k in value), *(k for k in value if k not in _FIRST)]}
    if isinstance(meta := ordered.get("metadata"), dict) and "name" in meta:
        ordered["metadata"] = {"name": meta["name"], **{k: v for k, v in meta.items() if k != "name"}}
    if path.endswith(".json"):
        return (json.dumps(ordered, indent=2, ensure_ascii=False) + "\n").encode()
    return ("\n".join(block(ordered)) + "\n").encode()
