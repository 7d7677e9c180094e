"""OpenPGP: git takes by gpg what is signed here, what gpg signs is taken here, and everything that only looks so is not."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pysequoia
import pytest
from pysequoia.packet import PacketPile, SignatureType, Tag

from gitintegration.core.verdict import OWN, Flaw, Verdict
from gitintegration.errors import CredentialError, Reason
from gitintegration.git import detached, openpgp
from gitintegration.git.keys import Keys
from gitintegration.git.openpgp import BadFile, PublicKey, judge, public_keys
from gitintegration.git.signing import Signer, is_signed, unsigned
from gitintegration.git.verifying import Trust, keys_of, verdict, verify
from gitintegration.git.workers import Workers
from tests.bed.gitserver import git
from tests.bed.gpg import Gpg, verified
from tests.bed.signing import ssh_key
from tests.unit.git.test_signing import made, raw, with_signature
from tests.unit.git.test_verifying import _WHO, commit, packed, repository

__all__ = ["repository"]

PASSPHRASE = "the key's passphrase"
THEN, LATER = "20250101T000000", "20250102T000000"
DATA = b"tree 0\nauthor Ann <ann@example.com> 1 +0000\n\nm\n"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    made = Gpg()
    yield made
    made.close()


@pytest.fixture
async def keys() -> AsyncIterator[Keys]:
    workers = Workers(1, max_memory=256 << 20, modules=["asyncssh", "pysequoia", "gitintegration.git.keys"])
    yield Keys(workers.limited)
    await asyncio.to_thread(workers.close)


def tsk(who: str = "Bot <bot@example.com>", **more: object) -> pysequoia.Tsk:
    return pysequoia.Tsk.generate(who, **more)  # type: ignore[arg-type]


def public(key: pysequoia.Tsk) -> str:
    return str(key.extract_certificate())


def key_of(*texts: str) -> tuple[PublicKey, ...]:
    return public_keys({f"{n}.asc": text for n, text in enumerate(texts)})


async def signer_of(key: pysequoia.Tsk) -> Signer:
    return await Keys().openpgp_signer(str(key).encode(), None)


def signature(key: pysequoia.Tsk, data: bytes = DATA) -> bytes:
    return pysequoia.sign(key.signer(), data, mode=pysequoia.SignatureMode.DETACHED).rstrip()


def armoured(blob: bytes) -> bytes:
    return b"%b\n\n%b\n-----END PGP SIGNATURE-----" % (openpgp.BEGIN, base64.encodebytes(blob).strip())


def blob(armoured: bytes) -> bytes:
    return bytes(pysequoia.Sig.from_bytes(armoured))


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def judged(raw: bytes, *texts: str, **more: object) -> Verdict:
    trust = Trust("", keys=key_of(*texts), **more)  # type: ignore[arg-type]
    return verdict("x", raw, trust, keys_of(trust))


# --- made here ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "nistp256", "rsa4096"])
async def test_git_says_that_a_signature_is_good(tmp_path: Path, gpg: Gpg, keys: Keys, kind: str) -> None:
    key = gpg.key(f"Bot {kind} <bot@example.com>", kind, passphrase=PASSPHRASE)
    private = gpg.private(key, PASSPHRASE)
    signer = await keys.openpgp_signer(private, PASSPHRASE)
    assert signer.to_status() == {"type": "openpgp", "fingerprint": key, "publicKey": signer.public}
    assert "PRIVATE" not in signer.public
    assert "Bot" not in signer.public, "a comment of whose it is would be his text in a status"
    secrets = set(private.decode().splitlines()[2:]) - set(signer.public.splitlines())
    assert len(secrets) > 3
    for each in (*secrets, PASSPHRASE):
        assert each not in repr(signer) + signer.public
    name = made(tmp_path / "x.git", signer)
    git("fsck", "--strict", cwd=tmp_path / "x.git")
    assert verified(tmp_path / "x.git", name, signer.public) == f"G {key} {key}"
    assert is_signed(raw(tmp_path / "x.git", name), signer.own)


async def test_a_subkey_signs_whose_primary_key_stayed_elsewhere(tmp_path: Path, gpg: Gpg, keys: Keys) -> None:
    key = gpg.key("Offline <bot@example.com>", passphrase=PASSPHRASE)
    part = gpg.subkey(key, passphrase=PASSPHRASE)
    for private in (gpg.private(key, PASSPHRASE, subkeys=True), gpg.private(key, PASSPHRASE)):
        signer = await keys.openpgp_signer(private, PASSPHRASE)
        assert signer.fingerprint == key
        name = made(tmp_path / f"{len(private)}.git", signer)
        assert verified(tmp_path / f"{len(private)}.git", name, signer.public) == f"G {part} {key}"


async def test_a_passphrase_that_a_key_has_not_is_not_asked_for() -> None:
    key = tsk()
    signer = await Keys().openpgp_signer(str(key).encode(), "none")
    assert signer.fingerprint == key.extract_certificate().fingerprint.upper()


async def test_what_is_no_good_signature_of_the_own_key(tmp_path: Path) -> None:
    key, other = tsk(), tsk()
    signer = await signer_of(key)
    good = raw(tmp_path / "x.git", made(tmp_path / "x.git", signer))
    data, (own,) = unsigned(good)
    assert own.startswith(openpgp.BEGIN + b"\n\n")
    assert is_signed(good, signer.own)
    assert not is_signed(good, (await signer_of(other)).own)
    for wrong in (
        data,
        good.replace(b"m\n\ngpgsig", b"M\n\ngpgsig"),
        with_signature(good, own),
        with_signature(data, signature(other, data)),
        with_signature(data, signature(key, data + b" ")),
        with_signature(data, openpgp.BEGIN),
    ):
        assert not is_signed(wrong, signer.own)


async def test_a_key_whose_halves_are_of_two_signs_nothing(tmp_path: Path) -> None:
    """As one that ends while the operator runs does."""
    signer = replace(await signer_of(tsk()), openpgp=(await signer_of(tsk())).openpgp)
    with pytest.raises(CredentialError, match=r"`git\.asc` makes no signature that its own public key") as error:
        made(tmp_path / "x.git", signer)
    assert error.value.reason is Reason.InvalidSecret
    assert signer.key.decode().splitlines()[8] not in repr((signer, error.value, error.value.args))


def unfit() -> dict[str, tuple[bytes, str]]:
    """Keys that can't sign, and what is told of them."""
    good = tsk()
    revoked = bytes(good) + bytes(good.extract_certificate().revoke(good.certifier()))
    no_signer = [packet for packet in PacketPile.from_bytes(bytes(good)) if packet.tag != Tag.SecretSubkey][:3]
    return {
        "none": (b"no key", "not one armoured"),
        "public": (public(good).encode(), "not one armoured"),
        "cut": (str(good).encode()[:400], "can't be read"),
        "two": (f"{good}\n{tsk()}".encode(), "not one armoured"),
        "two in one": (secret(bytes(good) + bytes(tsk())), "several"),
        "revoked": (secret(revoked), "revoked"),
        "certifies": (str(pysequoia.Tsk.from_packets(no_signer)).encode(), "no key that can sign"),
        "version 6": (str(tsk(profile=pysequoia.Profile.RFC9580)).encode(), "version 4"),
        "size": (b"x" * (65 << 10), "bytes"),
    }


def secret(data: bytes) -> bytes:
    return pysequoia.armor(data, pysequoia.ArmorKind.SecretKey).encode()


@pytest.mark.parametrize("which", list(unfit()))
async def test_a_key_that_can_not_sign_is_the_secrets_fault(which: str) -> None:
    private, words = unfit()[which]
    with pytest.raises(CredentialError, match=words) as error:
        await Keys().openpgp_signer(private, None)
    assert error.value.reason is Reason.InvalidSecret
    assert "`git.asc`" in error.value.message
    assert "backtrace" not in error.value.message


async def test_a_key_that_has_expired_signs_nothing(gpg: Gpg) -> None:
    key = gpg.key("Over <bot@example.com>", ends="30d", at=THEN)
    with pytest.raises(CredentialError, match="has expired"):
        await Keys().openpgp_signer(gpg.private(key), None)


@pytest.mark.parametrize("passphrase", [None, "another", "x" * 2000], ids=["none", "wrong", "long"])
async def test_a_wrong_passphrase_is_told(gpg: Gpg, keys: Keys, passphrase: str | None) -> None:
    key = gpg.key(f"Locked {len(passphrase or '')} <bot@example.com>", passphrase=PASSPHRASE)
    with pytest.raises(CredentialError, match="`passphrase`") as error:
        await keys.openpgp_signer(gpg.private(key, PASSPHRASE), passphrase)
    assert error.value.reason is Reason.InvalidSecret


def slow(octets: bytes) -> bytes:
    """A private key whose passphrase is to be derived so: `octets` say how, as a secret key packet has it."""
    parts = list[bytes]()
    for each in PacketPile.from_bytes(bytes(tsk().extract_certificate())):
        if each.fingerprint:
            parts.append(packet(5 if each.tag == Tag.PublicKey else 7, bytes(each.body) + octets + b"x" * 64))
        else:
            parts.append(bytes(each))
    return secret(b"".join(parts))


@pytest.mark.parametrize("memory", [17, 31], ids=["128 MiB", "2 TiB"])
async def test_a_passphrase_that_takes_for_ever_is_given_up(keys: Keys, memory: int) -> None:
    """By Argon2, which a key may ask for 255 passes of: half a minute of the processor, or more memory than there is."""
    passes = slow(bytes([253, 9, 2, 4]) + b"salt" * 4 + bytes([255, 1, memory]))
    with pytest.raises(CredentialError, match=r"of the processor|`passphrase`") as error:
        await keys.openpgp_signer(passes, "x")
    assert error.value.reason is Reason.InvalidSecret
    assert ("within 3 s of the processor" in error.value.message) == (memory == 17)
    assert (await keys.openpgp_signer(str(tsk()).encode(), None)).openpgp


async def test_all_the_rounds_that_gpg_can_ask_for_are_gone_through(gpg: Gpg, keys: Keys) -> None:
    key = gpg.key("Rounds <bot@example.com>", passphrase=PASSPHRASE)
    private = gpg.run("--s2k-count", "65011712", *("--passphrase", PASSPHRASE, "--armor", "--export-secret-keys"), key)
    assert (await keys.openpgp_signer(private, PASSPHRASE)).fingerprint == key


# --- made by others -----------------------------------------------------------------------------------------------------


def test_what_git_signs_with_a_listed_key_is_taken(repository: Path, gpg: Gpg) -> None:
    key = gpg.key("Ann <ann@example.com>")
    other = gpg.key("Bob <bob@example.com>")
    git("commit", "-q", "--allow-empty", "-m", "edit", f"-S{key}", cwd=repository, env={**_WHO, **gpg.env})
    data = raw(repository, git("rev-parse", "HEAD", cwd=repository).strip())
    found = judged(data, gpg.public(other), gpg.public(key))
    assert (found.flaw, found.key, found.signer) == (None, key, "Ann <ann@example.com>")
    unlisted = judged(data, gpg.public(other))
    assert (unlisted.flaw, unlisted.key, unlisted.signer) == (Flaw.UntrustedKey, key, "")
    assert judged(data, gpg.public(key), authors=("bob@example.com",)).flaw is Flaw.AuthorNotAllowed
    assert judged(data.replace(b"edit", b"Edit"), gpg.public(key)).flaw is Flaw.SignatureInvalid
    assert judged(raw(repository, commit(repository)), gpg.public(key)).flaw is Flaw.Unsigned


def test_both_kinds_of_keys_are_trusted_beside_each_other(repository: Path) -> None:
    """A forge signs what is merged on its page with OpenPGP, and people sign with SSH."""
    ann, forge = ssh_key(), tsk("Forge <noreply@forge.example>")
    (repository / "ann").write_bytes(ann[0])
    trust = Trust(f"ann@example.com {ann[1]}", keys=key_of(public(forge)))
    by_ssh = raw(repository, commit(repository, "ann"))
    by_forge = with_signature(DATA, signature(forge))
    for data, signer in ((by_ssh, "ann@example.com"), (by_forge, "Forge <noreply@forge.example>")):
        found = verdict("x", data, trust, keys_of(trust))
        assert (found.flaw, found.signer) == (None, signer)
    assert verdict("x", by_ssh, replace(trust, signers=""), {}).flaw is Flaw.UntrustedKey
    assert verdict("x", by_forge, replace(trust, keys=()), keys_of(trust)).flaw is Flaw.UntrustedKey


def test_a_subkey_signs_for_its_key(gpg: Gpg) -> None:
    key = gpg.key("Sub <ann@example.com>", use="cert")
    first, second = gpg.subkey(key), gpg.subkey(key)
    for part in (first, second):
        found = judged(with_signature(DATA, gpg.sign(f"{part}!", DATA)), gpg.public(key))
        assert (found.flaw, found.key, found.signer) == (None, part, "Sub <ann@example.com>")


def test_a_key_must_serve_now(gpg: Gpg) -> None:
    """And not only when a signature says that it was made."""
    alive = gpg.key("Alive <ann@example.com>", at=THEN)
    ended = gpg.key("Ended <ann@example.com>", ends="30d", at=THEN)
    parent = gpg.key("Parent <ann@example.com>", use="cert", at=THEN)
    gpg.subkey(parent, ends="30d", at=THEN)
    early = gpg.key("Early <ann@example.com>")
    for key, flaw in ((alive, None), (ended, Flaw.SignatureInvalid), (parent, Flaw.SignatureInvalid)):
        data = with_signature(DATA, gpg.sign(key, DATA, at=LATER))
        assert judged(data, gpg.public(key)).flaw is flaw
    good = signed_before = with_signature(DATA, gpg.sign(alive, DATA))
    before = gpg.public(alive)
    gpg.revoke(alive)
    assert judged(good, before).flaw is None
    assert judged(signed_before, gpg.public(alive)).flaw is Flaw.SignatureInvalid
    assert judged(good, before, gpg.public(alive)).flaw is Flaw.SignatureInvalid, "what two files say counts together"
    assert judged(good, gpg.public(alive), before).flaw is Flaw.SignatureInvalid
    backdated = with_signature(DATA, gpg.sign(early, DATA, at=LATER))
    assert judged(backdated, gpg.public(early)).flaw is Flaw.SignatureInvalid


def revoke_subkey(gpg: Gpg, key: str) -> None:
    gpg.edit(key, "key 1", "revkey", "y", "0", "", "y", "save")


def test_a_subkey_that_was_revoked(gpg: Gpg) -> None:
    key = gpg.key("Parted <ann@example.com>", use="cert")
    gpg.subkey(key)
    data = with_signature(DATA, gpg.sign(key, DATA))
    assert judged(data, gpg.public(key)).flaw is None
    revoke_subkey(gpg, key)
    assert judged(data, gpg.public(key)).flaw is Flaw.SignatureInvalid


def test_a_key_that_was_extended(gpg: Gpg) -> None:
    """What is trusted says until when: a signature that was made after that holds once its key was fetched again."""
    key = gpg.key("Longer <ann@example.com>", ends="30d", at=THEN)
    ended = gpg.public(key)
    gpg.run("--quick-set-expire", key, "0")
    for data in (gpg.sign(key, DATA), gpg.sign(key, DATA, at=LATER)):
        assert judged(with_signature(DATA, data), ended).flaw is Flaw.SignatureInvalid
        assert judged(with_signature(DATA, data), gpg.public(key)).flaw is None
        assert judged(with_signature(DATA, data), gpg.public(key), ended).flaw is None


def spoilt(text: str, *kinds: SignatureType) -> str:
    """A certificate whose last signature of one of these types holds no more."""
    packets = list(PacketPile.from_bytes(text.encode()))
    at = max(n for n, each in enumerate(packets) if each.tag == Tag.Signature and each.signature_type in kinds)
    changed = bytes(packets[at])
    parts = [*map(bytes, packets[:at]), changed[:-1] + bytes([changed[-1] ^ 1]), *map(bytes, packets[at + 1 :])]
    return pysequoia.armor(b"".join(parts), pysequoia.ArmorKind.PublicKey)


def test_nobody_but_its_owner_says_until_when_a_key_serves(gpg: Gpg) -> None:
    """A server of keys, say, adds what it was sent: that counts for as little as gpg has it."""
    key = gpg.key("Kept <ann@example.com>", use="cert", at=THEN)
    part = gpg.subkey(key, ends="30d", at=THEN)
    data = with_signature(DATA, gpg.sign(key, DATA, at=LATER))
    ended = gpg.public(key)
    gpg.run("--quick-set-expire", key, "0", part)
    extended = gpg.public(key)
    assert judged(data, ended).flaw is Flaw.SignatureInvalid
    assert judged(data, extended).flaw is None
    assert judged(data, ended, spoilt(extended, SignatureType.SubkeyBinding)).flaw is Flaw.SignatureInvalid
    revoke_subkey(gpg, key)
    for_ever = gpg.public(key)
    assert judged(data, for_ever).flaw is Flaw.SignatureInvalid
    assert judged(data, spoilt(for_ever, SignatureType.SubkeyRevocation)).flaw is None
    gpg.revoke(key)
    assert judged(data, extended, spoilt(gpg.public(key), SignatureType.KeyRevocation)).flaw is Flaw.SignatureInvalid
    other = gpg.key("Kept too <ann@example.com>")
    signed, before = with_signature(DATA, gpg.sign(other, DATA)), gpg.public(other)
    gpg.revoke(other)
    assert judged(signed, before, spoilt(gpg.public(other), SignatureType.KeyRevocation)).flaw is None
    assert judged(signed, before, gpg.public(other)).flaw is Flaw.SignatureInvalid


def test_a_key_that_is_for_something_else(gpg: Gpg) -> None:
    key = tsk()
    certified = pysequoia.sign(key.certifier(), DATA, mode=pysequoia.SignatureMode.DETACHED).rstrip()
    found = judged(with_signature(DATA, certified), public(key))
    assert (found.flaw, found.key) == (Flaw.SignatureInvalid, key.extract_certificate().fingerprint.upper())
    usage = gpg.key("Usage <ann@example.com>", use="cert")
    gpg.subkey(usage)
    data = with_signature(DATA, gpg.sign(usage, DATA))
    assert judged(data, gpg.public(usage)).flaw is None
    gpg.edit(usage, "key 1", "change-usage", "S", "A", "Q", "save")
    assert judged(data, gpg.public(usage)).flaw is Flaw.SignatureInvalid


def test_a_signature_has_its_time(gpg: Gpg) -> None:
    key = gpg.key("Timed <ann@example.com>", at=THEN)
    for words, at in ((("--default-sig-expire", "30d"), LATER), ((), "20990101T000000")):
        data = with_signature(DATA, gpg.sign(key, DATA, *words, at=at))
        assert judged(data, gpg.public(key)).flaw is Flaw.SignatureInvalid
    within = with_signature(DATA, gpg.sign(key, DATA, "--default-sig-expire", "30d"))
    assert judged(within, gpg.public(key)).flaw is None


def test_the_same_commit_but_for_its_signature(repository: Path, gpg: Gpg) -> None:
    """What is trusted is a signature, and not the tree that it was once put to."""
    ann, mallory = gpg.key("Ann again <ann@example.com>"), gpg.key("Mallory <ann@example.com>")
    heads = list[str]()
    commit(repository)
    for key in (ann, mallory):
        words = ("commit", "-q", "--allow-empty", "--amend", "-m", "edit", f"-S{key}")
        git(*words, cwd=repository, env={**_WHO, **gpg.env, "GIT_COMMITTER_DATE": "@1800000000 +0000"})
        heads.append(git("rev-parse", "HEAD", cwd=repository).strip())
    good, bad = (raw(repository, head) for head in heads)
    assert unsigned(good)[0] == unsigned(bad)[0]
    directory, trust = packed(repository), Trust("", keys=key_of(gpg.public(ann)))
    git("update-ref", "refs/heads/good", heads[0], cwd=repository)
    directory = packed(repository)
    for head, flaw in zip((*heads, *heads), (None, Flaw.UntrustedKey) * 2, strict=True):
        assert verify(directory, head, None, trust).flaw is flaw
    swapped = with_signature(unsigned(bad)[0], unsigned(good)[1][0])
    assert swapped == good


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [((), "rsa1024", "too weak"), (("--cert-digest-algo", "SHA1"), "ed25519", "too weak")],
    ids=["RSA 1024", "SHA-1"],
)
async def test_a_key_that_is_too_weak(gpg: Gpg, more: tuple[str, ...], kind: str, words: str) -> None:
    """Such as was made with an old gpg: it signs nothing, and is not trusted."""
    who = f"Weak {kind} <ann@example.com>"
    gpg.run(*more, "--passphrase", "", "--quick-gen-key", who, kind, "sign", "never")
    with pytest.raises(CredentialError, match=words):
        await Keys().openpgp_signer(gpg.private(f"={who}"), None)
    data = with_signature(DATA, gpg.sign(f"={who}", DATA))
    assert judged(data, gpg.public(f"={who}")).flaw is Flaw.SignatureInvalid


@pytest.mark.parametrize("how", [("--digest-algo", "SHA1"), ("--textmode",)], ids=["SHA-1", "text"])
def test_a_signature_that_more_than_one_commit_may_have(gpg: Gpg, how: tuple[str, ...]) -> None:
    """By a hash for which two are found, or one that takes any line ending for the same."""
    key = gpg.key(f"Weak {how[-1]} <ann@example.com>")
    data = with_signature(DATA, gpg.sign(key, DATA, *how))
    assert judged(data, gpg.public(key)).flaw is Flaw.SignatureInvalid


def test_what_only_looks_like_a_signature() -> None:
    key, other = tsk(), tsk()
    good, foreign = signature(key), signature(other)
    assert judged(with_signature(DATA, good), public(key)).flaw is None
    assert (
        judged(with_signature(DATA, good.replace(b"\n\n", b"\nVersion: x\nComment: y\n\n", 1)), public(key)).flaw
        is None
    )
    assert judged(with_signature(DATA, armoured(blob(good))), public(key)).flaw is None
    bomb = b"\xa3\x02" + zlib.compress(b"\0" * (1 << 22), 9)[2:-4]
    for wrong in (
        signature(key, DATA + b" "),
        armoured(blob(good) + blob(good)),
        armoured(blob(good) + blob(foreign)),
        armoured(blob(good) + b"\0" * 20),
        armoured(blob(good)[:-20]),
        armoured(b""),
        armoured(b"\xff" * 40),
        armoured(b"x" * (17 << 10)),
        armoured(bomb[: 12 << 10]),
        armoured(blob(good) + bomb[: 8 << 10]),
        armoured(bytes(key.extract_certificate())),
        armoured(good),
        openpgp.BEGIN,
        openpgp.BEGIN + b"\n\n-----END PGP SIGNATURE-----",
        openpgp.BEGIN + b"\n\n%%%\n-----END PGP SIGNATURE-----",
        good.replace(b"\n\n", b"\n"),
        good + b"\n" + foreign,
        good + b"\nand more",
        good.replace(b"\n\n", b"\n\nmore\n\n", 1),
    ):
        assert judged(with_signature(DATA, wrong), public(key)).flaw is Flaw.SignatureInvalid
    assert judged(with_signature(with_signature(DATA, good), good), public(key)).flaw is Flaw.SignatureInvalid
    for other_kind in (b"-----BEGIN PGP MESSAGE-----", b"text\n" + good):
        assert judged(with_signature(DATA, other_kind), public(key)).flaw is Flaw.UntrustedKey


def test_nothing_is_computed_with_a_key_that_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, real = list[object](), detached.holds

    def counted(*words: bytes) -> bool:
        asked.append(words)
        return real(*words)

    monkeypatch.setattr(detached, "holds", counted)
    key, other = tsk(), tsk()
    assert judge(DATA, signature(other), key_of(public(key)))[1:] == (None, False)
    assert not asked
    assert judge(DATA, signature(key), key_of(public(key)))[2]
    assert asked


async def test_the_operators_own_commits_are_by_whoever_edited() -> None:
    key = tsk()
    own = (await signer_of(key)).own
    trust = Trust("", ("bob@example.com",), own=own)
    data = with_signature(DATA, signature(key))
    found = verdict("x", data, trust, keys_of(trust))
    assert (found.flaw, found.signer) == (None, OWN)
    listed = judged(data, public(key), authors=("bob@example.com",))
    assert listed.flaw is Flaw.AuthorNotAllowed


def test_nobody_becomes_the_operator_by_his_name() -> None:
    key = tsk(OWN)
    found = judged(with_signature(DATA, signature(key)), public(key))
    assert (found.flaw, found.signer) == (None, key.extract_certificate().fingerprint.upper())


# --- files of public keys -----------------------------------------------------------------------------------------------


def test_a_file_may_hold_several_keys() -> None:
    first, second, third = tsk(), tsk(), tsk()
    joined = b"".join(bytes(key.extract_certificate()) for key in (first, second))
    block = pysequoia.armor(joined, pysequoia.ArmorKind.PublicKey)
    found = key_of(f"of two people\n{block}\nand of another\n{public(third)}")
    assert [key.fingerprint for key in found] == [
        key.extract_certificate().fingerprint.upper() for key in (first, second, third)
    ]


def huge_rsa() -> bytes:
    """A public key whose modulus has 64,800 bits."""
    size = 8100
    numbers = (size * 8).to_bytes(2, "big") + b"\xff" * size + b"\0\x11\1\0\1"
    return packet(6, b"\4\0\0\0\1\1" + numbers) + packet(13, b"x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no armoured"),
        ("ssh-ed25519 AAAA", "no armoured"),
        (str(tsk()), "a private key"),
        (f"{public(tsk())}\n{tsk()}", "a private key"),
        (public(tsk())[:300], "can't be read"),
        (public(tsk()).replace("x", "y"), "can't be read"),
        (pysequoia.armor(b"\xff" * 99, pysequoia.ArmorKind.PublicKey), "can't be read"),
        (pysequoia.armor(signature(tsk()), pysequoia.ArmorKind.PublicKey), "can't be read"),
        (public(tsk(profile=pysequoia.Profile.RFC9580)), "version 4"),
        (pysequoia.armor(huge_rsa(), pysequoia.ArmorKind.PublicKey), "holds a key of 8"),
        (pysequoia.armor(bytes(tsk().extract_certificate()) * 400, pysequoia.ArmorKind.PublicKey), "bytes together"),
    ],
    ids=["empty", "ssh", "private", "private too", "cut", "changed", "junk", "signature", "version 6", "huge", "many"],
)
async def test_a_file_that_holds_no_keys_is_named(text: str, words: str) -> None:
    with pytest.raises(BadFile) as error:
        await Keys().openpgp_public({"ann.asc": public(tsk()), "bob.asc": text})
    name, told = error.value.args
    assert name == "bob.asc"
    assert words in told
    assert "backtrace" not in told


async def test_a_file_that_unfolds_to_much_is_refused_where_it_is_alone(keys: Keys) -> None:
    """Within what a process that reads keys may take, and the next key is read."""
    bomb = zlib.compress(b"\0" * (1 << 28), 9)[2:-4]
    for _ in range(1):
        bomb = zlib.compress(b"\xa3\x01" + bomb, 9)[2:-4]
    text = pysequoia.armor(b"\xa3\x01" + bomb, pysequoia.ArmorKind.PublicKey)
    assert len(text) < 64 << 10
    with pytest.raises((BadFile, CredentialError)):
        await keys.openpgp_public({"bob.asc": text})
    assert len(await keys.openpgp_public({"ann.asc": public(tsk())})) == 1
    with pytest.raises(BadFile, match=r"b\.asc"):
        await keys.openpgp_public({"a.asc": "x", "b.asc": "x" * (256 << 10)})


def tangled() -> str:
    """A certificate within the limits that takes minutes to read: of each signature it is asked whose of 1500 names it may be."""
    parts = [
        bytes(each) for each in PacketPile.from_bytes(public(tsk(cipher_suite=pysequoia.CipherSuite.P521)).encode())
    ]
    names = [packet(13, b"u%d" % n) for n in range(1500)]
    signatures = [parts[3][:-3] + n.to_bytes(3, "big") for n in range(80)]
    return pysequoia.armor(b"".join((*parts, *names, *signatures)), pysequoia.ArmorKind.PublicKey)


async def test_a_certificate_that_takes_for_ever_is_given_up(keys: Keys) -> None:
    text = tangled()
    assert len(text) < 64 << 10
    with pytest.raises(CredentialError, match="within 3 s of the processor") as error:
        await keys.openpgp_public({"bob.asc": text})
    assert error.value.reason is Reason.InvalidSecret
    assert len(await keys.openpgp_public({"ann.asc": public(tsk())})) == 1


_PANICS = """
from gitintegration.git import detached, openpgp

class PanicException(BaseException):
    "As a library in Rust raises it."

PanicException.__module__ = "pyo3_runtime"
with openpgp._sequoia("words"):
    raise PanicException
"""


def test_a_process_whose_library_panicked_is_not_used_again() -> None:
    """It may hold a lock that nobody gets any more, and would find that no signature holds."""
    assert subprocess.run([sys.executable, "-c", _PANICS]).returncode == 70
