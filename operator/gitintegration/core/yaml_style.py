"""How a document is written, so that what comes into it looks like the rest."""

from __future__ import annotations

from collections import Counter

from gitintegration.core.yaml_render import Style, is_plain
from gitintegration.core.yaml_tree import Node, Text


def style_of(source: Text, root: Node, *, json: bool = False) -> Style:
    """What most of its nodes do; of two as frequent ways, the first."""
    steps: Counter[int] = Counter()
    dashes: Counter[int] = Counter()
    quotes: Counter[str] = Counter()
    in_flow: Counter[str] = Counter()
    colons: Counter[str] = Counter()
    commas: Counter[str] = Counter()
    tall = 0
    for node in root.walk():
        if node.kind == "scalar" and node.style in ("'", '"'):
            quotes[node.style] += 1
        if node.style in ("{", "["):
            tall += _see_flow(source, node, steps, in_flow, colons, commas)
        elif node.entries:
            _see_block(source, node, steps, dashes)
    flow = bool(root.style) and (json or tall > 0)
    return Style(
        step=_most(steps, 2),
        dash=_most(dashes, 0),
        quote=quotes.most_common(1)[0][0] if quotes and not flow else '"',
        flow=flow,
        tall=flow and tall > 0,
        quoted=flow and in_flow["quoted"] > in_flow["plain"],
        json=json or (flow and in_flow["quoted key"] > in_flow["plain key"] and not in_flow["comma"]),
        ascii=json and source.text.isascii() and "\\u" in source.text,
        colon=colons.most_common(1)[0][0] if json and colons else ": ",
        comma=commas.most_common(1)[0][0] if commas else ", ",
    )


def _most(counts: Counter[int], default: int) -> int:
    return counts.most_common(1)[0][0] if counts else default


def _see_block(source: Text, node: Node, steps: Counter[int], dashes: Counter[int]) -> None:
    if node.kind != "map":
        return
    column = source.column(node.entries[0].start)
    for entry in node.entries:
        value = entry.value
        if value.is_block and value.entries:
            inner = source.column(value.entries[0].start) - column
            if value.kind == "list":
                dashes[max(inner, 0)] += 1
            elif inner > 0:
                steps[inner] += 1


def _see_flow(
    source: Text, node: Node, steps: Counter[int], seen: Counter[str], colons: Counter[str], commas: Counter[str]
) -> bool:
    text = source.text
    for entry in node.entries:
        value = entry.value
        if value.kind == "scalar" and isinstance(value.value, str) and is_plain(value.value, flow=True):
            seen["quoted" if value.style else "plain"] += 1
        if entry.key is not None and entry.sign is not None:
            seen["quoted key" if entry.key.style else "plain key"] += 1
            colons[text[entry.key.end : value.start] if value.end > value.start else ": "] += 1
    for one, other in zip(node.entries, node.entries[1:], strict=False):
        between = text[one.end : other.start]
        if between in (",", ", "):
            commas[between] += 1
    if not is_tall(source, node):
        return False
    seen["comma"] += text[source.behind(node.entries[-1].end)] == ","
    steps[source.column(node.entries[0].start) - line_indent(source, node.content)] += 1
    return True


def line_indent(source: Text, index: int) -> int:
    """The indentation of the line that `index` stands on."""
    start = source.line_start(index)
    line = source.text[start : index + 1]
    return len(line) - len(line.lstrip(" \t"))


def is_tall(source: Text, node: Node) -> bool:
    """Whether each entry of a flow collection, and its closing bracket, begin a line."""
    return bool(node.entries) and all(
        not source.text[source.line_start(at) : at].strip(" \t")
        for at in (*(e.start for e in node.entries), node.end - 1)
    )


def usual_quote(node: Node, *, flow: bool = False) -> str | None:
    """The quote sign of the strings in a collection that need none but have one, all alike; "" where they have none.

    None where there is no such string, or they differ.
    """
    values = [e.value for e in node.entries if e.value.kind == "scalar" and isinstance(e.value.value, str)]
    styles = {value.style for value in values if is_plain(value.value, flow=flow)}
    return styles.pop() if len(styles) == 1 and styles <= {"'", '"', ""} else None
