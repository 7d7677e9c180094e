"""Commits signed with a key out of a Secret: git says so of each, a forge takes them, and nothing is pushed unsigned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed import gpg
from tests.bed.forge import OWNER, Forge
from tests.bed.operator import OperatorProcess
from tests.bed.signing import ssh_key, verified
from tests.bed.world import World, eventually, manifest
from tests.e2e.test_operations import ask, why

MakeWorld = Callable[..., World]
FILES = {f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")}
BOT = {"name": "Signing Bot", "email": "bot@example.com"}
BRANCH = "cluster-changes"


def commit_spec(secret: str = "signing", committer: dict[str, str] | None = None) -> dict[str, Any]:
    return {"signingSecretRef": {"name": secret}, "committer": committer or BOT}


def started(w: World, pem: bytes, passphrase: str = "", **spec: Any) -> World:
    w.secret()
    w.secret("signing", identity=pem.decode(), **({"passphrase": passphrase} if passphrase else {}))
    w.integrate(commit=commit_spec(), **spec)
    w.in_sync()
    return w


def test_every_commit_is_signed(world: MakeWorld, operator: OperatorProcess) -> None:
    """The syncs', and an operation's on another branch."""
    pem, public = ssh_key(passphrase="the key's passphrase")
    w = started(world(FILES), pem, "the key's passphrase")
    key = w.status()["signingKey"]
    assert (key["type"], key["publicKey"]) == ("ssh", public)
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.count() == 2)
    head = w.repo.head()
    assert head
    assert verified(w.repo.path, head, public) == f"G bot@example.com {key['fingerprint']}"
    told = w.repo.log("-1", "--format=%an <%ae>|%cn <%ce>").strip()
    assert told == "GitIntegration <gitintegration@planasonix.com>|Signing Bot <bot@example.com>"
    w.by_hand(commit=commit_spec())
    w.patch("users", {"owner": "cluster"})
    done = ask(w, "push", branch="feature", pipelines=["users"])
    assert why(done)[0] == "Succeeded", done
    verified(w.repo.path, done["commit"], public)
    for secret in (pem.decode().splitlines()[1], "the key's passphrase"):
        assert secret not in operator.log() + str(w.get("gi", "gi"))


def test_the_review_branch_is_signed_with_its_merges(world: MakeWorld) -> None:
    pem, public = ssh_key("ecdsa-sha2-nistp256")
    w = started(world(FILES), pem, sync={"push": {"branch": BRANCH, "quietPeriod": "0s"}})
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.head(BRANCH))
    w.repo.commit({"README.md": "hello\n"})
    w.sync_now()
    eventually(lambda: w.repo.read("README.md", BRANCH))
    made = w.repo.log("--format=%H %P", "--author=GitIntegration", branch=BRANCH).splitlines()
    assert [len(line.split()) for line in made] == [3, 2], "a merge on a change"
    for line in made:
        verified(w.repo.path, line.split()[0], public)


def test_commits_are_signed_with_an_openpgp_key(world: MakeWorld, operator: OperatorProcess) -> None:
    """By a subkey, as gpg has it; another Secret has it signed by SSH again, and a key that is revoked signs nothing."""
    ring = gpg.Gpg(quick=False)
    try:
        key = ring.key("Signing Bot <bot@example.com>", passphrase="the key's passphrase")
        part = ring.subkey(key, passphrase="the key's passphrase")
        private = ring.private(key, "the key's passphrase").decode()
        w = world(FILES)
        w.secret()
        w.secret("signing", **{"git.asc": private, "passphrase": "the key's passphrase"})
        w.integrate(commit=commit_spec())
        status = w.in_sync()["signingKey"]
        assert (status["type"], status["fingerprint"]) == ("openpgp", key)
        w.patch("orders", {"owner": "cluster"})
        eventually(lambda: w.repo.count() == 2)
        assert gpg.verified(w.repo.path, w.repo.head() or "", status["publicKey"]) == f"G {part} {key}"
        for secret in (private.splitlines()[3], "the key's passphrase"):
            assert secret not in operator.log() + str(w.get("gi", "gi"))
        ring.revoke(key)
        revoked = ring.private(key, "the key's passphrase").decode()
        w.secret("signing", **{"git.asc": revoked, "passphrase": "the key's passphrase"})
        ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == "InvalidSecret" and c)
        assert "`git.asc` holds a key that serves no more" in ready["message"]
        w.patch("orders", {"owner": "again"})
        w.sync_now()
        assert w.repo.count() == 2
    finally:
        ring.close()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"identity": "no key"}, "`identity` holds a private key that can't be read"),
        ({"identity": ssh_key(passphrase="x")[0].decode()}, "`passphrase`"),
        ({"identity.pem": "x"}, "meant for `identity`"),
        ({"git.asc": "x"}, "OpenPGP"),
        (None, "is not there"),
    ],
    ids=["unreadable", "passphrase", "near", "openpgp", "missing"],
)
def test_nothing_is_pushed_unsigned(world: MakeWorld, data: dict[str, str] | None, words: str) -> None:
    """An edit waits for a key that signs, and is carried then."""
    pem, public = ssh_key()
    w = started(world(FILES), pem)
    if data is None:
        w.integrate(commit=commit_spec("another"))
    else:
        w.kubectl("delete", "secret", "signing")
        w.secret("signing", **data)
    reason = "SecretNotFound" if data is None else "InvalidSecret"
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == reason and c)
    assert words in ready["message"]
    w.patch("orders", {"owner": "cluster"})
    w.sync_now()
    assert w.repo.count() == 1
    assert why(ask(w, "push"))[0] == "Failed"
    assert w.repo.count() == 1
    w.kubectl("delete", "secret", "signing")
    w.secret("signing", identity=pem.decode())
    w.integrate(commit=commit_spec())
    eventually(lambda: w.repo.count() == 2)
    verified(w.repo.path, w.repo.head() or "", public)


# --- a forge that asks for signatures -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forge(bed_directory: Path) -> Iterator[Forge]:
    made = Forge(bed_directory / "signing-forge")
    yield made
    made.stop()


def test_a_forge_that_requires_signed_commits_takes_them(world: MakeWorld, forge: Forge, tmp_path: Path) -> None:
    """It refuses unsigned ones, takes those of a key that its user proved to have, and shows them as verified."""
    repo = forge.create(FILES)
    protected = {"branch_name": "main", "enable_push": True, "require_signed_commits": True}
    forge.api("POST", f"{repo.path}/branch_protections", protected)
    w = world()
    w.secret(token=forge.token)
    w.integrate(repositoryURL=repo.url, provider="gitea")
    w.in_sync()
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.condition("Ready")["reason"] == "PushRejected")
    pem, public = ssh_key()
    w.secret("signing", identity=pem.decode())
    forge.trust_key(pem, public, tmp_path)
    owner = {"name": OWNER, "email": f"{OWNER}@example.com"}
    w.integrate(repositoryURL=repo.url, provider="gitea", commit=commit_spec(committer=owner))
    w.in_sync()
    assert repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster")
    (commit,) = forge.api("GET", f"{repo.path}/commits?limit=1&verification=true")
    assert commit["commit"]["verification"]["verified"], commit["commit"]["verification"]
