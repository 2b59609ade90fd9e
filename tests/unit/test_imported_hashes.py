"""Hashes of other systems, checked against vectors that were published with them."""

import hashlib

import pytest

from accounts_es.adapters.hashing import Passwords
from accounts_es.adapters.imported_hashes import (
    SHA_VERSIONS,
    Argon2,
    Bcrypt,
    ImportedHash,
    Md5,
    Phpass,
    Scrypt,
    ScryptModified,
    Sha,
    Uncheckable,
    imported_hash,
    kept,
)

FIREBASE = ScryptModified(
    hash="lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
    salt="42xEC+ixf3L2lw==",
    separator="Bw==",
    signer_key="jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==",
)

PUBLISHED: list[tuple[str, ImportedHash]] = [
    # phc-winner-argon2, test.c
    (
        "password",
        Argon2(hash="$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8"),
    ),
    (
        "password",
        Argon2(hash="$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"),
    ),
    # crypt_blowfish, wrapper.c
    ("U*U", Bcrypt(hash="$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")),
    ("U*U*U", Bcrypt(hash="$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a")),
    # RFC 1321, A.5
    ("message digest", Md5(hash="f96b697d7cb7938d525a2f31aaf161d0")),
    # phpass, test.php
    ("test12345", Phpass(hash="$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0")),
    ("test12345", Phpass(hash="$H$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0")),
    ("U*U", Phpass(hash="$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")),
    # FIPS 180-4 and FIPS 202, the examples for "abc"
    ("abc", Sha(version="sha1", hash="a9993e364706816aba3e25717850c26c9cd0d89d")),
    ("abc", Sha(hash="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
    ("abc", Sha(version="sha512/224", hash="4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa")),
    ("abc", Sha(version="sha512/256", hash="53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23")),
    ("abc", Sha(version="sha3-256", hash="3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532")),
    # RFC 7914, section 12
    (
        "pleaseletmein",
        Scrypt(
            hash="7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
            "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
            salt="SodiumChloride",
            cpu=16384,
            memory=8,
            parallel=1,
            length=64,
        ),
    ),
    # Firebase's scrypt, README
    ("user1password", FIREBASE),
]
each_published = pytest.mark.parametrize(("password", "imported"), PUBLISHED, ids=[p[1].kind for p in PUBLISHED])


@each_published
def test_the_password_meets_its_hash_and_no_other_does(password: str, imported: ImportedHash) -> None:
    imported.ensure_checkable()
    assert imported.matches(password)
    for other in (password + "x", password[:-1], password.swapcase() + "x", ""):
        assert not imported.matches(other)


@each_published
def test_what_is_kept_says_it_all(password: str, imported: ImportedHash) -> None:
    assert imported_hash(kept(imported)) == imported


def test_the_form_that_is_kept_stays() -> None:
    read = {
        '$imported${"hash":"h","kind":"argon2"}': Argon2(hash="h"),
        '$imported${"hash":"h","kind":"bcrypt"}': Bcrypt(hash="h"),
        '$imported${"hash":"h","kind":"md5"}': Md5(hash="h"),
        '$imported${"hash":"h","kind":"sha","version":"sha1"}': Sha(hash="h", version="sha1"),
        '$imported${"hash":"h","kind":"phpass"}': Phpass(hash="h"),
        '$imported${"hash":"h","kind":"scrypt","salt":"s","cpu":2,"memory":1,"parallel":1,"length":16}': Scrypt(
            hash="h", salt="s", cpu=2, memory=1, parallel=1, length=16
        ),
        '$imported${"hash":"h","kind":"scrypt-modified","salt":"s","separator":"t","signer_key":"k"}': ScryptModified(
            hash="h", salt="s", separator="t", signer_key="k"
        ),
    }
    for stored, imported in read.items():
        assert imported_hash(stored) == imported
        assert kept(imported) == stored
    assert imported_hash("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR") is None


@pytest.mark.parametrize("version", SHA_VERSIONS)
def test_every_version_of_sha_is_known(version: str) -> None:
    name = version.replace("/", "_").replace("-", "_")
    assert Sha(version=version, hash=hashlib.new(name, b"appwrite").hexdigest()).matches("appwrite")


def test_bcrypt_reads_72_bytes() -> None:
    """As those who hashed it did: what is behind them never counted."""
    long = Bcrypt(hash="$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui")  # crypt_blowfish, wrapper.c
    password = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    assert long.matches(password)
    assert long.matches(password + "chars after 72 are ignored")
    assert not long.matches(password[:71])


@pytest.mark.parametrize(
    "text", ["", "rubbish that is long", "$", "$2a$05$short", "$P$9short", "$argon2id$x", "é" * 40]
)
def test_no_password_meets_a_text_that_is_no_hash(text: str) -> None:
    empty = {"salt": "c2FsdA==", "separator": "Bw==", "signer_key": "a2V5"}
    scrypt = {"salt": "salt", "cpu": 2, "memory": 1, "parallel": 1, "length": 16}
    for imported in (
        Argon2(hash=text),
        Bcrypt(hash=text),
        Md5(hash=text),
        Sha(hash=text),
        Phpass(hash=text),
        Scrypt(hash=text, **scrypt),
        ScryptModified(hash=text, **empty),
    ):
        imported.ensure_checkable()
        for password in ("", "password", text):
            assert not imported.matches(password)


@pytest.mark.parametrize(
    "imported",
    [
        Argon2(hash="$argon2id$v=19$m=131073,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"),
        Argon2(hash="$argon2id$v=19$m=65536,t=17,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"),
        Argon2(hash="$argon2id$v=19$m=256,t=1,p=17$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"),
        Bcrypt(hash="$2a$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        Phpass(hash="$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        Phpass(hash="$P$HIQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0"),
        Scrypt(hash="h", salt="s", cpu=2**18, memory=8, parallel=1, length=64),
        Scrypt(hash="h", salt="s", cpu=2**17, memory=8, parallel=3, length=64),
        Scrypt(hash="h", salt="s", cpu=2**16, memory=1, parallel=1, length=64),
    ],
)
def test_a_hash_that_no_sign_in_could_check_is_not_taken(imported: ImportedHash) -> None:
    with pytest.raises(Uncheckable):
        imported.ensure_checkable()


@pytest.mark.parametrize(
    "imported",
    [
        Argon2(hash="$argon2id$v=19$m=65536,t=4,p=3$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"),
        Bcrypt(hash="$2a$15$xX/myGbFU.ZSKHSi6EHdBOySTdYm8QxBLXmOPHrYMwV0mHRBBSBOq"),
        Scrypt(hash="h", salt="s", cpu=2**17, memory=8, parallel=1, length=64),
    ],
)
def test_what_is_recommended_is_taken(imported: ImportedHash) -> None:
    imported.ensure_checkable()


async def test_an_imported_hash_is_checked_and_outdated() -> None:
    passwords = Passwords(memory_kib=7168, iterations=1, lanes=1, workers=1, patience=10)
    try:
        stored = kept(Md5(hash="f96b697d7cb7938d525a2f31aaf161d0"))
        assert await passwords.matches(stored, "message digest")
        assert not await passwords.matches(stored, "another message")
        assert passwords.is_outdated(stored)
        assert not passwords.is_outdated(await passwords.hash("message digest"))
    finally:
        passwords.close()
