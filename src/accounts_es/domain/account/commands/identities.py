"""Accounts at providers that open this one."""

from collections.abc import Iterator
from datetime import datetime

from accounts_es.domain.account.aggregate import Account
from accounts_es.domain.account.commands.guards import ensure_active, ensure_exists
from accounts_es.domain.account.events import AccountEvent, IdentityLinked, IdentityRemoved
from accounts_es.domain.errors import UserIdentityNotFound


def link_identity(
    account: Account,
    *,
    identity_id: str,
    provider: str,
    provider_uid: str,
    provider_email: str = "",
    access_token: str = "",
    refresh_token: str = "",
    access_token_expires_at: datetime | None = None,
) -> Iterator[AccountEvent]:
    """Let somebody in who signs in at a provider; linked again, the provider's newest tokens replace the old ones."""
    ensure_active(account)
    known = next(
        (
            each
            for each in account.identities.values()
            if each.provider == provider and each.provider_uid == provider_uid
        ),
        None,
    )
    if known is None or (
        known.provider_email,
        known.access_token,
        known.refresh_token,
        known.access_token_expires_at,
    ) != (provider_email, access_token, refresh_token, access_token_expires_at):
        yield IdentityLinked(
            identity_id=known.identity_id if known is not None else identity_id,
            provider=provider,
            provider_uid=provider_uid,
            provider_email=provider_email,
            access_token=access_token,
            refresh_token=refresh_token,
            access_token_expires_at=access_token_expires_at,
        )


def remove_identity(account: Account, *, identity_id: str) -> Iterator[AccountEvent]:
    """Let that provider's account in no more. Raises `UserIdentityNotFound`."""
    ensure_exists(account)
    if identity_id not in account.identities:
        raise UserIdentityNotFound
    yield IdentityRemoved(identity_id=identity_id)
