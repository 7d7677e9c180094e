"""Which commits are taken for signed by whom: git's own are, and everything that only looks so is not."""

from __future__ import annotations

import base64
import struct
import subprocess
from pathlib import Path

import asyncssh
import pytest

from gitintegration.core.verdict import Flaw, Verdict
from gitintegration.git.verifying import Trust, keys_of, verdict, verify
from tests.bed.gitserver import git
from tests.bed.signing import ssh_key
from tests.unit.git.test_signing import raw, with_signature

ANN, BOB, MALLORY = (ssh_key() for _ in range(3))
_WHO = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.com",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.com",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git("init", "--quiet", "--initial-branch=main", str(tmp_path))
    for name, (private, _) in (("ann", ANN), ("bob", BOB), ("mallory", MALLORY)):
        (tmp_path / name).write_bytes(private)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def commit(repository: Path, key: str = "", *more: str, text: str = "edit") -> str:
    """As git itself makes and signs it."""
    signing = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={repository / key}"] if key else []
    sign = ["-S"] if key else ["--no-gpg-sign"]
    git(*signing, "commit", "--quiet", "--allow-empty", "-m", text, *sign, *more, cwd=repository, env=_WHO)
    return git("rev-parse", "HEAD", cwd=repository).strip()


def packed(repository: Path) -> Path:
    """The folder with an object store that is all packs, as a cache is."""
    git("repack", "-adq", cwd=repository)
    return repository / ".git"


def judged(repository: Path, sha: str, trust: Trust) -> Verdict:
    return verdict(sha, raw(repository, sha), trust, keys_of(trust))


def trusting(*keys: tuple[bytes, str], options: str = "", **more: object) -> Trust:
    lines = "\n".join(f"who-{n}@example.com {options} {public} comment" for n, (_, public) in enumerate(keys))
    return Trust(f"# signers\n\n{lines}\n", **more)  # type: ignore[arg-type]


def test_what_git_signs_with_a_listed_key_is_taken(repository: Path) -> None:
    found = judged(repository, commit(repository, "ann"), trusting(BOB, ANN))
    assert (found.flaw, found.signer, found.author) == (None, "who-1@example.com", "Ann <ann@example.com>")
    assert found.key == asyncssh.import_public_key(ANN[1]).get_fingerprint()


@pytest.mark.parametrize("kind", ["ecdsa-sha2-nistp256", "ssh-rsa"])
def test_keys_of_every_type(repository: Path, kind: str) -> None:
    made = ssh_key(kind)
    (repository / "other").write_bytes(made[0])
    (repository / "other").chmod(0o600)
    assert judged(repository, commit(repository, "other"), trusting(made)).flaw is None


def test_what_is_not_signed_by_who_is_trusted(repository: Path) -> None:
    assert judged(repository, commit(repository), trusting(ANN)).flaw is Flaw.Unsigned
    other = judged(repository, commit(repository, "mallory"), trusting(ANN))
    assert (other.flaw, other.author) == (Flaw.UntrustedKey, "Ann <ann@example.com>")
    assert other.key == asyncssh.import_public_key(MALLORY[1]).get_fingerprint()


def test_a_signed_tag_does_not_sign_its_commit(repository: Path) -> None:
    sha = commit(repository)
    signing = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={repository / 'ann'}"]
    git(*signing, "tag", "-s", "-m", "v1", "v1", cwd=repository, env=_WHO)
    assert judged(repository, sha, trusting(ANN)).flaw is Flaw.Unsigned


@pytest.mark.parametrize(
    "options", ['valid-before="20200101"', 'namespaces="file"', 'namespaces="file",valid-after="20200101"']
)
def test_a_key_that_is_trusted_for_something_else(repository: Path, options: str) -> None:
    trust = trusting(ANN, options=options)
    assert judged(repository, commit(repository, "ann"), trust).flaw is Flaw.SignatureInvalid


@pytest.mark.parametrize("options", ["", 'valid-after="20200101"', 'namespaces="file,git"'])
def test_a_key_that_is_trusted_for_commits(repository: Path, options: str) -> None:
    assert judged(repository, commit(repository, "ann"), trusting(ANN, options=options)).flaw is None


def signature(data: bytes, namespace: str = "git", private: bytes = ANN[0]) -> bytes:
    return asyncssh.create_sshsig(asyncssh.import_private_key(private), data, namespace=namespace).rstrip()


def armoured(blob: bytes) -> bytes:
    return b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(blob) + b"\n-----END SSH SIGNATURE-----"


def test_what_only_looks_like_a_signature(repository: Path) -> None:
    trust = trusting(ANN)
    keys = keys_of(trust)
    data = raw(repository, commit(repository))
    good = with_signature(data, signature(data))
    assert verdict("x", good, trust, keys).flaw is None
    huge = armoured(b"SSHSIG" + struct.pack(">II", 1, 1 << 31) + b"x" * (1 << 20))
    for wrong in (
        with_signature(data, signature(data, "file")),
        with_signature(data, signature(data + b" ")),
        with_signature(good, signature(data)),
        with_signature(data, huge),
        with_signature(data, armoured(b"")),
        with_signature(data, armoured(b"SSHSIG" + struct.pack(">II", 1, 1 << 31))),
        with_signature(data, b"-----BEGIN SSH SIGNATURE-----\n%%%\n-----END SSH SIGNATURE-----"),
        good.replace(b"edit", b"Edit"),
        good.replace(b"author Ann", b"author Bob"),
    ):
        assert verdict("x", wrong, trust, keys).flaw is Flaw.SignatureInvalid
    for other in (
        b"-----BEGIN PGP MESSAGE-----",
        b"-----BEGIN SIGNED MESSAGE-----",
        b"",
    ):
        assert verdict("x", with_signature(data, other), trust, keys).flaw is Flaw.UntrustedKey


def test_a_huge_key_takes_no_time(repository: Path) -> None:
    """It is looked up, and nothing is computed with it."""
    number = (1 << 60_000) + 1
    size = (number.bit_length() + 8) // 8
    public = b"".join(
        struct.pack(">I", len(part)) + part
        for part in (b"ssh-rsa", number.to_bytes(size, "big"), number.to_bytes(size, "big"))
    )
    blob = b"SSHSIG" + struct.pack(">II", 1, len(public)) + public + b"\0\0\0\3git" + b"\0\0\0\0" * 3
    data = raw(repository, commit(repository))
    found = verdict("x", with_signature(data, armoured(blob)), trusting(ANN), keys_of(trusting(ANN)))
    assert found.flaw in (Flaw.UntrustedKey, Flaw.SignatureInvalid)


def test_a_key_of_a_forge_signs_for_many_so_authors_may_be_asked_for(repository: Path) -> None:
    sha = commit(repository, "ann")
    assert judged(repository, sha, trusting(ANN, authors=("bob@example.com",))).flaw is Flaw.AuthorNotAllowed
    assert judged(repository, sha, trusting(ANN, authors=("bob@example.com", "*@example.com"))).flaw is None


def test_the_operators_own_commits_are_by_whoever_edited(repository: Path) -> None:
    trust = Trust(f"bob@example.com {BOB[1]}", ("bob@example.com",), own=ANN[1])
    assert judged(repository, commit(repository, "ann"), trust).flaw is None
    assert judged(repository, commit(repository, "bob"), trust).flaw is Flaw.AuthorNotAllowed


@pytest.mark.parametrize(
    "line",
    ["nonsense", "ann@example.com", f"* cert-authority {ANN[1]}", "ann ssh-ed25519 %%%"],
    ids=["nonsense", "no key", "authority", "no base64"],
)
def test_a_line_that_is_no_key_is_told(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        keys_of(Trust(f"ann {ANN[1]}\n{line}\n"))


def test_every_commit_since_the_last_that_was_verified(repository: Path) -> None:
    trust = trusting(ANN)
    first = commit(repository, "ann")
    second = commit(repository, "ann")
    bad = commit(repository)
    last = commit(repository, "ann")
    directory = packed(repository)
    assert verify(directory, last, None, trust).flaw is None
    found = verify(directory, last, first, trust)
    assert (found.commit, found.flaw) == (bad, Flaw.Unsigned)
    assert verify(directory, last, bad, trust).flaw is None
    assert verify(directory, second, first, trust).flaw is None


def test_of_a_merge_the_first_parents_count(repository: Path) -> None:
    base = commit(repository, "ann")
    git("checkout", "-q", "-b", "side", cwd=repository)
    commit(repository)
    git("checkout", "-q", "main", cwd=repository)
    commit(repository, "ann")
    signing = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={repository / 'ann'}"]
    git(*signing, "merge", "-q", "-S", "--no-ff", "-m", "merge", "side", cwd=repository, env=_WHO)
    head = git("rev-parse", "HEAD", cwd=repository).strip()
    assert (
        subprocess.run(["git", "log", "-1", "--format=%P"], cwd=repository, capture_output=True).stdout.count(b" ") == 1
    )
    assert verify(packed(repository), head, base, trusting(ANN)).flaw is None
