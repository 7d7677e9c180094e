"""Whether an OpenPGP signature of version 4 is of these bytes by this key (RFC 9580, 5.2.4). What the key may be used for is asked elsewhere.

Sequoia does not tell without asking as well whether the key served when the signature says that it was made. That is not to be known
of a key that was extended: gpg puts its new time in the place of the old one, and takes what was signed before.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

_BINARY = 0
_RSA, _ECDSA, _EDDSA = (1, 3), 19, 22
_UNDERSTOOD = {2, 3, 16, 28, 33}
"""Kinds of what a signature says that may be marked as critical: its times, and who made it."""


_HASHES: dict[int, hashes.HashAlgorithm] = {
    8: hashes.SHA256(),
    9: hashes.SHA384(),
    10: hashes.SHA512(),
    12: hashes.SHA3_256(),
    14: hashes.SHA3_512(),
}
"""Those for which nobody finds two texts that have one."""
_ED25519 = "2b06010401da470f01"
_CURVES: dict[str, ec.EllipticCurve] = {
    "2a8648ce3d030107": ec.SECP256R1(),
    "2b81040022": ec.SECP384R1(),
    "2b81040023": ec.SECP521R1(),
}


def holds(data: bytes, signature: bytes, key: bytes) -> bool:
    """Whether this is so, of the bodies of two packets. Raises ValueError and IndexError where they are none."""
    end = 6 + int.from_bytes(signature[4:6])
    said, rest = signature[:end], signature[end:]
    algorithm, material = key[5], key[6:]
    if (
        said[:3] != bytes([4, _BINARY, algorithm])
        or key[0] != 4
        or said[3] not in _HASHES
        or not _is_understood(said[6:])
    ):
        return False
    digest, signed = _HASHES[said[3]], data + said + b"\4\xff" + end.to_bytes(4)
    numbers = [*_numbers(rest[4 + int.from_bytes(rest[:2]) :])]
    try:
        if algorithm in _RSA:
            n, e = _numbers(material)
            (s,) = numbers
            rsa.RSAPublicNumbers(e, n).public_key().verify(_bytes(s, n), signed, padding.PKCS1v15(), digest)
            return True
        oid, (point,) = material[1 : 1 + material[0]].hex(), _numbers(material[1 + material[0] :])
        r, s = numbers
        if algorithm == _EDDSA and oid == _ED25519:
            hashed = hashes.Hash(digest)
            hashed.update(signed)
            edwards = ed25519.Ed25519PublicKey.from_public_bytes(_bytes(point, point)[1:])
            edwards.verify(r.to_bytes(32) + s.to_bytes(32), hashed.finalize())
            return True
        if algorithm == _ECDSA and oid in _CURVES:
            curve = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[oid], _bytes(point, point))
            curve.verify(encode_dss_signature(r, s), signed, ec.ECDSA(digest))
            return True
    except (InvalidSignature, OverflowError):
        return False
    return False


def _bytes(number: int, size_of: int) -> bytes:
    """A number, with as many bytes as another takes."""
    return number.to_bytes((size_of.bit_length() + 7) // 8)


def _numbers(data: bytes) -> Iterator[int]:
    """Numbers, each behind the count of its bits."""
    while data:
        end = 2 + (int.from_bytes(data[:2]) + 7) // 8
        if len(data) < end:
            raise ValueError("ends within a number")
        yield int.from_bytes(data[2:end])
        data = data[end:]


def _is_understood(said: bytes) -> bool:
    """Whether of what a signature says nothing is critical that is not looked at here."""
    while said:
        first, start = said[0], 1
        size = first
        if first == 255:
            size, start = int.from_bytes(said[1:5]), 5
        elif first >= 192:
            size, start = ((first - 192) << 8) + said[1] + 192, 2
        kind = said[start]
        if kind & 0x80 and kind & 0x7F not in _UNDERSTOOD:
            return False
        said = said[start + size :]
    return True
