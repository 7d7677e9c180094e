"""Keys and certificates that somebody wrote to do harm, and those that are as they should be."""

from __future__ import annotations

import asyncio
import base64
import functools
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.asn1 import der_decode, der_encode
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gitintegration.errors import CredentialError, Reason, RemoteUnavailable
from gitintegration.git.keys import Keys
from gitintegration.git.remote import SshKey, Tls
from gitintegration.git.workers import Workers
from tests.bed.pki import Authority

ROUNDS = 2**32 - 1


def many_rounds() -> bytes:
    """An OpenSSH key whose passphrase takes years to try."""
    text = asyncssh.generate_private_key("ssh-ed25519").export_private_key(passphrase="x").decode()
    body = base64.b64decode("".join(text.splitlines()[1:-1]))
    at = body.index(b"bcrypt") + 6 + 4 + 4 + 16  # the length of the options, that of the salt, and the salt
    return pem("OPENSSH PRIVATE KEY", body[:at] + struct.pack(">I", ROUNDS) + body[at + 4 :])


def many_iterations(kind: Any) -> bytes:
    """The same by PBKDF2, in PKCS #8."""
    der = kind.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))

    def deepen(node: Any) -> Any:
        if isinstance(node, tuple):
            return tuple(map(deepen, node))
        return 2**31 - 1 if isinstance(node, int) and not isinstance(node, bool) and node > 1000 else node

    return pem("ENCRYPTED PRIVATE KEY", der_encode(deepen(der_decode(der))))


def pem(label: str, body: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(body) + f"-----END {label}-----\n".encode()


def plain(key: Any) -> bytes:
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made


@functools.cache
def of_rsa(bits: int) -> Any:
    return rsa.generate_private_key(65537, bits)


def huge_rsa() -> bytes:
    """Well formed, of 100 KB, and no key."""
    number = (1 << 200_000) + 1
    return pem("RSA PRIVATE KEY", der_encode((0, number, 65537, number, 3, 5, 1, 1, 1)))


@pytest.fixture
async def keys() -> AsyncIterator[Keys]:
    workers = Workers(1, max_memory=256 << 20, modules=["asyncssh", "gitintegration.git.keys"])
    yield Keys(workers.limited)
    await asyncio.to_thread(workers.close)


@pytest.mark.parametrize(
    ("key", "passphrase", "told"),
    [
        (many_rounds(), "x", "many rounds"),
        (many_iterations(ec.generate_private_key(ec.SECP256R1())), "x", "rounds|can't be read"),
        (huge_rsa(), None, "more than"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + b"A" * 900_000, None, "more than"),
        (b"no key\n", None, "can't be read"),
        (b"", None, "can't be read"),
        (plain(ec.generate_private_key(ec.SECP256R1())), "x" * 5000, "more than"),
    ],
    ids=["bcrypt", "PBKDF2", "RSA of 100 KB", "long", "none", "empty", "passphrase"],
)
async def test_a_key_that_takes_long_is_refused_and_the_loop_goes_on(
    keys: Keys, key: bytes, passphrase: str | None, told: str
) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beating = asyncio.create_task(beat())
    with pytest.raises(CredentialError, match=told) as found:
        await keys.ssh(SshKey(key, b"host ssh-ed25519 AAAA\n", passphrase))
    beating.cancel()
    assert found.value.reason.value == "InvalidSecret"
    assert beats > 20 or told != "many rounds"
    other = asyncssh.generate_private_key("ssh-ed25519")
    assert await keys.ssh(SshKey(other.export_private_key(), b"", None))


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
async def test_a_key_as_it_should_be_comes_without_its_passphrase(kind: str) -> None:
    key = asyncssh.generate_private_key(kind)
    for form in ("openssh", "pkcs8-pem"):
        text = key.export_private_key(form, passphrase="secret")
        read = asyncssh.import_private_key(await Keys().ssh(SshKey(text, b"", "secret")))
        assert read.public_data == key.public_data


async def test_known_hosts_are_bounded() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    with pytest.raises(CredentialError, match="`known_hosts` has"):
        await Keys().ssh(SshKey(key, b"*a*a*a*b ssh-ed25519 AAAA\n" * 10_000, None))
    with pytest.raises(CredentialError, match="`known_hosts` can't be read"):
        await Keys().ssh(SshKey(key, b"\xff", None))


async def test_the_key_of_an_app() -> None:
    assert await Keys().app(plain(of_rsa(2048)).decode()) == plain(of_rsa(2048))
    with pytest.raises(CredentialError, match="has 1024 bits"):
        await Keys().app(plain(of_rsa(1024)).decode())


@pytest.mark.parametrize(
    "key",
    [
        plain(ec.generate_private_key(ec.SECP256R1())),
        many_iterations(of_rsa(2048)),
        huge_rsa(),
        b"x",
        b"-----BEGIN RSA PRIVATE KEY-----\n",
    ],
    ids=["no RSA", "passphrase", "huge", "none", "torn"],
)
async def test_what_is_no_key_of_an_app(keys: Keys, key: bytes) -> None:
    with pytest.raises(CredentialError, match="githubAppPrivateKey"):
        await keys.app(key.decode())


async def test_trust_and_client_certificates_are_bounded(keys: Keys) -> None:
    for tls, told in (
        (Tls(ca="-----BEGIN CERTIFICATE-----\n" * 20_000), "`ca.crt` has"),
        (Tls(ca="no certificate"), "ca.crt"),
        (Tls(certificate="x" * 70_000, key="x"), "`tls.crt` has"),
        (Tls(certificate="x", key=huge_rsa().decode()), "`tls.key` has"),
        (Tls(certificate="x", key=many_iterations(of_rsa(2048)).decode()), "tls.key"),
        (Tls(certificate="x", key=plain(of_rsa(2048)).decode()), "`tls.key` and `tls.crt`"),
        (Tls(ca="\udce4"), "ca.crt"),
    ):
        with pytest.raises(CredentialError, match=told):
            await keys.tls(tls)


async def test_a_few_authorities_need_no_worker(tmp_path: Path) -> None:
    async def run(seconds: float, cpu: float, function: Any, *args: Any) -> Any:
        asked.append(len(args[0]))
        return (function(*args),)

    asked: list[int] = []
    authority = Authority(tmp_path).certificate.read_text()
    few, many = Tls(ca=authority), Tls(ca=authority * (1 + (16 << 10) // len(authority)))
    assert await Keys(run).tls(few) == few
    assert asked == []
    assert await Keys(run).tls(many) == many
    assert asked == [len(many.ca or "")]


async def test_what_was_read_once_is_not_read_again() -> None:
    asked = 0

    async def run(seconds: float, cpu: float, function: Any, *args: Any) -> Any:
        nonlocal asked
        asked += 1
        return (function(*args),)

    keys, text = Keys(run), plain(of_rsa(2048)).decode()
    for _ in range(3):
        await keys.app(text)
        with pytest.raises(CredentialError):
            await keys.app("x")
    assert asked == 2


async def test_a_key_that_took_too_long_is_tried_again_later() -> None:
    """A machine that was busy must not make a good key a bad one for good."""
    times, asked, busy = [0.0, 1.0, 599.0, 601.0, 10_000.0], 0, True

    async def run(seconds: float, cpu: float, function: Any, *args: Any) -> Any:
        nonlocal asked
        asked += 1
        return None if busy else (function(*args),)

    keys, text = Keys(run, clock=lambda: times[0]), plain(of_rsa(2048)).decode()
    while times[0] < 600:
        with pytest.raises(CredentialError, match="many rounds"):
            await keys.app(text)
        assert asked == 2
        times.pop(0)
    busy = False
    assert await keys.app(text)
    times.pop(0)
    assert await keys.app(text)
    assert asked == 3


async def test_a_process_that_dies_is_no_word_on_the_key() -> None:
    async def run(seconds: float, cpu: float, function: Any, *args: Any) -> Any:
        raise RemoteUnavailable(Reason.Timeout, "it took longer")

    with pytest.raises(CredentialError, match="it took longer") as found:
        await Keys(run).app("x")
    assert found.value.retry


async def test_a_key_that_is_not_read_soon_waits_for_its_kind_alone() -> None:
    """And one that is read after that is a key like any other."""
    asked: list[str] = []

    async def run(seconds: float, cpu: float, function: Any, *args: Any) -> Any:
        asked.append("soon")
        assert cpu < 1 < 10 * cpu < seconds
        return None

    async def patient(seconds: float, cpu: float, function: Any, *args: Any) -> Any:
        asked.append("patient")
        return (function(*args),)

    assert await Keys(run, patient).app(plain(of_rsa(2048)).decode())
    assert asked == ["soon", "patient"]
