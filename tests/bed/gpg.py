"""gpg: keys as people have them, and what git says of an OpenPGP signature by it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.bed import build
from tests.bed.gitserver import Repo, git
from tests.bed.signing import pushed


class Gpg:
    """A keyring with an agent of its own, in a folder whose path is short enough for the agent's socket.

    `quick`: a passphrase is hashed a thousandth as often as gpg would, which takes it a second of the processor.
    """

    def __init__(self, quick: bool = True) -> None:
        build.gpg()
        self.folder = Path(tempfile.mkdtemp(prefix="gpg-"))
        (self.folder / "gpg.conf").write_text("batch\nquiet\ntrust-model always\npinentry-mode loopback\n")
        (self.folder / "gpg-agent.conf").write_text("s2k-count 65536\n" if quick else "")
        self.env = {"GNUPGHOME": str(self.folder)}

    def close(self) -> None:
        subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, **self.env}, check=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *words: str, stdin: bytes = b"", at: str = "") -> bytes:
        """What gpg prints; `at`: as if it was then. Raises RuntimeError with what it says."""
        then = ["--faked-system-time", at, "--ignore-time-conflict"] if at else []
        command = ["gpg", *then, *words]
        done = subprocess.run(command, input=stdin, capture_output=True, env={**os.environ, **self.env})
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def key(
        self,
        who: str,
        kind: str = "ed25519",
        use: str = "sign",
        ends: str = "never",
        passphrase: str = "",
        at: str = "",
    ) -> str:
        """A new key's fingerprint."""
        self.run("--passphrase", passphrase, "--quick-gen-key", who, kind, use, ends, at=at)
        return self.parts(f"={who}")[0]

    def subkey(self, key: str, use: str = "sign", ends: str = "never", passphrase: str = "", at: str = "") -> str:
        """The fingerprint of one more."""
        self.run("--passphrase", passphrase, "--quick-add-key", key, "ed25519", use, ends, at=at)
        return self.parts(key)[-1]

    def parts(self, key: str) -> list[str]:
        """Fingerprints of a key and of its subkeys."""
        lines = self.run("--list-keys", "--with-colons", key).decode().splitlines()
        return [line.split(":")[9] for line in lines if line.startswith("fpr:")]

    def edit(self, key: str, *words: str) -> None:
        """What somebody answers who edits a key, line by line."""
        answers = "".join(f"{word}\n" for word in words).encode()
        self.run("--no-batch", "--no-tty", "--command-fd", "0", "--expert", "--edit-key", key, stdin=answers)

    def revoke(self, key: str) -> None:
        """By the certificate that was made with the key."""
        made = (self.folder / "openpgp-revocs.d" / f"{key}.rev").read_text()
        self.run("--import", stdin=made.replace("\n:-----BEGIN", "\n-----BEGIN").encode())

    def public(self, *keys: str) -> str:
        return self.run("--armor", "--export", *keys).decode()

    def private(self, key: str, passphrase: str = "", subkeys: bool = False) -> bytes:
        """`subkeys`: with a stub in place of the primary key."""
        export = "--export-secret-subkeys" if subkeys else "--export-secret-keys"
        return self.run("--passphrase", passphrase, "--armor", export, key)

    def sign(self, key: str, data: bytes, *more: str, at: str = "") -> bytes:
        """As git has it sign: armoured, and what is signed is bytes."""
        return self.run(*more, "-bsau", key, stdin=data, at=at).rstrip(b"\n")

    def commit(self, repo: Repo, key: str, files: Mapping[str, str], who: str = "Ann <ann@example.com>") -> str:
        """A commit that git made and signed in a clone, and pushed; its name."""
        return pushed(repo, files, who, ("-c", f"user.signingKey={key}"), self.env)


def verified(repository: Path, commit: str, public: str) -> str:
    """What git says of a commit's signature where this key alone is known. Raises RuntimeError where it is not good."""
    gpg = Gpg()
    try:
        gpg.run("--import", stdin=public.encode())
        git("verify-commit", commit, cwd=repository, env=gpg.env)
        return git("log", "-1", "--format=%G? %GF %GP", commit, cwd=repository, env=gpg.env).strip()
    finally:
        gpg.close()
