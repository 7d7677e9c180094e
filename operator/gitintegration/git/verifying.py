"""Whether commits are signed by keys that are trusted. Runs in a worker: keys and signatures are whatever a committer made.

A key is looked up before anything is computed with it, so that no key of somebody else's takes any time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from gitintegration.api.git_names import identity
from gitintegration.core.text import decoded, plain
from gitintegration.core.verdict import OWN, Flaw, Verdict
from gitintegration.git import openpgp
from gitintegration.git.objects import Objects
from gitintegration.git.signing import unsigned
from gitintegration.git.slices import uncounted

_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----\n", b"\n-----END SSH SIGNATURE-----"
_LARGEST = 16 << 10
"""Bytes of a signature; one of RSA with 16,384 bits takes 6 KB."""
_COMMITS = 10_000
"""So many are verified in one go at most."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose commits are taken: lines as in OpenSSH's allowed_signers, OpenPGP keys, and patterns of their authors' addresses (none: all).

    `own`: the public key of the operator's own commits, whose authors are whoever edited in the cluster.
    """

    signers: str
    authors: tuple[str, ...] = ()
    own: str | openpgp.PublicKey = ""
    keys: tuple[openpgp.PublicKey, ...] = ()


def verify(directory: Path, head: str, since: str | None, trust: Trust) -> Verdict:
    """Of the first commit that is not to be taken, of those that follow `since` to `head` by first parents; else of the head.

    Without `since` it is of the head alone. Raises CacheCorruptError where the cache lacks one of them.
    """
    keys, found = keys_of(trust), list[Verdict]()
    with Objects(directory) as store:
        for sha in _chain(store, head, since):
            found.append(verdict(sha, store.raw(sha), trust, keys))
    flawed = [each for each in found if each.flaw]
    return flawed[-1] if flawed else found[0]


def _chain(store: Objects, head: str, since: str | None) -> Iterator[str]:
    yield head
    at, left = head, _COMMITS
    while since is not None and left:
        parents = store.commit(at).parents
        if not parents or parents[0].decode() == since:
            return
        at, left = parents[0].decode(), left - 1
        yield at


def keys_of(trust: Trust) -> Mapping[bytes, Sequence[tuple[str, bytes]]]:
    """By the key itself, the principals and the line of each entry, which holds for commits alone. Raises ValueError for a line that is none."""
    found: dict[bytes, list[tuple[str, bytes]]] = {}
    own = [f"{OWN} {trust.own}"] if trust.own and isinstance(trust.own, str) else []
    for number, text in enumerate([*trust.signers.splitlines(), *own], start=1):
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        principals, rest = _principals(line)
        options, kind, key = _options(rest)
        try:
            data = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if not data or "cert-authority" in options:
            raise ValueError(f"line {number} is no public key of a signer (certificates are not taken)")
        held = options if "namespaces=" in options else ",".join(filter(None, ('namespaces="git"', options)))
        found.setdefault(data, []).append((principals, f"signer {held} {kind} {key}".encode()))
    return found


def _principals(line: str) -> tuple[str, str]:
    if line.startswith('"'):
        name, _, rest = line[1:].partition('"')
    else:
        name, _, rest = line.partition(" ")
    return name, rest.strip()


_KINDS = ("ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-")


def _options(rest: str) -> tuple[str, str, str]:
    """Options, type and key; an option may hold spaces between quotes."""
    options, quoted, at = "", False, 0
    if not rest.startswith(_KINDS):
        for at, sign in enumerate(rest):  # noqa: B007 - where it ends
            quoted ^= sign == '"'
            if sign == " " and not quoted:
                break
        options, rest = rest[:at], rest[at:].strip()
    words = [*rest.split(), "", ""]
    return options, words[0], words[1]


@dataclass(frozen=True, slots=True)
class _Signed:
    """What a signature is. `key`: the fingerprint of who made it, `signer`: whose that is, where it is trusted."""

    key: str = ""
    signer: str = ""
    is_own: bool = False
    flaw: Flaw | None = None
    words: str = ""


_Lines = Mapping[bytes, Sequence[tuple[str, bytes]]]
_UNREADABLE = _Signed(flaw=Flaw.SignatureInvalid, words="has a signature that can't be read")
_UNTRUSTED = "is signed by a key that is not trusted"
_BROKEN = "has a signature that does not hold: the commit or it was changed, or the key's time is over"
_WEAK = ", it was revoked, or the hash is too weak"


def verdict(sha: str, raw: bytes, trust: Trust, keys: _Lines) -> Verdict:
    """Of one commit."""
    author = _author(raw)
    found = _signed(*unsigned(raw), trust, keys)
    flaw, words = found.flaw, found.words
    address = author.rpartition("<")[2].rstrip(">")
    allowed = not trust.authors or found.is_own or any(fnmatchcase(address, pattern) for pattern in trust.authors)
    if flaw is None and not allowed:
        flaw, words = Flaw.AuthorNotAllowed, "is by an author who is not allowed"
    return Verdict(sha, author, found.key, found.signer, flaw, words)


def _signed(signed: bytes, signatures: Sequence[bytes], trust: Trust, keys: _Lines) -> _Signed:
    if not signatures:
        return _Signed(flaw=Flaw.Unsigned, words="is not signed")
    if len(signatures) > 1:
        return _Signed(flaw=Flaw.SignatureInvalid, words="has more than one signature")
    if signatures[0].startswith(_BEGIN):
        return _by_ssh(signed, signatures[0], trust, keys)
    if signatures[0].startswith(openpgp.BEGIN):
        return _by_openpgp(signed, signatures[0], trust)
    return _Signed(flaw=Flaw.UntrustedKey, words="is signed by something else than an SSH key or an OpenPGP key")


def _by_ssh(signed: bytes, signature: bytes, trust: Trust, keys: _Lines) -> _Signed:
    with uncounted():
        import asyncssh

    parts = _parts(signature)
    if parts is None:
        return _UNREADABLE
    public, namespace = parts
    key = "SHA256:" + base64.b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")
    if public not in keys:
        return _Signed(key, flaw=Flaw.UntrustedKey, words=_UNTRUSTED)
    signer = plain(keys[public][0][0])[:200]
    if namespace != b"git":
        return _Signed(key, signer, flaw=Flaw.SignatureInvalid, words="has a signature that was not made for git")
    lines = b"\n".join(line for _, line in keys[public])
    try:
        good = asyncssh.validate_sshsig(signed, signature + b"\n", "signer", lines)
    except (asyncssh.KeyImportError, ValueError):
        good = False
    if not good:
        return _Signed(key, signer, flaw=Flaw.SignatureInvalid, words=_BROKEN)
    own = trust.own if isinstance(trust.own, str) else ""
    return _Signed(key, signer, own.split()[1:2] == [base64.b64encode(public).decode()])


def _by_openpgp(signed: bytes, signature: bytes, trust: Trust) -> _Signed:
    own = [trust.own] if isinstance(trust.own, openpgp.PublicKey) else []
    try:
        key, trusted, good = openpgp.judge(signed, signature, [*own, *trust.keys])
    except ValueError:
        return _UNREADABLE
    if trusted is None:
        return _Signed(key, flaw=Flaw.UntrustedKey, words=_UNTRUSTED)
    signer = OWN if trusted in own else trusted.who if trusted.who != OWN else trusted.fingerprint
    if not good:
        return _Signed(key, signer, flaw=Flaw.SignatureInvalid, words=_BROKEN + _WEAK)
    return _Signed(key, signer, trusted in own)


def _author(raw: bytes) -> str:
    """Name and address of the only line that names them; nobody where there are several."""
    lines = [line for line in raw.partition(b"\n\n")[0].split(b"\n") if line.startswith(b"author ")]
    return plain(identity(decoded(lines[0][7:]).rpartition("> ")[0])) if len(lines) == 1 else "nobody <>"


def _parts(signature: bytes) -> tuple[bytes, bytes] | None:
    """The public key and the namespace of an armoured signature; None where it is none."""
    if len(signature) > _LARGEST or not signature.rstrip().endswith(_END):
        return None
    try:
        blob = base64.b64decode(b"".join(signature.rstrip()[len(_BEGIN) : -len(_END)].split(b"\n")), validate=True)
        if blob[:6] != b"SSHSIG" or struct.unpack_from(">I", blob, 6) != (1,):
            return None
        public, at = _string(blob, 10)
        return public, _string(blob, at)[0]
    except (binascii.Error, struct.error, ValueError):
        return None


def _string(blob: bytes, at: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from(">I", blob, at)
    if at + 4 + size > len(blob):
        raise ValueError("longer than what there is")
    return blob[at + 4 : at + 4 + size], at + 4 + size
