"""The tokens of Appwrite's ``createJWT``: a short-lived proof of an account, bound to a session (RFC 7519)."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast

import jwt

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


class Jwts:
    """HS256 and nothing else (RFC 8725, 3.1), with a key for each project, so that none opens another project."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def mint(self, project_id: str, claims: JwtClaims, at: datetime, duration: timedelta) -> str:
        """A token of these claims, good for ``duration`` from ``at``. The payload is the contract's."""
        payload = {
            "userId": claims.account_id,
            "sessionId": claims.session_id,
            "exp": int((at + duration).timestamp()),
        }
        return jwt.encode(payload, self._key("jwt", project_id), "HS256")

    def read(self, project_id: str, text: str) -> JwtClaims:
        """The claims of a token that is good now. Raises `JwtBroken`."""
        payload = _payload(text, self._key("jwt", project_id))
        account_id, session_id = payload.get("userId"), payload.get("sessionId", "")
        if not isinstance(account_id, str) or not isinstance(session_id, str):
            raise JwtBroken("Incomplete or invalid token")
        return JwtClaims(account_id, session_id)

    def mint_key(self, project_id: str, claims: KeyClaims) -> str:
        """The text of an ephemeral key. Its own key of ours: neither kind of token passes for the other."""
        payload = {
            "projectId": project_id,
            "keyId": claims.key_id,
            "scopes": list(claims.scopes),
            "name": claims.name,
            "exp": int(claims.expires_at.timestamp()),
        }
        return f"ephemeral_{jwt.encode(payload, self._key('key', project_id), 'HS256')}"

    def read_key(self, project_id: str, token: str, at: datetime) -> KeyClaims:
        """The claims of an ephemeral key without its prefix. Raises `JwtExpired`, `JwtBroken`."""
        payload = _payload(token, self._key("key", project_id))
        expires_at = datetime.fromtimestamp(payload["exp"], UTC)
        if payload["projectId"] != project_id or expires_at - at > MOST_KEY_LIFE:
            raise JwtBroken("Incomplete or invalid token")
        return KeyClaims(payload["keyId"], tuple(payload["scopes"]), payload["name"], expires_at)

    def wrap(self, project_id: str, secret: str, provider: str, at: datetime) -> str:
        """The secret of an OAuth2 sign-in, in the form the contract gives it: a token good for `WRAPPED_LIFE`."""
        payload = {"secret": secret, "provider": provider, "exp": int((at + WRAPPED_LIFE).timestamp())}
        return jwt.encode(payload, self._key("oauth", project_id), "HS256")

    def unwrap(self, project_id: str, text: str) -> tuple[str, str] | None:
        """The secret and the provider of what `wrap` made, if it is good now."""
        try:
            payload = jwt.decode(text, self._key("oauth", project_id), ["HS256"], options={"require": ["exp"]})
        except jwt.PyJWTError:
            return None
        secret, provider = payload.get("secret"), payload.get("provider")
        return (secret, provider) if isinstance(secret, str) and isinstance(provider, str) else None

    def _key(self, purpose: str, project_id: str) -> bytes:
        return hmac.digest(self._secret, f"accounts-es {purpose}: {project_id}".encode(), hashlib.sha256)


def _payload(text: str, key: bytes) -> dict[str, Any]:
    """What a token of ours says that is good now. Raises `JwtBroken`."""
    try:
        token = jwt.decode_complete(text, key, ["HS256"], options={"require": ["exp"], "verify_aud": False})
    except jwt.ExpiredSignatureError:
        raise JwtExpired("Expired token") from None
    except jwt.InvalidSignatureError:
        raise JwtBroken("Invalid signature") from None
    except jwt.PyJWTError:
        raise JwtBroken("Incomplete or invalid token") from None
    if token["header"].get("typ") != "JWT":
        raise JwtBroken("Incomplete or invalid token")
    return cast("dict[str, Any]", token["payload"])
