"""Checkpoints: C2SP ``tlog-checkpoint`` in a C2SP ``signed-note``, signed with Ed25519.

See https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519: Final = b"\x01"
"""The signature type of the format."""
_DASH: Final = "\N{EM DASH} "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The first ``size`` events of the log called ``origin`` have this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Signer:
    """The key of a log. Its name is the log's origin."""

    def __init__(self, origin: str, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self._name = origin
        self._public = self._key.public_key().public_bytes_raw()
        self._id = key_id(origin, self._public)

    @property
    def name(self) -> str:
        """The log's origin."""
        return self._name

    @property
    def verifier(self) -> str:
        """The public key in the format's encoding: ``name+id+key``."""
        return verifier_key(self._name, self._public)

    def sign(self, checkpoint: Checkpoint) -> str:
        """The signed note of a checkpoint."""
        return self.sign_text(checkpoint.text)

    def sign_text(self, text: str) -> str:
        """The signed note of any lines. Those of a checkpoint begin with the origin, so no others may."""
        signature = base64.b64encode(self._id + self._key.sign(text.encode())).decode()
        return f"{text}\n{_DASH}{self._name} {signature}\n"


def public_key(secret: bytes) -> bytes:
    """The public half of a ledger key."""
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def key_id(name: str, public: bytes) -> bytes:
    """Tells the keys of one name apart."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """A public key as verifiers take it."""
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(ED25519 + public).decode()}"


def signed_text(note: str, name: str, public: bytes) -> str:
    """The text of a note that has one signature, of this key. Raises `ValueError`."""
    text, dash, signature = note.rpartition(f"\n{_DASH}")
    by, _, encoded = signature.removesuffix("\n").partition(" ")
    signed = base64.b64decode(encoded, validate=True)
    if not dash or by != name or signed[:4] != key_id(name, public):
        raise ValueError("the note is not signed by this key")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed[4:], text.encode())
    except InvalidSignature:
        raise ValueError("the note has a false signature") from None
    return text


def read(note: str) -> Checkpoint:
    """The checkpoint in a note of ours, signature unchecked. Raises `ValueError`."""
    origin, size, root, *_ = note.split("\n")
    return Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
