"""Commits signed with an SSH key, as git does it where gpg.format is ssh, or with an OpenPGP key. What signs runs in a worker.

asyncssh takes 0.1 to 0.3 s to import, so only who signs does, and its task is not broken off for that. A string in place of bytes is a file's name to it: bytes go in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitintegration import messages
from gitintegration.errors import CredentialError, Reason
from gitintegration.git import openpgp
from gitintegration.git.openpgp import PublicKey
from gitintegration.git.slices import uncounted

if TYPE_CHECKING:
    from dulwich.objects import Commit

_NAMESPACE = "git"
"""What git has signed; a signature of a file or of a mail is of another, and proves nothing about a commit."""
_WHO = "git"


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that commits are signed with. `key`: PKCS #8 without a passphrase, `public`: the line that a forge is given.

    With `openpgp`, its public half, both are armoured OpenPGP, and there may be a passphrase: what a worker unlocked stays there.
    """

    key: bytes = field(repr=False)
    public: str
    fingerprint: str
    secret: str = ""
    """Name of the Secret that it is out of."""
    openpgp: PublicKey | None = None
    passphrase: str | None = field(default=None, repr=False)

    @property
    def own(self) -> str | PublicKey:
        """What its signatures are verified with."""
        return self.openpgp or self.public

    def to_status(self) -> dict[str, str]:
        kind = "openpgp" if self.openpgp else "ssh"
        return {"type": kind, "fingerprint": self.fingerprint, "publicKey": self.public}


def sign(commit: Commit, signer: Signer) -> None:
    """Sign a commit. Raises CredentialError where the key's own public half does not vouch for what is sent then."""
    data = commit.as_raw_string()
    try:
        made = openpgp.sign(data, signer.key, signer.passphrase) if signer.openpgp else _by_ssh(data, signer.key)
        commit.gpgsig = made
        good = is_signed(commit.as_raw_string(), signer.own)
    except ValueError:
        good = False
    if not good:
        name = "git.asc" if signer.openpgp else "identity"
        words = messages.SECRET_FILE(key=name, words="makes no signature that its own public key vouches for")
        raise CredentialError(Reason.InvalidSecret, words.of_secret(signer.secret))


def _by_ssh(data: bytes, private_key: bytes) -> bytes:
    with uncounted():
        import asyncssh

    key = asyncssh.import_private_key(private_key)
    made: bytes = asyncssh.create_sshsig(key, data, namespace=_NAMESPACE)
    return made.rstrip(b"\n")


def is_signed(commit: bytes, public: str | PublicKey) -> bool:
    """Whether a raw commit holds just one signature, of git's kind, of this public key."""
    signed, signatures = unsigned(commit)
    if len(signatures) != 1:
        return False
    try:
        if isinstance(public, PublicKey):
            return openpgp.judge(signed, signatures[0], [public])[2]
        return _is_by_ssh(signed, signatures[0], public)
    except ValueError:
        return False


def _is_by_ssh(signed: bytes, signature: bytes, public: str) -> bool:
    with uncounted():
        import asyncssh

    allowed = f'{_WHO} namespaces="{_NAMESPACE}" {public}'.encode()
    return bool(asyncssh.validate_sshsig(signed, signature, _WHO, allowed))


def unsigned(commit: bytes) -> tuple[bytes, list[bytes]]:
    """What is signed of a raw commit, and the signatures in it."""
    head, end, message = commit.partition(b"\n\n")
    kept, found, inside = list[bytes](), list[list[bytes]](), False
    for line in head.split(b"\n"):
        name, _, value = line.partition(b" ")
        if name == b"" and inside:
            found[-1].append(value)
        elif inside := name in (b"gpgsig", b"gpgsig-sha256"):
            found.append([value])
        else:
            kept.append(line)
    return b"\n".join(kept) + end + message, [b"\n".join(lines) for lines in found]
