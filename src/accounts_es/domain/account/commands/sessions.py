"""Signing in and out."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Final

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.guards import ensure_active, ensure_checked, ensure_exists, session_of
from accounts_es.domain.account.commands.identities import identity_of, renew_tokens
from accounts_es.domain.account.events import (
    AccountEvent,
    SessionCreated,
    SessionDeleted,
    SessionExtended,
    SessionTokensRenewed,
    TargetAdded,
)
from accounts_es.domain.account.profiles import ProviderTokens
from accounts_es.domain.values import MAX_SESSIONS

PROVIDER_FACTORS: Final = ("email", "oauth2")
"""Two of them: whoever signs in at a provider owes no second factor here (contract: account, 1.9)."""


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


def extend_session(
    account: Account, *, session_id: str, expires_at: datetime, tokens: ProviderTokens | None = None
) -> Iterator[AccountEvent]:
    """Keep a session for longer, with newer tokens of its provider where there are any; its identity gets them too.

    Raises `UserSessionNotFound`.
    """
    ensure_active(account)
    session = session_of(account, session_id)
    if session.expires_at != expires_at:
        yield SessionExtended(session_id=session_id, expires_at=expires_at)
    if tokens is not None:
        yield SessionTokensRenewed(
            session_id=session_id,
            access_token=tokens.access,
            refresh_token=tokens.refresh,
            access_token_expires_at=tokens.access_expires_at,
        )
        identity = identity_of(account, session.provider, session.provider_uid)
        if identity is not None:
            yield from renew_tokens(account, identity_id=identity.identity_id, tokens=tokens)


def delete_sessions(account: Account, *, reason: str) -> Iterator[AccountEvent]:
    """End every session."""
    ensure_exists(account)
    for session_id in account.sessions:
        yield SessionDeleted(session_id=session_id, reason=reason)
