"""Password hashes that other systems made: how they are kept, what of them is too costly, and how they are checked.

A hash is kept with all it takes to check it, as ``$imported$`` and JSON; the next sign-in replaces it by
one of ours. STORAGE FORMAT: fields are added with a default, never renamed.
"""

import base64
import binascii
import hashlib
import hmac
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Annotated, Final, Literal

import bcrypt
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

MARK: Final = "$imported$"

MOST_MEMORY: Final = 128 * 1024 * 1024
"""What one check may take, in bytes: the largest of the parameters OWASP recommends for scrypt."""
MOST_ARGON2_WORK: Final = 1024 * 1024
"""KiB times iterations."""
MOST_SCRYPT_WORK: Final = 2 * 1024 * 1024
"""Blocks mixed: cost times block size times parallelization."""
MOST_LANES: Final = 16
MOST_BCRYPT_COST: Final = 15
MOST_PHPASS_LOG2: Final = 18

SHA_VERSIONS: Final = (
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512/224",
    "sha512/256",
    "sha512",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
)
_ITOA64: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BCRYPT_BYTES: Final = 72
"""What bcrypt reads of a password; those who hashed it cut it there."""


class Uncheckable(Exception):  # noqa: N818
    """No sign-in checks a password against this: it takes too much time or memory, or is not what its kind allows."""


class _Hash(BaseModel, ABC):
    """What all kinds share. ``hash`` is the text as it came."""

    model_config = ConfigDict(frozen=True)

    hash: str

    def ensure_checkable(self) -> None:
        """Raises `Uncheckable`."""

    @abstractmethod
    def matches(self, password: str) -> bool:
        """Whether this is the password; never for a text that is no such hash."""


class Argon2(_Hash):
    """PHC form, of any variant."""

    kind: Literal["argon2"] = "argon2"

    def ensure_checkable(self) -> None:
        """Memory, work and threads are bounded."""
        try:
            costs = extract_parameters(self.hash)
        except InvalidHashError:
            return
        if (
            costs.memory_cost * 1024 > MOST_MEMORY
            or costs.memory_cost * costs.time_cost > MOST_ARGON2_WORK
            or costs.parallelism > MOST_LANES
        ):
            raise Uncheckable

    def matches(self, password: str) -> bool:
        """As the hash's own parameters say."""
        try:
            extract_parameters(self.hash)  # what this cannot read, nobody held against the bounds
            return PasswordHasher().verify(self.hash, password)
        except (VerificationError, InvalidHashError):
            return False


class Bcrypt(_Hash):
    """``$2a$``, ``$2b$`` and ``$2y$``."""

    kind: Literal["bcrypt"] = "bcrypt"

    def ensure_checkable(self) -> None:
        """The cost is bounded."""
        if self.hash.startswith("$2") and self.hash[4:6].isdecimal() and int(self.hash[4:6]) > MOST_BCRYPT_COST:
            raise Uncheckable

    def matches(self, password: str) -> bool:
        """The first 72 bytes count."""
        try:
            return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], self.hash.encode())
        except ValueError:
            return False


class Md5(_Hash):
    """The plain digest in hex."""

    kind: Literal["md5"] = "md5"

    def matches(self, password: str) -> bool:
        """Digest equals digest."""
        return _equal(_digest("md5", password.encode()).hex(), self.hash)


class Sha(_Hash):
    """The plain digest in hex, of one of `SHA_VERSIONS`."""

    kind: Literal["sha"] = "sha"
    version: str = "sha256"

    def matches(self, password: str) -> bool:
        """Digest equals digest."""
        name = self.version.replace("/", "_").replace("-", "_")
        return _equal(_digest(name, password.encode()).hex(), self.hash)


class Phpass(_Hash):
    """The portable hashes of phpass (``$P$``, in phpBB ``$H$``), or bcrypt, which it prefers where it is there."""

    kind: Literal["phpass"] = "phpass"

    def ensure_checkable(self) -> None:
        """The number of rounds is bounded."""
        if self.hash.startswith("$2"):
            Bcrypt(hash=self.hash).ensure_checkable()
        elif self._is_portable() and _ITOA64.index(self.hash[3]) > MOST_PHPASS_LOG2:
            raise Uncheckable

    def matches(self, password: str) -> bool:
        """MD5 over and over, salted."""
        if self.hash.startswith("$2"):
            return Bcrypt(hash=self.hash).matches(password)
        if not self._is_portable():
            return False
        secret = password.encode()
        digest = _digest("md5", self.hash[4:12].encode() + secret)
        for _ in range(1 << _ITOA64.index(self.hash[3])):
            digest = _digest("md5", digest + secret)
        return _equal(_itoa64(digest), self.hash[12:])

    def _is_portable(self) -> bool:
        return self.hash[:3] in {"$P$", "$H$"} and len(self.hash) == 34 and self.hash[3] in _ITOA64


class Scrypt(_Hash):
    """In hex. ``salt`` is its bytes as text."""

    kind: Literal["scrypt"] = "scrypt"
    salt: str
    cpu: int
    memory: int
    parallel: int
    length: int

    def ensure_checkable(self) -> None:
        """Memory and work are bounded, and the cost is below what RFC 7914 allows for the block size."""
        if self.cpu >= 1 << 16 * self.memory:
            raise Uncheckable
        if 128 * self.cpu * self.memory > MOST_MEMORY or self.cpu * self.memory * self.parallel > MOST_SCRYPT_WORK:
            raise Uncheckable

    def matches(self, password: str) -> bool:
        """RFC 7914."""
        derived = _scrypt(password, self.salt.encode(), self.cpu, self.memory, self.parallel, self.length)
        return _equal(derived.hex(), self.hash)


class ScryptModified(_Hash):
    """Firebase's: scrypt, then the signer key encrypted with what came out. All parts in base64."""

    kind: Literal["scrypt-modified"] = "scrypt-modified"
    salt: str
    separator: str
    signer_key: str

    def matches(self, password: str) -> bool:
        """The parameters are those Firebase gives every project; 2^14, 8, 1."""
        salt = base64.b64decode(self.salt) + base64.b64decode(self.separator)
        key = _scrypt(password, salt, 2**14, 8, 1, 64)[:32]
        encryptor = Cipher(AES(key), CTR(bytes(16))).encryptor()
        signed = encryptor.update(base64.b64decode(self.signer_key)) + encryptor.finalize()
        try:
            return hmac.compare_digest(signed, base64.b64decode(self.hash, validate=True))
        except (binascii.Error, ValueError):
            return False


ImportedHash = Argon2 | Bcrypt | Md5 | Sha | Phpass | Scrypt | ScryptModified
_KINDS: Final[TypeAdapter[ImportedHash]] = TypeAdapter(Annotated[ImportedHash, Field(discriminator="kind")])


def kept(imported: ImportedHash) -> str:
    """What is stored."""
    return MARK + imported.model_dump_json()


@lru_cache(maxsize=1024)
def imported_hash(stored: str) -> ImportedHash | None:
    """What was imported, if this is not one of our own hashes."""
    return _KINDS.validate_json(stored.removeprefix(MARK)) if stored.startswith(MARK) else None


def _digest(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data, usedforsecurity=False).digest()


def _scrypt(password: str, salt: bytes, cpu: int, memory: int, parallel: int, length: int) -> bytes:
    room = 128 * memory * (cpu + parallel + 2) + 1024 * 1024
    return hashlib.scrypt(password.encode(), salt=salt, n=cpu, r=memory, p=parallel, maxmem=room, dklen=length)


def _equal(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def _itoa64(digest: bytes) -> str:
    """Six bits a letter, the lowest first, three bytes at a time."""
    text = ""
    for start in range(0, len(digest), 3):
        part = digest[start : start + 3]
        number = int.from_bytes(part, "little")
        text += "".join(_ITOA64[number >> shift & 63] for shift in range(0, 8 * len(part), 6))
    return text
