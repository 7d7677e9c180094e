"""kubectl's own decoder is the judge of what the reader reads, and of what the editor writes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gitintegration.core.diff import same
from gitintegration.core.invalid import ManifestError
from gitintegration.core.yaml_edit import Location, edit_file
from gitintegration.core.yaml_read import ended, read_documents
from tests.bed.yamljudge import Refused, judged
from tests.fuzz.test_readers import TEXTS
from tests.unit.core.styled import MANIFESTS, files

MANY = 4 * int(os.environ.get("HISTORIES", "150"))
_GATHER = settings(
    deadline=None, max_examples=MANY, suppress_health_check=list(HealthCheck), database=None, phases=[Phase.generate]
)
NUMBERS = [
    *("0x" + "f" * 300, "0x" + "f" * 15, "0b" + "1" * 65, "-0b" + "1" * 63, "0777", "07" * 40, "0o777", "1" * 5000),
    *(
        "123456789012345678901",
        "-9223372036854775809",
        "18446744073709551616",
        "+18446744073709551615",
        "1e20",
        "1e400",
    ),
    *("0" * 100 + "7", "-0", "0x", "1_", "09", "1.", "1e", "-.5", "0xf_f", "+0x1", "-0o7", "12:30:00", "2020-01-01"),
]
WHOLE = [
    *("!!binary abc", "!!binary aGk=", "!!binary /w==", "!!int 99999999999999999999", "!!float 1", "!!str 0x1"),
    *("!!int 1e3", "!!int +7", "!!float yes", "!!int no", "!!timestamp x", "!!timestamp 2020-01-01"),
    *("!!timestamp 2020-13-01", "!!timestamp 2020-1-2 3:4:5.6", "!!timestamp 2020-01-02t03:04:05+01:00", "!foo .nan"),
    *("[a?b]", "{a?b: c}", "[a ?b]", "[?a]", "{? a : b}", "[! ?, a]", "['a?']", '"\\/"', "'\\/'", '"\\\\/"', "[!a,b]"),
    *("{! <<: {a: 1}}", '{! "<<": {a: 1}}', "{!!merge <<: {a: 1}}", '{"<<": {a: 1}}', "{!!str <<: {a: 1}}"),
    *("{1.5: a}", "{1.0: a}", "{0.0001: a}", "{1e3: a}", "{1000000: a}"),
    *("{<<: {a: 1}, a: 2}", "{a: 2, <<: {a: 1}}", "{<<: [{a: 1}, {a: 2, b: 3}]}", "{<<: {a: 1}, <<: {a: 2}}", "<<"),
]


def ours(text: str) -> Any:
    try:
        return next(iter(read_documents(text.encode())), None)
    except ManifestError as error:
        return error


@pytest.mark.parametrize("texts", [NUMBERS, WHOLE])
def test_what_is_hard_to_read_is_read_alike(texts: list[str]) -> None:
    documents = [f"k: {text}\n" for text in texts]
    for text, theirs in zip(documents, judged(documents), strict=True):
        mine = ours(text)
        assert isinstance(mine, ManifestError) == isinstance(theirs, Refused), (text, mine, theirs)
        assert isinstance(theirs, Refused) or same(mine, theirs), (text, mine, theirs)


SIGNS = [
    *"?:-[]{},#&*!|>'\"%@ab \n\t=~",
    *(
        ": ",
        "- ",
        "? ",
        "a: ",
        "b: ",
        "\n  ",
        "\n- ",
        "\n  - ",
        "|\n  ",
        ">\n ",
        "|-\n ",
        "|+\n ",
        "<<: ",
        "<<",
        "&a ",
        "*a",
    ),
    *("!!str ", "!!int ", "!!float ", "!!bool ", "!!null ", "!!binary ", "!!timestamp ", "!!set ", "!<x> ", "! "),
    *("yes", "null", "0x1", "07", "0o7", "1_0", "1.", ".5", "1e3", "1e7", "12:30", "2020-01-01", "-1", "+1"),
    *('"\\', "\\n", "\\/", "\\x41", "\r", "\r\n", "é", "\u2028", "\x85", "\xa0", "\ufeff", "😀"),
]
SNIPPETS = st.tuples(
    st.sampled_from([("", "\n"), ("k: [", "]\n"), ("{", "}\n"), ("k:\n  a: ", "\n")]),
    st.lists(st.sampled_from(SIGNS), min_size=1, max_size=12),
).map(lambda parts: parts[0][0] + "".join(parts[1]) + parts[0][1])
WHY_REFUSED = {
    "stands twice in one map": "kubectl takes the last one of two equal keys, and the other is lost",
    "found unexpected ':'": "`{a:}` is the key `a:` to kubectl, and was hardly meant",
    "a line begins with a byte order mark": "kubectl takes it for a character of a key or a text",
    "expected whitespace or line break": "brackets and commas belong to a tag for kubectl",
    "did not find expected tag URI": "as above",
    "reads a tag with a comma": "as above",
    "found unknown escape character": "`\\'` between double quotes",
    "rounds it": "a float as a key",
}


def gathered(snippets: st.SearchStrategy[str], number: int) -> list[str]:
    found: dict[str, None] = {}

    @given(snippets)
    @settings(_GATHER, max_examples=number)
    def gather(text: str) -> None:
        if "---" not in text and "..." not in text:
            found.setdefault(text)

    gather()
    return list(found)


def test_what_kubectl_refuses_is_refused_and_what_it_takes_is_read_alike() -> None:
    """Over texts full of YAML's signs. What we alone refuse is refused for a reason that is listed here."""
    texts = gathered(SNIPPETS, 4 * MANY)
    taken, alone = 0, []
    for text, theirs in zip(texts, judged(texts), strict=True):
        mine = ours(text)
        if isinstance(theirs, Refused):
            assert isinstance(mine, ManifestError), (text, mine, theirs)
        elif isinstance(mine, ManifestError):
            alone.append((text, mine.message, theirs))
        else:
            assert same(mine, theirs), (text, mine, theirs)
            taken += 1
    more = judged([f"{text}}}\n" for text, _, _ in alone])
    for (text, message, theirs), still in zip(alone, more, strict=True):
        stopped = not isinstance(still, Refused) and same(still, theirs)  # before the end, and left the rest unread
        assert stopped or any(words in message for words in WHY_REFUSED), (text, message, theirs)
    assert taken > len(texts) // 10
    assert alone


def test_whatever_both_read_they_read_alike() -> None:
    compared = 0
    texts = [ended(text) for text in gathered(TEXTS.map(lambda source: source.decode("utf-8", "ignore")), MANY)]
    texts = [text.replace("18446744073709551615", "7") for text in texts]  # a float only once the server has it
    for text, theirs in zip(texts, judged(texts), strict=True):
        mine = ours(text)
        if not isinstance(mine, ManifestError):
            assert not isinstance(theirs, Refused), (text, mine, theirs)
            assert same(mine, theirs), (text, mine, theirs)
            compared += 1
    assert compared > MANY // 10


def test_what_is_edited_reads_as_it_was_meant_to_kubectl() -> None:
    gathered: list[tuple[str, Any]] = []

    @given(files(), MANIFESTS, st.booleans())
    @_GATHER
    def gather(file: Any, new: Any, whole: bool) -> None:
        path, source, value, _ = file
        wanted = new if whole else {**value, "spec": {**value["spec"], **new["spec"]}}
        made = edit_file(source, path, {Location(0): wanted}).source
        assert made is not None
        if path.endswith(".yaml"):
            gathered.append((ended(made.decode("utf-8-sig").removeprefix("---\n")), wanted))

    gather()
    for (text, wanted), theirs in zip(gathered, judged([text for text, _ in gathered]), strict=True):
        assert same(theirs, wanted), (text, theirs, wanted)
    assert len(gathered) > MANY // 4
