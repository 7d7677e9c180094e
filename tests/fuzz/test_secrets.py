"""Secrets of any texts: a login, or an error that names the key and not what it holds."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import asyncssh
import pysequoia
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.controller.remotes import app_of, build_remote, proxy_of
from gitintegration.controller.secrets import read_secret
from gitintegration.errors import GitIntegrationError
from gitintegration.git import openpgp
from gitintegration.git.keys import Keys
from gitintegration.git.remote import SshKey, Tls
from tests.fuzz.budget import fuzzed

SSH = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
PEM = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
KEYS = [
    "token",
    "username",
    "password",
    "bearerToken",
    "identity",
    "ssh-privatekey",
    "known_hosts",
    "ca.crt",
    "tls.crt",
    "tls.key",
    "githubAppID",
    "githubAppPrivateKey",
    "githubAppInstallationID",
    "githubAppBaseURL",
    "address",
]
TEXTS = st.one_of(
    st.sampled_from(
        ["", "x", "1", "a:b", "é", "a\nb", "\0", "https://h/api/v3", "http://u:p@h", "https://[::1", SSH, PEM]
    ),
    st.text(max_size=20),
)
SECRETS = st.dictionaries(st.sampled_from(KEYS), TEXTS, max_size=6)
URLS = st.sampled_from(["https://h/a/b", "http://github.com/a/b", "ssh://git@h/a", "git@h:a"])
TYPES = st.sampled_from([None, "token", "basic", "ssh", "githubApp"])


@fuzzed
@given(SECRETS, URLS, TYPES)
def test_any_secret(secret: dict[str, str], url: str, kind: str | None) -> None:
    credentials: dict[str, Any] = {"secretRef": {"name": "s"}, **({"type": kind} if kind else {})}
    spec = GitIntegrationSpec.model_validate({"repositoryURL": url, "credentials": credentials})
    for read in (
        lambda: app_of(spec, secret),
        lambda: build_remote(spec, secret, proxy_of(secret) if "address" in secret else None),
        lambda: proxy_of(secret),
    ):
        try:
            found = read()
        except GitIntegrationError as error:
            told = error.message
        else:
            told = repr(found)
        assert not [text for text in secret.values() if len(text) > 100 and text in told]


@fuzzed
@given(
    st.dictionaries(
        st.text(max_size=9),
        st.one_of(st.binary(max_size=9).map(lambda b: base64.b64encode(b).decode()), st.text(max_size=9)),
    )
)
def test_any_data(data: dict[str, str]) -> None:
    try:
        read_secret({"data": data, "metadata": {"name": "s", "uid": "u", "resourceVersion": "1"}}, "s")
    except GitIntegrationError:
        return


TSK = pysequoia.Tsk.generate("Ann <ann@example.com>")
SIGNATURE = pysequoia.sign(TSK.signer(), b"x", mode=pysequoia.SignatureMode.DETACHED, armor=False)
CHANGES = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=4)


@fuzzed
@given(CHANGES)
def test_any_openpgp(changes: list[tuple[int, int, bytes]]) -> None:
    """Bytes that nearly are a private key, a public one, a signature: each is read, or told in words of ours."""

    def changed(data: bytes) -> bytes:
        for at, size, new in changes:
            data = data[: at % len(data)] + new + data[at % len(data) + size :]
        return data

    public = openpgp.public_keys({"a.asc": str(TSK.extract_certificate())})
    private = pysequoia.armor(changed(bytes(TSK)), pysequoia.ArmorKind.SecretKey).encode()
    file = pysequoia.armor(changed(bytes(TSK.extract_certificate())), pysequoia.ArmorKind.PublicKey)
    signature = pysequoia.armor(changed(SIGNATURE), pysequoia.ArmorKind.Signature).encode()
    for read in (
        lambda: openpgp.read_private(private, None),
        lambda: openpgp.public_keys({"a.asc": file}),
        lambda: openpgp.judge(b"x", signature, public),
    ):
        try:
            read()
        except (openpgp.Unfit, openpgp.BadFile) as error:
            assert "backtrace" not in str(error.args)


CUTS = st.tuples(st.sampled_from([SSH, PEM]), st.lists(st.tuples(st.integers(0, 400), st.characters()), max_size=4))


@fuzzed
@given(CUTS, st.one_of(st.none(), st.text(max_size=5)), st.binary(max_size=60))
def test_any_key(cuts: tuple[str, list[tuple[int, str]]], passphrase: str | None, known_hosts: bytes) -> None:
    text, changes = cuts
    for at, sign in changes:
        text = text[:at] + sign + text[at + 1 :]
    keys = Keys()

    async def act() -> None:
        for read in (
            keys.ssh(SshKey(text.encode(errors="replace"), known_hosts, passphrase)),
            keys.app(text),
            keys.tls(Tls(ca=text)),
            keys.tls(Tls(certificate=text, key=text)),
        ):
            try:
                await read
            except GitIntegrationError as error:
                assert error.reason.value == "InvalidSecret"

    asyncio.run(act())
