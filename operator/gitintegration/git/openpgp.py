"""OpenPGP keys and signatures, by Sequoia. What reads and signs runs in a worker: keys and signatures are whatever somebody made.

Sequoia asks whether a key served when a signature says that it was made, which is for whoever has the key to say. Here it must
serve now as well, as git has it. Of a signature nothing is computed before its key was found among those that are trusted.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from gitintegration.core.text import plain
from gitintegration.git.slices import uncounted

if TYPE_CHECKING:
    from pysequoia import Cert, PySigner, Tsk

BEGIN = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"
_PUBLIC, _PRIVATE = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----BEGIN PGP PRIVATE KEY BLOCK-----"
_LARGEST = 16 << 10
"""Bytes of a signature, as armoured."""
_SHOWN = 16 << 10
"""Bytes of the own public key, which becomes part of a status."""
_CERTIFICATE = 64 << 10
"""Bytes of a certificate, which is read again where a signature is verified: 50 KB of it took a second of the processor at worst."""
_KEY = 1100
"""Bytes of one key of a certificate; one of RSA with 8192 bits has 1035."""
_HEADER = 6
"""Bytes before what a packet holds, at most."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A certificate. `fingerprint` is its primary key's, `parts` are those of all its keys, `who` is who it says that it is of."""

    data: bytes = field(repr=False)
    fingerprint: str
    parts: tuple[str, ...]
    who: str


def is_private(text: str) -> bool:
    """Whether a text holds an armoured private key."""
    return _PRIVATE in text


class Unfit(ValueError):
    """What can't be used, in words that follow the name of its file."""


class BadFile(ValueError):
    """A file that holds no keys: its name, and words that follow it."""


@contextmanager
def _sequoia(words: str) -> Iterator[None]:
    """Raises Unfit with these words for whatever is no OpenPGP: its own hold a trace. A process that panicked may hold a broken lock, and ends."""
    try:
        yield
    except (Unfit, MemoryError):
        raise
    except Exception:
        raise Unfit(words) from None
    except BaseException as error:
        if type(error).__module__ == "pyo3_runtime":
            os._exit(70)
        raise


# --- keys ---------------------------------------------------------------------------------------------------------------


def public_keys(files: Mapping[str, str]) -> tuple[PublicKey, ...]:
    """The certificates of these files by name; what several say of one is put together. Raises BadFile."""
    with uncounted():
        from pysequoia import Cert

    certs, made = dict[str, Cert](), dict[str, PublicKey]()
    for name, text in files.items():
        try:
            with _sequoia("holds a public key that can't be read: is it whole?"):
                for cert in _certificates(text):
                    mark = cert.fingerprint
                    certs[mark] = certs[mark].merge(cert) if mark in certs else cert
                    made[mark] = _public(certs[mark])
        except Unfit as error:
            raise BadFile(name, str(error)) from None
    return tuple(made.values())


def _certificates(text: str) -> list[Cert]:
    """Those of a file, which may be several blocks."""
    from pysequoia import Cert

    if is_private(text):
        raise Unfit("holds a private key, and public ones are asked for (gpg --armor --export KEY)")
    blocks = text.split(_PUBLIC)[1:]
    made = [cert for block in blocks for cert in Cert.split_bytes(f"{_PUBLIC}{block}".encode())]
    if not made:
        raise Unfit("holds no armoured OpenPGP public key (gpg --armor --export KEY)")
    return made


def _public(cert: Cert) -> PublicKey:
    from pysequoia.packet import PacketPile, Tag

    usual = [Tag.PublicKey, Tag.PublicSubkey, Tag.UserID, Tag.UserAttribute, Tag.Signature]
    data = bytes(cert)
    packets = list(PacketPile.from_bytes(data))
    parts = [packet.fingerprint for packet in packets if packet.fingerprint]
    largest = max(len(packet.body) for packet in packets if packet.fingerprint)
    if any(packet.tag not in usual for packet in packets):
        raise Unfit("holds what is no part of a key")
    if largest > _KEY:
        raise Unfit(f"holds a key of {largest} bytes, more than {_KEY}")
    if len(data) > _CERTIFICATE:
        words = f"holds a key that has {len(data)} bytes with its signatures, more than {_CERTIFICATE}"
        raise Unfit(f"{words}: export-minimal leaves others' out")
    try:
        with _sequoia("names nobody"):
            who = plain(str(next(iter(cert.user_ids), "")))[:200]
    except Unfit:
        who = ""
    return PublicKey(data, parts[0].upper(), tuple(parts), who)


@lru_cache(maxsize=64)
def _opened(data: bytes) -> tuple[Cert, dict[str, datetime | None]]:
    """A certificate, and when each of its subkeys ends, or has ended."""
    from pysequoia import Cert
    from pysequoia.packet import PacketPile, SignatureType, Tag

    ends, bound, created, at = dict[str, datetime | None](), _NEVER, _NEVER, ""
    for packet in PacketPile.from_bytes(data):
        made = packet.signature_created or _NEVER
        if packet.fingerprint:
            at, created, bound = packet.fingerprint, packet.key_created or _NEVER, _NEVER
            ends[at] = None
        elif packet.tag != Tag.Signature or ends[at] == _NEVER:
            continue
        elif packet.signature_type == SignatureType.SubkeyRevocation:
            ends[at] = _NEVER
        elif packet.signature_type == SignatureType.SubkeyBinding and made >= bound:
            bound, valid = made, packet.key_validity_period
            ends[at] = created + valid if valid else None
    return Cert.from_bytes(data), ends


def _serves(key: PublicKey, part: str) -> bool:
    """Whether this key of a certificate has its time now, as far as the certificate says."""
    cert, ends = _opened(key.data)
    now = datetime.now(UTC)
    return not cert.is_revoked and not any(end is not None and end <= now for end in (cert.expiration, ends[part]))


@_sequoia("holds a private key that can't be read: is it whole?")
def read_private(armoured: bytes, passphrase: str | None) -> tuple[PublicKey, str]:
    """The public half of a private key that signs, and the same armoured. Raises Unfit."""
    with uncounted():
        from pysequoia import Cert, Sig, Tsk
        from pysequoia.packet import PublicKeyAlgorithm as Algorithm

    if armoured.count(_PRIVATE.encode()) != 1:
        raise Unfit("is not one armoured OpenPGP private key (gpg --armor --export-secret-keys KEY)")
    if len(Cert.split_bytes(armoured)) > 1:
        raise Unfit("holds several private keys, and one is to sign (gpg --armor --export-secret-keys KEY)")
    cert = Tsk.from_bytes(armoured).extract_certificate()
    public, shown = _public(cert), str(cert)
    if len(public.fingerprint) != 40:
        raise Unfit("is of a version of OpenPGP that git's gpg can't read: version 4 can be")
    if len(shown) > _SHOWN:
        words = f"has {len(shown)} bytes of public key, more than {_SHOWN}"
        raise Unfit(f"{words}: export-minimal leaves others' signatures out")
    if not _serves(public, public.parts[0]):
        raise Unfit("holds a key that serves no more: it has expired, or is revoked")
    try:
        signature = sign(b"", armoured, passphrase)
    except Unfit:
        words = "holds no key that can sign: is `passphrase` its passphrase, and has a key for signing its time?"
        raise Unfit(words) from None
    known = [Algorithm.RSAEncryptSign, Algorithm.RSASign, Algorithm.ECDSA, Algorithm.EdDSA]
    if Sig.from_bytes(signature).key_algorithm not in known:
        raise Unfit("is of a type that git's gpg can't read: EdDSA, ECDSA and RSA can be")
    if not judge(b"", signature, [public])[2]:
        raise Unfit("makes no signature that its own public key vouches for")
    return public, shown


@lru_cache(maxsize=16)
def _unlocked(armoured: bytes, passphrase: str | None) -> PySigner:
    """What signs: a subkey where one can, as gpg has it. To try a passphrase takes 0.2 s, so it is tried once."""
    for tsk in _signing(armoured):
        for tried in dict.fromkeys((passphrase, None)):
            with suppress(Unfit), _sequoia("does not sign"):
                return tsk.signer(tried)
    raise Unfit("does not sign")


def _signing(armoured: bytes) -> Iterator[Tsk]:
    """A private key without that of its primary key, which an export may have a stub of, and the whole."""
    from pysequoia import Tsk
    from pysequoia.packet import PacketPile

    whole = Tsk.from_bytes(armoured)
    primary = next(iter(PacketPile.from_bytes(bytes(whole.extract_certificate()))))
    yield Tsk.from_packets([primary, *list(PacketPile.from_bytes(armoured))[1:]])
    yield whole


# --- signatures ---------------------------------------------------------------------------------------------------------


@_sequoia("does not sign")
def sign(data: bytes, armoured: bytes, passphrase: str | None) -> bytes:
    """A signature, armoured. Raises Unfit where the key makes none."""
    with uncounted():
        import pysequoia

    signer = _unlocked(armoured, passphrase)
    return pysequoia.sign(signer, data, mode=pysequoia.SignatureMode.DETACHED).rstrip(b"\n")


@_sequoia("is no signature")
def judge(data: bytes, armoured: bytes, keys: Sequence[PublicKey]) -> tuple[str, PublicKey | None, bool]:
    """Which key a signature says that it is of, which of these that is, and whether it holds. Raises Unfit for what is not one signature."""
    with uncounted():
        import pysequoia
        from pysequoia.packet import HashAlgorithm as Hash
        from pysequoia.packet import PacketPile, SignatureType

    blob = _dearmoured(armoured)
    signature = pysequoia.Sig.from_bytes(blob)
    (packet,) = PacketPile.from_bytes(bytes(signature))
    issuer = signature.issuer_fingerprint or signature.issuer_key_id
    if not issuer or len(blob) - len(packet.body) > _HEADER:
        raise Unfit("is not one signature")
    found = next(((key, part) for key in keys for part in key.parts if issuer in (part, _key_id(part))), None)
    if found is None:
        return issuer.upper(), None, False
    key, part = found
    good = signature.signature_type == SignatureType.Binary
    good &= signature.hash_algorithm in [Hash.SHA256, Hash.SHA384, Hash.SHA512, Hash.SHA3_256, Hash.SHA3_512]
    try:
        with _sequoia("does not hold"):
            cert = _opened(key.data)[0]
            valid = pysequoia.verify(bytes=data, store=lambda _: [cert], signature=signature).valid_sigs
            good &= [each.signing_key for each in valid] == [part] and _serves(key, part)
    except Unfit:
        good = False
    return part.upper(), key, good


def _key_id(fingerprint: str) -> str:
    return fingerprint[-16:] if len(fingerprint) == 40 else fingerprint[:16]


def _dearmoured(armoured: bytes) -> bytes:
    """What is in the one block that this must be."""
    lines = [line.strip() for line in armoured.strip().split(b"\n")]
    if len(armoured) > _LARGEST or lines[0] != BEGIN or lines[-1] != _END or b"" not in lines:
        raise Unfit("is no armoured signature")
    body = lines[lines.index(b"") + 1 : -1]
    if body and body[-1].startswith(b"="):
        del body[-1]
    return base64.b64decode(b"".join(body), validate=True)
