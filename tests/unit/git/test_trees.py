"""Trees compared and searched as they lie give what parsing gives, also where a sha holds what looks like an entry."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitintegration.git import trees

NAMES = (b"a", b"b", b"a.yaml", b"aa", b"100644 a", b"b c", b"z" * 30)
SHAS = (b"\0" * 20, b"\1" * 20, b"100644 a\0" + b"x" * 11, b" a\0" + b"y" * 17, b"x" * 18 + b"\0a")
_entries = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([0o100644, 0o100755, 0o40000]), st.sampled_from(SHAS)),
    max_size=7,
    unique_by=lambda entry: entry[0],
)


def raw(entries: list[tuple[bytes, int, bytes]]) -> bytes:
    return b"".join(b"%o %b\0%b" % (mode, name, sha) for name, mode, sha in sorted(entries))


@given(_entries, _entries)
def test_what_is_unlike_is_what_parsing_both_says(
    old: list[tuple[bytes, int, bytes]], new: list[tuple[bytes, int, bytes]]
) -> None:
    was, now = trees.entries(raw(old)), trees.entries(raw(new))
    assert trees.unlike(raw(old), raw(new)) == (
        dict(was.items() - now.items()),
        dict(now.items() - was.items()),
    )


@given(_entries, st.lists(st.sampled_from(NAMES), max_size=12))
def test_a_name_is_found_where_it_is_an_entry(there: list[tuple[bytes, int, bytes]], names: list[bytes]) -> None:
    every = trees.entries(raw(there))
    assert trees.lookup(raw(there), names) == {name: every[name] for name in names if name in every}
