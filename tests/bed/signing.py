"""Keys that commits are signed with, and git's own judgement of a commit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncssh

from tests.bed.gitserver import Repo, git


def ssh_key(kind: str = "ssh-ed25519", passphrase: str | None = None, **more: Any) -> tuple[bytes, str]:
    """A private key as ssh-keygen writes it, and its public line."""
    key = asyncssh.generate_private_key(kind, **more)
    return key.export_private_key(passphrase=passphrase), " ".join(key.export_public_key().decode().split()[:2])


def verified(repository: Path, commit: str, public: str, who: str = "bot@example.com") -> str:
    """What git says of a commit's signature where `who` signs with this key. Raises RuntimeError where it is not good."""
    signers = repository / "allowed-signers"
    signers.write_text(f"{who} {public}\n")
    settings = ["-c", f"gpg.ssh.allowedSignersFile={signers}"]
    git(*settings, "verify-commit", commit, cwd=repository)
    return git(*settings, "log", "-1", "--format=%G? %GS %GF", commit, cwd=repository).strip()


def signed_commit(repo: Repo, private: bytes, files: Mapping[str, str], author: str = "Ann <ann@example.com>") -> str:
    """A commit that somebody made and signed in a clone with this key, and pushed; its name."""
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "key")
        key.write_bytes(private)
        key.chmod(0o600)
        return pushed(repo, files, author, ("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"))


def pushed(
    repo: Repo, files: Mapping[str, str], author: str, signing: Sequence[str], env: Mapping[str, str] | None = None
) -> str:
    """The same; `signing`: what git is told of the key."""
    name, _, address = author.rstrip(">").partition(" <")
    who = {
        f"GIT_{role}_{field}": text
        for role in ("AUTHOR", "COMMITTER")
        for field, text in (("NAME", name), ("EMAIL", address))
    }
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        git("clone", "--quiet", str(repo.path), str(clone))
        for path, text in files.items():
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            (clone / path).write_text(text)
        git("add", "--all", cwd=clone)
        words = ("commit", "--quiet", "--allow-empty", "-S", "-m", "signed")
        git(*signing, *words, cwd=clone, env={**who, **(env or {})})
        git("push", "--quiet", "origin", f"HEAD:{repo.branch}", cwd=clone)
        return git("rev-parse", "HEAD", cwd=clone).strip()
