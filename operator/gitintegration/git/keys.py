"""Keys and certificates out of Secrets: bounded, then parsed where parsing can be killed, and only what is quick by then is used.

A private key may ask for as many rounds of its key derivation as it likes, and be as long as a Secret may be. What a worker
gives back is the key without its passphrase, which takes no time to read. One that is not read soon goes on in a pool where
it is in the way of its kind alone.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from gitintegration import messages
from gitintegration.errors import CredentialError, LimitExceeded, Reason, RemoteUnavailable
from gitintegration.git import openpgp
from gitintegration.git.recent import Recent
from gitintegration.git.remote import SshKey, Tls
from gitintegration.git.signing import Signer
from gitintegration.git.tls import make_context

if TYPE_CHECKING:
    from asyncssh import SSHKey

R = TypeVar("R")

_KEY = 16 << 10
"""Bytes of a private key; one of RSA with 8192 bits takes 7 KB."""
_KNOWN_HOSTS = 64 << 10
_CERTIFICATES = 64 << 10
_AUTHORITIES = 512 << 10
"""Bytes of ca.crt; all that a system trusts take 220 KB."""
_QUICK = 16 << 10
"""Bytes of ca.crt that are read within 10 ms, whatever they are (measured: 38 certificates; one of 120,000 bits; junk)."""
_OPENPGP = 64 << 10
"""Bytes of an OpenPGP private key with what others signed of it; with that left out one of RSA has 7 KB."""
_OPENPGP_PUBLIC = 256 << 10
"""Bytes of all that are trusted together, which is what a Secret may have."""
_PASSPHRASE = 1 << 10
_RSA_BITS = 8192
"""A signature with 8192 bits takes 20 ms, and it is made on the event loop."""
_SIGNS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
"""Types of keys that git, OpenSSH and forges take signatures of."""
_SOON, _SECONDS = 0.5, 3.0
"""Of the processor, so that an honest key is read on a busy machine as well: for most keys, and for any."""
_CLOCK = 60.0
"""Seconds of the clock, for a process that does not come to its end in whatever way."""
_AGAIN = 600.0
"""Seconds after which a key that took too long is tried again."""
_KEPT = 4096

Run = Callable[..., Awaitable[Any]]


async def _here(seconds: float, cpu: float, function: Callable[..., R], *args: Any) -> tuple[R]:
    """In this process, where nobody hostile wrote the keys."""
    return (function(*args),)


@dataclass(frozen=True, slots=True)
class _Known:
    """What came of reading: a value, None, or an error. `until`: on the clock."""

    found: Any
    until: float = math.inf


class Keys:
    """What was read of Secrets, by the digest of what they hold. `run` and `patient` are Workers.limited of pools for keys alone."""

    def __init__(
        self, run: Run = _here, patient: Run | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run, self._patient, self._clock = run, patient or run, clock
        self._read: Recent[str, _Known] = Recent(_KEPT)
        self.waits: Callable[[], AbstractContextManager[None]] = nullcontext
        """Entered for as long as one is read, which waits for others that are slow."""

    async def ssh(self, key: SshKey) -> bytes:
        """The private key as PEM without a passphrase. Raises CredentialError."""
        _bound("identity", len(key.private_key), _KEY)
        _bound("known_hosts", len(key.known_hosts), _KNOWN_HOSTS)
        _bound("password", len(key.passphrase or ""), _PASSPHRASE)
        made: bytes = await self._once(
            "the private key of the Secret", read_ssh, key.private_key, key.passphrase, key.known_hosts
        )
        return made

    async def signer(self, private_key: bytes, passphrase: str | None) -> Signer:
        """Signs commits with this private key. Raises CredentialError."""
        _bound("identity", len(private_key), _KEY)
        _bound("passphrase", len(passphrase or ""), _PASSPHRASE)
        made: Signer = await self._once("the signing key of the Secret", read_signing, private_key, passphrase)
        return made

    async def openpgp_signer(self, private_key: bytes, passphrase: str | None) -> Signer:
        """The same with an OpenPGP key, armoured. Raises CredentialError."""
        _bound("git.asc", len(private_key), _OPENPGP)
        _bound("passphrase", len(passphrase or ""), _PASSPHRASE)
        made: Signer = await self._once("the signing key of the Secret", read_openpgp, private_key, passphrase)
        return made

    async def openpgp_public(self, files: Mapping[str, str]) -> tuple[openpgp.PublicKey, ...]:
        """The public keys of armoured files by name. Raises BadFile, and CredentialError where they take too long to read."""
        largest, size = max(files, key=lambda name: len(files[name])), sum(map(len, files.values()))
        if size > _OPENPGP_PUBLIC:
            words = f"and all others that end in .asc have {size} bytes together, more than {_OPENPGP_PUBLIC}"
            raise openpgp.BadFile(largest, words)
        made: tuple[openpgp.PublicKey, ...] | openpgp.BadFile
        made = await self._once("an OpenPGP key that is to be trusted", read_public, tuple(sorted(files.items())))
        if isinstance(made, openpgp.BadFile):
            raise openpgp.BadFile(*made.args)
        return made

    async def app(self, pem: str) -> bytes:
        """The RSA key of a GitHub App. Raises CredentialError."""
        _bound("githubAppPrivateKey", len(pem), _KEY)
        made: bytes = await self._once("githubAppPrivateKey of the Secret", read_app, pem)
        return made

    async def tls(self, tls: Tls) -> Tls:
        """The same trust and certificate, with a key that is quick to load. Raises CredentialError.

        Few authorities without a key are read here: that takes less than to ask a worker, whose first answer takes a second.
        """
        if tls == Tls():
            return tls
        _bound("ca.crt", len(tls.ca or ""), _AUTHORITIES)
        _bound("tls.crt", len(tls.certificate or ""), _CERTIFICATES)
        _bound("tls.key", len(tls.key or ""), _KEY)
        if tls.key is None and len(tls.ca or "") <= _QUICK:
            read_tls(*astuple(tls))
            return tls
        key: str | None = await self._once("ca.crt, tls.crt or tls.key of the Secret", read_tls, *astuple(tls))
        return replace(tls, key=key)

    async def _once(self, what: str, read: Callable[..., R], *args: Any) -> R:
        digest = sha256(repr((read.__name__, args)).encode(errors="surrogatepass")).hexdigest()
        known = self._read.get(digest)
        if known is None or known.until < self._clock():
            known = self._read.put(digest, await self._tried(what, read, *args))
        if isinstance(known.found, CredentialError):
            raise CredentialError(known.found.reason, known.found.words, retry=known.found.retry)
        made: R = known.found
        return made

    async def _tried(self, what: str, read: Callable[..., Any], *args: Any) -> _Known:
        words = f"{what} can't be read within {_SECONDS:g} s of the processor: does it ask for many rounds of its derivation?"
        try:
            with self.waits():
                for run, cpu in ((self._run, _SOON), (self._patient, _SECONDS)):
                    if made := await run(_CLOCK, cpu, read, *args):
                        return _Known(made[0])
        except CredentialError as error:
            return _Known(error)
        except (RemoteUnavailable, LimitExceeded) as error:
            words = f"{what} can't be read: {error.message}"
        return _Known(CredentialError(Reason.InvalidSecret, words, retry=True), self._clock() + _AGAIN)


def _wrong(key: str, words: str) -> CredentialError:
    return CredentialError(Reason.InvalidSecret, messages.SECRET_FILE(key=key, words=words))


def _bound(key: str, size: int, limit: int) -> None:
    if size > limit:
        raise _wrong(key, f"has {size} bytes, more than {limit}")


def _rsa(key: str, bits: int, least: int = 1024) -> None:
    if not least <= bits <= _RSA_BITS:
        raise _wrong(key, f"has {bits} bits: {least} to {_RSA_BITS} can be used")


# --- in a worker --------------------------------------------------------------------------------------------------------


def read_ssh(private_key: bytes, passphrase: str | None, known_hosts: bytes) -> bytes:
    """The key as PKCS #8. Raises CredentialError."""
    import asyncssh

    made = _private(private_key, passphrase, "password")[1]
    try:
        asyncssh.import_known_hosts(known_hosts.decode())
    except (ValueError, asyncssh.KeyImportError):
        raise _wrong("known_hosts", "can't be read") from None
    return made


def read_signing(private_key: bytes, passphrase: str | None) -> Signer:
    """What signs with the key. Raises CredentialError."""
    key, pem = _private(private_key, passphrase, "passphrase")
    algorithm = key.algorithm.decode()
    if algorithm not in _SIGNS:
        raise _wrong("identity", f"is of type {algorithm[:64]}, which can't sign commits: {', '.join(_SIGNS)} can")
    public = " ".join(key.export_public_key("openssh").decode().split()[:2])
    return Signer(pem, public, key.get_fingerprint())


def read_openpgp(private_key: bytes, passphrase: str | None) -> Signer:
    """What signs with the key. Raises CredentialError."""
    try:
        public, shown = openpgp.read_private(private_key, passphrase)
    except ValueError as error:
        raise _wrong("git.asc", str(error)) from None
    return Signer(private_key, shown, public.fingerprint, openpgp=public, passphrase=passphrase)


def read_public(files: tuple[tuple[str, str], ...]) -> tuple[openpgp.PublicKey, ...] | openpgp.BadFile:
    """The public keys of these files, or the file that is none."""
    try:
        return openpgp.public_keys(dict(files))
    except openpgp.BadFile as bad:
        return bad


def _private(private_key: bytes, passphrase: str | None, called: str) -> tuple[SSHKey, bytes]:
    """An SSH key, and the same as PKCS #8. `called`: the key of the Secret that has its passphrase. Raises CredentialError."""
    import asyncssh
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    try:
        key = asyncssh.import_private_key(private_key, passphrase)
        made = key.export_private_key("pkcs8-pem")
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, asyncssh.KeyExportError, ValueError, TypeError):
        raise _wrong(
            "identity", f"holds a private key that can't be read: is it whole, and is `{called}` its passphrase?"
        ) from None
    inner = getattr(key.pyca_key, "key_size", None) if isinstance(key.pyca_key, RSAPrivateKey) else None
    if inner is not None:
        _rsa("identity", inner)
    return key, made


def read_app(pem: str) -> bytes:
    """The key as PKCS #8. Raises CredentialError where it is none of RSA, or has a passphrase."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    unfit = _wrong("githubAppPrivateKey", "is no PEM private key (RSA) without a passphrase")
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except Exception:  # cryptography has many names for what is no key
        raise unfit from None
    if not isinstance(key, RSAPrivateKey):
        raise unfit
    _rsa("githubAppPrivateKey", key.key_size, 2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_tls(ca: str | None, certificate: str | None, key: str | None) -> str | None:
    """The key as PKCS #8, if there is one, when all was loaded once. Raises CredentialError."""
    made = _plain(key) if certificate and key else key
    try:
        make_context(Tls(ca, certificate, made))
    except (ssl.SSLError, ValueError, TypeError, OSError):
        raise _wrong("tls.key", "can't be used with `ca.crt` and `tls.crt`") from None
    return made


def _plain(pem: str) -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except Exception:
        raise _wrong(
            "tls.key", "and `tls.crt` are no PEM pair: it must be a private key without a passphrase"
        ) from None
    if isinstance(key, RSAPrivateKey):
        _rsa("tls.key", key.key_size)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
