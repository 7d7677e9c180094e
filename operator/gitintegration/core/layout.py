"""Where pipelines lie in the repository: the prefix, what is ignored, and the place of a new file."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import TypeAlias
from unicodedata import normalize

from gitintegration.api.git_names import fill
from gitintegration.core.ignore import checked, ignores
from gitintegration.messages import named

IGNORE_FILE = ".gitintegrationignore"
SUFFIXES = (".yaml", ".yml", ".json")
_LONGEST = 200
"""Characters of a name in a path: file systems take 255 bytes, and prefix, number and suffix need some."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of one integration. `prefix` ends in a slash, or is empty for the whole repository."""

    prefix: str
    template: str
    patterns: tuple[str, ...] = ()

    @classmethod
    def of(cls, prefix: str, template: str | None, ignore: str, ignore_file: str, kinds: int) -> Layout:
        """From the spec's words. `ignore_file` is the text of the ignore file below the prefix, or empty."""
        return cls(
            prefix=folder_of(prefix),
            template=template or ("{name}.yaml" if kinds == 1 else "{kind}/{name}.yaml"),
            patterns=(
                *checked(ignore.splitlines(), "spec.ignore"),
                *checked(ignore_file.splitlines(), f"{prefix.rstrip('/')}/{IGNORE_FILE}"),
            ),
        )

    def covers(self, path: str) -> bool:
        """Whether a file of the repository is read and written at all. With patterns, to be asked in a worker only."""
        return self.could_hold(path) and not self.ignores(path)

    def could_hold(self, path: str) -> bool:
        """Whether a file there is read and written, if no pattern takes it out."""
        return path.startswith(self.prefix) and path.endswith(SUFFIXES)

    def ignores(self, path: str) -> bool:
        """Whether a pattern takes it out. With patterns, to be asked in a worker only."""
        return ignores(self.patterns, path.removeprefix(self.prefix))

    def unignored(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of `paths` that no pattern takes out."""
        return frozenset(path for path in paths if not self.ignores(path))

    def wanted_place(self, kind: str, name: str) -> tuple[tuple[str, ...], str]:
        """Folders below the prefix, and the file's name, for a pipeline that has no file yet; any file system takes them."""
        made = fill(self.template, name=_fitting(name), kind=kind.lower())
        *folders, leaf = [portable(part, kind.lower()) for part in made.split("/") if part not in ("", ".", "..")]
        return tuple(folders), leaf

    def first_path(self, kind: str, name: str) -> str:
        """Where a new file goes if nothing is in the way."""
        folders, leaf = self.wanted_place(kind, name)
        return self.prefix + "/".join((*folders, leaf))


def folder_of(prefix: str) -> str:
    """A prefix in the one way that names its folder: with a slash at its end, or empty for the whole repository."""
    trimmed = prefix.strip("/")
    trimmed = "" if trimmed == "." else trimmed.removeprefix("./")
    return f"{trimmed}/" if trimmed else ""


def words_elsewhere(prefix: str, paths: Sequence[str]) -> str:
    """What to tell where no manifest lies below the prefix, and these do elsewhere: the prefix that would have them."""
    parts = zip(*(path.split("/")[:-1] for path in paths), strict=False)
    common = [names[0] for names in itertools.takewhile(lambda names: len(set(names)) == 1, parts)]
    folders = [folder_of("/".join(common))]
    if not common and all("/" in path for path in paths):
        folders = sorted({f"{path.split('/')[0]}/" for path in paths})
    told = [f"{folder[:_LONGEST]!r}" if folder else "'' (the whole repository)" for folder in folders]
    remedy = ("" if len(folders) == 1 else "the one that is meant of ") + named(told, _NAMED)
    found = f"{len(paths)} manifest{' lies' if len(paths) == 1 else 's lie'} elsewhere"
    return f"none lies below {prefix!r}, and {found}: set spec.pathPrefix to {remedy}"


Folder: TypeAlias = Callable[[str], Mapping[str, bool]]
"""What a folder of the commit holds: names, and whether each is a folder itself. Its path ends in a slash, or is empty."""
_TRIES, _IGNORED = 10_000, 4
"""So many names are looked at for a free one, and so many free ones for one that is not ignored."""


def no_folder(_: str) -> Mapping[str, bool]:
    """Of a commit that holds nothing."""
    return {}


class NoPlaceError(Exception):
    """Nowhere below the prefix a new file may go. The words say why, and what helps."""


class NewPaths:
    """Gives out the places of new files: each once, none that is taken, none that a file system would mix up with one.

    They are chosen against the whole tree of the commit: what is ignored, a link, a submodule is in the way as well.
    """

    def __init__(self, layout: Layout, taken: Iterable[str], folder: Folder = no_folder) -> None:
        self._layout, self._folder = layout, folder
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}
        """The folders of what is taken, by what file systems take for the same."""
        self._known: dict[str, tuple[Mapping[str, bool], set[str]]] = {}
        self.take(taken)

    def take(self, paths: Iterable[str]) -> None:
        """These are given to nobody."""
        for path in paths:
            self._files.add(_alike(path))
            at = path.rfind("/")
            while at > 0 and _alike(path[:at]) not in self._folders:
                self._folders[_alike(path[:at])] = path[:at]
                at = path.rfind("/", 0, at)

    def give(self, kind: str, name: str) -> str:
        """A place for a pipeline that has no file yet. Raises NoPlaceError."""
        folders, leaf = self._layout.wanted_place(kind, name)
        at = ""
        for part in self._layout.prefix.split("/")[:-1]:
            if not self._may_enter(at, part):
                words = f"another entry lies where the folder {at}{part}/ of spec.pathPrefix should be, or differs from it in case only"
                raise NoPlaceError(words)
            at += f"{part}/"
        for part in folders:
            at += next(each for each in _variants(part, kind) if self._may_enter(at, each)) + "/"
        free = (at + each for each in islice(_variants(leaf, kind), _TRIES) if self._is_free(at, each))
        for path in islice(free, _IGNORED):
            if not self._layout.ignores(path):
                self.take([path])
                return path
        words = f"every place like {at}{leaf} is taken or ignored: change spec.newFilePath, or what is ignored"
        raise NoPlaceError(words)

    def _names(self, folder: str) -> tuple[Mapping[str, bool], set[str]]:
        if folder not in self._known:
            names = self._folder(folder)
            self._known[folder] = names, {_alike(name) for name in names}
        return self._known[folder]

    def _may_enter(self, folder: str, name: str) -> bool:
        """Whether a folder of this name is there, or may be made."""
        names, alike = self._names(folder)
        path = folder + name
        if _alike(path) in self._files or self._folders.get(_alike(path), path) != path:
            return False
        return names[name] if name in names else _alike(name) not in alike

    def _is_free(self, folder: str, name: str) -> bool:
        path = _alike(folder + name)
        return path not in self._files and path not in self._folders and _alike(name) not in self._names(folder)[1]


def _variants(name: str, kind: str) -> Iterator[str]:
    """The name, then those that a kind or a number tells from others."""
    path = PurePosixPath(name)
    yield name
    for more in itertools.chain([kind.lower()], itertools.count(2)):
        yield str(path.with_stem(f"{path.stem}-{more}"))


def _alike(path: str) -> str:
    """The same for all paths that some file system takes for one: they differ in case or Unicode form only."""
    return normalize("NFC", normalize("NFC", path).casefold())


_DEVICES = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$"}) | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789\u00b9\u00b2\u00b3"
}
_UNFIT = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')


def portable(name: str, mark: str) -> str:
    """The name of a file or folder as every system takes it, git too. `mark` makes another of a device's name."""
    name = _UNFIT.sub("-", name).rstrip(". ") or "_"
    base, dot, rest = name.partition(".")
    if base.rstrip(" ").casefold() in _DEVICES:
        return f"{base.rstrip(' ')}-{mark}{dot}{rest}"
    return f"_{name.lstrip('.')}" if name.casefold() in (".git", "git~1") else name


def _fitting(name: str) -> str:
    """The name where a file can be called so; a longer one, cut and told apart by its digest: no checkout could hold it."""
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a commit holds, for its message."""

    created: Sequence[str] = ()
    updated: Sequence[str] = ()
    deleted: Sequence[str] = ()
    restored: Sequence[str] = ()
    revision: str = ""
    """The commit that they were restored from."""

    @property
    def names(self) -> list[str]:
        return sorted([*self.created, *self.updated, *self.deleted, *self.restored])

    @property
    def parts(self) -> list[tuple[str, list[str], str]]:
        """What was done, to which pipelines in their order, and from where."""
        whole = (
            ("restore", self.restored, f" from {self.revision}"),
            ("create", self.created, ""),
            ("update", self.updated, ""),
            ("delete", self.deleted, ""),
        )
        return [(verb, sorted(names), origin) for verb, names, origin in whole if names]

    @property
    def words(self) -> str:
        """In one line: the first of each, and how many more."""
        return "; ".join(f"{verb} {named(names, _NAMED)}{origin}" for verb, names, origin in self.parts)


_NAMED = 3
_LISTED = 50


def commit_message(summary: Summary, *, integration: str, namespace: str, template: str | None = None) -> str:
    """The message of a commit; the template's variables are those of `spec.sync.push.messageTemplate`."""
    if template:
        return fill(
            template,
            integration=integration,
            namespace=namespace,
            created=len(summary.created),
            updated=len(summary.updated) + len(summary.restored),
            deleted=len(summary.deleted),
            pipelines=", ".join(summary.names),
        )
    title = "; ".join(part[0].upper() + part[1:] for part in summary.words.split("; "))
    lines = [f"{verb}: {name}" for verb, names, _ in summary.parts for name in names]
    more = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    listing = [] if len(summary.names) <= _NAMED else ["", *lines[:_LISTED], *more]
    return "\n".join([title, *listing, ""])
