"""Values as text that readers of YAML 1.1 and 1.2 understand alike, in the style of the file they come into."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gitintegration.core.invalid import ManifestError
from gitintegration.core.values import Json
from gitintegration.core.yaml_read import resolve_plain

_TRAP = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*", re.DOTALL)
_ESCAPED = re.compile(r"[^\x20-\x7e]")
NOT_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
"""What a block scalar can't hold: control characters, and what readers take for a line break or a byte order mark."""
_NOT_IN_FLOW = frozenset(",[]{}?:")
_FIRST = {name: at for at, name in enumerate(("apiVersion", "kind", "metadata", "name", "namespace"))}


@dataclass(frozen=True, slots=True)
class Style:
    """How a file is written."""

    step: int = 2
    """By how much maps are set in, in columns."""
    dash: int = 0
    """By how much the items of a list are set in below their key."""
    quote: str = '"'
    flow: bool = False
    """Collections are in braces and brackets, as in JSON and kubectl's KYAML."""
    tall: bool = False
    """Flow collections have a line for each entry."""
    quoted: bool = False
    """Strings in flow have quotes always, and that sign where they can."""
    json: bool = False
    """Keys have quotes too, and no comma stands behind the last entry."""
    ascii: bool = False
    colon: str = ": "
    comma: str = ", "


PLAIN = Style()
JSON = Style(flow=True, tall=True, quoted=True, json=True)


def scalar(value: Json, *, flow: bool = False, quote: str = "", default: str = '"') -> str:
    """One line. `quote` is the sign that a string has to have where it can, `default` the one where it needs any."""
    if not isinstance(value, str):
        return json.dumps(value)
    quote = quote or ("" if is_plain(value, flow=flow) else default)
    if quote == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return _ESCAPED.sub(_escape, json.dumps(value, ensure_ascii=False)) if quote else value


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
    if (flow and not _NOT_IN_FLOW.isdisjoint(text)) or text in ("---", "...", "<<"):
        return False
    try:
        return isinstance(resolve_plain(text), str) and not _TRAP.fullmatch(text)
    except ManifestError:  # .nan and its like
        return False


def flow(value: Json, style: Style = PLAIN, indent: int = 0) -> str:
    """A collection in braces: on one line, or with a line for each entry below `indent`."""
    if not isinstance(value, dict | list) or not value:
        return _flow_scalar(value, style)
    if isinstance(value, dict):
        ordered = [(name, value[name]) for name in ordered_names(value)]
        parts = [f"{flow_key(k, style)}{style.colon}{flow(v, style, indent + style.step)}" for k, v in ordered]
        return _braces("{", parts, "}", style, indent)
    if style.tall and not style.json and all(isinstance(v, dict | list) and v for v in value):
        return "[" + ", ".join(flow(v, style, indent) for v in value) + "]"  # as kubectl's KYAML
    return _braces("[", [flow(v, style, indent + style.step) for v in value], "]", style, indent)


def _braces(opening: str, parts: Sequence[str], closing: str, style: Style, indent: int) -> str:
    if not style.tall:
        return opening + style.comma.join(parts) + closing
    pad, end = " " * (indent + style.step), "" if style.json else ","
    return f"{opening}\n{pad}" + f",\n{pad}".join(parts) + f"{end}\n{' ' * indent}{closing}"


def _flow_scalar(value: Json, style: Style) -> str:
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    if style.json:
        return json.dumps(value, ensure_ascii=style.ascii)
    return scalar(value, flow=True, quote=style.quote if style.quoted else "", default=style.quote)


def flow_key(name: str, style: Style) -> str:
    return json.dumps(name, ensure_ascii=style.ascii) if style.json else scalar(name, flow=True)


def block(value: Json, indent: int = 0, style: Style = PLAIN) -> list[str]:
    """Lines of a map or list at `indent`."""
    pad = " " * indent
    lines: list[str] = []
    if isinstance(value, dict):
        for key in ordered_names(value):
            head, rest = behind(value[key], indent, style)
            lines += [f"{pad}{scalar(key)}:{head}", *rest]
    else:
        for inner in value:
            lines += item(inner, indent, style)
    return lines


def item(value: Json, indent: int, style: Style = PLAIN) -> list[str]:
    """Lines of a list item whose dash stands at `indent`."""
    pad = " " * indent
    if isinstance(value, dict | list) and value:
        first, *rest = block(value, indent + 2, style)
        return [f"{pad}- {first[indent + 2 :]}", *rest]
    head, rest = behind(value, indent, style)
    return [f"{pad}-{head}", *rest]


def behind(value: Json, indent: int, style: Style = PLAIN) -> tuple[str, list[str]]:
    """What follows the sign of an entry at `indent` on its line, and the lines below it."""
    if isinstance(value, dict) and value:
        return "", block(value, indent + style.step, style)
    if isinstance(value, list) and value:
        return "", block(value, indent + style.dash, style)
    if isinstance(value, str) and (literal_ := literal(value, indent + style.step, indent)):
        return f" {literal_[0]}", literal_[1:]
    return f" {scalar(value, default=style.quote) if not isinstance(value, dict | list) else flow(value, style)}", []


def literal(text: str, indent: int, parent: int, *, kept: bool = False, blank: int = 0) -> list[str] | None:
    """A text with line breaks as a block scalar: its header, and its lines at `indent`.

    `parent` is the column of the collection that it stands in, `blank` how many blank lines follow it in the file.
    None where it can't be one; without `kept`, also where quotes are easier to read.
    """
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    if not body or NOT_IN_LINES.search(text) or (not kept and "\n" not in body):
        return None
    if ends > 1 and ends - 1 < blank:
        return None
    lines = body.split("\n") + [""] * (max(0, ends - 1) - (blank if ends > 1 else 0))
    first = next((line for line in lines if line), "")
    digit = str(indent - parent) if first[0] in " \t" else ""
    if digit and not 1 <= indent - parent <= 9:
        return None
    chomp = "-" if not ends else "" if ends == 1 else "+"
    return [f"|{digit}{chomp}", *(" " * indent + line if line else "" for line in lines)]


def ordered_names(value: Mapping[str, Json]) -> list[str]:
    """The keys of a new map; those that say what it is come first, as people write them."""
    return sorted(value, key=lambda name: _FIRST.get(name, len(_FIRST)))


def _rank(name: str) -> tuple[int, str]:
    return _FIRST.get(name, len(_FIRST)), name


def in_order(value: Json) -> Json:
    """The same, with the keys of all maps in the order that they have where they are added one by one."""
    if isinstance(value, dict):
        return {name: in_order(value[name]) for name in with_added([], value)}
    return [in_order(inner) for inner in value] if isinstance(value, list) else value


def with_added(there: Sequence[str], added: Iterable[str], *, first_stays: bool = False) -> list[str]:
    """The keys of a map in a file, and where new ones go: to their place in the last run of keys that are in order.

    So it does not matter in which order they come. With `first_stays`, nothing goes in front of the first.
    """
    start = max(len(there) - 1, 0)
    while start > 0 and _rank(there[start - 1]) < _rank(there[start]):
        start -= 1
    start = max(start, 1) if first_stays else start
    return [*there[:start], *sorted([*there[start:], *added], key=_rank)]


def render(value: Json, path: str) -> bytes:
    """A new file with this manifest."""
    ordered = {name: value[name] for name in ordered_names(value)}
    if isinstance(meta := ordered.get("metadata"), dict):
        ordered["metadata"] = {name: meta[name] for name in ordered_names(meta)}
    if path.endswith(".json"):
        return (json.dumps(ordered, indent=2, ensure_ascii=False) + "\n").encode()
    return ("\n".join(block(ordered)) + "\n").encode()
