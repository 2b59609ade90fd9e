"""What travels to a provider and back in ``state``: sealed, so that nobody reads or makes one, and short-lived."""

import base64
import hashlib
import hmac
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from pydantic import BaseModel, ValidationError

STATE_LIFE: Final = 900
"""Seconds somebody may take to sign in at the provider and to consent."""


class StateBroken(Exception):  # noqa: N818
    """It is none of ours, or too old."""


class State(BaseModel):
    """Where somebody came from and goes to."""

    provider: str
    success: str = ""
    failure: str = ""
    """Empty: our own pages."""
    app_state: str = ""
    """What the application wants to have back."""
    token: bool
    """Whether they get a one-time secret instead of a session."""
    redirect_uri: str
    verifier: str
    """Of the code challenge (RFC 7636)."""
    nonce: str
    browser: str
    """The SHA-256 of what the browser holds that began it; empty when a server did."""


class States:
    """Seals and opens them, with a key for each project."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, project_id: str, state: State) -> str:
        """The text that travels."""
        return self._box(project_id).encrypt(state.model_dump_json(exclude_defaults=True).encode()).decode()

    def open(self, project_id: str, text: str) -> State:
        """What `seal` was given less than `STATE_LIFE` ago, for this project. Raises `StateBroken`."""
        try:
            return State.model_validate_json(self._box(project_id).decrypt(text.encode(), ttl=STATE_LIFE))
        except (InvalidToken, ValidationError, UnicodeEncodeError):
            raise StateBroken from None

    def _box(self, project_id: str) -> Fernet:
        key = hmac.digest(self._secret, f"accounts-es oauth state: {project_id}".encode(), hashlib.sha256)
        return Fernet(base64.urlsafe_b64encode(key))
