"""Signing in and out."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.guards import ensure_active, ensure_checked, ensure_exists, session_of
from accounts_es.domain.account.events import AccountEvent, SessionCreated, SessionDeleted, SessionExtended, TargetAdded
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
    provider_access_token: str = "",
    provider_refresh_token: str = "",
    provider_access_token_expires_at: datetime | None = None,
    replaces: str | None = None,
    limit: int = MAX_SESSIONS,
) -> Iterator[AccountEvent]:
    """Open a session, and close the oldest ones beyond ``limit`` (0: as many as one likes).

    ``checked_password_hash`` is the hash the caller's password was checked against: if the account has another one
    by now, the check is void. ``replaces`` is a session that ends, whose push targets this one takes over.
    """
    ensure_active(account)
    if checked_password_hash is not None:
        ensure_checked(account, checked_password_hash)
    yield SessionCreated(
        session_id=session_id,
        secret_hash=secret_hash,
        provider=provider,
        provider_uid=provider_uid,
        factors=factors,
        expires_at=expires_at,
        provider_access_token=provider_access_token,
        provider_refresh_token=provider_refresh_token,
        provider_access_token_expires_at=provider_access_token_expires_at,
    )
    if replaces is not None and replaces in account.sessions:
        yield SessionDeleted(session_id=replaces, reason="replaced")
        for target in account.targets:
            if target.session_id == replaces:
                yield TargetAdded(**{**asdict(target), "session_id": session_id})
    others = [each for each in account.sessions if each != replaces]
    surplus = len(others) + 1 - limit if limit else 0
    for oldest in others[: max(surplus, 0)]:
        yield SessionDeleted(session_id=oldest, reason="limit")


def delete_session(account: Account, *, session_id: str, reason: str) -> Iterator[AccountEvent]:
    """End one session. Raises `UserSessionNotFound`."""
    ensure_exists(account)
    session_of(account, session_id)
    yield SessionDeleted(session_id=session_id, reason=reason)


def extend_session(account: Account, *, session_id: str, expires_at: datetime) -> Iterator[AccountEvent]:
    """Keep a session for longer. Raises `UserSessionNotFound`."""
    ensure_active(account)
    if session_of(account, session_id).expires_at != expires_at:
        yield SessionExtended(session_id=session_id, expires_at=expires_at)


def delete_sessions(account: Account, *, reason: str) -> Iterator[AccountEvent]:
    """End every session."""
    ensure_exists(account)
    for session_id in account.sessions:
        yield SessionDeleted(session_id=session_id, reason=reason)
