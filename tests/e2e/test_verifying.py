"""Only what is signed by who is trusted comes out of git: commits that git itself signed, pushed by others, on the real thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.bed.gitserver import git
from tests.bed.gpg import Gpg
from tests.bed.gpg import verified as verified_by_gpg
from tests.bed.operator import OperatorProcess
from tests.bed.signing import signed_commit, ssh_key, verified
from tests.bed.world import World, eventually, manifest
from tests.e2e.test_operations import ask, why

MakeWorld = Callable[..., World]
ANN, OWN, OTHER = (ssh_key() for _ in range(3))
FILES = {f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")}


def trusting(mode: str = "Head", **more: Any) -> dict[str, Any]:
    verify = {"mode": mode, "secretRef": {"name": "signers"}, **more}
    return {"verify": verify, "commit": {"signingSecretRef": {"name": "signing"}}}


def started(w: World, **spec: Any) -> World:
    w.secret()
    w.secret("signing", identity=OWN[0].decode())
    w.secret("signers", allowed_signers=f"ann@example.com {ANN[1]}\n")
    w.integrate(**spec)
    return w


def orders(owner: str) -> dict[str, str]:
    return {"pipelines/orders.yaml": manifest("orders", owner=owner)}


def test_what_is_not_signed_is_not_pulled_and_nothing_is_pushed_onto_it(
    world: MakeWorld, operator: OperatorProcess
) -> None:
    w = world(FILES)
    first = signed_commit(w.repo, ANN[0], {})
    started(w, **trusting())
    status = w.in_sync()
    assert status["verified"]["commit"] == first
    assert status["verified"]["signer"] == "ann@example.com"
    assert w.condition("Verified")["status"] == "True"

    bad = w.repo.commit(orders("mallory"), author="Mallory <m@example.com>")
    told = eventually(lambda: (w.sync_now(), (c := w.condition("Verified"))["reason"] == "Unsigned" and c)[1])
    assert bad[:12] in told["message"]
    assert "Mallory <m@example.com>" in told["message"]
    assert w.condition("Ready")["reason"] == "Unsigned"
    assert w.spec("orders")["owner"] == "ann"
    w.patch("users", {"owner": "cluster"})
    status = eventually(lambda: (s := w.sync_now())["localAheadCount"] == 1 and s)
    assert status["verified"]["commit"] == first
    for kind in ("push", "pull"):
        assert why(ask(w, kind))[0] == "Failed"
    operator.kill()
    operator.start()
    assert w.sync_now()["localAheadCount"] == 1
    assert w.repo.head() == bad
    assert w.spec("orders")["owner"] == "ann"

    good = signed_commit(w.repo, ANN[0], orders("zoe"))
    eventually(lambda: w.repo.head() != good)
    status = w.in_sync()
    assert (w.spec("orders")["owner"], w.spec("users")["owner"]) == ("zoe", "cluster")
    assert w.repo.log("-1", "--format=%P").strip() == good
    verified(w.repo.path, w.repo.head() or "", OWN[1])
    assert w.condition("Verified")["status"] == "True"
    assert w.repo.count() == 5


def test_a_head_that_was_never_verified_brings_nothing(world: MakeWorld) -> None:
    w = started(world(FILES), **trusting())
    told = eventually(lambda: (c := w.condition("Ready"))["reason"] == "Unsigned" and c)
    assert "is not signed" in told["message"]
    assert w.condition("Verified")["status"] == "False"
    assert w.names() == set()
    signed_commit(w.repo, OTHER[0], {})
    eventually(lambda: (w.sync_now(), w.condition("Ready")["reason"] == "UntrustedKey")[1])
    assert w.names() == set()
    w.secret("signers", allowed_signers=f"ann@example.com {ANN[1]}\nbob@example.com {OTHER[1]}\n")
    w.in_sync()
    assert w.names() == {"orders", "users"}


def test_a_key_that_is_taken_out_of_the_list_is_not_trusted_any_more(world: MakeWorld) -> None:
    """Not for what it signed before either; what is live stays, and waits."""
    w = started(world(FILES), **trusting())
    w.secret("signers", allowed_signers=f"ann@example.com {ANN[1]}\nbob@example.com {OTHER[1]}\n")
    head = signed_commit(w.repo, OTHER[0], {})
    w.in_sync()
    for lines, reason in (
        (f"ann@example.com {ANN[1]}\n", "UntrustedKey"),
        (f'bob@example.com valid-before="20250101" {OTHER[1]}\n', "SignatureInvalid"),
    ):
        w.secret("signers", allowed_signers=lines)
        told = eventually(lambda: (c := w.condition("Verified"))["reason"] == reason and c)  # noqa: B023 - asked at once
        assert head[:12] in told["message"]
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.sync_now()["localAheadCount"] == 1)
    assert w.repo.head() == head
    signed_commit(w.repo, ANN[0], {})
    w.secret("signers", allowed_signers=f"ann@example.com {ANN[1]}\n")
    eventually(lambda: w.repo.count() == 4)
    w.in_sync()


@pytest.mark.parametrize("again", [False, True], ids=["on top", "in its place"])
def test_the_same_tree_by_who_is_not_trusted_is_not_believed(world: MakeWorld, again: bool) -> None:
    """Though there is nothing to pull: what is pushed onto it would vouch for it."""
    w = world(FILES)
    before = w.repo.head() or ""
    good = signed_commit(w.repo, ANN[0], {})
    started(w, **trusting()).in_sync()
    if again:
        w.repo.force(before)
    bad = signed_commit(w.repo, OTHER[0], {})
    assert w.repo.log("-1", "--format=%T").strip() == git("rev-parse", f"{good}^{{tree}}", cwd=w.repo.path).strip()
    told = eventually(lambda: (w.sync_now(), (c := w.condition("Verified"))["reason"] == "UntrustedKey" and c)[1])
    assert bad[:12] in told["message"]
    w.patch("orders", {"owner": "cluster"})
    status = eventually(lambda: (s := w.sync_now())["localAheadCount"] == 1 and s)
    assert status["verified"]["commit"] == good
    assert w.repo.head() == bad
    w.repo.force(good)
    eventually(lambda: (w.sync_now(), w.repo.head() != good)[1])
    assert w.repo.log("-1", "--format=%P").strip() == good
    w.in_sync()


def test_with_mode_commits_every_one_is_asked_for(world: MakeWorld) -> None:
    w = world(FILES)
    signed_commit(w.repo, ANN[0], {})
    started(w, **trusting("Commits", allowedAuthors=["*@example.com"]))
    w.in_sync()
    signed_commit(w.repo, ANN[0], orders("bob"), author="Bob <bob@example.com>")
    w.in_sync()
    assert w.spec("orders")["owner"] == "bob"
    last = w.repo.head() or ""
    bad = w.repo.commit(orders("mallory"))
    signed_commit(w.repo, ANN[0], orders("zoe"))
    told = eventually(lambda: (w.sync_now(), (c := w.condition("Verified"))["reason"] == "Unsigned" and c)[1])
    assert bad[:12] in told["message"]
    assert w.spec("orders")["owner"] == "bob"
    w.repo.force(last)
    signed_commit(w.repo, ANN[0], orders("eve"), author="Eve <eve@evil.example>")
    eventually(lambda: (w.sync_now(), w.condition("Verified")["reason"] == "AuthorNotAllowed")[1])
    assert w.spec("orders")["owner"] == "bob"


def test_an_operation_takes_nothing_from_another_branch_that_is_not_signed(world: MakeWorld) -> None:
    w = world(FILES)
    old = w.repo.head() or ""
    signed_commit(w.repo, ANN[0], {})
    started(w, **trusting(), sync={"mode": "Manual"})
    eventually(lambda: w.sync_now().get("verified"))
    w.repo.commit(orders("mallory"), branch="feature")
    for block in ({"branch": "feature"}, {"revision": old, "pipelines": ["orders"]}):
        done = ask(w, "pull", **block)
        assert why(done)[0] == "Failed", done
        assert "is not signed" in str(done["conditions"])
    assert w.names() == set()


def test_the_operator_may_come_to_sign_with_another_key(world: MakeWorld, operator: OperatorProcess) -> None:
    """Its last commit stays its own, though the key that signed it is nobody's any more, also after a restart."""
    w = world(FILES)
    signed_commit(w.repo, ANN[0], {})
    started(w, **trusting()).in_sync()
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.count() == 3)
    head = w.in_sync()["verified"]["commit"]
    assert head == w.repo.head()
    other, public = ssh_key()
    w.kubectl("delete", "secret", "signing")
    w.secret("signing", identity=other.decode())
    eventually(lambda: w.sync_now().get("signingKey", {}).get("publicKey") == public)
    assert w.condition("Verified")["status"] == "True"
    operator.kill()
    operator.start()
    w.in_sync()
    w.patch("orders", {"owner": "again"})
    eventually(lambda: w.repo.count() == 4)
    verified(w.repo.path, w.repo.head() or "", public)
    w.in_sync()
    assert w.condition("Verified")["status"] == "True"


def test_what_it_pushed_last_is_verified_though_it_was_killed_before_its_status_said_so(
    world: MakeWorld, operator: OperatorProcess
) -> None:
    """Else what is live would go back to what git held before."""
    w = world(FILES)
    first = signed_commit(w.repo, ANN[0], {})
    started(w, **trusting()).in_sync()
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.count() == 3)
    head = w.in_sync()["verified"]["commit"]
    operator.kill()
    before = {"status": {"verified": {"commit": first, "author": None, "key": None, "signer": None}}}
    w.kubectl("patch", "gi", "gi", "--subresource=status", "--type=merge", "-p", json.dumps(before))
    w.repo.commit(orders("mallory"))
    operator.start()
    status = eventually(lambda: (s := w.sync_now()) and w.condition("Verified")["status"] == "False" and s)
    assert status["verified"]["commit"] == head
    assert w.spec("orders")["owner"] == "cluster"


def test_keys_may_be_out_of_a_config_map(world: MakeWorld) -> None:
    w = world(FILES)
    signed_commit(w.repo, ANN[0], {})
    spec = {**trusting(), "verify": {"configMapRef": {"name": "signers"}}}
    data = {"allowed_signers": f"ann@example.com {ANN[1]}\n"}
    w.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "signers"}, "data": data})
    status = started(w, **spec).in_sync()
    assert status["verified"]["signer"] == "ann@example.com"
    with pytest.raises(RuntimeError, match="either secretRef or configMapRef"):
        w.integrate(**{**trusting(), "verify": {"configMapRef": {"name": "x"}, "secretRef": {"name": "x"}}})


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_openpgp_keys_are_trusted_as_flux_has_them(world: MakeWorld, kind: str) -> None:
    """Those of a file each, beside SSH keys; and the operator's own, with an OpenPGP key, without a file."""
    ring = Gpg()
    try:
        ann, own, other = (ring.key(f"{name} <{name}@example.com>") for name in ("ann", "own", "other"))
        w = world(FILES)
        first = ring.commit(w.repo, ann, {})
        w.secret()
        w.secret("signing", **{"git.asc": ring.private(own).decode()})
        data = {"ann.asc": ring.public(ann), "nobody.asc": ring.public(ring.key("nobody"))}

        def put(**data: str) -> None:
            if kind == "Secret":
                w.secret("signers", **data)
            else:
                w.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "signers"}, "data": data})

        put(**data)
        ref = "secretRef" if kind == "Secret" else "configMapRef"
        w.integrate(**{**trusting(), "verify": {ref: {"name": "signers"}}})
        status = w.in_sync()
        assert status["verified"]["commit"] == first
        assert (status["verified"]["key"], status["verified"]["signer"]) == (ann, "ann <ann@example.com>")

        w.patch("orders", {"owner": "cluster"})
        eventually(lambda: w.repo.count() == 3)
        verified_by_gpg(w.repo.path, w.repo.head() or "", w.in_sync()["signingKey"]["publicKey"])
        assert w.in_sync()["verified"]["key"] == own

        bad = ring.commit(w.repo, other, orders("mallory"))
        told = eventually(lambda: (w.sync_now(), (c := w.condition("Verified"))["reason"] == "UntrustedKey" and c)[1])
        assert bad[:12] in told["message"]
        assert other in told["message"]
        assert w.spec("orders")["owner"] == "cluster"
        last = ring.commit(w.repo, ann, orders("zoe"))
        eventually(lambda: (w.sync_now(), w.spec("orders")["owner"] == "zoe")[1])

        ring.revoke(ann)
        put(**{**data, "ann.asc": ring.public(ann)})
        told = eventually(
            lambda: (w.sync_now(), (c := w.condition("Verified"))["reason"] == "SignatureInvalid" and c)[1]
        )
        assert last[:12] in told["message"]
        w.patch("orders", {"owner": "cluster"})
        eventually(lambda: w.sync_now()["localAheadCount"] == 1)
        assert w.repo.head() == last
    finally:
        ring.close()


@pytest.mark.parametrize(
    ("spec", "data", "reason", "words"),
    [
        ({"commit": None}, f"ann {ANN[1]}", "InvalidSpec", "commit.signingSecretRef"),
        ({}, "ann nonsense", "InvalidSecret", "line 1"),
    ],
    ids=["no-key-of-its-own", "no-keys"],
)
def test_what_can_not_be_verified_is_told(
    world: MakeWorld, spec: dict[str, Any], data: str, reason: str, words: str
) -> None:
    w = started(world(FILES), **{**trusting(), **spec})
    w.secret("signers", allowed_signers=data)
    told = eventually(lambda: (c := w.condition("Ready"))["reason"] == reason and c)
    assert words in told["message"]


def test_a_file_that_holds_no_openpgp_key_is_told(world: MakeWorld) -> None:
    w = started(world(FILES), **trusting())
    w.secret("signers", **{"allowed_signers": f"ann {ANN[1]}", "ann.asc": "no key"})
    told = eventually(lambda: (c := w.condition("Ready"))["reason"] == "InvalidSecret" and c)
    assert "`ann.asc` holds no armoured OpenPGP public key" in told["message"]
    data = {"bob.asc": "no key"}
    w.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "signers"}, "data": data})
    w.integrate(**{**trusting(), "verify": {"configMapRef": {"name": "signers"}}})
    told = eventually(lambda: (c := w.condition("Ready"))["reason"] == "InvalidConfigMap" and c)
    assert "`bob.asc`" in told["message"]
