"""Keys for erasure: one data key per stream, wrapped by the master key.

AES-256-GCM throughout (NIST SP 800-38D) with random 96-bit nonces in front of the ciphertext. A data key seals the
events of one stream only, so the nonce bound of 2^32 messages per key is out of reach.

Keys are held as their 32 bytes and made ready where they are used: a ready one takes 2.5 kB, and 1 us to make.
"""

import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
MARK_BYTES: Final = 8
_WRAPPED_BYTES: Final = NONCE_BYTES + KEY_BYTES + 16
_CHECK: Final = b"accounts-es"
_DIGESTS: Final = b"secret of digests"
CHANGED: Final = "the master key of this database was changed: start again with the present one"
_CACHED_KEYS: Final = 20_000
_BURIED: Final = 100_000


class WrongMasterKey(Exception):  # noqa: N818
    """The master key at hand is not the one this database was made with."""


class SealBroken(Exception):  # noqa: N818
    """A sealed value does not open with its key: it was changed, moved, or the key is another."""


def seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    """Nonce and ciphertext; opens only with the same key and the same ``bound_to``."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def unseal(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    """The plain bytes. Raises `SealBroken`."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):  # a ValueError: too short to hold a nonce and a tag
        raise SealBroken from None


class KeyCheck(NamedTuple):
    """What a database keeps of its master key: the row of ``log.key_check``."""

    sealed: bytes
    """A known text: tells another key before it does harm."""
    digests: bytes | None
    """The secret of digests, sealed by the master key. Nothing until a release that keeps it has started on it."""
    mark: bytes
    """What every wrapped key begins with: nothing before the master key is first changed."""


class MasterKey:
    """What everything else hangs on: opens wrapped data keys. 32 bytes, never stored in SQL.

    To add to a log it is `bound` to the database: that alone makes keys and digests.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise WrongMasterKey(f"the master key has {len(secret)} bytes instead of {KEY_BYTES}")
        self._secret = secret
        self._wrapping = self._derive(b"wrap data keys")
        self._mark = self._derive(b"mark of wrapped keys")[:MARK_BYTES]

    def _derive(self, purpose: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"accounts-es: " + purpose).derive(self._secret)

    def unwrap(self, subject: str, wrapped: bytes) -> bytes:
        """The data key of a subject. Raises `SealBroken`, and `WrongMasterKey` when another one has wrapped it."""
        if len(wrapped) == MARK_BYTES + _WRAPPED_BYTES:
            if not wrapped.startswith(self._mark):
                raise WrongMasterKey(CHANGED)
            wrapped = wrapped[MARK_BYTES:]
        return unseal(self._wrapping, wrapped, subject.encode())

    def opens(self, stored: bytes) -> bool:
        """Whether this key made the stored check value."""
        try:
            return unseal(self._wrapping, stored, _CHECK) == _CHECK
        except SealBroken:
            return False

    def same_as(self, other: "MasterKey") -> bool:
        """Whether both are one key."""
        return other.opens(seal(self._wrapping, _CHECK, _CHECK))

    def verify(self, stored: bytes) -> None:
        """Raises `WrongMasterKey` unless the stored check value was made by this key."""
        if not self.opens(stored):
            raise WrongMasterKey("the master key does not open this database: it belongs to another one")

    def bound(self, check: KeyCheck) -> "BoundKey":
        """This key as the key of a database. Raises `WrongMasterKey` if it is not, `SealBroken`."""
        self.verify(check.sealed)
        if check.digests is None:
            return BoundKey(self, self._wrapping, self._derive(b"digest claims"), check.mark)
        return BoundKey(self, self._wrapping, unseal(self._wrapping, check.digests, _DIGESTS), check.mark)

    def first_check(self) -> KeyCheck:
        """What a database is to keep whose first master key this is."""
        digests = seal(self._wrapping, self._derive(b"digest claims"), _DIGESTS)
        return KeyCheck(seal(self._wrapping, _CHECK, _CHECK), digests, b"")

    def next_check(self, former: "BoundKey") -> KeyCheck:
        """What a database is to keep when this key takes the place of its former one: digests stay what they are."""
        digests = seal(self._wrapping, former.digest_secret, _DIGESTS)
        return KeyCheck(seal(self._wrapping, _CHECK, _CHECK), digests, self._mark)

    def answer_key(self, request: str) -> bytes:
        """The key that seals the answer kept for an idempotent request, from our secret and the client's."""
        return self._derive(b"answers: " + request.encode())


class BoundKey:
    """The master key of one database: wraps its new data keys, makes its digests. See `MasterKey.bound`."""

    def __init__(self, master: MasterKey, wrapping: bytes, digest_secret: bytes, mark: bytes) -> None:
        self.master = master
        self.digest_secret = digest_secret
        self.mark = mark
        self._wrapping = wrapping

    def wrap(self, subject: str, key: bytes) -> bytes:
        """The form in which the data key of a subject is stored."""
        return self.mark + seal(self._wrapping, key, subject.encode())

    def new_key(self, subject: str) -> tuple[bytes, bytes]:
        """A fresh data key and its wrapped form."""
        key = AESGCM.generate_key(256)
        return key, self.wrap(subject, key)

    def digest(self, project: str, kind: str, value: str) -> bytes:
        """A keyed fingerprint of a unique value (HMAC-SHA-256): equal values meet, nobody can guess them back."""
        text = "\x1f".join((project, kind, value))
        return hmac.digest(self.digest_secret, text.encode(), hashlib.sha256)


class KeyRing:
    """Data keys in memory, the most recently used ones. A subject without a key is erased, or not begun."""

    def __init__(self, master: MasterKey) -> None:
        self._master = master
        self._keys: OrderedDict[str, bytes] = OrderedDict()
        self._buried: OrderedDict[str, None] = OrderedDict()

    def get(self, subject: str) -> bytes | None:
        """The key, if it is in memory."""
        key = self._keys.get(subject)
        if key is not None:
            self._keys.move_to_end(subject)
        return key

    def add(self, wrapped: Mapping[str, bytes]) -> None:
        """Unwrap keys that were read from the database."""
        for subject, each in wrapped.items():
            if subject not in self._keys and subject not in self._buried:
                self._remember(subject, self._master.unwrap(subject, each))

    def forget(self, subject: str) -> None:
        """Drop a key from memory."""
        self._keys.pop(subject, None)

    def bury(self, subject: str) -> None:
        """Drop the key of somebody who was erased: a read that was under way does not bring it back."""
        self.forget(subject)
        self._buried[subject] = None
        if len(self._buried) > _BURIED:
            self._buried.popitem(last=False)

    def is_buried(self, subject: str) -> bool:
        """Whether they were erased, as far as this process was told."""
        return subject in self._buried

    def held(self) -> list[str]:
        """Whose keys are in memory."""
        return list(self._keys)

    def seal(self, subject: str, plain: bytes, purpose: str) -> bytes:
        """Seal something about a subject whose key is in memory, for one purpose. Raises `KeyError` without the key."""
        return seal(self._keys[subject], plain, f"{purpose}:{subject}".encode())

    def unseal(self, subject: str, sealed: bytes, purpose: str) -> bytes:
        """Open what `seal` made. Raises `KeyError` without the key, `SealBroken`."""
        return unseal(self._keys[subject], sealed, f"{purpose}:{subject}".encode())

    def _remember(self, subject: str, key: bytes) -> None:
        self._keys[subject] = key
        if len(self._keys) > _CACHED_KEYS:
            self._keys.popitem(last=False)


class LogKeys(KeyRing):
    """The ring of whoever adds to the log."""

    def __init__(self, bound: BoundKey) -> None:
        super().__init__(bound.master)
        self.bound = bound

    def create(self, subject: str) -> bytes:
        """A new key; the wrapped form is to be stored with the subject's first event."""
        key, wrapped = self.bound.new_key(subject)
        self._remember(subject, key)
        return wrapped

    def fresh(self, subject: str) -> bytes:
        """A new key that counts once it is stored, and only if nobody stored another: then it is to be read."""
        return self.bound.new_key(subject)[1]

    def digest(self, project: str, kind: str, value: str) -> bytes:
        """See `BoundKey.digest`."""
        return self.bound.digest(project, kind, value)

    def seal_answer(self, request: str, plain: bytes) -> bytes:
        """Seal the answer kept for an idempotent request."""
        return seal(self._master.answer_key(request), plain, b"answer")

    def open_answer(self, request: str, sealed: bytes) -> bytes:
        """Open an answer kept for an idempotent request. Raises `SealBroken`."""
        return unseal(self._master.answer_key(request), sealed, b"answer")
