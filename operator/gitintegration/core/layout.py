"""Where pipelines lie in the repository: the prefix, what is ignored, and the place of a new file."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from gitintegration.api.git_names import fill
from gitintegration.core.ignore import checked, ignores

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
        trimmed = prefix.strip("/")
        trimmed = "" if trimmed == "." else trimmed.removeprefix("./")
        return cls(
            prefix=f"{trimmed}/" if trimmed else "",
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

    def wanted_paths(self, kind: str, name: str) -> Iterator[str]:
        """The paths for a pipeline that has no file yet, the best first: its kind, then a number, tell it from others."""
        wanted = PurePosixPath(self.prefix + fill(self.template, name=_fitting(name), kind=kind.lower()))
        yield str(wanted)
        for more in itertools.chain([kind.lower()], itertools.count(2)):
            yield str(wanted.with_stem(f"{wanted.stem}-{more}"))


class NewPaths:
    """Gives out the places of new files, each once, and none that is taken."""

    def __init__(self, layout: Layout, taken: Iterable[str]) -> None:
        self._layout, self._taken = layout, set(taken)

    def take(self, paths: Iterable[str]) -> None:
        """These are given to nobody."""
        self._taken.update(paths)

    def give(self, kind: str, name: str) -> str:
        """A place for a pipeline that has no file yet."""
        path = next(path for path in self._layout.wanted_paths(kind, name) if path not in self._taken)
        self._taken.add(path)
        return path


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

    @property
    def names(self) -> list[str]:
        return [*self.created, *self.updated, *self.deleted]


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
            updated=len(summary.updated),
            deleted=len(summary.deleted),
            pipelines=", ".join(summary.names),
        )
    verbs = [("Create", summary.created), ("Update", summary.updated), ("Delete", summary.deleted)]
    used = [(verb, names) for verb, names in verbs if names]
    if len(summary.names) <= _NAMED:
        title = "; ".join(f"{verb} {', '.join(names)}" for verb, names in used)
    else:
        title = "; ".join(f"{verb} {len(names)} pipelines" for verb, names in used)
    lines = [f"{verb.lower()}: {name}" for verb, names in used for name in names]
    more = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    listing = [] if len(summary.names) <= _NAMED else ["", *lines[:_LISTED], *more]
    return "\n".join([title, *listing, "", f"From the cluster: {namespace}/{integration}", ""])
