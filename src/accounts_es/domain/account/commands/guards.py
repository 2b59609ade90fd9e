"""What must hold before an account decides anything."""

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.errors import UserBlocked, UserNotFound


def ensure_exists(account: Account) -> None:
    """Raises `UserNotFound` before sign-up and after deletion."""
    if not account.exists:
        raise UserNotFound


def ensure_active(account: Account) -> None:
    """Raises `UserNotFound` or `UserBlocked`."""
    ensure_exists(account)
    if not account.active:
        raise UserBlocked
