"""The tokens of Appwrite's ``createJWT``: a short-lived proof of an account, bound to a session (RFC 7519)."""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import NamedTuple

import jwt


class JwtBroken(Exception):  # noqa: N818
    """The token is not one of ours, or no longer good; the message says why and repeats nothing of it."""


class JwtClaims(NamedTuple):
    """Whose token it is; an empty ``session_id``: bound to no session."""

    account_id: str
    session_id: str


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
        return jwt.encode(payload, self._key(project_id), "HS256")

    def read(self, project_id: str, text: str) -> JwtClaims:
        """The claims of a token that is good now. Raises `JwtBroken`."""
        try:
            token = jwt.decode_complete(
                text, self._key(project_id), ["HS256"], options={"require": ["exp"], "verify_aud": False}
            )
        except jwt.ExpiredSignatureError:
            raise JwtBroken("Expired token") from None
        except jwt.InvalidSignatureError:
            raise JwtBroken("Invalid signature") from None
        except jwt.PyJWTError:
            raise JwtBroken("Incomplete or invalid token") from None
        account_id, session_id = token["payload"].get("userId"), token["payload"].get("sessionId", "")
        if token["header"].get("typ") != "JWT" or not isinstance(account_id, str) or not isinstance(session_id, str):
            raise JwtBroken("Incomplete or invalid token")
        return JwtClaims(account_id, session_id)

    def _key(self, project_id: str) -> bytes:
        return hmac.digest(self._secret, f"accounts-es jwt: {project_id}".encode(), hashlib.sha256)
