"""Commits are signed so that git itself says so, and nothing goes into a pack whose signature does not hold."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from gitintegration.errors import CredentialError, Reason
from gitintegration.git import objects
from gitintegration.git.keys import Keys
from gitintegration.git.packs import PackWriter
from gitintegration.git.signing import Signer, is_signed, unsigned
from gitintegration.git.workers import Workers
from tests.bed.gitserver import git
from tests.bed.signing import ssh_key, verified
from tests.unit.git.test_keys import many_rounds

WHO = "Bot <bot@example.com>"
KINDS = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"]


@pytest.fixture
async def keys() -> AsyncIterator[Keys]:
    workers = Workers(1, max_memory=256 << 20, modules=["asyncssh", "gitintegration.git.keys"])
    yield Keys(workers.limited)
    await asyncio.to_thread(workers.close)


def made(folder: Path, signer: Signer | None, message: str = "m\n\ngpgsig is in the text alone\n") -> str:
    """The name of a commit on the main branch of a new repository."""
    git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
    with PackWriter(folder / "outgoing") as writer:
        files = {"a/b.yaml": writer.add_blob(b"kind: x\n")}
        name = objects.build_commit(
            folder, writer, [], files, author="Ann <a@b>", committer=WHO, message=message, time=1, signer=signer
        )
        writer.finish()
    git("index-pack", "--strict", "--stdin", cwd=folder, stdin=(folder / "outgoing").read_bytes())
    git("update-ref", "refs/heads/main", name, cwd=folder)
    return name


def raw(folder: Path, commit: str) -> bytes:
    return subprocess.run(["git", "cat-file", "commit", commit], cwd=folder, capture_output=True, check=True).stdout


def signer_of(kind: str = "ssh-ed25519") -> Signer:
    """Of a key that nobody wrote to do harm."""
    key = asyncssh.generate_private_key(kind)
    public = " ".join(key.export_public_key().decode().split()[:2])
    return Signer(key.export_private_key("pkcs8-pem"), public, key.get_fingerprint())


@pytest.mark.parametrize("kind", KINDS)
async def test_git_says_that_a_signature_is_good(tmp_path: Path, keys: Keys, kind: str) -> None:
    pem, public = ssh_key(kind, "the key's passphrase")
    signer = await keys.signer(pem, "the key's passphrase")
    assert signer.public == public
    name = made(tmp_path / "x.git", signer)
    git("fsck", "--strict", cwd=tmp_path / "x.git")
    assert verified(tmp_path / "x.git", name, public) == f"G bot@example.com {signer.fingerprint}"
    assert is_signed(raw(tmp_path / "x.git", name), public)
    with pytest.raises(RuntimeError):
        verified(tmp_path / "x.git", name, ssh_key()[1])


def test_what_was_signed_is_the_commit_without_its_signature(tmp_path: Path) -> None:
    signed, signatures = unsigned(raw(tmp_path / "x.git", made(tmp_path / "x.git", signer_of())))
    assert signed == raw(tmp_path / "y.git", made(tmp_path / "y.git", None))
    assert len(signatures) == 1
    assert signatures[0].startswith(b"-----BEGIN SSH SIGNATURE-----\n")
    assert signatures[0].endswith(b"\n-----END SSH SIGNATURE-----")


def test_what_is_no_good_signature(tmp_path: Path) -> None:
    signer = signer_of()
    good = raw(tmp_path / "x.git", made(tmp_path / "x.git", signer))
    data, (signature,) = unsigned(good)
    other = asyncssh.create_sshsig(asyncssh.import_private_key(signer.key), data, namespace="file").rstrip()
    assert is_signed(good, signer.public)
    for wrong in (
        data,
        good.replace(b"m\n\ngpgsig", b"M\n\ngpgsig"),
        good.replace(b"gpgsig ", b"gpgsig x", 1),
        with_signature(data, other),
        with_signature(good, signature),
        good.replace(signature[60:80], b"A" * 20),
        with_signature(data, b"-----BEGIN SSH SIGNATURE-----"),
        with_signature(data, b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----"),
    ):
        assert not is_signed(wrong, signer.public)
    assert not is_signed(good, signer_of().public)
    assert not is_signed(good, "no key")


def with_signature(commit: bytes, signature: bytes) -> bytes:
    """A commit with one more."""
    head, _, message = commit.partition(b"\n\n")
    return b"%b\ngpgsig %b\n\n%b" % (head, signature.replace(b"\n", b"\n "), message)


def test_a_key_whose_halves_are_of_two_signs_nothing(tmp_path: Path) -> None:
    """Nothing of it is in the pack."""
    signer = replace(signer_of(), public=signer_of().public)
    with pytest.raises(CredentialError, match="its own public key") as error:
        made(tmp_path / "x.git", signer)
    assert error.value.reason is Reason.InvalidSecret
    assert signer.key.decode().splitlines()[1] not in repr((signer, error.value, error.value.args))


@pytest.mark.parametrize(
    ("pem", "passphrase", "words"),
    [
        (b"no key", None, "can't be read"),
        (ssh_key(passphrase="x")[0], None, "`passphrase`"),
        (ssh_key(passphrase="x")[0], "y", "`passphrase`"),
        (ssh_key("ssh-ed448")[0], None, "type ssh-ed448"),
        (b"x" * (17 << 10), None, "bytes"),
        (ssh_key()[0], "x" * 2000, "bytes"),
        (many_rounds(), "x", "rounds"),
    ],
    ids=["none", "no-passphrase", "wrong-passphrase", "type", "size", "long-passphrase", "rounds"],
)
async def test_a_key_that_can_not_sign_is_the_secrets_fault(
    keys: Keys, pem: bytes, passphrase: str | None, words: str
) -> None:
    with pytest.raises(CredentialError, match=words) as error:
        await keys.signer(pem, passphrase)
    assert error.value.reason is Reason.InvalidSecret


_COLD = """
import sys
from gitintegration.git import slices
from gitintegration.git.signing import is_signed

slices.BRIEF = 0.05
answer = slices.brief(is_signed, (b"gpgsig x\\n\\nm", "ssh-ed25519 AAAA"), {})
assert answer is not None and answer.value is False
assert "asyncssh" in sys.modules
"""


def test_the_first_commit_that_a_worker_signs_is_not_broken_off_for_an_import() -> None:
    """Which takes longer than a slice, and of which half is worse than none."""
    subprocess.run([sys.executable, "-c", _COLD], check=True)
