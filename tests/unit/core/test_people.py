"""Whose a commit is, as git has it, whatever names people have."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.api.git_names import identity
from gitintegration.core.people import UNSEEN, Credit, Directory, Edit, editors, identity_of, people_of, with_trailers


@pytest.mark.parametrize(
    ("user", "wanted"),
    [
        ("ann", "ann <ann@example.org>"),
        ("ann@corp.example.com", "ann@corp.example.com <ann@corp.example.com>"),
        ("oidc:ann", "oidc:ann <oidc-ann@example.org>"),
        ("ann@nowhere", "ann@nowhere <ann-nowhere@example.org>"),
        (
            "system:serviceaccount:data:builder",
            "data/builder <builder@data.serviceaccounts.example.org>",
        ),
        ("system:serviceaccount:", "/ <unknown@unknown.serviceaccounts.example.org>"),
        ("boss <boss@example.com>\n", "boss  boss@example.com   <boss-boss-example.com@example.org>"),
    ],
)
def test_a_user_becomes_a_name_and_an_address(user: str, wanted: str) -> None:
    assert identity_of(user, "example.org") == wanted


def test_who_is_in_the_map_is_called_as_it_says() -> None:
    text = """
    # as git svn has it
    ann = Ann Example <ann.example@example.com>
    cn=bob,ou=crm = Bob <bob@x>
    system:serviceaccount:data:builder = Builder Bot <bot@example.com>
    """
    directory = Directory("example.org", people_of(text))
    wanted = {
        "ann": "Ann Example <ann.example@example.com>",
        "cn=bob,ou=crm": "Bob <bob@x>",
        "system:serviceaccount:data:builder": "Builder Bot <bot@example.com>",
        "zoe": "zoe <zoe@example.org>",
    }
    assert {user: directory.identity(user) for user in wanted} == wanted


@pytest.mark.parametrize(
    "line", ["ann", "ann = Ann", "ann = <a@b>", "= Ann <a@b>", "ann = Ann <a b>", "ann = Ann <>", "ann = A > B <a@b>"]
)
def test_a_line_of_the_map_that_names_nobody_is_told(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 is not"):
        people_of(f"bob = Bob <b@c>\n{line}\n")


@given(st.text(max_size=300))
def test_no_map_makes_another_line_of_a_commit(text: str) -> None:
    try:
        known = people_of(f"ann = {text} <a@b.c>")
    except ValueError:
        return
    for who in known.values():
        assert re.fullmatch(r"[^\n<>]+ <[^\n<>\s]+>", identity(who))


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_name_becomes_another_line_of_the_commit(user: str, other: str) -> None:
    """Nor another person's address, where it holds none by itself."""
    credit = Credit.of([Edit((user, other))])
    text = credit.message("Update orders\n", Directory("example.org"), "data/gi")
    lines = text.splitlines()
    assert lines[:2] == ["Update orders", ""]
    assert lines[-1] == "GitIntegration: data/gi"
    assert len(lines) <= 4
    assert re.fullmatch(r"[^\n<>]* <[^\n<>\s]+>", identity(credit.author(Directory("example.org"), "Bot <b@c>")))


def test_who_edited_last_is_the_author_and_the_others_are_named() -> None:
    credit = Credit.of([Edit(("ann", "bob")), Edit(("cid",), "kubectl-edit"), Edit(("ann",)), Edit((), "argo")])
    assert credit.author(Directory("x.org"), "Bot <b@c>") == "cid <cid@x.org>"
    assert credit.message("Update a\n", Directory("x.org"), "data/gi") == (
        "Update a\n\nField-manager: argo\nCo-authored-by: ann <ann@x.org>\nCo-authored-by: bob <bob@x.org>\n"
        "GitIntegration: data/gi\n"
    )


def test_nobody_is_made_up() -> None:
    credit = Credit.of([Edit((), "kubectl-edit"), Edit((), "kubectl-edit")])
    assert credit.author(Directory("x.org"), "Bot <b@c>") == "Bot <b@c>"
    assert credit.message("Update a", Directory("x.org"), "data/gi") == (
        "Update a\n\nField-manager: kubectl-edit\nGitIntegration: data/gi\n"
    )


def test_that_a_delete_is_guessed_is_said() -> None:
    told = Credit.of([Edit(("ann",), is_delete=True)]).message("Delete a\n", Directory("x.org"), "data/gi")
    assert "Who deleted is not known" in told
    assert "not known" not in Credit.of([Edit((), is_delete=True)]).message("Delete a\n", Directory("x.org"), "data/gi")


@pytest.mark.parametrize(
    ("message", "whole"),
    [
        ("Update a", "Update a\n\nGitIntegration: n/i\n"),
        ("Update a\n\nWhy: because\nand more\n", "Update a\n\nWhy: because\nand more\n\nGitIntegration: n/i\n"),
        ("Update a\n\nSigned-off-by: Ann\n\n", "Update a\n\nSigned-off-by: Ann\nGitIntegration: n/i\n"),
        ("Signed-off-by: Ann", "Signed-off-by: Ann\n\nGitIntegration: n/i\n"),
    ],
)
def test_trailers_are_one_block_that_git_reads(message: str, whole: str) -> None:
    made = with_trailers(message, [("GitIntegration", "n/i")])
    assert made == whole
    read = subprocess.run(["git", "interpret-trailers", "--parse"], input=made, capture_output=True, text=True)
    assert "GitIntegration: n/i" in read.stdout.splitlines()


@pytest.mark.parametrize(
    ("seen", "last", "wanted"),
    [
        (("ann",), "ann", ("ann",)),
        (("ann", "bob"), "bob", ("ann", "bob")),
        (("ann",), "bob", ("ann", "bob")),  # the watch has not told of it yet
        (("bob", "ann"), "bob", ("ann", "bob")),
        ((), "ann", (UNSEEN, "ann")),  # before this process began
        ((UNSEEN, "bob"), "bob", (UNSEEN, "bob")),
        (("ann", UNSEEN), "ann", ("ann", UNSEEN)),  # stamped, then edited while nobody stamped
        (("ann",), "", ("ann", UNSEEN)),
        (("ann", "operator"), "operator", ("ann",)),
        ((), "operator", (UNSEEN,)),
        ((), "", (UNSEEN, UNSEEN)),
    ],
)
def test_who_edited_it_and_whether_others_may_have(seen: tuple[str, ...], last: str, wanted: tuple[str, ...]) -> None:
    assert editors(seen, last, "operator") == wanted
