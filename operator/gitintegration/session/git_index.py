"""The items of one commit of the repository, by key, with the files they are in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gitintegration import messages
from gitintegration.commits.files import GitItem, ScannedFile
from gitintegration.core.invalid import InvalidReason, Problem
from gitintegration.core.values import ObjectKey


class GitIndex:
    """The items of one commit, by key, with the files they are in."""

    def __init__(self) -> None:
        self.commit: str | None = None
        self.items: dict[ObjectKey, GitItem] = {}
        self.files: dict[str, ScannedFile] = {}
        self.refused: dict[str, str] = {}
        """Paths that can't be taken, with the reason."""
        self.obstacle: str = ""
        """What lies where the prefix should be: then nothing is known of any item."""
        self._copies: dict[ObjectKey, list[GitItem]] = {}
        self._bad: set[str] = set()
        """Paths of files with problems."""
        self._claims: dict[ObjectKey, int] = {}
        """What stands in files and can't be taken, and in how many."""

    def copy(self) -> GitIndex:
        """One that can be brought elsewhere while this stays."""
        made = GitIndex()
        made.commit, made.items, made.files = self.commit, dict(self.items), dict(self.files)
        made.refused, made.obstacle = dict(self.refused), self.obstacle
        made._copies = {key: list(copies) for key, copies in self._copies.items()}
        made._bad, made._claims = set(self._bad), dict(self._claims)
        return made

    def put(self, scanned: ScannedFile) -> set[ObjectKey]:
        """The keys that may have changed by it."""
        touched = self.remove(scanned.path)
        self.files[scanned.path] = scanned
        if scanned.problems:
            self._bad.add(scanned.path)
        for key in scanned.claims:
            touched.add(key)
            self._claims[key] = self._claims.get(key, 0) + 1
        for item in scanned.items:
            touched.add(item.key)
            if item.key in self._copies:
                self._copies[item.key].append(item)
            elif other := self.items.pop(item.key, None):
                self._copies[item.key] = [other, item]
            else:
                self.items[item.key] = item
        return touched

    def remove(self, path: str) -> set[ObjectKey]:
        self.refused.pop(path, None)
        self._bad.discard(path)
        old = self.files.pop(path, None)
        touched = set()
        for key in old.claims if old else ():
            touched.add(key)
            self._claims[key] -= 1
            if not self._claims[key]:
                del self._claims[key]
        for item in old.items if old else ():
            touched.add(item.key)
            if copies := self._copies.get(item.key):
                left = [c for c in copies if c.path != path]
                del self._copies[item.key]
                if len(left) == 1:
                    self.items[item.key] = left[0]
                elif left:
                    self._copies[item.key] = left
            else:
                self.items.pop(item.key, None)
        return touched

    def problems(self) -> list[Problem]:
        """All that is wrong with the files of this commit."""
        found = [p for path in sorted(self._bad) for p in self.files[path].problems]
        found += [Problem(path, InvalidReason.InvalidPath, words) for path, words in self.refused.items()]
        if self.obstacle:
            words = (
                "is no folder, and lies where spec.pathPrefix should be: nothing is written or deleted until it is one"
            )
            found.append(Problem(self.obstacle, InvalidReason.InvalidPath, words))
        for key, copies in self._copies.items():
            paths = sorted(c.path for c in copies)
            twice = messages.FILE_TWICE(key=key, others=", ".join(paths[1:]))
            found.append(Problem(paths[0], InvalidReason.Duplicate, *twice))
        return found

    def frozen(self, key: ObjectKey, known_path: str | None) -> bool:
        """Whether what git says of `key` can't be known: it stands twice, or its file can't be read as it was."""
        if key in self._copies or key in self._claims or self.obstacle:
            return True
        if key in self.items or known_path is None:
            return False
        return known_path in self.refused or self._is_unclear(known_path)

    def blank(self, key: ObjectKey, known_path: str | None) -> Problem | None:
        """Why the file that held `key` yields nothing, where it does not; that it stands elsewhere says enough."""
        if known_path is None or known_path not in self.files or self.knows(key):
            return None
        return self.files[known_path].blank

    def _is_unclear(self, path: str) -> bool:
        scanned = self.files.get(path)
        return scanned is not None and bool(scanned.problems or scanned.blank)

    def unreadable(self, paths: Iterable[str]) -> set[str]:
        """Those of `paths` whose items can't be known: what was in them shows only once they are mended, or gone."""
        return {p for p in paths if p in self.refused or self._is_unclear(p)}

    def copies(self, key: ObjectKey) -> Sequence[GitItem]:
        """Where it stands more than once."""
        return self._copies.get(key, ())

    def path_of(self, key: ObjectKey) -> str | None:
        """The file that it is in."""
        item = self.items.get(key)
        return item.path if item else None

    def knows(self, key: ObjectKey) -> bool:
        """Whether it stands in git at all."""
        return key in self.items or key in self._copies or key in self._claims

    @property
    def empty(self) -> bool:
        return not self.items and not self._copies and not self._bad
