"""The prefix that a spec names: where it is another than before, and where nothing lies below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gitintegration.api.operation import PushOperation
from gitintegration.core.status import HeldCopies
from gitintegration.errors import OperationError, Reason
from gitintegration.operations.result import OperationContext
from tests.laws.history import manifest
from tests.laws.runs import run, settled
from tests.laws.world import FOLDER, World

NAMES = [f"p{number}" for number in range(5)]
FILES = {f"{FOLDER}/{name}.yaml": manifest(name, {"f0": name}) for name in NAMES}


def prefixed(w: World, prefix: str, mode: str = "Bidirectional") -> None:
    w.configure(mode)
    w.spec["pathPrefix"] = prefix


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("confirmed", [False, True])
def test_a_changed_prefix_asks_before_it_copies(restart: bool, confirmed: bool) -> None:
    async def act(w: World) -> None:
        assert (await settled(w)).in_sync
        before = w.git.files()
        prefixed(w, "etl/")
        outcome = await settled(w)
        if restart:
            w.restart(wipe=True)
            outcome = await settled(w)
        (held,) = outcome.held
        assert isinstance(held, HeldCopies)
        assert (held.before, held.prefix, held.count) == (f"{FOLDER}/", "etl/", 5)
        assert w.git.files() == before
        assert w.status["observedPrefix"] == f"{FOLDER}/"
        if confirmed:
            w.annotations = {"planasonix.com/confirmDeletes": held.digest}
            assert (await settled(w)).in_sync
            assert {p: t for p, t in w.git.files().items() if p.startswith(FOLDER)} == before
            assert {p for p in w.git.files() if p not in before} == {f"etl/{name}.yaml" for name in NAMES}
            assert w.status["observedPrefix"] == "etl/"
            w.api.put("later", {"f0": "1"})
            w.deliver()
            assert (await settled(w)).in_sync, "only the copy is asked for"
        else:
            prefixed(w, f"{FOLDER}")
            assert (await settled(w)).in_sync
            assert w.git.files() == before
        assert set(NAMES) <= w.api.specs().keys()

    run(act, FILES)


def test_a_changed_prefix_whose_manifests_moved_with_it_asks_nothing() -> None:
    async def act(w: World) -> None:
        await settled(w)
        w.git.commit({path.removeprefix(f"{FOLDER}/"): text for path, text in w.git.files().items()})
        prefixed(w, "")
        assert (await settled(w)).in_sync
        assert w.git.pushed == []
        assert w.status["observedPrefix"] == ""

    run(act, FILES)


def test_another_spelling_of_a_prefix_is_no_change() -> None:
    async def act(w: World) -> None:
        await settled(w)
        for spelled in (FOLDER, f"./{FOLDER}", f"{FOLDER}/"):
            prefixed(w, spelled)
            w.git.commit({k: v for k, v in w.git.files().items() if k != f"{FOLDER}/p1.yaml"})
            outcome, stats = await w.sync()
            assert outcome.in_sync
            assert stats.deleted == (spelled == FOLDER), "what was agreed is still known"
            assert "p1" not in w.api.specs()

    run(act, FILES)


def test_a_push_operation_of_a_copy_asks_as_well() -> None:
    async def record(told: Mapping[str, Any]) -> None:
        raise AssertionError(f"it is about to do {told}")

    async def act(w: World) -> None:
        await settled(w)
        prefixed(w, "etl/")
        await settled(w)
        order = OperationContext(1_700_000_500, {}, record)
        with pytest.raises(OperationError) as refused:
            await w.parts.actions.push(w.session, await w.request(), order, PushOperation())
        assert refused.value.reason is Reason.PrefixChanged
        assert w.git.pushed == []

    run(act, FILES)


def test_manifests_elsewhere_are_told_with_the_prefix_that_has_them() -> None:
    async def act(w: World) -> None:
        outcome = await settled(w)
        assert "2 manifests lie elsewhere: set spec.pathPrefix to '' (the whole repository)" in outcome.elsewhere
        requests = w.steps.count
        assert (await settled(w)).elsewhere == outcome.elsewhere
        assert w.steps.count - requests == 1, "once for a commit"
        w.restart()
        assert (await settled(w)).elsewhere == outcome.elsewhere
        ready = {c["type"]: c for c in w.status["conditions"]}["Ready"]
        assert (ready["status"], ready["reason"]) == ("True", "EmptyPrefix")
        w.git.commit({**w.git.files(), f"{FOLDER}/c.yaml": manifest("c", {"f0": "1"})})
        assert (await settled(w)).elsewhere == ""

    root = {f"{name}.yaml": manifest(name, {"f0": name}) for name in ("a", "b")}
    run(act, {**root, "README.md": "# ours", "values.yaml": "a: 1", "kustomization.yaml": "kind: Kustomization"})


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": "# ours"},
        {"broken.yaml": "a: [", "empty.yaml": "", "other.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}"},
        {".hidden.yaml": manifest("a", {"f0": "1"})},
        {"theirs.yaml": manifest("a", {"f0": "1"}).replace("name: a", "name: a\n  namespace: other")},
    ],
)
def test_what_is_no_manifest_of_this_integration_is_nobodys_business(files: Mapping[str, str]) -> None:
    async def act(w: World) -> None:
        outcome = await settled(w)
        assert outcome.elsewhere == ""
        assert outcome.in_sync

    run(act, files)
