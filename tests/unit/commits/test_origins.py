"""Which commit gave a field its value: what `git blame` says of its line, and bounded where history or blobs end."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gitintegration.commits.files import Scope
from gitintegration.commits.origins import Asked, Traced, origins
from gitintegration.core.values import ObjectKey
from gitintegration.core.yaml_read import ReadLimits
from tests.bed.gitserver import git

API = "planasonix.com/v1alpha1"
KEY = ObjectKey("planasonix.com", "Pipeline", "orders")
SCOPE = Scope({(KEY.group, KEY.kind)}, "data", ReadLimits())
PATH, FIELDS = "p/orders.yaml", ("f0", "f1", "f2", "f3")
HEAD = f"apiVersion: {API}\nkind: Pipeline\nmetadata:\n  name: orders\nspec:\n"


def manifest(values: dict[str, int]) -> str:
    return HEAD + "".join(f"  {name}: {value}\n" for name, value in sorted(values.items()))


def imported(repo: Path, stream: list[str]) -> list[str]:
    """The commits of a stream for fast-import, in a pack as all that a cache holds."""
    git("init", "--quiet", "--bare", "-b", "main", str(repo), cwd=repo.parent)
    git("config", "fastimport.unpackLimit", "0", cwd=repo)
    git("fast-import", "--quiet", "--export-marks=marks", "--force", cwd=repo, stdin="".join(stream).encode())
    marks = dict(line.split() for line in (repo / "marks").read_text().splitlines())
    return [marks[mark] for mark in sorted(marks, key=lambda mark: int(mark[1:]))]


def written(mark: int, text: str | None, *parents: int, author: str = "Ada <a@x>", path: str = PATH) -> str:
    words = [f"{word} :{parent}\n" for word, parent in zip(("from", "merge"), parents, strict=False)]
    who = f"{author} {1_700_000_000 + mark} +0000"
    change = f'D "{path}"\n' if text is None else f'M 100644 inline "{path}"\ndata {len(text.encode())}\n{text}\n'
    head = f"commit refs/heads/b{mark}\nmark :{mark}\nauthor {who}\ncommitter {who}\ndata 2\nc\n"
    return "".join([head, *words, change, "\n"])


def fields(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple(("spec", name) for name in names)


def asked(repo: Path, tip: str, *names: str, versions: int = 100, until: str = "") -> Traced:
    (found,) = origins(repo, tip, [Asked(KEY, PATH, fields(*names), until)], SCOPE, versions)
    return found


def shas(traced: Traced) -> list[str | None]:
    return [origin.sha if origin else None for origin in traced.origins]


def random_history(repo: Path, seed: int) -> list[str]:
    """Each commit edits a field or two of one or both of its parents, or another file alone."""
    rng = random.Random(seed)
    stream, states = list[str](), list[dict[str, int]]()
    for mark in range(1, 25):
        late = range(max(1, mark - 4), mark)
        parents = list(dict.fromkeys(rng.choice(late) for _ in range(rng.choice((1, 1, 2))))) if late else []
        state = dict(states[parents[0] - 1]) if parents else dict.fromkeys(FIELDS, 0)
        for other in parents[1:]:
            state |= {name: states[other - 1][name] for name in FIELDS if rng.random() < 0.5}
        for name in rng.sample(FIELDS, rng.choice((0, 1, 1, 2))):
            state[name] = rng.randrange(4)
        states.append(state)
        stream.append(written(mark, manifest(state), *parents))
    return imported(repo, stream)


@pytest.mark.parametrize("seed", range(20))
def test_a_field_comes_from_where_git_blames_its_line(tmp_path: Path, seed: int) -> None:
    repo = tmp_path / "repo.git"
    for tip in random_history(repo, seed)[-4:]:
        told = git("blame", "--porcelain", tip, "--", PATH, cwd=repo).splitlines()
        blamed, sha = {}, ""
        for line in told:
            if line.startswith("\t"):
                blamed[line.strip().partition(":")[0]] = sha
            elif len(line.split()[0]) == 40:
                sha = line.split()[0]
        found = asked(repo, tip, *FIELDS)
        assert found.whole
        assert found.absent == ()
        assert dict(zip(FIELDS, shas(found), strict=True)) == {name: blamed[name] for name in FIELDS}


def test_what_goes_came_from_the_commit_that_took_it_away(tmp_path: Path) -> None:
    repo = tmp_path / "repo.git"
    texts = [manifest({"f0": 1, "f1": 1}), manifest({"f0": 1}), None, None]
    made = imported(repo, [written(n + 1, text, *([n] if n else [])) for n, text in enumerate(texts[:3])])
    assert shas(asked(repo, made[1], "f0", "f1")) == made[:2]
    (gone,) = origins(repo, made[2], [Asked(KEY, PATH, ((),))], SCOPE, 100)
    assert shas(gone) == [made[2]]


def test_a_version_that_can_not_be_read_is_passed_over(tmp_path: Path) -> None:
    repo = tmp_path / "repo.git"
    texts = [manifest({"f0": 1, "f1": 1}), "a: [1\n", manifest({"f0": 1, "f1": 2})]
    made = imported(repo, [written(n + 1, text, *([n] if n else [])) for n, text in enumerate(texts)])
    assert shas(asked(repo, made[2], "f0")) == [made[0]]


def test_how_far_it_looks_is_bounded_and_told(tmp_path: Path) -> None:
    repo = tmp_path / "repo.git"
    states = [{"f0": 0, "f1": 0}, *({"f0": 0, "f1": n} for n in range(1, 10))]
    made = imported(repo, [written(n + 1, manifest(s), *([n] if n else [])) for n, s in enumerate(states)])
    near = asked(repo, made[-1], "f0", "f1", versions=3)
    assert (shas(near), near.whole) == ([None, made[-1]], False)
    base = git("rev-parse", f"{made[4]}:{PATH}", cwd=repo).strip()
    since = asked(repo, made[-1], "f0", "f1", until=base)
    assert (shas(since), since.whole) == ([None, made[-1]], True)


def test_a_hostile_author_is_a_short_name_without_controls(tmp_path: Path) -> None:
    repo = tmp_path / "repo.git"
    name = "Eve\x1b[31m \u202e" + "e" * 5000
    (made,) = imported(repo, [written(1, manifest({"f0": 1}), author=f"{name} <e@x>")])
    (origin,) = asked(repo, made, "f0").origins
    assert origin
    assert origin.author.startswith("Eve\ufffd[31m \ufffdeee")
    assert len(origin.author) == 128
    assert origin.author.isprintable()


def test_blobs_that_the_cache_lacks_are_named_and_nobody_is_blamed_meanwhile(tmp_path: Path) -> None:
    repo, partial = tmp_path / "repo.git", tmp_path / "partial.git"
    states = [{"f0": n} for n in range(4)]
    made = imported(repo, [written(n + 1, manifest(s), *([n] if n else [])) for n, s in enumerate(states)])
    git("config", "uploadpack.allowFilter", "true", cwd=repo)
    git("clone", "-q", "--bare", "--filter=blob:none", "-b", "b4", f"file://{repo}", str(partial), cwd=tmp_path)
    found = asked(partial, made[-1], "f0")
    blobs = [git("rev-parse", f"{sha}:{PATH}", cwd=repo).strip() for sha in made]
    assert set(found.absent) == set(blobs)
    assert shas(found) == [None]
    bounded = asked(partial, made[-1], "f0", until=blobs[1])
    assert set(bounded.absent) == set(blobs[1:])
