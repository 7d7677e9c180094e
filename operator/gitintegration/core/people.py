"""Who edited what, as commits tell it: from the names that the API server knows people by to identities of git. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gitintegration.core.text import plain

_LONGEST = 200
"""Characters of a name or a value: others chose it."""
_MOST = 10
"""So many people and field managers one commit names; of more, the last."""
_LARGEST = 256 << 10
"""Characters of a list of people."""
_ACCOUNT = "system:serviceaccount:"
_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>.]+")
_UNADDRESSED = re.compile(r"[<>\s]")
_BRACKETS = re.compile(r"[<>]")
_UNFIT = re.compile(r"[^A-Za-z0-9._+-]+")
_GUESSED = "Who deleted is not known: the author edited last what is deleted."
_REASON, _REASON_LINES = 2000, 20
"""Characters and lines of a reason."""
_TRAILER = re.compile(r"[A-Za-z0-9-]+: \S")
UNSEEN = ""
"""Stands for whoever edited an item where nobody saw who that was."""


@dataclass(frozen=True, slots=True)
class Directory:
    """How users of the API server are called in commits: as they are `known`, else by their own name and `domain`."""

    domain: str
    known: Mapping[str, str] = field(default_factory=dict)

    def identity(self, user: str) -> str:
        """`Name <address>`."""
        return self.known.get(user) or identity_of(user, self.domain)


def people_of(text: str) -> dict[str, str]:
    """Identities by user, of lines `user = Name <address>`. Raises ValueError where a line is none, or there are too many."""
    if len(text) > _LARGEST:
        raise ValueError(f"is larger than {_LARGEST >> 10} KB")
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        user, _, who = (part.strip() for part in line.rpartition("="))
        name, _, address = (part.strip() for part in who.removesuffix(">").partition("<"))
        if not user or not name or not who.endswith(">") or _UNADDRESSED.search(address) or ">" in name or not address:
            raise ValueError(f"line {number} is not `user = Name <address>`")
        found[user] = f"{plain(name)[:_LONGEST]} <{plain(address)[:_LONGEST]}>"
    return found


def editors(seen: Sequence[str], last: str, own: str = "") -> tuple[str, ...]:
    """Who edited an item since git had it, in the order of their edits, with UNSEEN for whom nobody saw.

    `seen` by the watch, `last` by the item's stamp; `own`: as whom the operator writes, which is no editor.
    """
    if not seen:
        found: Sequence[str] = (UNSEEN, last)
    elif seen[-1] in (UNSEEN, last):  # a stamp is of an older edit, where the last one was not stamped
        found = seen
    else:
        found = (*(user for user in seen if user != last), last)
    return tuple(user for user in found if user == UNSEEN or user != own)


class Edit(NamedTuple):
    """What is known of who edited an item since git had it: people in the order of their edits, else a field manager."""

    people: tuple[str, ...] = ()
    manager: str = ""
    reason: str = ""
    """Why, in the words of who edited."""
    is_delete: bool = False
    """Then the last of them is who edited it last: who deleted it nobody knows."""


@dataclass(frozen=True, slots=True)
class Credit:
    """Whose a commit is: people, in the order of their edits, and field managers where nobody is known."""

    people: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()
    guessed: bool = False
    """Something was deleted, and its last editor stands for who did."""

    @classmethod
    def of(cls, edits: Iterable[Edit]) -> Credit:
        found = list(edits)
        people = _each_once(person for edit in found for person in edit.people)
        managers = _each_once(edit.manager for edit in found if not edit.people)
        return cls(people, managers, any(edit.is_delete and edit.people for edit in found))

    def author(self, directory: Directory, otherwise: str) -> str:
        """Whose edit was the last; `otherwise` where nobody is known."""
        return directory.identity(self.people[-1]) if self.people else otherwise

    def message(self, text: str, directory: Directory, integration: str) -> str:
        """A commit's message with what it tells of whose it is, as trailers."""
        if self.guessed:
            text = f"{text.rstrip()}\n\n{_GUESSED}\n"
        others = [("Co-authored-by", directory.identity(person)) for person in self.people[:-1]]
        managers = [("Field-manager", manager) for manager in self.managers]
        return with_trailers(text, [*managers, *others, ("GitIntegration", integration)])


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))[-_MOST:]


def identity_of(user: str, domain: str) -> str:
    """`Name <address>` of a user of the API server: an address that is one already is the address, else one of `domain` is made."""
    name = _BRACKETS.sub(" ", plain(user))[:_LONGEST]
    if user.startswith(_ACCOUNT):
        namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
        return f"{namespace}/{account} <{_local(account)}@{_local(namespace)}.serviceaccounts.{domain}>"
    return f"{name} <{name if _ADDRESS.fullmatch(name) else f'{_local(name)}@{domain}'}>"


def _local(name: str) -> str:
    """What of a name an address can have."""
    return _UNFIT.sub("-", name).strip(".-") or "unknown"


def with_trailers(message: str, trailers: Sequence[tuple[str, str]]) -> str:
    """A message that ends with these trailers, in one block with those that it has."""
    text = message.rstrip()
    paragraphs = text.split("\n\n")
    begun = len(paragraphs) > 1 and all(_TRAILER.match(line) for line in paragraphs[-1].splitlines())
    lines = [f"{name}: {plain(value)[:_LONGEST]}" for name, value in trailers]
    return f"{text}{chr(10) if begun else chr(10) * 2}{chr(10).join(lines)}\n"


def with_reasons(message: str, edits: Iterable[Edit]) -> str:
    """A message that begins with why, where somebody said so; none of it can pass for a trailer."""
    said = [lines for reason in _each_once(edit.reason for edit in edits) if (lines := _lines(reason))]
    return "\n\n".join([*("\n".join(lines) for lines in said), message])


def _lines(reason: str) -> list[str]:
    lines = [plain(line).strip()[:_LONGEST] for line in reason[:_REASON].strip().splitlines()[:_REASON_LINES]]
    return [f"> {line}" if _TRAILER.match(line) else line for line in lines]
