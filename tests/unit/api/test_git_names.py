"""Names and texts that git, Windows or macOS take for something else."""

from __future__ import annotations

from typing import Any

import pytest

from gitintegration.api.base_model import read_spec
from gitintegration.api.git_names import check_branch, fill, identity, is_dot_git, is_file_of_git
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.api.operation import GitOperationSpec
from gitintegration.errors import SpecError

DOT_GIT = [
    ".git",
    ".GIT",
    ".Git",
    ".git.",
    ".git ",
    ".git. . ",
    ".git:x",
    ".git::$INDEX_ALLOCATION",
    ".git ::$INDEX_ALLOCATION",
    ".git\\config",
    "git~1",
    "GIT~1",
    "git~1.",
    "git~1:x",
    ".g\u200cit",
    "\u200d.git",
    ".git\ufeff",
    ".\u206aG\u202eiT",
]
HARMLESS = [
    ".github",
    ".gitignore",
    "git",
    "git~x",
    "agit~1",
    ".gitx",
    "git.yaml",
    ". git",
    ".git-x",
    "x.git",
    "x.git.yaml",
]


@pytest.mark.parametrize("part", DOT_GIT)
def test_what_is_taken_for_git_stands_in_no_path(part: str) -> None:
    assert is_dot_git(part)
    for path in (part, f"{part}/", f"a/{part}/b", f"./{part}/x"):
        with pytest.raises(SpecError, match=r"spec\.pathPrefix"):
            spec(pathPrefix=path)
        with pytest.raises(SpecError, match=r"spec\.newFilePath"):
            spec(newFilePath=f"{path}/{{name}}.yaml")


@pytest.mark.parametrize("part", HARMLESS)
def test_what_is_not_does(part: str) -> None:
    assert not is_dot_git(part)
    assert spec(pathPrefix=f"{part}/x/").path_prefix == f"{part}/x/"


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../b", "a//b", "a/./b", "a /b", "a./b", "a\\b", "C:/x", "a\nb", "a\0b", "x\u200d", "/a", "...", "a/ "],
)
def test_other_paths_that_no_checkout_holds(path: str) -> None:
    with pytest.raises(SpecError):
        spec(pathPrefix=path)


@pytest.mark.parametrize("path", ["*", "**", "teams/*", "a?", "[ab]/", "{a,b}/", "a]", "pipelines/*.yaml"])
def test_a_prefix_is_no_pattern(path: str) -> None:
    with pytest.raises(SpecError, match=r"spec\.pathPrefix.* no pattern"):
        spec(pathPrefix=path)


@pytest.mark.parametrize("path", ["", ".", "./", "pipelines/", "./pipelines", "a/b c/d", "über/ß", "a..b", ".hidden/x"])
def test_paths_as_they_should_be(path: str) -> None:
    assert spec(pathPrefix=path).path_prefix == path


def test_links_that_git_would_follow() -> None:
    for name in (
        ".gitmodules",
        ".GITMODULES ",
        "gitmod~1",
        "GI7EBA~1",
        ".gitmodu\u200cles",
        ".gitattributes",
        "gitatt~1",
    ):
        assert is_file_of_git(name)
    assert not is_file_of_git("modules.yaml")


@pytest.mark.parametrize(
    "author",
    [
        {"name": "Data Bot\n"},
        {"name": "a <b"},
        {"name": "a>b"},
        {"name": "a\0b"},
        {"name": " .,;"},
        {"email": "a@b\n"},
        {"email": "<a@b>"},
        {"email": "a\rb"},
    ],
)
def test_an_author_that_no_commit_can_hold(author: dict[str, str]) -> None:
    with pytest.raises(SpecError, match=r"spec\.author\.(name|email)") as told:
        spec(author=author)
    assert told.value.reason.value == "InvalidSpec"


@pytest.mark.parametrize(
    "text", ["{name}", "{", "{integration.__class__}", "{created:>9999999999}", "a\0", "{0}", "{created!r}"]
)
def test_a_template_holds_its_variables_only(text: str) -> None:
    with pytest.raises(SpecError):
        spec(sync={"push": {"messageTemplate": text}})


def test_what_fills_a_template_is_no_template() -> None:
    assert fill("{name}-{kind}", name="{kind}", kind="x") == "{kind}-x"


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "a\nb",
        "a\0b",
        "-a",
        "a..b",
        "a@{b",
        "a/",
        "a.lock",
        "x.lock/y",
        "a~1",
        "a^",
        "a:b",
        "@",
        ".a",
        "a/.b",
        "a//b",
        "a.",
    ],
)
def test_what_is_no_branch(name: str) -> None:
    with pytest.raises(ValueError, match="branch"):
        check_branch(name)
    with pytest.raises(SpecError):
        spec(defaultBranch=name)
    with pytest.raises(SpecError):
        read_spec(GitOperationSpec, {"integrationRef": {"name": "gi"}, "kind": "push", "push": {"branch": name}})


def test_branches_as_they_should_be() -> None:
    for name in ("main", "feature/x-1", "a.b", "ünïcode", "x@y", "locked"):
        assert check_branch(name) == name


def test_an_identity_is_always_one() -> None:
    assert identity("Ada Lovelace <ada@example.com>") == "Ada Lovelace <ada@example.com>"
    assert identity("a\nauthor x <y> <c@d\n>") == "a author x y <c@d>"
    assert identity("") == "GitIntegration <>"


def spec(**fields: Any) -> GitIntegrationSpec:
    return read_spec(GitIntegrationSpec, {"repositoryURL": "https://h/a", **fields})
