"""Keys that commits are signed with, and git's own judgement of a commit."""

from __future__ import annotations

from pathlib import Path

import asyncssh

from tests.bed.gitserver import git


def ssh_key(kind: str = "ssh-ed25519", passphrase: str | None = None, **more: int) -> tuple[bytes, str]:
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
