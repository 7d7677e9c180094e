"""Names that git, Windows or macOS would take for something else, and texts that a commit can't hold. Pure.

The rules are git's own (its fsck, and what it refuses to check out): on some file systems `.git ` is `.git`.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_IGNORED_BY_HFS = "\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff"
_IGNORED = re.compile(f"[{_IGNORED_BY_HFS}]")
_DOT_GIT = re.compile(r"([.]git|git~[0-9]+)[. ]*([:\\].*)?", re.IGNORECASE | re.DOTALL)
_FILES_OF_GIT = re.compile(
    r"([.]git(modules|attributes)|git(mod|att)~[0-9]+|gi7(eb|d2)[0-9a-f]*~[0-9]+)[. ]*(:.*)?", re.IGNORECASE | re.DOTALL
)
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, or a byte that is none."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_IDENT = re.compile(r"[\x00-\x1f\x7f<>]")
_CRUD = " .,:;\"'\\"
"""What git takes off the ends of a name."""
_BRANCH = re.compile(r"[^-/.][^\x00-\x20\x7f~^:?*\[\\]*")
_VARIABLE = re.compile(r"\{([a-z]+)\}")

PREFIX_RULE = (
    r"(^|/)([.]|[.][.]|[^/]+[. ]|([.][gG][iI][tT]|[gG][iI][tT]~[0-9]+)[. ]*)(/|$)|[\\:\x00-\x1f\x7f]|"
    r"[\x{200c}-\x{200f}\x{202a}-\x{202e}\x{206a}-\x{206f}\x{feff}]"
)
"""In the syntax of the API server: what no path in a spec may hold."""
IDENT_RULE = r"[\x00-\x1f\x7f<>]"


def is_dot_git(part: str) -> bool:
    """Whether a part of a path is `.git` on some file system."""
    return bool(_DOT_GIT.fullmatch(_IGNORED.sub("", part)))


def is_unwritable(part: str) -> bool:
    """Whether no tree of ours may hold this name."""
    return part in ("", ".", "..") or "/" in part or "\0" in part or is_dot_git(part) or bool(_SURROGATE.search(part))


def is_file_of_git(part: str) -> bool:
    """Whether git reads it, on some file system, as a file of its own: no folder and no link may be called so."""
    return bool(_FILES_OF_GIT.fullmatch(_IGNORED.sub("", part)))


def check_path(path: str) -> str:
    """A path of a spec, relative to the repository. Raises ValueError."""
    trimmed = path.removesuffix("/")
    for part in [] if trimmed in ("", ".") else trimmed.removeprefix("./").split("/"):
        if (
            is_unwritable(part)
            or is_file_of_git(part)
            or part[-1] in ". "
            or "\\" in part
            or ":" in part
            or _CONTROL.search(part)
        ):
            raise ValueError("holds a name that git, Windows or macOS can't have, or takes for .git")
        if _IGNORED.search(part):
            raise ValueError("holds a character that macOS does not see")
    return path


PATTERN_SIGNS = "*?[]{}"
"""What makes a pattern of a path, where patterns are taken."""


def check_prefix(path: str) -> str:
    """A path of a spec that names one folder. Raises ValueError."""
    if any(sign in path for sign in PATTERN_SIGNS):
        raise ValueError("must name one folder, and is no pattern: everything below it is looked at")
    return check_path(path)


def check_ident(text: str) -> str:
    """A name or an address of an author. Raises ValueError."""
    if _IDENT.search(text):
        raise ValueError(
            "holds a line break, another control character or an angle bracket, which no commit can have there"
        )
    if not text.strip(_CRUD):
        raise ValueError("holds nothing that git would keep")
    return text


def check_branch(name: str) -> str:
    """Raises ValueError where git takes it for no branch."""
    bad = (
        ".." in name,
        "@{" in name,
        "//" in name,
        "/." in name,
        name.endswith(("/", ".")),
        ".lock" in name,
        name == "@",
    )
    if not _BRANCH.fullmatch(name) or any(bad[:5]) or bad[6] or any(p.endswith(".lock") for p in name.split("/")):
        raise ValueError("is not a branch name that git accepts")
    return name


def check_template(text: str, *variables: str) -> str:
    """Raises ValueError where braces hold anything but one of the variables."""
    left = _VARIABLE.sub(lambda found: "" if found[1] in variables else found[0], text)
    if "{" in left or "}" in left:
        raise ValueError(f"the variables are {', '.join(f'{{{name}}}' for name in variables)}")
    return text


def fill(template: str, **values: object) -> str:
    """The template with its variables' values; nothing else in it means anything."""
    return _VARIABLE.sub(lambda found: str(values.get(found[1], found[0])), template)


def identity(author: str) -> str:
    """`Name <address>` as a commit can hold it, whatever it was made of."""
    name, _, address = author.rpartition("<")
    kept = [_IDENT.sub(" ", part).strip(_CRUD) for part in (name, address)]
    return f"{' '.join(kept[0].split()) or 'GitIntegration'} <{''.join(kept[1].split())}>"


Branch = Annotated[str, AfterValidator(check_branch)]
Path = Annotated[str, AfterValidator(check_path)]
Prefix = Annotated[str, AfterValidator(check_prefix)]
Ident = Annotated[str, AfterValidator(check_ident)]
