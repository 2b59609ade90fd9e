"""What the API answers about one-time secrets, second factors and identities (contract: account, 3)."""

import base64
import binascii
from datetime import datetime

from pydantic_core import from_json, to_json
from typing_extensions import TypedDict

from accounts_es.domain.account.aggregate import Identity as LinkedIdentity
from accounts_es.http.models.dates import date
from accounts_es.http.requests import as_mapping
from projections.identities import IdentityRow

Token = TypedDict("Token", {"$id": str, "$createdAt": str, "userId": str, "secret": str, "expire": str, "phrase": str})


class Jwt(TypedDict):
    """A JWT."""

    jwt: str


class Jwk(TypedDict):
    """A public key (RFC 7517, RFC 7518, 6.2.1)."""

    kty: str
    use: str
    alg: str
    kid: str
    crv: str
    x: str
    y: str


class Jwks(TypedDict):
    """A set of public keys."""

    keys: list[Jwk]


class MfaType(TypedDict):
    """The seed of an authenticator, as text and as the URI that goes into a QR code."""

    secret: str
    uri: str


class MfaFactors(TypedDict):
    """Which second factors can be asked for."""

    totp: bool
    phone: bool
    email: bool
    recoveryCode: bool
    custom: bool


class MfaRecoveryCodes(TypedDict):
    """The recovery codes that are not spent."""

    recoveryCodes: list[str]


MfaChallenge = TypedDict("MfaChallenge", {"$id": str, "$createdAt": str, "userId": str, "expire": str})


class MfaChallengeSecret(MfaChallenge):
    """A challenge whose code a server delivers."""

    code: str


Identity = TypedDict(
    "Identity",
    {
        "$id": str,
        "$createdAt": str,
        "$updatedAt": str,
        "userId": str,
        "provider": str,
        "providerUid": str,
        "providerEmail": str,
        "providerAccessToken": str,
        "providerAccessTokenExpiry": str,
        "providerRefreshToken": str,
    },
)


class IdentityList(TypedDict):
    """A page of identities."""

    total: int
    identities: list[Identity]


def token(
    token_id: str, account_id: str, at: datetime, expires_at: datetime, *, secret: str = "", phrase: str = ""
) -> Token:
    """A one-time secret; ``secret`` itself is only for servers."""
    return {
        "$id": token_id,
        "$createdAt": date(at),
        "userId": account_id,
        "secret": secret,
        "expire": date(expires_at),
        "phrase": phrase,
    }


def phone_secret(account_id: str, code: str) -> str:
    """How servers are told the code of a phone sign-in: base64 of ``{"id","secret"}`` (contract: account, 1.7)."""
    return base64.b64encode(to_json({"id": account_id, "secret": code})).decode()


def bare_secret(account_id: str, secret: str) -> str:
    """The secret itself, also of what `phone_secret` made for this account."""
    try:
        read = as_mapping(from_json(base64.b64decode(secret, validate=True)))
    except (binascii.Error, ValueError):
        return secret
    bare = read.get("secret") if read is not None and read.get("id") == account_id else None
    return bare if isinstance(bare, str) else secret


def identity(row: IdentityRow, account_id: str, linked: LinkedIdentity | None) -> Identity:
    """An identity; its provider's tokens come from the account itself, where they are sealed."""
    return {
        "$id": row.identity_id,
        "$createdAt": date(row.created_at),
        "$updatedAt": date(row.updated_at),
        "userId": account_id,
        "provider": row.provider,
        "providerUid": row.provider_uid,
        "providerEmail": row.provider_email,
        "providerAccessToken": linked.access_token if linked is not None else "",
        "providerAccessTokenExpiry": date(row.access_token_expires_at),
        "providerRefreshToken": linked.refresh_token if linked is not None else "",
    }
