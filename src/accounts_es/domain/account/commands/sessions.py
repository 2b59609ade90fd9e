"""Signing in and out."""

from collections.abc import Iterator
from datetime import datetime

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.guards import ensure_active, ensure_exists
from accounts_es.domain.account.events import AccountEvent, SessionCreated, SessionDeleted
from accounts_es.domain.errors import UserInvalidCredentials, UserSessionNotFound
from accounts_es.domain.values import MAX_SESSIONS


def create_session(
    account: Account,
    *,
    session_id: str,
    secret_hash: str,
    provider: str,
    factors: tuple[str, ...],
    expires_at: datetime,
    provider_uid: str = "",
    checked_password_hash: str | None = None,
    limit: int = MAX_SESSIONS,
) -> Iterator[AccountEvent]:
    """Open a session, and close the oldest ones beyond ``limit``.

    ``checked_password_hash`` is the hash the caller's password was checked against: if the account has another one
    by now, the check is void.
    """
    ensure_active(account)
    if checked_password_hash is not None and checked_password_hash != account.password_hash:
        raise UserInvalidCredentials
    yield SessionCreated(
        session_id=session_id,
        secret_hash=secret_hash,
        provider=provider,
        provider_uid=provider_uid,
        factors=factors,
        expires_at=expires_at,
    )
    surplus = len(account.sessions) + 1 - limit
    for oldest in list(account.sessions)[: max(surplus, 0)]:
        yield SessionDeleted(session_id=oldest, reason="limit")


def delete_session(account: Account, *, session_id: str, reason: str) -> Iterator[AccountEvent]:
    """End one session. Raises `UserSessionNotFound`."""
    ensure_exists(account)
    if session_id not in account.sessions:
        raise UserSessionNotFound
    yield SessionDeleted(session_id=session_id, reason=reason)


def delete_sessions(account: Account, *, reason: str) -> Iterator[AccountEvent]:
    """End every session."""
    ensure_exists(account)
    for session_id in account.sessions:
        yield SessionDeleted(session_id=session_id, reason=reason)
