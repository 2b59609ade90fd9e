"""Ids and secrets, the server's only randomness besides keys and nonces."""

import hashlib
import secrets
import time
from datetime import UTC, datetime

from accounts_es.adapters.phrases import ADJECTIVES, NOUNS

SESSION_SECRET_BYTES = 128
"""Contract: account, 1.2: 256 hex digits; far above the 128 bits of ASVS V7.2.3."""


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def wire_id() -> str:
    """An id as the API makes them: 20 hex digits, the first 13 the microseconds of the clock (contract 2.2)."""
    return f"{time.time_ns() // 1000:013x}{secrets.token_hex(4)[:7]}"


def stream_id(category: str) -> str:
    """A stream of an aggregate: the category and a UUID of version 7 (RFC 9562), which keeps new streams together."""
    stamp = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    rest = bytearray(secrets.token_bytes(10))
    rest[0] = 0x70 | (rest[0] & 0x0F)
    rest[2] = 0x80 | (rest[2] & 0x3F)
    text = (stamp + rest).hex()
    return f"{category}-{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def session_secret() -> str:
    """A secret only the client keeps."""
    return secrets.token_hex(SESSION_SECRET_BYTES)


def key_secret() -> str:
    """The text of an API key (contract: cross-cutting, 3.3)."""
    return f"standard_{secrets.token_hex(128)}"


def hex_secret(digits: int) -> str:
    """A one-time secret of this many hex digits."""
    return secrets.token_hex((digits + 1) // 2)[:digits]


def numeric_code() -> str:
    """Six digits, for people to type (contract: account, 1.7)."""
    return f"{secrets.randbelow(10**6):06}"


def recovery_codes() -> tuple[str, ...]:
    """Six codes of ten hex digits (contract: account, 1.7)."""
    return tuple(secrets.token_hex(5) for _ in range(6))


def security_phrase() -> str:
    """Two words that the page shows and the mail repeats, so that their reader knows they belong together."""
    return f"{secrets.choice(ADJECTIVES)} {secrets.choice(NOUNS)}"


def fingerprint(secret: str) -> str:
    """What is stored of a secret: its SHA-256 in hex. Enough, because the secrets are long and random."""
    return hashlib.sha256(secret.encode()).hexdigest()
