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

MANY = 8 * int(os.environ.get("HISTORIES", "150"))
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


def test_whatever_both_read_they_read_alike() -> None:
    """Not the other way round: we refuse keys that stand twice, and flow text with `?` in it is too new for kubectl."""
    gathered: list[str] = []

    @given(TEXTS)
    @_GATHER
    def gather(source: bytes) -> None:
        text = source.decode("utf-8", "ignore").replace(
            "18446744073709551615", "7"
        )  # a float only once the server has it
        if "---" not in text and "..." not in text and "\ufeff" not in text:
            gathered.append(ended(text))

    gather()
    compared = 0
    for text, theirs in zip(gathered, judged(gathered), strict=True):
        mine = ours(text)
        if not isinstance(mine, ManifestError) and not isinstance(theirs, Refused):
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
