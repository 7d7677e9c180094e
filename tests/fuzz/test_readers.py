"""Whatever bytes a committer writes: a file is read or refused, by its own name, in time linear in its size."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitintegration.core.invalid import InvalidReason, ManifestError
from gitintegration.core.manifest_file import parse_file, read_file
from gitintegration.core.values import to_bytes
from gitintegration.core.yaml_read import ReadLimits
from tests.fuzz.budget import fuzzed

LIMITS = ReadLimits()
KINDS = {("planasonix.com", "Pipeline")}
HEAD = "apiVersion: planasonix.com/v1alpha1\nkind: Pipeline\nmetadata: {name: a}\nspec:\n"
JSON_HEAD = '{"apiVersion":"planasonix.com/v1alpha1","kind":"Pipeline","metadata":{"name":"a"},"spec":'

TOKENS = st.sampled_from(
    [
        "a",
        "b",
        ":",
        ":\t",
        "-",
        "?",
        "|",
        ">",
        "|+",
        ">-2",
        "&",
        "&a",
        "*a",
        "*b",
        "!",
        "!!",
        "!!binary",
        "!!int",
        "!!float",
        "!!str",
        "!<x>",
        "%",
        "%YAML",
        "@",
        "`",
        "#",
        "'",
        '"',
        "[",
        "]",
        "{",
        "}",
        ",",
        "<<",
        "<<:",
        "...",
        "---\n",
        "",
        "",
        "",
        "0x",
        "0xffffffffffffffffff",
        "0b1",
        "0o7",
        "1e400",
        "1e20",
        "-1e20",
        ".inf",
        ".nan",
        "123456789012345678901",
        "18446744073709551615",
        "-9223372036854775809\n",
        "",
        "",
        "",
        "-9223372036854775808.0",
        "1_0",
        "12:30",
        "2020-01-01",
        "~",
        "null",
        "yes",
        "\\u",
        "\\ud800",
        "\\U0010ffff",
        "\\x",
        "\ufeff",
        "\u2028",
        "\x85",
        "😀",
        "�",
    ]
)
SPACES = st.sampled_from(["", " ", "\n", "\n  ", "\n    ", "\t", "\r\n", "\r"])
TEXTS = st.lists(st.tuples(TOKENS | st.text(max_size=3), SPACES), max_size=25).map(
    lambda parts: "".join(a + b for a, b in parts).encode("utf-8", "surrogatepass")
)
JSON_TOKENS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"a"',
        '"b"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\u0000"',
        "1",
        "-0",
        "1.50",
        "1e3",
        "1e400",
        "123456789012345678901",
        "9223372036854775808",
        "null",
        "true",
        "NaN",
        "Infinity",
        "'",
        '"',
        "\\",
        "1-1",
        "0x1",
        "//",
        "\ufeff",
    ]
)
JSON_TEXTS = st.lists(JSON_TOKENS, max_size=20).map(lambda parts: " ".join(parts).encode())


def held(path: str, source: bytes, limits: ReadLimits = LIMITS) -> None:
    """It has items that can be kept and sent, or a problem that is told."""
    found = parse_file(path, source, KINDS, "data", limits)
    for item in found.items:
        orjson.loads(to_bytes(item.value))
    for problem in found.problems:
        assert "can't be read" not in problem.message, problem
        assert len(problem.message) < 1000


@given(TEXTS | st.binary(max_size=60), st.booleans())
@fuzzed
@example(b"!!binary abc", True)
@example(b"0x" + b"f" * 300, True)
@example(b"1" * 5000, True)
@example(b"{a: 123456789012345678901, b: 1e20, c: -9223372036854775808.0}", True)
@example(b"<<", False)
def test_any_yaml(source: bytes, inside: bool) -> None:
    held("a.yaml", (HEAD + "  x: ").encode() + source if inside else source)


@given(JSON_TEXTS | st.binary(max_size=60), st.booleans())
@fuzzed
@example(b"123456789012345678901", True)
@example(b"-" + b"1" * 5000, True)
@example(b'"\\ud800"', True)
def test_any_json(source: bytes, inside: bool) -> None:
    held("a.json", JSON_HEAD.encode() + source + b"}" if inside else source)


@given(
    st.recursive(
        st.just("*a"),
        lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda v: f"[{','.join(v)}]"),
        max_leaves=8,
    ),
    st.integers(1, 40),
)
@fuzzed
def test_aliases_are_counted_as_they_unfold(value: str, levels: int) -> None:
    """Each level names the one before: depth adds up, values and bytes multiply."""
    lines = [
        f"  a0: &a0 {'x' * 100}",
        *(f"  a{n}: &a{n} [{value.replace('*a', f'*a{n - 1}')}]" for n in range(1, levels)),
    ]
    source = (HEAD + "\n".join(lines) + "\n").encode()
    limits = ReadLimits(size=10_000, depth=40, nodes=5_000)
    held("a.yaml", source, limits)
    try:
        documents = read_file("a.yaml", source, limits)
    except ManifestError as error:
        assert error.reason in (InvalidReason.TooDeep, InvalidReason.TooLarge)
    else:
        assert len(orjson.dumps(documents)) <= limits.size * limits.unfolds


LINEAR: dict[str, Callable[[int], str]] = {
    "quotes.json": lambda n: '"' * n,
    "escaped.json": lambda n: '["' + '\\"' * n,
    "strings.json": lambda n: "[" + '"",' * n,
    "digits.json": lambda n: '{"a":' + "1" * n + "}",
    "floats.json": lambda n: '{"a":0.' + "1" * n + "}",
    "keys.json": lambda n: "{" + ",".join(f'"{i}":1' for i in range(n)) + "}",
    "deep.json": lambda n: "[" * n,
    "digits.yaml": lambda n: f"{HEAD}  a: {'1' * n}\n",
    "hex.yaml": lambda n: f"{HEAD}  a: 0x{'f' * n}\n",
    "deep.yaml": lambda n: "- " * n,
    "flow.yaml": lambda n: "[" * n,
    "keys.yaml": lambda n: "".join(f"k{i}: x\n" for i in range(n)),
    "anchors.yaml": lambda n: "".join(f"- &a{i} x\n" for i in range(n)),
    "merges.yaml": lambda n: "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: *a{i - 1}, k{i}: 1}}\n" for i in range(1, n)),
    "long.yaml": lambda n: f"a: &a {'x' * n}\nb: [{'*a,' * n}]\n",
    "question.yaml": lambda n: "?" * n,
    "single.yaml": lambda n: "'" * n,
    "names.yaml": lambda n: HEAD.replace("name: a", f"name: {'a-' * n}"),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_reading_takes_time_in_proportion(name: str) -> None:
    """Counted in instructions of the reader, not in seconds; what C does in one of them is bounded by a generous clock."""
    counts = []
    for n in (500, 2000):
        source, count = LINEAR[name](n).encode(), 0

        def trace(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(trace)
        try:
            held(name, source)
        finally:
            sys.setprofile(None)
        counts.append(count)
    assert counts[1] <= 6 * counts[0] + 1000, counts


@pytest.mark.parametrize("name", ["quotes.json", "escaped.json", "digits.json", "hex.yaml", "digits.yaml", "long.yaml"])
def test_a_megabyte_ends(name: str) -> None:
    """What took minutes, and hours, takes a fraction of a second: CPU time of this thread, with room for a busy machine."""
    source = LINEAR[name](300_000).encode()
    began = time.thread_time()
    held(name, source, ReadLimits(size=4 << 20))
    assert time.thread_time() - began < 20
