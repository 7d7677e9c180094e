"""Law 8: what is not seen is taken for deleted only where its side said so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitintegration.core.status import Outcome
from gitintegration.errors import GitIntegrationError, KindUnavailable, Reason, RemoteError
from tests.laws.history import ANCHOR, FIELDS, NAMES, Edit, History, manifest
from tests.laws.test_laws import _SHARED, settle, world
from tests.laws.world import API, FOLDER, World, parse


async def sync(w: World) -> Outcome:
    w.deliver()
    return (await w.sync())[0]


async def begun(w: World) -> History:
    """Three pipelines and the anchor, the same on both sides."""
    history = History(w)
    for name in NAMES:
        history.play(Edit("git", name, "set"))
    await settle(w)
    return history


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("noticed", [False, True])
def test_what_went_with_its_definition_comes_back_from_git(noticed: bool, restart: bool, crowded: bool) -> None:
    async def act() -> None:
        history = await begun(w)
        before, files = history.state("git"), w.git.files()
        w.api.uninstall()
        if noticed:
            outcome = await sync(w)
            assert [r.reason for r in outcome.refusals] == [Reason.KindUnavailable]
            assert "CRD" in outcome.refusals[0].message
        w.api.install()
        if restart:
            w.restart(wipe=True)
        await settle(w)
        assert w.git.files() == files
        assert history.state("cluster") == before

    directory, w = world(crowded=crowded)
    with directory:
        asyncio.run(act())


def test_deletes_that_come_before_the_definition_is_gone_wait() -> None:
    """The watch tells that all are deleted while the kind is still served."""

    async def act() -> None:
        history = await begun(w)
        before, definition = history.state("git"), w.api.definition
        for name in NAMES:
            w.api.remove(name)
        w.api.definition = None
        w.deliver()  # the watch tells of the deletes, and not of its own end
        w.watched.error = None
        outcome, _ = await w.sync()
        assert [r.reason for r in outcome.refusals] == [Reason.KindUnavailable]
        assert history.state("git") == before
        w.api.definition = definition  # as where it was only not served for a while: these are deletes
        w.watched.error = None
        await settle(w)
        assert history.state("git") == {(ANCHOR, "f0"): "anchor"}

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_what_goes_with_its_namespace_is_no_delete() -> None:
    async def act() -> None:
        history = await begun(w)
        before = history.state("git")
        w.api.leaving = True
        for name in NAMES:
            w.api.remove(name)
        outcome = await sync(w)
        assert [r.reason for r in outcome.refusals] == [Reason.KindUnavailable]
        assert history.state("git") == before

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_while_a_kind_cannot_be_read_nothing_is_written_and_no_edit_is_lost() -> None:
    async def act() -> None:
        history = await begun(w)
        w.api.trouble = "conversion webhook for planasonix.com/v1, Kind=Pipeline failed: connection refused"
        history.play(Edit("git", "a", "set", "f1"))
        history.play(Edit("cluster", "b", "set", "f1"))
        history.play(Edit("cluster", "c", "delete"))
        head = w.git.head
        for _ in range(2):
            outcome = await sync(w)
            assert [type(r) for r in outcome.refusals] == [KindUnavailable]
            assert "conversion webhook" in outcome.refusals[0].message
            assert w.git.head == head
        w.api.trouble = None
        await settle(w)
        assert history.state("cluster") == history.state("git")
        there = {(*at, value) for at, value in history.state("git").items()}
        assert history.account.owed <= there
        assert "c" not in w.api.specs()

    directory, w = world()
    with directory:
        asyncio.run(act())


_edits = st.builds(
    Edit, st.sampled_from(["cluster", "git"]), st.sampled_from(NAMES), st.just("set"), st.sampled_from(FIELDS)
)


@pytest.mark.parametrize("noticed", [False, True])
def test_what_was_synced_since_a_kind_was_defined_anew_says_nothing_of_its_objects(noticed: bool) -> None:
    """Other kinds were, while this one was not seen to be back; then the process ended."""

    async def act() -> None:
        await begun(w)
        await sync(w)
        w.api.uninstall()
        if noticed:
            with contextlib.suppress(GitIntegrationError):
                await sync(w)
        w.api.install()
        w.status["lastSuccessfulSyncAt"] = "2100-01-01T00:00:00Z"
        w.restart(wipe=True)
        await settle(w)
        assert {*NAMES, ANCHOR} == set(w.api.specs()) == set(parse(w.git.files()))

    directory, w = world()
    with directory:
        asyncio.run(act())


_outages = st.sampled_from(["uninstall", "install", "trouble", "calm", "sync", "restart"])


@_SHARED
@given(st.lists(st.one_of(_edits, _outages), max_size=12))
@example(["restart", "uninstall", "sync"])
def test_whatever_becomes_of_the_kind_git_loses_no_pipeline(steps: Sequence[Edit | str]) -> None:
    """Nobody deletes anything here, so nothing may be deleted from git."""

    async def act() -> None:
        history = await begun(w)
        for step in steps:
            match step:
                case Edit():
                    if step.side == "git" or w.api.definition:
                        history.play(step)
                case "uninstall" if w.api.definition:
                    w.api.uninstall()
                case "install" if w.api.definition is None:
                    w.api.install()
                case "trouble":
                    w.api.trouble = "the conversion webhook is down"
                case "calm":
                    w.api.trouble = None
                case "restart":
                    w.restart(wipe=True)
                case "sync":
                    await sync(w)
            assert {*NAMES, ANCHOR} <= set(parse(w.git.files())), f"after {step}"
        w.api.trouble = None
        if w.api.definition is None:
            w.api.install()
        outcome = await settle(w)
        assert {*NAMES, ANCHOR} == set(w.api.specs())
        assert {*NAMES, ANCHOR} == set(parse(w.git.files()))
        assert not outcome.refusals
        assert all(path.startswith((FOLDER, "README")) for path in w.git.files())

    directory, w = world()
    with directory:
        asyncio.run(act())


SEALED = (
    f"apiVersion: {API}\nkind: Pipeline\nmetadata: {{name: a}}\nspec: {{f0: 'ENC[AES256_GCM,data:x]'}}\n"
    "sops: {mac: 'ENC[AES256_GCM,data:y]', version: 3.9.0}\n"
)
SPOILT = {
    "EmptyFile": "",
    "LFSPointer": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "NoManifest": f"apiVersion: {API}\nkind: Pipelin\nmetadata: {{name: a}}\nspec: {{f0: '1'}}\n",
    "NoManifest, comments": "# all that is left\n",
    "NoManifest, a null": "---\n",
    "NoManifest, a list": "[]\n",
    "Encrypted": SEALED,
    "Encrypted, whole": "data: 'ENC[AES256_GCM,data:x]'\nsops: {mac: 'ENC[AES256_GCM,data:y]', version: 3.9.0}\n",
    "Encrypted, vault": "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
    "Encrypted, git-crypt": "\0GITCRYPT\0abc",
    "NotYAML": "a: [1\n",
}
PATH = f"{FOLDER}/a.yaml"


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_file_that_yields_nothing_deletes_nothing_until_it_is_mended_or_gone(spoilt: str, restart: bool) -> None:
    async def act() -> None:
        history = await begun(w)
        files, before = w.git.files(), w.api.specs()
        w.git.commit({**files, PATH: SPOILT[spoilt]})
        if restart:
            w.restart(wipe=True)
        for number in range(2):
            outcome = await sync(w)
            assert [(e.path, e.reason) for e in outcome.invalid] == [(PATH, spoilt.partition(",")[0])]
            assert w.api.specs() == before
            assert w.git.files()[PATH] == SPOILT[spoilt]
            if number == 0:
                count = w.steps.count
        assert w.steps.count == count + 1, "a sync in which nothing moved is one request"
        history.play(Edit("cluster", "a", "set", "f1"))
        outcome = await sync(w)
        assert (outcome.local_ahead, w.git.files()[PATH]) == (1, SPOILT[spoilt])
        assert set(w.git.files()) == set(files), "nor is it written beside"
        w.git.commit(files)
        await settle(w)
        assert history.state("cluster") == history.state("git")
        assert ("a", "f1") in history.state("git")
        w.git.commit({**files, PATH: SPOILT[spoilt]})
        await sync(w)
        w.git.commit({path: text for path, text in files.items() if path != PATH})
        await settle(w)
        assert "a" not in w.api.specs(), "its path is gone: that is a delete"

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_a_sealed_manifest_is_neither_applied_nor_written_beside() -> None:
    """Also where nothing was ever agreed on."""

    async def act() -> None:
        await settle(w)
        w.git.commit({**w.git.files(), PATH: SEALED})
        outcome = await sync(w)
        assert [e.reason for e in outcome.invalid] == ["Encrypted"]
        assert "a" not in w.api.specs()
        w.api.put("a", {"f0": "1"})
        outcome = await sync(w)
        assert outcome.local_ahead == 1
        assert [p for p in w.git.files() if p.startswith(FOLDER)] == [PATH, f"{FOLDER}/{ANCHOR}.yaml"]

    directory, w = world()
    with directory:
        History(w)
        asyncio.run(act())


def test_a_document_that_leaves_its_file_is_a_delete_as_long_as_another_stays() -> None:
    async def act() -> None:
        history = History(w)
        both = manifest("a", {"f0": "1"}) + "---\n" + manifest("b", {"f0": "2"})
        w.git.commit({**w.git.files(), PATH: both})
        await settle(w)
        assert {"a", "b"} <= set(w.api.specs())
        w.git.commit({**w.git.files(), PATH: manifest("b", {"f0": "2"})})
        await settle(w)
        assert "a" not in w.api.specs()
        w.git.commit({**w.git.files(), PATH: "# nothing\n"})
        outcome = await sync(w)
        assert "b" in w.api.specs()
        assert [e.reason for e in outcome.invalid] == ["NoManifest"]
        w.git.commit({**w.git.files(), f"{FOLDER}/moved.yaml": manifest("b", {"f0": "3"})})
        await settle(w)
        assert history.state("cluster")["b", "f0"] == "3"

    directory, w = world()
    with directory:
        asyncio.run(act())


async def behind(w: World) -> str:
    """A sync that is told of a branch it does not believe; the words."""
    w.deliver()
    with pytest.raises(RemoteError) as told:
        await w.sync()
    assert told.value.reason is Reason.RemoteBehind
    return told.value.message


@pytest.mark.parametrize("restart", [None, False, True], ids=["", "restart", "restart, without its cache"])
@pytest.mark.parametrize("pushed", [True, False])
def test_a_replica_that_lags_takes_nothing_back(pushed: bool, restart: bool | None) -> None:
    async def act() -> None:
        history = await begun(w)
        old = dict(w.git.heads)
        uid = w.api.objects["pipelines", "a"]["metadata"]["uid"]
        history.play(Edit("cluster" if pushed else "git", "a", "set", "f1"))
        history.play(Edit("cluster" if pushed else "git", "b", "delete"))
        await settle(w)
        before = (w.api.specs(), w.git.head)
        w.git.lagging = old
        if restart is not None:
            w.restart(wipe=restart)
        for _ in range(2):
            assert "replica" in await behind(w)
            assert (w.api.specs(), w.git.head) == before
        w.git.lagging = None
        outcome = await settle(w)
        assert outcome.rewritten is None
        assert (w.api.specs(), w.git.head) == before
        assert w.api.objects["pipelines", "a"]["metadata"]["uid"] == uid

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("restart", [None, False, True], ids=["", "restart", "restart, without its cache"])
@pytest.mark.parametrize("meanwhile", ["set", "unset", "delete", "nothing"])
@pytest.mark.parametrize("first", ["set", "new", "unset", "delete"])
@pytest.mark.parametrize("landing", ["unseen", "first", "last"])
def test_a_push_that_is_seen_late_is_known_for_ones_own(
    landing: str, first: str, meanwhile: str, restart: bool | None
) -> None:
    """Its answer is lost, and a replica does not tell of it for a while, or the server takes it only then. Its author goes on
    meanwhile, and no other does: there is nothing to disagree on."""

    async def act() -> None:
        history = await begun(w)
        history.play(Edit("git", "a", "delete" if first == "new" else "set", "f1"))
        await settle(w)
        history.play(Edit("cluster", "a", "set" if first == "new" else first, "f1"))
        w.git.lagging = dict(w.git.heads)
        if landing == "unseen":
            w.git.deaf = True
        else:
            w.git.late = []
        with contextlib.suppress(GitIntegrationError):
            await sync(w)
        assert w.git.late or w.git.heads != w.git.lagging, "it was pushed"
        if restart is not None:
            w.restart(wipe=restart)
        if meanwhile != "nothing":
            history.play(Edit("cluster", "a", meanwhile, "f1"))
        wanted = history.state("cluster")
        for _ in range(2):
            with contextlib.suppress(GitIntegrationError):
                await sync(w)
        w.git.deaf = False
        if landing != "unseen":
            w.git.land(0 if landing == "first" else -1)
        outcome = await settle(w)
        assert not outcome.conflicts
        assert history.state("git") == history.state("cluster") == wanted

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("side", ["cluster", "git"])
def test_what_was_checkpointed_and_not_told_is_not_taken_back_by_a_replica_that_lags(side: str) -> None:
    """The process was killed before it wrote its status: that names the commit before."""

    async def act() -> None:
        history = await begun(w)
        old, told = dict(w.git.heads), w.status
        history.play(Edit(side, "a", "set", "f1"))
        history.play(Edit(side, "b", "delete"))
        await settle(w)
        before = (w.api.specs(), w.git.head)
        w.status, w.git.lagging = told, old
        w.restart(wipe=True)
        for _ in range(2):
            assert "replica" in await behind(w)
            assert (w.api.specs(), w.git.head) == before
        w.git.lagging = None
        assert (await settle(w)).rewritten is None
        assert (w.api.specs(), w.git.head) == before

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_a_branch_that_stands_behind_is_believed_and_told_as_rewritten() -> None:
    async def act() -> None:
        history = await begun(w)
        first = w.git.head
        history.play(Edit("git", "a", "set", "f1"))
        await settle(w)
        assert first
        w.git.force(first)
        for _ in range(3):
            await behind(w)
        outcome = await sync(w)
        assert outcome.rewritten
        assert (await settle(w)).rewritten
        assert ("a", "f1") not in history.state("cluster")
        w.restart(wipe=True)
        await sync(w)  # once is enough

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("gone", [False, True])
def test_that_a_branch_went_back_is_believed_by_the_next_process_too(gone: bool) -> None:
    """Also where nothing of it was carried, so that no record was written for it."""

    async def act() -> None:
        await begun(w)
        first = w.git.head
        assert first
        w.git.commit({**w.git.files(), "README.md": "# another\n"})
        w.api.put("a", {**w.api.specs()["a"], "f1": "1"})
        await settle(w)
        w.configure(mode="Manual")
        if gone:
            del w.git.heads["main"]
        else:
            w.git.force(first)
        for _ in range(3):
            await behind(w)
        await sync(w)
        w.restart(wipe=True)
        await sync(w)

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_a_branch_that_is_suddenly_not_there_is_not_believed_at_once_either() -> None:
    async def act() -> None:
        await begun(w)
        before = w.api.specs()
        w.git.lagging = {}
        for _ in range(3):
            await behind(w)
        assert w.api.specs() == before
        w.git.lagging = None
        assert not (await settle(w)).rewritten

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("restart", [False, True])
def test_another_default_branch_is_another_source(restart: bool) -> None:
    """What differs there is no edit of anybody: it was never agreed on."""

    async def act() -> None:
        w.configure(default_branch=None)
        History(w)
        for name in ("a", "b"):
            w.git.commit({**w.git.files(), f"{FOLDER}/{name}.yaml": manifest(name, {"f0": "1"})})
        for _ in range(3):
            await sync(w)
        w.git.heads["next"] = w.git.parents(w.git.head or "")[0]
        w.git.default = "next"  # a commit that lacks b, and holds another a
        w.git.commit({**w.git.files(), PATH: manifest("a", {"f0": "2"})})
        if restart:
            w.restart()
        w.api.put("b", {**w.api.specs()["b"], "f1": "3"})
        outcome = await sync(w)
        assert outcome.rewritten is None
        assert w.api.specs()["a"]["f0"] == "1"
        assert w.api.specs()["b"]["f1"] == "3"
        assert [c.name for c in outcome.conflicts] == ["a"]
        outcome = await sync(w)
        assert parse(w.git.files())["b"]["f1"] == "3"
        assert parse(w.git.files(w.git.heads["main"]))["b"] == {"f0": "1"}
        assert outcome.branch == "next"

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("named", [True, False])
def test_a_branch_that_is_missing_beside_others_is_told_and_never_made(named: bool) -> None:
    async def act() -> None:
        History(w)
        w.git.heads["trunk"] = w.git.heads.pop("main")
        w.configure(default_branch="main" if named else None)
        with pytest.raises(RemoteError) as told:
            await sync(w)
        assert told.value.reason is Reason.BranchNotFound
        assert "trunk" in told.value.message
        assert set(w.git.heads) == {"trunk"}

    directory, w = world()
    with directory:
        asyncio.run(act())


def test_an_empty_repository_is_begun_on_the_branch_that_its_head_names() -> None:
    async def act() -> None:
        w.git.default = "trunk"
        w.configure(default_branch=None)
        w.api.put("a", {"f0": "1"})
        await sync(w)
        assert set(w.git.heads) == {"trunk"}

    directory, w = world()
    with directory:
        asyncio.run(act())


@pytest.mark.parametrize("review", ["main/changes", "feature/changes", "feature"])
def test_a_review_branch_that_can_never_be_made_is_the_specs_fault(review: str) -> None:
    async def act() -> None:
        History(w)
        await settle(w)
        w.git.heads["feature" if "/" in review else "feature/one"] = w.git.head or ""
        w.configure(review=review)
        w.api.put("a", {"f0": "1"})
        w.deliver()
        try:
            error = (await w.sync())[0].error
        except GitIntegrationError as raised:
            error = raised
        assert error is not None
        assert error.reason is Reason.InvalidSpec
        assert not error.retry
        assert review in error.message

    directory, w = world()
    with directory:
        asyncio.run(act())
