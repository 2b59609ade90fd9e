"""The tokens of Appwrite's ``createJWT``: a short-lived proof of an account, bound to a session (RFC 7519)."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Algorithm = Literal["HS256", "ES256"]

WRAPPED_LIFE: Final = timedelta(seconds=60)
"""Contract: cross-cutting, 10.4."""


class JwtBroken(Exception):  # noqa: N818
    """The token is not one of ours, or no longer good; the message says why and repeats nothing of it."""


class JwtClaims(NamedTuple):
    """Whose token it is; an empty ``session_id``: bound to no session."""

    account_id: str
    session_id: str


class KeyClaims(NamedTuple):
    """What an ephemeral key opens: these scopes, as long as the key it was made with has them."""

    key_id: str
    scopes: tuple[str, ...]
    name: str
    expires_at: datetime


class JwtExpired(JwtBroken):
    """The token was one of ours."""


MOST_KEY_LIFE: Final = timedelta(days=1)
"""Contract: cross-cutting, 3.3."""
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SCALAR_BYTES: Final = 48
_SKEW: Final = 5
"""Seconds that the clock of whoever checks a fresh token may be behind the one of the server that made it."""
_CLAIMS: Final = ("iss", "aud", "sub", "iat", "nbf")
"""What ES256 tokens say besides."""


class Jwts:
    """Two forms and nothing else (RFC 8725, 3.1), with keys for each project, so that none opens another project.

    HS256 is the contract's, which nobody but this server can check. ES256 can be checked by whoever reads the public
    keys. Both are taken, also of the ``other`` secret: one that signs soon, or did until lately.
    """

    def __init__(
        self, secret: bytes, *, other: bytes | None = None, algorithm: Algorithm = "HS256", issuer: str = ""
    ) -> None:
        self._secret = secret
        self._secrets = (secret,) if other is None else (secret, other)
        self._algorithm = algorithm
        self._issuer = issuer
        self._pairs = lru_cache(maxsize=256)(self._derived)

    def mint(self, project_id: str, claims: JwtClaims, at: datetime, duration: timedelta) -> str:
        """A token of these claims, good for ``duration`` from ``at``."""
        payload: dict[str, str | int] = {
            "userId": claims.account_id,
            "sessionId": claims.session_id,
            "exp": int((at + duration).timestamp()),
        }
        if self._algorithm == "HS256":
            return jwt.encode(payload, _key(self._secret, "jwt", project_id), "HS256")
        begin = int(at.timestamp())
        payload |= {"iss": self._issuer, "aud": project_id, "sub": claims.account_id}
        payload |= {"iat": begin, "nbf": begin - _SKEW}
        pair = self._pairs(project_id)[0]
        return jwt.encode(payload, pair.private, "ES256", headers={"kid": pair.key_id})

    def read(self, project_id: str, text: str) -> JwtClaims:
        """The claims of a token that is good now. Raises `JwtBroken`."""
        return self.read_until(project_id, text)[0]

    def read_until(self, project_id: str, text: str) -> tuple[JwtClaims, datetime]:
        """The claims of a token that is good now, and when it ends. Raises `JwtBroken`."""
        try:
            header = jwt.get_unverified_header(text)
        except jwt.PyJWTError:
            raise JwtBroken("Incomplete or invalid token") from None
        # What the header says picks a form; each form has its own keys and takes no other algorithm.
        if header.get("alg") == "ES256":
            payload = self._read_public(project_id, header.get("kid"), text)
        else:
            payload = self._read_shared("jwt", project_id, text)
        account_id, session_id = payload.get("userId"), payload.get("sessionId", "")
        if not isinstance(account_id, str) or not isinstance(session_id, str):
            raise JwtBroken("Incomplete or invalid token")
        return JwtClaims(account_id, session_id), datetime.fromtimestamp(payload["exp"], UTC)

    def public_keys(self, project_id: str) -> list[Mapping[str, str]]:
        """The keys that ES256 tokens of a project are checked with (RFC 7517), the one that signs first."""
        return [
            {"kty": "EC", "use": "sig", "alg": "ES256", "kid": pair.key_id, **pair.public}
            for pair in self._pairs(project_id)
        ]

    def mint_key(self, project_id: str, claims: KeyClaims) -> str:
        """The text of an ephemeral key. Its own key of ours: neither kind of token passes for the other."""
        payload = {
            "projectId": project_id,
            "keyId": claims.key_id,
            "scopes": list(claims.scopes),
            "name": claims.name,
            "exp": int(claims.expires_at.timestamp()),
        }
        return f"ephemeral_{jwt.encode(payload, _key(self._secret, 'key', project_id), 'HS256')}"

    def read_key(self, project_id: str, token: str, at: datetime) -> KeyClaims:
        """The claims of an ephemeral key without its prefix. Raises `JwtExpired`, `JwtBroken`."""
        payload = self._read_shared("key", project_id, token)
        expires_at = datetime.fromtimestamp(payload["exp"], UTC)
        if payload["projectId"] != project_id or expires_at - at > MOST_KEY_LIFE:
            raise JwtBroken("Incomplete or invalid token")
        return KeyClaims(payload["keyId"], tuple(payload["scopes"]), payload["name"], expires_at)

    def wrap(self, project_id: str, secret: str, provider: str, at: datetime) -> str:
        """The secret of an OAuth2 sign-in, in the form the contract gives it: a token good for `WRAPPED_LIFE`."""
        payload = {"secret": secret, "provider": provider, "exp": int((at + WRAPPED_LIFE).timestamp())}
        return jwt.encode(payload, _key(self._secret, "oauth", project_id), "HS256")

    def unwrap(self, project_id: str, text: str) -> tuple[str, str] | None:
        """The secret and the provider of what `wrap` made, if it is good now."""
        try:
            payload = self._read_shared("oauth", project_id, text)
        except JwtBroken:
            return None
        secret, provider = payload.get("secret"), payload.get("provider")
        return (secret, provider) if isinstance(secret, str) and isinstance(provider, str) else None

    def _read_shared(self, purpose: str, project_id: str, text: str) -> dict[str, Any]:
        """What an HS256 token says that is good now. Raises `JwtBroken`."""
        keys = [_key(secret, purpose, project_id) for secret in self._secrets]
        for key in keys[:-1]:
            with suppress(_ForeignSignature):
                return _payload(text, key, "HS256")
        return _payload(text, keys[-1], "HS256")

    def _read_public(self, project_id: str, key_id: object, text: str) -> dict[str, Any]:
        """What an ES256 token says that is good now, for this project and from this server. Raises `JwtBroken`."""
        for pair in self._pairs(project_id):
            if pair.key_id == key_id:
                return _payload(text, pair.private.public_key(), "ES256", audience=project_id, issuer=self._issuer)
        raise _ForeignSignature("Invalid signature")

    def _derived(self, project_id: str) -> tuple["_Pair", ...]:
        return tuple(_pair(secret, project_id) for secret in self._secrets)


class _ForeignSignature(JwtBroken):
    """None of our keys made it."""


class _Pair(NamedTuple):
    """A key pair of a project; the id is the key's thumbprint (RFC 7638)."""

    private: ec.EllipticCurvePrivateKey
    public: Mapping[str, str]
    key_id: str


def _key(secret: bytes, purpose: str, project_id: str) -> bytes:
    return hmac.digest(secret, f"accounts-es {purpose}: {project_id}".encode(), hashlib.sha256)


def _pair(secret: bytes, project_id: str) -> _Pair:
    """The pair that belongs to a secret: as many bits more than the order has as make its scalar even (FIPS 186-5,
    A.2.1)."""
    info = f"accounts-es es256: {project_id}".encode()
    bits = HKDF(SHA256(), _SCALAR_BYTES, salt=None, info=info).derive(secret)
    private = ec.derive_private_key(int.from_bytes(bits, "big") % (_P256_ORDER - 1) + 1, ec.SECP256R1())
    numbers = private.public_key().public_numbers()
    public = {"crv": "P-256", "x": _base64url(numbers.x.to_bytes(32)), "y": _base64url(numbers.y.to_bytes(32))}
    members = json.dumps({**public, "kty": "EC"}, separators=(",", ":"), sort_keys=True)
    return _Pair(private, public, _base64url(hashlib.sha256(members.encode()).digest()))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _payload(
    text: str, key: Any, algorithm: Algorithm, audience: str | None = None, issuer: str | None = None
) -> dict[str, Any]:
    """What a token of ours says that is good now. Raises `JwtBroken`."""
    claims = () if audience is None else _CLAIMS
    options: Any = {"require": [*claims, "exp"], "verify_aud": audience is not None, "verify_iat": False}
    try:
        token = jwt.decode_complete(text, key, [algorithm], options=options, audience=audience, issuer=issuer)
    except jwt.ExpiredSignatureError:
        raise JwtExpired("Expired token") from None
    except jwt.InvalidSignatureError:
        raise _ForeignSignature("Invalid signature") from None
    except jwt.PyJWTError:
        raise JwtBroken("Incomplete or invalid token") from None
    if token["header"].get("typ") != "JWT":
        raise JwtBroken("Incomplete or invalid token")
    return cast("dict[str, Any]", token["payload"])
