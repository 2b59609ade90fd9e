"""What must hold before an account decides anything."""

from accounts_es.domain.account.aggregate import Account, Session
from accounts_es.domain.errors import UserBlocked, UserInvalidCredentials, UserNotFound, UserSessionNotFound


def ensure_exists(account: Account) -> None:
    """Raises `UserNotFound` before sign-up and after deletion."""
    if not account.exists:
        raise UserNotFound


def ensure_active(account: Account) -> None:
    """Raises `UserNotFound` or `UserBlocked`."""
    ensure_exists(account)
    if not account.active:
        raise UserBlocked


def ensure_checked(account: Account, checked: str | None) -> None:
    """Raises `UserInvalidCredentials` unless the hash a password was checked against is still the account's."""
    if account.password_hash != checked:
        raise UserInvalidCredentials


def session_of(account: Account, session_id: str) -> Session:
    """The session. Raises `UserSessionNotFound`."""
    session = account.sessions.get(session_id)
    if session is None:
        raise UserSessionNotFound
    return session
