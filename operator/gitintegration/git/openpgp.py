"""OpenPGP keys and signatures, by Sequoia. What reads and signs runs in a worker: keys and signatures are whatever somebody made.

A key must serve now, as git has it by gpg, and not when a signature says that it was made, which is for whoever has the key to say. Of a
signature nothing is computed before its key was found among those that are trusted.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from gitintegration.core.text import plain
from gitintegration.git.slices import uncounted

if TYPE_CHECKING:
    from pysequoia import Cert, PySigner, Tsk
    from pysequoia.packet import Packet

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
_SKEW = timedelta(minutes=30)
"""By which the clock of who signs may be ahead."""


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
    from pysequoia.packet import Tag

    usual = [Tag.PublicKey, Tag.PublicSubkey, Tag.UserID, Tag.UserAttribute, Tag.Signature]
    data = bytes(cert)
    packets = _packets(data)
    parts = [packet.fingerprint for packet in packets if packet.fingerprint]
    largest = max(len(packet.body) for packet in packets if packet.fingerprint)
    if any(packet.tag not in usual for packet in packets):
        raise Unfit("holds what is no part of a key")
    if len(parts[0]) != 40:
        raise Unfit("holds a key of a version of OpenPGP that git's gpg can't read: version 4 can be")
    if largest > _KEY:
        raise Unfit(f"holds a key of {largest} bytes, more than {_KEY}")
    if len(data) > _CERTIFICATE:
        words = f"holds a key that has {len(data)} bytes with its signatures, more than {_CERTIFICATE}"
        raise Unfit(f"{words}: export-minimal leaves others' out")
    try:
        with _sequoia("names nobody"):
            who = plain(str(next(iter(_opened(data).user_ids), "")))[:200]
    except Unfit:
        who = ""
    return PublicKey(data, parts[0].upper(), tuple(parts), who)


@lru_cache(maxsize=64)
def _opened(data: bytes) -> Cert:
    from pysequoia import Cert

    return Cert.from_bytes(data)


@lru_cache(maxsize=64)
def _packets(data: bytes) -> tuple[Packet, ...]:
    from pysequoia.packet import PacketPile

    return tuple(PacketPile.from_bytes(data))


@lru_cache(maxsize=64)
def _feigned(data: bytes, part: str) -> Tsk:
    """A certificate one key of which has a secret half, of zeros and ones: whether a key serves now Sequoia tells of such alone."""
    from pysequoia import Tsk
    from pysequoia.packet import PublicKeyAlgorithm as Algorithm
    from pysequoia.packet import Tag

    made = list[bytes]()
    for packet in _packets(data):
        if packet.fingerprint != part:
            made.append(bytes(packet))
            continue
        numbers = 4 if packet.key_algorithm in [Algorithm.RSAEncryptSign, Algorithm.RSASign] else 1
        secret = b"\0\1\1" * numbers
        body = bytes(packet.body) + b"\0" + secret + sum(secret).to_bytes(2, "big")
        made.append(bytes([0xC5 if packet.tag == Tag.PublicKey else 0xC7, 0xFF]) + len(body).to_bytes(4, "big") + body)
    return Tsk.from_bytes(b"".join(made))


def _alive(key: PublicKey) -> bool:
    """Whether a certificate as a whole has its time now."""
    with suppress(Unfit), _sequoia("does not serve"):
        cert = _opened(key.data)
        end = cert.expiration
        return not cert.is_revoked and (end is None or end > datetime.now(UTC))
    return False


def _serves(key: PublicKey, part: str) -> bool:
    """Whether this key of a certificate may sign now, by what its owner signed and not by what others put beside it."""
    with suppress(Unfit), _sequoia("does not serve"):
        _feigned(key.data, part).signer()
        return _alive(key)
    return False


@_sequoia("holds a private key that can't be read: is it whole?")
def read_private(armoured: bytes, passphrase: str | None) -> tuple[PublicKey, str]:
    """The public half of a private key that signs, and the same armoured. Raises Unfit."""
    with uncounted():
        from pysequoia import ArmorKind, Cert, Sig, Tsk, armor
        from pysequoia.packet import PublicKeyAlgorithm as Algorithm

    if armoured.count(_PRIVATE.encode()) != 1:
        raise Unfit("is not one armoured OpenPGP private key (gpg --armor --export-secret-keys KEY)")
    if len(Cert.split_bytes(armoured)) > 1:
        raise Unfit("holds several private keys, and one is to sign (gpg --armor --export-secret-keys KEY)")
    cert = Tsk.from_bytes(armoured).extract_certificate()
    public = _public(cert)
    shown = armor(public.data, ArmorKind.PublicKey)
    if len(shown) > _SHOWN:
        words = f"has {len(shown)} bytes of public key, more than {_SHOWN}"
        raise Unfit(f"{words}: export-minimal leaves others' signatures out")
    if not _alive(public):
        raise Unfit(
            "holds a key that serves no more: it has expired, is revoked, or is too weak (SHA-1, or RSA below 2048 bits)"
        )
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
        from pysequoia import Sig
        from pysequoia.packet import PacketPile

        from gitintegration.git.detached import holds

    blob = _dearmoured(armoured)
    signature = Sig.from_bytes(blob)
    (packet,) = PacketPile.from_bytes(bytes(signature))
    issuer = signature.issuer_fingerprint or signature.issuer_key_id
    if not issuer or len(blob) - len(packet.body) > _HEADER:
        raise Unfit("is not one signature")
    found = next(((key, part) for key in keys for part in key.parts if issuer in (part, _key_id(part))), None)
    if found is None:
        return issuer.upper(), None, False
    key, part = found
    (own,) = (each for each in _packets(key.data) if each.fingerprint == part)
    made, end, now = signature.created, signature.expiration, datetime.now(UTC)
    timely = made and own.key_created and own.key_created <= made <= now + _SKEW and (end is None or now < end)
    return part.upper(), key, bool(timely) and holds(data, packet.body, own.body) and _serves(key, part)


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
