"""Time-based codes (RFC 6238): SHA-1, six digits, steps of 30 seconds, as every authenticator app speaks them."""

import base64
import hmac
import secrets
from datetime import datetime
from typing import Final

from pyotp.totp import TOTP

STEP: Final = 30
SEED_BYTES: Final = 64
DRIFT: Final = 1
"""A code counts in the step before and after its own as well (RFC 6238, 5.2). Each step counts once all the same."""


def new_seed() -> str:
    """A secret for an authenticator, base32 without padding."""
    return base64.b32encode(secrets.token_bytes(SEED_BYTES)).decode().rstrip("=")


def uri(seed: str, *, issuer: str, account: str) -> str:
    """What an authenticator app reads from a QR code."""
    return TOTP(seed).provisioning_uri(name=account, issuer_name=issuer)


def steps_of(seed: str, code: str, at: datetime) -> tuple[int, ...]:
    """The steps, of those that count now, whose code this is."""
    now = int(at.timestamp()) // STEP
    generator = TOTP(seed)
    near = range(now - DRIFT, now + DRIFT + 1)
    return tuple(step for step in near if hmac.compare_digest(generator.generate_otp(step), code))
