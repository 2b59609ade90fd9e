"""Accounts at providers that open this one."""

from collections.abc import Iterator
from datetime import datetime

from accounts_es.domain.account.aggregate import Account, Identity
from accounts_es.domain.account.commands.guards import ensure_active, ensure_exists
from accounts_es.domain.account.commands.signup import sign_up
from accounts_es.domain.account.events import (
    AccountEvent,
    EmailChanged,
    IdentityLinked,
    IdentityRemoved,
    NameChanged,
    TargetAdded,
    VerifiedEmail,
)
from accounts_es.domain.account.profiles import Profile, ProviderTokens
from accounts_es.domain.errors import UserIdentityNotFound


def begin_with_provider(
    account: Account, *, profile: Profile, account_id: str, identity_id: str, target_id: str
) -> Iterator[AccountEvent]:
    """Begin an account for somebody who signed in at a provider (contract: cross-cutting, 10.3)."""
    yield from sign_up(
        account,
        account_id=account_id,
        email=profile.email or None,
        name=profile.name,
        email_target_id=target_id,
        email_verified=profile.email_verified,
    )
    yield _identity(profile, identity_id)


def come_from_provider(
    account: Account, *, profile: Profile, identity_id: str, target_id: str
) -> Iterator[AccountEvent]:
    """Let somebody in who signed in at a provider, and take over what the account does not know yet.

    An address it has stays, and stays unverified if it was: the provider vouches for the one it knows. Of an identity
    that is known only the tokens are renewed.
    """
    ensure_active(account)
    known = identity_of(account, profile.provider, profile.uid)
    if known is None:
        yield _identity(profile, identity_id)
    elif profile.tokens is not None:
        yield from renew_tokens(account, identity_id=known.identity_id, tokens=profile.tokens)
    if profile.email and not account.email:
        yield EmailChanged(email=profile.email)
        if all(each.identifier != profile.email for each in account.targets):
            yield TargetAdded(target_id=target_id, provider_type="email", identifier=profile.email)
        if profile.email_verified:
            yield VerifiedEmail()
    if profile.name and not account.name:
        yield NameChanged(name=profile.name)


def link_identity(
    account: Account,
    *,
    identity_id: str,
    provider: str,
    provider_uid: str,
    provider_email: str = "",
    provider_email_verified: bool = False,
    access_token: str = "",
    refresh_token: str = "",
    access_token_expires_at: datetime | None = None,
) -> Iterator[AccountEvent]:
    """Let somebody in who signs in at a provider; linked again, the provider's newest tokens replace the old ones."""
    ensure_active(account)
    known = identity_of(account, provider, provider_uid)
    linked = IdentityLinked(
        identity_id=known.identity_id if known is not None else identity_id,
        provider=provider,
        provider_uid=provider_uid,
        provider_email=provider_email,
        provider_email_verified=provider_email_verified,
        access_token=access_token,
        refresh_token=refresh_token,
        access_token_expires_at=access_token_expires_at,
    )
    if known is None or known != Identity(**dict(linked)):
        yield linked


def identity_of(account: Account, provider: str, provider_uid: str) -> Identity | None:
    """The identity of this person at this provider."""
    for identity in account.identities.values():
        if identity.provider == provider and identity.provider_uid == provider_uid:
            return identity
    return None


def remove_identity(account: Account, *, identity_id: str) -> Iterator[AccountEvent]:
    """Let that provider's account in no more. Raises `UserIdentityNotFound`."""
    ensure_exists(account)
    if identity_id not in account.identities:
        raise UserIdentityNotFound
    yield IdentityRemoved(identity_id=identity_id)


def renew_tokens(account: Account, *, identity_id: str, tokens: ProviderTokens) -> Iterator[AccountEvent]:
    """Keep a provider's newest tokens. Raises `UserIdentityNotFound`."""
    ensure_exists(account)
    known = account.identities.get(identity_id)
    if known is None:
        raise UserIdentityNotFound
    if tokens != (known.access_token, known.refresh_token, known.access_token_expires_at):
        email, verified = known.provider_email, known.provider_email_verified
        yield _identity(Profile(known.provider, known.provider_uid, email, verified, tokens=tokens), identity_id)


def _identity(profile: Profile, identity_id: str) -> IdentityLinked:
    tokens = profile.tokens or ProviderTokens()
    return IdentityLinked(
        identity_id=identity_id,
        provider=profile.provider,
        provider_uid=profile.uid,
        provider_email=profile.email,
        provider_email_verified=profile.email_verified,
        access_token=tokens.access,
        refresh_token=tokens.refresh,
        access_token_expires_at=tokens.access_expires_at,
    )
