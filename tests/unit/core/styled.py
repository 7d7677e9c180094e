"""YAML as people write it, in all styles, and what each line and comment of it belongs to."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from gitintegration.core.yaml_read import read_documents
from gitintegration.core.yaml_render import literal, scalar

WORDS = [
    "a",
    "ops",
    "x y",
    "true",
    "12:30:00",
    "2020-01-01",
    "a: b",
    "x # y",
    "http://h/x?v=1",
    "it's",
    'say "hi"',
    "é",
    "",
    "0x1f",
    "-",
]
KEYS = ["alpha", "beta", "gamma", "name", "a/b.c", "on", "1", "key with blanks", "delta"]
SCRIPTS = [
    "one\ntwo\nthree\n",
    "one\n  two\n\nthree",
    "one \n\ttwo\n",
    "a\nb\n\n",
    "  lead\nb\n",
    "no\u00a0break\nwide\u3000space\n👩\u200d💻\n",
]
SCALARS = st.sampled_from([*WORDS, *WORDS, *SCRIPTS, 0, 1, -5, 1.5, 1e20, True, False, None])
MAPS = st.deferred(lambda: st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=4))
NAMED = st.dictionaries(st.sampled_from(["n1", "n2", "n3", "n4"]), MAPS, min_size=1, max_size=3).map(
    lambda items: [{"name": name, **{k: v for k, v in item.items() if k != "name"}} for name, item in items.items()]
)
VALUES: st.SearchStrategy[Any] = st.deferred(
    lambda: SCALARS | SCALARS | MAPS | st.lists(SCALARS, min_size=1, max_size=4) | NAMED | st.just({}) | st.just([])
)
MANIFESTS = MAPS.map(lambda spec: {"apiVersion": "v1", "kind": "K", "metadata": {"name": "m"}, "spec": spec})
LAYOUTS = ["block", "block", "block", "kyaml", "json"]


@dataclass
class Styled:
    """A file. `owners` tells for each comment in it the path of the entry that it belongs to."""

    layout: str
    rng: random.Random
    step: int = 2
    dash: int = 0
    owners: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    often: float = 0.25
    signs: str = "'\""
    """The quotes that it may have."""

    def text(self, value: Any) -> str:
        if self.layout == "json":
            return json.dumps(value, indent=self.step, ensure_ascii=False) + "\n"
        if self.layout == "kyaml":
            return "---\n" + "\n".join(self.braces(value, 0, ())) + "\n"
        return "\n".join(self.block(value, 0, ())) + "\n"

    def comment(self, path: tuple[Any, ...]) -> str:
        text = f"# c{len(self.owners)}: {self.rng.choice(['why', 'a: b', 'CPU & memory', '- item', '&x *y'])}"
        self.owners[text] = path
        return text

    def maybe(self) -> bool:
        return self.rng.random() < self.often

    def block(self, value: Any, indent: int, path: tuple[Any, ...]) -> list[str]:
        lines: list[str] = []
        pad = " " * indent
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for number, (name, inner) in enumerate(entries):
            here = (*path, name)
            if number and self.maybe():
                lines.append("")
            if (number or path) and self.maybe():
                lines.append(f"{pad}{self.comment(here)}")
            head = f"{pad}{scalar(name, default=self.signs[0])}:" if isinstance(value, dict) else f"{pad}-"
            lines += self.entry(head, inner, indent, here, in_list=isinstance(value, list))
        return lines

    def entry(self, head: str, value: Any, indent: int, path: tuple[Any, ...], *, in_list: bool) -> list[str]:
        behind = f"  {self.comment(path)}" if self.maybe() else ""
        if isinstance(value, dict | list) and value:
            if self.rng.random() < 0.15 and not _scripts(value):
                return [f"{head} {self.inline(value)}{behind}"]
            inner = indent + (self.dash if isinstance(value, list) and not in_list else self.step)
            if in_list and not behind:
                first, *rest = self.block(value, indent + 2, path)
                if first.strip() and not first.lstrip().startswith("#"):
                    return [f"{head} {first[indent + 2 :]}", *rest]
                return [head, first, *rest]
            return [head + behind, *self.block(value, inner if inner > indent or not in_list else indent + 2, path)]
        if isinstance(value, str) and "\n" in value:
            made = literal(value, indent + self.step, indent, kept=True)
            if made:
                return [f"{head} {made[0]}{behind}", *made[1:]]
        return [f"{head} {self.one_line(value)}{behind}"]

    def one_line(self, value: Any, *, in_flow: bool = False) -> str:
        if isinstance(value, dict | list):
            return self.inline(value)
        if not isinstance(value, str):
            return json.dumps(value)
        quote = self.rng.choice(["", *self.signs])
        return scalar(value, flow=in_flow, quote=quote, default=self.signs[0])

    def inline(self, value: Any) -> str:
        if isinstance(value, dict) and value:
            return (
                "{"
                + ", ".join(
                    f"{scalar(k, flow=True, default=self.signs[0])}: {self.one_line(v, in_flow=True)}"
                    for k, v in value.items()
                )
                + "}"
            )
        if isinstance(value, list) and value:
            return "[" + ", ".join(self.one_line(v, in_flow=True) for v in value) + "]"
        return (
            "{}" if isinstance(value, dict) else "[]" if isinstance(value, list) else self.one_line(value, in_flow=True)
        )

    def braces(self, value: Any, indent: int, path: tuple[Any, ...]) -> list[str]:
        """As kubectl's KYAML."""
        if not isinstance(value, dict | list) or not value:
            return [json.dumps(value, ensure_ascii=False) if isinstance(value, str) else self.inline(value)]
        pad = " " * (indent + 2)
        lines = ["{" if isinstance(value, dict) else "["]
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            here = (*path, name)
            if self.maybe():
                lines.append(f"{pad}{self.comment(here)}")
            first, *rest = self.braces(inner, indent + 2, here)
            made = [f"{pad}{scalar(name, flow=True) + ': ' if isinstance(value, dict) else ''}{first}", *rest]
            made[-1] += ","
            if len(made) == 1 and self.maybe():
                made[-1] += f" {self.comment(here)}"
            lines += made
        return [*lines, " " * indent + ("}" if isinstance(value, dict) else "]")]


def _scripts(value: Any) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (isinstance(value, str) and "\n" in value) or any(map(_scripts, inside))


@st.composite
def files(draw: st.DrawFn, *, bare: bool = False) -> tuple[str, bytes, Any, dict[str, tuple[Any, ...]]]:
    """A path, the file's bytes, the manifest in it, and whose its comments are."""
    value = draw(MANIFESTS)
    rng = draw(st.randoms(use_true_random=False))
    styled = Styled(draw(st.sampled_from(LAYOUTS)), rng, draw(st.sampled_from([2, 4])), draw(st.sampled_from([0, 2])))
    styled.often = 0 if bare else 0.25
    styled.signs = draw(st.sampled_from(["'", '"', "'\""]))
    text = styled.text(value)
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    if draw(st.booleans()) and styled.layout == "block":
        text = f"# licence\n\n{text}"
    text = text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))
    value = read_documents(text.encode())[0]  # a blank line behind `|+` belongs to it
    mark = b"\xef\xbb\xbf" if draw(st.booleans()) else b""
    return ("x.json" if styled.layout == "json" else "x.yaml"), mark + text.encode(), value, styled.owners
