"""One-time secrets: issued, and redeemed once."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from accounts_es.domain.account.aggregate import SENT_TO, Account, Token
from accounts_es.domain.account.commands.credentials import end_other_sessions, new_password
from accounts_es.domain.account.commands.guards import ensure_exists
from accounts_es.domain.account.commands.proof import is_taken_over, prove_email
from accounts_es.domain.account.commands.sessions import PROVIDER_FACTORS, create_session
from accounts_es.domain.account.events import (
    AccountEvent,
    TokenIssued,
    TokenPurpose,
    TokenRedeemed,
    VerifiedEmail,
    VerifiedPhone,
)
from accounts_es.domain.errors import (
    UserEmailAlreadyVerified,
    UserEmailNotFound,
    UserInvalidToken,
    UserNotFound,
    UserPhoneAlreadyVerified,
    UserPhoneNotFound,
)
from accounts_es.domain.values import MAX_SESSIONS


class TokenSignIn(NamedTuple):
    """What a token makes of the session it opens."""

    provider: str
    factors: tuple[str, ...]


SIGN_IN: Final[Mapping[TokenPurpose, TokenSignIn]] = {
    "magic-url": TokenSignIn("magic-url", ("email",)),
    "email-otp": TokenSignIn("token", ("email",)),
    "phone": TokenSignIn("phone", ("phone",)),
    "custom": TokenSignIn("token", ("token",)),
}
"""Tokens that open sessions (contract: account, 1.9)."""


def issue_token(
    account: Account,
    *,
    token_id: str,
    purpose: TokenPurpose,
    secret_hash: str,
    expires_at: datetime,
    sent_to: str | None = None,
) -> Iterator[AccountEvent]:
    """Make a one-time secret; those made before stay good (contract: account, 1.7).

    Raises `UserNotFound` when the address it is sent to is not the account's any more.
    """
    ensure_exists(account)
    if sent_to not in {None, account.phone if SENT_TO.get(purpose) == "phone" else account.email}:
        raise UserNotFound
    yield TokenIssued(token_id=token_id, purpose=purpose, secret_hash=secret_hash, expires_at=expires_at)


def issue_email_verification(
    account: Account,
    *,
    token_id: str,
    purpose: TokenPurpose,
    secret_hash: str,
    expires_at: datetime,
    sent_to: str | None = None,
) -> Iterator[AccountEvent]:
    """Make the secret that proves the e-mail address.

    Raises `UserEmailAlreadyVerified`, and `UserEmailNotFound` when the address it is sent to is another by now.
    """
    ensure_exists(account)
    if sent_to not in {None, account.email}:
        raise UserEmailNotFound
    if account.email_verified:
        raise UserEmailAlreadyVerified
    yield TokenIssued(token_id=token_id, purpose=purpose, secret_hash=secret_hash, expires_at=expires_at)


def issue_phone_verification(
    account: Account, *, token_id: str, secret_hash: str, expires_at: datetime, sent_to: str | None = None
) -> Iterator[AccountEvent]:
    """Make the code that proves the phone number.

    Raises `UserPhoneAlreadyVerified`, and `UserPhoneNotFound` when the number it is sent to is another by now.
    """
    ensure_exists(account)
    if sent_to not in {None, account.phone}:
        raise UserPhoneNotFound
    if account.phone_verified:
        raise UserPhoneAlreadyVerified
    yield TokenIssued(token_id=token_id, purpose="phone", secret_hash=secret_hash, expires_at=expires_at)


def token_of(account: Account, *, purposes: Sequence[TokenPurpose], secret_hash: str, now: datetime) -> Token:
    """The unspent token behind a secret. Raises `UserInvalidToken`."""
    for token in account.tokens.values():
        if token.purpose in purposes and token.secret_hash == secret_hash and token.expires_at > now:
            return token
    raise UserInvalidToken


def sign_in_with_token(
    account: Account,
    *,
    secret_hash: str,
    now: datetime,
    session_id: str,
    session_secret_hash: str,
    expires_at: datetime,
    identity_id: str | None = None,
    limit: int = MAX_SESSIONS,
    evict: bool = True,
) -> Iterator[AccountEvent]:
    """Redeem a token for a session; that of an OAuth2 sign-in with the identity it was issued for, and only so.

    ``evict`` as in `prove_email`.

    Raises `UserInvalidToken`, and `UserBlocked` although the token is right.
    """
    identity = account.identities.get(identity_id) if identity_id is not None else None
    if not account.exists or (identity_id is not None and identity is None):
        raise UserInvalidToken
    purposes: tuple[TokenPurpose, ...] = ("oauth2",) if identity is not None else tuple(SIGN_IN)
    token = token_of(account, purposes=purposes, secret_hash=secret_hash, now=now)
    way = SIGN_IN[token.purpose] if identity is None else TokenSignIn(identity.provider, PROVIDER_FACTORS)
    by_mail = way.factors == ("email",)
    alone = by_mail and evict and is_taken_over(account)
    opened = tuple(
        create_session(
            account._replace(sessions={}) if alone else account,
            session_id=session_id,
            secret_hash=session_secret_hash,
            provider=way.provider,
            factors=way.factors,
            expires_at=expires_at,
            provider_uid=identity.provider_uid if identity is not None else "",
            provider_access_token=identity.access_token if identity is not None else "",
            provider_refresh_token=identity.refresh_token if identity is not None else "",
            provider_access_token_expires_at=identity.access_token_expires_at if identity is not None else None,
            limit=limit,
        )
    )
    yield TokenRedeemed(token_id=token.token_id)
    if by_mail:
        yield from prove_email(account, evict=evict)
    if way.factors == ("phone",) and not account.phone_verified:
        yield VerifiedPhone()
    yield from opened


def verify_email_with_token(
    account: Account, *, purpose: TokenPurpose, secret_hash: str, now: datetime
) -> Iterator[AccountEvent]:
    """Redeem a token that came by mail. Raises `UserInvalidToken`."""
    ensure_exists(account)
    token = token_of(account, purposes=(purpose,), secret_hash=secret_hash, now=now)
    yield TokenRedeemed(token_id=token.token_id)
    if not account.email_verified:
        yield VerifiedEmail()


def verify_phone_with_token(account: Account, *, secret_hash: str, now: datetime) -> Iterator[AccountEvent]:
    """Redeem a code that came by SMS. Raises `UserInvalidToken`."""
    ensure_exists(account)
    token = token_of(account, purposes=("phone",), secret_hash=secret_hash, now=now)
    yield TokenRedeemed(token_id=token.token_id)
    if not account.phone_verified:
        yield VerifiedPhone()


def recover_password(
    account: Account,
    *,
    purpose: TokenPurpose,
    secret_hash: str,
    now: datetime,
    password_hash: str,
    history: tuple[str, ...] = (),
    history_length: int = 0,
    end_sessions: bool = True,
    evict: bool = True,
) -> Iterator[AccountEvent]:
    """Redeem a recovery token for another password (contract: account, 2.10).

    Raises `UserInvalidToken`, and `PasswordRecentlyUsed` without spending the token. Second factors stay as they are
    (ASVS V6.4.3). ``evict`` as in `prove_email`.
    """
    ensure_exists(account)
    token = token_of(account, purposes=(purpose,), secret_hash=secret_hash, now=now)
    changed = tuple(new_password(account, password_hash=password_hash, history=history, history_length=history_length))
    yield TokenRedeemed(token_id=token.token_id)
    yield from prove_email(account, evict=evict, end_sessions=end_sessions)
    yield from changed
    if end_sessions and not (evict and is_taken_over(account)):
        yield from end_other_sessions(account, None)
