"""Each field's commit names who wrote it, whoever edits what between two syncs; and no commit names anybody else."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gitintegration.api.base_model import EDITED_BY
from tests.laws.runs import run, settled
from tests.laws.test_laws import HISTORIES
from tests.laws.world import API, FOLDER, Crash, World, parse

PEOPLE, NAMES, FIELDS = ("ann", "bob", "cid"), ("p0", "p1", "p2"), ("f0", "f1")
EDITS = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(NAMES), st.sampled_from((*FIELDS, "delete")))
TOUCHES = st.tuples(st.just("touch"), st.sampled_from(NAMES))
STEPS = st.lists(st.one_of(EDITS, EDITS, EDITS, TOUCHES, st.just(("sync",)), st.just(("git",))), max_size=12)
FILES = {
    f"{FOLDER}/{name}.yaml": f"apiVersion: {API}\nkind: Pipeline\nmetadata: {{name: {name}}}\nspec: {{f0: a}}\n"
    for name in ("p0", "keep")
}


class Story:
    """What people do, and who wrote each value."""

    def __init__(self, w: World) -> None:
        self.w = w
        self.values = map(str, itertools.count(100))
        self.writers: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        self.touched: dict[str, set[str]] = defaultdict(set)
        """Who edited what since all was carried last."""
        self.last: dict[str, str] = {}
        """Who edited each last."""
        self.checked = w.git.head

    async def act(self, step: Sequence[str]) -> None:
        w = self.w
        match step:
            case ["sync"]:
                await settled(w)
                self.check()
            case ["git"]:
                value = next(self.values)
                files = w.git.files()
                w.git.commit(
                    files
                    | {f"{FOLDER}/git.yaml": FILES[f"{FOLDER}/p0.yaml"].replace("p0", "git").replace("a}", value + "}")}
                )
            case ["touch", name]:
                w.api.touch(name)
            case [who, name, "delete"]:
                w.api.remove(name)
                if name in self.last:  # who deleted it nobody knows
                    self.touched[name].add(self.last.pop(name))
            case [who, name, field]:
                value = next(self.values)
                if name not in w.api.specs():  # made anew, it holds nothing of what it was
                    self.touched[name].clear()
                spec = {**w.api.specs().get(name, {}), field: value}
                w.api.put(name, spec, by=who)
                self.writers[name, field, value].add(who)
                self.touched[name].add(who)
                self.last[name] = who
        w.deliver()

    def check(self) -> None:
        """Of every commit of ours since the last check: each field that it changes, and each person that it names."""
        w = self.w
        chain = [w.git.head]
        while chain[-1] and chain[-1] != self.checked:
            parents = w.git.parents(chain[-1])
            chain.append(parents[0] if parents else None)
        for commit, parent in itertools.pairwise(chain):
            assert commit
            before, after = parse(w.git.files(parent)) if parent else {}, parse(w.git.files(commit))
            people = w.git.people(commit)
            if people <= {"User"}:
                continue
            changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
            assert changed, "a commit that changes nothing"
            for name in changed:
                for field, value in after.get(name, {}).items():
                    if before.get(name, {}).get(field) != value and (wrote := self.writers.get((name, field, value))):
                        assert wrote & people, (name, field, value, people)
            known = set().union(*(self.touched[name] for name in changed))
            assert people <= known | {"GitIntegration"}, (people, changed)
        self.checked = w.git.head
        self.touched.clear()


async def tell(w: World, steps: Sequence[Sequence[str]]) -> None:
    w.api.stamps = True
    await settled(w)
    story = Story(w)
    for step in steps:
        await story.act(step)
    await settled(w)
    assert parse(w.git.files()) == {
        name: {k: v for k, v in spec.items() if k != "mode"} for name, spec in w.api.specs().items()
    }
    story.check()


@settings(max_examples=HISTORIES * 2 // 3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
@example([("ann", "p0", "f0"), ("bob", "p1", "f0"), ("ann", "p2", "f0")])
@example([("ann", "p0", "f0"), ("bob", "p0", "f1")])
@example([("ann", "p0", "f0"), ("sync",), ("bob", "p0", "f1"), ("ann", "p1", "f0"), ("cid", "p0", "delete")])
@example([("ann", "p0", "f0"), ("sync",), ("touch", "p0"), ("bob", "p0", "f1")])
@example([("ann", "p0", "f0"), ("sync",), ("cid", "p0", "delete"), ("bob", "p0", "f1")])
def test_each_fields_commit_names_who_wrote_it(steps: list[tuple[str, ...]]) -> None:
    run(lambda w: tell(w, steps), FILES)


def test_several_people_have_a_commit_each_in_the_order_of_their_edits_and_one_push() -> None:
    async def act(w: World) -> None:
        w.api.stamps = True
        await settled(w)
        base, pushes = w.git.head, len(w.git.pushed)
        for who, name in (("bob", "p2"), ("ann", "p0"), ("bob", "p1"), ("cid", "p3")):
            w.api.put(name, {"f0": who}, by=who)
            w.deliver()
        await w.sync()
        commits = []
        at = w.git.head
        while at and at != base:
            commits.append(at)
            (at,) = w.git.parents(at)
        assert [w.git.people(commit) for commit in reversed(commits)] == [{"ann"}, {"bob"}, {"cid"}]
        assert len(w.git.pushed) == pushes + 1
        assert [h["author"].partition(" <")[0] for h in w.status["history"][:3]] == ["cid", "bob", "ann"]
        assert w.stats.commits == commits[::-1]

    run(act, FILES)


def test_without_the_policy_nobodys_word_is_taken() -> None:
    """Whoever may edit a pipeline could write any name there."""

    async def act(w: World) -> None:
        await settled(w)
        w.api.put("p0", {"f0": "mine"}, by="the boss")
        w.deliver()
        await settled(w)
        assert w.git.head
        assert w.git.people(w.git.head) == {"GitIntegration"}
        assert "edited-by" not in "".join(w.git.files().values())

    run(act, FILES)


def test_an_edit_that_nobody_stamped_is_not_whose_name_the_object_bears_still() -> None:
    """The policy was away for a while, and the operator saw that."""

    async def act(w: World) -> None:
        def policy(there: bool) -> None:
            w.api.stamps = there
            w.kinds._stamped = (0.0, frozenset())  # a minute later

        policy(True)
        await settled(w)
        w.configure(mode="Manual")
        w.api.put("p0", {"f0": "1"}, by="ann")
        await settled(w)
        policy(False)
        w.api.put("p1", {"f0": "2"}, by="the boss")
        await settled(w)
        w.api.put("p0", {"f0": "2"})  # it bears ann's name still
        w.deliver()
        policy(True)
        await settled(w)
        w.api.put("p2", {"f0": "3"}, by="cid")
        w.configure()
        base = w.git.head
        await settled(w)
        commits, at = list[str](), w.git.head
        while at and at != base:
            commits.append(at)
            (at,) = w.git.parents(at)
        assert sorted(map(sorted, map(w.git.people, commits))) == [["GitIntegration"], ["cid"]]

    run(act, FILES)


def test_killed_at_any_instant_each_edit_has_its_commit_once() -> None:
    """Three people, three commits of one push: whatever landed of it is not committed again."""

    async def act(w: World, step: int) -> bool:
        w.api.stamps = True
        await settled(w)
        base = w.git.head
        for who, name in (("bob", "p2"), ("ann", "p0"), ("cid", "p3")):
            w.api.put(name, {"f0": who}, by=who)
            w.deliver()
        w.steps.after[w.steps.count + step] = w.steps.crash
        killed = False
        try:
            await w.sync()
        except Crash:
            killed = True
            w.restart()
        w.steps.after.clear()
        await settled(w)
        commits, at = [], w.git.head
        while at and at != base:
            commits.append(at)
            (at,) = w.git.parents(at)
        assert sorted(map(sorted, map(w.git.people, commits))) == [["ann"], ["bob"], ["cid"]]
        return killed

    killed = list[bool]()
    for step in itertools.count():

        async def story(w: World, step: int = step) -> None:
            killed.append(await act(w, step))

        run(story, FILES)
        if not killed[-1]:
            break
    assert len(killed) > 5


def test_the_reason_of_an_edit_is_its_commits_message_and_is_taken_off() -> None:
    async def act(w: World) -> None:
        w.api.stamps = True
        await settled(w)
        base = w.git.head
        w.api.put("p0", {"f0": "1"}, by="ann", why="It is too slow\n\nCo-authored-by: the boss <b@c>")
        w.api.put("p1", {"f0": "1"}, by="ann")
        w.deliver()
        await settled(w)
        head = w.git.head
        assert head
        (other,) = w.git.parents(head)
        messages = sorted(map(w.git.message, (head, other)))
        assert w.git.parents(other) == [base]
        assert messages[0].startswith("Create p1\n")
        assert messages[1] == (
            "It is too slow\n\n> Co-authored-by: the boss <b@c>\n\nUpdate p0\n\nGitIntegration: data/gi\n"
        )
        assert [w.api.objects["pipelines", name]["metadata"]["annotations"] for name in ("p0", "p1")] == [
            {EDITED_BY: "ann"}
        ] * 2
        w.api.put("p0", {"f0": "2"}, by="ann")
        w.deliver()
        await settled(w)
        assert w.git.head
        assert w.git.message(w.git.head).startswith("Update p0\n")

    run(act, FILES)


def test_killed_at_any_instant_a_reason_is_taken_off() -> None:
    killed = list[bool]()
    for step in itertools.count():

        async def story(w: World, step: int = step) -> None:
            w.api.stamps = True
            await settled(w)
            w.api.put("p0", {"f0": "1"}, by="ann", why="Too slow")
            w.deliver()
            w.steps.after[w.steps.count + step] = w.steps.crash
            try:
                await w.sync()
            except Crash:
                w.restart()
                killed.append(True)
            else:
                killed.append(False)
            w.steps.after.clear()
            await settled(w)
            assert w.git.head
            assert w.git.message(w.git.head).startswith("Too slow\n")
            assert w.api.objects["pipelines", "p0"]["metadata"]["annotations"] == {EDITED_BY: "ann"}

        run(story, FILES)
        if not killed[-1]:
            break
    assert len(killed) > 5
