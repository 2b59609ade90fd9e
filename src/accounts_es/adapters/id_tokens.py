"""ID tokens of OpenID providers (OpenID Connect Core, 3.1.3.7), checked against the keys the provider publishes."""

import asyncio
import hmac
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import httpx
import jwt

log = logging.getLogger(__name__)

ALGORITHMS: Final = ("RS256", "ES256", "PS256")
"""What signatures are taken; none of them is symmetric (RFC 8725, 3.1)."""
LEEWAY: Final = 30
"""Seconds by which the provider's clock may be ahead or behind."""
KEYS_LIFE: Final = 3600.0
"""Seconds after which keys are asked for again: one that was withdrawn is good no longer than that."""
REFETCH_PAUSE: Final = 30.0
"""Seconds between two attempts: tokens that name unknown keys are no lever to flood the provider."""
_MAX_KEYS_BYTES: Final = 256 * 1024


class IdTokenBroken(Exception):  # noqa: N818
    """The token is none of this provider's for this client, or no longer good; the message repeats nothing of it."""


class KeysAway(Exception):  # noqa: N818
    """The provider's keys cannot be read now."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs the tokens, by the names it goes by, and where its keys are."""

    names: tuple[str, ...]
    jwks_url: str


@dataclass(slots=True)
class _Keys:
    by_id: Mapping[str | None, jwt.PyJWK] = field(default_factory=dict[str | None, jwt.PyJWK])
    read_at: float | None = None
    asked_at: float | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def fresh(self) -> bool:
        return self.read_at is not None and time.monotonic() - self.read_at < KEYS_LIFE

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        return self.by_id.get(key_id) if self.fresh else None

    def may_ask(self) -> bool:
        return self.asked_at is None or time.monotonic() - self.asked_at > REFETCH_PAUSE


class IdTokens:
    """Checks ID tokens. Remembers the keys of each provider for a while."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._known: dict[str, _Keys] = {}

    async def read(self, text: str, issuer: Issuer, audiences: Collection[str]) -> Mapping[str, Any]:
        """The claims of a token that is good now and meant for one of ``audiences``.

        Raises `IdTokenBroken` and `KeysAway`.
        """
        try:
            header = jwt.get_unverified_header(text)
        except jwt.PyJWTError:
            raise IdTokenBroken("it is no signed JWT") from None
        if header.get("alg") not in ALGORITHMS:
            raise IdTokenBroken("its algorithm is not allowed")
        key = await self._key(issuer.jwks_url, header.get("kid"))
        try:
            claims: Mapping[str, Any] = jwt.decode(
                text,
                key,
                ALGORITHMS,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
                audience=list(audiences),
                issuer=list(issuer.names),
                leeway=LEEWAY,
            )
        except jwt.ExpiredSignatureError:
            raise IdTokenBroken("it has expired") from None
        except jwt.InvalidAudienceError:
            raise IdTokenBroken("it is meant for another client") from None
        except jwt.InvalidIssuerError:
            raise IdTokenBroken("it is from another issuer") from None
        except jwt.PyJWTError as error:
            raise IdTokenBroken(f"it does not verify ({type(error).__name__})") from None
        return claims

    async def _key(self, url: str, key_id: str | None) -> jwt.PyJWK:
        known = self._known.setdefault(url, _Keys())
        key = known.find(key_id)
        if key is not None:
            return key
        async with known.lock:
            # Somebody else may have asked meanwhile.
            key = known.find(key_id)
            if key is None and known.may_ask():
                known.asked_at = time.monotonic()
                known.by_id = await self._fetch(url)
                known.read_at = time.monotonic()
                key = known.find(key_id)
        if key is not None:
            return key
        if not known.fresh:
            raise KeysAway
        raise IdTokenBroken("its key is not one of the issuer's")

    async def _fetch(self, url: str) -> Mapping[str | None, jwt.PyJWK]:
        """The provider's signing keys by their ids; a key that is alone is also that of tokens that name none."""
        try:
            async with self._client.stream("GET", url) as answer:
                answer.raise_for_status()
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_KEYS_BYTES:
                        raise KeysAway
            keys = jwt.PyJWKSet.from_json(body.decode()).keys
        except (httpx.HTTPError, jwt.PyJWTError, ValueError) as error:
            log.warning("provider's keys cannot be read", extra={"error": type(error).__name__})
            raise KeysAway from None
        signing = {each.key_id: each for each in keys if each.public_key_use in {None, "sig"}}
        return {**signing, None: next(iter(signing.values()))} if len(signing) == 1 else signing


def shows_nonce(claimed: object, raw: str | None, *, hashed_only: bool) -> bool:
    """Whether a token's ``nonce`` is the one its bearer knows: the SHA-256 (hex) of it, or where allowed itself.

    Hashed, somebody who merely got hold of the token cannot answer it.
    """
    if not isinstance(claimed, str) or not raw:
        return False
    hashed = hmac.compare_digest(claimed.lower().encode(), sha256(raw.encode()).hexdigest().encode())
    return hashed or (not hashed_only and hmac.compare_digest(claimed.encode(), raw.encode()))
